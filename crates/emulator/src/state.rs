//! The world that the emulator begins with: accounts, assistants and switches, from a file or built in.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A Twilio account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TwilioAccount {
    /// Its SID.
    pub sid: String,
    /// Its auth token.
    pub token: String,
    /// The SID of an API key of it.
    #[serde(default)]
    pub key_sid: String,
    /// That key's secret.
    #[serde(default)]
    pub key_secret: String,
    /// active or suspended.
    #[serde(default = "active")]
    pub status: String,
    /// True for a trial account, which may have one number.
    #[serde(default)]
    pub trial: bool,
    /// False once it has no money.
    #[serde(default = "yes")]
    pub solvent: bool,
    /// What is left to spend while it has money, in the currency of all prices. Purchases do not lower it.
    #[serde(default = "balance")]
    pub balance: String,
    /// False if its credential may not read the balance, or if it is a subaccount, which has none.
    #[serde(default = "yes")]
    pub tells_balance: bool,
}

/// A Telnyx account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TelnyxAccount {
    /// Its organization id.
    pub organization: String,
    /// Its API key.
    pub key: String,
    /// A Call Control Application of it.
    pub connection: String,
    /// Another Call Control Application of it; none if empty.
    #[serde(default)]
    pub other_connection: String,
    /// A messaging profile of it; none if empty.
    #[serde(default)]
    pub profile: String,
    /// False once it has no money.
    #[serde(default = "yes")]
    pub solvent: bool,
    /// What is left to spend while it has money, in the currency of all prices. Purchases do not lower it.
    #[serde(default = "balance")]
    pub balance: String,
    /// False if its credential may not read the balance, or if it is a subaccount, which has none.
    #[serde(default = "yes")]
    pub tells_balance: bool,
}

/// An assistant at Burki.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assistant {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Whether it is switched on.
    #[serde(default = "yes")]
    pub active: bool,
    /// The key of the organization it is in.
    #[serde(default = "burki_key")]
    pub key: String,
    /// Its Telnyx connection.
    #[serde(default)]
    pub connection: Option<String>,
}

/// Switches. Each stands for something that the providers' documentation leaves open, or that takes time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Switches {
    /// How long every request takes, in milliseconds.
    pub latency_ms: u64,
    /// Numbers that an account gets under another spelling than they are bought by.
    pub respelled: BTreeMap<String, String>,
    /// How long a purchase is not listed, in milliseconds.
    pub hidden_ms: u64,
    /// How long a listing that is filtered by the number does not show a purchase, if not `hidden_ms`.
    pub hidden_from_filter_ms: Option<u64>,
    /// How long a purchase cannot be fetched by its id, in milliseconds.
    pub hidden_from_fetch_ms: u64,
    /// How long a purchase is shown before it is hidden, in milliseconds.
    pub shown_first_ms: u64,
    /// By how much the dates in answers lie behind the `Date` of the same answers, in milliseconds; ahead if negative.
    pub dates_behind_ms: i64,
    /// By how much the `Date` of Twilio's other hosts lies ahead of that of its API, in milliseconds.
    pub other_hosts_ahead_ms: i64,
    /// Answers carry no `Date`.
    pub no_date: bool,
    /// A purchase that overwrites a number of the account does not move its `date_updated`.
    pub overwritten_unnoticed: bool,
    /// No change of a number moves its `date_updated`.
    pub changed_unnoticed: bool,
    /// How long a Telnyx order stays pending, in milliseconds.
    pub order_ms: u64,
    /// Every Telnyx order is refused in the end.
    pub orders_fail: bool,
    /// A Telnyx order is shown as successful for a minute, brings no number, and has failed then.
    pub orders_undone: bool,
    /// Numbers at Telnyx do not tell when they were bought.
    pub no_purchase_time: bool,
    /// A Telnyx order's reference is copied onto its number.
    pub copy_reference: bool,
    /// Telnyx finds numbers also if the filter begins with a plus sign.
    pub plus_matches: bool,
    /// An order that is cancelled succeeds all the same.
    pub cancelled_orders_succeed: bool,
    /// Burki rewrites the provider's webhooks when it takes a number.
    pub burki_rewrites: bool,
    /// Burki is the hosted service, not the open-source server.
    pub burki_hosted: bool,
    /// The Telnyx connection of the Burki organization.
    pub burki_connection: Option<String>,
    /// What every number costs each month, instead of what the catalogue says.
    pub monthly_price: Option<String>,
    /// The currency of all prices.
    pub currency: String,
    /// No price is told.
    pub prices_unknown: bool,
    /// Records of calls and messages are shown with the oldest first. Their order is not documented.
    pub records_oldest_first: bool,
    /// So many of the next purchases come too late: somebody else has just bought the number.
    pub sold_meanwhile: u64,
    /// How many numbers a search shows at most, whatever it asks for. Unset: 30 at Twilio, and at Telnyx as many as it asks for.
    pub on_sale: Option<usize>,
    /// Each search shows what follows on what the last one showed. Unset: every search shows the first of what is left, also what
    /// somebody is about to buy. Neither is documented.
    pub search_rotates: bool,
    /// Twilio refuses SMS webhooks on numbers that take no messages (21407), instead of dropping them.
    pub sms_webhooks_refused: bool,
    /// Twilio leaves the papers of a purchase out, as it does with other fields of a purchase.
    pub papers_ignored_on_purchase: bool,
    /// No Twilio credential may read or change messaging services.
    pub messaging_services_forbidden: bool,
    /// No credential may read campaigns or verifications of toll-free numbers.
    pub registrations_forbidden: bool,
    /// How many numbers a messaging service takes.
    pub messaging_service_holds: usize,
    /// Telnyx cannot look up messaging profiles: listings that allow for it lack them, all others fail.
    pub profiles_unavailable: bool,
    /// Telnyx attaches no requirement group, because it is not fulfilled.
    pub requirement_groups_unfulfilled: bool,
    /// Telnyx shows numbers too that are only nearly as wanted, and others with their last digits hidden.
    pub best_effort: bool,
    /// The code with which Twilio refuses to release a number with an emergency address. None is published.
    pub locked_code: Option<u32>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            latency_ms: 0,
            respelled: BTreeMap::new(),
            hidden_ms: 0,
            hidden_from_filter_ms: None,
            hidden_from_fetch_ms: 0,
            shown_first_ms: 0,
            dates_behind_ms: 0,
            other_hosts_ahead_ms: 0,
            no_date: false,
            overwritten_unnoticed: false,
            changed_unnoticed: false,
            order_ms: 300,
            orders_fail: false,
            orders_undone: false,
            no_purchase_time: false,
            copy_reference: false,
            plus_matches: true,
            cancelled_orders_succeed: false,
            burki_rewrites: true,
            burki_hosted: true,
            burki_connection: None,
            monthly_price: None,
            currency: "USD".into(),
            prices_unknown: false,
            records_oldest_first: false,
            sold_meanwhile: 0,
            on_sale: None,
            search_rotates: false,
            sms_webhooks_refused: false,
            papers_ignored_on_purchase: false,
            messaging_services_forbidden: false,
            registrations_forbidden: false,
            messaging_service_holds: 400,
            profiles_unavailable: false,
            requirement_groups_unfulfilled: false,
            best_effort: false,
            locked_code: None,
        }
    }
}

