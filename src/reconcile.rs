//! What is done with one object: a number, or an account.
//!
//! A reconcile of a number is `resolve -> (plan -> perform)* -> report`; `plan` decides, the others do not. It does not know when
//! it is made, or why.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod checks;
pub(crate) mod conditions;
pub(crate) mod fault;
pub(crate) mod inspect;
pub(crate) mod limits;
pub(crate) mod number;
pub(crate) mod perform;
pub(crate) mod plan;
pub(crate) mod providers;
pub(crate) mod purchasers;
pub(crate) mod report;
pub(crate) mod resolve;
pub(crate) mod rivals;
pub(crate) mod state;
mod unheld;
pub(crate) mod webhooks;
