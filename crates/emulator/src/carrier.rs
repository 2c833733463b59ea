//! The one phone company behind all dialects: who has which number, on which terms.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::Side;
use super::faults::Faults;
use super::ledger::{Deed, Entry, Ledger};
use super::message::iso8601;
use super::numbers::{Number, Numbers, Shown};
use super::registrations::Registration;
use super::state::State;
use super::usage::Record;

/// A Telnyx order.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) sub_order: String,
    pub(super) account: String,
    pub(super) number: String,
    pub(super) reference: String,
    pub(super) connection: String,
    pub(super) profile: String,
    pub(super) group: String,
    pub(super) created: SystemTime,
    pub(super) due: Instant,
    pub(super) status: &'static str,
    pub(super) cancelled: bool,
    pub(super) requirements_met: bool,
    /// `requirements_status` of its number; it follows from `requirements_met` if empty.
    pub(super) requirements_status: String,
    /// The requirement group.
    pub(super) requirement_group: String,
}

/// A messaging service of a Twilio account.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) sid: String,
    pub(super) account: String,
    pub(super) name: String,
    /// Who is told of messages; nobody if empty.
    pub(super) inbound_request_url: String,
    /// The numbers' own webhooks are told instead.
    pub(super) use_inbound_webhook_on_number: bool,
}

/// A connection or a messaging profile of a Telnyx account.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) id: String,
    pub(super) account: String,
    pub(super) name: String,
    pub(super) is_profile: bool,
    pub(super) webhook: String,
    pub(super) api_version: String,
    /// `active` of an application, `enabled` of a messaging profile.
    pub(super) enabled: bool,
}

/// Everything there is.
#[derive(Debug)]
pub struct World {
    /// Accounts and switches.
    pub state: State,
    /// The book.
    pub ledger: Ledger,
    /// Every number that an account has.
    pub numbers: Numbers,
    pub(super) faults: Faults,
    pub(super) orders: Vec<Order>,
    /// The places among the orders of those that may still be pending.
    pending: BTreeSet<usize>,
    pub(super) homes: Vec<Home>,
    pub(super) services: Vec<Service>,
    pub(super) gone: BTreeSet<String>,
    pub(super) searched: BTreeMap<(String, String), Instant>,
    /// Which assistant answers which number.
    pub(super) assigned: BTreeMap<String, i64>,
    /// The calls and messages that took place.
    pub(super) records: Vec<Record>,
    /// What is registered for messages.
    pub(super) registrations: Vec<Registration>,
    begun: (SystemTime, Instant),
    count: u64,
}

impl World {
    pub(super) fn new(state: State, time: SystemTime) -> Self {
        let homes = state.telnyx.iter().flat_map(|account| {
            let home = |id: &str, is_profile, name: &str, version: &str| Home {
                id: id.to_owned(),
                account: account.organization.clone(),
                name: name.to_owned(),
                is_profile,
                webhook: String::new(),
                api_version: version.to_owned(),
                enabled: true,
            };
            let profile = (!account.profile.is_empty())
                .then(|| home(&account.profile, true, "Default profile", "2"));
            let other = (!account.other_connection.is_empty())
                .then(|| home(&account.other_connection, false, "Other application", "2"));
            [home(&account.connection, false, "Default application", "1")]
                .into_iter()
                .chain(other)
                .chain(profile)
        });
        let services = state.twilio.iter().map(|account| Service {
            sid: account.sid.replace("AC", "MG"),
            account: account.sid.clone(),
            name: "Default service".to_owned(),
            inbound_request_url: String::new(),
            use_inbound_webhook_on_number: true,
        });
        Self {
            homes: homes.collect(),
            services: services.collect(),
            state,
            ledger: Ledger::default(),
            numbers: Numbers::default(),
            faults: Faults::default(),
            orders: Vec::new(),
            pending: BTreeSet::new(),
            gone: BTreeSet::new(),
            searched: BTreeMap::new(),
            assigned: BTreeMap::new(),
            records: Vec::new(),
            registrations: Vec::new(),
            begun: (time, Instant::now()),
            count: 0,
        }
    }

    /// The carrier's time. It moves with the runtime's clock, also where that is paused.
    pub fn now(&self) -> SystemTime {
        self.begun.0 + self.begun.1.elapsed()
    }

    /// The clock that dates rows, which is another machine's.
    pub(super) fn database_now(&self) -> SystemTime {
        let behind = self.state.switches.dates_behind_ms;
        moved(self.now(), behind.saturating_neg())
    }

