//! What people see of what they wrote: unknown fields, nulls, defaults, names and `kubectl explain`.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::manifests::{Kind, least, least_as_stored, with_spec};

/// What every object says before an operator has seen it, so that kstatus does not take it for done.
fn waiting() -> Value {
    let condition = |condition: &str, status: &str| {
        json!({
            "type": condition,
            "status": status,
            "reason": "Pending",
            "message": "Waiting for the operator.",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        })
    };
    json!({"conditions": [condition("Ready", "Unknown"), condition("Reconciling", "True")]})
}

#[tokio::test]
async fn unknown_fields_are_refused_by_name() {
    let cluster = Cluster::new("unknown").await;
    let mut manifest = with_spec(
        least(Kind::PhoneNumber, "twilio", "typo"),
        &json!({"friendlyname": "x", "twilio": {"sid": "PN1"}}),
    );
    manifest["deletionPolicy"] = json!("Retain");
    let words = "PhoneNumber in version \"v1alpha1\" cannot be handled as a PhoneNumber: strict decoding error: \
                 unknown field \"deletionPolicy\", unknown field \"spec.friendlyname\", unknown field \"spec.twilio.sid\"";
    for arguments in [
        &["create", "--validate=strict", "-f", "-"][..],
        // The default, also for those who have never heard of it.
        &["create", "-f", "-"],
        &["apply", "-f", "-"],
    ] {
        let message = cluster.kubectl_with(arguments, &manifest).unwrap_err();
        assert!(message.contains(words), "{arguments:?}: {message}");
    }
    let arguments = ["apply", "--server-side", "-f", "-"];
    let message = cluster.kubectl_with(&arguments, &manifest).unwrap_err();
    assert!(
        message.contains(".deletionPolicy: field not declared in schema"),
        "{message}"
    );
    // Who asks for warnings instead gets the object, without what nobody knows.
    let arguments = [
        "create",
        "--validate=warn",
        "--warnings-as-errors",
        "-f",
        "-",
    ];
    let warned = cluster.kubectl_with(&arguments, &manifest).unwrap_err();
    assert!(
        warned.contains("Warning: unknown field \"spec.friendlyname\""),
        "{warned}"
    );
    let kept = cluster.get(Kind::PhoneNumber, "typo");
    assert!(kept["spec"].get("friendlyname").is_none(), "{kept}");
}

#[tokio::test]
async fn null_means_absent() {
    let cluster = Cluster::new("nulls").await;
    let defaults = least_as_stored("twilio");
    let empty = json!({
        "accountRef": null,
        "assistantId": null,
        "deletionPolicy": null,
        "deletionProtection": null,
        "friendlyName": null,
        "messaging": null,
        "suspend": null,
        "telnyx": null,
        "twilio": null,
        "webhooks": null,
    });
    let number = |change: &Value| with_spec(least(Kind::PhoneNumber, "twilio", "null"), change);
    let made = cluster.try_create(&number(&empty)).await.unwrap();
    assert_eq!(made["spec"], defaults);
    let made = cluster
        .try_create(&number(&json!({"accountRef": {"kind": null, "name": "a"}})))
        .await
        .unwrap();
    assert_eq!(
        made["spec"]["accountRef"],
        json!({"kind": "ProviderAccount", "name": "a"})
    );

    for (change, field) in [
        (json!({"provider": null}), "spec.provider"),
        (
            json!({"accountRef": {"name": null}}),
            "spec.accountRef.name",
        ),
    ] {
        let message = cluster.try_create(&number(&change)).await.unwrap_err();
        assert!(
            message.contains(&format!("{field}: Required value")),
            "{message}"
        );
    }
    let mut without_spec = number(&json!({}));
    without_spec["spec"] = Value::Null;
    let message = cluster.try_create(&without_spec).await.unwrap_err();
    assert!(message.contains("spec: Required value"), "{message}");

    for kind in Kind::ACCOUNTS {
        let account = with_spec(
            least(kind, "telnyx", "null"),
            &json!({
                "telnyx": {"connectionWebhook": null},
                "burki": {"url": null, "credentialsSecretRef": {"name": "b"}},
                "twilio": null,
            }),
        );
        let made = cluster.try_create(&account).await.unwrap();
        assert_eq!(
            made["spec"]["telnyx"]["connectionWebhook"], "Verify",
            "{kind:?}"
        );
        assert_eq!(
            made["spec"]["burki"]["url"], "https://api.burki.dev",
            "{kind:?}"
        );
        let account = with_spec(least(kind, "telnyx", "null"), &json!({"telnyx": null}));
        let message = cluster.try_create(&account).await.unwrap_err();
        assert!(
            message.contains("twilio must be set with provider twilio"),
            "{message}"
        );
    }
    // An account for no namespace and an account for all of them are two letters apart.
    for (written, kept) in [(Value::Null, None), (json!({}), Some(json!({})))] {
        let shared = with_spec(
            least(Kind::ClusterProviderAccount, "twilio", "null"),
            &json!({"allowedNamespaces": written}),
        );
        let made = cluster.try_create(&shared).await.unwrap();
        assert_eq!(made["spec"].get("allowedNamespaces"), kept.as_ref());
    }
}

