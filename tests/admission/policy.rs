//! The policy that keeps claims and finalizers in the operator's hands, tried with the tokens of the operator, of a person who
//! may do everything with numbers, and of the administrator. Without it one `kubectl replace` loses a paid number.

use serde_json::{Value, json};
use test_support::command::Printed;

use crate::cluster::{Cluster, poll};
use crate::deletion::{DEFINITION, PROTECTED};
use crate::manifests::{Kind, least};
use crate::office::{Office, held, plain};
use crate::refusals::{
    CLAIM, FINALIZERS, LABELS, OWN_ANNOTATIONS, OWN_FINALIZERS, OWN_OWNERS, SPEC,
};
use crate::roles::{ADOPTION, OWNERS, RESTORES, WAITS};

/// The group that `config/install.yaml` lets pass.
const BREAK_GLASS: &str = "--as-group=phonenumber-operator:break-glass";
const NO_FINALIZERS: &str = r#"{"metadata": {"finalizers": null}}"#;
const NO_ANNOTATIONS: &str = r#"{"metadata": {"annotations": null}}"#;

fn denied(what: &str, printed: Printed, message: &str) {
    let words = format!(
        "ValidatingAdmissionPolicy 'phonenumber-operator-claims' with binding 'phonenumber-operator-claims' \
         denied request: {message}\n"
    );
    let error = printed.expect_err(what);
    assert!(error.ends_with(&words), "{what}: {error}");
}

#[tokio::test]
async fn the_operator_adds_changes_and_removes_claims_and_finalizers() {
    let office = Office::new("operator").await;
    office.restore(&plain("number"));
    for (claim, finalizers) in [
        (json!("{}"), json!(["telephony.burki.dev/release"])),
        (
            json!("{\"version\":1}"),
            json!(["telephony.burki.dev/release"]),
        ),
        (Value::Null, Value::Null),
    ] {
        let patch = json!({"metadata": {
            "annotations": {"telephony.burki.dev/claim": claim},
            "finalizers": finalizers,
        }})
        .to_string();
        office
            .as_operator(&["patch", "pn", "number", "--type=merge", "-p", &patch])
            .unwrap();
        assert_eq!(office.kept("number"), (claim, finalizers));
    }
}

#[tokio::test]
async fn nobody_else_adds_changes_or_removes_them() {
    let office = Office::new("others").await;
    office.restore(&held("held"));
    office.restore(&plain("free"));
    let mut other_claim = plain("held");
    other_claim["metadata"]["annotations"] =
        json!({"telephony.burki.dev/claim": "{\"version\":1}"});
    let mut without_claim = held("held");
    without_claim["metadata"]["annotations"] = Value::Null;
    let mut without_finalizer = held("held");
    without_finalizer["metadata"]["finalizers"] = Value::Null;
    let (without_both, claimed) = (plain("held"), held("free"));
    let patch = |patch: &'static str| ["patch", "pn", "held", "--type=merge", "-p", patch];
    let json_patch = r#"[{"op": "remove", "path": "/metadata/finalizers/0"}]"#;
    let another = r#"{"metadata": {"finalizers": ["telephony.burki.dev/release", "telephony.burki.dev/other"]}}"#;
    let renamed = r#"{"metadata": {"finalizers": ["telephony.burki.dev/other"]}}"#;
    let server_side = ["apply", "--server-side", "--force-conflicts", "-f", "-"];

    let table: &[(&str, &[&str], Option<&Value>, &str)] = &[
        (
            "annotate, to remove the claim",
            &["annotate", "pn", "held", "telephony.burki.dev/claim-"],
            None,
            CLAIM,
        ),
        (
            "annotate, to change the claim",
            &[
                "annotate",
                "pn",
                "held",
                "--overwrite",
                "telephony.burki.dev/claim=x",
            ],
            None,
            CLAIM,
        ),
        (
            "annotate, to make a claim",
            &["annotate", "pn", "free", "telephony.burki.dev/claim={}"],
            None,
            CLAIM,
        ),
        (
            "annotate, to make an empty claim",
            &["annotate", "pn", "free", "telephony.burki.dev/claim="],
            None,
            CLAIM,
        ),
        (
            "patch, to remove all annotations",
            &patch(NO_ANNOTATIONS),
            None,
            CLAIM,
        ),
        (
            "patch, to remove all finalizers",
            &patch(NO_FINALIZERS),
            None,
            FINALIZERS,
        ),
        (
            "JSON patch, to remove the finalizer",
            &["patch", "pn", "held", "--type=json", "-p", json_patch],
            None,
            FINALIZERS,
        ),
        (
            "patch, to add a finalizer of the operator",
            &patch(another),
            None,
            FINALIZERS,
        ),
        (
            "patch, to exchange the finalizer",
            &patch(renamed),
            None,
            FINALIZERS,
        ),
        (
            "replace without both",
            &["replace", "-f", "-"],
            Some(&without_both),
            CLAIM,
        ),
        (
            "replace without the claim",
            &["replace", "-f", "-"],
            Some(&without_claim),
            CLAIM,
        ),
        (
            "replace without the finalizer",
            &["replace", "-f", "-"],
            Some(&without_finalizer),
            FINALIZERS,
        ),
        (
            "replace with both where there were none",
            &["replace", "-f", "-"],
            Some(&claimed),
            CLAIM,
        ),
        (
            "apply another claim",
            &["apply", "-f", "-"],
            Some(&other_claim),
            CLAIM,
        ),
        (
            "apply another claim, server-side",
            &server_side,
            Some(&other_claim),
            CLAIM,
        ),
    ];
    for (what, arguments, manifest, message) in table {
        denied(what, office.as_editor(arguments, *manifest), message);
        // Not even who may do everything else.
        let printed = match manifest {
            Some(manifest) => office.cluster.kubectl_with(arguments, manifest),
            None => office.cluster.kubectl(arguments),
        };
        denied(what, printed, message);
    }
    let both = (json!("{}"), json!(["telephony.burki.dev/release"]));
    assert_eq!(office.kept("held"), both);
    assert_eq!(office.kept("free"), (Value::Null, Value::Null));
}

