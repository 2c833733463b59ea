//! The queries of the dashboard, run on a real Prometheus that scrapes a real run. tests/release/prometheus builds
//! Prometheus and runs this, and with DRAW=docs/pictures draws the pictures anew; `make test` does not.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::emulator::TAKEN;
use test_support::process::Process;
use test_support::root;
use test_support::wait::until_ok;
use test_support::world::World;

use crate::pictures::picture;
use crate::running::Running;

/// Long enough for two scrapes, short enough for a test.
const RATE_INTERVAL: &str = "15s";

struct Prometheus {
    url: String,
    http: reqwest::Client,
    _process: Process,
}

impl Prometheus {
    /// One that scrapes `address` every second, and evaluates the alerts.
    fn start(program: &str, folder: &Path, address: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let configuration = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [root().join("charts/phonenumber-operator/files/alerts.yaml")],
            "scrape_configs": [{"job_name": "phonenumber-operator", "static_configs": [{"targets": [address]}]}],
        });
        let file = folder.join("prometheus.yaml");
        std::fs::write(&file, configuration.to_string()).unwrap();
        let log = std::fs::File::create(folder.join("prometheus.log")).unwrap();
        let process = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("tsdb").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            url: format!("http://127.0.0.1:{port}/api/v1"),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _process: Process(process),
        }
    }

    /// What the API says about `path`; null while it does not answer.
    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let mut url = url::Url::parse(&format!("{}/{path}", self.url)).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        match self.http.get(url).send().await {
            Ok(reply) => serde_json::from_str(&reply.text().await.unwrap()).unwrap_or(Value::Null),
            Err(_) => Value::Null,
        }
    }

    /// The result of a query, once it has one.
    async fn until(&self, query: &str) -> Vec<Value> {
        let patience = Duration::from_secs(60);
        until_ok(patience, query, async || {
            let answer = self.ask("query", &[("query", query)]).await;
            assert_ne!(answer["status"], "error", "{query}: {answer}");
            match answer["data"]["result"].as_array() {
                Some(found) if !found.is_empty() => Ok(found.clone()),
                _ => Err(answer.to_string()),
            }
        })
        .await
    }
}

/// The queries of every panel as Grafana would send them.
fn queries() -> Vec<(String, String)> {
    let file = root().join("charts/phonenumber-operator/files/dashboard.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap().replace("$account", ".*");
            let query = query.replace("$__rate_interval", RATE_INTERVAL);
            queries.push((panel["title"].as_str().unwrap().to_owned(), query));
        }
    }
    queries
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Prometheus: tests/release/prometheus builds it and runs this"]
async fn every_panel_shows_what_a_run_did() {
    let program = std::env::var("PROMETHEUS").expect("tests/release/prometheus says where it is");
    let plane = ControlPlane::shared().await;
    let mut world = World::alone("panels", &[]).await;
    world.kill_operator();
    let limits =
        json!({"limits": {"maxNumbers": 50, "purchasesPerHour": 100, "releasesPerHour": 100}});
    world.change_account("twilio", limits).await;
    let told = Running::start(&world, plane.folder(), "panels", None, &[]);
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(&program, folder.path(), &told.address);
    prometheus.until("phonenumber_leader == 1").await;

    // A picture wants more to show than a test has to.
    let is_drawn = std::env::var_os("DRAW").is_some();
    let (count, released) = if is_drawn { (24, 12) } else { (8, 4) };
    let begun = now();
    world.create("taken", "twilio", TAKEN, json!({})).await;
    for at in 0..count {
        let number = format!("+121255589{at:02}");
        let spec = json!({"deletionPolicy": if at == 0 { "Retain" } else { "Release" }});
        world
            .create(&format!("n{at}"), "twilio", &number, spec)
            .await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    for at in 0..count {
        world.until_ready(&format!("n{at}")).await;
    }
    let edit = json!({"voice_url": "https://elsewhere.example.com"});
    world.emulator.edit("+12125558907", edit).await;
    for at in 0..released {
        world.delete(&format!("n{at}")).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }

    let mut empty = Vec::new();
    for (title, query) in queries() {
        let answer = prometheus.ask("query", &[("query", &query)]).await;
        assert_eq!(answer["status"], "success", "{title}: {query}: {answer}");
        let seen = prometheus
            .ask("series", &[("match[]", &first_metric(&query))])
            .await;
        if seen["data"].as_array().is_none_or(Vec::is_empty) {
            empty.push(title);
        }
    }
    assert!(empty.is_empty(), "no data for {empty:?}");
    for query in [
        "sum(phonenumber_monthly_cost) > 4",
        "sum(increase(phonenumber_purchases_total{outcome=\"bought\"}[2m])) > 0",
        "sum(increase(phonenumber_releases_total{outcome=\"confirmed\"}[2m])) > 0",
        "histogram_quantile(0.95, sum by (le) (rate(phonenumber_reconcile_duration_seconds_bucket[1m]))) > 0",
        "max(phonenumber_limit_remaining{limit=\"maxNumbers\"}) < 50",
    ] {
        prometheus.until(query).await;
    }
    let rules = prometheus.ask("rules", &[]).await;
    let rules = rules["data"]["groups"][0]["rules"]
        .as_array()
        .unwrap()
        .clone();
    assert!(
        rules.iter().all(|rule| rule["health"] == "ok"),
        "{rules:#?}"
    );
    if let Some(folder) = std::env::var_os("DRAW") {
        draw(&prometheus, begun, Path::new(&folder)).await;
    }
}

/// The first metric that a query names.
fn first_metric(query: &str) -> String {
    let begin = query.find("phonenumber_").unwrap();
    let rest = &query[begin..];
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    rest[..end].to_owned()
}

/// The panels of which docs/how-to/observe.md shows a picture: title, unit and file.
const PICTURES: [(&str, &str, &str); 4] = [
    ("Monthly cost by account", "", "monthly-cost"),
    ("Purchases", "", "purchases"),
    ("PhoneNumbers by state", "", "states"),
    ("Provider requests, 95th percentile", " s", "latency"),
];

/// Draws what the main panels showed since `begun`.
async fn draw(prometheus: &Prometheus, begun: f64, folder: &Path) {
    let seconds = now() - begun;
    let (start, end) = (begun.to_string(), now().to_string());
    std::fs::create_dir_all(folder).unwrap();
    for (title, query) in queries() {
        let Some((_, unit, file)) = PICTURES.iter().find(|(picture, ..)| *picture == title) else {
            continue;
        };
        let range = [
            ("query", query.as_str()),
            ("start", &start),
            ("end", &end),
            ("step", "1"),
        ];
        let answer = prometheus.ask("query_range", &range).await;
        let drawn = picture(&title, unit, &answer["data"]["result"], begun, seconds);
        assert!(drawn.contains("polyline"), "{title} is empty: {answer}");
        std::fs::write(folder.join(format!("{file}.svg")), drawn).unwrap();
    }
}

/// Seconds since 1970, as Prometheus has them.
fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}
