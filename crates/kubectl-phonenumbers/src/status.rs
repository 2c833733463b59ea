//! One PhoneNumber as it is declared, held, answered and paid, with what differs, its claim and its Events. Reads the cluster alone.

mod differences;

use clap::Args;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use phonenumber_api::{PhoneNumber, PhoneNumberStatus, condition};
use telephony::number::Mark;

use super::Answer;
use super::annotation::Annotation;
use super::cluster::{Cluster, Connection};
use super::colour::{Colours, Tone};
use super::deletion::fate;
use super::description::Description;
use super::error::Error;
use super::redaction::without_secrets;
use super::subject::{NumberName, Subject, happened};
use super::table::{NONE, Painted, age, painted_table, shown, table, webhook};

/// What a person asks for.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// The PhoneNumber.
    #[arg(value_name = "NAME")]
    name: NumberName,

    #[command(flatten)]
    connection: Connection,
}

/// The name of a field and its value.
type Fields = Vec<(&'static str, String)>;

pub(super) async fn status(request: Request, colours: Colours) -> Result<Answer, Error> {
    let cluster = Cluster::open(request.connection).await?;
    let subject = Subject::read(&cluster, &request.name).await?;
    Ok(Answer {
        output: describe(&subject, Timestamp::now(), colours),
        ..Answer::default()
    })
}

fn describe(subject: &Subject, now: Timestamp, colours: Colours) -> String {
    let number = &subject.number;
    let status = number.status.clone().unwrap_or_default();
    let mut text = Description::default();
    text.field("Name", number.name_any());
    text.field("Namespace", number.namespace().unwrap_or_default());
    let created = number.creation_timestamp().map(|time| time.0);
    text.field("Age", age(created, now));
    if number.metadata.deletion_timestamp.is_some() {
        text.field("Deletion", "it is being deleted");
    }
    text.section("Declared", declared(number));
    text.section("Account", account(subject));
    text.section("Held", held(number, &status));
    text.section("Answered By", answered(&status));
    text.section("Cost", cost(&status));
    text.block("Differs", &differing(subject));
    text.section("Claim", claim(number, now));
    text.section("Last Attempt", last_attempt(&status, now));
    let next = ready(&status.conditions).and_then(|ready| next_try(&ready.message));
    text.field("Next Try", next.unwrap_or(NONE));
    text.block("Conditions", &conditions(&status.conditions, now, colours));
    text.block("Events", &events(subject, now, colours));
    text.text()
}

fn declared(number: &PhoneNumber) -> Fields {
    let spec = &number.spec;
    let mut fields = vec![("Provider", spec.provider.to_string())];
    if let Some(number) = &spec.phone_number {
        fields.push(("Number", shown(number)));
    }
    if let Some(search) = &spec.search {
        fields.push(("Search", shown(&search.title())));
    }
    if let Some(assistant) = spec.assistant_id {
        fields.push(("Assistant", assistant.to_string()));
    }
    if let Some(name) = &spec.friendly_name {
        fields.push(("Friendly Name", shown(name)));
    }
    if let Some(most) = &spec.max_monthly_cost {
        let most = format!("{} {} a month", most.amount, most.currency);
        fields.push(("At Most", shown(&most)));
    }
    fields.push(("Adoption Policy", format!("{:?}", spec.adoption_policy)));
    let policy = spec.deletion_policy;
    let policy = policy.map_or(NONE.to_owned(), |policy| format!("{policy:?}"));
    fields.push(("Deletion Policy", policy));
    let protection = spec.deletion_protection.to_string();
    fields.push(("Deletion Protection", protection));
    fields.push(("Suspend", spec.suspend.to_string()));
    fields
}

/// The account that is referred to, as far as it may be read.
fn account(subject: &Subject) -> Fields {
    let key = &subject.key;
    let place = match &key.namespace {
        Some(namespace) => format!("{namespace}/{}", key.name),
        None => key.name.clone(),
    };
    let mut fields = vec![("Name", shown(&format!("{} {place}", key.kind)))];
    match &subject.account {
        Ok(Some(account)) => {
            let ready = ready(&account.status.conditions);
            let ready = ready.map_or(NONE.to_owned(), |ready| {
                shown(&format!("{} ({})", ready.status, ready.reason))
            });
            fields.push(("Ready", ready));
            let id = account.status.account_id.as_deref().unwrap_or_default();
            fields.push(("ID", shown(id)));
        }
        Ok(None) => fields.push(("Ready", "it does not exist".to_owned())),
        Err(error) => fields.push(("Ready", unreadable(error))),
    }
    fields
}

fn held(number: &PhoneNumber, status: &PhoneNumberStatus) -> Fields {
    let mut fields = Vec::new();
    let mut add = |name, value: &Option<String>| {
        if let Some(value) = value {
            fields.push((name, shown(value)));
        }
    };
    add("Number", &status.phone_number);
    add("Provider ID", &status.id);
    add("Order", &status.order_id);
    add("Account ID", &status.account_id);
    add("Origin", &status.origin.as_ref().map(ToString::to_string));
    let name = status.twilio.as_ref().map(|it| it.friendly_name.clone());
    add("Friendly Name", &name);
    let mark = name.map(|name| match Mark::find_in(&name) {
        Some(mark) => mark.to_string(),
        None => "it carries none".to_owned(),
    });
    add("Mark", &mark);
    if !fields.is_empty() {
        let (fate, why) = fate(number);
        fields.push(("On Deletion", shown(&format!("{fate}: {why}"))));
    }
    fields
}

fn answered(status: &PhoneNumberStatus) -> Fields {
    let mut fields = Vec::new();
    if let Some(assistant) = &status.assistant {
        let name = assistant.name.as_deref().unwrap_or_default();
        let pending = if assistant.pending { ", pending" } else { "" };
        let text = format!("{} {name}{pending}", assistant.id);
        fields.push(("Assistant", shown(text.trim_end())));
    }
    let url = |url: &Option<String>| url.as_deref().map_or(NONE.to_owned(), webhook);
    if let Some(twilio) = &status.twilio {
        fields.push(("Calls", url(&twilio.voice_url)));
        fields.push(("Messages", url(&twilio.sms_url)));
    }
    if let Some(telnyx) = &status.telnyx {
        let id = |id: &Option<String>| shown(id.as_deref().unwrap_or_default());
        fields.push(("Connection", id(&telnyx.connection_id)));
        fields.push(("Messaging Profile", id(&telnyx.messaging_profile_id)));
        fields.push(("Webhook", url(&telnyx.webhook_url)));
    }
    fields
}

fn cost(status: &PhoneNumberStatus) -> Fields {
    let Some(cost) = &status.cost else {
        return Vec::new();
    };
    let amount = |amount: &str| shown(&format!("{amount} {}", cost.currency));
    vec![
        ("Monthly", amount(&cost.monthly)),
        ("Once", amount(&cost.upfront)),
    ]
}

fn differing(subject: &Subject) -> String {
    let account = subject.account.as_ref().ok().and_then(Option::as_ref);
    let found = differences::differences(&subject.number, account);
    let rows: Vec<_> = found
        .into_iter()
        .map(|it| vec![it.field.to_owned(), it.declared, it.shown])
        .collect();
    match rows.is_empty() {
        true => String::new(),
        false => table(&["FIELD", "DECLARED", "SHOWN"], &rows, false),
    }
}

fn claim(number: &PhoneNumber, now: Timestamp) -> Fields {
    let claim = match Annotation::of(number) {
        Annotation::Absent => return Vec::new(),
        Annotation::Unreadable => return vec![("Note", "it cannot be read".to_owned())],
        Annotation::Claimed(claim) => claim,
    };
    let mut fields = vec![
        ("Intent", shown(&claim.intent)),
        ("Number", shown(&claim.number)),
        ("Account ID", shown(&claim.account_id)),
        ("Age", age(claim.at, now)),
        ("Attempts Before", claim.attempts_before.to_string()),
    ];
    if !claim.is_of_this_object {
        fields.push(("Note", "it is of an earlier object of this name".to_owned()));
    }
    fields
}

fn last_attempt(status: &PhoneNumberStatus, now: Timestamp) -> Fields {
    let Some(attempt) = &status.attempt else {
        return Vec::new();
    };
    let mut fields = vec![
        ("Number", shown(&attempt.number)),
        ("Outcome", shown(&attempt.outcome.to_string())),
        ("Age", age(attempt.at.as_ref().map(|at| at.0), now)),
    ];
    let texts = [
        ("Code", &attempt.code),
        ("Reason", &attempt.reason),
        ("Message", &attempt.message),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            fields.push((name, said(text)));
        }
    }
    if let Some(repeated) = attempt.repeated {
        fields.push(("Repeated", repeated.to_string()));
    }
    fields
}

