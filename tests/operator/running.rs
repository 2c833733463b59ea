//! An operator process that is listened to.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use test_support::process::Process;
use test_support::wait::{until, until_ok};
use test_support::world::World;

const SOON: Duration = Duration::from_secs(60);

/// An operator process that answers on a port, and whose log goes into a file.
pub struct Running {
    pub address: String,
    log: PathBuf,
    http: reqwest::Client,
    pub process: Process,
}

impl Running {
    pub fn start(
        world: &World,
        folder: &Path,
        name: &str,
        kubeconfig: Option<&Path>,
        more: &[&str],
    ) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let log = folder.join(format!("{}-{name}.log", world.namespace));
        let own = ["--listen", &address, "--log-format", "json"];
        let mut command = world.operator_command(&[&own, more].concat());
        if let Some(kubeconfig) = kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        command
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap());
        Self {
            address,
            log,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            process: Process(command.spawn().unwrap()),
        }
    }

    /// The status and the text at `path`; nothing while it does not listen.
    pub async fn ask(&self, path: &str) -> Option<(u16, String)> {
        let url = format!("http://{}{path}", self.address);
        let reply = self.http.get(url).send().await.ok()?;
        Some((reply.status().as_u16(), reply.text().await.ok()?))
    }

    /// Every series and its value.
    pub async fn metrics(&self) -> BTreeMap<String, f64> {
        let Some((200, text)) = self.ask("/metrics").await else {
            return BTreeMap::new();
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        series.collect()
    }

    /// Waits until the series has this value.
    pub async fn until(&self, series: &str, wanted: f64) {
        self.until_within(SOON, series, wanted).await;
    }

    pub async fn until_within(&self, patience: Duration, series: &str, wanted: f64) {
        until_ok(patience, &format!("{series} is {wanted}"), async || {
            let metrics = self.metrics().await;
            match metrics.get(series) {
                Some(value) if *value == wanted => Ok(()),
                _ => Err(format!("{metrics:#?}")),
            }
        })
        .await
    }

    pub async fn until_ready(&self) {
        until(SOON, "it is ready", async || {
            let answer = self.ask("/readyz").await;
            answer.is_some_and(|(status, _)| status == 200)
        })
        .await;
    }

    /// The audit lines so far.
    pub fn audit(&self) -> Vec<Value> {
        let lines = self.said().into_iter();
        lines.filter(|line| line["target"] == "audit").collect()
    }

    /// The lines of the log so far.
    pub fn said(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let lines = log.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}
