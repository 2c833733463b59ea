//! Objects that were stored under an earlier definition are taken up as they are.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use phonenumber_operator::api::PhoneNumber;
use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::emulator::{CONNECTION, Emulator};
use test_support::kubectl::kubectl;
use test_support::world::World;

use crate::running::Running;

const BY_HAND: &str = "+12125558301";

/// The fields of a status that the earlier definition does not have.
const NEW_FIELDS: [&str; 5] = [
    "/origin",
    "/onDeletion",
    "/accountRef",
    "/cost/display",
    "/monthlyCost/display",
];

fn install(plane: &ControlPlane, folder: &str) {
    let force = ["--server-side", "--force-conflicts", "-f", folder];
    kubectl(plane, &[&["apply"][..], &force].concat());
}

fn found(plane: &ControlPlane, namespace: &str) -> Vec<Value> {
    let kinds = "phonenumbers,provideraccounts";
    let printed = kubectl(plane, &["get", kinds, "-n", namespace, "-o", "json"]);
    let list: Value = serde_json::from_str(&printed).unwrap();
    list["items"].as_array().unwrap().clone()
}

fn has_new_fields(object: &Value) -> Vec<&'static str> {
    let status = &object["status"];
    let fields = NEW_FIELDS.into_iter();
    fields
        .filter(|field| status.pointer(field).is_some())
        .collect()
}

fn specs(objects: &[Value]) -> Vec<(String, Value, Value)> {
    let spec = |object: &Value| {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        (
            name,
            object["spec"].clone(),
            object["metadata"]["generation"].clone(),
        )
    };
    objects.iter().map(spec).collect()
}

/// One number of each kind that an earlier version has left behind.
async fn numbers(world: &World) {
    let search = json!({"country": "US", "areaCode": "212"});
    world.bought_by_somebody_else("twilio", BY_HAND).await;
    world
        .create("nyc", "twilio", "+12125558302", json!({"assistantId": 101}))
        .await;
    world
        .create(
            "bos",
            "telnyx",
            "+16175558303",
            json!({
                "maxMonthlyCost": {"amount": "5", "currency": "USD"},
                "telnyx": {"connectionId": CONNECTION},
            }),
        )
        .await;
    world
        .create_wanting("any", "twilio", search, json!({"deletionProtection": true}))
        .await;
    world
        .create(
            "adopted",
            "twilio",
            BY_HAND,
            json!({"adoptionPolicy": "Adopt"}),
        )
        .await;
    for name in ["nyc", "bos", "any", "adopted"] {
        world.until_ready(name).await;
    }
    world
        .create("asleep", "twilio", "+12125558304", json!({"suspend": true}))
        .await;
    world
        .until("asleep", "seen", |number| {
            number
                .status
                .as_ref()
                .is_some_and(|status| status.observed_generation.is_some())
        })
        .await;
}

