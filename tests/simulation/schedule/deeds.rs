//! What users, consoles and machines do, each as one deed.

use std::time::Duration;

use serde_json::{Value, json};

use super::{FOREIGN, Play, SERVICE};
use crate::audit::Meddling;
use crate::classes::Class;
use crate::cluster::{Place, finalizers};
use crate::process::Dates;
use crate::world::{
    CONNECTION, NAMESPACE, PROFILE, TELNYX_ACCOUNTS, TWILIO_ACCOUNTS, credentials, manifest,
};

/// Resources that somebody creates with a claim of his own making.
const FORGERS: [&str; 2] = ["forged", "forged-too"];

/// A finalizer of somebody else.
const OTHERS: &str = "example.com/keep";

/// A price that no account can pay, and that no two of can be added.
const HOSTILE_PRICE: &str = "79228162514264337593543950335";

impl Play {
    pub(super) fn relist(&mut self) {
        if let Some(at) = self.some_operator() {
            self.note("the watches of an operator list anew");
            self.world.operators[at].process.relist();
        }
    }

    pub(super) fn stall(&mut self) {
        if let Some(at) = self.some_operator() {
            let time = Duration::from_secs(1 + self.below(300) as u64);
            self.note(&format!(
                "the watches of an operator stand still for {time:?}"
            ));
            self.world.operators[at].process.stall(time);
        }
    }

    pub(super) fn step_the_clock(&mut self) {
        let dates = Dates {
            ahead: [-660, -30, 0, 30, 660][self.below(5)],
            percent: [50, 100][self.below(2)],
            missing: [0, 0, 10, 100][self.below(4)],
        };
        self.note(&format!("the dates of the API server: {dates:?}"));
        self.world.stage.set_dates("kubernetes", dates);
        self.diary
            .dates(self.world.elapsed(), dates != Dates::default());
    }

    pub(super) fn hold(&mut self, name: &str) {
        let object = self.world.get(name);
        if object.is_null() {
            return;
        }
        let mut all = finalizers(&object);
        if all.iter().any(|one| one == OTHERS) {
            return self.let_go_of(name);
        }
        if object["metadata"]["deletionTimestamp"].is_null() {
            self.note(&format!("somebody else's finalizer holds {name}"));
            all.push(OTHERS.to_owned());
            self.world
                .patch(name, json!({"metadata": {"finalizers": all}}));
        }
    }

    pub(super) fn let_go_of(&mut self, name: &str) {
        let mut all = finalizers(&self.world.get(name));
        if all.iter().any(|one| one == OTHERS) {
            self.note(&format!("somebody else lets {name} go"));
            all.retain(|one| one != OTHERS);
            self.world
                .patch(name, json!({"metadata": {"finalizers": all}}));
        }
    }

    pub(super) fn delete_secret(&mut self) {
        let name = ["twilio", "telnyx", "burki"][self.below(3)];
        let place = Place::new("secrets", NAMESPACE, name);
        if self.world.cluster.delete(&place).is_ok() {
            self.note(&format!("deletes the Secret {name}"));
        } else if name == "burki" {
            self.note("creates the Secret burki");
            self.world
                .secret("burki", json!({"apiKey": "emulator-burki-key"}));
        } else {
            self.note(&format!("creates the Secret {name}"));
            self.world.secret(name, credentials(name, 1));
        }
    }

    /// Creates, or deletes again, a resource that comes with a claim of somebody's making.
    pub(super) fn forge(&mut self) {
        let name = FORGERS[self.below(FORGERS.len())];
        if !self.world.get(name).is_null() {
            return self.delete(name);
        }
        let number = ["+12125550001", "+12125550002", "+12125550007"][self.below(3)];
        let account = [
            TWILIO_ACCOUNTS[0],
            TWILIO_ACCOUNTS[1],
            TELNYX_ACCOUNTS[0],
            "none",
        ][self.below(4)];
        let at = [
            "9999-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z",
            "2026-09-21T14:15:00Z",
        ][self.below(3)];
        let amount = [HOSTILE_PRICE, "1000000", "1.15"][self.below(3)];
        let claim = json!({
            "version": 1, "intent": "buy", "number": number, "accountId": account,
            "owner": format!("{NAMESPACE}/{name}"), "uid": "x", "nonce": "x", "at": at, "since": "2020-01-01T00:00:00Z",
            "price": {"monthly": amount, "upfront": "0", "currency": "USD"},
        });
        self.note(&format!("creates {name} with the claim {claim}"));
        let mut object = manifest(json!({"provider": "twilio", "phoneNumber": number}));
        object["metadata"] =
            json!({"annotations": {"telephony.burki.dev/claim": claim.to_string()}});
        let place = Place::number(NAMESPACE, name);
        self.world.cluster.create(&place, object).unwrap();
    }

