//! A plan says what the operator then does: object by object, and cent by cent. Changes are made up, planned, applied and
//! compared with the provider's ledger.
//!
//! `PLAN_BATCHES=n` plays n batches instead of a few, `PLAN_SEED=n` begins with this one. 16 batches are more than 2 000
//! changes.

mod changes;
mod verdict;

use std::collections::BTreeMap;
use std::path::Path;

use futures::{StreamExt, stream};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use phonenumber_api::{Class, PhoneNumber, Reason};
use phonenumber_operator::number::Amount;
use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::emulator::{is_purchase, number_of};
use test_support::wait::{PATIENCE, until_ok};
use test_support::world::{World, held, reason};

use crate::plugin::{Ran, phonenumbers};
use changes::{CAP, CAP_COSTS, Change, Object};
use verdict::Verdict;

/// How many requests are under way at the API server at once.
const AT_ONCE: usize = 8;

/// How many batches are played where nothing else is said.
const BATCHES: u64 = 2;

fn setting(name: &str, unless_set: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(unless_set, |text| text.parse().unwrap())
}

/// What a plan says of an object.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    action: String,
    reason: String,
    /// What it costs each month and once, with the currency.
    price: Option<[String; 3]>,
}

impl Said {
    fn of(object: &Value) -> Self {
        let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let price = ["monthly", "upfront", "currency"].map(text);
        Self {
            action: text("action"),
            reason: text("reason"),
            price: (!price[0].is_empty()).then_some(price),
        }
    }
}

/// A plan as JSON, by the names of its objects.
struct Plan {
    said: BTreeMap<String, Said>,
    totals: Value,
    notes: Value,
}

impl Plan {
    fn of(ran: Ran) -> Self {
        assert!([0, 2, 3].contains(&ran.code), "{ran:?}");
        let json: Value = serde_json::from_str(&ran.output).unwrap();
        let objects = json["objects"].as_array().unwrap().iter();
        let said = objects.map(|it| (it["name"].as_str().unwrap().to_owned(), Said::of(it)));
        Self {
            said: said.collect(),
            totals: json["totals"].clone(),
            notes: json["notes"].clone(),
        }
    }
}

/// A batch on its way.
struct Batch {
    world: World,
    folder: tempfile::TempDir,
    change: Change,
}

impl Batch {
    async fn begin(seed: u64) -> Self {
        let world = World::alone("plan", &[]).await;
        let change = Change::of(seed);
        let only_us = json!({"limits": {"allowedCountries": ["US", "CA"]}});
        world.change_account("twilio", only_us).await;
        let second = json!({"accountSid": "AC00000000000000000000000000000002", "authToken": "emulator-token-2"});
        world.secret("second", second).await;
        // As many numbers cost as much.
        let limits = match seed % 2 {
            0 => json!({"maxNumbers": CAP}),
            _ => json!({"maxMonthlyCost": {"amount": CAP_COSTS, "currency": "USD"}}),
        };
        let capped =
            json!({"twilio": {"credentialsSecretRef": {"name": "second"}}, "limits": limits});
        world.account_named("capped", "twilio", capped).await;
        world
            .account_named("bare", "twilio", json!({"burki": null}))
            .await;
        for number in &change.by_hand {
            world.bought_by_somebody_else("twilio", number).await;
        }
        Self {
            world,
            folder: tempfile::tempdir().unwrap(),
            change,
        }
    }

    /// Writes what manifests of `objects` and of the accounts would be.
    async fn write(&self, file: &str, objects: &[Object]) {
        let accounts = self
            .world
            .accounts()
            .list(&ListParams::default())
            .await
            .unwrap();
        let numbers = objects
            .iter()
            .map(|object| manifest("PhoneNumber", &object.name, json!(object.spec)));
        let accounts = accounts
            .iter()
            .map(|account| manifest("ProviderAccount", &account.name_any(), json!(account.spec)));
        let items: Vec<Value> = accounts.chain(numbers).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        std::fs::write(self.path(file), list.to_string()).unwrap();
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.folder.path().join(file)
    }

    async fn ask(&self, arguments: &[&str]) -> Ran {
        let plane = ControlPlane::shared().await;
        let here = ["-n", self.world.namespace.as_str()];
        phonenumbers(plane, &self.world.emulator, &[arguments, &here].concat())
    }

