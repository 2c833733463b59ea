//! What the resources tell of purchases in an account, all but one.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::claims::Claimed;
use super::{Index, Reference, numbers_of, reference_to};
use crate::account::{ClaimVisitor, OtherClaims};
use crate::api::{AccountKey, PhoneNumber};
use crate::number::{AccountId, E164, Provider};

struct Excluding<'a> {
    index: &'a Index,
    excluded: Reference,
    own: BTreeSet<String>,
    account: Vec<AccountId>,
    since: Timestamp,
    is_credible: Credible<'a>,
}

/// Whether a resource of this namespace that refers to this account, for numbers of this provider, can buy there.
pub(crate) type Credible<'a> = Box<dyn Fn(&str, &AccountKey, Provider) -> bool + 'a>;

impl Index {
    /// What the resources other than `number` tell of purchases in the account with these ids; of claims, those since `since`
    /// of resources that can buy in it.
    pub(crate) fn claims_excluding<'a>(
        &'a self,
        number: &PhoneNumber,
        account: Vec<AccountId>,
        since: Timestamp,
        is_credible: Credible<'a>,
    ) -> impl OtherClaims + use<'a> {
        Excluding {
            index: self,
            excluded: reference_to(number),
            own: numbers_of(number),
            account,
            since,
            is_credible,
        }
    }
}

impl OtherClaims for Excluding<'_> {
    fn is_own(&self, number: &E164) -> bool {
        self.own.contains(number.as_str())
    }

    /// True if what `number` costs is part of [`Index::cost_excluding`].
    fn is_counted(&self, number: &E164) -> bool {
        let mut maps = self.index.lock();
        let (_, is_counted) = maps.claims_and_counts_excluding(&self.excluded);
        is_counted(number)
    }

    fn visit_claims(&self, visitor: &mut dyn ClaimVisitor) {
        let mut maps = self.index.lock();
        let (claims, is_counted) = maps.claims_and_counts_excluding(&self.excluded);
        let is_credible = |who: &Reference, claimed: &Claimed| {
            let (account, provider) = claimed.user.as_ref();
            let namespace = who.namespace.as_deref().unwrap_or_default();
            (self.is_credible)(namespace, account, *provider)
        };
        claims.tell(
            &self.excluded,
            &self.account,
            self.since,
            is_credible,
            is_counted,
            visitor,
        );
    }
}
