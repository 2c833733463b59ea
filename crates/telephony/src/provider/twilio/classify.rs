//! What Twilio's answers mean: the table of refusals, and the reply to a purchase. Pure.

use super::wire::{ErrorBody, Number};
use crate::number::{Configuration, E164, Holding, Whose};
use crate::provider::http::{Answer, Session};
use crate::provider::{Error, Refusal, RefusalKind, Reply};
use crate::safeguards::{Safeguard, is_enabled};

/// The codes that say for certain that nothing was bought, each described under
/// `https://www.twilio.com/docs/errors/<code>`. What is not in it is refused all the same, but may have been bought.
pub(super) const TABLE: &[(i64, RefusalKind)] = &[
    // Not a Twilio number, or another account has it, or it was just released.
    (21422, RefusalKind::NotOnSale),
    // The account is not active because it ran out of funds. Twilio has no other code for that.
    (10001, RefusalKind::InsufficientBalance),
    (20005, RefusalKind::InsufficientBalance),
    (90010, RefusalKind::InsufficientBalance),
    // A trial account, and its second number.
    (10002, RefusalKind::PurchasingNotEnabled),
    (21404, RefusalKind::PurchasingNotEnabled),
    // Test credentials; an action that is disabled for the account.
    (20008, RefusalKind::PurchasingNotEnabled),
    (20010, RefusalKind::PurchasingNotEnabled),
    // Suspended or closed; missing; not active.
    (20403, RefusalKind::PurchasingNotEnabled),
    (21471, RefusalKind::PurchasingNotEnabled),
    (21472, RefusalKind::PurchasingNotEnabled),
    // Restricted from new numbers by Twilio's compliance team.
    (22300, RefusalKind::PurchasingNotEnabled),
    // An address, its locality, a bundle, an identity document, an address that is not in the bundle.
    (21613, RefusalKind::Regulatory),
    (21615, RefusalKind::Regulatory),
    (21631, RefusalKind::Regulatory),
    (21649, RefusalKind::Regulatory),
    (21650, RefusalKind::Regulatory),
    (21651, RefusalKind::Regulatory),
    // "This phone number type does not support SMS."
    (21407, RefusalKind::TakesNoMessages),
    // A wrong user or token; a key without the right to this.
    (20003, RefusalKind::Unauthorized),
    (20006, RefusalKind::Unauthorized),
    (70051, RefusalKind::Unauthorized),
    // The account demands signed requests, or does not know them.
    (70052, RefusalKind::Unauthorized),
    (70053, RefusalKind::Unauthorized),
    // The number, the friendly name, a parameter, a SID, the whole request.
    (21421, RefusalKind::Invalid),
    (20002, RefusalKind::Invalid),
    (70001, RefusalKind::Invalid),
    (20422, RefusalKind::Invalid),
    (20423, RefusalKind::Invalid),
    (20004, RefusalKind::Invalid),
    (70002, RefusalKind::Invalid),
    // A URL that Twilio cannot reach, a method, a fallback URL without its primary URL.
    (21402, RefusalKind::Invalid),
    (21403, RefusalKind::Invalid),
    (21405, RefusalKind::Invalid),
    (21406, RefusalKind::Invalid),
    // What this number or its type cannot do: a caller's name.
    (21409, RefusalKind::Invalid),
    // An application that the account does not have. A purchase names none, so no id of the spec can be missing.
    (21420, RefusalKind::Invalid),
    // An area code, and a type that is not that of the number.
    (21451, RefusalKind::Invalid),
    (21452, RefusalKind::Invalid),
    (21457, RefusalKind::Invalid),
    (21458, RefusalKind::Invalid),
];

/// There is no such resource (<https://www.twilio.com/docs/errors/20404>).
const NOT_FOUND: i64 = 20404;

/// The credential is not accepted (<https://www.twilio.com/docs/errors/20003>).
const NOT_AUTHENTICATED: i64 = 20003;

/// A key opens the region that it was made in (<https://www.twilio.com/docs/global-infrastructure/create-an-api-key-in-region>), and
/// requests go to US1.
const OTHER_REGIONS: &str = " (a credential of a Twilio region other than US1 is refused too)";
/// There is no such messaging service (<https://www.twilio.com/docs/api/errors/21701>).
const NO_SERVICE: i64 = 21701;

/// The number is in this messaging service already (<https://www.twilio.com/docs/api/errors/21710>).
const ATTACHED: i64 = 21710;

/// Too many concurrent requests: "never processed and always safe to retry"
/// (<https://www.twilio.com/docs/errors/20429>).
const TOO_MANY: i64 = 20429;

/// What was asked for, to hold the answer against.
pub(super) struct Asked<'a> {
    pub(super) account_sid: &'a str,
    pub(super) number: &'a E164,
    pub(super) configuration: &'a Configuration,
}

/// True if this is Twilio's own word that there is no such resource.
pub(super) fn is_absent(answer: &Answer) -> bool {
    answer.response.status == 404
        && ErrorBody::read(&answer.response)
            .is_some_and(|complaint| complaint.code == Some(NOT_FOUND))
}

