//! Why a PhoneNumber is not as wanted: the condition that says so, the runbook's section on its reason, and this object's values
//! of what the section names.

use clap::Args;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use phonenumber_api::{PhoneNumber, Reason, condition, owner};
use serde_json::Value;

use super::Answer;
use super::cluster::{Cluster, Connection};
use super::description::Description;
use super::error::Error;
use super::runbook;
use super::status::{next_try, ready, said, unreadable};
use super::subject::{NumberName, Subject};
use super::table::{NONE, age, shown};

/// What a person asks for.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// The PhoneNumber.
    #[arg(value_name = "NAME")]
    name: NumberName,

    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn why(request: Request) -> Result<Answer, Error> {
    let cluster = Cluster::open(request.connection).await?;
    let subject = Subject::read(&cluster, &request.name).await?;
    let mut answer = Answer::default();
    let conditions = subject.number.status.as_ref();
    let conditions = conditions.map_or(&[][..], |status| &status.conditions);
    let unwanted = unwanted(conditions);
    if unwanted.is_empty() {
        answer.notes = vec![as_wanted(&subject.number)];
    }
    let now = Timestamp::now();
    let parts: Vec<String> = unwanted
        .iter()
        .map(|found| explain(found, &subject, now))
        .collect();
    answer.output = parts.join("\n");
    Ok(answer)
}

/// What is said where no condition is unwanted: they may be of an earlier generation.
fn as_wanted(number: &PhoneNumber) -> String {
    let title = owner(number);
    let status = number.status.as_ref();
    let is_seen = status.is_some_and(|status| {
        ready(&status.conditions).is_some()
            && status.observed_generation == number.metadata.generation
    });
    match is_seen {
        true => format!("PhoneNumber {title} is as wanted."),
        false => format!(
            "The operator has not seen the present generation of PhoneNumber {title}. If it stays so, see kubectl phonenumbers check."
        ),
    }
}

/// The conditions that are not as wanted, one for each reason, the most telling first.
fn unwanted(conditions: &[Condition]) -> Vec<&Condition> {
    let is_unwanted = |it: &Condition| match it.type_.as_str() {
        condition::RECONCILING => it.status == "True" || it.reason == Reason::Suspended.to_string(),
        condition::STALLED => it.status == "True",
        _ => it.status != "True",
    };
    let order = |it: &Condition| match it.type_.as_str() {
        condition::READY => 0,
        condition::STALLED => 1,
        condition::RECONCILING => 2,
        _ => 3,
    };
    let mut found: Vec<&Condition> = conditions.iter().filter(|it| is_unwanted(it)).collect();
    found.sort_by_key(|it| order(it));
    let mut reasons = Vec::new();
    found.retain(|it| {
        let is_new = !reasons.contains(&&it.reason);
        reasons.push(&it.reason);
        is_new
    });
    found
}

fn explain(found: &Condition, subject: &Subject, now: Timestamp) -> String {
    let mut text = Description::default();
    text.field("PhoneNumber", owner(&subject.number).to_string());
    let since = age(Some(found.last_transition_time.0), now);
    let state = format!("{} is {}, for {since}", found.type_, found.status);
    text.field("Condition", shown(&state));
    text.field("Reason", shown(&found.reason));
    text.field("Message", said(&found.message));
    let section = runbook::section(&found.reason);
    let fields = section.as_deref().map(runbook::fields).unwrap_or_default();
    text.block("Of This Object", &values(&fields, found, subject));
    let unknown = "this version of the plugin does not know the reason: install that of the operator's version";
    text.block("Runbook", section.as_deref().unwrap_or(unknown));
    text.text()
}