#[tokio::test]
async fn everything_else_stays_open_and_keeps_them() {
    let office = Office::new("open").await;
    office.restore(&held("held"));
    let mut suspended = plain("held");
    suspended["spec"]["suspend"] = json!(true);
    let plain = plain("held");
    let mut exchanged = held("held");
    exchanged["metadata"]["labels"] = json!({"team": "voice"});
    let own = r#"[{"op": "add", "path": "/metadata/finalizers/0", "value": "example.com/own"}]"#;
    let not_own = r#"[{"op": "remove", "path": "/metadata/finalizers/0"}]"#;
    let table: &[(&[&str], Option<&Value>)] = &[
        (&["label", "pn", "held", "team=voice"], None),
        (&["label", "pn", "held", "team-"], None),
        (&["annotate", "pn", "held", "example.com/note=x"], None),
        (&["annotate", "pn", "held", "example.com/note-"], None),
        (
            &[
                "patch",
                "pn",
                "held",
                "--type=merge",
                "-p",
                r#"{"spec": {"assistantId": 101}}"#,
            ],
            None,
        ),
        (&["patch", "pn", "held", "--type=json", "-p", own], None),
        (&["patch", "pn", "held", "--type=json", "-p", not_own], None),
        // The manifests in git hold neither.
        (&["apply", "-f", "-"], Some(&plain)),
        (&["apply", "-f", "-"], Some(&suspended)),
        (&["apply", "-f", "-"], Some(&plain)),
        (
            &["apply", "--server-side", "--force-conflicts", "-f", "-"],
            Some(&suspended),
        ),
        (
            &["apply", "--server-side", "--force-conflicts", "-f", "-"],
            Some(&plain),
        ),
        (&["replace", "-f", "-"], Some(&exchanged)),
    ];
    for (arguments, manifest) in table {
        office.as_editor(arguments, *manifest).unwrap();
        let (claim, finalizers) = office.kept("held");
        assert_eq!(claim, "{}", "{arguments:?}");
        let finalizers = finalizers.as_array().unwrap();
        assert!(
            finalizers.contains(&json!("telephony.burki.dev/release")),
            "{arguments:?}: {finalizers:?}"
        );
    }
    let labels = &office.cluster.get(Kind::PhoneNumber, "held")["metadata"]["labels"];
    assert_eq!(labels["team"], "voice", "the last of them had an effect");
}

