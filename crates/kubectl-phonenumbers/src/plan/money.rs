//! What a plan costs together, and the maxima that it must keep. Pure.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::str::FromStr;

use telephony::number::{Amount, Currency, Price};

use super::situation::{Action, Verdict};

/// What changes in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// What is paid more each month.
    pub(super) increase: Amount,
    /// What is paid less each month.
    pub(super) decrease: Amount,
    /// What is paid once.
    pub(super) upfront: Amount,
}

impl Sum {
    /// What is paid more each month, with a minus if it is less.
    pub(super) fn net(&self) -> String {
        match self.decrease > self.increase {
            true => format!("-{}", self.decrease.less(self.increase)),
            false => self.increase.less(self.decrease).to_string(),
        }
    }

    fn buys(&mut self, price: &Price) {
        self.increase = self.increase.plus(price.monthly);
        self.upfront = self.upfront.plus(price.upfront);
    }
}

/// What a plan costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Totals {
    /// By currency. What is taken over is paid already.
    pub(super) sums: BTreeMap<Currency, Sum>,
    /// The most that may be paid: with adoptions that may be purchases, and without releases that may not happen or come
    /// later.
    highest: BTreeMap<Currency, Sum>,
    /// How many numbers are bought, or may be, at a price that is not known.
    pub(super) unpriced: usize,
    /// How many numbers are released whose price is not known.
    pub(super) unpriced_releases: usize,
    /// How many objects have each action.
    pub(super) counts: BTreeMap<Action, usize>,
}

impl Totals {
    pub(super) fn of(verdicts: &[Verdict]) -> Self {
        let mut totals = Self::default();
        for verdict in verdicts {
            let count = totals.counts.entry(verdict.action).or_default();
            *count = count.saturating_add(1);
            let is_bought = verdict.action == Action::Buy;
            let is_released = verdict.action == Action::Release;
            match &verdict.price {
                Some(price) => {
                    let currency = &price.currency;
                    let may_be_bought = is_bought || verdict.may_buy;
                    for (sums, buys, saves) in [
                        (&mut totals.sums, is_bought, is_released),
                        (&mut totals.highest, may_be_bought, verdict.saves_at_once),
                    ] {
                        if buys {
                            sums.entry(currency.clone()).or_default().buys(price);
                        } else if saves {
                            let sum = sums.entry(currency.clone()).or_default();
                            sum.decrease = sum.decrease.plus(price.monthly);
                        }
                    }
                }
                None if is_bought || verdict.may_buy => {
                    totals.unpriced = totals.unpriced.saturating_add(1);
                }
                None if is_released => {
                    totals.unpriced_releases = totals.unpriced_releases.saturating_add(1);
                }
                None => {}
            }
        }
        totals
    }

    /// How many objects have this action.
    pub(super) fn count(&self, action: Action) -> usize {
        self.counts.get(&action).copied().unwrap_or_default()
    }
}

/// An amount in a currency, as a flag says it: `50USD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Maximum {
    amount: Amount,
    currency: Currency,
}

impl FromStr for Maximum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let begin = text.find(|c: char| c.is_ascii_alphabetic());
        let parts = begin.and_then(|at| text.split_at_checked(at));
        let read = parts.and_then(|(amount, currency)| {
            Some(Self {
                amount: Amount::read(amount)?,
                currency: Currency::new(currency)?,
            })
        });
        read.ok_or_else(|| "it is an amount and a currency, such as 50USD".to_owned())
    }
}

/// What must not be passed.
#[derive(Clone, Debug, Default)]
pub(super) struct Maxima {
    /// Of what is paid more each month.
    pub(super) monthly: Vec<Maximum>,
    /// Of what is paid once.
    pub(super) upfront: Vec<Maximum>,
}

/// What is held against maxima.
struct Measure<'a> {
    what: &'static str,
    flag: &'static str,
    maxima: &'a [Maximum],
    of: fn(&Sum) -> Amount,
}

impl Maxima {
    /// A line for each maximum that `totals` pass, or may pass.
    pub(super) fn passed(&self, totals: &Totals) -> Vec<String> {
        let mut lines = Vec::new();
        let monthly = Measure {
            what: "the monthly increase",
            flag: "--max-monthly-increase",
            maxima: &self.monthly,
            of: |sum| sum.increase.less(sum.decrease),
        };
        let upfront = Measure {
            what: "what is paid once",
            flag: "--max-upfront",
            maxima: &self.upfront,
            of: |sum| sum.upfront,
        };
        for Measure {
            what,
            flag,
            maxima,
            of,
        } in [monthly, upfront]
        {
            if maxima.is_empty() {
                continue;
            }
            for (currency, sum) in &totals.highest {
                let spent = of(sum);
                let least = maxima.iter().filter(|it| it.currency == *currency);
                match least.map(|it| it.amount).min() {
                    Some(most) if spent > most => lines.push(format!(
                        "{what} of {spent} {currency} is {} more than {flag} {most}{currency}",
                        spent.less(most)
                    )),
                    None if spent > Amount::ZERO => lines.push(format!(
                        "{what} of {spent} {currency} has no maximum: add {flag} for {currency}"
                    )),
                    _ => {}
                }
            }
            if totals.unpriced > 0 {
                lines.push(format!(
                    "{what} cannot be shown to be within {flag}: the price of {} is not known",
                    numbers(totals.unpriced)
                ));
            }
        }
        lines
    }
}

