//! When a pass is made. The loop needs this, and no step of a pass does.

use std::sync::Arc;

use super::checks::{DependencyCache, InventoryChecks};
use super::setbacks::Setbacks;
use super::slots::AccountSlots;

/// What decides whether a pass is due, and what an account's pass compares its listing with.
pub(super) struct Schedule {
    pub(super) slots: Arc<AccountSlots>,
    pub(super) setbacks: Setbacks,
    pub(super) checks: InventoryChecks,
    pub(super) dependencies: DependencyCache,
}