#[tokio::test]
async fn a_restore_may_carry_them() {
    let office = Office::new("restore").await;
    let both = (json!("{}"), json!(["telephony.burki.dev/release"]));
    for (name, arguments) in [
        ("created", &["create", "-f", "-"][..]),
        ("applied", &["apply", "-f", "-"]),
        (
            "applied-by-the-server",
            &["apply", "--server-side", "-f", "-"],
        ),
    ] {
        office.as_editor(arguments, Some(&held(name))).unwrap();
        assert_eq!(office.kept(name), both, "{name}");
        // After that they are the operator's.
        office
            .as_editor(&["label", "pn", name, "restored=yes"], None)
            .unwrap();
        let remove = ["annotate", "pn", name, "telephony.burki.dev/claim-"];
        denied(name, office.as_editor(&remove, None), CLAIM);
    }
    // A restored number goes on with the manifest in git, which holds neither.
    let apply = ["apply", "-f", "-"];
    office.as_editor(&apply, Some(&plain("created"))).unwrap();
    assert_eq!(office.kept("created"), both);
    // Who applied them is taken to want them gone when the next manifest is without them.
    denied(
        "applied",
        office.as_editor(&apply, Some(&plain("applied"))),
        CLAIM,
    );
    let apply = ["apply", "--server-side", "-f", "-"];
    let name = "applied-by-the-server";
    denied(name, office.as_editor(&apply, Some(&plain(name))), CLAIM);
}

#[tokio::test]
async fn a_number_in_deletion_can_be_edited_but_not_let_go() {
    let office = Office::new("deletion").await;
    office.restore(&held("held"));
    office
        .as_editor(&["delete", "pn", "held", "--wait=false"], None)
        .unwrap();
    let patch = |patch: &'static str| ["patch", "pn", "held", "--type=merge", "-p", patch];
    office
        .as_editor(&["label", "pn", "held", "team=voice"], None)
        .unwrap();
    denied(
        "removal",
        office.as_editor(&patch(NO_FINALIZERS), None),
        FINALIZERS,
    );
    // The way out that the message names.
    let retain = r#"{"spec": {"deletionPolicy": "Retain"}}"#;
    office.as_editor(&patch(retain), None).unwrap();
    let found = office.cluster.get(Kind::PhoneNumber, "held");
    assert!(
        found["metadata"]["deletionTimestamp"].is_string(),
        "{found}"
    );
    assert_eq!(found["spec"]["deletionPolicy"], "Retain");

    office.as_operator(&patch(NO_FINALIZERS)).unwrap();
    assert!(office.is_gone("held"));
}

#[tokio::test]
async fn who_breaks_the_glass_may_remove_them() {
    let office = Office::new("glass").await;
    office.restore(&held("held"));
    let editor = format!(
        "--as=system:serviceaccount:{}:editor",
        office.cluster.namespace
    );
    let patch = ["patch", "pn", "held", "--type=merge", "-p", NO_FINALIZERS];
    let by = |flags: &[&str]| office.cluster.kubectl(&[&patch[..], flags].concat());

    denied("no group", by(&[&editor]), FINALIZERS);
    let longer = format!("{BREAK_GLASS}ers");
    denied("another group", by(&[&editor, &longer]), FINALIZERS);
    // Belonging to a group takes the right to act as others: it is not for everybody.
    let printed = office.as_editor(&[&patch[..], &["--as=anybody", BREAK_GLASS]].concat(), None);
    let error = printed.unwrap_err();
    assert!(error.contains("cannot impersonate"), "{error}");
    assert_eq!(
        office.kept("held").1,
        json!(["telephony.burki.dev/release"])
    );

    by(&[&editor, BREAK_GLASS]).unwrap();
    let annotate = ["annotate", "pn", "held", "telephony.burki.dev/claim-"];
    office
        .cluster
        .kubectl(&[&annotate[..], &[&editor, BREAK_GLASS]].concat())
        .unwrap();
    assert_eq!(office.kept("held"), (Value::Null, Value::Null));
}

/// The policy does not look at the status: the API server itself takes nothing else from such a request.
#[tokio::test]
async fn nothing_is_smuggled_in_with_a_status() {
    let office = Office::new("status").await;
    office.restore(&held("held"));
    let both = office.kept("held");
    let mut patch = json!({"metadata": {"annotations": null, "finalizers": null}});
    patch["status"] = json!({"id": "PN1"});
    patch["spec"] = json!({"suspend": true});
    let patch = patch.to_string();
    let by_patch = [
        "patch",
        "pn",
        "held",
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ];
    office.as_editor(&by_patch, None).unwrap();
    let found = office.cluster.get(Kind::PhoneNumber, "held");
    assert_eq!(
        found["status"]["id"], "PN1",
        "the status itself was written"
    );
    assert_eq!(found["spec"]["suspend"], false);
    assert_eq!(office.kept("held"), both);

    let mut replacement = plain("held");
    replacement["status"] = json!({"id": "PN2"});
    office
        .as_editor(
            &["replace", "--subresource=status", "-f", "-"],
            Some(&replacement),
        )
        .unwrap();
    let found = office.cluster.get(Kind::PhoneNumber, "held");
    assert_eq!(
        found["status"]["id"], "PN2",
        "the status itself was written"
    );
    assert_eq!(office.kept("held"), both);
}

