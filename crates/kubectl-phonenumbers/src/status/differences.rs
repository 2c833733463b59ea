//! What is declared of a number and shown otherwise, by the spec, the account and the status. Pure. What the operator resolves at
//! Burki, such as the connection of an assistant, is not known here.

use phonenumber_api::{PhoneNumber, PhoneNumberStatus};
use telephony::number::{Mark, Messaging, Provider};

use crate::subject::SeenAccount;
use crate::table::webhook;

/// A field that is declared one way and shown another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) field: &'static str,
    pub(super) declared: String,
    pub(super) shown: String,
}

/// Every difference, in the order of the spec.
pub(super) fn differences(number: &PhoneNumber, account: Option<&SeenAccount>) -> Vec<Difference> {
    let spec = &number.spec;
    let status = number.status.clone().unwrap_or_default();
    let mut found = Vec::new();
    let mut compare = |field, declared: Option<String>, shown: Option<String>| {
        if let Some(declared) = declared
            && shown.as_ref() != Some(&declared)
        {
            let shown = shown.unwrap_or_default();
            found.push((field, declared, shown));
        }
    };
    let generation = |generation: i64| generation.to_string();
    compare(
        "generation",
        number.metadata.generation.map(generation),
        status.observed_generation.map(generation),
    );
    compare(
        "phoneNumber",
        spec.phone_number.clone(),
        status.phone_number.clone(),
    );
    let is_held = status.id.is_some();
    let assistant = spec.assistant_id.filter(|_| is_held);
    let shown = status.assistant.as_ref().filter(|it| !it.pending);
    compare(
        "assistantId",
        assistant.map(|id| id.to_string()),
        shown.map(|assistant| assistant.id.to_string()),
    );
    if is_held {
        let pinned = status.account_id.clone();
        let opened = account.and_then(|account| account.status.account_id.clone());
        compare("accountRef", opened, pinned);
        match spec.provider {
            Provider::Twilio => twilio(number, account, &status, &mut compare),
            Provider::Telnyx => telnyx(number, account, &status, &mut compare),
        }
    }
    found
        .into_iter()
        .map(|(field, declared, shown)| difference(field, &declared, &shown))
        .collect()
}

/// URLs are shown without what may be secret in them.
fn difference(field: &'static str, declared: &str, shown: &str) -> Difference {
    let plain = |text: &str| match text {
        "" => crate::table::NONE.to_owned(),
        text if text.contains("://") => webhook(text),
        text => crate::table::shown(text),
    };
    Difference {
        field,
        declared: plain(declared),
        shown: plain(shown),
    }
}

