//! Takes a number over that the account holds already.

use crate::cluster::Cluster;
use crate::cluster::process::Process;
use crate::cluster::quota::HourlyQuotas;
use crate::number::{NumberId, Origin};
use crate::provider::{Error, Unmarked};
use crate::reconcile::plan::Lookup;
use crate::reconcile::state::{Interrupted, ReconcileState};

/// Puts our mark on a number that the account holds already and that nobody has marked.
pub(in crate::reconcile::perform) async fn adopt(
    id: &NumberId,
    state: &mut ReconcileState,
    cluster: &Cluster,
    quotas: &HourlyQuotas,
    process: &Process,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    let seen = state
        .facts
        .findings
        .look
        .as_ref()
        .and_then(|look| look.holding.clone());
    let now = state.facts.findings.last_look.clone().flatten();
    let (Some(seen), Some(now), Some(purchase)) = (seen, now, state.purchase.take()) else {
        return Err(Interrupted::from(Error::Invariant(
            "there is no claim to take it over on",
        )));
    };
    state.facts.findings.token = false;
    let nobodys = Unmarked::abandoned(&now, &seen).filter(|unmarked| unmarked.id() == id);
    let overtaken = match &nobodys {
        _ if !purchase.token.is_fresh(process.clock.now()) => {
            Some("the claim was written too long ago")
        }
        None => Some("the number has just changed"),
        Some(_) => None,
    };
    let (Some(nobodys), None) = (nobodys, overtaken) else {
        quotas.put_back(purchase.slot).await;
        let why = overtaken.unwrap_or("the number has just changed");
        return Err(Interrupted::from(Error::Overtaken(why)));
    };
    state.facts.set_origin(Origin::Adopted);
    let text = state
        .facts
        .mark
        .with_name(state.facts.provider, &state.resolved.name);
    // Under the claim's permit: with one more each, as many as there are permits would wait for each other for ever.
    let marked = account.note_rate_limit(account.provider_api().mark(&nobodys, &text).await);
    match &marked {
        Ok(_) => {}
        Err(error) if error.is_without_effect() => quotas.put_back(purchase.slot).await,
        Err(_) => quotas.may_stand(purchase.slot).await,
    }
    drop(purchase.permit);
    let holding = marked?;
    let holding = account.saw(holding);
    state.saw(
        Lookup {
            holding: Some(holding),
            at: Some(state.facts.now),
            ..Lookup::default()
        },
        cluster,
        &process.time,
    );
    Ok(())
}