/// What this object has where the runbook names something in general.
fn values(fields: &[&str], found: &Condition, subject: &Subject) -> String {
    let number = &subject.number;
    let status = number.status.clone().unwrap_or_default();
    let declared = number.spec.phone_number.clone();
    let mut lines = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        let value = value.unwrap_or_else(|| NONE.to_owned());
        lines.push(format!("{name}: {value}\n"));
    };
    add("number", status.phone_number.or(declared));
    let key = &subject.key;
    let id = status.account_id.map(|id| format!(" ({id})"));
    let account = format!("{} {}{}", key.kind, key.name, id.unwrap_or_default());
    add("account", Some(account));
    if let Some(attempt) = &status.attempt {
        let code = attempt.code.as_ref().map(|code| format!(", code {code}"));
        let outcome = format!("{}{}", attempt.outcome, code.unwrap_or_default());
        add("last attempt", Some(shown(&outcome)));
    }
    if let Some(next) = next_try(&found.message) {
        add("next try", Some(next.to_owned()));
    }
    let spec = serde_json::to_value(&number.spec).unwrap_or_default();
    let account = subject.account.as_ref().map(|account| {
        let spec = account.as_ref().map(|account| &account.spec);
        serde_json::to_value(spec).unwrap_or_default()
    });
    for field in fields {
        let pointer = field.trim_start_matches("spec").replace('.', "/");
        let here = spec.pointer(&pointer).filter(|value| !value.is_null());
        let there = account.as_ref().map(|spec| spec.pointer(&pointer));
        match (here, there) {
            (_, Ok(Some(value))) => {
                if let Some(here) = here {
                    add(field, Some(plain(here)));
                }
                add(&format!("{field} of the account"), Some(plain(value)));
            }
            (Some(value), _) => add(field, Some(plain(value))),
            (None, Ok(None)) => add(field, None),
            (None, Err(error)) => add(field, Some(unreadable(error))),
        }
    }
    lines.concat()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => said(text),
        value => said(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn condition(kind: &str, status: &str, reason: &str) -> Condition {
        serde_json::from_value(json!({"type": kind, "status": status, "reason": reason,
            "message": "m", "lastTransitionTime": "2026-11-25T00:00:00Z"}))
        .unwrap()
    }

    #[test]
    fn each_reason_is_explained_once_and_that_of_ready_first() {
        let found = [
            condition("Stalled", "True", "Lost"),
            condition("AssistantAssigned", "False", "AssistantInactive"),
            condition("Purchased", "True", "Ready"),
            condition("Ready", "False", "Lost"),
            condition("Reconciling", "False", "Lost"),
        ];
        let reasons: Vec<_> = unwanted(&found)
            .iter()
            .map(|it| format!("{} {}", it.type_, it.reason))
            .collect();
        assert_eq!(
            reasons,
            ["Ready Lost", "AssistantAssigned AssistantInactive"]
        );
        let suspended = [
            condition("Ready", "True", "Ready"),
            condition("Reconciling", "False", "Suspended"),
        ];
        assert_eq!(unwanted(&suspended).len(), 1);
        assert!(unwanted(&suspended[..1]).is_empty());
    }

    #[test]
    fn conditions_of_an_earlier_generation_do_not_count_as_wanted() {
        let number = |status: Value| -> PhoneNumber {
            serde_json::from_value(
                json!({"metadata": {"name": "nyc", "namespace": "support", "generation": 2},
                "spec": {"provider": "twilio", "phoneNumber": "+12125550100"}, "status": status}),
            )
            .unwrap()
        };
        let conditions = json!([condition("Ready", "True", "Ready")]);
        for (status, wanted) in [
            (
                json!({"observedGeneration": 2, "conditions": conditions}),
                true,
            ),
            (
                json!({"observedGeneration": 1, "conditions": conditions}),
                false,
            ),
            (json!({"observedGeneration": 2}), false),
            (Value::Null, false),
        ] {
            let said = as_wanted(&number(status.clone()));
            assert_eq!(said.ends_with("is as wanted."), wanted, "{status}: {said}");
        }
    }

    #[test]
    fn the_values_are_those_of_the_object_and_of_its_account() {
        let number = json!({"metadata": {"name": "nyc", "namespace": "support"},
            "spec": {"provider": "twilio", "phoneNumber": "+12125550100",
                "maxMonthlyCost": {"amount": "1", "currency": "USD"}},
            "status": {"attempt": {"nonce": "n", "number": "+12125550100", "outcome": "Rejected", "code": "21422"}}});
        let number = serde_json::from_value(number).unwrap();
        let account =
            json!({"spec": {"provider": "twilio", "limits": {"maxNumbers": 3}}, "status": {}});
        let subject = Subject {
            key: phonenumber_api::AccountKey::of(&number),
            number,
            account: Ok(Some(crate::subject::SeenAccount {
                spec: serde_json::from_value(account["spec"].clone()).unwrap(),
                status: serde_json::from_value(account["status"].clone()).unwrap(),
            })),
            events: Ok(Vec::new()),
        };
        let mut ready = condition("Ready", "False", "CostLimitExceeded");
        ready.message = "It is asked for again at 01:02:03 UTC.".to_owned();
        let fields = [
            "spec.maxMonthlyCost",
            "spec.limits.maxNumbers",
            "spec.twilio",
        ];
        assert_eq!(
            values(&fields, &ready, &subject),
            "number: +12125550100\n\
             account: ProviderAccount twilio\n\
             last attempt: Rejected, code 21422\n\
             next try: 01:02:03 UTC\n\
             spec.maxMonthlyCost: {\"amount\":\"1\",\"currency\":\"USD\"}\n\
             spec.limits.maxNumbers of the account: 3\n\
             spec.twilio: <none>\n"
        );
    }
}
