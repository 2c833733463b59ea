//! The policy that keeps claims and finalizers in the operator's hands, tried with the tokens of the operator, of a person who
//! may do everything with numbers, and of the administrator. Without it one `kubectl replace` loses a paid number.

use std::path::PathBuf;

use serde_json::{Value, json};
use test_support::command::Printed;
use test_support::control_plane::client_for;

use crate::cluster::{Cluster, poll};
use crate::deletion::{DEFINITION, PROTECTED};
use crate::manifests::{Kind, least};

const CLAIM: &str = "the annotation telephony.burki.dev/claim is the operator's: it keeps a paid number from being lost. \
     Leave it as it is: kubectl replace drops it, and so does a manifest that was applied with it and now comes without it";
const FINALIZERS: &str = "the finalizers telephony.burki.dev/... are the operator's: they keep a paid number from being lost. \
                          Use kubectl apply or patch instead of replace; to let a PhoneNumber go without releasing its number, \
                          set spec.deletionPolicy: Retain";
const OWNERS: &str = "a PhoneNumber is deleted with its owners, and its number is released: only a user who may delete \
                      PhoneNumbers in this namespace may add or change metadata.ownerReferences";
const RESTORES: &str = "the annotation telephony.burki.dev/claim says that a number may be paid already: only a user who may \
                        restore PhoneNumbers in this namespace (role phonenumber-restorer) may create one with it. Remove it \
                        from the manifest";
const ADOPTION: &str = "only a user who may adopt PhoneNumbers in this namespace (role phonenumber-adopter) may take over a \
                        number of a ClusterProviderAccount";
const OWN_ANNOTATIONS: &str = "the operator changes no annotation but telephony.burki.dev/claim";
const OWN_OWNERS: &str = "the operator does not change owners";
const OWN_FINALIZERS: &str = "the operator changes no finalizer but telephony.burki.dev/...";
const SPEC: &str = "the operator does not change a spec";
const LABELS: &str = "the operator does not change labels";
/// The group that `config/install.yaml` lets pass.
const BREAK_GLASS: &str = "--as-group=phonenumber-operator:break-glass";
const NO_FINALIZERS: &str = r#"{"metadata": {"finalizers": null}}"#;
const NO_ANNOTATIONS: &str = r#"{"metadata": {"annotations": null}}"#;

/// A namespace with a person who may edit numbers and accounts, and the operator's own token.
struct Office {
    cluster: Cluster,
    editor: PathBuf,
    operator: PathBuf,
}

impl Office {
    async fn new(name: &str) -> Self {
        let cluster = Cluster::new(name).await;
        let namespace = cluster.namespace.clone();
        let resources = "--resource=phonenumbers.telephony.burki.dev,phonenumbers.telephony.burki.dev/status,provideraccounts.telephony.burki.dev";
        let account = format!("--serviceaccount={namespace}:editor");
        for arguments in [
            &["create", "serviceaccount", "editor"][..],
            &["create", "role", "editor", "--verb=*", resources],
            &["create", "rolebinding", "editor", "--role=editor", &account],
        ] {
            cluster.kubectl(arguments).unwrap();
        }
        let plane = cluster.plane;
        let operator = plane
            .kubeconfig_for_service_account("phonenumber-operator-system", "phonenumber-operator")
            .await
            .unwrap();
        let editor = plane
            .kubeconfig_for_service_account(&namespace, "editor")
            .await
            .unwrap();
        let office = Self {
            cluster,
            editor,
            operator,
        };
        office.await_policy();
        office
    }

    /// A policy takes effect a moment after it was installed.
    fn await_policy(&self) {
        self.restore(&held("probe"));
        let remove = [
            "annotate",
            "pn",
            "probe",
            "telephony.burki.dev/claim-",
            "--dry-run=server",
        ];
        poll("the policy", || self.as_editor(&remove, None).is_err());
    }

    fn as_editor(&self, arguments: &[&str], manifest: Option<&Value>) -> Printed {
        let manifest = manifest.map(Value::to_string);
        self.cluster
            .kubectl_of(Some(&self.editor), arguments, manifest.as_deref())
    }

