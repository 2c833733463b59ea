//! What Telnyx's answers mean: the table of refusals, and the reply to an order. Pure.

use super::wire::{Envelope, ErrorBody, NumberOrder};
use crate::number::E164;
use crate::provider::http::{Answer, Session};
use crate::provider::{Error, Refusal, RefusalKind, Reply};

/// The codes that say for certain that nothing was ordered
/// (<https://developers.telnyx.com/development/api-fundamentals/api-errors>). What is not in it is refused all the same, but
/// may have been ordered.
pub(super) const TABLE: &[(&str, RefusalKind)] = &[
    // Not searched before, or searched too long ago; reserved for somebody else.
    ("85000", RefusalKind::NotOnSale),
    ("85006", RefusalKind::NotOnSale),
    ("20100", RefusalKind::InsufficientBalance),
    // Inactive, perhaps out of funds.
    ("20012", RefusalKind::InsufficientBalance),
    // Blocked, unverified, feature not enabled or limited, level not reached.
    ("20013", RefusalKind::PurchasingNotEnabled),
    ("20014", RefusalKind::PurchasingNotEnabled),
    ("20015", RefusalKind::PurchasingNotEnabled),
    ("20016", RefusalKind::PurchasingNotEnabled),
    ("20017", RefusalKind::PurchasingNotEnabled),
    ("10038", RefusalKind::PurchasingNotEnabled),
    ("10039", RefusalKind::PurchasingNotEnabled),
    // Addresses.
    ("20200", RefusalKind::Regulatory),
    ("20201", RefusalKind::Regulatory),
    ("20202", RefusalKind::Regulatory),
    ("20203", RefusalKind::Regulatory),
    ("20204", RefusalKind::Regulatory),
    ("20205", RefusalKind::Regulatory),
    ("20206", RefusalKind::Regulatory),
    ("20207", RefusalKind::Regulatory),
    ("20208", RefusalKind::Regulatory),
    ("20209", RefusalKind::Regulatory),
    // Authentication, authorization, keys, users.
    ("10009", RefusalKind::Unauthorized),
    ("10010", RefusalKind::Unauthorized),
    ("20000", RefusalKind::Unauthorized),
    ("20001", RefusalKind::Unauthorized),
    ("20002", RefusalKind::Unauthorized),
    ("20003", RefusalKind::Unauthorized),
    ("20004", RefusalKind::Unauthorized),
    ("20005", RefusalKind::Unauthorized),
    ("20006", RefusalKind::Unauthorized),
    ("20007", RefusalKind::Unauthorized),
    ("20008", RefusalKind::Unauthorized),
    ("20009", RefusalKind::Unauthorized),
    ("20010", RefusalKind::Unauthorized),
    ("20011", RefusalKind::Unauthorized),
    // An id, an association, a connection, a messaging profile.
    ("10006", RefusalKind::ReferenceMissing),
    ("10013", RefusalKind::ReferenceMissing),
    ("10017", RefusalKind::ReferenceMissing),
    ("85004", RefusalKind::ReferenceMissing),
    ("85005", RefusalKind::ReferenceMissing),
    // A number, a URL, a parameter that is missing, of another type, too long, out of range or unknown.
    ("10002", RefusalKind::Invalid),
    ("10003", RefusalKind::Invalid),
    ("10004", RefusalKind::Invalid),
    ("10015", RefusalKind::Invalid),
    ("10016", RefusalKind::Invalid),
    ("10018", RefusalKind::Invalid),
    ("10019", RefusalKind::Invalid),
    ("10020", RefusalKind::Invalid),
    ("10022", RefusalKind::Invalid),
    ("10025", RefusalKind::Invalid),
    ("10026", RefusalKind::Invalid),
    ("10032", RefusalKind::Invalid),
    ("10033", RefusalKind::Invalid),
    // The form of the request.
    ("10014", RefusalKind::Invalid),
    ("10023", RefusalKind::Invalid),
    ("10024", RefusalKind::Invalid),
    ("10028", RefusalKind::Invalid),
    ("10029", RefusalKind::Invalid),
    ("10030", RefusalKind::Invalid),
    ("10034", RefusalKind::Invalid),
];

/// Each of these may mean that the number is ours already: a duplicate, what cannot be processed, what is not available any
/// more.
pub(super) const MAY_BE_OURS: [&str; 3] = ["10012", "10027", "85001"];

/// There is no such resource.
const NOT_FOUND: &str = "10005";

/// True if this is Telnyx's own word that there is no such resource.
pub(super) fn is_absent(answer: &Answer) -> bool {
    answer.response.status == 404
        && ErrorBody::read(&answer.response)
            .iter()
            .any(|complaint| complaint.code == NOT_FOUND)
}

