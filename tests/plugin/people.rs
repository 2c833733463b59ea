//! Three people of one namespace walk through the commands: each works with the rights that the reference names, or ends with
//! one line that names the right that lacks.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use test_support::control_plane::ControlPlane;
use test_support::emulator::Emulator;
use test_support::kubectl::{kubectl, try_kubectl};
use test_support::wait;
use test_support::world::World;

use crate::plugin::{phonenumbers_as, user};

/// Longer than the roles take to be put together.
const PATIENCE: Duration = Duration::from_secs(90);

/// What comes of a command.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// It answers with this exit code, and says nothing of rights.
    Works(i32),
    /// The same, and a line on standard error, or of the answer, names a right that lacks.
    WorksWithout(i32, &'static str),
    /// It ends with one line that names the right.
    Lacks(&'static str),
}

use Outcome::{Lacks, Works, WorksWithout};

const SECRET: Outcome = Lacks("get the Secret twilio in namespace world");
const INSTALLATION: Outcome = Lacks("get the namespace kube-system");
const NUMBERS: Outcome = Lacks("list phonenumbers in all namespaces");
const EVERYWHERE: Outcome = Lacks("list phonenumbers in the whole cluster");

/// A command, and what comes of it for one who has `view` in the namespace, for one who has `edit`, which may read Secrets, and for
/// one who has `edit` and may read PhoneNumbers and accounts everywhere.
type Row = (&'static [&'static str], [Outcome; 3]);

const WALK: &[Row] = &[
    (
        &["search", "twilio", "--country=US"],
        [SECRET, Works(0), Works(0)],
    ),
    (
        &["prices", "twilio", "--country=US"],
        [SECRET, Works(0), Works(0)],
    ),
    (&["prices", "twilio"], [SECRET, Works(0), Works(0)]),
    (
        &["plan", "-f", "FOLDER/new.yaml", "--against-cluster"],
        [
            WorksWithout(2, "get the Secret twilio"),
            WorksWithout(2, "get the namespace kube-system"),
            Works(2),
        ],
    ),
    (
        &[
            "plan",
            "-f",
            "FOLDER/new.yaml",
            "--against-cluster",
            "--prices",
            "FOLDER/prices.json",
        ],
        [Works(2), Works(2), Works(2)],
    ),
    (&["release-preview"], [Works(0); 3]),
    (
        &["release-preview", "-A"],
        [EVERYWHERE, EVERYWHERE, Works(0)],
    ),
    (&["status", "nyc"], [Works(0); 3]),
    (&["why", "nyc"], [Works(0); 3]),
    (&["cost"], [Works(0); 3]),
    (&["cost", "-A"], [EVERYWHERE, EVERYWHERE, Works(0)]),
    (
        &["import", "twilio", "--out", "FOLDER/listed"],
        [Works(0); 3],
    ),
    (
        &["import", "twilio", "--out", "FOLDER/live", "--live"],
        [
            SECRET,
            WorksWithout(0, "get the namespace kube-system"),
            Works(0),
        ],
    ),
    (&["idle", "twilio"], [SECRET, Works(0), Works(0)]),
    (&["unmanaged", "twilio"], [Works(0); 3]),
    (
        &["unmanaged", "twilio", "-oyaml"],
        [SECRET, Works(0), Works(0)],
    ),
    (&["orphans", "twilio"], [Works(0); 3]),
    (
        &["orphans", "twilio", "--live"],
        [INSTALLATION, INSTALLATION, Works(0)],
    ),
    (
        &["orphans", "twilio", "--live", "--installation-id=x"],
        [NUMBERS, NUMBERS, Works(0)],
    ),
    // What belongs to the installation is for its administrators.
    (
        &["check"],
        [WorksWithout(1, "get customresourcedefinitions"); 3],
    ),
    (
        &["report", "--out", "FOLDER/report"],
        [WorksWithout(0, "errors.txt"); 3],
    ),
    (
        &["version"],
        [WorksWithout(0, "get customresourcedefinitions"); 3],
    ),
];

/// One who has this ClusterRole in the namespace, and `everywhere` rights in the whole cluster.
async fn person(
    plane: &ControlPlane,
    name: &str,
    role: &str,
    everywhere: &[(&str, &str)],
) -> PathBuf {
    let kubeconfig = user(plane, "world", name, &[], everywhere).await;
    let (of, account) = (
        format!("--clusterrole={role}"),
        format!("--serviceaccount=world:{name}"),
    );
    kubectl(
        plane,
        &["create", "rolebinding", name, &of, &account, "-n", "world"],
    );
    let list = |who: &str| {
        let who = format!("--as=system:serviceaccount:world:{who}");
        try_kubectl(
            plane,
            &["auth", "can-i", "list", "phonenumbers", "-n", "world", &who],
        )
        .is_ok()
    };
    let until = wait::until(PATIENCE, "the role is put together", async || list(name));
    until.await;
    kubeconfig
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_works_or_names_the_right_that_lacks() {
    let plane = ControlPlane::start().await.unwrap();
    plane.start_controller_manager().await.unwrap();
    let world = World::cluster_wide(&plane, Emulator::start(), &[]).await;
    world
        .create("nyc", "twilio", "+12125556261", json!({}))
        .await;
    world.until_ready("nyc").await;
    world
        .bought_by_somebody_else("twilio", "+12125556262")
        .await;
    world
        .until_account("twilio", |account| account["status"]["unmanaged"] == 1)
        .await;
    let everywhere = [
        ("list", "phonenumbers.telephony.burki.dev"),
        ("list", "provideraccounts.telephony.burki.dev"),
        ("list", "clusterprovideraccounts.telephony.burki.dev"),
        ("get", "namespaces"),
    ];
    let people = [
        person(&plane, "viewer", "view", &[]).await,
        person(&plane, "editor", "edit", &[]).await,
        person(&plane, "auditor", "edit", &everywhere).await,
    ];
    let before = world.effects().await;
    for (at, kubeconfig) in people.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let object = "apiVersion: telephony.burki.dev/v1alpha1\nkind: PhoneNumber\nmetadata: {name: new}\n\
                      spec: {provider: twilio, phoneNumber: \"+12125556263\"}\n";
        fs::write(folder.path().join("new.yaml"), object).unwrap();
        let prices = r#"{"apiVersion": "telephony.burki.dev/v1", "kind": "PriceList", "generated": "2020-01-01T00:00:00Z", "accounts": []}"#;
        fs::write(folder.path().join("prices.json"), prices).unwrap();
        let place = folder.path().to_str().unwrap();
        for (arguments, outcomes) in WALK {
            let arguments: Vec<_> = arguments
                .iter()
                .map(|argument| argument.replace("FOLDER", place))
                .collect();
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let ran = phonenumbers_as(kubeconfig, &plane, &world.emulator, &arguments);
            let who = format!("{at} {arguments:?} {:?}", outcomes[at]);
            match outcomes[at] {
                Lacks(right) => {
                    let line = ran.failed();
                    let wanted = format!("you may not {right}");
                    assert!(line.starts_with(&wanted), "{who}: {line}");
                }
                Works(code) => {
                    assert_eq!(ran.code, code, "{who}: {ran:?}");
                    let said = [&ran.output[..], &ran.error].concat();
                    assert!(!said.contains("you may not"), "{who}: {ran:?}");
                }
                WorksWithout(code, right) => {
                    assert_eq!(ran.code, code, "{who}: {ran:?}");
                    let said = [&ran.output[..], &ran.error].concat();
                    assert!(said.contains(right), "{who}: {ran:?}");
                }
            }
        }
    }
    assert_eq!(world.effects().await, before, "it only reads");
}
