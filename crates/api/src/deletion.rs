//! What the deletion of a PhoneNumber does to the number that it holds. Pure.

use super::DeletionPolicy;

/// What the deletion of an object does to the number that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It releases the number.
    Releases,
    /// It leaves the number in the account.
    Retains,
    /// It leaves the number in the account, because the deletion of an owner may have caused it.
    RetainsOwned,
    /// It waits until the protection ends.
    Waits,
}

impl Deletion {
    /// What the deletion does under `policy`. `is_adopted` says that the number was taken over, `is_owned` that the object has
    /// owners, `is_protected` that `spec.deletionProtection` is set.
    pub fn of(
        policy: Option<DeletionPolicy>,
        is_adopted: bool,
        is_owned: bool,
        is_protected: bool,
    ) -> Self {
        match policy {
            Some(DeletionPolicy::Retain) => Self::Retains,
            // The operator releases an adopted number only if the policy says so.
            None if is_adopted => Self::Retains,
            // Nobody who only deletes an owner asks for a release.
            None if is_owned => Self::RetainsOwned,
            Some(DeletionPolicy::Release) | None if is_protected => Self::Waits,
            Some(DeletionPolicy::Release) | None => Self::Releases,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_policy_or_a_purchase_releases_and_protection_holds_what_would_be_released() {
        use Deletion::{Releases, Retains, RetainsOwned, Waits};
        use DeletionPolicy::{Release, Retain};
        // Adopted, owned, protected.
        for (policy, [adopted, owned, protected], wanted) in [
            (None, [false, false, false], Releases),
            (None, [false, false, true], Waits),
            (None, [false, true, true], RetainsOwned),
            (None, [true, true, true], Retains),
            (Some(Release), [true, true, false], Releases),
            (Some(Release), [true, false, true], Waits),
            (Some(Retain), [false, false, true], Retains),
        ] {
            let found = Deletion::of(policy, adopted, owned, protected);
            assert_eq!(found, wanted, "{policy:?} {adopted} {owned} {protected}");
        }
    }
}