    pub(super) fn raise_the_price(&mut self) {
        let price = [Some(HOSTILE_PRICE), Some("999999999999"), None][self.below(3)];
        self.note(&format!("each number costs {price:?}"));
        self.world
            .control("POST", "/switches", json!({"monthlyPrice": price}));
    }

    pub(super) fn undo_orders(&mut self) {
        let [undone, timeless] = [self.below(2) == 0, self.below(2) == 0];
        self.note(&format!(
            "orders are undone: {undone}, numbers tell no time of purchase: {timeless}"
        ));
        let switches = json!({"ordersUndone": undone, "noPurchaseTime": timeless});
        self.world.control("POST", "/switches", switches);
    }

    pub(super) fn create(&mut self, name: &'static str) {
        if !self.world.get(name).is_null() {
            return;
        }
        let spec = self.spec(name);
        self.note(&format!("creates {name}: {spec}"));
        self.world.number(name, spec);
    }

    fn spec(&self, name: &str) -> Value {
        let either = ["1", "2"][self.below(2)];
        let mut spec = match name {
            "nyc" => json!({"provider": "twilio", "phoneNumber": "+12125550001"}),
            "rival" => json!({"provider": "twilio", "phoneNumber": format!("+1212555000{either}")}),
            "bos" => json!({"provider": "telnyx", "phoneNumber": "+16175550001"}),
            "hub" => json!({"provider": "telnyx", "phoneNumber": format!("+1617555000{either}")}),
            "any-nyc" => {
                json!({"provider": "twilio", "search": {"country": "US", "areaCode": "212"}})
            }
            _ => json!({"provider": "telnyx", "search": {"country": "US", "areaCode": "617"}}),
        };
        if self.below(3) == 0 {
            spec["assistantId"] = json!(101 + self.below(2));
        }
        if self.below(6) == 0 {
            spec["adoptionPolicy"] = json!("Adopt");
        }
        if spec["provider"] == "telnyx" && self.below(2) == 0 {
            spec["telnyx"] = json!({"connectionId": CONNECTION});
        }
        if spec["provider"] == "telnyx" && self.has(Class::Profile) {
            spec["telnyx"]["messagingProfileId"] = json!(PROFILE);
        }
        if spec["provider"] == "twilio" && self.has(Class::MessagingService) && self.below(2) == 0 {
            spec["twilio"] = json!({"messagingServiceSid": SERVICE});
        }
        spec
    }

    pub(super) fn delete(&mut self, name: &'static str) {
        if self.world.get(name).is_null() {
            return;
        }
        self.note(&format!("deletes {name}"));
        self.world.delete(name);
    }

    pub(super) fn edit(&mut self, name: &'static str) {
        let change = match self.below(3) {
            0 => json!({"friendlyName": format!("name {}", self.below(3))}),
            1 => json!({"assistantId": 101 + self.below(2)}),
            _ => json!({"assistantId": null}),
        };
        self.note(&format!("edits {name}: {change}"));
        self.world.patch(name, json!({ "spec": change }));
    }

    pub(super) fn toggle(&mut self, name: &'static str, field: &str) {
        let on = self.world.get(name)["spec"][field] == true;
        self.note(&format!("sets {field} of {name} to {}", !on));
        self.world.patch(name, json!({"spec": {field: !on}}));
    }

    pub(super) fn retain(&mut self, name: &'static str) {
        self.note(&format!("sets deletionPolicy Retain on {name}"));
        self.world
            .patch(name, json!({"spec": {"deletionPolicy": "Retain"}}));
    }

