//! The pod: its flags, how long it may take to end, and what it may do.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use test_support::helm::{EVERYTHING, TWO_NAMESPACES, objects, rendered, the};
use test_support::program;

fn pod(values: &[&str]) -> Value {
    the(&objects(&rendered(values)), "Deployment")["spec"]["template"]["spec"].clone()
}

/// The flags in these arguments, with their values.
fn flags(values: &[&str]) -> Vec<(String, String)> {
    let pod = pod(values);
    let arguments = pod["containers"][0]["args"].as_array().unwrap();
    let arguments = arguments.iter().map(|argument| argument.as_str().unwrap());
    let flags = arguments.filter_map(|argument| argument.strip_prefix("--"));
    flags
        .map(|flag| match flag.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (flag.to_owned(), String::new()),
        })
        .collect()
}

#[test]
fn every_flag_of_the_program_is_a_value_and_no_other_flag_is_given() {
    let help = Command::new(program("phonenumber-operator"))
        .args(["run", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let known: BTreeSet<String> = help
        .lines()
        .map(|line| line.trim_start())
        .filter(|line| line.starts_with('-'))
        .filter_map(|line| line.split("--").nth(1)?.split([' ', '=']).next())
        .filter(|flag| *flag != "help")
        .map(str::to_owned)
        .collect();
    assert!(known.len() > 10, "{help}");
    let everything = [EVERYTHING, TWO_NAMESPACES].concat();
    let given = flags(&everything).into_iter().map(|(name, _)| name);
    assert_eq!(given.collect::<BTreeSet<_>>(), known);
}

#[test]
fn flags_have_the_values_that_were_set() {
    let flags = flags(&[EVERYTHING, TWO_NAMESPACES].concat());
    for (name, value) in [
        ("watch-namespace", "acme"),
        ("watch-namespace", "globex"),
        ("installation-id", "two-namespaces"),
        ("provider-endpoint", "twilio=http://emulator.example.com"),
        ("allow-insecure-endpoints", ""),
        ("allow-burki-origin", "https://burki.example.com"),
        ("log-level", "info,kube=debug"),
        ("leader-elect", "true"),
        ("listen", "0.0.0.0:8080"),
    ] {
        let wanted = (name.to_owned(), value.to_owned());
        assert!(flags.contains(&wanted), "{wanted:?}: {flags:?}");
    }
}

#[test]
fn a_pod_that_ends_has_time_for_a_purchase_in_flight() {
    for (timeout, seconds) in [
        ("30s", 60),
        ("1500ms", 32),
        ("2m", 150),
        ("10m", 630),
        ("90s", 120),
        ("1s", 31),
    ] {
        let timeout_of = format!("flags.purchaseTimeout={timeout}");
        let pod = pod(&["--set", &timeout_of, "--set=flags.purchaseVisibility=1h"]);
        assert_eq!(
            pod["terminationGracePeriodSeconds"],
            json!(seconds),
            "{timeout}"
        );
    }
}

#[test]
fn the_image_is_chosen_by_digest_then_tag_then_version() {
    let digest = "sha256:00000000000000000000000000000000000000000000000000000000000000aa";
    let (by_digest, by_tag) = (format!("image.digest={digest}"), "image.tag=1.2.3");
    let image = |values: &[&str]| pod(values)["containers"][0]["image"].clone();
    assert_eq!(
        image(&[]),
        concat!("phonenumber-operator:", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(image(&["--set", by_tag]), "phonenumber-operator:1.2.3");
    let both = ["--set", by_tag, "--set", &by_digest];
    assert_eq!(image(&both), format!("phonenumber-operator@{digest}"));
}

/// Whether the API server's own Pod Security admission takes it is tried in `tests/installation`.
#[test]
fn the_token_is_mounted_by_the_pod_itself_and_lasts_an_hour() {
    let all = objects(&rendered(&[]));
    let account = the(&all, "ServiceAccount");
    assert_eq!(account["automountServiceAccountToken"], json!(false));
    let pod = pod(&[]);
    assert_eq!(pod["automountServiceAccountToken"], json!(false));
    let volumes = pod["volumes"].as_array().unwrap();
    assert_eq!(volumes.len(), 1);
    let token = &volumes[0]["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(token, &json!({"path": "token", "expirationSeconds": 3600}));
    let mount = &pod["containers"][0]["volumeMounts"][0];
    assert_eq!(
        mount["mountPath"],
        "/var/run/secrets/kubernetes.io/serviceaccount"
    );
    assert_eq!(mount["readOnly"], json!(true));
}

#[test]
fn a_pod_may_use_its_limits_and_write_nowhere() {
    let pod = pod(&[]);
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"]["readOnlyRootFilesystem"],
        json!(true)
    );
    for bound in ["requests", "limits"] {
        for resource in ["cpu", "memory"] {
            let amount = &container["resources"][bound][resource];
            assert!(amount.is_string(), "{bound} {resource}");
        }
    }
}

#[test]
fn values_add_to_the_pod_and_take_nothing_from_it() {
    let (plain, more) = (pod(&[]), pod(EVERYTHING));
    let with = |list: &Value, one: Value| {
        let mut list = list.as_array().unwrap().clone();
        list.push(one);
        json!(list)
    };
    assert_eq!(
        more["volumes"],
        with(
            &plain["volumes"],
            json!({"name": "authorities", "configMap": {"name": "authorities"}})
        )
    );
    let (container, before) = (&more["containers"][0], &plain["containers"][0]);
    assert_eq!(
        container["volumeMounts"],
        with(
            &before["volumeMounts"],
            json!({"name": "authorities", "mountPath": "/authorities", "readOnly": true})
        )
    );
    assert_eq!(before["env"], json!(null));
    assert_eq!(container["env"], json!([{"name": "EXAMPLE", "value": "1"}]));
    assert_eq!(container["securityContext"], before["securityContext"]);
    assert_eq!(
        more["hostAliases"],
        json!([{"ip": "192.0.2.1", "hostnames": ["burki.example.com"]}])
    );
    assert_eq!(
        more["dnsConfig"],
        json!({"options": [{"name": "ndots", "value": "1"}]})
    );
    let linux = json!({"kubernetes.io/os": "linux"});
    assert_eq!(plain["nodeSelector"], linux);
    let narrower = json!({"kubernetes.io/os": "linux", "example.com/pool": "system"});
    assert_eq!(more["nodeSelector"], narrower);
}