/// Writes every object as the earlier definition keeps it.
async fn forget_new_fields(plane: &ControlPlane, world: &World) {
    install(plane, "tests/upgrade/crds");
    for object in found(plane, &world.namespace) {
        let kind = object["kind"].as_str().unwrap().to_lowercase();
        let name = object["metadata"]["name"].as_str().unwrap();
        // Any change has the API server store what it shows now.
        let patch = json!({"status": {"observedGeneration": 0}}).to_string();
        let back =
            json!({"status": {"observedGeneration": object["status"]["observedGeneration"]}})
                .to_string();
        for patch in [&patch, &back] {
            kubectl(
                plane,
                &[
                    "patch",
                    &kind,
                    name,
                    "-n",
                    &world.namespace,
                    "--subresource=status",
                    "--type=merge",
                    "-p",
                    patch,
                ],
            );
        }
    }
    // Its limits are wider.
    let patch = Patch::Merge(json!({"spec": {"assistantId": i64::MAX}}));
    world
        .numbers()
        .patch("asleep", &PatchParams::default(), &patch)
        .await
        .unwrap();
    world
        .change_account("telnyx", json!({"limits": {"allowedCountries": []}}))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_an_earlier_definition_are_taken_up_without_a_write() {
    let plane = ControlPlane::start().await.unwrap();
    let mut world = World::cluster_wide(&plane, Emulator::start(), &[]).await;
    numbers(&world).await;
    world.kill_operator();
    forget_new_fields(&plane, &world).await;

    install(&plane, "crds");
    let before = found(&plane, &world.namespace);
    assert_eq!(before.len(), 7);
    for object in &before {
        assert_eq!(has_new_fields(object), [""; 0], "{object:#}");
    }
    let effects = world.emulator.ledger().await;
    world.start_operator();
    for name in ["nyc", "bos", "any", "adopted"] {
        world
            .until(name, "taken up", |number| {
                let status = number.status.as_ref().unwrap();
                status.on_deletion.is_some()
                    && status.origin.is_some()
                    && status.account_ref.is_some()
            })
            .await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.emulator.ledger().await, effects);
    let after = found(&plane, &world.namespace);
    assert_eq!(specs(&after), specs(&before));

    let shown = |name: &str| {
        let object = after
            .iter()
            .find(|object| object["metadata"]["name"] == name && object["kind"] == "PhoneNumber");
        let status = &object.unwrap()["status"];
        json!([status["origin"], status["adopted"], status["onDeletion"]])
    };
    assert_eq!(shown("nyc"), json!(["Bought", null, "Release"]));
    assert_eq!(shown("any"), json!(["Bought", null, "Blocked"]));
    assert_eq!(shown("adopted"), json!(["Adopted", true, "Retain"]));
    // What the earlier definition allowed may stay, and other fields of the object may change.
    for (name, change) in [
        ("asleep", json!({"friendlyName": "x"})),
        ("any", json!({"deletionProtection": false})),
    ] {
        world.change(name, change).await;
    }
    world
        .change_account("telnyx", json!({"limits": {"purchasesPerHour": 99}}))
        .await;
    for name in ["nyc", "bos", "any", "adopted", "asleep"] {
        world.delete(name).await;
    }
    for name in ["nyc", "bos", "any", "adopted", "asleep"] {
        world.until_gone(name).await;
    }
    let numbers = world.emulator.get("/numbers").await;
    let left: Vec<_> = numbers
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number["phone_number"].clone())
        .collect();
    assert_eq!(left, [BY_HAND]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_on_older_definitions_names_what_is_lost_and_works() {
    const LOST: [(&str, &str, &str); 4] = [
        ("PhoneNumber", "phonenumbers", "attempt"),
        ("PhoneNumber", "phonenumbers", "onDeletion"),
        ("ProviderAccount", "provideraccounts", "foreign"),
        (
            "ClusterProviderAccount",
            "clusterprovideraccounts",
            "foreign",
        ),
    ];
    let plane = ControlPlane::start().await.unwrap();
    let mut world = World::cluster_wide(&plane, Emulator::start(), &[]).await;
    world.kill_operator();
    for (_, plural, field) in LOST {
        let name = format!("{plural}.telephony.burki.dev");
        let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
        let older = json!([{"op": "remove", "path": format!("{status}/{field}")}]).to_string();
        kubectl(
            &plane,
            &["patch", "crd", &name, "--type=json", "-p", &older],
        );
    }
    let lost = LOST.map(|(kind, _, field)| format!("{kind} .status.{field}"));

    let warned = |told: &Running| -> BTreeSet<String> {
        let said = told.said();
        let warnings = said.iter().filter(|line| line["level"] == "WARN");
        let fields = warnings.filter_map(|line| line["fields"].as_str());
        let fields = fields.flat_map(|fields| fields.split(", "));
        fields.map(str::to_owned).collect()
    };
    for (at, wanted) in [BTreeSet::from(lost), BTreeSet::new()]
        .into_iter()
        .enumerate()
    {
        if wanted.is_empty() {
            install(&plane, "crds");
        }
        let told = Running::start(&world, plane.folder(), &format!("term{at}"), None, &[]);
        let (name, number) = (format!("n{at}"), format!("+1212555832{at}"));
        world.create(&name, "twilio", &number, json!({})).await;
        let ready = world.until_ready(&name).await;
        assert_eq!(world.emulator.purchases(&number).await, 1);
        let is_shown = ready.status.unwrap().on_deletion.is_some();
        assert_eq!(is_shown, wanted.is_empty());
        let missing = "phonenumber_definition_fields_missing";
        told.until(missing, wanted.len() as f64).await;
        assert_eq!(warned(&told), wanted);
    }
}

/// Each manager of a reference or an amount declares the whole of it.
#[tokio::test(flavor = "multi_thread")]
async fn two_managers_of_one_part_conflict_instead_of_mixing() {
    let world = World::new("managers").await;
    let apply = async |manager: &str, name: &str, spec: Value| {
        let mut whole =
            json!({"provider": "twilio", "phoneNumber": "+12125558311", "suspend": true});
        test_support::objects::merge(&mut whole, &spec);
        let object = json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
            "metadata": {"name": name}, "spec": whole});
        let numbers: Api<PhoneNumber> = world.numbers();
        numbers
            .patch(name, &PatchParams::apply(manager), &Patch::Apply(object))
            .await
    };
    for (name, first, second) in [
        (
            "reference",
            json!({"accountRef": {"name": "twilio"}}),
            json!({"accountRef": {"name": "twilio", "kind": "ClusterProviderAccount"}}),
        ),
        (
            "amount",
            json!({"maxMonthlyCost": {"amount": "2", "currency": "USD"}}),
            json!({"maxMonthlyCost": {"amount": "2", "currency": "EUR"}}),
        ),
    ] {
        apply("first", name, first).await.unwrap();
        match apply("second", name, second).await {
            Err(kube::Error::Api(error)) => assert_eq!(error.reason, "Conflict", "{error:?}"),
            other => panic!("{name}: {:?}", other.map(|number| number.name_any())),
        }
    }
}
