//! A cluster, a carrier, and operators between them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use phonenumber_emulator::{self as emulator, Emulator, Number, State};
use phonenumber_operator::clock::Clock;
use phonenumber_operator::random::Random;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cluster::{Cluster, Place};
use crate::operator::{Operator, Options};
use crate::process::{SimulatedClock, Stage};
use test_support::objects::merge;

pub const OPERATOR_NAMESPACE: &str = "phonenumber-operator-system";
pub const INSTALLATION: &str = "simulated";

/// The namespace of everything that a user has.
pub const NAMESPACE: &str = "support";

/// The accounts of the emulator's built-in world, by provider, and the keys of the credential of each.
pub const TWILIO_ACCOUNTS: [&str; 2] = [
    "AC00000000000000000000000000000001",
    "AC00000000000000000000000000000002",
];

pub const TELNYX_ACCOUNTS: [&str; 2] = [
    "00000000-0000-4000-8000-000000000001",
    "00000000-0000-4000-8000-000000000002",
];

/// The messaging profile of the first Telnyx account.
pub const PROFILE: &str = "00000000-0000-4000-8000-0000000000a1";

/// A Telnyx connection of the first Telnyx account.
pub const CONNECTION: &str = "1293384261075731499";

/// A cluster, a carrier, and operators between them.
pub struct World {
    pub cluster: Cluster,
    pub emulator: Emulator,
    pub stage: Stage,
    pub clock: Arc<dyn Clock>,
    pub random: Random,
    pub operators: Vec<Operator>,
    begun: Instant,
    carrier_began: jiff::Timestamp,
    started: usize,
}

impl World {
    /// A world that is the same for the same seed, with accounts `twilio` and `telnyx` in [`NAMESPACE`] and no operator.
    /// `change` is merged into the emulator's built-in state.
    pub fn new(seed: u64, change: Value) -> Self {
        let random = Random::seeded(seed);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        // The clocks of the cluster and of the carrier differ.
        let skew = Duration::from_secs(random.below(240) as u64);
        let mut state = serde_json::to_value(State::default()).unwrap();
        merge(&mut state, &change);
        let state: State = serde_json::from_value(state).unwrap();
        let carrier = time + Duration::from_secs(120) - skew;
        let world = Self {
            cluster: Cluster::new(time),
            emulator: Emulator::begun_at(state, carrier),
            stage: Stage::new(),
            clock: Arc::new(SimulatedClock(Instant::now())),
            random,
            operators: Vec::new(),
            begun: Instant::now(),
            carrier_began: jiff::Timestamp::try_from(carrier).unwrap(),
            started: 0,
        };
        world.define();
        world.secret("twilio", credentials("twilio", 1));
        world.secret("telnyx", credentials("telnyx", 1));
        world.secret("burki", json!({"apiKey": "emulator-burki-key"}));
        world.account("twilio", "twilio", json!({}));
        world.account(
            "telnyx",
            "telnyx",
            json!({"telnyx": {"connectionWebhook": "Manage", "connectionId": CONNECTION}}),
        );
        world
    }

    /// Where the definition of PhoneNumbers is.
    pub fn definition() -> Place {
        let name = "phonenumbers.telephony.burki.dev";
        Place::new("customresourcedefinitions", "", name)
    }

    /// Creates the definition of PhoneNumbers.
    pub fn define(&self) {
        let group = json!({"spec": {"group": "telephony.burki.dev"}});
        self.create(Self::definition(), group);
    }

    /// Begins to delete the definition of PhoneNumbers. It stays as long as there are objects of it.
    pub fn delete_definition(&self) {
        self.hold_definition(json!(["customresourcecleanup.apiextensions.k8s.io"]));
        self.cluster.delete(&Self::definition()).unwrap();
    }

    /// Ends the deletion of the definition, and creates it again.
    pub fn define_again(&self) {
        self.hold_definition(json!([]));
        self.define();
    }

    fn hold_definition(&self, finalizers: Value) {
        let held = json!({"metadata": {"finalizers": finalizers}});
        self.cluster.patch(&Self::definition(), &held).unwrap();
    }

    /// Starts one more operator.
    pub fn start(&mut self, options: Options) {
        self.started += 1;
        let operator = Operator::start(self, self.started, options);
        self.operators.push(operator);
    }

    /// Ends every operator at once, wherever it is.
    pub fn kill_all(&mut self) {
        for operator in self.operators.drain(..) {
            operator.kill();
        }
    }

    /// How long the simulation has run.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// How long it had run then.
    pub fn elapsed_at(&self, at: Instant) -> Duration {
        at.duration_since(self.begun)
    }