    fn as_operator(&self, arguments: &[&str]) -> Printed {
        self.cluster
            .kubectl_of(Some(&self.operator), arguments, None)
    }

    /// One request, as the operator sends it: kubectl would read the object first, for which it has no right.
    async fn patch_as_operator(&self, kind: Kind, name: &str, patch: &str) -> Printed {
        let path = format!("{}/{name}", kind.path(&self.cluster.namespace));
        let request = http::Request::patch(path)
            .header("content-type", "application/merge-patch+json")
            .body(patch.as_bytes().to_vec())
            .unwrap();
        let client = client_for(&self.operator).await.unwrap();
        match client.request_text(request).await {
            Ok(text) => Ok(text),
            Err(kube::Error::Api(status)) => Err(status.message.clone()),
            Err(error) => panic!("{error}"),
        }
    }

    /// As a restore from backup does, by somebody who is not the operator.
    fn restore(&self, manifest: &Value) {
        self.as_editor(&["create", "-f", "-"], Some(manifest))
            .unwrap();
    }

    /// The claim and the finalizers of a number.
    fn kept(&self, name: &str) -> (Value, Value) {
        let metadata = &self.cluster.get(Kind::PhoneNumber, name)["metadata"];
        (
            metadata["annotations"]["telephony.burki.dev/claim"].clone(),
            metadata["finalizers"].clone(),
        )
    }

    fn is_gone(&self, name: &str) -> bool {
        let arguments = ["get", "pn", name, "--ignore-not-found", "-o", "name"];
        self.cluster.kubectl(&arguments).unwrap().is_empty()
    }
}

fn plain(name: &str) -> Value {
    least(Kind::PhoneNumber, "twilio", name)
}

/// A number that the operator has claimed.
fn held(name: &str) -> Value {
    let mut manifest = plain(name);
    manifest["metadata"]["annotations"] = json!({"telephony.burki.dev/claim": "{}"});
    manifest["metadata"]["finalizers"] = json!(["telephony.burki.dev/release"]);
    manifest
}

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
            OWNERS,
            RESTORES,
        ]
    );
}

/// A person with the chart's own roles in a namespace, as `kubectl create rolebinding` gives them.
fn person(cluster: &Cluster, name: &str, roles: &[&str]) -> String {
    for role in roles {
        let binding = format!("{name}-{role}");
        let (role, user) = (format!("--clusterrole={role}"), format!("--user={name}"));
        let arguments = ["create", "rolebinding", &binding, &role, &user];
        cluster.kubectl(&arguments).unwrap();
    }
    format!("--as={name}")
}

fn forbidden(what: &str, printed: Printed, message: &str) {
    let error = printed.expect_err(what);
    assert!(error.contains(message), "{what}: {error}");
}

