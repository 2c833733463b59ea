//! What the resources say in the end: what is Ready is as declared, all have come to an end, and little was written.

use std::collections::BTreeMap;
use std::time::Duration;

use phonenumber_emulator::{Deed, Number};
use serde_json::{Value, json};

use super::Audit;
use crate::cluster::Change;
use crate::marks;
use crate::world::{CONNECTION, World, condition, is_ready};

/// How many Events and how many writes of each that leads an object may see while all is well.
const MOST_WHILE_WELL: usize = 10;

/// What is written within this time counts, except for the first moments after something went wrong.
const WELL_FOR: Duration = Duration::from_secs(840);

const TO_CALM_DOWN: Duration = Duration::from_secs(60);

/// How long it takes at most that a number which is gone is seen to be: a listing, and two requests for it.
const NOTICED_WITHIN: Duration = Duration::from_secs(300);

impl Audit<'_> {
    /// What is Ready is in the account, and as declared.
    pub(super) fn look_at_what_is_ready(&mut self) {
        let assignments = self.world.control("GET", "/assignments", Value::Null);
        for object in self.world.cluster.list("phonenumbers") {
            if !is_ready(&object) || object["spec"]["suspend"] == true {
                continue;
            }
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let id = object["status"]["id"].as_str().unwrap_or_default();
            let number = {
                let world = self.world.emulator.world();
                world.numbers.iter().find(|it| it.id == id).cloned()
            };
            let Some(number) = number else {
                if !self.was_released_lately(id) {
                    self.fault(format!("{name} is Ready, and {id} is in no account"));
                }
                continue;
            };
            // What no listing shows, nobody can see changed.
            let held = self.held.get(id);
            if held.is_some_and(|held| self.is_hidden(held, self.world.elapsed())) {
                continue;
            }
            let spec = &object["spec"];
            let assigned = &assignments[&number.phone_number];
            let wanted = &spec["assistantId"];
            let text = format!("{name} is Ready for assistant {wanted}, and {assigned} answers");
            let fault = (assigned != wanted).then_some(text);
            let is_excused = fault.is_some()
                && wanted.is_null()
                && self.is_inherited(&object, &number.phone_number, assigned);
            self.judge(
                fault,
                is_excused.then_some("assigned for an earlier resource"),
            );
            for (what, is, wanted) in settings(&number, spec) {
                if is != wanted {
                    self.fault(format!(
                        "{name} is Ready, and its {what} is {is:?}, not {wanted:?}"
                    ));
                }
            }
            let service = &number.messaging_service;
            let wanted = &spec["twilio"]["messagingServiceSid"];
            if *wanted != json!(service) && !(wanted.is_null() && service.is_empty()) {
                let excuse = wanted.is_null() && self.is_of_an_earlier_resource(&object, service);
                let text = format!("{name} is Ready, and its messaging service is {service:?}");
                self.judge(
                    Some(text),
                    excuse.then_some("in the service of an earlier resource"),
                );
            }
        }
    }

    /// True if the assistant answered the number before the resource went for it, and no status of the resource names it: nothing
    /// tells that it was declared for this one, and what nobody declares is left as it is.
    fn is_inherited(&self, object: &Value, number: &str, assistant: &Value) -> bool {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let uid = &object["metadata"]["uid"];
        let versions = self.versions(name, self.world.elapsed());
        let versions: Vec<_> = versions
            .filter(|change| change.object["metadata"]["uid"] == *uid)
            .collect();
        let claims = |change: &&&Change| {
            let claim = marks::claim(&change.object);
            claim["number"] == number && claim["uid"] == *uid
        };
        let Some(began) = versions.iter().find(claims).or(versions.first()) else {
            return false;
        };
        let mut named = versions.iter();
        let is_named = named.any(|it| it.object["status"]["assistant"]["id"] == *assistant);
        let id = assistant.to_string();
        let world = self.world.emulator.world();
        let mut entries = world.ledger.entries.iter().rev();
        let assigned = entries.find(|entry| {
            entry.deed == Deed::Assign && entry.number == number && entry.account == id
        });
        let is_older = assigned
            .is_some_and(|entry| self.world.since_begun(entry.time.parse().unwrap()) < began.at);
        is_older && !is_named
    }

    /// True if another resource declared the messaging service, and this one never did: nothing tells that the number is to
    /// leave it.
    fn is_of_an_earlier_resource(&self, object: &Value, service: &str) -> bool {
        let uid = &object["metadata"]["uid"];
        let all = self.resources.values().flatten();
        let declare =
            all.filter(|change| change.object["spec"]["twilio"]["messagingServiceSid"] == service);
        let uids: Vec<_> = declare
            .map(|change| &change.object["metadata"]["uid"])
            .collect();
        !uids.is_empty() && !uids.contains(&uid)
    }

    /// True if somebody released the number so short a time ago that nobody need have asked twice.
    fn was_released_lately(&self, id: &str) -> bool {
        let world = self.world.emulator.world();
        let entries = world.ledger.entries.iter();
        let mut released = entries.filter(|entry| entry.deed == Deed::Release && entry.id == id);
        released.any(|entry| {
            let at = self.world.since_begun(entry.time.parse().unwrap());
            self.world.elapsed() < at + self.hidden + NOTICED_WITHIN
        })
    }

    pub(super) fn look_at_what_is_declared(&mut self) {
        for object in self.world.cluster.list("phonenumbers") {
            if !has_come_to_an_end(&object) {
                let (name, status) = (&object["metadata"]["name"], &object["status"]);
                self.fault(format!("{name} has come to no end: {status:#}"));
            }
        }
    }

    /// While all is well and nobody does anything, little is written.
    pub(super) fn count_what_was_written(&mut self) {
        let lately = self.world.elapsed().saturating_sub(WELL_FOR);
        let from = lately.max(self.diary.well_since + TO_CALM_DOWN);
        let mut writes: BTreeMap<String, Vec<&Change>> = BTreeMap::new();
        for change in self.changes.iter().filter(|change| change.at >= from) {
            let what = match change.place.plural.as_str() {
                "phonenumbers" => format!("the PhoneNumber {}", change.place.name),
                "events" => format!("Events of {}", change.object["regarding"]["name"]),
                _ => continue,
            };
            writes.entry(what).or_default().push(change);
        }
        let most = MOST_WHILE_WELL * self.diary.leaders;
        let too_many = writes.into_iter().filter(|(_, writes)| writes.len() > most);
        let faults = too_many.map(|(what, writes)| {
            let count = writes.len();
            let writes = writes.into_iter().map(shown).collect::<Vec<_>>();
            let writes = writes.join("\n  ");
            format!("{count} writes of {what} while nothing happened:\n  {writes}")
        });
        let faults: Vec<_> = faults.collect();
        faults.into_iter().for_each(|fault| self.fault(fault));
    }
}