#[tokio::test]
async fn accounts_in_use_are_kept_the_same_way() {
    let office = Office::new("accounts").await;
    let name = office.cluster.namespace.clone();
    for kind in Kind::ACCOUNTS {
        let mut account = least(kind, "twilio", &name);
        account["metadata"]["finalizers"] = json!(["telephony.burki.dev/in-use"]);
        office
            .cluster
            .kubectl_with(&["create", "-f", "-"], &account)
            .unwrap();
        let what = format!("{kind:?}");
        let patch = [
            "patch",
            kind.plural(),
            &name,
            "--type=merge",
            "-p",
            NO_FINALIZERS,
        ];
        denied(&what, office.cluster.kubectl(&patch), FINALIZERS);
        office
            .cluster
            .kubectl(&["label", kind.plural(), &name, "team=voice"])
            .unwrap();
        office
            .patch_as_operator(kind, &name, NO_FINALIZERS)
            .await
            .unwrap();
        assert_eq!(
            office.cluster.get(kind, &name)["metadata"]["finalizers"],
            Value::Null
        );
    }
}

/// Its token, in other hands, moves no number to another assistant and no account to another webhook.
#[tokio::test]
async fn the_operator_changes_no_spec_and_no_label() {
    let office = Office::new("itself").await;
    office.restore(&plain("number"));
    for (patch, message) in [
        (r#"{"spec": {"assistantId": 102}}"#, SPEC),
        (
            r#"{"spec": {"webhooks": {"voiceUrl": "https://evil.example.net"}}}"#,
            SPEC,
        ),
        (
            r#"{"spec": {"deletionPolicy": "Retain"}, "metadata": {"finalizers": ["telephony.burki.dev/release"]}}"#,
            SPEC,
        ),
        (r#"{"metadata": {"labels": {"team": "voice"}}}"#, LABELS),
        (
            r#"{"metadata": {"annotations": {"example.com/note": "x"}}}"#,
            OWN_ANNOTATIONS,
        ),
        (
            r#"{"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "1"}]}}"#,
            OWN_OWNERS,
        ),
        (
            r#"{"metadata": {"finalizers": ["example.com/keeps-it"]}}"#,
            OWN_FINALIZERS,
        ),
    ] {
        let change = ["patch", "pn", "number", "--type=merge", "-p", patch];
        poll(patch, || {
            office
                .as_operator(&change)
                .is_err_and(|error| error.contains(message))
        });
    }
    let account = least(Kind::ProviderAccount, "twilio", "account");
    office.restore(&account);
    let patch = r#"{"spec": {"webhooks": {"baseUrl": "https://evil.example.net"}}}"#;
    let kind = Kind::ProviderAccount;
    let error = office.patch_as_operator(kind, "account", patch).await;
    let error = error.unwrap_err();
    assert!(error.contains(SPEC), "{error}");
}

#[tokio::test]
async fn no_message_of_a_policy_is_without_a_refusal() {
    let cluster = Cluster::new("messages").await;
    // Those of config/install.yaml; other tests add some for their own namespaces.
    let installed = "-l=app.kubernetes.io/managed-by=kubectl";
    let arguments = [
        "get",
        "validatingadmissionpolicies",
        installed,
        "-o",
        "json",
    ];
    let policies: Value = serde_json::from_str(&cluster.kubectl(&arguments).unwrap()).unwrap();
    let policies = policies["items"].as_array().unwrap();
    let messages: Vec<&str> = policies
        .iter()
        .flat_map(|policy| policy["spec"]["validations"].as_array().unwrap())
        .map(|validation| validation["message"].as_str().unwrap())
        .collect();
    assert_eq!(
        messages,
        [
            ADOPTION,
            CLAIM,
            FINALIZERS,
            DEFINITION,
            PROTECTED,
            SPEC,
            LABELS,
            OWN_ANNOTATIONS,
            OWN_OWNERS,
            OWN_FINALIZERS,
            WAITS,
            OWNERS,
            RESTORES,
        ]
    );
}