    fn create(&self, place: Place, object: Value) {
        self.cluster.create(&place, object).unwrap();
    }

    /// Creates a Secret, or replaces what it holds.
    pub fn secret(&self, name: &str, keys: Value) {
        let encode = |text: &str| json!(data_encoding::BASE64.encode(text.as_bytes()));
        let keys = keys.as_object().unwrap().iter();
        let data: Value = keys
            .map(|(key, value)| (key.clone(), encode(value.as_str().unwrap())))
            .collect();
        let place = Place::new("secrets", NAMESPACE, name);
        let object =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data});
        match self.cluster.get(&place) {
            None => self.create(place, object),
            Some(_) => {
                self.cluster.patch(&place, &json!({"data": data})).unwrap();
            }
        }
    }

    /// Speaks to the emulator's control side.
    pub fn control(&self, method: &str, path: &str, body: Value) -> Value {
        Self::control_of(&self.emulator, method, path, body)
    }

    pub fn control_of(emulator: &Emulator, method: &str, path: &str, body: Value) -> Value {
        let request = emulator::Request {
            method: method.to_owned(),
            path: path.to_owned(),
            body: body.to_string().into_bytes(),
            ..emulator::Request::default()
        };
        serde_json::from_slice(&emulator.control(&request).body).unwrap_or_default()
    }

    /// Somebody buys by hand, in the first account at the provider, if the number is for sale.
    pub fn bought_by_hand(&self, provider: &str, number: &str) {
        Self::bought_by_hand_in(&self.emulator, provider, number);
    }

    /// The same for those who have no world at hand.
    pub fn bought_by_hand_in(emulator: &Emulator, provider: &str, number: &str) {
        let account = match provider {
            "twilio" => TWILIO_ACCOUNTS[0],
            _ => TELNYX_ACCOUNTS[0],
        };
        Self::control_of(
            emulator,
            "POST",
            "/console/buy",
            json!({"provider": provider, "account": account, "number": number}),
        );
    }

    /// The id of a number that an account has; nothing if none has it.
    pub fn id_of(&self, number: &str) -> String {
        let world = self.emulator.world();
        let mut all = world.numbers.iter();
        let found = all.find(|held| held.phone_number == number);
        found.map(|held| held.id.clone()).unwrap_or_default()
    }

    pub fn released_by_hand(&self, number: &str) {
        self.control("DELETE", &format!("/console/numbers/{number}"), Value::Null);
    }

    /// Somebody changes a number by hand.
    pub fn console(&self, number: &str, change: impl FnOnce(&mut Number)) {
        Self::console_of(&self.emulator, number, change);
    }

    /// The same for those who have no world at hand.
    pub fn console_of(emulator: &Emulator, number: &str, change: impl FnOnce(&mut Number)) {
        let mut number = {
            let world = emulator.world();
            let found = world
                .numbers
                .iter()
                .find(|held| held.phone_number == number);
            found.cloned().unwrap()
        };
        change(&mut number);
        let path = format!("/console/numbers/{}", number.phone_number);
        let number = serde_json::to_value(&number).unwrap();
        Self::control_of(emulator, "POST", &path, number);
    }

    /// How long the simulation had run at this time of the carrier's clock.
    pub fn since_begun(&self, time: jiff::Timestamp) -> Duration {
        let since = time.duration_since(self.carrier_began);
        since.try_into().unwrap_or_default()
    }

    /// Creates an account at `provider`.
    pub fn account(&self, name: &str, provider: &str, change: Value) {
        let mut spec = json!({
            "provider": provider,
            provider: {"credentialsSecretRef": {"name": provider}},
            "webhooks": {"baseUrl": "https://voice.example.com"},
            "burki": {"url": "https://api.burki.dev", "credentialsSecretRef": {"name": "burki"}},
        });
        merge(&mut spec, &change);
        self.create(
            Place::new("provideraccounts", NAMESPACE, name),
            json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": "ProviderAccount", "spec": spec}),
        );
    }

    /// Sets limits on an account.
    pub fn limit(&self, name: &str, limits: Value) {
        let place = Place::new("provideraccounts", NAMESPACE, name);
        self.cluster
            .patch(&place, &json!({"spec": {"limits": limits}}))
            .unwrap();
    }

    /// An account at `provider` in another namespace, with the same keys.
    pub fn account_in(&self, namespace: &str, provider: &str) {
        for (plural, name) in [
            ("secrets", provider),
            ("secrets", "burki"),
            ("provideraccounts", provider),
        ] {
            let object = self
                .cluster
                .get(&Place::new(plural, NAMESPACE, name))
                .unwrap();
            self.create(Place::new(plural, namespace, name), json!({
                "apiVersion": object["apiVersion"], "kind": object["kind"], "spec": object["spec"], "data": object["data"],
            }));
        }
    }

    /// Why an account is Ready, or is not.
    pub fn account_reason(&self, name: &str) -> String {
        let (_, reason, _) = self.account_ready(name);
        reason
    }

    /// What an account says beside that.
    pub fn account_message(&self, name: &str) -> String {
        let (_, _, message) = self.account_ready(name);
        message
    }

    fn account_ready(&self, name: &str) -> (String, String, String) {
        let place = Place::new("provideraccounts", NAMESPACE, name);
        let account = self.cluster.get(&place).unwrap();
        condition(&account, "Ready").unwrap_or_default()
    }

    /// Creates a PhoneNumber with this spec.
    pub fn number(&self, name: &str, spec: Value) {
        self.number_in(NAMESPACE, name, spec);
    }

    pub fn number_in(&self, namespace: &str, name: &str, spec: Value) {
        self.create(Place::number(namespace, name), manifest(spec));
    }

    /// The claim on the PhoneNumber; null if there is none.
    pub fn claim(&self, name: &str) -> Value {
        let object = self.get(name);
        let text = object["metadata"]["annotations"]["telephony.burki.dev/claim"].as_str();
        text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
    }

    /// The PhoneNumber as it is; null if there is none.
    pub fn get(&self, name: &str) -> Value {
        self.cluster
            .get(&Place::number(NAMESPACE, name))
            .unwrap_or(Value::Null)
    }

    /// Merges into the PhoneNumber.
    pub fn patch(&self, name: &str, patch: Value) {
        // It may be gone.
        let _ = self.cluster.patch(&Place::number(NAMESPACE, name), &patch);
    }

    pub fn delete(&self, name: &str) {
        // It may be gone.
        let _ = self.cluster.delete(&Place::number(NAMESPACE, name));
    }

    /// A backup without status comes back, with a new uid.
    pub fn restore(&self, name: &str) {
        let old = self.get(name);
        let place = Place::number(NAMESPACE, name);
        self.patch(name, json!({"metadata": {"finalizers": []}}));
        let _ = self.cluster.delete(&place);
        let mut again = manifest(old["spec"].clone());
        again["metadata"] = json!({
            "annotations": old["metadata"]["annotations"],
            "finalizers": old["metadata"]["finalizers"],
        });
        let _ = self.cluster.create(&place, again);
    }

    /// Lets `time` go by.
    pub async fn run_for(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Lets time go by until `done` says so, looking often; panics after an hour.
    pub async fn run_until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..36_000 {
            if done(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("this did not come within an hour: {what}\n{}", self.shown());
    }

    /// All PhoneNumbers and the ledger, for people.
    pub fn shown(&self) -> String {
        let mut text = String::new();
        for object in self.cluster.list("phonenumbers") {
            let (metadata, status) = (&object["metadata"], &object["status"]);
            text += &format!(
                "{} {} deleting={} claim={} id={} account={} Ready={:?}\n",
                metadata["name"],
                metadata["uid"],
                !metadata["deletionTimestamp"].is_null(),
                metadata["annotations"],
                status["id"],
                status["accountId"],
                condition(&object, "Ready"),
            );
        }
        for entry in &self.emulator.world().ledger.entries {
            text += &format!(
                "{} {:?} by {} {} {} {} {:?}\n",
                entry.time,
                entry.deed,
                entry.by,
                entry.account,
                entry.number,
                entry.id,
                entry.reference
            );
        }
        text
    }
}

pub fn manifest(spec: Value) -> Value {
    json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber", "spec": spec})
}

/// The keys of the emulator's first or second account at `provider`.
pub fn credentials(provider: &str, which: usize) -> Value {
    let suffix = if which == 1 {
        String::new()
    } else {
        format!("-{which}")
    };
    match provider {
        "twilio" => {
            json!({"accountSid": TWILIO_ACCOUNTS[which - 1], "authToken": format!("emulator-token{suffix}")})
        }
        _ => json!({"apiKey": format!("emulator-key{suffix}")}),
    }
}

/// Status, reason and message of a condition.
pub fn condition(object: &Value, kind: &str) -> Option<(String, String, String)> {
    let conditions = object["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|found| found["type"] == kind)?;
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}

/// True if the PhoneNumber is Ready at its present generation.
pub fn is_ready(object: &Value) -> bool {
    let ready = condition(object, "Ready").is_some_and(|(status, ..)| status == "True");
    ready && object["status"]["observedGeneration"] == object["metadata"]["generation"]
}