    /// `kubectl replace` of a manifest that knows nothing of claims and finalizers.
    pub(super) fn replace(&mut self, name: &'static str) {
        let old = self.world.get(name);
        if self.policy || old.is_null() {
            return;
        }
        self.note(&format!("replaces {name}"));
        let _ = self.world.cluster.replace(
            &Place::number(NAMESPACE, name),
            manifest(old["spec"].clone()),
        );
        self.meddle(Meddling::Stripped(name.to_owned()));
    }

    fn meddle(&mut self, meddling: Meddling) {
        self.diary.meddles(self.world.elapsed(), meddling);
    }

    /// A backup without status comes back, with a new uid.
    pub(super) fn restore(&mut self, name: &'static str) {
        let old = self.world.get(name);
        if old.is_null() || !old["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        self.note(&format!("restores {name} without its status"));
        self.meddle(Meddling::Restored(name.to_owned()));
        self.world.restore(name);
    }

    pub(super) fn force_finalizer_off(&mut self, name: &'static str) {
        if self.world.get(name).is_null() {
            return;
        }
        self.note(&format!("takes the finalizer off {name}"));
        self.world
            .patch(name, json!({"metadata": {"finalizers": []}}));
        self.meddle(Meddling::Stripped(name.to_owned()));
    }

    pub(super) fn swap_secret(&mut self) {
        let provider = ["twilio", "telnyx"][self.below(2)];
        let which = 1 + self.below(2);
        self.note(&format!("the Secret {provider} opens account {which}"));
        self.world.secret(provider, credentials(provider, which));
    }

    /// A number that an operator bought, if there is one.
    fn some_number(&self) -> Option<String> {
        let numbers: Vec<String> = self
            .world
            .emulator
            .world()
            .numbers
            .iter()
            .filter(|number| number.phone_number != FOREIGN)
            .map(|number| number.phone_number.clone())
            .collect();
        (!numbers.is_empty()).then(|| numbers[self.below(numbers.len())].clone())
    }

    pub(super) fn edit_in_console(&mut self) {
        if let Some(number) = self.some_number() {
            self.note(&format!("edits {number} in the console"));
            self.world.console(&number, |number| {
                number.voice_url = "https://elsewhere.example.com".into();
                number.connection_id.clear();
            });
        }
    }

    pub(super) fn rename_in_console(&mut self) {
        if let Some(number) = self.some_number() {
            self.note(&format!("renames {number} in the console"));
            self.meddle(Meddling::Renamed(self.world.id_of(&number)));
            self.world.console(&number, |number| {
                number.friendly_name = "renamed".into();
                number.customer_reference = "renamed".into();
            });
        }
    }

    pub(super) fn release_in_console(&mut self) {
        if let Some(number) = self.some_number() {
            self.note(&format!("releases {number} in the console"));
            self.world.released_by_hand(&number);
        }
    }

    pub(super) fn buy_in_console(&mut self) {
        let hides = self.world.emulator.world().state.switches.hidden_ms > 0;
        if hides && !self.has(Class::HandWhileHidden) {
            return;
        }
        let (provider, number) =
            [("twilio", "+12125550002"), ("telnyx", "+16175550002")][self.below(2)];
        self.note(&format!("buys {number} in the console, if it is for sale"));
        self.world.bought_by_hand(provider, number);
    }

    fn some_operator(&self) -> Option<usize> {
        let count = self.world.operators.len();
        (count > 0).then(|| self.below(count))
    }

    pub(super) fn freeze(&mut self) {
        if let Some(at) = self.some_operator() {
            self.note("freezes an operator");
            self.world.operators[at].process.freeze();
        }
    }

    pub(super) fn thaw(&mut self) {
        self.note("thaws every operator");
        self.world
            .operators
            .iter()
            .for_each(|operator| operator.process.thaw());
    }

    pub(super) fn kill(&mut self) {
        if let Some(at) = self.some_operator() {
            self.note("kills an operator");
            self.world.operators[at].kill();
        }
    }
}
