//! What Argo CD, Flux and kstatus make of our kinds, told by their own libraries over the checks in `examples/gitops`.

use std::io::Write;
use std::process::{Command, Stdio};

use phonenumber_operator::api::{Class, Reason};
use serde_json::{Value, json};
use test_support::command::run;
use test_support::control_plane::ControlPlane;
use test_support::helm::{compare, objects, of_kind};
use test_support::kubectl::{kubectl, kubectl_with, try_kubectl};
use test_support::root;

use crate::office::{get, install, number};

const KINDS: [&str; 3] = ["PhoneNumber", "ProviderAccount", "ClusterProviderAccount"];
const REGIONS: [&str; 2] = ["us-east", "eu-west"];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join("examples").join(path)).unwrap()
}

/// The documents of a YAML file.
fn documents(path: &str) -> Vec<Value> {
    let text = read(path);
    let documents = text.split("\n---\n");
    documents
        .map(|text| serde_saphyr::from_str(text).unwrap())
        .collect()
}

/// The expressions that every region's Kustomization has for this kind.
fn expressions(kind: &str) -> Value {
    let found = documents("gitops/flux/kustomizations.yaml");
    let of = |kustomization: &Value| {
        let checks = kustomization["spec"]["healthCheckExprs"]
            .as_array()
            .unwrap()
            .iter();
        let mut checks = checks.filter(|check| check["kind"] == kind);
        checks.next().unwrap().clone()
    };
    let first = of(&found[0]);
    assert!(found.iter().all(|kustomization| of(kustomization) == first));
    first
}

/// What the three say of each object.
fn judged(kind: &str, objects: &[Value]) -> Vec<[String; 3]> {
    let program = run(&mut Command::new(root().join("tests/gitops/build"))).unwrap();
    let question = json!({
        "objects": objects,
        "lua": read("gitops/argocd/health.lua"),
        "expressions": expressions(kind),
        "kustomizations": documents("gitops/flux/kustomizations.yaml"),
    });
    let mut child = Command::new(program.trim())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(question.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "its complaints are on standard error"
    );
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), objects.len());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    answers
        .iter()
        .map(|answer| ["argo", "flux", "kstatus"].map(|who| text(&answer[who])))
        .collect()
}

