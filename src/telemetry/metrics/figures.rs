//! Figures that are not counted but read when Prometheus asks: what each account holds, costs and may still do.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::catalogue::{
    ACCOUNT_READY, BALANCE, BALANCE_WARNING, Description, INVENTORY, INVENTORY_AGE, LIMIT,
    LIMIT_REMAINING, Labels, MONTHLY_COST, NUMBERS, UNKNOWN_OUTCOME_AGE, UNKNOWN_OUTCOMES,
    WATCH_SILENCE,
};

/// What is to be told of one account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountMetrics {
    /// Its name: `namespace/name`, or `name` of a ClusterProviderAccount.
    pub account: String,
    /// Whether it is Ready, and the reason; `None` before that is known.
    pub ready: Option<(bool, String)>,
    /// Seconds since its last listing.
    pub inventory_age: Option<f64>,
    /// PhoneNumbers by state and reason.
    pub numbers: BTreeMap<(&'static str, String), u64>,
    /// Claims that may or may not have become purchases.
    pub unknown_outcomes: u64,
    /// Seconds since the oldest of them was first tried.
    pub unknown_outcome_age: f64,
    /// Monthly cost by currency.
    pub monthly_cost: BTreeMap<String, f64>,
    /// What is left to spend: currency and amount.
    pub balance: Option<(String, f64)>,
    /// Below which balance people want to be warned: currency and amount.
    pub balance_warning: Option<(String, f64)>,
    /// Numbers in the account by mark.
    pub inventory: BTreeMap<&'static str, i64>,
    /// Each limit: its name in `spec.limits`, what it allows, and what is left.
    pub limits: Vec<(&'static str, f64, f64)>,
}

/// Knows the figures of all accounts, now and without waiting for anything.
pub trait Source: Send + Sync {
    /// The figures, one for each account.
    fn figures(&self) -> Vec<AccountMetrics>;
}

/// For how long a watch has heard nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// The kind that is watched.
    pub kind: String,
    /// The namespace that is watched; empty if all are.
    pub namespace: String,
    /// For how many seconds.
    pub seconds: f64,
}

/// Knows all watches, now and without waiting for anything.
pub trait Listener: Send + Sync {
    /// One for each watch.
    fn silences(&self) -> Vec<Silence>;
}

type Values = Vec<(Labels, f64)>;

/// Asks a [`Listener`] at each scrape, for as long as it lives.
pub(super) struct Watches(pub(super) Weak<dyn Listener>);

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watches")
    }
}

impl Collector for Watches {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let listener = self.0.upgrade();
        let silences = listener.iter().flat_map(|listener| listener.silences());
        let values = silences.map(|it| {
            let labels = WATCH_SILENCE.with([Cow::Owned(it.kind), Cow::Owned(it.namespace)]);
            (labels, it.seconds)
        });
        show(&mut encoder, &WATCH_SILENCE, values.collect())
    }
}

fn show(
    encoder: &mut DescriptorEncoder<'_>,
    description: &Description,
    values: Values,
) -> Result<(), fmt::Error> {
    if values.is_empty() {
        return Ok(());
    }
    let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(value);
    }
    // As the registry does for what is registered.
    let help = format!("{}.", description.help);
    let metric = encoder.encode_descriptor(description.base(), &help, None, MetricType::Gauge)?;
    family.encode(metric)
}

/// Asks a [`Source`] at each scrape, for as long as it lives.
pub(super) struct Scrape(pub(super) Weak<dyn Source>);

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(source) = self.0.upgrade() else {
            return Ok(());
        };
        for (description, values) in gauges(&source.figures()) {
            show(&mut encoder, description, values)?;
        }
        Ok(())
    }
}

fn gauges(accounts: &[AccountMetrics]) -> Vec<(&'static Description, Values)> {
    let name = |it: &AccountMetrics| Cow::Owned(it.account.clone());
    let cost = accounts.iter().flat_map(|it| {
        let costs = it.monthly_cost.iter();
        costs.map(move |(currency, amount)| {
            let labels = MONTHLY_COST.with([name(it), Cow::Owned(currency.clone())]);
            (labels, *amount)
        })
    });
    let money = |description: &'static Description,
                 which: fn(&AccountMetrics) -> &Option<(String, f64)>| {
        let known = accounts.iter().filter_map(|it| {
            let (currency, amount) = which(it).as_ref()?;
            let labels = description.with([name(it), Cow::Owned(currency.clone())]);
            Some((labels, *amount))
        });
        known.collect::<Values>()
    };
    let unknown = accounts.iter().map(|it| {
        let labels = UNKNOWN_OUTCOMES.with([name(it)]);
        (labels, it.unknown_outcomes as f64)
    });
    let unknown_age = accounts.iter().map(|it| {
        let labels = UNKNOWN_OUTCOME_AGE.with([name(it)]);
        (labels, it.unknown_outcome_age)
    });
    let limits = |description: &'static Description,
                  which: fn(&(&'static str, f64, f64)) -> f64| {
        let all = accounts.iter().flat_map(move |it| {
            let limits = it.limits.iter();
            limits.map(move |limit| {
                let labels = description.with([name(it), Cow::Borrowed(limit.0)]);
                (labels, which(limit))
            })
        });
        all.collect::<Values>()
    };
    let numbers = accounts.iter().flat_map(|it| {
        let numbers = it.numbers.iter();
        numbers.map(move |((state, reason), count)| {
            let labels = [name(it), Cow::Borrowed(*state), Cow::Owned(reason.clone())];
            (NUMBERS.with(labels), *count as f64)
        })
    });
    let inventory = accounts.iter().flat_map(|it| {
        let marks = it.inventory.iter();
        marks.map(move |(mark, count)| {
            let labels = INVENTORY.with([name(it), Cow::Borrowed(*mark)]);
            (labels, *count as f64)
        })
    });
    let ready = accounts.iter().filter_map(|it| {
        let (ready, reason) = it.ready.as_ref()?;
        let labels = ACCOUNT_READY.with([name(it), Cow::Owned(reason.clone())]);
        Some((labels, f64::from(u8::from(*ready))))
    });
    let age = accounts
        .iter()
        .filter_map(|it| Some((INVENTORY_AGE.with([name(it)]), it.inventory_age?)));
    vec![
        (&MONTHLY_COST, cost.collect()),
        (&BALANCE, money(&BALANCE, |it| &it.balance)),
        (
            &BALANCE_WARNING,
            money(&BALANCE_WARNING, |it| &it.balance_warning),
        ),
        (&UNKNOWN_OUTCOMES, unknown.collect()),
        (&UNKNOWN_OUTCOME_AGE, unknown_age.collect()),
        (&LIMIT, limits(&LIMIT, |limit| limit.1)),
        (&LIMIT_REMAINING, limits(&LIMIT_REMAINING, |limit| limit.2)),
        (&NUMBERS, numbers.collect()),
        (&INVENTORY, inventory.collect()),
        (&ACCOUNT_READY, ready.collect()),
        (&INVENTORY_AGE, age.collect()),
    ]
}

/// A weak hold on a source, so that metrics keep nothing alive.
pub(super) fn weak<S: Source + 'static>(source: &Arc<S>) -> Weak<dyn Source> {
    let source: Weak<S> = Arc::downgrade(source);
    source
}