    /// The `Date` of an answer of `side` to `operation`, if it has one.
    pub fn date(&self, side: Side, operation: &str) -> Option<SystemTime> {
        let switches = &self.state.switches;
        let is_other = side == Side::Twilio && matches!(operation, "pricing" | "messaging-service");
        let ahead = if is_other {
            switches.other_hosts_ahead_ms
        } else {
            0
        };
        (!switches.no_date).then(|| moved(self.now(), ahead))
    }

    pub(super) fn count(&mut self, side: Side, operation: &str) {
        *self
            .ledger
            .requests
            .entry(format!("{} {operation}", side.name()))
            .or_default() += 1;
        let (now, most) = self.ledger.in_flight.entry(side.name()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        self.settle();
    }

    pub(super) fn done(&mut self, side: Side) {
        if let Some((now, _)) = self.ledger.in_flight.get_mut(side.name()) {
            *now = now.saturating_sub(1);
        }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    pub(super) fn enter(
        &mut self,
        deed: Deed,
        by: &'static str,
        account: &str,
        number: &str,
        id: &str,
        reference: &str,
    ) {
        let entry = Entry {
            at: self.ledger.entries.len() + 1,
            time: iso8601(self.now()),
            deed,
            by,
            account: account.to_owned(),
            number: number.to_owned(),
            id: id.to_owned(),
            reference: reference.to_owned(),
        };
        self.ledger.entries.push(entry);
    }

    /// True if a number is on sale.
    pub(super) fn for_sale(&self, number: &str) -> bool {
        let digits = number.strip_prefix('+').unwrap_or_default();
        let valid =
            (8..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let taken = self
            .state
            .taken
            .iter()
            .any(|end| number.ends_with(end.as_str()));
        let owned = self.numbers.place_of(number).is_some();
        valid && !taken && !owned && !self.gone.contains(number) && !self.is_ordered(number)
    }

    fn is_ordered(&self, number: &str) -> bool {
        let mut pending = self.pending.iter().filter_map(|at| self.orders.get(*at));
        pending.any(|order| order.number == number && order.status != "failure")
    }

    /// Accepts an order.
    pub(super) fn accept(&mut self, order: Order) {
        self.pending.insert(self.orders.len());
        self.orders.push(order);
    }

    /// The numbers that accounts have or have ordered.
    pub(super) fn unavailable(&self) -> impl Iterator<Item = &str> {
        let pending = self.pending.iter().filter_map(|at| self.orders.get(*at));
        let ordered = pending
            .filter(|order| order.status != "failure")
            .map(|order| order.number.as_str());
        let owned = self.numbers.iter().map(|owned| owned.phone_number.as_str());
        ordered.chain(owned)
    }

    /// True if the switch says that this number is sold to somebody else now, who was faster.
    pub(super) fn somebody_was_faster(&mut self, number: &str) -> bool {
        let Some(left) = self.state.switches.sold_meanwhile.checked_sub(1) else {
            return false;
        };
        self.state.switches.sold_meanwhile = left;
        self.gone.insert(number.to_owned());
        true
    }

    pub(super) fn owned(&self, provider: &str, account: &str, number: &str) -> Option<usize> {
        let at = self.numbers.place_of(number)?;
        self.has(at, provider, account).then_some(at)
    }

    pub(super) fn by_id(&self, provider: &str, account: &str, id: &str) -> Option<usize> {
        let at = self.numbers.place_of_id(id)?;
        self.has(at, provider, account).then_some(at)
    }

    fn has(&self, at: usize, provider: &str, account: &str) -> bool {
        let number = self.numbers.get(at);
        number.is_some_and(|owned| owned.provider == provider && owned.account == account)
    }

    /// The numbers of an account that are listed already, newest first; `is_filtered` by the number or not.
    pub(super) fn listed(&self, provider: &str, account: &str, is_filtered: bool) -> Vec<&Number> {
        let is_shown = |shown: &Shown| {
            let from = if is_filtered {
                shown.found
            } else {
                shown.listed
            };
            shown.is_shown_from(from)
        };
        let listed = self.numbers.iter().filter(|owned| {
            owned.provider == provider && owned.account == account && is_shown(&owned.shown)
        });
        listed.rev().collect()
    }

    /// The number with this id, if the account has it and its id leads to it already.
    pub(super) fn fetched(&self, provider: &str, account: &str, id: &str) -> Option<&Number> {
        let at = self.by_id(provider, account, id)?;
        let number = self.numbers.get(at)?;
        number.shown.can_be_fetched().then_some(number)
    }

    /// A number as accounts get it that ask for it in this spelling.
    pub(super) fn spelled(&self, number: &str) -> String {
        let respelled = self.state.switches.respelled.get(number);
        respelled.map_or(number, String::as_str).to_owned()
    }

    /// Hands a number to an account.
    pub(super) fn sell(&mut self, provider: &'static str, account: &str, number: &str) -> Number {
        let count = self.next();
        let switches = &self.state.switches;
        let hidden = switches.hidden_ms;
        let found = switches.hidden_from_filter_ms.unwrap_or(hidden);
        let (fetched, until) = (switches.hidden_from_fetch_ms, switches.shown_first_ms);
        let sold = Instant::now();
        let after = |milliseconds| sold + Duration::from_millis(milliseconds);
        let shown = Shown {
            sold,
            until: after(until),
            listed: after(hidden),
            found: after(found),
            fetched: after(fetched),
        };
        let id = match provider {
            "twilio" => format!("PN{count:032x}"),
            _ => (2_000_000_000_000_000_000 + count).to_string(),
        };
        let sold = Number {
            provider: provider.to_owned(),
            account: account.to_owned(),
            id,
            phone_number: self.spelled(number),
            friendly_name: String::new(),
            customer_reference: String::new(),
            voice_url: String::new(),
            voice_method: "POST".to_owned(),
            sms_url: String::new(),
            sms_method: "POST".to_owned(),
            trunk_sid: String::new(),
            voice_application_sid: String::new(),
            sms_application_sid: String::new(),
            messaging_service: String::new(),
            address_sid: String::new(),
            bundle_sid: String::new(),
            identity_sid: String::new(),
            status: String::new(),
            connection_id: String::new(),
            messaging_profile_id: String::new(),
            billing_group_id: String::new(),
            locked: false,
            created: self.database_now(),
            updated: self.database_now(),
            shown,
        };
        self.numbers.push(sold.clone());
        sold
    }

    /// Takes a number back for good.
    pub(super) fn take_back(&mut self, at: usize, by: &'static str) -> Option<Number> {
        let number = self.numbers.remove(at)?;
        self.gone.insert(number.phone_number.clone());
        let reference = if number.provider == "twilio" {
            &number.friendly_name
        } else {
            &number.customer_reference
        };
        let reference = reference.clone();
        self.enter(
            Deed::Release,
            by,
            &number.account,
            &number.phone_number,
            &number.id,
            &reference,
        );
        Some(number)
    }

    /// Undoes the purchase of a number: nobody pays for it, and it is on sale again.
    pub(super) fn roll_back(&mut self, number: &str) {
        let place = self.numbers.place_of(number);
        if let Some(undone) = place.and_then(|at| self.numbers.remove(at)) {
            self.enter(
                Deed::Release,
                "console",
                &undone.account,
                &undone.phone_number,
                &undone.id,
                "",
            );
        }
    }

    /// Finishes the orders that are due.
    fn settle(&mut self) {
        let now = Instant::now();
        let orders = &self.orders;
        let settled = |at: &usize| {
            let order = orders.get(*at);
            order.is_none_or(|order| order.status == "failure" || order.due <= now)
        };
        let due: Vec<usize> = self.pending.iter().copied().filter(settled).collect();
        for at in due {
            self.pending.remove(&at);
            let Some(order) = self.orders.get(at).cloned() else {
                continue;
            };
            let switches = &self.state.switches;
            let fails = switches.orders_fail
                || (order.cancelled && !switches.cancelled_orders_succeed)
                || order.status == "success";
            let is_undone = switches.orders_undone && !fails;
            if order.status == "failure" {
                continue;
            }
            if let Some(order) = self.orders.get_mut(at) {
                order.status = if fails { "failure" } else { "success" };
                order.due = now + UNDONE_AFTER;
            }
            if is_undone {
                self.pending.insert(at);
            } else if !fails {
                self.deliver(&order);
            }
        }
    }

    fn deliver(&mut self, order: &Order) {
        let sold = self.sell("telnyx", &order.account, &order.number);
        let copy = self.state.switches.copy_reference;
        let at = self.numbers.place_of_id(&sold.id);
        if let Some(number) = at.and_then(|at| self.numbers.get_mut(at)) {
            number.connection_id.clone_from(&order.connection);
            number.messaging_profile_id.clone_from(&order.profile);
            number.billing_group_id.clone_from(&order.group);
            if copy {
                number.customer_reference.clone_from(&order.reference);
            }
        }
        self.enter(
            Deed::Purchase,
            "telnyx",
            &order.account,
            &order.number,
            &sold.id,
            &order.reference,
        );
    }
}

/// How long an order is shown as successful that brings no number.
const UNDONE_AFTER: Duration = Duration::from_secs(60);

/// `at`, so many milliseconds later, or earlier if that is negative.
fn moved(at: SystemTime, milliseconds: i64) -> SystemTime {
    let by = Duration::from_millis(milliseconds.unsigned_abs());
    if milliseconds < 0 { at - by } else { at + by }
}