/// An object with the conditions of a reason, as the operator sets them.
fn object(kind: &str, reason: Reason, ready: bool) -> Value {
    let class = reason.class();
    let condition = |kind: &str, truth: bool| {
        json!({"type": kind, "status": if truth { "True" } else { "False" }, "reason": reason.to_string(),
            "message": "Why.", "observedGeneration": 2, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let mut conditions = vec![condition("Ready", ready)];
    let is_reconciling = matches!(class, Class::Working | Class::Waiting);
    if is_reconciling || reason == Reason::Suspended {
        conditions.push(condition("Reconciling", is_reconciling));
    }
    if class == Class::Stalled {
        conditions.push(condition("Stalled", true));
    }
    json!({
        "apiVersion": "telephony.burki.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "nyc", "namespace": "support", "generation": 2},
        "spec": {"provider": "twilio", "suspend": reason == Reason::Suspended},
        "status": {"observedGeneration": 2, "conditions": conditions},
    })
}

fn hold(kind: &str, table: &[(String, Value, [&str; 3])]) {
    let objects: Vec<Value> = table.iter().map(|(_, object, _)| object.clone()).collect();
    for ((what, _, wanted), found) in table.iter().zip(judged(kind, &objects)) {
        assert_eq!(found, *wanted, "{kind} {what}");
    }
}

const HEALTHY: [&str; 3] = ["Healthy", "Current", "Current"];
const PROGRESSING: [&str; 3] = ["Progressing", "InProgress", "InProgress"];
const DEGRADED: [&str; 3] = ["Degraded", "Failed", "Failed"];

#[test]
fn every_reason_is_healthy_progressing_degraded_or_suspended_everywhere_alike() {
    for kind in KINDS {
        let mut table = Vec::new();
        for reason in Reason::ALL.iter().copied() {
            if reason == Reason::Suspended {
                continue;
            }
            let (ready, wanted) = match reason.class() {
                Class::Settled => (true, HEALTHY),
                Class::Working | Class::Waiting => (false, PROGRESSING),
                Class::Stalled => (false, DEGRADED),
            };
            table.push((reason.to_string(), object(kind, reason, ready), wanted));

            let mut old = object(kind, reason, ready);
            old["metadata"]["generation"] = json!(3);
            table.push((format!("{reason} of an older generation"), old, PROGRESSING));

            let mut leaving = object(kind, reason, ready);
            leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            let gone = ["Progressing", "InProgress", "Terminating"];
            table.push((format!("{reason} in deletion"), leaving, gone));
        }
        hold(kind, &table);
    }
}

#[test]
fn a_suspended_number_is_suspended_and_keeps_nobody_waiting() {
    let suspended = |ready| object("PhoneNumber", Reason::Suspended, ready);
    let mut leaving = suspended(true);
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    hold(
        "PhoneNumber",
        &[
            (
                "Ready before".into(),
                suspended(true),
                ["Suspended", "Current", "Current"],
            ),
            // kstatus has no such state, and takes an object that is not Ready for one in progress.
            (
                "never bought".into(),
                suspended(false),
                ["Suspended", "Current", "InProgress"],
            ),
            (
                "in deletion".into(),
                leaving,
                ["Progressing", "InProgress", "Terminating"],
            ),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_the_operator_has_not_seen_yet_is_not_taken_for_done() {
    let plane = ControlPlane::shared().await;
    kubectl(plane, &["apply", "--server-side", "-f", "crds"]);
    for kind in KINDS {
        let name = format!("crd/{}s.telephony.burki.dev", kind.to_lowercase());
        kubectl(plane, &["wait", "--for=condition=Established", &name]);
    }
    let mut new = number(
        "default",
        "unseen",
        json!({"provider": "twilio", "phoneNumber": "+12125551234"}),
    );
    for kind in KINDS {
        if kind != "PhoneNumber" {
            new["kind"] = json!(kind);
            new["spec"] =
                json!({"provider": "twilio", "twilio": {"credentialsSecretRef": {"name": "keys"}}});
        }
        kubectl_with(plane, &["create", "-f", "-"], &new.to_string());
        let found = get(plane, &[kind, "unseen", "-n", "default"]);
        hold(
            kind,
            &[(
                "as the API server has it".into(),
                found.clone(),
                PROGRESSING,
            )],
        );
        // From an API server whose definition has no default.
        let mut bare = found;
        bare.as_object_mut().unwrap().remove("status");
        assert_eq!(judged(kind, &[bare])[0][0], "Progressing", "{kind}");
    }
}

#[test]
fn the_configmap_of_argo_cd_holds_the_health_check_for_each_kind() {
    let lua = read("gitops/argocd/health.lua");
    let indented: String = lua
        .lines()
        .map(|line| {
            if line.is_empty() {
                "\n".into()
            } else {
                format!("    {line}\n")
            }
        })
        .collect();
    let mut text = String::from(
        "# How Argo CD reads the three kinds. Merge it into its own ConfigMap argocd-cm:\n\
         #   kubectl -n argocd patch configmap argocd-cm --patch-file argocd-cm.yaml\n\
         # `make generate` writes it from health.lua.\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\ndata:\n",
    );
    for kind in KINDS {
        text.push_str(&format!(
            "  resource.customizations.health.telephony.burki.dev_{kind}: |\n{indented}"
        ));
    }
    compare("examples/gitops/argocd/argocd-cm.yaml", &text);
}

#[test]
fn every_region_has_an_application_and_a_kustomization_that_delete_nothing() {
    let applications = documents("gitops/argocd/applications.yaml");
    let kustomizations = documents("gitops/flux/kustomizations.yaml");
    assert_eq!(
        (applications.len(), kustomizations.len()),
        (REGIONS.len(), REGIONS.len())
    );
    for region in REGIONS {
        let name = json!(format!("telephony-{region}"));
        let of = |all: &[Value]| {
            all.iter()
                .find(|found| found["metadata"]["name"] == name)
                .unwrap()
                .clone()
        };
        let application = of(&applications);
        assert_eq!(
            application["spec"]["source"]["path"],
            format!("regions/{region}")
        );
        assert_eq!(
            application["spec"]["syncPolicy"]["automated"]["prune"],
            false
        );
        let finalizers = &application["metadata"]["finalizers"];
        assert!(
            finalizers.is_null(),
            "its deletion would delete every number"
        );
        let kustomization = of(&kustomizations);
        assert_eq!(kustomization["spec"]["path"], format!("./regions/{region}"));
        assert_eq!(kustomization["spec"]["deletionPolicy"], "Orphan");
        assert_eq!(
            kustomization["spec"]["force"], false,
            "it would delete a number to apply an invalid edit"
        );
        assert_eq!(kustomization["spec"]["serviceAccountName"], "telephony");
        let options = &application["spec"]["syncPolicy"]["syncOptions"];
        let options = options.as_array().into_iter().flatten();
        for option in options.map(|option| option.as_str().unwrap()) {
            let (name, _) = option.split_once('=').unwrap();
            assert!(!["Force", "Replace"].contains(&name), "{option}");
        }

        // What is at that path: numbers, and what they go with, that neither tool prunes.
        let overlay = format!("examples/regions/{region}");
        let rendered = run(Command::new(root().join("tests/control-plane/build")).arg("kubectl"));
        let mut kubectl = Command::new(format!("{}/kubectl", rendered.unwrap().trim()));
        let rendered = run(kubectl.args(["kustomize", &overlay]).current_dir(root())).unwrap();
        let all = objects(&rendered);
        let numbers = of_kind(&all, "PhoneNumber");
        assert!(!numbers.is_empty());
        for number in &numbers {
            let annotations = &number["metadata"]["annotations"];
            assert_eq!(annotations["kustomize.toolkit.fluxcd.io/force"], "disabled");
        }
        for kept in [numbers, of_kind(&all, "Namespace")].concat() {
            let annotations = &kept["metadata"]["annotations"];
            assert_eq!(annotations["kustomize.toolkit.fluxcd.io/prune"], "disabled");
            assert_eq!(
                annotations["argocd.argoproj.io/sync-options"],
                "Prune=false,Delete=false"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_of_the_tool_applies_a_region_and_deletes_no_number() {
    let plane = ControlPlane::start().await.unwrap();
    install(&plane, &[]);
    let by_admin = |arguments: &[&str]| kubectl(&plane, arguments);
    by_admin(&["create", "namespace", "flux-system"]);
    by_admin(&["apply", "-f", "examples/gitops/flux/serviceaccount.yaml"]);
    let by_tool = |arguments: &[&str]| {
        let who = ["--as=system:serviceaccount:flux-system:telephony"];
        try_kubectl(&plane, &[arguments, &who].concat())
    };
    let region = "examples/regions/us-east";
    by_tool(&["apply", "--server-side", "-k", region]).unwrap();
    let in_region = ["pn", "support", "-n", "us-east"];
    let bought = get(&plane, &in_region);
    assert_eq!(bought["spec"]["assistantId"], 101);

    let edit = r#"{"spec": {"assistantId": 102}}"#;
    let patch = ["patch", "--type=merge", "-p", edit];
    by_tool(&[&patch[..], &in_region].concat()).unwrap();
    for refused in [
        &["replace", "--force", "-k", region][..],
        &["delete", "pn", "support", "-n", "us-east", "--wait=false"],
        &["delete", "pn", "--all", "-n", "us-east"],
        &["delete", "namespace", "us-east", "--wait=false"],
    ] {
        let error = by_tool(refused).expect_err(&refused.join(" "));
        assert!(error.contains("forbidden"), "{refused:?}: {error}");
    }
    let kept = get(&plane, &in_region);
    assert_eq!(kept["metadata"]["uid"], bought["metadata"]["uid"]);
    assert!(kept["metadata"]["deletionTimestamp"].is_null());
    let namespace = get(&plane, &["namespace", "us-east"]);
    assert!(namespace["metadata"]["deletionTimestamp"].is_null());
}
