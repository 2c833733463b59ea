//! One reconcile of one account: proves its credential, shows its id, and keeps it while PhoneNumbers need it.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tracing::Instrument;

use super::audit;
use super::checks::{Checks, InventoryChecks};
use super::conditions::set_condition;
use super::fault;
use super::inspect;
use super::limits::limit_of;
use super::providers::Providers;
use super::resolve::{open_account, provider_blocker};
use super::unheld::Prices;
use crate::account::{Account, ListedNumber, is_suspect};
use crate::api::{
    ACCOUNT_FINALIZER, AccountBalance, AccountKind, AccountSpec, AccountStatus, PhoneNumber,
    Reason, StatusReason, condition, finalizers_of, has_finalizer, reason_of,
};
use crate::cluster::any_account::AnyAccount;
use crate::cluster::caches::Caches;
use crate::cluster::process::Process;
use crate::cluster::writer::Writer;
use crate::cluster::{AccountView, Cluster};
use crate::number::Amount;
use crate::outcome::RequeueAfter;
use crate::provider::Identity;
use crate::provider::http::{AuditContext, with_audit_context};
use crate::telemetry::traces::SPANS;

/// Reconciles `account` once.
///
/// # Errors
/// Those of the API server.
pub(crate) async fn reconcile<A: AnyAccount>(
    account: Arc<A>,
    cluster: &Cluster,
    providers: &Providers,
    writer: &Writer,
    checks: &Checks,
    process: &Process,
) -> Result<RequeueAfter, kube::Error> {
    let kind = label(A::KIND);
    let audited = AuditContext {
        object: format!("{} {}", A::kind(&()), account.label()),
        generation: account.meta().generation.unwrap_or_default(),
        reason: audit::TO_RESOLVE.to_owned(),
        cost: None,
    };
    process.metrics.expect(&account.label());
    let begun = process.clock.now();
    let span = tracing::info_span!(
        target: SPANS,
        "reconcile",
        kind,
        namespace = account.namespace(),
        name = account.name_any(),
        generation = account.meta().generation,
    );
    let passed = with_audit_context(
        audited,
        reconcile_now(
            Arc::clone(&account),
            cluster,
            providers,
            writer,
            checks,
            process,
        ),
    )
    .instrument(span)
    .await;
    process.count_reconcile(kind, begun, &passed);
    passed
}

async fn reconcile_now<A: AnyAccount>(
    account: Arc<A>,
    cluster: &Cluster,
    providers: &Providers,
    writer: &Writer,
    checks: &Checks,
    process: &Process,
) -> Result<RequeueAfter, kube::Error> {
    let account = keep_while_used(account, cluster, writer).await?;
    if account.meta().deletion_timestamp.is_some()
        && !has_finalizer(account.as_ref(), ACCOUNT_FINALIZER)
    {
        return Ok(None);
    }
    let view = AccountView {
        spec: account.spec().clone(),
        namespace: account
            .namespace()
            .unwrap_or_else(|| process.settings.operator_namespace.clone()),
        title: format!("{} {}", A::kind(&()), account.name_any()),
        denied: None,
    };
    let mut status = account.status().cloned().unwrap_or_default();
    let key = account.key();
    let users = cluster.users(&key);
    let opened = open_account(&view, &cluster.secrets, &providers.accounts, false).await?;
    cluster.opened(&key, &opened, providers);
    let (ready, reason, message) = match opened {
        Ok(opened) => {
            status.account_id = Some(opened.identity().account.to_string());
            cluster.limits_of(&opened, &key, &account.spec().limits);
            match inspect(
                account.as_ref(),
                &opened,
                &users,
                cluster,
                providers,
                checks,
                process,
            )
            .await?
            {
                Ok(note) => {
                    show_figures(
                        account.as_ref(),
                        &opened,
                        &mut status,
                        &cluster.caches,
                        &checks.inventory,
                        process,
                    )
                    .await;
                    let (ready, reason, message) = opened_as(opened.identity());
                    let low = balance_note(account.spec(), &status);
                    let notes = note.as_deref().into_iter().chain(low);
                    let notes = notes.fold(message, |message, note| format!("{message} {note}"));
                    (ready, reason, notes)
                }
                Err(blocker) => (false, blocker.reason, blocker.message),
            }
        }
        Err(blocker) => (false, blocker.reason, blocker.message),
    };
    status.observed_generation = account.meta().generation;
    set_ready(
        &mut status.conditions,
        ready,
        reason,
        message.clone(),
        account.meta().generation,
        process.time.now().unwrap_or_default(),
    );
    fault::note(reason, &message, account.as_ref(), &process.metrics);
    let before = account.status().and_then(|it| it.balance.as_ref());
    if has_risen(before, status.balance.as_ref()) {
        let waiting = users.iter().filter(|user| lacks_money(user));
        waiting.for_each(|user| cluster.requeuer.number(user));
    }
    if ready && was_refused(account.as_ref()) {
        // They wait for a person, who may have mended it at the provider, where nobody sees it.
        users.iter().for_each(|user| cluster.requeuer.number(user));
    }
    if !ready && reason.is_failure() {
        process.metrics.failed(label(A::KIND), reason.to_string());
    }
    if account.status() != Some(&status) {
        let mut changed = A::clone(&account);
        changed.set_status(status);
        changed.meta_mut().managed_fields = None;
        account
            .api(&writer.client)
            .replace_status(&account.name_any(), &PostParams::default(), &changed)
            .await?;
    }
    Ok(Some(process.settings.interval))
}

