//! The webhook that many numbers share at Telnyx. Pure.

/// A webhook as a connection or a messaging profile has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Webhook {
    /// Its URL; `None` if unset.
    pub url: Option<String>,
    /// Its API version, where the object has one.
    pub api_version: Option<String>,
    /// False if the connection or messaging profile is switched off.
    pub is_enabled: bool,
}

impl Webhook {
    /// True if events go to `url` in API version 2, as far as a version is shown.
    pub fn leads_to(&self, url: &str) -> bool {
        let version = self.api_version.as_deref();
        self.url.as_deref() == Some(url) && version.is_none_or(|version| version == "2")
    }
}
