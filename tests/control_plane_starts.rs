//! The control plane that other tests rely on: it answers, it refuses what RBAC does not grant, and nothing of it is left
//! behind. With it failing, the failures of those tests mean nothing.

#![cfg(test)]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use test_support::control_plane::{ControlPlane, Options, client_for};
use test_support::kubectl::{kubectl, until_kinds_are_known};
use test_support::objects::create;
use test_support::wait::until;

const NAME: &str = "reader";

async fn create_namespace(client: &Client, name: &str) {
    create::<Namespace>(&Api::all(client.clone()), named(name)).await;
}

fn named(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}

fn grant(control_plane: &ControlPlane, arguments: &[&str]) {
    let create = ["create", "--namespace=rights"];
    kubectl(control_plane, &[&create, arguments].concat());
}

fn answers(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// Is a process left that was told to use this folder? Always false where there is no /proc.
fn is_used(folder: &std::path::Path) -> bool {
    let folder = folder.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .any(|command_line| String::from_utf8_lossy(&command_line).contains(folder))
}

#[tokio::test]
async fn it_is_the_expected_version() {
    let control_plane = ControlPlane::shared().await;
    let version = control_plane
        .admin_client()
        .await
        .unwrap()
        .apiserver_version()
        .await
        .unwrap();
    assert_eq!(version.major, "1");
    if std::env::var_os("KUBEBUILDER_ASSETS").is_none() {
        assert_eq!(version.git_version, "v1.37.2");
        assert_eq!(version.minor, "37");
    }
}

#[tokio::test]
async fn a_service_account_has_no_rights_but_those_granted() {
    let control_plane = ControlPlane::shared().await;
    let admin = control_plane.admin_client().await.unwrap();
    create_namespace(&admin, "rights").await;
    create::<ServiceAccount>(&Api::namespaced(admin, "rights"), named(NAME)).await;

    let kubeconfig = control_plane
        .kubeconfig_for_service_account("rights", NAME)
        .await
        .unwrap();
    let secrets = Api::<Secret>::namespaced(client_for(&kubeconfig).await.unwrap(), "rights");
    let Err(kube::Error::Api(refusal)) = secrets.list(&ListParams::default()).await else {
        panic!("listing secrets was not refused");
    };
    assert_eq!(refusal.code, 403);
    assert!(
        refusal
            .message
            .contains("system:serviceaccount:rights:reader"),
        "{}",
        refusal.message
    );

    grant(
        control_plane,
        &["role", "reads", "--verb=list", "--resource=configmaps"],
    );
    grant(
        control_plane,
        &[
            "rolebinding",
            "reads",
            "--role=reads",
            "--serviceaccount=rights:reader",
        ],
    );
    let maps = Api::<ConfigMap>::namespaced(client_for(&kubeconfig).await.unwrap(), "rights");
    until(Duration::from_secs(10), "the granted right", async || {
        maps.list(&ListParams::default()).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn an_account_that_does_not_exist_gets_no_token() {
    let control_plane = ControlPlane::shared().await;
    assert!(
        control_plane
            .kubeconfig_for_service_account("default", "nobody")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn objects_and_tokens_survive_the_death_of_the_api_server() {
    let folder = tempfile::tempdir().unwrap();
    let audit_log = folder.path().join("audit.log");
    let options = Options {
        audit_log: Some(audit_log.clone()),
        ..Options::default()
    };
    let control_plane = ControlPlane::start_with(options).await.unwrap();
    let admin = control_plane.admin_client().await.unwrap();
    create_namespace(&admin, "survivor").await;
    create::<ServiceAccount>(&Api::namespaced(admin.clone(), "survivor"), named(NAME)).await;
    let kubeconfig = control_plane
        .kubeconfig_for_service_account("survivor", NAME)
        .await
        .unwrap();

    control_plane.kill_api_server();
    assert!(!answers(control_plane.api_server_address()));
    control_plane.restart_api_server().await.unwrap();

    Api::<Namespace>::all(admin).get("survivor").await.unwrap();
    let secrets = Api::<Secret>::namespaced(client_for(&kubeconfig).await.unwrap(), "survivor");
    let Err(kube::Error::Api(refusal)) = secrets.list(&ListParams::default()).await else {
        panic!("listing secrets was not refused");
    };
    assert_eq!(refusal.code, 403, "the token is not known any more");
    let log = std::fs::read_to_string(audit_log).unwrap();
    assert!(
        log.lines()
            .any(|line| line.contains(r#""verb":"create""#) && line.contains("survivor"))
    );
}

#[tokio::test]
async fn the_controller_manager_finishes_the_deletion_of_a_namespace() {
    if std::env::var_os("KUBEBUILDER_ASSETS").is_some_and(|assets| {
        !std::path::Path::new(&assets)
            .join("kube-controller-manager")
            .exists()
    }) {
        return;
    }
    let control_plane = ControlPlane::start().await.unwrap();
    control_plane.start_controller_manager().await.unwrap();
    let namespaces = Api::<Namespace>::all(control_plane.admin_client().await.unwrap());
    create_namespace(&control_plane.admin_client().await.unwrap(), "leaving").await;
    namespaces
        .delete("leaving", &DeleteParams::default())
        .await
        .unwrap();
    until(Duration::from_secs(60), "the namespace goes", async || {
        namespaces.get_opt("leaving").await.unwrap().is_none()
    })
    .await;
}

#[tokio::test]
async fn nothing_is_left_after_the_drop() {
    let control_plane = ControlPlane::start().await.unwrap();
    let addresses = [
        control_plane.api_server_address(),
        control_plane.etcd_address(),
    ];
    let folder = control_plane.folder().to_owned();
    assert!(addresses.into_iter().all(answers) && folder.exists());

    drop(control_plane);

    assert!(!addresses.into_iter().any(answers));
    assert!(!is_used(&folder), "a program still runs");
    assert!(!folder.exists());
}

/// The process that [`nothing_runs_on_after_its_process_was_killed`] kills. Passes at once when not started by it.
#[tokio::test]
async fn holds_a_control_plane_until_killed() {
    if std::env::var_os("HOLD_A_CONTROL_PLANE").is_none() {
        return;
    }
    let control_plane = ControlPlane::shared().await;
    println!();
    println!(
        "holds {} {} {}",
        control_plane.api_server_address(),
        control_plane.etcd_address(),
        control_plane.folder().display()
    );
    std::future::pending().await
}

#[tokio::test]
async fn nothing_runs_on_after_its_process_was_killed() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "holds_a_control_plane_until_killed",
            "--nocapture",
        ])
        .env("HOLD_A_CONTROL_PLANE", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let line = lines
        .into_iter()
        .find(|line| line.starts_with("holds "))
        .expect("the holder ended");
    let words: Vec<&str> = line.split(' ').collect();
    let addresses: [SocketAddr; 2] = [words[1].parse().unwrap(), words[2].parse().unwrap()];
    let folder = std::path::PathBuf::from(words[3]);
    assert!(addresses.into_iter().all(answers));

    holder.kill().unwrap();
    holder.wait().unwrap();

    let what = "the end of all that the process had started";
    until(Duration::from_secs(10), what, async || {
        !addresses.into_iter().any(answers) && !is_used(&folder)
    })
    .await;
}

/// The simulation holds its own API server to the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_answers_as_the_simulated_one_does() {
    let control_plane = ControlPlane::start().await.unwrap();
    kubectl(&control_plane, &["apply", "--server-side", "-f", "crds"]);
    until_kinds_are_known(&control_plane);
    let client = control_plane.admin_client().await.unwrap();
    create_namespace(&client, "conformance").await;
    test_support::conformance::conforms(client, "conformance", || {}).await;
}
