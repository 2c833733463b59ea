//! Deletions: what is released, what is kept, and what is waited for.

use super::*;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/deletion.md");

#[test]
fn on_deletion_an_unknown_purchase_is_waited_for() {
    let mut facts = Facts {
        deleting: true,
        ..claimed()
    };
    assert_eq!(plan(&facts), Step::Lookup);
    facts.now = at(599);
    assert_eq!(
        reason(&plan(&looked(facts.clone(), None, None))),
        Some(Reason::Verifying)
    );
    facts.now = at(600);
    assert_eq!(
        plan(&looked(facts.clone(), None, None)),
        Step::RemoveFinalizer(FinalizerRemoval::NotPurchased)
    );
    assert!(
        matches!(
            plan(&looked(facts.clone(), Some(holding()), None)),
            Step::Record(_)
        ),
        "recorded, then released"
    );
    let pending = looked(facts.clone(), None, Some(order(OrderState::Pending)));
    assert!(matches!(plan(&pending), Step::Cancel(_)));
    let refused = looked(facts.clone(), None, Some(order(OrderState::Failure)));
    assert_eq!(
        plan(&refused),
        Step::RemoveFinalizer(FinalizerRemoval::NotPurchased)
    );
    facts.memory.never_bought = true;
    facts.now = at(0);
    assert_eq!(
        plan(&facts),
        Step::RemoveFinalizer(FinalizerRemoval::NotPurchased)
    );
    facts.record.order_id = Some(OrderId::new("o1"));
    assert_eq!(plan(&facts), Step::Lookup, "what was ordered is looked for");
    facts.record.order_id = None;
    facts.record.id = Some(NumberId::new("PN1"));
    assert!(
        matches!(plan(&facts), Step::FetchById(_)),
        "what is recorded is released"
    );
}

/// The number that was about to be taken over may be the purchase of an attempt before.
#[test]
fn on_deletion_a_takeover_after_attempts_is_waited_for() {
    for (attempts, wanted) in [(0, None), (1, Some(Reason::Verifying))] {
        let facts = Facts {
            deleting: true,
            claim: Stored::Ours(claim_at(0).to_adopt().after(attempts)),
            ..claimed()
        };
        let step = plan(&looked(facts.clone(), None, None));
        assert_eq!(reason(&step), wanted, "{step:?}");
        let Stored::Ours(claim) = facts.claim.clone() else {
            panic!("it has one");
        };
        let restored = Facts {
            claim: Stored::EarlierUid(claim),
            ..facts.clone()
        };
        let step = plan(&looked(restored, None, None));
        assert_eq!(reason(&step), wanted, "restored: {step:?}");
        let later = Facts {
            now: at(600),
            ..facts
        };
        assert_eq!(
            plan(&looked(later, None, None)),
            Step::RemoveFinalizer(FinalizerRemoval::NotPurchased)
        );
    }
}

#[test]
fn an_assistant_that_may_answer_is_unassigned_once_it_is_not_wanted() {
    let mut facts = recorded();
    facts.findings.fetched = Some(Some(holding()));
    facts.record.assigning = Some(101);
    assert_eq!(plan(&facts), Step::Unassign(101));
    facts.assistant = Some((102, Ok(())));
    assert_eq!(plan(&facts), Step::Unassign(101));
    facts.assistant = Some((101, Ok(())));
    assert_eq!(plan(&facts), Step::RecordPendingAssignment(101));
    facts.deleting = true;
    assert_eq!(plan(&facts), Step::Unassign(101));
}

#[test]
fn a_release_is_unassign_then_release_then_let_go() {
    let mut facts = Facts {
        deleting: true,
        ..recorded()
    };
    facts.record.assistant = Some(101);
    assert!(matches!(plan(&facts), Step::FetchById(_)));
    facts.findings.fetched = Some(Some(holding()));
    assert_eq!(plan(&facts), Step::Unassign(101));
    facts.record.assistant = None;
    assert_eq!(plan(&facts), Step::RecordRelease(NumberId::new("PN1")));
    facts.findings.release_token = true;
    facts.findings.fetched = None;
    assert!(
        matches!(plan(&facts), Step::FetchById(_)),
        "a look that is old by then is repeated"
    );
    facts.findings.fetched = Some(Some(holding()));
    assert_eq!(plan(&facts), Step::Release(NumberId::new("PN1")));
    facts.findings.released = true;
    assert_eq!(
        plan(&facts),
        Step::RemoveFinalizer(FinalizerRemoval::Released)
    );
}

