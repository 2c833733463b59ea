//! A plan against a cluster: what it has, read with the user's own rights, and what its accounts have at the providers, where the
//! user may read their Secrets.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use phonenumber_api::{
    AccountKey, AccountKind, AccountStatus, ClusterProviderAccount, PhoneNumber, ProviderAccount,
    condition,
};
use serde_json::Value;
use telephony::account::Endpoints;
use telephony::number::{AccountId, Amount, Currency, Installation, Mark, Owner, Price};

use super::accounts::altered;
use super::admission::{Definitions, Old};
use super::decide::{decide as decide_all, deleted as verdict_on_deleted};
use super::manifests::{self, Key, Kind, Place};
use super::offline::{Manifests, Side, account};
use super::situation::{
    AccountFacts, After, Before, Came, Held, Standing, Surroundings, Verdict, Wanted, place, title,
};
use super::{Decided, Request};
use crate::account::DeclaredAccount;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::prices::list::{AccountPrices, Entry, PriceList};
use crate::prices::price;

/// What becomes of each PhoneNumber in `new`, and with --prune of those that are not there any more.
pub(super) async fn decide(
    new: &[Place<'_>],
    prices: Option<PriceList>,
    request: &Request,
    definitions: &Definitions,
) -> Result<Decided, Error> {
    let cluster = Cluster::open(request.reach.connection.clone()).await?;
    let new = manifests::read(new, cluster.namespace())?;
    let mut notes = Vec::new();
    let objects = objects(&new, &cluster).await?;
    let side = Side::checked(&new, definitions, |key| {
        let object = objects.get(key)?;
        Some(Old {
            object,
            has_status: true,
        })
    });
    let (before, deleted) = before(&objects, &mut notes);
    let mut after = side.numbers.clone();
    let verdicts_on_deleted = decide_deleted(&deleted, &mut after, &mut notes);
    let mut hidden = BTreeSet::new();
    if !request.prune {
        for (owner, standing) in before
            .iter()
            .filter(|(owner, _)| !side.numbers.contains_key(owner))
        {
            let wanted = Wanted {
                number: Ok(standing.number.clone()),
                notes: Vec::new(),
            };
            after.insert(owner.clone(), wanted);
            hidden.insert(owner.clone());
        }
    }
    let mut around = Surroundings {
        prices,
        ..Surroundings::default()
    };
    read_accounts(&mut around, &side, &before, &after, &cluster, &mut notes).await?;
    read_namespaces(&mut around, &side, &after, &cluster, &mut notes).await?;
    if around.prices.is_none() {
        let asked = ask_providers(&around, &before, &after, request, &cluster, &mut notes).await?;
        asked.add_to(&mut around);
        read_marks(&mut around, request, &cluster, &mut notes).await?;
    }
    let mut verdicts = decide_all(&before, &after, &around);
    verdicts.retain(|verdict| !hidden.contains(&verdict.owner));
    verdicts.extend(verdicts_on_deleted);
    verdicts.extend(side.refused_accounts);
    verdicts.extend(altered(&objects, &side.accepted));
    if !hidden.is_empty() {
        notes.push(format!(
            "{} PhoneNumbers of these namespaces are not in the manifests and stay; --prune counts them as deleted.",
            hidden.len()
        ));
    }
    Ok(Decided { verdicts, notes })
}

/// The PhoneNumbers of the namespaces of `new`, and the accounts in `new`, as the cluster has them.
async fn objects(new: &Manifests, cluster: &Cluster) -> Result<BTreeMap<Key, Value>, Error> {
    let numbers = new.keys().filter(|key| key.0 == Kind::PhoneNumber);
    let mut namespaces: BTreeSet<String> = numbers.map(|key| key.1.clone()).collect();
    if namespaces.is_empty() {
        namespaces.insert(cluster.namespace().to_owned());
    }
    let mut found = BTreeMap::new();
    for namespace in namespaces {
        for object in cluster
            .values::<PhoneNumber>(Some(&namespace), all())
            .await?
        {
            let name = object.pointer("/metadata/name").and_then(Value::as_str);
            let name = name.unwrap_or_default().to_owned();
            found.insert((Kind::PhoneNumber, namespace.clone(), name), object);
        }
    }
    for key in new.keys() {
        let account = match key.0 {
            Kind::ProviderAccount => AccountKey {
                kind: AccountKind::ProviderAccount,
                namespace: Some(key.1.clone()),
                name: key.2.clone(),
            },
            Kind::ClusterProviderAccount => AccountKey {
                kind: AccountKind::ClusterProviderAccount,
                namespace: None,
                name: key.2.clone(),
            },
            Kind::Namespace | Kind::PhoneNumber => continue,
        };
        if let Some(object) = account_object(cluster, &account).await? {
            found.insert(key.clone(), object);
        }
    }
    Ok(found)
}

fn all() -> ListParams {
    ListParams::default()
}

/// The account that `key` names, as the cluster has it.
async fn account_object(cluster: &Cluster, key: &AccountKey) -> Result<Option<Value>, Error> {
    let (namespace, name) = (key.namespace.as_deref(), &key.name);
    match key.kind {
        AccountKind::ProviderAccount => cluster.value::<ProviderAccount>(namespace, name).await,
        AccountKind::ClusterProviderAccount => {
            cluster.value::<ClusterProviderAccount>(None, name).await
        }
    }
}

/// The verdicts on those in `after` that are being deleted; they are taken out of it. A note names each of the others.
fn decide_deleted(deleted: &Before, after: &mut After, notes: &mut Vec<String>) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (owner, standing) in deleted {
        match after.remove(owner) {
            Some(wanted) => verdicts.push(verdict_on_deleted(owner, standing, &wanted)),
            None => notes.push(format!(
                "PhoneNumber {owner} is being deleted: it is left out."
            )),
        }
    }
    verdicts
}

