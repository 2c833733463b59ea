//! What carriers in North America want registered before they carry the messages that a number sends. Pure.

use super::E164;

/// What is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegistrationKind {
    /// A campaign (A2P 10DLC), for a local number in the US.
    Campaign,
    /// A verification, for a toll-free number.
    TollFree,
}

/// How far a registration is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Registration {
    /// Messages are carried.
    Registered,
    /// It is not finished, in the provider's word.
    Pending(String),
    /// It was refused, in the provider's word.
    Rejected(String),
    /// It was good, and is not any more, in the provider's word.
    Suspended(String),
}

impl Registration {
    /// How much it is worth: of several for one number the best counts.
    fn rank(&self) -> u8 {
        match self {
            Self::Registered => 3,
            Self::Pending(_) => 2,
            Self::Suspended(_) => 1,
            Self::Rejected(_) => 0,
        }
    }

    /// The better of the two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if other.rank() > self.rank() {
            other
        } else {
            self
        }
    }
}

/// The area codes of toll-free numbers, of which 822 is not in use yet.
const TOLL_FREE: [&str; 8] = ["800", "822", "833", "844", "855", "866", "877", "888"];

impl E164 {
    /// What may have to be registered for this number, by its first digits alone. A local number may be one of Canada or of an
    /// island, which [`E164::needs_registration`] tells.
    pub fn may_need_registration(&self) -> Option<RegistrationKind> {
        let national = self.digits().strip_prefix('1')?;
        let is_toll_free = TOLL_FREE.iter().any(|area| national.starts_with(area));
        Some(if is_toll_free {
            RegistrationKind::TollFree
        } else {
            RegistrationKind::Campaign
        })
    }

    /// What has to be registered for this number.
    pub fn needs_registration(&self) -> Option<RegistrationKind> {
        let kind = self.may_need_registration()?;
        let is_american = || {
            let place = self.place();
            place.is_some_and(|place| place.country == "US")
        };
        (kind == RegistrationKind::TollFree || is_american()).then_some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_numbers_of_the_us_need_a_campaign_and_toll_free_ones_a_verification() {
        let (campaign, toll_free) = (RegistrationKind::Campaign, RegistrationKind::TollFree);
        for (number, may_need, needs) in [
            ("+12125551234", Some(campaign), Some(campaign)),
            ("+18005550123", Some(toll_free), Some(toll_free)),
            ("+18885550123", Some(toll_free), Some(toll_free)),
            ("+14165550123", Some(campaign), None),
            ("+442079460141", None, None),
        ] {
            let number: E164 = number.parse().unwrap();
            assert_eq!(number.may_need_registration(), may_need, "{number}");
            assert_eq!(number.needs_registration(), needs, "{number}");
        }
    }

    #[test]
    fn of_several_registrations_the_best_counts() {
        let word = || "x".to_owned();
        let ranked = [
            Registration::Rejected(word()),
            Registration::Suspended(word()),
            Registration::Pending(word()),
            Registration::Registered,
        ];
        for pair in ranked.windows(2) {
            let [worse, better] = pair else { continue };
            assert_eq!(&worse.clone().or(better.clone()), better);
            assert_eq!(&better.clone().or(worse.clone()), better);
        }
    }
}