/// The error that an answer other than the wanted one is, to anything but an order.
pub(super) fn error(answer: &Answer, session: &Session) -> Error {
    let response = &answer.response;
    let status = response.status;
    let complaints = ErrorBody::read(response);
    if status == 429 {
        return Error::Throttled(response.retry_after());
    }
    if (complaints.is_empty() && status >= 400) || matches!(status, 408 | 425) {
        return Error::Unavailable(format!("HTTP {status} without Telnyx's error body"));
    }
    match status {
        500.. => Error::Unavailable(said(status, &complaints, session)),
        400..=499 => {
            let kind = worst(&complaints, status).unwrap_or(unlisted(status));
            let refusal = refusal(kind, &complaints, answer, session);
            if kind == RefusalKind::Unauthorized {
                Error::Unauthorized(refusal)
            } else {
                Error::Refused(refusal)
            }
        }
        _ => Error::Unreadable(format!("HTTP {status} was not expected")),
    }
}

/// What the answer to an order of `number` with `reference` means.
pub(super) fn reply(answer: &Answer, number: &E164, reference: &str, session: &Session) -> Reply {
    let status = answer.response.status;
    if status == 200 {
        return match answer.response.object::<Envelope<NumberOrder>>() {
            Err(_) => Reply::Unknown("HTTP 200, but its body cannot be read".into()),
            Ok(Envelope { data }) => {
                let order = data.into_order();
                if order.reference != reference {
                    Reply::Unknown("HTTP 200, but the order does not carry our reference".into())
                } else if order.numbers != [*number] {
                    Reply::Unknown("HTTP 200, but the order is for another number".into())
                } else if order.id.as_str().is_empty() {
                    Reply::Unknown("HTTP 200, but the order has no id".into())
                } else {
                    Reply::Ordered(order)
                }
            }
        };
    }
    let complaints = ErrorBody::read(&answer.response);
    if complaints.is_empty() {
        return Reply::Unknown(format!("HTTP {status} without Telnyx's error body"));
    }
    let mut codes = complaints.iter().map(|complaint| complaint.code.as_str());
    let refuses = (400..=499).contains(&status) && !matches!(status, 408 | 409 | 425 | 429);
    if !refuses || codes.any(|code| MAY_BE_OURS.contains(&code)) {
        return Reply::Unknown(said(status, &complaints, session));
    }
    match worst(&complaints, status) {
        Some(kind) => Reply::Rejected(refusal(kind, &complaints, answer, session)),
        None => Reply::Refused(refusal(unlisted(status), &complaints, answer, session)),
    }
}

/// What is refused, by the table; a refusal that points at what the request refers to says so more exactly.
fn kind_of(complaint: &ErrorBody, status: u16) -> Option<RefusalKind> {
    let (_, kind) = TABLE.iter().find(|(known, _)| *known == complaint.code)?;
    let points_at = |names: &[&str]| names.iter().any(|name| complaint.pointer.contains(name));
    Some(match complaint.code.as_str() {
        "10010" | "10015" if points_at(&["connection", "messaging_profile", "billing_group"]) => {
            RefusalKind::ReferenceMissing
        }
        "10015" if points_at(&["requirement"]) => RefusalKind::Regulatory,
        // With these it is documented for keys.
        "10006" if matches!(status, 401 | 403) => RefusalKind::Unauthorized,
        _ => *kind,
    })
}

/// The greatest of what is refused by the table.
fn worst(complaints: &[ErrorBody], status: u16) -> Option<RefusalKind> {
    let known = complaints.iter();
    known
        .filter_map(|complaint| kind_of(complaint, status))
        .max()
}

/// What a refusal with this status means that has no code of the table.
fn unlisted(status: u16) -> RefusalKind {
    if matches!(status, 401 | 403) {
        RefusalKind::Unauthorized
    } else {
        RefusalKind::Unlisted
    }
}

/// The refusal, with the code that made it one of this `kind`. The texts of the others are told behind it.
fn refusal(
    kind: RefusalKind,
    complaints: &[ErrorBody],
    answer: &Answer,
    session: &Session,
) -> Refusal {
    let status = answer.response.status;
    let decides = complaints
        .iter()
        .position(|complaint| kind_of(complaint, status) == Some(kind))
        .unwrap_or_default();
    let code = complaints
        .get(decides)
        .and_then(|complaint| session.code(&complaint.code))
        .unwrap_or_else(|| format!("HTTP {status}"));
    let others = complaints.iter().enumerate();
    let others = others.filter(|(at, _)| *at != decides);
    let mut text = complaints
        .get(decides)
        .map(|complaint| complaint.text.clone())
        .unwrap_or_default();
    for (_, other) in others {
        text = format!("{text}; {}", described(other));
    }
    Refusal {
        kind,
        code,
        text: session.presentable(&text),
        request_id: session.request_id(&answer.response),
    }
}

/// What the answer says, where it is no refusal.
fn said(status: u16, complaints: &[ErrorBody], session: &Session) -> String {
    let texts: Vec<_> = complaints.iter().map(described).collect();
    format!("HTTP {status}, {}", session.presentable(&texts.join("; ")))
}

fn described(complaint: &ErrorBody) -> String {
    format!("{}: {}", complaint.code, complaint.text)
}
