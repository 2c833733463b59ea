//! Credentials, as the keys of a Secret hold them.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::number::Provider;
use crate::provider::twilio::TwilioCredentials;

/// What opens an account at a provider.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Basic authentication at Twilio.
    Twilio(TwilioCredentials),
    /// The API key at Telnyx.
    Telnyx(SecretString),
}

/// A hash of a credential, to tell credentials apart without showing them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of these texts in this order.
    pub fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().into())
    }
}

/// A key that the Secret lacks, or whose value is empty or not text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MissingKey(pub String);

impl Credentials {
    /// Reads the keys that `provider` wants: `accountSid` and `authToken`, or `accountSid`, `apiKeySid` and
    /// `apiKeySecret`, for Twilio; `apiKey` for Telnyx.
    ///
    /// # Errors
    /// The key that is missing. Never its value.
    pub fn from_keys(
        provider: Provider,
        keys: &BTreeMap<String, SecretString>,
    ) -> Result<Self, MissingKey> {
        match provider {
            Provider::Telnyx => api_key(keys).map(Self::Telnyx),
            Provider::Twilio => {
                let account_sid = key(keys, "accountSid")?.expose_secret().to_owned();
                let (username, password) = if keys.contains_key("apiKeySid") {
                    (
                        key(keys, "apiKeySid")?.expose_secret().to_owned(),
                        key(keys, "apiKeySecret")?,
                    )
                } else {
                    let token = key(keys, "authToken").map_err(|_| {
                        MissingKey("authToken (or apiKeySid with apiKeySecret)".to_owned())
                    })?;
                    (account_sid.clone(), token)
                };
                Ok(Self::Twilio(TwilioCredentials {
                    account_sid,
                    username,
                    password,
                }))
            }
        }
    }

    /// Tells this credential from others.
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Twilio(credentials) => Fingerprint::of(&[
                "twilio",
                &credentials.account_sid,
                &credentials.username,
                credentials.password.expose_secret(),
            ]),
            Self::Telnyx(key) => Fingerprint::of(&["telnyx", key.expose_secret()]),
        }
    }
}

/// The key `apiKey`, of Telnyx and of Burki.
///
/// # Errors
/// If it is missing.
pub fn api_key(keys: &BTreeMap<String, SecretString>) -> Result<SecretString, MissingKey> {
    key(keys, "apiKey")
}

fn key(keys: &BTreeMap<String, SecretString>, name: &str) -> Result<SecretString, MissingKey> {
    match keys.get(name).map(|value| value.expose_secret().trim()) {
        Some(value) if !value.is_empty() => Ok(SecretString::from(value)),
        _ => Err(MissingKey(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> BTreeMap<String, SecretString> {
        names
            .iter()
            .map(|name| ((*name).to_owned(), SecretString::from("fake\n")))
            .collect()
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_else() {
        let table: [(Provider, &[&str], Option<&str>); 7] = [
            (Provider::Twilio, &["accountSid", "authToken"], None),
            (
                Provider::Twilio,
                &["accountSid", "apiKeySid", "apiKeySecret"],
                None,
            ),
            (Provider::Twilio, &["authToken"], Some("accountSid")),
            (
                Provider::Twilio,
                &["accountSid"],
                Some("authToken (or apiKeySid with apiKeySecret)"),
            ),
            (
                Provider::Twilio,
                &["accountSid", "apiKeySid"],
                Some("apiKeySecret"),
            ),
            (Provider::Telnyx, &["apiKey"], None),
            (Provider::Telnyx, &["authToken"], Some("apiKey")),
        ];
        for (provider, names, missing) in table {
            let error = Credentials::from_keys(provider, &keys(names))
                .err()
                .map(|error| error.to_string());
            assert_eq!(error.as_deref(), missing, "{provider} {names:?}");
        }
    }

    #[test]
    fn a_credential_is_never_shown() {
        for (provider, names) in [
            (Provider::Twilio, vec!["accountSid", "authToken"]),
            (Provider::Telnyx, vec!["apiKey"]),
        ] {
            let mut keys = keys(&names);
            keys.insert(names[names.len() - 1].into(), SecretString::from("canary"));
            let shown = format!("{:?}", Credentials::from_keys(provider, &keys).unwrap());
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}
