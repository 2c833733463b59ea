//! Values that every layer shares: numbers, identities, marks and routing.
//!
//! Pure: no I/O, no clock, no randomness, and nothing else of this crate.

mod mark;
mod messaging;
mod price;
mod registration;
mod search;
mod setup;
mod webhook;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use mark::{Installation, Mark, Origin, Owner, Whose};
pub use messaging::Messaging;
pub use price::{Amount, Balance, Currency, Description, Offer, Price};
pub use registration::{Registration, RegistrationKind};
pub use search::{Capability, Kind, Place, Search};
pub use setup::{
    Capabilities, Configuration, Field, Holding, Inbound, Line, MessagingService,
    RegulatoryDocuments, Routing, Settings, Shown, TelnyxSettings, TwilioSettings,
};
pub use webhook::Webhook;

/// A provider that numbers are bought from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Twilio (<https://www.twilio.com>).
    Twilio,
    /// Telnyx (<https://telnyx.com>).
    Telnyx,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Twilio => "twilio",
            Self::Telnyx => "telnyx",
        })
    }
}

/// A phone number in E.164 form: `+`, then 7 to 15 digits, the first not zero. Tens of thousands are kept: it is its own text,
/// without an allocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164 {
    /// The text, and zeros after it.
    text: [u8; E164::LONGEST],
    length: u8,
}

impl E164 {
    /// The bytes of the longest one.
    const LONGEST: usize = 16;

    /// The number without its `+`, as Telnyx filters want it.
    pub fn digits(&self) -> &str {
        self.as_str().trim_start_matches('+')
    }

    /// The number with its `+`.
    pub fn as_str(&self) -> &str {
        let text = self.text.get(..usize::from(self.length));
        // It was made of a text.
        std::str::from_utf8(text.unwrap_or_default()).unwrap_or_default()
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is not a value of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The text is not an E.164 number.
    #[error("{0:?} is not an E.164 number such as +12125551234")]
    Number(String),
}

impl FromStr for E164 {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let well_formed = text.strip_prefix('+').is_some_and(|digits| {
            (7..=15).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && !digits.starts_with('0')
        });
        let mut number = Self {
            text: [0; Self::LONGEST],
            length: u8::try_from(text.len()).unwrap_or_default(),
        };
        match number.text.get_mut(..text.len()) {
            Some(place) if well_formed => place.copy_from_slice(text.as_bytes()),
            _ => return Err(Malformed::Number(text.chars().take(24).collect())),
        }
        Ok(number)
    }
}

impl TryFrom<String> for E164 {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<E164> for String {
    fn from(number: E164) -> Self {
        number.as_str().to_owned()
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl $name {
            /// Takes the text as the provider or the record gave it. Clones share it.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// The provider's own id of a number: a Twilio SID (`PN…`) or a Telnyx phone-number id (digits).
    NumberId
}
text_id! {
    /// The id of a Telnyx number order (a UUID).
    OrderId
}
text_id! {
    /// The provider's own id of an account: a Twilio AccountSid or a Telnyx organization id.
    AccountId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_e164_or_it_is_nothing() {
        for good in ["+12125551234", "+4915112345678", "+1234567"] {
            let number: E164 = good.parse().unwrap();
            assert_eq!(
                (number.as_str(), format!("{number} {number:?}")),
                (good, format!("{good} {good}"))
            );
        }
        for bad in [
            "",
            "+",
            "12125551234",
            "+1212555123a",
            "+0123456789",
            "+1234567890123456",
            "+12 125551234",
        ] {
            assert!(bad.parse::<E164>().is_err(), "{bad}");
        }
    }
}