/// True if the status says that the provider refused the credential, or to sell anything.
fn was_refused<A: AnyAccount>(account: &A) -> bool {
    let refusals =
        [Reason::CredentialsInvalid, Reason::PurchasingNotEnabled].map(|it| it.to_string());
    let mut conditions = account.status().into_iter().flat_map(|it| &it.conditions);
    conditions.any(|it| it.type_ == condition::READY && refusals.contains(&it.reason))
}

/// The kind as a label of metrics.
fn label(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::ProviderAccount => "ProviderAccount",
        AccountKind::ClusterProviderAccount => "ClusterProviderAccount",
    }
}

/// Lists the account, and wakes what is not as it was. Returns a note for people, if there is one.
async fn inspect<A: AnyAccount>(
    account: &A,
    opened: &Arc<Account>,
    users: &[Arc<PhoneNumber>],
    cluster: &Cluster,
    providers: &Providers,
    checks: &Checks,
    process: &Process,
) -> Result<Result<Option<String>, StatusReason>, kube::Error> {
    // Slightly less than the interval, so that accounts that share one at the provider share its listing.
    let interval = process.settings.interval.mul_f64(0.9);
    let not_before = process.clock.now().before(interval);
    if let Err(error) = opened.list(not_before).await {
        return Ok(Err(provider_blocker(&error)));
    }
    let note = inspect::look_into_services(opened, users, not_before).await;
    inspect::look_at_messaging(opened, users, not_before).await;
    let uid = account.uid().unwrap_or_default();
    if checks.inventory.begins(&uid, opened.listed()) {
        let missing = inspect::requeue_drifted(opened, users, cluster);
        checks.inventory.misses(&uid, missing);
        inspect::requeue_on_dependency_change(
            users,
            cluster,
            providers,
            &process.settings,
            &checks.dependencies,
        )
        .await?;
        inspect::requeue_reassigned(
            &uid,
            users,
            cluster,
            providers,
            &process.settings,
            &checks.inventory,
        )
        .await?;
    }
    let missing = checks.inventory.missing(&uid);
    if is_suspect(missing, users.len()) {
        return Ok(Err(StatusReason::new(
            Reason::InventorySuspect,
            format!(
                "{missing} of {} numbers are missing from the account at once. Each is being confirmed by itself; none is \
                 given up before.",
                users.len()
            ),
        )));
    }
    Ok(Ok(note))
}

/// True if more is left than before, as far as both are known.
fn has_risen(before: Option<&AccountBalance>, now: Option<&AccountBalance>) -> bool {
    let before = before.and_then(AccountBalance::read);
    let now = now.and_then(AccountBalance::read);
    now.is_some_and(|now| before.is_none_or(|before| now.is_more_than(&before)))
}

/// True if the number was not bought because there was too little money.
fn lacks_money(number: &PhoneNumber) -> bool {
    let conditions = number.status.as_ref().map(|status| &status.conditions);
    let reason = conditions.and_then(|conditions| reason_of(conditions, condition::READY));
    reason == Some(Reason::InsufficientBalance)
}

