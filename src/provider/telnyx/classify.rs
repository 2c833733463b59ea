//! What Telnyx's answers mean: the table of refusals, and the reply to an order. Pure.

use super::wire::{Complaint, Envelope, NumberOrder};
use crate::number::E164;
use crate::provider::http::{Answer, Session};
use crate::provider::{Error, Refusal, RefusalKind, Reply};

/// The codes that say for certain that nothing was ordered
/// (<https://developers.telnyx.com/development/api-fundamentals/api-errors>). Every other code leaves the outcome
/// unknown. Not in it, because each may mean that the number is ours already: 10012 (duplicate), 10027 (cannot be
/// processed), 85001 (already purchased); nor 10007, 10008 and 10011 (server error, timeout, too many requests).
pub(super) const TABLE: &[(&str, RefusalKind)] = &[
    ("20100", RefusalKind::InsufficientBalance),
    // Inactive, blocked, unverified, feature not enabled, level not reached.
    ("20012", RefusalKind::PurchasingNotEnabled),
    ("20013", RefusalKind::PurchasingNotEnabled),
    ("20014", RefusalKind::PurchasingNotEnabled),
    ("20015", RefusalKind::PurchasingNotEnabled),
    ("20016", RefusalKind::PurchasingNotEnabled),
    ("20017", RefusalKind::PurchasingNotEnabled),
    ("10006", RefusalKind::Unauthorized),
    ("10009", RefusalKind::Unauthorized),
    ("10010", RefusalKind::Unauthorized),
    ("20002", RefusalKind::Unauthorized),
    ("20006", RefusalKind::Unauthorized),
    ("10013", RefusalKind::ReferenceMissing),
    ("10017", RefusalKind::ReferenceMissing),
    ("10002", RefusalKind::Invalid),
    ("10004", RefusalKind::Invalid),
    ("10015", RefusalKind::Invalid),
    ("10016", RefusalKind::Invalid),
    ("10026", RefusalKind::Invalid),
    ("10032", RefusalKind::Invalid),
    ("10033", RefusalKind::Invalid),
];

/// There is no such resource.
const NOT_FOUND: &str = "10005";

/// True if this is Telnyx's own word that there is no such resource.
pub(super) fn is_absent(answer: &Answer) -> bool {
    answer.response.status == 404
        && Complaint::read(&answer.response)
            .iter()
            .any(|complaint| complaint.code == NOT_FOUND)
}

/// The error that an answer other than the wanted one is, to anything but an order.
pub(super) fn error(answer: &Answer, session: &Session) -> Error {
    let response = &answer.response;
    let status = response.status;
    let mut complaints = Complaint::read(response).into_iter();
    match (status, complaints.next()) {
        (429, _) => Error::Throttled(response.retry_after()),
        (500.., Some(complaint)) => Error::Unavailable(format!(
            "HTTP {status}, {}: {}",
            complaint.code,
            session.presentable(&complaint.text)
        )),
        (400..=499, Some(complaint)) if status != 408 => {
            let refused_credential = matches!(status, 401 | 403);
            let kind = kind_of(&complaint).unwrap_or(if refused_credential {
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
            Error::Unavailable(format!("HTTP {status} without Telnyx's error body"))
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
    let complaints = Complaint::read(&answer.response);
    let certain = (400..=499).contains(&status)
        && !matches!(status, 408 | 409 | 429)
        && complaints
            .iter()
            .all(|complaint| kind_of(complaint).is_some());
    let Some(complaint) = complaints.into_iter().next() else {
        return Reply::Unknown(format!("HTTP {status} without Telnyx's error body"));
    };
    match kind_of(&complaint) {
        Some(kind) if certain => Reply::Rejected(refusal(kind, complaint, answer, session)),
        _ => Reply::Unknown(format!(
            "HTTP {status}, {}: {}",
            complaint.code,
            session.presentable(&complaint.text)
        )),
    }
}

/// What is refused, by the table; a refusal that points at what the request refers to says so more exactly.
fn kind_of(complaint: &Complaint) -> Option<RefusalKind> {
    let (_, kind) = TABLE.iter().find(|(known, _)| *known == complaint.code)?;
    let points_at = |names: &[&str]| names.iter().any(|name| complaint.pointer.contains(name));
    Some(match complaint.code.as_str() {
        "10010" | "10015" if points_at(&["connection", "messaging_profile", "billing_group"]) => {
            RefusalKind::ReferenceMissing
        }
        "10015" if points_at(&["requirement"]) => RefusalKind::Regulatory,
        _ => *kind,
    })
}

fn refusal(kind: RefusalKind, complaint: Complaint, answer: &Answer, session: &Session) -> Refusal {
    Refusal {
        kind,
        code: complaint.code,
        text: session.presentable(&complaint.text),
        request_id: session.request_id(&answer.response),
    }
}
