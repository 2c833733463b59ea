//! What a plan is made from: the PhoneNumbers that exist with what they hold, those that are wanted, and the accounts. Values
//! only.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use phonenumber_api::{
    AccountKey, AccountSpec, NamespaceSelector, PhoneNumber, PhoneNumberSpec, Reason,
};
use serde::Serialize;
use telephony::number::{AccountId, Amount, Currency, Installation, Mark, Owner, Price, Provider};

use super::manifests::Kind;
use crate::prices::list::{PriceList, Quote};

/// The PhoneNumbers that exist before the change.
pub(super) type Before = BTreeMap<Owner, Standing>;

/// The PhoneNumbers that are wanted.
pub(super) type After = BTreeMap<Owner, Wanted>;

/// A PhoneNumber that exists.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// The object as the API server has it, as far as it is known.
    pub(super) number: PhoneNumber,
    /// What it holds; `None` while it holds nothing.
    pub(super) holds: Option<Held>,
    /// True if the object has owners.
    pub(super) is_owned: bool,
    /// When it was made, where that is known.
    pub(super) created: Option<Timestamp>,
    /// Why it holds nothing, as its status says, or as the decision on it came out.
    pub(super) waits: Option<String>,
}

/// A number that a PhoneNumber holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    /// The number; `None` for one that a search found and nobody knows here.
    pub(super) number: Option<String>,
    /// What it costs, where that is known.
    pub(super) price: Option<Price>,
    /// How it came.
    pub(super) origin: Came,
    /// The account at the provider that holds it, where that is known.
    pub(super) account_id: Option<AccountId>,
    /// True if it may hold nothing: manifests alone do not show it.
    pub(super) is_uncertain: bool,
}

/// How a number came to the PhoneNumber that holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Came {
    /// It was bought.
    #[default]
    Bought,
    /// It was in the account before.
    Adopted,
    /// One of these: manifests alone do not show it.
    Either,
}

/// A PhoneNumber as it is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The object with defaults; an error says why the API server refuses it.
    pub(super) number: Result<PhoneNumber, String>,
    /// What a reader should know of it.
    pub(super) notes: Vec<String>,
}

/// What is known of an account.
#[derive(Clone, Debug)]
pub(super) struct AccountFacts {
    /// What it declares.
    pub(super) spec: AccountSpec,
    /// The namespaces that may use a ClusterProviderAccount.
    pub(super) allowed: Option<NamespaceSelector>,
    /// The account at the provider that it opens, where that is known.
    pub(super) id: Option<AccountId>,
    /// How many numbers it has at the provider, where that is known.
    pub(super) numbers: Option<i64>,
    /// What the managed numbers cost each month, as its status says.
    pub(super) cost: Option<(Currency, Amount)>,
    /// The numbers that it has at the provider, where they could be listed, each with its mark.
    pub(super) holdings: Option<BTreeMap<String, Option<Mark>>>,
}

/// All that surrounds the PhoneNumbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    /// The accounts; `None` for one that does not exist. What is not here is not known.
    pub(super) accounts: HashMap<AccountKey, Option<AccountFacts>>,
    /// The labels of namespaces. What is not here is not known.
    pub(super) namespaces: HashMap<String, BTreeMap<String, String>>,
    /// What numbers cost.
    pub(super) prices: Option<PriceList>,
    /// The installation whose marks are ours, where it is known.
    pub(super) installation: Option<Installation>,
    /// The PhoneNumbers of the whole cluster, if they could be listed: a mark of ours that names none of them is an orphan's.
    pub(super) everybody: Option<Vec<Owner>>,
}

impl Surroundings {
    /// What a number like that of `spec` costs, bought with `account`.
    pub(super) fn quote(&self, account: &AccountKey, spec: &PhoneNumberSpec) -> Quote {
        let Some((country, Some(kind))) = place(spec) else {
            // At Telnyx each number has a price; a price list is by type.
            return match spec.provider {
                Provider::Twilio => Quote::Unpriced,
                Provider::Telnyx => Quote::NotAsked,
            };
        };
        let prices = self.prices.as_ref();
        prices.map_or(Quote::NotAsked, |prices| {
            prices.quote(account, &country, kind)
        })
    }

