//! Tests of `settle`.

use super::*;

#[test]
fn a_process_that_stops_says_nothing_of_burki() {
    let stopping = directory_stop(&DirectoryError::WriteNotAllowed("it does not lead"));
    assert!(matches!(
        stopping,
        Interrupted::Outcome(Outcome::KeepStatus(_))
    ));
    let away = directory_stop(&DirectoryError::Unavailable("no answer".into()));
    let Interrupted::Outcome(Outcome::Wait { reason, .. }) = away else {
        unreachable!("it is said");
    };
    assert_eq!(reason, Reason::AssistantUnverifiable);
}