#[test]
fn a_number_that_is_not_shown_is_let_go_only_after_a_second_404() {
    let mut facts = Facts {
        deleting: true,
        ..recorded()
    };
    facts.findings.fetched = Some(None);
    facts.memory.missing_for = Some(Duration::from_secs(59));
    assert_eq!(reason(&plan(&facts)), Some(Reason::Releasing));
    facts.memory.missing_for = Some(Duration::from_secs(60));
    assert_eq!(
        plan(&facts),
        Step::RemoveFinalizer(FinalizerRemoval::AlreadyAbsent)
    );
    facts.memory.missing_for = Some(Duration::ZERO);
    facts.memory.is_released = true;
    assert_eq!(
        plan(&facts),
        Step::RemoveFinalizer(FinalizerRemoval::Released)
    );
}

#[test]
fn the_way_out_is_named_where_a_release_is_blocked() {
    let blocker = StatusReason::new(Reason::CredentialsMissing, "Secret gone.");
    let facts = Facts {
        deleting: true,
        account: Err(blocker),
        ..recorded()
    };
    match plan(&facts) {
        Step::Done(Outcome::Wait {
            reason: Reason::CredentialsMissing,
            message,
            ..
        }) => {
            assert!(message.contains("deletionPolicy: Retain"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let retain = Facts {
        deletion_policy: Some(DeletionPolicy::Retain),
        ..facts.clone()
    };
    assert_eq!(
        plan(&retain),
        Step::RemoveFinalizer(FinalizerRemoval::Retained),
        "Retain needs no credential"
    );
    let crd_guard = Facts {
        definition_deleted: true,
        ..facts
    };
    assert_eq!(
        plan(&crd_guard),
        Step::RemoveFinalizer(FinalizerRemoval::DefinitionDeleted)
    );
}

#[test]
fn without_our_finalizer_nothing_is_done_to_a_departing_resource() {
    let facts = Facts {
        deleting: true,
        finalizer: false,
        ..recorded()
    };
    assert_eq!(plan(&facts), Step::Done(Outcome::NotManaged));
}

#[test]
fn a_bought_number_waits_for_the_account_unless_the_spec_says_what_its_deletion_does() {
    let mut facts = Facts {
        deleting: true,
        is_listed: true,
        release_due: Some(at(7_200)),
        now: at(7_199),
        ..recorded()
    };
    let Step::Done(Outcome::Wait {
        reason: Reason::ReleaseDelayed,
        message,
        retry: Retry::After(left),
    }) = plan(&facts)
    else {
        panic!("{:?}", plan(&facts));
    };
    assert_eq!(left, Duration::from_secs(1));
    let due = at(7_200).strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    assert!(message.contains(&due), "{message}");
    let day = Duration::from_secs(24 * 3600);
    let waits_a_day = |step: &Step| matches!(step, Step::Done(Outcome::Wait { retry: Retry::After(left), .. }) if *left == day);
    facts.release_due = Some(Timestamp::MAX);
    assert!(waits_a_day(&plan(&facts)), "{:?}", plan(&facts));
    facts.deletion_policy = Some(DeletionPolicy::Release);
    assert!(matches!(plan(&facts), Step::FetchById(_)));
    facts.deletion_policy = Some(DeletionPolicy::Retain);
    assert_eq!(
        plan(&facts),
        Step::RemoveFinalizer(FinalizerRemoval::Retained)
    );
    facts.deletion_policy = None;
    facts.release_due = Some(facts.now);
    assert!(matches!(plan(&facts), Step::FetchById(_)));
}

/// A release that cannot take place is not announced, and a number that is gone has no delay.
#[test]
fn a_delay_is_for_what_the_account_is_seen_to_hold() {
    let mut facts = Facts {
        deleting: true,
        release_due: Some(at(7_200)),
        ..recorded()
    };
    assert!(matches!(plan(&facts), Step::FetchById(_)), "not listed");
    facts.findings.fetched = Some(Some(holding()));
    assert_eq!(reason(&plan(&facts)), Some(Reason::ReleaseDelayed));
    facts.findings.fetched = Some(None);
    facts.memory.missing_for = Some(Duration::from_secs(60));
    assert_eq!(
        plan(&facts),
        Step::RemoveFinalizer(FinalizerRemoval::AlreadyAbsent)
    );
    facts.is_listed = true;
    facts.account = Err(StatusReason::new(Reason::CredentialsInvalid, "no"));
    assert_eq!(reason(&plan(&facts)), Some(Reason::CredentialsInvalid));
}

/// What was never bought has nothing to wait for, and an order is cancelled while that is possible.
#[test]
fn only_a_number_that_is_held_waits_for_the_account() {
    let facts = Facts {
        deleting: true,
        release_due: Some(at(100_000)),
        now: at(600),
        ..claimed()
    };
    assert_eq!(
        plan(&looked(facts.clone(), None, None)),
        Step::RemoveFinalizer(FinalizerRemoval::NotPurchased)
    );
    let pending = looked(facts.clone(), None, Some(order(OrderState::Pending)));
    assert!(matches!(plan(&pending), Step::Cancel(_)));
    let mut found = looked(facts, Some(holding()), None);
    assert!(matches!(plan(&found), Step::Record(_)));
    found.record = recorded().record;
    found.is_listed = true;
    assert_eq!(reason(&plan(&found)), Some(Reason::ReleaseDelayed));
}

/// What happens to a held number whose webhook was changed at the provider.
fn cell(
    suspended: bool,
    protected: bool,
    policy: Option<DeletionPolicy>,
    deleting: bool,
    adopted: bool,
) -> &'static str {
    let mut facts = Facts {
        suspended,
        protected,
        deletion_policy: policy,
        deleting,
        ..recorded()
    };
    let mut drifted = holding();
    if adopted {
        facts.adopted = true;
        facts.mark = facts.mark.adopted();
        drifted.marked_text = facts.mark.with_name(Provider::Twilio, "nyc");
        facts.configuration = Ok(Configuration {
            mark: facts.mark.clone(),
            ..configuration()
        });
    }
    drifted.settings = Settings::Twilio(TwilioSettings::default());
    facts.findings.fetched = Some(Some(drifted));
    match plan(&facts) {
        Step::Configure(..) => "kept and repaired",
        Step::RecordRelease(_) => "released, then the object goes",
        Step::RemoveFinalizer(FinalizerRemoval::Retained) => "kept in the account; the object goes",
        Step::Done(Outcome::Suspended) if deleting => "kept; the object waits (`Suspended`)",
        Step::Done(Outcome::Suspended) => "kept, not repaired",
        step if reason(&step) == Some(Reason::ReleaseProtected) => {
            "kept; the object waits (`ReleaseProtected`)"
        }
        step => panic!("{step:?}"),
    }
}

#[test]
fn the_table_of_deletion_in_the_docs_is_what_the_plan_does() {
    let mut rows = String::from(
        "| suspend | deletionProtection | deletionPolicy | not deleted | deleted, bought | deleted, adopted |\n\
         |---|---|---|---|---|---|\n",
    );
    for suspended in [false, true] {
        for protected in [false, true] {
            for policy in [
                None,
                Some(DeletionPolicy::Release),
                Some(DeletionPolicy::Retain),
            ] {
                let name = policy.map_or("unset".to_owned(), |policy| format!("{policy:?}"));
                let [kept, kept_too, bought, adopted] = [
                    cell(suspended, protected, policy, false, false),
                    cell(suspended, protected, policy, false, true),
                    cell(suspended, protected, policy, true, false),
                    cell(suspended, protected, policy, true, true),
                ];
                assert_eq!(kept, kept_too);
                rows.push_str(&format!(
                    "| {suspended} | {protected} | {name} | {kept} | {bought} | {adopted} |\n"
                ));
            }
        }
    }
    let page = std::fs::read_to_string(TABLE).unwrap();
    let (before, rest) = page.split_once("<!-- table -->\n").unwrap();
    let (table, after) = rest.split_once("<!-- end of table -->").unwrap();
    if std::env::var_os("GENERATE").is_some() {
        let page = format!("{before}<!-- table -->\n{rows}<!-- end of table -->{after}");
        std::fs::write(TABLE, page).unwrap();
    } else {
        assert_eq!(table, rows, "run `make generate`");
    }
}

#[test]
fn a_number_whose_object_had_owners_is_released_only_if_the_spec_says_so() {
    let mut facts = Facts {
        deleting: true,
        owned: true,
        ..recorded()
    };
    facts.findings.fetched = Some(Some(holding()));
    assert_eq!(plan(&facts), Step::RemoveFinalizer(FinalizerRemoval::Owned));
    facts.deletion_policy = Some(DeletionPolicy::Retain);
    assert_eq!(
        plan(&facts),
        Step::RemoveFinalizer(FinalizerRemoval::Retained)
    );
    facts.deletion_policy = Some(DeletionPolicy::Release);
    assert!(matches!(plan(&facts), Step::RecordRelease(_)));
    facts.deletion_policy = None;
    facts.protected = true;
    assert_eq!(
        plan(&facts),
        Step::RemoveFinalizer(FinalizerRemoval::Owned),
        "a namespace that goes waits for nothing that is kept anyway"
    );
}