/// That the balance is as low as the account wants to be warned of. The amount is in the status: here it would be another each time.
fn balance_note(spec: &AccountSpec, status: &AccountStatus) -> Option<&'static str> {
    let warn_below = spec.balance.as_ref()?.warn_below.as_ref()?;
    let balance = status.balance.as_ref()?.read()?;
    let (currency, least) = limit_of(warn_below)?;
    if balance.currency != currency {
        return Some(
            "The balance is in another currency than spec.balance.warnBelow, so there is no warning.",
        );
    }
    (!balance.covers(None, least)).then_some("The balance is below spec.balance.warnBelow.")
}

/// What must not be undercut without somebody learning of it soon.
fn least_balance(spec: &AccountSpec) -> Amount {
    let balance = spec.balance.iter();
    let wanted = balance.flat_map(|it| it.warn_below.iter().chain(&it.minimum));
    let amounts = wanted.filter_map(limit_of).map(|(_, amount)| amount);
    amounts.max().unwrap_or_default()
}

fn opened_as(identity: &Identity) -> (bool, Reason, String) {
    if identity.proved {
        let message = format!("The credential opens account {}.", identity.account);
        return (true, Reason::Ready, message);
    }
    let message = "The provider does not say which account the key opens; it is told apart by a hash of the key.";
    (true, Reason::AccountUnidentified, message.to_owned())
}

/// Puts what the account holds into the status, unless that was done less than a minute ago.
async fn show_figures<A: AnyAccount>(
    account: &A,
    opened: &Account,
    status: &mut AccountStatus,
    caches: &Caches,
    checks: &InventoryChecks,
    process: &Process,
) {
    let (uid, now) = (account.uid().unwrap_or_default(), process.clock.now());
    let is_first = status.managed.is_none();
    if !is_first && !checks.may_write(&uid, now) {
        return;
    }
    let figures = inspect::count(opened, caches, &process.settings.installation);
    let before = status.clone();
    status.managed = Some(figures.managed);
    status.unmanaged = Some(count(&figures.unmanaged));
    status.orphaned = Some(count(&figures.orphaned));
    let mut prices = Prices::of(opened);
    let (unmanaged, orphaned) = (&before.unmanaged_numbers, &before.orphaned_numbers);
    status.unmanaged_numbers = prices.add_to(&figures.unmanaged, unmanaged).await;
    status.orphaned_numbers = prices.add_to(&figures.orphaned, orphaned).await;
    status.foreign = Some(figures.foreign);
    status.monthly_cost = figures.monthly_cost;
    match opened
        .balance_for(None, least_balance(account.spec()))
        .await
    {
        Ok(balance) => status.balance = balance.as_ref().map(AccountBalance::from),
        Err(error) => tracing::debug!(%error, "the balance was not read"),
    }
    if *status != before {
        checks.writes(&uid, now);
    }
}

fn count(numbers: &[ListedNumber]) -> i64 {
    i64::try_from(numbers.len()).unwrap_or(i64::MAX)
}

async fn keep_while_used<A: AnyAccount>(
    account: Arc<A>,
    cluster: &Cluster,
    writer: &Writer,
) -> Result<Arc<A>, kube::Error> {
    let used = cluster.is_used(&account.key());
    let deleting = account.meta().deletion_timestamp.is_some();
    let has = has_finalizer(account.as_ref(), ACCOUNT_FINALIZER);
    if used == has || (used && deleting) {
        return Ok(account);
    }
    let finalizers = finalizers_of(account.as_ref(), ACCOUNT_FINALIZER, used);
    let body = json!({"metadata": {"resourceVersion": account.resource_version(), "finalizers": finalizers}});
    let api = account.api(&writer.client);
    Ok(Arc::new(
        api.patch(
            &account.name_any(),
            &PatchParams::default(),
            &Patch::Merge(body),
        )
        .await?,
    ))
}

fn set_ready(
    conditions: &mut Vec<Condition>,
    ready: bool,
    reason: Reason,
    message: String,
    generation: Option<i64>,
    now: Timestamp,
) {
    let why = StatusReason { reason, message };
    let mut set = |kind: &str, truth: bool| {
        set_condition(conditions, kind, truth, &why, generation, now);
    };
    let stalled = !ready && reason.class() == crate::api::Class::Stalled;
    set(condition::READY, ready);
    set(condition::RECONCILING, !ready && !stalled);
    set(condition::STALLED, stalled);
}
