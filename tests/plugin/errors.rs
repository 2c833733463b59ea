//! What the plugin says when it cannot answer: one line that names the next step, the exit code, and nothing secret.

use std::process::Stdio;

use serde_json::json;
use test_support::control_plane::ControlPlane;
use test_support::emulator::TWILIO_ACCOUNT;
use test_support::kubectl::{OPERATOR_NAMESPACE, kubectl};
use test_support::world::World;

use crate::plugin::{Ran, kubectl_with_plugin, phonenumbers, phonenumbers_as, ran, user};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_command_is_told_before_anything_is_asked() {
    let plane = ControlPlane::shared().await;
    let mut world = World::new("usage").await;
    world.kill_operator();
    let before = world.emulator.requests().await;
    let ask = |arguments: &[&str]| phonenumbers(plane, &world.emulator, arguments);
    for (arguments, says) in [
        (&[][..], "Usage: kubectl phonenumbers"),
        (&["unmanaged"], "<ACCOUNT>"),
        (&["adopt", "twilio"], "unrecognized subcommand"),
        (
            &["unmanaged", "--live", "twilio", "-o", "xml"],
            "[possible values: wide, yaml, json, name]",
        ),
        (
            &["unmanaged", "secret/twilio"],
            "the kinds are provideraccount and clusterprovideraccount",
        ),
        (
            &["unmanaged", "--live", "twilio", "--cluster"],
            "--cluster <NAME>",
        ),
        (
            &["unmanaged", "--live", "twilio", "--request-timeout", "soon"],
            "it is a count of seconds, or a duration such as 2m",
        ),
        (
            &["orphans", "--live", "twilio", "--provider-endpoint", "x"],
            "twilio=URL",
        ),
    ] {
        let Ran {
            code,
            output,
            error,
        } = ask(arguments);
        assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}: {error}");
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
    let clear = ["--provider-endpoint", "twilio=http://10.0.0.1"];
    let line = ask(&[
        &["unmanaged", "--live", "twilio", "-n", &world.namespace],
        &clear[..],
    ]
    .concat());
    assert!(
        line.failed()
            .contains("not sent over plain http to other machines")
    );
    let help = ask(&["unmanaged", "--help"]).worked();
    assert!(
        help.contains("the friendly name gets the operator's mark"),
        "{help}"
    );
    assert_eq!(world.emulator.requests().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_with_the_next_step() {
    let plane = ControlPlane::shared().await;
    let world = World::new("missing").await;
    let namespace = world.namespace.clone();
    let ask = |arguments: &[&str]| {
        phonenumbers(
            plane,
            &world.emulator,
            &[&["unmanaged", "--live", "-n", &namespace], arguments].concat(),
        )
        .failed()
    };
    let line = ask(&["nosuch"]);
    let wanted = format!(
        "ProviderAccount {namespace}/nosuch does not exist. kubectl get provideraccounts -n {namespace}"
    );
    assert!(line.starts_with(&wanted), "{line}");
    let line = ask(&["clusterprovideraccount/nosuch"]);
    let wanted =
        "ClusterProviderAccount nosuch does not exist. kubectl get clusterprovideraccounts";
    assert!(line.starts_with(wanted), "{line}");

    world.delete_secret("twilio").await;
    let line = ask(&["twilio"]);
    let wanted = format!(
        "Secret {namespace}/twilio, which ProviderAccount {namespace}/twilio refers to, does not exist. Create it with the \
         keys accountSid"
    );
    assert!(line.starts_with(&wanted), "{line}");
    world
        .secret("twilio", json!({"accountSid": TWILIO_ACCOUNT}))
        .await;
    let line = ask(&["twilio"]);
    assert!(line.contains("lacks the key authToken"), "{line}");
    world
        .secret(
            "twilio",
            json!({"accountSid": TWILIO_ACCOUNT, "authToken": "fake-secret"}),
        )
        .await;
    let line = ask(&["twilio"]);
    assert!(
        line.starts_with("twilio refuses the credential of ProviderAccount"),
        "{line}"
    );
    assert!(
        line.contains(&format!(
            "Put one that works into Secret {namespace}/twilio"
        )),
        "{line}"
    );
    assert!(!line.contains("fake-secret"), "{line}");

    for (kind, says) in [
        ("429", "to slow down. Try again"),
        ("503", "cannot be asked for"),
    ] {
        let fault = json!({"dialect": "telnyx", "kind": kind});
        world.emulator.fault(fault).await;
        let line = ask(&["telnyx"]);
        assert!(line.contains(says), "{kind}: {line}");
        world.emulator.clear_faults().await;
    }

    let no_cluster = ask(&["twilio", "--kubeconfig", "/nonexistent/config"]);
    assert!(
        no_cluster.starts_with("no cluster to ask: "),
        "{no_cluster}"
    );
    assert!(no_cluster.ends_with("Choose one with --context or --kubeconfig"));
    for flag in ["--cluster", "--user"] {
        let unknown = ask(&["twilio", flag, "nosuch"]);
        assert!(unknown.starts_with("no cluster to ask: "), "{unknown}");
    }
    let no_context = ask(&["twilio", "--context", "nosuch"]);
    assert!(
        no_context.starts_with("no cluster to ask: "),
        "{no_context}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugin_has_the_rights_of_its_user_and_names_those_that_lack() {
    let plane = ControlPlane::shared().await;
    let world = World::new("rights").await;
    let namespace = world.namespace.clone();
    let nobody = user(plane, &namespace, "nobody", &[], &[]).await;
    let accounts = ("get", "provideraccounts.telephony.burki.dev");
    let half = user(plane, &namespace, "half", &[accounts], &[]).await;
    let whole = user(
        plane,
        &namespace,
        "whole",
        &[accounts, ("get", "secrets")],
        &[],
    )
    .await;
    let all = ("list", "phonenumbers.telephony.burki.dev");
    let ask = |kubeconfig, arguments: &[&str]| {
        phonenumbers_as(kubeconfig, plane, &world.emulator, arguments)
    };
    for (kubeconfig, arguments, right) in [
        (
            &nobody,
            &["unmanaged", "--live", "twilio"][..],
            "get provideraccounts in namespace",
        ),
        (
            &half,
            &["unmanaged", "--live", "twilio"],
            "get the Secret twilio in namespace",
        ),
        (
            &whole,
            &["unmanaged", "--live", "twilio", "-oyaml"],
            "list phonenumbers in namespace",
        ),
        (
            &whole,
            &["orphans", "--live", "twilio"],
            "get the namespace kube-system",
        ),
        (
            &whole,
            &["orphans", "--live", "twilio", "--installation-id", "x"],
            "list phonenumbers in all namespaces",
        ),
        (
            &whole,
            &["unmanaged", "--live", "clusterprovideraccount/x"],
            "get clusterprovideraccounts",
        ),
    ] {
        // The namespace is that of the kubeconfig's context.
        let line = ask(kubeconfig, arguments).failed();
        let wanted = format!("you may not {right}");
        assert!(line.starts_with(&wanted), "{arguments:?}: {line}");
        assert!(line.contains("is forbidden: User"), "{line}");
    }
    assert_eq!(ask(&whole, &["unmanaged", "--live", "twilio"]).code, 0);
    let seer = user(
        plane,
        &namespace,
        "seer",
        &[accounts, ("get", "secrets")],
        &[all],
    )
    .await;
    let own = [
        "orphans",
        "--live",
        "twilio",
        "--installation-id",
        &namespace,
    ];
    assert_eq!(ask(&seer, &own).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_impersonated_has_the_rights_of_that_user() {
    let plane = ControlPlane::shared().await;
    let world = World::new("impersonated").await;
    let namespace = world.namespace.clone();
    let ask = |flags: &[&str]| {
        let own = [
            "unmanaged",
            "--live",
            "twilio",
            "-n",
            &namespace,
            "--as",
            "jane",
        ];
        phonenumbers(plane, &world.emulator, &[&own, flags].concat())
    };
    let line = ask(&[]).failed();
    assert!(line.contains("is forbidden: User \"jane\""), "{line}");
    assert_eq!(ask(&["--as-group", "system:masters"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_ends_the_answer_quietly() {
    let plane = ControlPlane::shared().await;
    let world = World::new("pipes").await;
    world
        .bought_by_somebody_else("twilio", "+12125556101")
        .await;
    for more in [&["--help"][..], &["twilio", "-n", &world.namespace]] {
        let mut command = kubectl_with_plugin(plane, &world.emulator);
        let command = command
            .args(["phonenumbers", "unmanaged", "--live"])
            .args(more);
        let (stdout, stderr) = (Stdio::piped(), Stdio::piped());
        let mut plugin = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        drop(plugin.stdout.take());
        let ended = plugin.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), said.as_str()), (Some(0), ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_for_many_namespaces_is_opened_by_the_secret_of_the_operators_namespace() {
    let plane = ControlPlane::shared().await;
    let world = World::new("many").await;
    let (namespace, name) = (world.namespace.as_str(), world.namespace.as_str());
    let account = json!({
        "apiVersion": "telephony.burki.dev/v1alpha1", "kind": "ClusterProviderAccount", "metadata": {"name": name},
        "spec": {"provider": "telnyx", "telnyx": {"credentialsSecretRef": {"name": name}}},
    });
    crate::plugin::apply(plane, &account.to_string());
    world
        .bought_by_somebody_else("telnyx", "+16175556001")
        .await;
    let named = format!("clusterprovideraccount/{name}");
    let ask = |arguments: &[&str]| {
        let own = ["unmanaged", "--live", &named, "-n", namespace];
        phonenumbers(plane, &world.emulator, &[&own, arguments].concat())
    };
    let line = ask(&[]).failed();
    assert!(
        line.contains(&format!("Secret {OPERATOR_NAMESPACE}/{name}")),
        "{line}"
    );
    assert!(line.contains("--operator-namespace"), "{line}");
    let key = "--from-literal=apiKey=emulator-key";
    for there in [OPERATOR_NAMESPACE, namespace] {
        kubectl(
            plane,
            &["create", "secret", "generic", name, key, "-n", there],
        );
    }
    let yaml = ask(&["-o", "yaml"]).worked();
    for wanted in [
        format!("namespace: {namespace}"),
        "kind: ClusterProviderAccount".to_owned(),
        format!("name: {name}"),
        "name: number-16175556001".to_owned(),
    ] {
        assert!(yaml.contains(&wanted), "{yaml}");
    }
    assert_eq!(ask(&["--operator-namespace", namespace]).code, 0);
    let mut elsewhere = kubectl_with_plugin(plane, &world.emulator);
    let elsewhere = ran(elsewhere.args(["phonenumbers", "unmanaged", &named, "-oname"]));
    assert_eq!(
        elsewhere.worked(),
        "phonenumber.telephony.burki.dev/number-16175556001\n"
    );
}
