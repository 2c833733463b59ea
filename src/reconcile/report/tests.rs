//! Tests of `report`.

use super::*;
use crate::api::AssistantStatus;

fn with(id: Option<&str>, assistant: Option<i64>) -> PhoneNumberStatus {
    PhoneNumberStatus {
        id: id.map(str::to_owned),
        assistant: assistant.map(|id| AssistantStatus {
            id,
            ..AssistantStatus::default()
        }),
        ..PhoneNumberStatus::default()
    }
}

#[test]
fn what_another_process_has_recorded_meanwhile_is_kept() {
    let nothing = with(None, None);
    for (before, decided, live, kept) in [
        // It only records the number, and another one has assigned it meanwhile.
        (None, None, Some(102), Some(102)),
        (None, Some(101), Some(102), Some(101)),
        (Some(101), None, Some(101), None),
        (Some(101), Some(101), None, None),
    ] {
        let mut status = with(Some("PN1"), decided);
        let live = with(Some("PN1"), live);
        keep_what_is_not_ours(&mut status, &with(None, before), &live);
        assert_eq!(status.assistant.map(|it| it.id), kept);
    }
    let mut status = with(Some("PN1"), None);
    let mut live = with(Some("PN1"), None);
    live.order_id = Some("o1".to_owned());
    keep_what_is_not_ours(&mut status, &nothing, &live);
    assert_eq!(status.order_id.as_deref(), Some("o1"));
}
