//! The claims to buy of late: the account's listing may not show yet what was bought with them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::Reference;
use crate::account::{ClaimVisitor, Version};
use crate::api::AccountKey;
use crate::number::{AccountId, Amount, E164, Provider};

/// What is kept of a claim to buy.
pub(in crate::cluster) struct Claimed {
    /// The account at the provider, as the claim names it: somebody may have made it up.
    pub(super) account: AccountId,
    /// The account that the resource refers to, and its provider.
    pub(super) user: Arc<(AccountKey, Provider)>,
    pub(super) number: E164,
    /// What the number costs each month.
    pub(super) monthly: Amount,
    pub(super) at: Timestamp,
    /// True if the resource tells what the number costs.
    pub(super) is_counted: bool,
}

impl Claimed {
    /// True if it adds nothing to what the numbers that are held cost.
    fn costs_nothing_more(&self) -> bool {
        self.is_counted || self.monthly == Amount::ZERO
    }
}

/// Claims, by who made them.
#[derive(Default)]
pub(super) struct Claims {
    open: HashMap<Arc<Reference>, Claimed>,
    /// Those of numbers that count as held by all measures. Of thousands nearly all are, and nobody goes through them until
    /// what is known of the account may have lost a number.
    settled: HashMap<Arc<Reference>, Claimed>,
    settled_by: HashMap<AccountId, Version>,
}

impl Claims {
    /// Notes a claim instead of what was noted of `who`.
    pub(super) fn put(&mut self, who: &Arc<Reference>, claimed: Claimed) {
        self.remove(who);
        self.open.insert(Arc::clone(who), claimed);
    }

    /// Forgets what was noted of `who`.
    pub(super) fn remove(&mut self, who: &Reference) {
        self.open.remove(who);
        self.settled.remove(who);
    }

    /// Forgets what was claimed before `since`.
    pub(super) fn forget_before(&mut self, since: Timestamp) {
        self.open.retain(|_, claimed| claimed.at >= since);
        self.settled.retain(|_, claimed| claimed.at >= since);
        let settled = self.settled.values();
        let accounts: HashSet<&AccountId> = settled.map(|claimed| &claimed.account).collect();
        self.settled_by.retain(|id, _| accounts.contains(id));
    }

