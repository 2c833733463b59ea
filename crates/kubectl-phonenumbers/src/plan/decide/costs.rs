//! The limits on what a number may cost. Pure.

use phonenumber_api::{Limits, Money, PhoneNumberSpec, Reason};
use telephony::number::{Amount, Currency, Price};

use super::blockers::Blocker;
use crate::prices::list::Quote;

/// A limit on a part of a price.
struct Limit<'a> {
    /// Where it is declared.
    field: &'static str,
    money: &'a Money,
    /// True if it is the PhoneNumber's own, false if it is the account's.
    is_own: bool,
    /// True if it is about the setup fee, false if it is about the monthly price.
    is_upfront: bool,
}

/// The first limit of `spec` and of the account that a purchase passes. `spent` is what the numbers of the account cost each month in
/// a currency.
pub(super) fn passed(
    spec: &PhoneNumberSpec,
    account: Option<&Limits>,
    spent: impl Fn(&Currency) -> Amount,
    quote: &Quote,
) -> Option<Blocker> {
    let limits = limits(spec, account);
    let price = match (limits.first(), quote) {
        (None, _) | (_, Quote::NotAsked) => return None,
        (Some(_), Quote::Unpriced) => {
            let why = "no price is known, and maxMonthlyCost or maxUpfrontCost is set".to_owned();
            return Some((Reason::PriceUnknown, why));
        }
        (Some(_), Quote::Price(price)) => price,
    };
    limits.iter().find_map(|limit| limit.passed(price, &spent))
}

fn limits<'a>(spec: &'a PhoneNumberSpec, account: Option<&'a Limits>) -> Vec<Limit<'a>> {
    let shared = |of: fn(&Limits) -> Option<&Money>| account.and_then(of);
    let declared = [
        (
            "spec.maxMonthlyCost",
            spec.max_monthly_cost.as_ref(),
            true,
            false,
        ),
        (
            "spec.maxUpfrontCost",
            spec.max_upfront_cost.as_ref(),
            true,
            true,
        ),
        (
            "spec.limits.maxMonthlyCost",
            shared(|limits| limits.max_monthly_cost.as_ref()),
            false,
            false,
        ),
        (
            "spec.limits.maxUpfrontCost",
            shared(|limits| limits.max_upfront_cost.as_ref()),
            false,
            true,
        ),
    ];
    let limit = |(field, money, is_own, is_upfront): (_, Option<&'a Money>, _, _)| {
        Some(Limit {
            field,
            money: money?,
            is_own,
            is_upfront,
        })
    };
    declared.into_iter().filter_map(limit).collect()
}

impl Limit<'_> {
    fn passed(&self, price: &Price, spent: impl Fn(&Currency) -> Amount) -> Option<Blocker> {
        let currency = &price.currency;
        let is = match self.is_upfront {
            true => format!("the setup fee is {} {currency}", price.upfront),
            false => format!("the price is {} {currency} a month", price.monthly),
        };
        if Currency::new(&self.money.currency).as_ref() != Some(currency) {
            let why = format!("{is}, and {} is in {}", self.field, self.money.currency);
            return Some((Reason::PriceUnknown, why));
        }
        let most = Amount::read(&self.money.amount).unwrap_or_default();
        let is_sum = !self.is_own && !self.is_upfront;
        let (before, amount) = match is_sum {
            true => (spent(currency), price.monthly),
            false if self.is_upfront => (Amount::ZERO, price.upfront),
            false => (Amount::ZERO, price.monthly),
        };
        if before.plus(amount) <= most {
            return None;
        }
        let with = match is_sum {
            true => format!("; with the {before} that the account's numbers cost, that is"),
            false => ",".to_owned(),
        };
        let reason = match self.is_own {
            true => Reason::CostLimitExceeded,
            false => Reason::LimitReached,
        };
        let field = self.field;
        Some((reason, format!("{is}{with} more than {field} of {most}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn reason(spec: Value, limits: Value, quote: &Quote) -> Option<String> {
        let mut whole = json!({"provider": "telnyx", "phoneNumber": "+16175550100"});
        whole.as_object_mut()?.extend(spec.as_object()?.clone());
        let spec: PhoneNumberSpec = serde_json::from_value(whole).unwrap();
        let limits: Limits = serde_json::from_value(limits).unwrap();
        let spent = |_: &Currency| Amount::read("8").unwrap();
        let passed = passed(&spec, Some(&limits), spent, quote);
        passed.map(|(reason, why)| format!("{reason}: {why}"))
    }

    #[test]
    fn each_part_of_a_price_has_a_limit_of_the_number_and_one_of_the_account() {
        let price = Quote::Price(Price::read("1", "2", "USD").unwrap());
        let most =
            |field: &str, amount: &str| json!({field: {"amount": amount, "currency": "USD"}});
        let (monthly, upfront) = ("maxMonthlyCost", "maxUpfrontCost");
        for (field, enough, little, of_account) in [
            (monthly, "1", "0.99", "8.99"),
            (upfront, "2", "1.99", "1.99"),
        ] {
            assert_eq!(reason(most(field, enough), json!({}), &price), None);
            let own = reason(most(field, little), json!({}), &price).unwrap();
            let words = format!("more than spec.{field} of {little}");
            assert!(
                own.starts_with("CostLimitExceeded: ") && own.ends_with(&words),
                "{own}"
            );
            let shared = reason(json!({}), most(field, of_account), &price).unwrap();
            let words = format!("more than spec.limits.{field} of {of_account}");
            assert!(
                shared.starts_with("LimitReached: ") && shared.ends_with(&words),
                "{shared}"
            );
            let unpriced = reason(most(field, enough), json!({}), &Quote::Unpriced).unwrap();
            assert!(unpriced.starts_with("PriceUnknown: "), "{unpriced}");
            assert_eq!(
                reason(most(field, little), json!({}), &Quote::NotAsked),
                None
            );
        }
        assert_eq!(reason(json!({}), most(monthly, "9"), &price), None);
        assert_eq!(reason(json!({}), most(upfront, "2"), &price), None);
    }
}
