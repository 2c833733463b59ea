//! The rules of spending, over every combination of facts.

use super::*;

/// Every combination of a few facts: whatever else is true, these rules hold.
#[test]
fn no_combination_of_facts_breaks_the_rules_of_spending() {
    let claims = [
        Stored::Nothing,
        Stored::Ours(claim_at(0)),
        Stored::EarlierUid(claim_at(0)),
        Stored::Unreadable,
        Stored::Newer(2),
    ];
    let mut checked = 0;
    for claim in claims {
        for bits in 0_u32..1 << 11 {
            let bit = |at: u32| bits & (1 << at) != 0;
            let mut facts = Facts {
                claim: claim.clone(),
                ..fresh()
            };
            facts.finalizer = bit(0);
            facts.deleting = bit(1);
            facts.suspended = bit(2);
            facts.memory.never_bought = bit(3);
            facts.findings.token = bit(4);
            facts.findings.last_look = bit(5).then_some(None);
            facts.findings.offer = Some(bit(6).then(offer));
            facts.rival = bit(7).then(|| "a/b".into());
            facts.now = at(if bit(8) { 4000 } else { 5 });
            facts.adopts = bit(9);
            facts.search = bit(10).then(choosing::search);
            if bit(10) && claim == Stored::Nothing {
                facts.number = None;
            }
            for look in [None, Some(None), Some(Some(holding()))] {
                let facts = match look.clone() {
                    None => facts.clone(),
                    Some(holding) => looked(facts.clone(), holding, None),
                };
                let step = plan(&facts);
                checked += 1;
                if step == Step::Buy {
                    assert!(
                        facts.findings.token,
                        "no purchase without a stored claim: {facts:?}"
                    );
                    assert_eq!(
                        facts.findings.last_look,
                        Some(None),
                        "no purchase without a last look: {facts:?}"
                    );
                }
                if matches!(step, Step::Adopt(_)) {
                    assert!(facts.findings.token && facts.adopts, "{facts:?}");
                }
                let claims_to_adopt = matches!(
                    step,
                    Step::Claim {
                        intent: Intent::Adopt,
                        ..
                    }
                );
                if matches!(step, Step::Buy | Step::Claim { .. }) && !claims_to_adopt {
                    assert!(!facts.deleting && facts.rival.is_none(), "{facts:?}");
                    assert_eq!(
                        look,
                        Some(None),
                        "nothing is bought that was not looked for: {facts:?}"
                    );
                    assert!(
                        !matches!(facts.claim, Stored::Newer(_) | Stored::EarlierUid(_)),
                        "{facts:?}"
                    );
                }
                assert!(!(facts.suspended && step.writes()), "{facts:?}");
                if matches!(step, Step::Record(_)) {
                    assert!(
                        facts.finalizer,
                        "nothing is recorded without the finalizer: {facts:?}"
                    );
                }
            }
        }
    }
    assert_eq!(checked, 5 * 2048 * 3);
}