    /// Has `visitor` visit what others than `excluded` claimed in the account with these ids at `since` or later, but what counts as
    /// held anyway. `is_credible` tells whether who claimed can buy in it; `is_counted`, whether somebody else tells the cost
    /// of a number.
    pub(super) fn tell(
        &mut self,
        excluded: &Reference,
        account: &[AccountId],
        since: Timestamp,
        is_credible: impl Fn(&Reference, &Claimed) -> bool,
        is_counted: impl Fn(&E164) -> bool,
        visitor: &mut dyn ClaimVisitor,
    ) {
        let version = visitor.version();
        let is_settled = |id| self.settled_by.get(id) == Some(&version);
        if !account.iter().all(is_settled) {
            let again = self
                .settled
                .extract_if(|_, claimed| account.contains(&claimed.account));
            self.open.extend(again);
            let versions = account.iter().map(|id| (id.clone(), version));
            self.settled_by.extend(versions);
        }
        self.open.retain(|_, claimed| claimed.at >= since);
        let settled = self.open.extract_if(|who, claimed| {
            let is_here = account.contains(&claimed.account);
            if **who == *excluded || !is_here || !is_credible(who, claimed) {
                return false;
            }
            let counts = claimed.is_counted || is_counted(&claimed.number);
            let is_held = visitor.visit(&claimed.number, claimed.monthly, counts);
            is_held && claimed.costs_nothing_more()
        });
        self.settled.extend(settled);
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector::ObjectRef;

    use super::*;
    use crate::api::AccountKind;

    /// What a number costs that has a price.
    const MONTHLY: &str = "1.15";

    /// Holds numbers, and counts what it is told.
    #[derive(Default)]
    struct Held {
        numbers: Vec<E164>,
        version: Version,
        told: usize,
    }

    impl ClaimVisitor for Held {
        fn version(&self) -> Version {
            self.version
        }

        fn visit(&mut self, number: &E164, _: Amount, _: bool) -> bool {
            self.told = self.told.saturating_add(1);
            self.numbers.contains(number)
        }
    }

    fn number(index: usize) -> E164 {
        format!("+1212555{index:04}").parse().unwrap()
    }

    fn who(index: usize) -> Arc<Reference> {
        Arc::new(ObjectRef::new(&format!("n{index}")).within("support"))
    }

    fn claimed(index: usize, is_counted: bool) -> Claimed {
        Claimed {
            account: AccountId::new("AC1"),
            user: Arc::new((
                AccountKey {
                    kind: AccountKind::ProviderAccount,
                    namespace: None,
                    name: "a".into(),
                },
                Provider::Twilio,
            )),
            number: number(index),
            monthly: Amount::read(MONTHLY).unwrap(),
            at: Timestamp::UNIX_EPOCH,
            is_counted,
        }
    }

    fn ask(claims: &mut Claims, held: &mut Held) -> usize {
        held.told = 0;
        let account = [AccountId::new("AC1")];
        let nobody = ObjectRef::new("nobody").within("support");
        claims.tell(
            &nobody,
            &account,
            Timestamp::MIN,
            |_, _| true,
            |_| true,
            held,
        );
        held.told
    }

    #[test]
    fn what_counts_as_held_is_told_again_only_when_it_may_be_lost_or_has_changed() {
        let (mut claims, mut held) = (Claims::default(), Held::default());
        claims.put(&who(0), claimed(0, true));
        assert_eq!(ask(&mut claims, &mut held), 1);
        assert_eq!(ask(&mut claims, &mut held), 1, "the account has it not");
        held.numbers = vec![number(0), number(1)];
        assert_eq!(ask(&mut claims, &mut held), 1);
        assert_eq!(ask(&mut claims, &mut held), 0);
        held.version = Version::default();
        assert_eq!(ask(&mut claims, &mut held), 1, "it may be lost");
        assert_eq!(ask(&mut claims, &mut held), 0);
        claims.put(&who(0), claimed(1, true));
        assert_eq!(ask(&mut claims, &mut held), 1, "it has changed");
        claims.put(&who(0), claimed(1, false));
        assert_eq!(ask(&mut claims, &mut held), 1);
        assert_eq!(
            ask(&mut claims, &mut held),
            1,
            "only another tells its cost"
        );
        claims.remove(&who(0));
        assert_eq!(ask(&mut claims, &mut held), 0);
    }

    #[test]
    fn what_counts_as_held_takes_no_time_of_each_purchase() {
        let (mut claims, mut held) = (Claims::default(), Held::default());
        let mut told = 0;
        for index in 0..1000 {
            claims.put(&who(index), claimed(index, true));
            held.numbers = vec![number(index)];
            told += ask(&mut claims, &mut held);
        }
        assert_eq!(told, 1000);
    }

    #[test]
    fn what_has_no_price_takes_no_time_of_each_purchase_either() {
        let (mut claims, mut held) = (Claims::default(), Held::default());
        let mut told = 0;
        for index in 0..1000 {
            let unpriced = Claimed {
                monthly: Amount::ZERO,
                ..claimed(index, false)
            };
            claims.put(&who(index), unpriced);
            held.numbers = vec![number(index)];
            told += ask(&mut claims, &mut held);
        }
        assert_eq!(told, 1000);
    }

    #[test]
    fn what_was_claimed_long_ago_is_forgotten() {
        let (mut claims, mut held) = (Claims::default(), Held::default());
        let later = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1);
        claims.put(&who(0), claimed(0, true));
        claims.put(&who(1), claimed(1, true));
        held.numbers = vec![number(0)];
        assert_eq!(ask(&mut claims, &mut held), 2);
        claims.forget_before(later);
        assert!(claims.open.is_empty() && claims.settled.is_empty());
    }
}