/// True if this is Twilio's own word that there is no such messaging service.
pub(super) fn is_service_absent(answer: &Answer) -> bool {
    let complaint = ErrorBody::read(&answer.response);
    answer.response.status == 404
        && complaint.is_some_and(|it| matches!(it.code, Some(NOT_FOUND | NO_SERVICE)))
}

/// True if this is Twilio's own word that the number is in the messaging service already.
pub(super) fn is_attached(answer: &Answer) -> bool {
    let complaint = ErrorBody::read(&answer.response);
    (400..=499).contains(&answer.response.status)
        && complaint.is_some_and(|it| it.code == Some(ATTACHED))
}

/// The refusal that [`is_absent`] is where not the number but something that the request refers to is asked for.
pub(super) fn absence(kind: RefusalKind, answer: &Answer, session: &Session) -> Refusal {
    let complaint = ErrorBody::read(&answer.response).unwrap_or(ErrorBody {
        code: Some(NOT_FOUND),
        word: NOT_FOUND.to_string(),
        message: String::new(),
    });
    refusal(kind, complaint, answer, session)
}

/// The error that an answer other than the wanted one is, to anything but a purchase.
pub(super) fn error(answer: &Answer, session: &Session) -> Error {
    let response = &answer.response;
    let status = response.status;
    let complaint = ErrorBody::read(response);
    match (status, complaint) {
        (429, _) => Error::Throttled(response.retry_after()),
        (500.., Some(complaint)) => Error::Unavailable(said(status, &complaint, session)),
        (400..=499, Some(complaint)) if !matches!(status, 408 | 425) => {
            let kind = kind_of(complaint.code).unwrap_or(unlisted(status));
            let refusal = refusal(kind, complaint, answer, session);
            if kind == RefusalKind::Unauthorized {
                Error::Unauthorized(refusal)
            } else {
                Error::Refused(refusal)
            }
        }
        (400.., None) | (408 | 425, _) => {
            Error::Unavailable(format!("HTTP {status} without Twilio's error body"))
        }
        _ => Error::Unreadable(format!("HTTP {status} was not expected")),
    }
}

/// What the answer to a purchase means.
pub(super) fn reply(answer: &Answer, asked: &Asked<'_>, session: &Session) -> Reply {
    let response = &answer.response;
    match response.status {
        201 => match bought(answer, asked) {
            Ok(holding) => Reply::Bought(Box::new(holding)),
            Err(why) => Reply::Unknown(format!("HTTP 201, but {why}")),
        },
        status => match ErrorBody::read(response) {
            None => Reply::Unknown(format!("HTTP {status} without Twilio's error body")),
            Some(complaint) if status == 429 && complaint.code == Some(TOO_MANY) => {
                Reply::NotSent(Error::Throttled(response.retry_after()))
            }
            // A conflict and a timeout may be about a purchase that is under way.
            Some(complaint)
                if !(400..=499).contains(&status) || matches!(status, 408 | 409 | 425 | 429) =>
            {
                Reply::Unknown(said(status, &complaint, session))
            }
            Some(complaint) => match kind_of(complaint.code) {
                Some(kind) => Reply::Rejected(refusal(kind, complaint, answer, session)),
                None => Reply::Refused(refusal(unlisted(status), complaint, answer, session)),
            },
        },
    }
}

/// The number, or why the answer does not show that the account has it with our mark. Twilio answers 201 also to a purchase of
/// a number that the account has already, and overwrites its settings.
fn bought(answer: &Answer, asked: &Asked<'_>) -> Result<Holding, &'static str> {
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
    let is_ours = matches!(asked.configuration.mark.whose(name), Whose::Ours(_));
    if !is_ours && is_enabled(Safeguard::ProofOfPurchase) {
        return Err("the number does not carry our mark");
    }
    number.created().ok_or("it has no date_created")?;
    number.into_holding().ok_or("it has no phone number")
}

fn kind_of(code: Option<i64>) -> Option<RefusalKind> {
    let (_, kind) = TABLE.iter().find(|(known, _)| Some(*known) == code)?;
    Some(*kind)
}

/// What a refusal with this status means whose code is not in the table.
fn unlisted(status: u16) -> RefusalKind {
    if matches!(status, 401 | 403) {
        RefusalKind::Unauthorized
    } else {
        RefusalKind::Unlisted
    }
}

fn refusal(kind: RefusalKind, complaint: ErrorBody, answer: &Answer, session: &Session) -> Refusal {
    let code = session.code(&complaint.word);
    let code = code.unwrap_or_else(|| format!("HTTP {}", answer.response.status));
    let mut text = session.presentable(&complaint.message);
    if complaint.code == Some(NOT_AUTHENTICATED) {
        text.push_str(OTHER_REGIONS);
    }
    Refusal {
        kind,
        code,
        text,
        request_id: session.request_id(&answer.response),
    }
}

/// What the answer says, where it is no refusal.
fn said(status: u16, complaint: &ErrorBody, session: &Session) -> String {
    let (word, message) = (&complaint.word, &complaint.message);
    format!(
        "HTTP {status}, {}: {}",
        session.presentable(word),
        session.presentable(message)
    )
}
