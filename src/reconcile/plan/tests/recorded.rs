//! What is done with a number whose id is written down.

use super::*;

#[test]
fn a_recorded_number_that_is_missing_is_lost_only_after_a_second_404_and_never_bought_again() {
    let mut facts = recorded();
    assert_eq!(plan(&facts), Step::FetchById(NumberId::new("PN1")));
    facts.findings.fetched = Some(None);
    facts.memory.missing_for = Some(Duration::from_secs(20));
    let left = Duration::from_secs(40);
    assert_eq!(plan(&facts), Step::Done(Outcome::KeepStatus(left)));
    facts.memory.missing_for = Some(Duration::from_secs(60));
    assert_eq!(reason(&plan(&facts)), Some(Reason::Lost));
    facts.findings.fetched = Some(Some(holding()));
    assert_eq!(plan(&facts), Step::Done(Outcome::Ready));
}

#[test]
fn what_was_seen_as_it_is_wanted_is_not_fetched_again() {
    let mut facts = recorded();
    facts.memory.verified = true;
    assert_eq!(plan(&facts), Step::Done(Outcome::Ready));
}

#[test]
fn a_fight_is_left_to_the_other_and_the_last_repair_is_waited_for() {
    let mut facts = recorded();
    let mut changed = holding();
    changed.settings = Settings::Twilio(TwilioSettings::default());
    facts.findings.fetched = Some(Some(changed));
    assert!(matches!(plan(&facts), Step::Configure(..)));
    facts.memory.configuration_conflict = true;
    assert_eq!(reason(&plan(&facts)), Some(Reason::ConfigurationConflict));
    facts.findings.configured = true;
    assert_eq!(reason(&plan(&facts)), Some(Reason::Configuring));
}

#[test]
fn who_answers_is_settled_before_the_webhooks() {
    let mut drifted = holding();
    drifted.settings = Settings::Twilio(TwilioSettings::default());
    let mut facts = recorded();
    facts.findings.fetched = Some(Some(drifted));
    facts.assistant = Some((102, Ok(())));
    facts.record.assistant = Some(101);
    assert_eq!(plan(&facts), Step::Unassign(101));
    facts.record.assistant = None;
    assert_eq!(plan(&facts), Step::RecordPendingAssignment(102));
    facts.record.assigning = Some(102);
    assert_eq!(
        plan(&facts),
        Step::RecordPendingAssignment(102),
        "what an earlier reconcile has announced may not be declared any more"
    );
    facts.findings.announced = Some(102);
    assert_eq!(plan(&facts), Step::Assign(102));
    facts.record.assistant = Some(102);
    facts.record.assigning = None;
    assert!(matches!(plan(&facts), Step::Configure(..)));
    facts.assistant = None;
    assert_eq!(plan(&facts), Step::Unassign(102));
    facts.assistant = Some((
        102,
        Err(StatusReason::new(Reason::AssistantUnverifiable, "down")),
    ));
    assert!(
        matches!(plan(&facts), Step::Configure(..)),
        "an assignment that stands is not disturbed"
    );
    facts.assistant = Some((
        102,
        Err(StatusReason::new(Reason::AssistantInactive, "off")),
    ));
    assert_eq!(reason(&plan(&facts)), Some(Reason::AssistantInactive));
}

#[test]
fn a_number_with_a_foreign_mark_is_neither_configured_nor_released() {
    let mut foreign = holding();
    foreign.marked_text = "x [pn1.aaaaaa.bbbbbbbbbbbbb]".into();
    let mut facts = recorded();
    facts.findings.fetched = Some(Some(foreign));
    assert_eq!(reason(&plan(&facts)), Some(Reason::OwnedByAnother));
    facts.deleting = true;
    assert_eq!(
        plan(&facts),
        Step::RemoveFinalizer(FinalizerRemoval::NotOwned)
    );
}

#[test]
fn a_renamed_number_gets_its_mark_back_before_anything_else_is_done_with_it() {
    let mut renamed = holding();
    renamed.marked_text = "my number".into();
    for deleting in [false, true] {
        let mut facts = Facts {
            deleting,
            ..recorded()
        };
        facts.findings.fetched = Some(Some(renamed.clone()));
        assert_eq!(plan(&facts), Step::RestoreMark(NumberId::new("PN1")));
        facts.findings.marked = true;
        assert!(matches!(plan(&facts), Step::Done(Outcome::Wait { .. })));
    }
}
