//! Words that a status stores. A word of a later version is kept as it is, so that reading and writing a status loses
//! nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$about:meta])* $type:ident { $($(#[$doc:meta])* $name:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $type {
            $($(#[$doc])* $name,)*
            /// A word that this version does not know.
            Other(String),
        }

        impl From<String> for $type {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$name,)*
                    _ => Self::Other(word),
                }
            }
        }

        impl From<$type> for String {
            fn from(word: $type) -> Self {
                match word {
                    $($type::$name => $word.to_owned(),)*
                    $type::Other(word) => word,
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $word,)*
                    Self::Other(word) => word,
                })
            }
        }
    };
}

words! {
    /// How a purchase attempt ended.
    AttemptOutcome {
        /// The number is held.
        Bought = "Bought",
        /// An order was accepted.
        Ordered = "Ordered",
        /// The provider refused, with a code that says for certain that nothing was bought.
        Rejected = "Rejected",
        /// The provider refused, with a code that is not known. The number is looked for before it is tried again.
        Refused = "Refused",
        /// The provider has not seen the request: nothing was bought.
        NotSent = "NotSent",
        /// The number may have been bought.
        Unknown = "Unknown",
    }
}

impl AttemptOutcome {
    /// True if an attempt that ended so bought nothing, by the provider's word or because the provider has not seen it.
    /// What counts against limits follows this; whether the number may be bought again does not.
    pub fn is_in_vain(&self) -> bool {
        match self {
            Self::Rejected | Self::Refused | Self::NotSent => true,
            Self::Bought | Self::Ordered | Self::Unknown | Self::Other(_) => false,
        }
    }
}

words! {
    /// What became of a Telnyx order.
    OrderStatus {
        /// It has not brought its number yet.
        Pending = "pending",
        /// The number was bought.
        Completed = "completed",
        /// It was refused or cancelled.
        Failed = "failed",
    }
}

words! {
    /// What the deletion of an object does to its number.
    OnDeletion {
        /// The number is released, for good.
        Release = "Release",
        /// The number stays in the account.
        Retain = "Retain",
        /// The deletion waits until deletionProtection is false.
        Blocked = "Blocked",
    }
}

words! {
    /// Where a number comes from.
    NumberOrigin {
        /// It was bought.
        Bought = "Bought",
        /// It was in the account before, and was taken over.
        Adopted = "Adopted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_later_version_is_kept_and_concludes_nothing() {
        for (text, outcome, is_in_vain) in [
            ("Bought", AttemptOutcome::Bought, false),
            ("Ordered", AttemptOutcome::Ordered, false),
            ("Rejected", AttemptOutcome::Rejected, true),
            ("Refused", AttemptOutcome::Refused, true),
            ("NotSent", AttemptOutcome::NotSent, true),
            ("Unknown", AttemptOutcome::Unknown, false),
            ("rejected", AttemptOutcome::Other("rejected".into()), false),
        ] {
            let read: AttemptOutcome = serde_json::from_value(text.into()).unwrap();
            assert_eq!(read, outcome);
            assert_eq!(read.is_in_vain(), is_in_vain, "{text}");
            assert_eq!(serde_json::to_value(&read).unwrap(), text);
            assert_eq!(read.to_string(), text);
        }
    }
}
