//! What Twilio's answers mean: the table of refusals, and the reply to a purchase. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::wire::{Complaint, Number};
use crate::number::{Configuration, E164, Holding, Whose};
use crate::provider::http::{Answer, Session};
use crate::provider::{Error, Refusal, RefusalKind, Reply};
use crate::sabotage::{Safeguard, stands};

/// The codes that say for certain that nothing was bought, each described under
/// `https://www.twilio.com/docs/errors/<code>`. Every other code leaves the outcome of a purchase unknown.
pub(super) const TABLE: &[(i64, RefusalKind)] = &[
    // Not a Twilio number, or another account has it, or it was just released.
    (21422, RefusalKind::NotOnSale),
    (21421, RefusalKind::Invalid),
    // The account is not active because it ran out of funds. Twilio has no other code for that.
    (10001, RefusalKind::InsufficientBalance),
    (20005, RefusalKind::InsufficientBalance),
    (90010, RefusalKind::InsufficientBalance),
    // A trial account, and its second number.
    (10002, RefusalKind::PurchasingNotEnabled),
    (21404, RefusalKind::PurchasingNotEnabled),
    // Test credentials.
    (20008, RefusalKind::PurchasingNotEnabled),
    // Suspended or closed.
    (20403, RefusalKind::PurchasingNotEnabled),
    // An address, its locality, a bundle, an address that is not in the bundle.
    (21613, RefusalKind::Regulatory),
    (21615, RefusalKind::Regulatory),
    (21631, RefusalKind::Regulatory),
    (21649, RefusalKind::Regulatory),
    (21651, RefusalKind::Regulatory),
    (20003, RefusalKind::Unauthorized),
    (70051, RefusalKind::Unauthorized),
];

/// There is no such resource (<https://www.twilio.com/docs/errors/20404>).
const NOT_FOUND: i64 = 20404;

/// Too many concurrent requests: "never processed and always safe to retry"
/// (<https://www.twilio.com/docs/errors/20429>).
const TOO_MANY: i64 = 20429;

/// Twilio's `Date` and `date_created` come from different machines; they were not seen to differ by more.
const CLOCK_SKEW: Duration = Duration::from_secs(2);

/// What was asked for, to hold the answer against.
pub(super) struct Asked<'a> {
    pub(super) account_sid: &'a str,
    pub(super) number: &'a E164,
    pub(super) configuration: &'a Configuration,
}

/// True if this is Twilio's own word that there is no such resource.
pub(super) fn is_absent(answer: &Answer) -> bool {
    answer.response.status == 404
        && Complaint::read(&answer.response).is_some_and(|complaint| complaint.code == NOT_FOUND)
}

/// The refusal that [`is_absent`] is where not the number but something that the request refers to is asked for.
pub(super) fn absence(kind: RefusalKind, answer: &Answer, session: &Session) -> Refusal {
    let complaint = Complaint::read(&answer.response).unwrap_or(Complaint {
        code: NOT_FOUND,
        message: String::new(),
    });
    refusal(kind, complaint, answer, session)
}

/// The error that an answer other than the wanted one is, to anything but a purchase.
pub(super) fn error(answer: &Answer, session: &Session) -> Error {
    let response = &answer.response;
    let status = response.status;
    let complaint = Complaint::read(response);
    match (status, complaint) {
        (429, _) => Error::Throttled(response.retry_after()),
        (500.., Some(complaint)) => Error::Unavailable(format!(
            "HTTP {status}, {}: {}",
            complaint.code,
            session.presentable(&complaint.message)
        )),
        (400..=499, Some(complaint)) if status != 408 => {
            let refused_credential = matches!(status, 401 | 403);
            let kind = kind_of(complaint.code).unwrap_or(if refused_credential {
                RefusalKind::Unauthorized
            } else {
                RefusalKind::Invalid
            });
            let refusal = refusal(kind, complaint, answer, session);
            if kind == RefusalKind::Unauthorized {
                Error::Unauthorized(refusal)
            } else {
                Error::Refused(refusal)
            }
        }
        (400.., None) | (408, _) => {
            Error::Unavailable(format!("HTTP {status} without Twilio's error body"))
        }
        _ => Error::Unreadable(format!("HTTP {status} was not expected")),
    }
}

/// What the answer to a purchase means.
pub(super) fn reply(answer: &Answer, asked: &Asked<'_>, session: &Session) -> Reply {
    let response = &answer.response;
    match response.status {
        201 => match bought(answer, asked, session.time()) {
            Ok(holding) => Reply::Bought(holding),
            Err(why) => Reply::Unknown(format!("HTTP 201, but {why}")),
        },
        status => match Complaint::read(response) {
            Some(complaint) if status == 429 && complaint.code == TOO_MANY => {
                Reply::NotSent(Error::Throttled(response.retry_after()))
            }
            Some(complaint) => match kind_of(complaint.code) {
                Some(kind)
                    if (400..=499).contains(&status) && !matches!(status, 408 | 409 | 429) =>
                {
                    Reply::Rejected(refusal(kind, complaint, answer, session))
                }
                _ => Reply::Unknown(format!(
                    "HTTP {status}, {}: {}",
                    complaint.code,
                    session.presentable(&complaint.message)
                )),
            },
            None => Reply::Unknown(format!("HTTP {status} without Twilio's error body")),
        },
    }
}

/// The bought number, or why the answer does not prove that it was bought by the request that it answers: Twilio
/// answers 201 to a purchase of a number that the account has already, and overwrites its settings.
fn bought(
    answer: &Answer,
    asked: &Asked<'_>,
    now: Option<Timestamp>,
) -> Result<Holding, &'static str> {
    let number: Number = answer
        .response
        .object()
        .map_err(|_| "its body cannot be read")?;
    if number.phone_number != asked.number.as_str() {
        return Err("it is about another number");
    }
    if number.account_sid != asked.account_sid {
        return Err("it is about another account");
    }
    if !number.sid.starts_with("PN") {
        return Err("it has no SID");
    }
    let name = number.friendly_name.as_deref().unwrap_or_default();
    let is_proved = stands(Safeguard::ProofOfPurchase);
    if is_proved && !matches!(asked.configuration.mark.whose(name), Whose::Ours(_)) {
        return Err("the number does not carry our mark");
    }
    let created = number.created().ok_or("it has no date_created")?;
    let date = answer.response.date().or(now).ok_or("it has no Date")?;
    let window =
        SignedDuration::try_from(answer.took + CLOCK_SKEW).map_err(|_| "it took forever")?;
    let earliest = date
        .checked_sub(window)
        .map_err(|_| "its Date is no date")?;
    if is_proved && created < earliest {
        return Err("the number is older than the request");
    }
    number.into_holding(false).ok_or("it has no phone number")
}

fn kind_of(code: i64) -> Option<RefusalKind> {
    TABLE
        .iter()
        .find(|(known, _)| *known == code)
        .map(|(_, kind)| *kind)
}

fn refusal(kind: RefusalKind, complaint: Complaint, answer: &Answer, session: &Session) -> Refusal {
    Refusal {
        kind,
        code: complaint.code.to_string(),
        text: session.presentable(&complaint.message),
        request_id: session.request_id(&answer.response),
    }
}