    /// What names the account at the provider that `account` opens, as far as that is known.
    pub(super) fn group(&self, account: &AccountKey) -> String {
        let facts = self.accounts.get(account).and_then(Option::as_ref);
        match facts.and_then(|facts| facts.id.as_ref()) {
            Some(id) => id.as_str().to_owned(),
            None => title(account),
        }
    }
}

/// The country and the type of the number that `spec` wants, as far as they are known.
pub(super) fn place(spec: &PhoneNumberSpec) -> Option<(String, Option<telephony::number::Kind>)> {
    if let Some(search) = &spec.search {
        return Some((search.country.clone(), Some(search.kind)));
    }
    let number: telephony::number::E164 = spec.phone_number.as_deref()?.parse().ok()?;
    let place = number.place()?;
    Some((place.country, place.kind))
}

/// What an account is called.
pub(super) fn title(account: &AccountKey) -> String {
    match &account.namespace {
        Some(namespace) => format!("{} {namespace}/{}", account.kind, account.name),
        None => format!("{} {}", account.kind, account.name),
    }
}

/// What becomes of a PhoneNumber and of its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) enum Action {
    /// What is asked for does not happen.
    Refuse,
    /// A number is bought.
    Buy,
    /// A number that the account has is taken over.
    Adopt,
    /// The number is released, for good.
    Release,
    /// The object goes; its number stays in the account, and is paid.
    Retain,
    /// The object goes; it holds no number.
    Forget,
    /// The number stays and is set up otherwise; of an account: it is new, goes, or has other fields.
    Change,
    /// Nothing happens.
    Keep,
}

impl Action {
    /// Every action, in the order of reports.
    pub(super) const ALL: [Self; 8] = [
        Self::Refuse,
        Self::Buy,
        Self::Adopt,
        Self::Release,
        Self::Retain,
        Self::Forget,
        Self::Change,
        Self::Keep,
    ];

    /// The word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Buy => "buy",
            Self::Adopt => "adopt",
            Self::Release => "release",
            Self::Retain => "retain",
            Self::Forget => "forget",
            Self::Change => "change",
            Self::Keep => "keep",
        }
    }

    /// True if it spends money, takes a number over, or gives one up.
    pub(super) fn is_a_deed(self) -> bool {
        matches!(self, Self::Buy | Self::Adopt | Self::Release)
    }
}

/// What is decided for one PhoneNumber.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    /// The kind of the object: an account is there if it changes or the API server refuses it.
    pub(super) kind: Kind,
    /// Its namespace and name.
    pub(super) owner: Owner,
    /// What becomes of it.
    pub(super) action: Action,
    /// The number, or what is searched for.
    pub(super) wanted: String,
    /// The account, as it is named.
    pub(super) account: Option<AccountKey>,
    /// The reason, in the words of conditions, or `Invalid` for what the API server refuses.
    pub(super) reason: Option<String>,
    /// Why, for people.
    pub(super) why: String,
    /// What the number costs, where there is one and its price is known.
    pub(super) price: Option<Price>,
    /// The fields that change.
    pub(super) changes: Vec<String>,
    /// What the deletion of the object would do to its number: Release, Retain or Blocked.
    pub(super) on_deletion: Option<&'static str>,
    /// What a reader should know.
    pub(super) notes: Vec<String>,
    /// True if nothing asks for it but what was there before: the refusal is an old one.
    pub(super) is_old: bool,
    /// True if an adoption or a change may be a purchase: it is not known what the account has, or what is held.
    pub(super) may_buy: bool,
    /// True of a release that certainly happens, and at once: only that lowers what maxima are about.
    pub(super) saves_at_once: bool,
}

impl Verdict {
    /// `action` on an object of which nothing else is said.
    pub(super) fn new(kind: Kind, owner: Owner, action: Action) -> Self {
        Self {
            kind,
            owner,
            action,
            wanted: String::new(),
            account: None,
            reason: None,
            why: String::new(),
            price: None,
            changes: Vec::new(),
            on_deletion: None,
            notes: Vec::new(),
            is_old: false,
            may_buy: false,
            saves_at_once: false,
        }
    }
}

impl Verdict {
    /// A refusal with this reason.
    pub(super) fn refuse(mut self, reason: Reason, why: impl Into<String>) -> Self {
        self.action = Action::Refuse;
        self.reason = Some(reason.to_string());
        self.why = why.into();
        self.price = None;
        self
    }
}
