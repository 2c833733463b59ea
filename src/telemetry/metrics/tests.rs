//! The catalogue against what is really shown, and against docs/reference/metrics.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;

struct One;

impl Source for One {
    fn figures(&self) -> Vec<AccountMetrics> {
        vec![AccountMetrics {
            account: "support/twilio".into(),
            ready: Some((false, "CredentialsInvalid".into())),
            inventory_age: Some(12.5),
            numbers: BTreeMap::from([(("ready", "Ready".to_owned()), 3)]),
            unknown_outcomes: 1,
            unknown_outcome_age: 61.0,
            monthly_cost: BTreeMap::from([("USD".to_owned(), 3.45)]),
            balance: Some(("USD".into(), -4.1)),
            balance_warning: Some(("USD".into(), 20.0)),
            inventory: BTreeMap::from([("orphaned", 2)]),
            limits: vec![("purchasesPerHour", 100.0, 97.0)],
        }]
    }
}

impl Listener for One {
    fn silences(&self) -> Vec<Silence> {
        let one = |namespace: &str, seconds| Silence {
            kind: "PhoneNumber".into(),
            namespace: namespace.into(),
            seconds,
        };
        vec![one("", 31.5), one("support", 600.0)]
    }
}

/// Everything that can be shown, once.
fn everything() -> (Metrics, Arc<One>) {
    let metrics = Metrics::default();
    let account = || "support/twilio".to_owned();
    metrics.reconciled("PhoneNumber", Duration::from_millis(10));
    metrics.failed("PhoneNumber", KUBERNETES_API.to_owned());
    metrics.failing("PhoneNumber", 1);
    let took = Duration::from_millis(20);
    metrics.requested("twilio", "buy", RequestOutcome::Throttled, took);
    metrics.purchased(account(), "bought");
    metrics.released(account(), "confirmed");
    metrics.drifted("voice_url");
    metrics.broke("PhoneNumber".into(), Fault::Panic);
    metrics.leads(true);
    let source = Arc::new(One);
    metrics.show(&source);
    metrics.listen(&source);
    (metrics, source)
}

/// The name and the labels of each series in `text`.
fn series(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.trim_end_matches('}').split(',');
            let names = labels.filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
            (name.to_owned(), names.collect())
        })
        .collect()
}

#[test]
fn what_is_shown_is_what_the_catalogue_says() {
    let (metrics, _source) = everything();
    let text = metrics.text().unwrap();
    let mut shown = BTreeSet::new();
    for (name, mut labels) in series(&text) {
        let known = ALL.iter().find(|known| match known.kind {
            Kind::Histogram => ["_bucket", "_sum", "_count"]
                .iter()
                .any(|end| name == format!("{}{end}", known.name)),
            Kind::Counter | Kind::Gauge => name == known.name,
        });
        let known = known.unwrap_or_else(|| panic!("{name} is in no catalogue"));
        labels.remove("le");
        let wanted: BTreeSet<String> = known.labels.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(labels, wanted, "{name}");
        shown.insert(known.name);
        let kind = format!("{:?}", known.kind).to_lowercase();
        for line in [
            format!("# TYPE {} {kind}", known.base()),
            format!("# HELP {} {}.", known.base(), known.help),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }
    let all: BTreeSet<_> = ALL.iter().map(|known| known.name).collect();
    assert_eq!(shown, all);
}

#[test]
fn figures_have_the_values_of_their_source_and_go_with_it() {
    let (metrics, source) = everything();
    let text = metrics.text().unwrap();
    for line in [
        "phonenumber_account_balance{account=\"support/twilio\",currency=\"USD\"} -4.1",
        "phonenumber_account_balance_warning{account=\"support/twilio\",currency=\"USD\"} 20.0",
        "phonenumber_monthly_cost{account=\"support/twilio\",currency=\"USD\"} 3.45",
        "phonenumber_unknown_outcomes_open{account=\"support/twilio\"} 1.0",
        "phonenumber_unknown_outcome_age_seconds{account=\"support/twilio\"} 61.0",
        "phonenumber_limit{account=\"support/twilio\",limit=\"purchasesPerHour\"} 100.0",
        "phonenumber_limit_remaining{account=\"support/twilio\",limit=\"purchasesPerHour\"} 97.0",
        "phonenumber_account_ready{account=\"support/twilio\",reason=\"CredentialsInvalid\"} 0.0",
        "phonenumber_inventory_age_seconds{account=\"support/twilio\"} 12.5",
        "phonenumber_purchases_total{account=\"support/twilio\",outcome=\"bought\"} 1",
        "phonenumber_watch_silence_seconds{kind=\"PhoneNumber\",scope=\"support\"} 600.0",
        "phonenumber_leader 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    drop(source);
    assert!(!metrics.text().unwrap().contains("phonenumber_monthly_cost"));
}

#[test]
fn what_was_not_done_yet_is_shown_as_nothing() {
    let metrics = Metrics::default();
    metrics.purchased("support/twilio".into(), "bought");
    for _ in 0..2 {
        metrics.expect("support/twilio");
        metrics.expect_drift("mark");
        metrics.expect_faults(LOOP.into());
    }
    let text = metrics.text().unwrap();
    for (series, value) in [
        (
            "purchases_total{account=\"support/twilio\",outcome=\"bought\"}",
            1,
        ),
        (
            "purchases_total{account=\"support/twilio\",outcome=\"unknown\"}",
            0,
        ),
        (
            "releases_total{account=\"support/twilio\",outcome=\"confirmed\"}",
            0,
        ),
        ("drift_total{field=\"mark\"}", 0),
        ("internal_errors_total{kind=\"loop\",cause=\"panic\"}", 0),
    ] {
        assert!(
            text.contains(&format!("phonenumber_{series} {value}\n")),
            "{series}\n{text}"
        );
    }
}

#[test]
fn an_http_status_has_one_outcome() {
    for (status, word) in [
        (200, "ok"),
        (204, "ok"),
        (302, "failed"),
        (401, "rejected"),
        (404, "not_found"),
        (429, "throttled"),
        (503, "failed"),
    ] {
        assert_eq!(RequestOutcome::of_status(status).word(), word, "{status}");
    }
}

#[test]
fn the_page_of_metrics_is_the_catalogue() {
    let mut page = String::from(
        "# Metrics\n\n<!-- Written by `make generate` from src/telemetry/metrics/catalogue.rs. -->\n\n\
         Served as OpenMetrics at `/metrics` of `--listen`, beside `/livez` and `/readyz`. Labels are bounded: `account` is the\n\
         `namespace/name` of a ProviderAccount or the name of a ClusterProviderAccount, and `none` where that does not exist;\n\
         `reason` is one of [reasons.md](reasons.md). No label holds a phone number, an id of a provider or a secret.\n\
         Counters begin at nothing when another replica leads: use `increase()` and `rate()`, and `sum by (…)` over replicas.\n\n\
         | metric | kind | labels | tells |\n|---|---|---|---|\n",
    );
    for known in ALL {
        let kind = format!("{:?}", known.kind).to_lowercase();
        let labels: Vec<_> = known.labels.iter().map(|it| format!("`{it}`")).collect();
        let help = known.help;
        let row = format!(
            "| `{}` | {kind} | {} | {help} |\n",
            known.name,
            labels.join(" ")
        );
        page.push_str(&row);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/metrics.md");
    if std::env::var_os("GENERATE").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == page,
        "docs/reference/metrics.md is stale: run `make generate`"
    );
}
