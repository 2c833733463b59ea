//! What the resources tell of purchases in an account, all but one.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Index, Reference, numbers_of, reference_to};
use crate::account::{Asker, Told};
use crate::api::PhoneNumber;
use crate::number::{AccountId, E164};

struct ToldBesides<'a> {
    index: &'a Index,
    besides: Reference,
    own: BTreeSet<String>,
    account: &'a AccountId,
    since: Timestamp,
}

impl Index {
    /// What the resources other than `number` tell of purchases in `account`; of claims, those since `since`.
    pub(in crate::controller) fn told_besides<'a>(
        &'a self,
        number: &PhoneNumber,
        account: &'a AccountId,
        since: Timestamp,
    ) -> impl Told + use<'a> {
        ToldBesides {
            index: self,
            besides: reference_to(number),
            own: numbers_of(number),
            account,
            since,
        }
    }
}

impl Told for ToldBesides<'_> {
    fn is_own(&self, number: &E164) -> bool {
        self.own.contains(number.as_str())
    }

    /// True if what `number` costs is part of [`Index::cost_besides`].
    fn is_counted(&self, number: &E164) -> bool {
        self.index.lock().counts_besides(&self.besides, number)
    }

    fn tell_claims(&self, asker: &mut dyn Asker) {
        let mut maps = self.index.lock();
        let mut claims = std::mem::take(&mut maps.claims);
        let is_counted = |number: &E164| maps.counts_besides(&self.besides, number);
        claims.tell(&self.besides, self.account, self.since, is_counted, asker);
        maps.claims = claims;
    }
}