/// With a real garbage collector: what an owner reference does is shown, not supposed.
#[tokio::test]
async fn who_may_not_delete_sets_no_owner() {
    let office = Office::new("owners").await;
    let cluster = &office.cluster;
    cluster.plane.start_controller_manager().await.unwrap();
    let editor = person(
        cluster,
        "editor",
        &["phonenumber-editor", "phonenumber-buyer"],
    );
    let releaser = person(
        cluster,
        "releaser",
        &["phonenumber-editor", "phonenumber-releaser"],
    );
    let mut kept = plain("kept");
    kept["metadata"]["finalizers"] = json!(["example.com/keeps-it"]);
    office.restore(&kept);
    let gone = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone",
        "uid": "00000000-0000-4000-8000-000000000000"}]);
    let patch = json!({"metadata": {"ownerReferences": gone}}).to_string();
    let set = ["patch", "pn", "kept", "--type=merge", "-p", &patch];
    poll("the policy", || {
        let printed = cluster.kubectl(&[&set[..], &[&editor, "--dry-run=server"]].concat());
        printed.is_err_and(|error| error.contains(OWNERS))
    });
    forbidden(
        "delete",
        cluster.kubectl(&["delete", "pn", "kept", &editor]),
        "cannot delete",
    );
    forbidden(
        "patch",
        cluster.kubectl(&[&set[..], &[&editor]].concat()),
        OWNERS,
    );
    let mut owned = plain("owned");
    owned["metadata"]["ownerReferences"] = gone;
    let create = ["create", "-f", "-", &editor];
    forbidden("create", cluster.kubectl_with(&create, &owned), OWNERS);
    // What sets no owner passes.
    cluster.kubectl_with(&create, &plain("free")).unwrap();
    cluster
        .kubectl(&["label", "pn", "kept", "team=voice", &editor])
        .unwrap();
    assert!(cluster.get(Kind::PhoneNumber, "kept")["metadata"]["deletionTimestamp"].is_null());

    cluster.kubectl(&[&set[..], &[&releaser]].concat()).unwrap();
    poll("garbage collection", || {
        cluster.get(Kind::PhoneNumber, "kept")["metadata"]["deletionTimestamp"].is_string()
    });
    cluster
        .kubectl(&["label", "pn", "kept", "team-", &editor])
        .unwrap();
}

#[tokio::test]
async fn who_may_not_restore_creates_no_claim() {
    let office = Office::new("restores").await;
    let cluster = &office.cluster;
    let buyer = person(cluster, "buyer", &["phonenumber-buyer"]);
    let restorer = person(
        cluster,
        "restorer",
        &["phonenumber-buyer", "phonenumber-restorer"],
    );
    let create =
        |user: &str, manifest: &Value| cluster.kubectl_with(&["create", "-f", "-", user], manifest);
    poll("the policy", || {
        create(&buyer, &held("held")).is_err_and(|error| error.contains(RESTORES))
    });
    create(&buyer, &plain("plain")).unwrap();
    create(&restorer, &held("held")).unwrap();
}

#[tokio::test]
async fn who_may_not_adopt_takes_nothing_over_from_a_cluster_account() {
    let office = Office::new("adoption").await;
    let cluster = &office.cluster;
    let buyer = person(
        cluster,
        "buyer",
        &["phonenumber-editor", "phonenumber-buyer"],
    );
    let adopter = person(
        cluster,
        "adopter",
        &[
            "phonenumber-editor",
            "phonenumber-buyer",
            "phonenumber-adopter",
        ],
    );
    let adopting = |name: &str, kind: &str, policy: &str| {
        let mut manifest = plain(name);
        manifest["spec"]["adoptionPolicy"] = json!(policy);
        manifest["spec"]["accountRef"] = json!({"kind": kind, "name": "shared"});
        manifest
    };
    let create =
        |user: &str, manifest: &Value| cluster.kubectl_with(&["create", "-f", "-", user], manifest);
    let (of_all, own) = ("ClusterProviderAccount", "ProviderAccount");
    poll("the policy", || {
        create(&buyer, &adopting("shared", of_all, "Adopt"))
            .is_err_and(|error| error.contains(ADOPTION))
    });
    create(&buyer, &adopting("own", own, "Adopt")).unwrap();
    create(&buyer, &adopting("bought", of_all, "Never")).unwrap();
    create(&adopter, &adopting("shared", of_all, "Adopt")).unwrap();
    let patch = |user: &str, name: &str, patch: &str| {
        cluster.kubectl(&["patch", "pn", name, "--type=merge", "-p", patch, user])
    };
    let takes_over = r#"{"spec": {"adoptionPolicy": "Adopt"}}"#;
    forbidden("patch", patch(&buyer, "bought", takes_over), ADOPTION);
    let account = r#"{"spec": {"accountRef": {"kind": "ClusterProviderAccount"}}}"#;
    forbidden("account", patch(&buyer, "own", account), ADOPTION);
    // Once it is allowed, its other fields are anybody's to edit.
    patch(&buyer, "shared", r#"{"spec": {"assistantId": 101}}"#).unwrap();
}
