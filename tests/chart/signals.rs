//! The alerts and the dashboard: they ask for metrics that exist, and lead to pages that exist.

use std::collections::BTreeSet;

use phonenumber_operator::telemetry::metrics::{ALL, Kind};
use serde_json::Value;
use test_support::helm::{CHART, EVERYTHING, objects, rendered, the};
use test_support::root;

fn file(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn alerts() -> Vec<Value> {
    let text = file(&format!("{CHART}/files/alerts.yaml"));
    let whole: Value = serde_saphyr::from_str(&text).unwrap();
    let groups = whole["groups"].as_array().unwrap();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone());
    rules.collect()
}

/// Every query of the dashboard, with the title of its panel.
fn queries() -> Vec<(String, String)> {
    let text = file(&format!("{CHART}/files/dashboard.json"));
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let queries = panels.flat_map(|panel| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets
            .into_iter()
            .map(move |target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
    });
    queries.collect()
}

/// The names of metrics in a query, and the labels that it uses of each selector.
fn named(query: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = query.split(|c: char| !is_part(c));
    let names = words.filter(|word| word.starts_with("phonenumber_"));
    names.map(str::to_owned).collect()
}

/// Every name under which Prometheus stores something of ours.
fn stored() -> BTreeSet<String> {
    ALL.iter()
        .flat_map(|known| match known.kind {
            Kind::Histogram => ["_bucket", "_sum", "_count"]
                .map(|end| format!("{}{end}", known.name))
                .to_vec(),
            Kind::Counter | Kind::Gauge => vec![known.name.to_owned()],
        })
        .collect()
}

/// The words that may stand before `=`, `!=`, `=~` or in `by (…)`: labels.
fn labels_of(query: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for selector in query.split('{').skip(1) {
        let inside = selector.split('}').next().unwrap_or_default();
        for matcher in inside.split(',') {
            let name = matcher.split(['=', '!']).next().unwrap_or_default();
            found.insert(name.trim().to_owned());
        }
    }
    for group in query.split("by (").skip(1) {
        let inside = group.split(')').next().unwrap_or_default();
        found.extend(inside.split(',').map(|label| label.trim().to_owned()));
    }
    // Prometheus' own.
    found.remove("le");
    found.remove("namespace");
    found
}

fn assert_asks_for_what_exists(what: &str, query: &str) {
    let names = named(query);
    assert!(!names.is_empty(), "{what}: {query}");
    let stored = stored();
    for name in &names {
        assert!(
            stored.contains(name),
            "{what} asks for {name}, which does not exist"
        );
    }
    let metrics = ALL
        .iter()
        .filter(|known| names.iter().any(|name| name.starts_with(known.name)));
    let labels: BTreeSet<&str> = metrics
        .flat_map(|known| known.labels.iter().copied())
        .collect();
    for label in labels_of(query) {
        assert!(
            labels.contains(label.as_str()),
            "{what}: no such label as {label}: {query}"
        );
    }
}

#[test]
fn alerts_and_panels_ask_for_metrics_and_labels_that_exist() {
    for alert in alerts() {
        assert_asks_for_what_exists(
            alert["alert"].as_str().unwrap(),
            alert["expr"].as_str().unwrap(),
        );
    }
    let queries = queries();
    assert!(queries.len() > 15, "{}", queries.len());
    for (title, query) in &queries {
        assert_asks_for_what_exists(title, query);
    }
    // Whatever is measured is shown.
    let shown: BTreeSet<String> = queries.iter().flat_map(|(_, query)| named(query)).collect();
    for known in ALL
        .iter()
        .filter(|known| known.name != "phonenumber_unknown_outcome_age_seconds")
    {
        let is_shown = shown.iter().any(|name| name.starts_with(known.name));
        assert!(is_shown, "no panel shows {}", known.name);
    }
}

#[test]
fn the_dashboard_tells_money_first() {
    let text = file(&format!("{CHART}/files/dashboard.json"));
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let rows = panels.iter().filter(|panel| panel["type"] == "row");
    let titles: Vec<_> = rows.map(|row| row["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Money", "Health", "Latency"]);
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].to_string()).collect();
    assert_eq!(ids.len(), panels.len(), "ids are unique");
}

/// The anchors of the headings of a page, as forges make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_alert_has_a_page_a_test_and_a_row_in_the_docs() {
    let tests = file("tests/prometheus/alerts_test.yaml");
    let observe = file("docs/how-to/observe.md");
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let link = alert["annotations"]["runbook_url"].as_str().unwrap();
        let (page, anchor) = link.split_once('#').unwrap();
        assert!(
            anchors(&file(page)).contains(anchor),
            "{name}: {link} leads nowhere"
        );
        assert!(
            observe.contains(&format!("| `{name}` |")),
            "{name} is not in docs/how-to/observe.md"
        );
        // It fires once and stays silent once.
        let fires = tests.contains(&format!("alertname: {name}\n"));
        let is_silent = tests.contains(&format!("alertname: {name}, exp_alerts: []"));
        assert!(fires && is_silent, "{name} has no test");
        assert!(["critical", "warning"].contains(&alert["labels"]["severity"].as_str().unwrap()));
    }
}

#[test]
fn the_rendered_rule_has_every_alert_and_links_to_where_the_pages_are() {
    let all = objects(&rendered(EVERYTHING));
    let rule = the(&all, "PrometheusRule");
    let rules = rule["spec"]["groups"][0]["rules"].as_array().unwrap();
    let mut wanted = alerts();
    assert_eq!(rules.len(), wanted.len());
    for (rule, wanted) in rules.iter().zip(&mut wanted) {
        let link = &mut wanted["annotations"]["runbook_url"];
        *link = format!(
            "https://git.example.com/blob/main/{}",
            link.as_str().unwrap()
        )
        .into();
        assert_eq!(rule, wanted);
    }
    let unlinked = ["--set=metrics.prometheusRule.enabled=true"];
    let all = objects(&rendered(&unlinked));
    let rule = the(&all, "PrometheusRule");
    assert_eq!(
        rule["spec"]["groups"][0]["rules"].as_array(),
        Some(&alerts())
    );

    let all = objects(&rendered(&["--set=metrics.dashboard.enabled=true"]));
    let text = the(&all, "ConfigMap")["data"]["phonenumber-operator.json"]
        .as_str()
        .unwrap();
    let file = file(&format!("{CHART}/files/dashboard.json"));
    assert_eq!(
        serde_json::from_str::<Value>(text).unwrap(),
        serde_json::from_str::<Value>(&file).unwrap()
    );
}