#[tokio::test]
async fn the_api_server_fills_in_defaults_and_a_waiting_status() {
    let cluster = Cluster::new("defaults").await;
    let name = cluster.namespace.clone();
    let limits =
        json!({"purchasesPerHour": 100, "releasesPerHour": 50, "maxConcurrentRequests": 16});
    let cases = [
        (
            least(Kind::PhoneNumber, "twilio", &name),
            least_as_stored("twilio"),
        ),
        (
            least(Kind::ProviderAccount, "twilio", &name),
            json!({
                "provider": "twilio",
                "twilio": {"credentialsSecretRef": {"name": "keys"}},
                "limits": limits,
            }),
        ),
        (
            least(Kind::ClusterProviderAccount, "telnyx", &name),
            json!({
                "provider": "telnyx",
                "telnyx": {"connectionWebhook": "Verify", "credentialsSecretRef": {"name": "keys"}},
                "limits": limits,
            }),
        ),
    ];
    for (mut manifest, spec) in cases {
        // As in a manifest that was read from another cluster: what it says of the status is not believed.
        manifest["status"] = json!({"accountId": "AC1", "conditions": []});
        cluster.create(&manifest).await.unwrap();
        let made = cluster.get(Kind::of(&manifest), &name);
        assert_eq!(made["spec"], spec);
        assert_eq!(made["status"], waiting(), "{}", manifest["kind"]);
    }
}

#[tokio::test]
async fn short_names_and_the_category_find_the_kinds() {
    let cluster = Cluster::new("names").await;
    let name = cluster.namespace.clone();
    for kind in Kind::ALL {
        cluster.create(&least(kind, "twilio", &name)).await.unwrap();
    }
    let names = |what: &str| {
        let printed = cluster.kubectl(&["get", what, "-o", "name"]).unwrap();
        let names = printed
            .lines()
            .filter(|line| line.ends_with(&format!("/{name}")));
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    };
    let [number, account, shared] = ["phonenumber", "provideraccount", "clusterprovideraccount"]
        .map(|kind| vec![format!("{kind}.telephony.burki.dev/{name}")]);
    for what in ["pn", "phonenumber", "phonenumbers"] {
        assert_eq!(names(what), number, "{what}");
    }
    for what in ["pacc", "provideraccount", "provideraccounts"] {
        assert_eq!(names(what), account, "{what}");
    }
    for what in ["cpacc", "clusterprovideraccount", "clusterprovideraccounts"] {
        assert_eq!(names(what), shared, "{what}");
    }
    assert_eq!(names("telephony"), [shared, number, account].concat());
}

#[tokio::test]
async fn kubectl_explains_the_fields() {
    let cluster = Cluster::new("explain").await;
    for (field, words) in [
        (
            "phonenumber",
            "Creating one spends money at the provider; deleting one releases the number for good unless deletionPolicy is Retain.",
        ),
        (
            "phonenumber.spec.phoneNumber",
            "The number to hold, in E.164 form: a plus sign, then 7 to 15 digits, such as +12125551234. \
             Cannot be changed: delete this object and create another one to hold another number.",
        ),
        (
            "pn.spec.provider",
            "ENUM: twilio telnyx DESCRIPTION: The provider to buy the number from: twilio or telnyx. Cannot be changed.",
        ),
        (
            "provideraccount.spec.twilio.credentialsSecretRef",
            "The Secret with the keys accountSid and authToken, or accountSid, apiKeySid and apiKeySecret.",
        ),
        (
            "clusterprovideraccount.spec.allowedNamespaces",
            "Absent: none. Empty ({}): all.",
        ),
    ] {
        let printed = cluster.kubectl(&["explain", field]).unwrap();
        // kubectl breaks lines at its own width.
        let printed = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(printed.contains(words), "{field}: {printed}");
    }
}

/// The API server's words reach people through kubectl unchanged, and alike for every way to write.
#[tokio::test]
async fn kubectl_prints_the_message_of_a_rule() {
    let cluster = Cluster::new("kubectl").await;
    let number = least(Kind::PhoneNumber, "twilio", "one");
    cluster
        .kubectl_with(&["apply", "-f", "-"], &number)
        .unwrap();
    let other = with_spec(number, &json!({"phoneNumber": "+12125551235"}));
    for arguments in [
        &["apply", "-f", "-"][..],
        &["apply", "--server-side", "--force-conflicts", "-f", "-"],
        &["replace", "-f", "-"],
    ] {
        let message = cluster.kubectl_with(arguments, &other).unwrap_err();
        let words = "The PhoneNumber \"one\" is invalid: spec.phoneNumber: Forbidden: must not be changed: \
                     create another PhoneNumber for another number\n";
        assert!(message.ends_with(words), "{arguments:?}: {message}");
    }
}