type Compare<'a> = &'a mut dyn FnMut(&'static str, Option<String>, Option<String>);

fn twilio(
    number: &PhoneNumber,
    account: Option<&SeenAccount>,
    status: &PhoneNumberStatus,
    compare: Compare<'_>,
) {
    let Some(shown) = &status.twilio else { return };
    let declared = number.spec.friendly_name.clone();
    let declared = declared.or_else(|| number.metadata.name.clone());
    if let Some(mark) = Mark::find_in(&shown.friendly_name) {
        let name = shown.friendly_name.split(&format!("[{mark}]")).next();
        let name = name.unwrap_or_default().trim_end().to_owned();
        // A name that is derived may be cut to fit beside the mark.
        let is_cut = number.spec.friendly_name.is_none();
        let declared = declared.filter(|declared| !is_cut || !declared.starts_with(&name));
        compare("friendlyName", declared, Some(name));
    } else {
        let name = declared.map(|name| format!("{name} [mark]"));
        compare("friendlyName", name, Some(shown.friendly_name.clone()));
    }
    let [calls, messages] = urls(number, account, "/twiml");
    compare("webhooks.voiceUrl", calls, shown.voice_url.clone());
    let can_text = shown.capabilities.sms || shown.capabilities.mms;
    if can_text && number.spec.messaging != Messaging::None {
        compare("webhooks.smsUrl", messages, shown.sms_url.clone());
    }
}

fn telnyx(
    number: &PhoneNumber,
    account: Option<&SeenAccount>,
    status: &PhoneNumberStatus,
    compare: Compare<'_>,
) {
    let Some(shown) = &status.telnyx else { return };
    let options = number.spec.telnyx.clone().unwrap_or_default();
    let defaults = account.and_then(|account| account.spec.telnyx.as_ref());
    compare(
        "telnyx.connectionId",
        options.connection_id,
        shown.connection_id.clone(),
    );
    let profile = options
        .messaging_profile_id
        .or_else(|| defaults.and_then(|defaults| defaults.messaging_profile_id.clone()));
    if number.spec.messaging != Messaging::None {
        compare(
            "telnyx.messagingProfileId",
            profile,
            shown.messaging_profile_id.clone(),
        );
    }
    let [calls, _] = urls(number, account, "/telnyx-webhook");
    compare("webhooks.voiceUrl", calls, shown.webhook_url.clone());
}

/// Where calls and messages go as declared: by the number, else by its account.
fn urls(number: &PhoneNumber, account: Option<&SeenAccount>, path: &str) -> [Option<String>; 2] {
    let own = number.spec.webhooks.clone().unwrap_or_default();
    let base = account.and_then(|account| account.spec.webhooks.as_ref());
    let derived = |own_path: fn(&phonenumber_api::WebhookBase) -> Option<&str>| {
        base.map(|base| {
            let path = own_path(base).unwrap_or(path);
            format!("{}{path}", base.base_url.trim_end_matches('/'))
        })
    };
    [
        own.voice_url
            .or_else(|| derived(|base| base.voice_path.as_deref())),
        own.sms_url
            .or_else(|| derived(|base| base.sms_path.as_deref())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use telephony::number::{Installation, Origin, Owner};

    fn number(spec: Value, status: Value) -> PhoneNumber {
        let mut whole = json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
            "metadata": {"name": "nyc", "namespace": "support", "generation": 2}, "spec": {"provider": "twilio"},
            "status": {"observedGeneration": 2, "id": "PN1", "phoneNumber": "+12125550100"}});
        for (into, from) in [("spec", spec), ("status", status)] {
            for (field, value) in from.as_object().unwrap() {
                whole[into][field] = value.clone();
            }
        }
        serde_json::from_value(whole).unwrap()
    }

    fn account() -> SeenAccount {
        SeenAccount {
            spec: serde_json::from_value(json!({"provider": "twilio",
                "webhooks": {"baseUrl": "https://voice.example.com/", "smsPath": "/sms"}}))
            .unwrap(),
            status: serde_json::from_value(json!({"accountId": "AC1"})).unwrap(),
        }
    }

    fn marked(name: &str) -> String {
        let owner = Owner {
            namespace: "support".into(),
            name: "nyc".into(),
        };
        let mark = Mark::new(Origin::Bought, &Installation::new("here"), &owner);
        mark.with_name(Provider::Twilio, name)
    }

    fn twilio_status(name: &str, voice: &str, sms: &str) -> Value {
        json!({"sid": "PN1", "friendlyName": name, "voiceUrl": voice, "smsUrl": sms,
            "capabilities": {"voice": true, "sms": true, "mms": false, "fax": false}})
    }

    #[test]
    fn a_number_that_is_as_declared_differs_in_nothing() {
        let (voice, sms) = (
            "https://voice.example.com/twiml",
            "https://voice.example.com/sms",
        );
        let status = json!({"accountId": "AC1", "assistant": {"id": 101},
            "twilio": twilio_status(&marked("nyc"), voice, sms)});
        let spec = json!({"phoneNumber": "+12125550100", "assistantId": 101});
        let found = differences(&number(spec, status), Some(&account()));
        assert_eq!(found, []);
    }

    #[test]
    fn each_field_that_differs_is_named_and_nothing_secret_is_shown() {
        let status = json!({"accountId": "AC2", "observedGeneration": 1, "assistant": {"id": 101, "pending": true},
            "twilio": twilio_status("NYC", "https://old.example.com/x?token=fake-secret", "")});
        let spec =
            json!({"phoneNumber": "+12125550100", "assistantId": 101, "friendlyName": "NYC"});
        let found = differences(&number(spec, status), Some(&account()));
        let found: Vec<_> = found
            .iter()
            .map(|it| format!("{} {} -> {}", it.field, it.declared, it.shown))
            .collect();
        assert_eq!(
            found,
            [
                "generation 2 -> 1",
                "assistantId 101 -> <none>",
                "accountRef AC1 -> AC2",
                "friendlyName NYC [mark] -> NYC",
                "webhooks.voiceUrl https://voice.example.com/twiml -> https://old.example.com/x?…",
                "webhooks.smsUrl https://voice.example.com/sms -> <none>",
            ]
        );
    }

    #[test]
    fn where_no_messages_are_wanted_nothing_of_them_is_compared() {
        let voice = "https://voice.example.com/twiml";
        let status = json!({"accountId": "AC1",
            "twilio": twilio_status(&marked("nyc"), voice, "https://elsewhere.example.com")});
        let spec = json!({"phoneNumber": "+12125550100", "messaging": "None"});
        let found = differences(&number(spec, status), Some(&account()));
        assert_eq!(found, []);
        let spec = json!({"provider": "telnyx", "messaging": "None", "telnyx": {"connectionId": "1", "messagingProfileId": "a"}});
        let status = json!({"telnyx": {"connectionId": "1", "messagingProfileId": "b"}});
        assert_eq!(differences(&number(spec, status), None), []);
    }

    #[test]
    fn what_is_not_held_yet_differs_in_its_number_alone() {
        let spec = json!({"phoneNumber": "+12125550100", "assistantId": 1});
        let status = json!({"id": null, "phoneNumber": null});
        let found = differences(&number(spec, status), None);
        let fields: Vec<_> = found.iter().map(|it| it.field).collect();
        assert_eq!(fields, ["phoneNumber"]);
    }

    #[test]
    fn a_telnyx_number_is_compared_by_connection_profile_and_webhook() {
        let spec = json!({"provider": "telnyx", "telnyx": {"connectionId": "1", "messagingProfileId": "a"},
            "webhooks": {"voiceUrl": "https://v.example.com/x"}});
        let status = json!({"telnyx": {"connectionId": "2", "messagingProfileId": "b", "webhookUrl": "https://v.example.com/y"}});
        let found = differences(&number(spec, status), None);
        let fields: Vec<_> = found.iter().map(|it| it.field).collect();
        assert_eq!(
            fields,
            [
                "telnyx.connectionId",
                "telnyx.messagingProfileId",
                "webhooks.voiceUrl"
            ]
        );
    }
}
