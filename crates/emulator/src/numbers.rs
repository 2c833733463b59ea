//! The numbers that accounts have, in the order in which they got them, each found by itself and by its id without going
//! through all of them.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use serde::{Deserialize, Serialize, Serializer};
use tokio::time::Instant;

/// A number that an account has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Number {
    /// twilio or telnyx.
    pub provider: String,
    /// The account, or the organization.
    pub account: String,
    /// Its id at the provider.
    pub id: String,
    /// The number itself.
    pub phone_number: String,
    /// Twilio's name of it.
    #[serde(default)]
    pub friendly_name: String,
    /// Telnyx's reference.
    #[serde(default)]
    pub customer_reference: String,
    /// Twilio's voice webhook.
    #[serde(default)]
    pub voice_url: String,
    /// Its method.
    #[serde(default)]
    pub voice_method: String,
    /// Twilio's SMS webhook.
    #[serde(default)]
    pub sms_url: String,
    /// Its method.
    #[serde(default)]
    pub sms_method: String,
    /// A SIP trunk.
    #[serde(default)]
    pub trunk_sid: String,
    /// A voice application.
    #[serde(default)]
    pub voice_application_sid: String,
    /// An SMS application.
    #[serde(default)]
    pub sms_application_sid: String,
    /// A messaging service.
    #[serde(default)]
    pub messaging_service: String,
    /// The Twilio address.
    #[serde(default)]
    pub address_sid: String,
    /// The Twilio regulatory bundle.
    #[serde(default)]
    pub bundle_sid: String,
    /// The Twilio identity.
    #[serde(default)]
    pub identity_sid: String,
    /// Telnyx's word for the state of the number; `active` if empty.
    #[serde(default)]
    pub status: String,
    /// The Telnyx connection.
    #[serde(default)]
    pub connection_id: String,
    /// The Telnyx messaging profile.
    #[serde(default)]
    pub messaging_profile_id: String,
    /// The Telnyx billing group.
    #[serde(default)]
    pub billing_group_id: String,
    /// True while an emergency address (Twilio) or a deletion lock (Telnyx) forbids its release.
    #[serde(default)]
    pub locked: bool,
    /// When the account got it, by the clock that dates rows.
    #[serde(skip, default = "SystemTime::now")]
    pub created: SystemTime,
    /// When it was last changed, by the same clock.
    #[serde(skip, default = "SystemTime::now")]
    pub updated: SystemTime,
    /// When the account got it, and from when on which request shows it.
    #[serde(skip)]
    pub shown: Shown,
}

/// From when on requests show a number.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// When the account got it.
    pub sold: Instant,
    /// Until when every request shows it, before it is hidden.
    pub until: Instant,
    /// From when on a listing of everything shows it.
    pub listed: Instant,
    /// From when on a listing that is filtered by the number shows it.
    pub found: Instant,
    /// From when on it can be fetched by its id.
    pub fetched: Instant,
}

impl Default for Shown {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            sold: now,
            until: now,
            listed: now,
            found: now,
            fetched: now,
        }
    }
}

impl Shown {
    pub(super) fn is_shown_from(&self, at: Instant) -> bool {
        let now = Instant::now();
        at <= now || now < self.until
    }

    /// True if its id leads to it now.
    pub(super) fn can_be_fetched(&self) -> bool {
        self.is_shown_from(self.fetched)
    }
}

/// Every number that an account has. A place is not used again.
#[derive(Debug, Default)]
pub struct Numbers {
    rows: BTreeMap<usize, Number>,
    by_number: HashMap<String, usize>,
    by_id: HashMap<String, usize>,
    next: usize,
}

impl Numbers {
    /// All of them, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Number> {
        self.rows.values()
    }

    /// Shows every number in listings from `at` on and not before. Where `at` has come, its id leads to it too.
    pub fn list_from(&mut self, at: Instant) {
        for number in self.rows.values_mut() {
            let shown = &mut number.shown;
            (shown.listed, shown.found) = (at, at);
            shown.fetched = shown.fetched.min(at);
            shown.until = shown.sold;
        }
    }

    /// The number at a place.
    pub fn get(&self, at: usize) -> Option<&Number> {
        self.rows.get(&at)
    }

    /// The number at a place, to change its settings. What it is found by is changed by [`Numbers::replace`].
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Number> {
        self.rows.get_mut(&at)
    }

    /// The place of the number that is so written.
    pub(super) fn place_of(&self, number: &str) -> Option<usize> {
        self.by_number.get(number).copied()
    }

    /// The place of the number with this id.
    pub(super) fn place_of_id(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// Adds a number, and returns its place.
    pub(super) fn push(&mut self, number: Number) -> usize {
        let at = self.next;
        self.next += 1;
        self.put(at, number);
        at
    }

    /// Puts `number` in the place of another.
    pub(super) fn replace(&mut self, at: usize, number: Number) {
        self.remove(at);
        self.put(at, number);
    }

    /// Takes out the number at a place.
    pub(super) fn remove(&mut self, at: usize) -> Option<Number> {
        let number = self.rows.remove(&at)?;
        self.by_number.remove(&number.phone_number);
        self.by_id.remove(&number.id);
        Some(number)
    }

    fn put(&mut self, at: usize, number: Number) {
        self.by_number.insert(number.phone_number.clone(), at);
        self.by_id.insert(number.id.clone(), at);
        self.rows.insert(at, number);
    }
}

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}