/// The PhoneNumbers among `objects`, with what their statuses say that they hold: those that stay, and those that are being
/// deleted.
fn before(objects: &BTreeMap<Key, Value>, notes: &mut Vec<String>) -> (Before, Before) {
    let mut before = Before::new();
    let mut deleted = Before::new();
    for ((kind, namespace, name), object) in objects {
        if *kind != Kind::PhoneNumber {
            continue;
        }
        let owner = Owner {
            namespace: namespace.clone(),
            name: name.clone(),
        };
        let Ok(number) = serde_json::from_value::<PhoneNumber>(object.clone()) else {
            notes.push(format!(
                "PhoneNumber {owner} cannot be read by this version of the plugin: it is left out."
            ));
            continue;
        };
        let list = match number.metadata.deletion_timestamp {
            Some(_) => &mut deleted,
            None => &mut before,
        };
        list.insert(owner, standing(number));
    }
    (before, deleted)
}

fn standing(number: PhoneNumber) -> Standing {
    let status = number.status.clone().unwrap_or_default();
    let is_held = status.id.is_some() || status.order_id.is_some();
    let came = match status.is_adopted() {
        true => Came::Adopted,
        false => Came::Bought,
    };
    let cost = status.cost.as_ref();
    let holds = is_held.then(|| Held {
        number: status.phone_number.clone(),
        price: cost.and_then(|it| Price::read(&it.monthly, &it.upfront, &it.currency)),
        origin: came,
        account_id: status.account_id.clone().map(AccountId::from),
        is_uncertain: false,
    });
    let ready = status.conditions.iter();
    let mut ready = ready.filter(|it| it.type_ == condition::READY);
    let owners = number.metadata.owner_references.as_ref();
    Standing {
        holds,
        is_owned: owners.is_some_and(|owners| !owners.is_empty()),
        created: created(&number),
        waits: ready.next().map(|condition| condition.reason.clone()),
        number,
    }
}

fn created(number: &PhoneNumber) -> Option<Timestamp> {
    number
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0)
}

/// Reads the accounts that PhoneNumbers refer to. What `side` declares replaces what the cluster has.
async fn read_accounts(
    around: &mut Surroundings,
    side: &Side,
    before: &Before,
    after: &After,
    cluster: &Cluster,
    notes: &mut Vec<String>,
) -> Result<(), Error> {
    let mut keys: Vec<AccountKey> = Vec::new();
    let wanted = after
        .values()
        .filter_map(|wanted| wanted.number.as_ref().ok());
    let standing = before.values().map(|standing| &standing.number);
    for key in wanted.chain(standing).map(AccountKey::of) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    for key in keys {
        let object = match account_object(cluster, &key).await {
            Ok(object) => object,
            Err(error @ Error::Forbidden { .. }) => {
                notes.push(format!("{} is not checked: {error}", title(&key)));
                continue;
            }
            Err(error) => return Err(error),
        };
        let declared = side.accounts.iter().find(|(other, _)| *other == key);
        let declared = declared.map(|(_, facts)| facts.clone());
        let read = object.as_ref().and_then(account).map(|(_, facts)| facts);
        let mut facts = declared.or(read);
        if let (Some(facts), Some(object)) = (&mut facts, &object) {
            add_status(facts, object);
        }
        around.accounts.insert(key, facts);
    }
    Ok(())
}