/// The world that the emulator begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct State {
    /// The accounts at Twilio.
    pub twilio: Vec<TwilioAccount>,
    /// The accounts at Telnyx.
    pub telnyx: Vec<TelnyxAccount>,
    /// The assistants at Burki.
    pub assistants: Vec<Assistant>,
    /// Numbers that somebody else has, by their last digits.
    pub taken: Vec<String>,
    /// Countries (calling codes) whose numbers Twilio sells only with an address and a bundle.
    pub regulated: Vec<String>,
    /// Switches.
    pub switches: Switches,
}

impl State {
    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(self.switches.latency_ms)
    }
}

impl Default for State {
    fn default() -> Self {
        let twilio = |digit: u8, token: &str| TwilioAccount {
            sid: format!("AC0000000000000000000000000000000{digit}"),
            token: token.into(),
            key_sid: format!("SK0000000000000000000000000000000{digit}"),
            key_secret: format!("{token}-secret"),
            status: active(),
            trial: false,
            solvent: true,
            balance: balance(),
            tells_balance: true,
        };
        let telnyx = |digit: u8, key: &str| TelnyxAccount {
            organization: format!("00000000-0000-4000-8000-00000000000{digit}"),
            key: key.into(),
            connection: format!("129338426107573149{}", 10 - digit),
            other_connection: format!("129338426107573150{digit}"),
            profile: format!("00000000-0000-4000-8000-0000000000a{digit}"),
            solvent: true,
            balance: balance(),
            tells_balance: true,
        };
        let assistant = |id, name: &str, active, key: &str| Assistant {
            id,
            name: name.into(),
            active,
            key: key.into(),
            connection: None,
        };
        Self {
            twilio: vec![twilio(1, "emulator-token"), twilio(2, "emulator-token-2")],
            telnyx: vec![telnyx(1, "emulator-key"), telnyx(2, "emulator-key-2")],
            assistants: vec![
                assistant(101, "Support", true, "emulator-burki-key"),
                assistant(102, "Sales", true, "emulator-burki-key"),
                assistant(103, "Switched off", false, "emulator-burki-key"),
                assistant(201, "Elsewhere", true, "emulator-burki-key-2"),
            ],
            taken: vec!["9999".into()],
            regulated: vec!["+49".into()],
            switches: Switches::default(),
        }
    }
}

fn balance() -> String {
    "100.00".into()
}

fn active() -> String {
    "active".into()
}

fn yes() -> bool {
    true
}

fn burki_key() -> String {
    "emulator-burki-key".into()
}
