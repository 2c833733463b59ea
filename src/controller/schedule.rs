//! When a pass is made. No pass knows this.

use std::sync::Arc;

use super::setbacks::Setbacks;
use crate::cluster::slots::AccountSlots;
use crate::reconcile::checks::Checks;

/// What decides whether a pass is due, and what an account's pass compares its listing with.
pub(super) struct Schedule {
    pub(super) slots: Arc<AccountSlots>,
    pub(super) setbacks: Setbacks,
    pub(super) checks: Checks,
}