/// Adds what the status in `object` says of the account.
fn add_status(facts: &mut AccountFacts, object: &Value) {
    let status = object.get("status").cloned();
    let status = status.and_then(|status| serde_json::from_value::<AccountStatus>(status).ok());
    let status = status.unwrap_or_default();
    facts.id = status.account_id.map(AccountId::from);
    let counts = [
        status.managed,
        status.unmanaged,
        status.orphaned,
        status.foreign,
    ];
    let sum = |sum: i64, count: Option<i64>| Some(sum.saturating_add(count?));
    facts.numbers = counts.into_iter().try_fold(0, sum);
    facts.cost = status
        .monthly_cost
        .and_then(|cost| Some((Currency::new(&cost.currency)?, Amount::read(&cost.amount)?)));
}

/// Reads the labels of the namespaces that use a ClusterProviderAccount.
async fn read_namespaces(
    around: &mut Surroundings,
    side: &Side,
    after: &After,
    cluster: &Cluster,
    notes: &mut Vec<String>,
) -> Result<(), Error> {
    around.namespaces.extend(side.namespaces.clone());
    for (owner, wanted) in after {
        let Ok(number) = &wanted.number else { continue };
        let is_shared = AccountKey::of(number).kind == AccountKind::ClusterProviderAccount;
        if !is_shared || around.namespaces.contains_key(&owner.namespace) {
            continue;
        }
        match cluster.find::<Namespace>(None, &owner.namespace).await {
            Ok(found) => {
                let labels = found.and_then(|found| found.metadata.labels);
                let labels = labels.unwrap_or_default();
                around.namespaces.insert(owner.namespace.clone(), labels);
            }
            Err(Error::Forbidden { .. }) => notes.push(format!(
                "The labels of namespace {} are not checked: you may not get namespaces.",
                owner.namespace
            )),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What the providers said.
#[derive(Default)]
struct Asked {
    prices: Vec<AccountPrices>,
    holdings: Vec<(AccountKey, BTreeMap<String, Option<Mark>>)>,
}

impl Asked {
    fn add_to(self, around: &mut Surroundings) {
        around.prices = Some(PriceList::new(Timestamp::now(), self.prices));
        for (key, holdings) in self.holdings {
            if let Some(Some(facts)) = around.accounts.get_mut(&key) {
                facts.numbers = i64::try_from(holdings.len()).ok();
                facts.holdings = Some(holdings);
            }
        }
    }
}

/// Asks each account that something may be bought with what that costs, and what it has. An account whose Secret the user may not
/// read is left out with a note.
async fn ask_providers(
    around: &Surroundings,
    before: &Before,
    after: &After,
    request: &Request,
    cluster: &Cluster,
    notes: &mut Vec<String>,
) -> Result<Asked, Error> {
    let endpoints = request.reach.endpoints()?;
    let mut asked = Asked::default();
    for (key, facts) in &around.accounts {
        let Some(facts) = facts else { continue };
        let holds = |owner: &Owner| before.get(owner).is_some_and(|it| it.holds.is_some());
        let without = after.iter().filter(|(owner, _)| !holds(owner));
        let numbers = without.filter_map(|(_, wanted)| wanted.number.as_ref().ok());
        let places = numbers.filter(|number| AccountKey::of(number) == *key);
        let places: BTreeSet<_> = places
            .map(|number| place(&number.spec))
            .filter_map(|place| place.and_then(|(country, kind)| Some((country, kind?))))
            .collect();
        if places.is_empty() {
            continue;
        }
        let account = DeclaredAccount {
            kind: key.kind,
            name: key.name.clone(),
            spec: facts.spec.clone(),
            status: AccountStatus::default(),
            secrets_in: match &key.namespace {
                Some(namespace) => namespace.clone(),
                None => request.reach.operator_namespace.clone(),
            },
        };
        match ask(&account, &places, cluster, endpoints.clone()).await {
            Ok((entries, holdings)) => {
                asked.prices.push(AccountPrices {
                    kind: key.kind,
                    namespace: key.namespace.clone(),
                    name: key.name.clone(),
                    provider: account.provider(),
                    prices: entries,
                });
                asked.holdings.push((key.clone(), holdings));
            }
            Err(error) => notes.push(format!(
                "What numbers of {} cost, and what it has, is not known: {error}",
                title(key)
            )),
        }
    }
    notes.sort();
    Ok(asked)
}

async fn ask(
    account: &DeclaredAccount,
    places: &BTreeSet<(String, telephony::number::Kind)>,
    cluster: &Cluster,
    endpoints: Endpoints,
) -> Result<(Vec<Entry>, BTreeMap<String, Option<Mark>>), Error> {
    let (opened, begun) = account.open(cluster, endpoints).await?;
    let mut entries = Vec::new();
    for (country, kind) in places {
        let asked = price(&opened, account.provider(), country, *kind).await;
        entries.push(Entry {
            country: country.clone(),
            kind: *kind,
            price: asked.map_err(|error| account.unanswered(&error))?,
        });
    }
    let listed = opened.list(begun).await;
    listed.map_err(|error| account.unanswered(&error))?;
    let holdings = opened.holdings().into_iter().map(|holding| {
        let mark = Mark::find_in(&holding.marked_text);
        (holding.number.to_string(), mark)
    });
    Ok((entries, holdings.collect()))
}

/// Finds out whose the marks on listed numbers are, where there are any.
async fn read_marks(
    around: &mut Surroundings,
    request: &Request,
    cluster: &Cluster,
    notes: &mut Vec<String>,
) -> Result<(), Error> {
    let accounts = around.accounts.values().flatten();
    let holdings = accounts.filter_map(|facts| facts.holdings.as_ref());
    if !holdings.flat_map(BTreeMap::values).any(Option::is_some) {
        return Ok(());
    }
    around.installation = match &request.installation_id {
        Some(id) => Some(Installation::new(id.clone())),
        None => match cluster.installation().await {
            Ok(installation) => Some(installation),
            Err(error) => {
                notes.push(format!("Whose marked numbers are is not known: {error}"));
                return Ok(());
            }
        },
    };
    match cluster.values::<PhoneNumber>(None, all()).await {
        Ok(objects) => {
            let owners = objects.iter().map(|object| {
                let text = |pointer: &str| {
                    let text = object.pointer(pointer).and_then(Value::as_str);
                    text.unwrap_or_default().to_owned()
                };
                Owner {
                    namespace: text("/metadata/namespace"),
                    name: text("/metadata/name"),
                }
            });
            around.everybody = Some(owners.collect());
        }
        Err(Error::Forbidden { .. }) => notes.push(
            "Which marked numbers are orphans is not known: you may not list phonenumbers in all namespaces."
                .to_owned(),
        ),
        Err(error) => return Err(error),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_being_deleted_is_no_new_object_though_its_manifest_is_there() {
        let object = |name: &str| {
            let object = json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
                "metadata": {"name": name, "namespace": "support", "deletionTimestamp": "2026-11-25T00:00:00Z"},
                "spec": {"provider": "twilio", "phoneNumber": "+12125550100"}, "status": {"id": "PN1"}});
            let key = (Kind::PhoneNumber, "support".to_owned(), name.to_owned());
            (key, object)
        };
        let objects: BTreeMap<_, _> = [object("declared"), object("other")].into();
        let mut notes = Vec::new();
        let (before, deleted) = before(&objects, &mut notes);
        assert!(before.is_empty() && notes.is_empty());
        let (declared, standing) = deleted.first_key_value().unwrap();
        let wanted = Wanted {
            number: Ok(standing.number.clone()),
            notes: Vec::new(),
        };
        let mut after: After = [(declared.clone(), wanted)].into();
        let verdicts = decide_deleted(&deleted, &mut after, &mut notes);
        let owners: Vec<_> = verdicts.iter().map(|it| it.owner.name.as_str()).collect();
        assert_eq!(owners, ["declared"]);
        assert!(after.is_empty());
        assert_eq!(notes.len(), 1);
        assert!(
            notes[0].contains("support/other is being deleted"),
            "{notes:?}"
        );
    }
}