fn conditions(conditions: &[Condition], now: Timestamp, colours: Colours) -> String {
    let row = |it: &Condition| {
        let since = Some(it.last_transition_time.0);
        vec![
            shown(&it.type_),
            shown(&it.status),
            shown(&it.reason),
            age(since, now),
            said(&it.message),
        ]
    };
    let rows: Vec<_> = conditions.iter().map(row).collect();
    match rows.is_empty() {
        true => String::new(),
        false => painted_table(
            &["TYPE", "STATUS", "REASON", "AGE", "MESSAGE"],
            &rows,
            false,
            &Painted {
                colours,
                column: 1,
                tone: |row| tone(row.first()?, row.get(1)?),
            },
        ),
    }
}

/// How a condition of this type is with this status.
fn tone(type_: &str, status: &str) -> Option<Tone> {
    match (type_, status) {
        (_, "Unknown") => Some(Tone::Doubtful),
        (condition::STALLED, "True") => Some(Tone::Bad),
        (condition::RECONCILING, "True") => Some(Tone::Doubtful),
        (condition::STALLED | condition::RECONCILING, _) => None,
        (_, "True") => Some(Tone::Good),
        (_, "False") => Some(Tone::Bad),
        _ => None,
    }
}

fn events(subject: &Subject, now: Timestamp, colours: Colours) -> String {
    let events = match &subject.events {
        Ok(events) => events,
        Err(error) => return unreadable(error),
    };
    let rows: Vec<_> = events
        .iter()
        .map(|event| {
            let text = |text: &Option<String>| shown(text.as_deref().unwrap_or_default());
            vec![
                text(&event.type_),
                text(&event.reason),
                age(happened(event), now),
                said(event.message.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    match rows.is_empty() {
        true => String::new(),
        false => painted_table(
            &["TYPE", "REASON", "AGE", "MESSAGE"],
            &rows,
            false,
            &Painted {
                colours,
                column: 0,
                tone: |row| (row.first()? == "Warning").then_some(Tone::Doubtful),
            },
        ),
    }
}

/// The Ready condition.
pub(super) fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|it| it.type_ == condition::READY)
}

/// A message in full, on one line and without what may be secret.
pub(super) fn said(text: &str) -> String {
    telephony::shown::line(&without_secrets(text), telephony::shown::MOST_OF_MESSAGE)
}

/// That something could not be read, and why.
pub(super) fn unreadable(error: &Error) -> String {
    format!("<unknown>: {}", said(&error.to_string()))
}

/// The time of day that a message names for the next try, such as `14:05:09 UTC`.
pub(super) fn next_try(message: &str) -> Option<&str> {
    const ZONE: &str = " UTC";
    let (before, _) = message.split_once(ZONE)?;
    let start = before.len().checked_sub("00:00:00".len())?;
    let time = before.get(start..)?;
    let is_time = time.char_indices().all(|(at, c)| match at {
        2 | 5 => c == ':',
        _ => c.is_ascii_digit(),
    });
    is_time.then(|| message.get(start..before.len().saturating_add(ZONE.len())))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_try_is_the_time_that_the_message_names() {
        for (message, wanted) in [
            (
                "The number is asked for again at 14:05:09 UTC.",
                Some("14:05:09 UTC"),
            ),
            ("It goes on in UTC.", None),
            ("at 4:05 UTC", None),
            ("é:05:09 UTC", None),
            ("", None),
        ] {
            assert_eq!(next_try(message), wanted, "{message}");
        }
    }
}