/// A count of numbers, for people.
pub(super) fn numbers(count: usize) -> String {
    match count {
        1 => "1 number".to_owned(),
        count => format!("{count} numbers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::manifests::Kind;
    use telephony::number::Owner;

    fn verdict(action: Action, price: Option<(&str, &str, &str)>, may_buy: bool) -> Verdict {
        Verdict {
            kind: Kind::PhoneNumber,
            owner: Owner {
                namespace: "a".into(),
                name: "b".into(),
            },
            action,
            wanted: String::new(),
            account: None,
            reason: None,
            why: String::new(),
            price: price.map(|(monthly, upfront, currency)| {
                Price::read(monthly, upfront, currency).unwrap()
            }),
            changes: Vec::new(),
            on_deletion: None,
            notes: Vec::new(),
            is_old: false,
            may_buy,
            saves_at_once: action == Action::Release,
        }
    }

    fn maxima(monthly: &[&str], upfront: &[&str]) -> Maxima {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Maxima {
            monthly: read(monthly),
            upfront: read(upfront),
        }
    }

    #[test]
    fn purchases_and_releases_are_summed_by_currency_and_what_is_taken_over_is_paid_already() {
        let totals = Totals::of(&[
            verdict(Action::Buy, Some(("1.15", "0", "USD")), false),
            verdict(Action::Buy, Some(("2.15", "1", "USD")), false),
            verdict(Action::Release, Some(("4", "1", "USD")), false),
            verdict(Action::Adopt, Some(("9", "9", "USD")), false),
            verdict(Action::Keep, Some(("9", "9", "USD")), false),
            verdict(Action::Retain, Some(("9", "9", "USD")), false),
            verdict(Action::Buy, Some(("3", "0", "EUR")), false),
            verdict(Action::Release, None, false),
        ]);
        let sums: Vec<_> = totals
            .sums
            .iter()
            .map(|(currency, sum)| format!("{} {currency}, {} once", sum.net(), sum.upfront))
            .collect();
        assert_eq!(sums, ["3 EUR, 0 once", "-0.70 USD, 1 once"]);
        assert_eq!((totals.unpriced, totals.unpriced_releases), (0, 1));
        assert_eq!(totals.count(Action::Buy), 3);
    }

    #[test]
    fn a_release_that_is_not_certain_leaves_no_room_under_a_maximum() {
        let bought = verdict(Action::Buy, Some(("1.15", "0", "USD")), false);
        let released = verdict(Action::Release, Some(("1", "0", "USD")), false);
        let uncertain = Verdict {
            saves_at_once: false,
            ..released.clone()
        };
        let maxima = maxima(&["0.15USD"], &[]);
        for (released, lines) in [(released, 0), (uncertain, 1)] {
            let totals = Totals::of(&[bought.clone(), released]);
            assert_eq!(maxima.passed(&totals).len(), lines);
            let net: Vec<_> = totals.sums.values().map(Sum::net).collect();
            assert_eq!(net, ["0.15"]);
        }
    }

    #[test]
    fn a_maximum_is_passed_by_more_by_what_is_not_known_and_by_another_currency() {
        let buy = |price| verdict(Action::Buy, price, false);
        let may_buy = verdict(Action::Adopt, Some(("2", "0", "USD")), true);
        let usd = || buy(Some(("1.15", "1", "USD")));
        for (verdicts, maxima, wanted) in [
            (vec![usd()], maxima(&[], &[]), vec![]),
            (vec![usd()], maxima(&["1.15USD"], &["1usd"]), vec![]),
            (
                vec![usd()],
                maxima(&["1USD", "9USD"], &["0.5USD"]),
                vec![
                    "the monthly increase of 1.15 USD is 0.15 more than --max-monthly-increase 1USD",
                    "what is paid once of 1 USD is 0.5 more than --max-upfront 0.5USD",
                ],
            ),
            (
                vec![usd(), may_buy],
                maxima(&["3USD"], &[]),
                vec![
                    "the monthly increase of 3.15 USD is 0.15 more than --max-monthly-increase 3USD",
                ],
            ),
            (
                vec![
                    usd(),
                    verdict(Action::Release, Some(("1", "0", "USD")), false),
                ],
                maxima(&["0.15USD"], &[]),
                vec![],
            ),
            (
                vec![buy(Some(("3", "0", "EUR")))],
                maxima(&["9USD"], &["0USD"]),
                vec![
                    "the monthly increase of 3 EUR has no maximum: add --max-monthly-increase for EUR",
                ],
            ),
            (
                vec![buy(None)],
                maxima(&["9USD"], &[]),
                vec![
                    "the monthly increase cannot be shown to be within --max-monthly-increase: the price of 1 number is not known",
                ],
            ),
        ] {
            assert_eq!(maxima.passed(&Totals::of(&verdicts)), wanted);
        }
        for text in ["", "50", "USD", "-1USD", "1 000USD", "1USDX", "é1USD"] {
            assert!(text.parse::<Maximum>().is_err(), "{text}");
        }
    }
}
