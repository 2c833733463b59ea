//! Which numbers of an account nobody looks after. Pure.

use std::collections::HashMap;

use telephony::number::{Holding, Installation, Mark, NumberId, Origin, Owner};

/// What is known of a PhoneNumber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Its namespace and name.
    pub(super) owner: Owner,
    /// The number that it declares, or that a search came to.
    pub(super) number: Option<String>,
    /// The provider's id of the number that it holds.
    pub(super) recorded: Option<NumberId>,
}

/// A number with a mark of this installation that no PhoneNumber holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Orphan {
    /// The number.
    pub(super) holding: Holding,
    /// The mark on it.
    pub(super) mark: Mark,
    /// The PhoneNumber that the mark names, which holds another number or none; `None` if it does not exist.
    pub(super) owner: Option<Owner>,
}

/// The numbers without any operator's mark, by number.
pub(super) fn unmanaged(holdings: Vec<Holding>) -> Vec<Holding> {
    let mut found = holdings;
    found.retain(|holding| Mark::find_in(&holding.marked_text).is_none());
    found.sort_by(|one, other| (&one.number, &one.id).cmp(&(&other.number, &other.id)));
    found
}

/// The numbers with a mark of `installation` that none of `known` holds, by number. Of several numbers with one mark, the
/// PhoneNumber holds the one that it recorded; before that, the one that it declares.
pub(super) fn orphans(
    holdings: Vec<Holding>,
    installation: &Installation,
    known: &[Known],
) -> Vec<Orphan> {
    let by_mark: HashMap<String, &Known> = known
        .iter()
        .map(|known| {
            let mark = Mark::new(Origin::Bought, installation, &known.owner);
            (mark.identity(), known)
        })
        .collect();
    let mut found = Vec::new();
    for holding in holdings {
        let Some(mark) = Mark::find_in(&holding.marked_text) else {
            continue;
        };
        let owner = by_mark.get(&mark.identity());
        if !mark.is_of(installation) || owner.is_some_and(|owner| holds(owner, &holding)) {
            continue;
        }
        found.push(Orphan {
            owner: owner.map(|known| known.owner.clone()),
            holding,
            mark,
        });
    }
    found.sort_by(|one, other| {
        let key = |orphan: &Orphan| (orphan.holding.number, orphan.holding.id.clone());
        key(one).cmp(&key(other))
    });
    found
}

/// True if `known` holds the number that carries its mark, or has yet to record it.
fn holds(known: &Known, holding: &Holding) -> bool {
    match (&known.recorded, &known.number) {
        (Some(recorded), _) => *recorded == holding.id,
        (None, Some(number)) => number == holding.number.as_str(),
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telephony::number::{Provider, Settings, TwilioSettings};

    fn here() -> Installation {
        Installation::new("here")
    }

    fn owner(name: &str) -> Owner {
        Owner {
            namespace: "support".into(),
            name: name.into(),
        }
    }

    fn holding(id: &str, number: &str, text: &str) -> Holding {
        Holding {
            id: NumberId::new(id),
            number: number.parse().unwrap(),
            marked_text: text.to_owned(),
            created: None,
            line: telephony::number::Line::Live,
            settings: Settings::Twilio(TwilioSettings::default()),
        }
    }

    fn marked(id: &str, number: &str, name: &str, installation: &str) -> Holding {
        let installation = Installation::new(installation);
        let mark = Mark::new(Origin::Bought, &installation, &owner(name));
        holding(id, number, &mark.with_name(Provider::Twilio, name))
    }

    fn known(name: &str, number: Option<&str>, recorded: Option<&str>) -> Known {
        Known {
            owner: owner(name),
            number: number.map(str::to_owned),
            recorded: recorded.map(NumberId::new),
        }
    }

    #[test]
    fn a_mark_of_any_operator_makes_a_number_managed() {
        let found = unmanaged(vec![
            holding("b", "+12125550002", "Main line"),
            holding("a", "+12125550001", ""),
            holding("e", "+12125550005", "xpn1.aaaaaa.bbbbbbbbbbbbb"),
            marked("c", "+12125550003", "nyc", "here"),
            marked("d", "+12125550004", "nyc", "elsewhere"),
        ]);
        let ids: Vec<_> = found.iter().map(|found| found.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "e"]);
    }

    #[test]
    fn a_number_is_an_orphan_unless_the_phone_number_that_its_mark_names_holds_it() {
        let one = "+12125550001";
        let two = "+12125550002";
        let both = || {
            vec![
                marked("a", one, "nyc", "here"),
                marked("b", two, "nyc", "here"),
            ]
        };
        let alone = || vec![marked("a", one, "nyc", "here")];
        type Row = (Vec<Holding>, Vec<Known>, &'static [(&'static str, bool)]);
        let table: [Row; 9] = [
            (alone(), vec![known("nyc", Some(one), Some("a"))], &[]),
            (alone(), vec![], &[("a", false)]),
            (
                alone(),
                vec![known("lax", Some(one), Some("a"))],
                &[("a", false)],
            ),
            (alone(), vec![known("nyc", Some(one), None)], &[]),
            (alone(), vec![known("nyc", None, None)], &[]),
            (
                both(),
                vec![known("nyc", Some(one), Some("b"))],
                &[("a", true)],
            ),
            (both(), vec![known("nyc", Some(two), None)], &[("a", true)]),
            (both(), vec![], &[("a", false), ("b", false)]),
            (
                vec![marked("a", one, "nyc", "elsewhere"), holding("b", two, "")],
                vec![],
                &[],
            ),
        ];
        for (holdings, known, wanted) in table {
            let found = orphans(holdings, &here(), &known);
            let found: Vec<_> = found
                .iter()
                .map(|orphan| (orphan.holding.id.as_str(), orphan.owner.is_some()))
                .collect();
            assert_eq!(found, wanted, "{known:?}");
        }
    }

    #[test]
    fn an_adopted_number_is_held_like_a_bought_one() {
        let mark = Mark::new(Origin::Adopted, &here(), &owner("nyc"));
        let adopted = holding("a", "+12125550001", &mark.to_string());
        let known = [known("nyc", None, Some("a"))];
        assert!(orphans(vec![adopted.clone()], &here(), &known).is_empty());
        assert_eq!(orphans(vec![adopted], &here(), &[])[0].mark, mark);
    }
}