    /// Applies `objects`; returns the names of those that the API server refuses.
    async fn apply(&self, objects: &[Object], before: &[Object]) -> Vec<String> {
        let numbers = self.world.numbers();
        let applied = stream::iter(objects.to_vec()).map(|object| {
            let numbers = numbers.clone();
            let old = before.iter().find(|it| it.name == object.name).cloned();
            async move {
                let written = match old {
                    None => {
                        let body = json!({"metadata": {"name": object.name}, "spec": object.spec});
                        match serde_json::from_value::<PhoneNumber>(body) {
                            Ok(number) => numbers
                                .create(&PostParams::default(), &number)
                                .await
                                .map(drop),
                            Err(error) => panic!("{error}"),
                        }
                    }
                    Some(old) if old.spec == object.spec => Ok(()),
                    Some(old) => {
                        let patch =
                            Patch::Merge(json!({"spec": difference(&old.spec, &object.spec)}));
                        numbers
                            .patch(&object.name, &PatchParams::default(), &patch)
                            .await
                            .map(drop)
                    }
                };
                match written {
                    Ok(()) => None,
                    Err(kube::Error::Api(status)) if status.code == 422 => Some(object.name),
                    Err(error) => panic!("{}: {error}", object.name),
                }
            }
        });
        applied
            .buffer_unordered(AT_ONCE)
            .filter_map(async |name| name)
            .collect()
            .await
    }

    /// Waits until the operator has done all that it can do at once.
    async fn until_settled(&self) -> BTreeMap<String, PhoneNumber> {
        until_ok(PATIENCE, "every PhoneNumber settles", async || {
            let list = self.world.numbers().list(&ListParams::default()).await;
            let list = list.map_err(|error| error.to_string())?;
            let busy: Vec<String> = list
                .iter()
                .filter(|it| !is_settled(it))
                .map(|it| format!("{} {}", it.name_any(), reason(it)))
                .collect();
            match busy.is_empty() {
                true => Ok(list.into_iter().map(|it| (it.name_any(), it)).collect()),
                false => Err(format!("{} are busy: {:?}", busy.len(), busy.first())),
            }
        })
        .await
    }
}

fn manifest(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// The merge patch that makes `new` of `old`.
fn difference(old: &Value, new: &Value) -> Value {
    let mut patch = new.clone();
    for field in old.as_object().unwrap().keys() {
        if new.get(field).is_none() {
            patch[field] = Value::Null;
        }
    }
    patch
}

fn is_settled(number: &PhoneNumber) -> bool {
    let status = number.status.as_ref();
    let is_seen = status.is_some_and(|it| it.observed_generation == number.metadata.generation);
    let class = Reason::read(&reason(number)).map(Reason::class);
    // While it is suspended, Ready stays as it was.
    is_seen && (class.is_some_and(|class| class != Class::Working) || says(number, "Suspended"))
}

/// True if a condition has this reason.
fn says(number: &PhoneNumber, reason: &str) -> bool {
    let mut conditions = number.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|condition| condition.reason == reason)
}

/// What the status says that the number costs.
fn cost(number: &PhoneNumber) -> Option<[String; 3]> {
    let cost = number.status.as_ref()?.cost.clone()?;
    Some([cost.monthly, cost.upfront, cost.currency])
}

fn id(number: &PhoneNumber) -> Option<String> {
    number.status.as_ref()?.id.clone()
}

fn sum<'a>(amounts: impl Iterator<Item = &'a [String; 3]>) -> Amount {
    amounts
        .map(|[monthly, ..]| Amount::read(monthly).unwrap())
        .sum()
}

