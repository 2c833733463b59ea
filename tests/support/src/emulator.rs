//! The emulated phone company as a process, and what is asked of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::process::Process;
use crate::program;

/// The accounts of the world that is built in.
pub const TWILIO_ACCOUNT: &str = "AC00000000000000000000000000000001";
/// See [`TWILIO_ACCOUNT`].
pub const TELNYX_ACCOUNT: &str = "00000000-0000-4000-8000-000000000001";

/// A Telnyx connection of that world.
pub const CONNECTION: &str = "1293384261075731499";

/// A number that nobody can buy.
pub const TAKEN: &str = "+12125559999";

/// An emulator process and where its four sides listen. It ends with the last of its clones.
#[derive(Clone)]
pub struct Emulator {
    /// Where Twilio would be.
    pub twilio: String,
    /// Where Telnyx would be.
    pub telnyx: String,
    /// Where the assistant directory would be.
    pub burki: String,
    /// Where tests look and arrange.
    pub control: String,
    http: reqwest::Client,
    _process: Arc<Process>,
}

impl Emulator {
    /// Starts one with the world that is built in.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one on free ports, with more arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        let mut child = Command::new(program("phonenumber-emulator"))
            .arg("--exit-with-parent")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut addresses = BTreeMap::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while addresses.len() < 4 {
            let line = lines
                .next()
                .expect("the emulator tells where it listens")
                .unwrap();
            let (side, url) = line.split_once(' ').unwrap();
            addresses.insert(side.to_owned(), url.trim_end_matches('/').to_owned());
        }
        std::thread::spawn(move || lines.for_each(drop));
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            twilio: addresses["twilio"].clone(),
            telnyx: addresses["telnyx"].clone(),
            burki: addresses["burki"].clone(),
            control: addresses["control"].clone(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _process: Arc::new(Process(child)),
        }
    }

    /// The flags that send an operator here instead of to the providers and the directory.
    pub fn endpoint_flags(&self) -> [String; 3] {
        [
            ("twilio", &self.twilio),
            ("telnyx", &self.telnyx),
            ("burki", &self.burki),
        ]
        .map(|(side, url)| format!("--provider-endpoint={side}={url}"))
    }

    /// Asks the control side.
    pub async fn get(&self, path: &str) -> Value {
        let text = self.answer(Method::GET, path, None).await;
        serde_json::from_str(&text).unwrap()
    }

    /// Sends a request to the control side. The reply may be empty.
    pub async fn send(&self, method: Method, path: &str, body: Value) -> Value {
        let text = self.answer(method, path, Some(body)).await;
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    async fn answer(&self, method: Method, path: &str, body: Option<Value>) -> String {
        let url = format!("{}{path}", self.control);
        let mut request = self.http.request(method.clone(), url);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let reply = request.send().await.unwrap();
        let status = reply.status();
        let text = reply.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        text
    }

    /// Sends a POST to the control side.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.send(Method::POST, path, body).await
    }

    /// Every effect that took place.
    pub async fn ledger(&self) -> Vec<Value> {
        self.get("/ledger").await.as_array().unwrap().clone()
    }

    async fn entries(&self, deed: &str, number: &str) -> usize {
        let ledger = self.ledger().await;
        let fits = |entry: &&Value| entry["deed"] == deed && entry["number"] == number;
        ledger.iter().filter(fits).count()
    }

    /// How often `number` was paid for.
    pub async fn purchases(&self, number: &str) -> usize {
        self.entries("purchase", number).await
    }

    /// How often `number` was released.
    pub async fn releases(&self, number: &str) -> usize {
        self.entries("release", number).await
    }

    /// The assistant that answers `number`.
    pub async fn assistant_of(&self, number: &str) -> Option<i64> {
        self.get("/assignments").await[number].as_i64()
    }

    /// `number` as the company has it; null if no account has it.
    pub async fn number(&self, number: &str) -> Value {
        let numbers = self.get("/numbers").await;
        let found = numbers.as_array().unwrap().iter();
        let mut found = found.filter(|row| row["phone_number"] == number);
        found.next().cloned().unwrap_or(Value::Null)
    }

    /// Changes a number by hand.
    pub async fn edit(&self, number: &str, fields: Value) {
        self.post(&format!("/console/numbers/{number}"), fields)
            .await;
    }

    /// How often each operation was asked for, by `side operation`.
    pub async fn requests(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(self.get("/requests").await["count"].clone()).unwrap()
    }

    /// The next `times` purchases at `provider` meet this fault.
    pub async fn fault_on_purchase(&self, provider: &str, kind: &str, times: u64) {
        self.fault(json!({"dialect": provider, "operation": "buy", "kind": kind, "times": times}))
            .await;
    }

    /// Adds a rule.
    pub async fn fault(&self, rule: Value) {
        self.post("/faults", rule).await;
    }

    /// How many requests met a fault.
    pub async fn faults_met(&self) -> u64 {
        self.get("/faults").await["met"].as_u64().unwrap()
    }

    /// Removes all rules.
    pub async fn clear_faults(&self) {
        self.send(Method::DELETE, "/faults", Value::Null).await;
    }
}

/// Is this entry of the ledger a purchase?
pub fn is_purchase(entry: &Value) -> bool {
    entry["deed"] == "purchase"
}

/// The number of an entry of the ledger.
pub fn number_of(entry: &Value) -> String {
    entry["number"].as_str().unwrap().to_owned()
}

/// An entry of the ledger for people.
pub fn line(entry: &Value) -> String {
    let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let line = format!(
        "{:>3}  {:<9} {:<8} {:<14} {}",
        entry["at"].to_string(),
        text("deed"),
        text("by"),
        text("number"),
        text("id")
    );
    line.trim_end().to_owned()
}
