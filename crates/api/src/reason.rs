//! The stable reasons of conditions. docs/reference/reasons.md has a section for each.

use std::fmt;

/// What a reason asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing: the operator works.
    Working,
    /// Patience: it goes on by itself.
    Waiting,
    /// A person.
    Stalled,
    /// Nothing: all is as declared.
    Settled,
}

macro_rules! reasons {
    ($($class:ident { $($(#[$doc:meta])* $name:ident,)* })*) => {
        /// Why a condition is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($($(#[$doc])* $name,)*)*
        }

        impl Reason {
            /// Every reason, in the order of docs/reference/reasons.md.
            pub const ALL: &'static [Self] = &[$($(Self::$name,)*)*];

            /// The reason that a condition names; `None` for one that this version does not know.
            pub fn read(text: &str) -> Option<Self> {
                $($(if text == stringify!($name) {
                    return Some(Self::$name);
                })*)*
                None
            }

            /// Where the documentation says what it means and what to do.
            pub fn section(self) -> String {
                format!("docs/reference/reasons.md#{}", self.to_string().to_lowercase())
            }

            /// What it asks for.
            pub fn class(self) -> Class {
                match self {
                    $($(Self::$name => Class::$class,)*)*
                }
            }
        }

        impl Reason {
            /// True for what a person or the provider has to mend.
            pub fn is_failure(self) -> bool {
                let transient = matches!(
                    self,
                    Self::RateLimited | Self::ProviderUnavailable | Self::InternalError
                );
                transient || self.class() == Class::Stalled
            }
        }

        impl fmt::Display for Reason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($(Self::$name => stringify!($name),)*)*
                })
            }
        }
    };
}

reasons! {
    Settled {
        /// Bought, configured and assigned as declared.
        Ready,
        /// `spec.suspend` is true: nothing is written at the provider.
        Suspended,
    }
    Working {
        /// The operator has not looked at the object yet.
        Pending,
        /// The provider is being asked for the number.
        Searching,
        /// The number is claimed and being bought.
        Purchasing,
        /// It is being found out whether a purchase took place.
        Verifying,
        /// A Telnyx order is accepted and not finished.
        OrderPending,
        /// Webhooks are being set and read back.
        Configuring,
        /// Burki is being told which assistant answers.
        Assigning,
        /// The number is being released.
        Releasing,
        /// The provider asked to slow down.
        RateLimited,
        /// The provider does not answer usefully.
        ProviderUnavailable,
    }
    Waiting {
        /// No more may be bought for now.
        LimitReached,
        /// No more may be released for now.
        ReleaseLimitReached,
        /// The number is released after a time in which its deletion can be undone.
        ReleaseDelayed,
        /// No number that is on sale is as wanted.
        NoNumbersFound,
        /// A registration that carriers want for messages is not finished.
        RegistrationPending,
        /// It is not known whether messages get through.
        MessagingUnverifiable,
        /// A fault of the operator itself ended the last reconcile.
        InternalError,
    }
    Stalled {
        /// The spec cannot be carried out.
        InvalidSpec,
        /// The ProviderAccount does not exist.
        AccountNotFound,
        /// The ClusterProviderAccount does not allow this namespace.
        AccountNotAllowed,
        /// The Secret, or a key in it, does not exist.
        CredentialsMissing,
        /// The provider refuses the credential.
        CredentialsInvalid,
        /// The credential opens another account than the one the number is in.
        AccountMismatch,
        /// The provider does not say which account the key opens.
        AccountUnidentified,
        /// Burki has no such assistant.
        AssistantNotFound,
        /// The assistant is switched off.
        AssistantInactive,
        /// Burki cannot be asked, or cannot take this number.
        AssistantUnverifiable,
        /// No Telnyx connection is declared anywhere.
        ConnectionMissing,
        /// The Telnyx account has no such connection or messaging profile.
        ConnectionNotFound,
        /// The webhook of the connection, messaging profile or messaging service is not the declared one.
        ConnectionWebhookMismatch,
        /// No webhook URL is declared.
        WebhookBaseMissing,
        /// The number cannot text.
        MessagesNotSupported,
        /// The Telnyx number is on no messaging profile.
        MessagingProfileMissing,
        /// The messaging profile of the number is switched off.
        MessagingProfileDisabled,
        /// The US number belongs to no campaign.
        CampaignMissing,
        /// The campaign of the US number, or its assignment to it, was refused.
        CampaignRejected,
        /// The campaign of the US number was suspended, or has expired.
        CampaignSuspended,
        /// The toll-free number was never submitted for verification.
        TollFreeUnverified,
        /// The verification of the toll-free number was refused.
        TollFreeRejected,
        /// The provider does not sell the number.
        NumberNotAvailable,
        /// The provider account has no money.
        InsufficientBalance,
        /// The provider account may not buy.
        PurchasingNotEnabled,
        /// The country's regulator wants papers.
        RegulatoryRequirement,
        /// The provider lets the number make emergency calls only.
        EmergencyOnly,
        /// Another provider has asked to take the number over.
        PortOutPending,
        /// The order was refused after it had been accepted.
        OrderFailed,
        /// The account holds the number already, without our mark.
        AlreadyOwned,
        /// The number carries another resource's mark.
        OwnedByAnother,
        /// Another PhoneNumber claims the same number and was there first.
        ClaimedByAnother,
        /// The number costs more than it may.
        CostLimitExceeded,
        /// What the number costs is not known, and a limit is set.
        PriceUnknown,
        /// The number is gone from the account. It is never bought again.
        Lost,
        /// `deletionProtection` forbids the release.
        ReleaseProtected,
        /// The number cannot be released.
        ReleaseBlocked,
        /// Many numbers are missing at once (accounts only).
        InventorySuspect,
        /// Somebody keeps setting the number up differently.
        ConfigurationConflict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_a_word_that_conditions_accept() {
        for reason in Reason::ALL {
            let text = reason.to_string();
            assert!(
                text.bytes().all(|byte| byte.is_ascii_alphabetic()),
                "{text}"
            );
            assert_eq!(Reason::read(&text), Some(*reason));
        }
        assert_eq!(Reason::read("ready"), None);
    }
}