/// The sum of one kind of a plan in dollars.
fn total(plan: &Plan, field: &str) -> Amount {
    let currencies = plan.totals["currencies"].as_array().unwrap();
    let amount = currencies
        .first()
        .map_or("0", |it| it[field].as_str().unwrap());
    Amount::read(amount).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_says_is_what_the_operator_then_does() {
    let first = setting("PLAN_SEED", 1);
    let mut played = 0;
    for seed in first..first + setting("PLAN_BATCHES", BATCHES) {
        let begun = std::time::Instant::now();
        let count = play(seed).await;
        played += count;
        println!(
            "seed {seed}: {count} changes in {:?}, {played} in all",
            begun.elapsed()
        );
    }
}

/// Plays one batch. Returns how many changes it was about.
async fn play(seed: u64) -> usize {
    let batch = Batch::begin(seed).await;
    let (change, world) = (&batch.change, &batch.world);
    let refused = batch.apply(&change.before, &[]).await;
    assert_eq!(refused, Vec::<String>::new(), "seed {seed}");
    let before = batch.until_settled().await;
    batch.write("old.json", &change.before).await;
    batch.write("new.json", &change.after).await;
    let [old, new, prices] = ["old.json", "new.json", "prices.json"].map(|file| {
        let path = batch.path(file);
        path.to_str().unwrap().to_owned()
    });
    let listed = [
        "twilio",
        "telnyx",
        "capped",
        "bare",
        "--country",
        "US",
        "--country",
        "CA",
        "--country",
        "GB",
        "-o",
        "json",
    ];
    let listed = batch
        .ask(&[&["prices"], &listed[..]].concat())
        .await
        .worked();
    std::fs::write(Path::new(&prices), listed).unwrap();
    let ours = ["--installation-id", &world.namespace];
    let live = [
        "plan",
        "-f",
        &new,
        "--against-cluster",
        "--prune",
        "-o",
        "json",
    ];
    let live = Plan::of(batch.ask(&[&live, &ours[..]].concat()).await);
    let alone = [
        "plan", "-f", &new, "--base", &old, "--prices", &prices, "-o", "json",
    ];
    let alone = Plan::of(batch.ask(&alone).await);
    let seen = world.emulator.ledger().await.len();

    let after_names: Vec<&String> = change.after.iter().map(|object| &object.name).collect();
    let gone: Vec<String> = before
        .keys()
        .filter(|name| !after_names.contains(name))
        .cloned()
        .collect();
    for name in &gone {
        world.delete(name).await;
    }
    let refused = batch.apply(&change.after, &change.before).await;
    let is_done = |said: &Said| {
        said.action == "release" || said.action == "retain" || said.action == "forget"
    };
    for name in &gone {
        if live.said.get(name).is_some_and(is_done) {
            world.until_gone(name).await;
        }
    }
    let after = batch.until_settled().await;
    let ledger = world.emulator.ledger().await.split_off(seen);

    let verdict = Verdict {
        seed,
        before,
        after,
        refused,
        ledger,
    };
    for (name, said) in &live.said {
        if !name.starts_with("capped") {
            verdict.holds(name, said, world).await;
        }
    }
    verdict.of_the_capped(&live);
    verdict.of_sums(&live);
    let suspended: Vec<&str> = change
        .before
        .iter()
        .filter(|it| it.spec["suspend"] == true)
        .map(|it| it.name.as_str())
        .collect();
    for (name, said) in &alone.said {
        // Manifests do not show what the account has, whether an account exists that is not in them, what a search found, and
        // whether a suspended object holds a number.
        let shapes = ["adopted", "hand", "nowhere"];
        let is_open = shapes.iter().any(|shape| name.starts_with(shape))
            || suspended.contains(&name.as_str());
        let is_exchanged = name.starts_with("found") && live.said[name].reason == "Invalid";
        if !is_open && !is_exchanged {
            assert_eq!(
                said, &live.said[name],
                "seed {seed} {name}: manifests alone say otherwise {}",
                alone.notes
            );
        }
    }
    assert_eq!(live.said.len(), change.len(), "seed {seed}");
    change.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_whose_number_was_retained_takes_it_back_and_buys_nothing() {
    let plane = ControlPlane::shared().await;
    let world = World::alone("former", &[]).await;
    let wants =
        json!({"phoneNumber": null, "search": {"country": "US"}, "deletionPolicy": "Retain"});
    world.create("found", "twilio", "", wants.clone()).await;
    let number = held(&world.until_ready("found").await);
    world.delete("found").await;
    world.until_gone("found").await;
    let folder = tempfile::tempdir().unwrap();
    let plan = |search: Value| {
        let file = folder.path().join("found.json");
        let spec = json!({"provider": "twilio", "search": search, "deletionPolicy": "Retain"});
        std::fs::write(&file, manifest("PhoneNumber", "found", spec).to_string()).unwrap();
        let own = ["plan", "-f", file.to_str().unwrap(), "--against-cluster"];
        let here = [
            "-n",
            &world.namespace,
            "--installation-id",
            &world.namespace,
        ];
        phonenumbers(plane, &world.emulator, &[&own[..], &here].concat())
    };
    let other = plan(json!({"country": "US", "areaCode": "907"}));
    assert_eq!(other.code, 3, "{other:?}");
    assert!(
        other.output.contains("AlreadyOwned: the account has"),
        "{other:?}"
    );
    let elsewhere = json!({"phoneNumber": null, "search": {"country": "US", "areaCode": "907"}, "deletionPolicy": "Retain"});
    world.create("found", "twilio", "", elsewhere).await;
    world.until_reason("found", "AlreadyOwned").await;
    world.delete("found").await;
    world.until_gone("found").await;

    let ran = plan(json!({"country": "US"}));
    let row = &ran.rows()[1];
    assert_eq!((row[0].as_str(), &row[2]), ("adopt", &number), "{ran:?}");
    assert!(ran.error.contains("1 adopted: nothing to pay"), "{ran:?}");
    world.create("found", "twilio", "", wants).await;
    assert_eq!(held(&world.until_ready("found").await), number);
    assert_eq!(world.bought().await, [number]);
}