/// The settings of a number that a spec decides: what each is, and what it is to be.
fn settings<'a>(number: &'a Number, spec: &'a Value) -> Vec<(&'static str, &'a str, &'a str)> {
    let text = |value: &'a Value, otherwise| value.as_str().unwrap_or(otherwise);
    let telnyx = &spec["telnyx"];
    if number.provider == "twilio" {
        let webhook =
            |which: &str| text(&spec["webhooks"][which], "https://voice.example.com/twiml");
        // Of what is bought here only numbers of North America take messages.
        let takes_messages = number.phone_number.starts_with("+1");
        let messages = if takes_messages {
            webhook("smsUrl")
        } else {
            ""
        };
        return vec![
            ("voice webhook", &number.voice_url, webhook("voiceUrl")),
            ("SMS webhook", &number.sms_url, messages),
        ];
    }
    let mut settings = vec![(
        "connection",
        number.connection_id.as_str(),
        text(&telnyx["connectionId"], CONNECTION),
    )];
    if let Some(profile) = telnyx["messagingProfileId"].as_str() {
        settings.push(("messaging profile", &number.messaging_profile_id, profile));
    }
    settings
}

/// What a write made of an object, in a line.
fn shown(change: &Change) -> String {
    let object = &change.object;
    let claim = marks::claim(object);
    let ready = condition(object, "Ready");
    let (attempt, note) = (&object["status"]["attempt"], &object["note"]);
    format!(
        "{:.3} claim {claim}, attempt {attempt}, Ready {ready:?}, note {note}",
        change.at.as_secs_f64()
    )
}

/// True if every resource is Ready, or says what a person must do, or what it waits for.
pub fn is_settled(world: &World) -> bool {
    let objects = world.cluster.list("phonenumbers");
    objects.iter().all(has_come_to_an_end)
}

fn has_come_to_an_end(object: &Value) -> bool {
    let waits_for = |(status, reason, _): (String, String, String)| {
        let waits = [
            "LimitReached",
            "ReleaseLimitReached",
            "ReleaseDelayed",
            "NoNumbersFound",
            "Suspended",
        ];
        (status == "True" || reason == "Suspended") && waits.contains(&reason.as_str())
    };
    let is_present = object["metadata"]["deletionTimestamp"].is_null();
    condition(object, "Stalled").is_some_and(|(status, ..)| status == "True")
        || condition(object, "Reconciling").is_some_and(waits_for)
        || (is_present && is_ready(object))
}

/// The condition's reason of a resource, for tests.
pub fn reason(object: &Value) -> String {
    condition(object, "Ready")
        .map(|(_, reason, _)| reason)
        .unwrap_or_default()
}
