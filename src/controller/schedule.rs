//! When a reconcile is made. No reconcile knows this.

use std::sync::Arc;

use super::setbacks::Setbacks;
use crate::cluster::slots::AccountSlots;
use crate::reconcile::checks::Checks;

/// What decides whether a reconcile is due, and what an account's reconcile compares its listing with.
pub(super) struct Schedule {
    pub(super) slots: Arc<AccountSlots>,
    pub(super) setbacks: Setbacks,
    pub(super) checks: Checks,
}
