//! The policies that a team may switch on: countries by namespace, a price that must be declared, and hosts of webhooks.

use serde_json::{Value, json};
use test_support::helm::{CHART, helm};

use crate::cluster::Cluster;
use crate::manifests::{Kind, least, with_spec};

/// A namespace with these policies and no other.
async fn office(name: &str, values: &[&str]) -> Cluster {
    let cluster = Cluster::new(name).await;
    enforce(&cluster, values);
    cluster
}

/// Installs policies by a release that looks after this namespace alone, so that other tests go on without them.
fn enforce(cluster: &Cluster, values: &[&str]) {
    let watch = format!("--set-json=watchNamespaces=[\"{}\"]", cluster.namespace);
    let release = [
        "template",
        "own",
        CHART,
        "--namespace",
        &cluster.namespace,
        &watch,
    ];
    let only = [
        "--set=flags.installationId=own",
        "--show-only=templates/admission/spending.yaml",
    ];
    let policies = helm(&[&release[..], &only, values].concat()).unwrap();
    cluster
        .kubectl_of(None, &["apply", "-f", "-"], Some(&policies))
        .unwrap();
}

fn number(spec: Value) -> Value {
    with_spec(least(Kind::PhoneNumber, "twilio", "number"), &spec)
}

fn searched(country: &str) -> Value {
    let mut manifest = number(json!({"search": {"country": country}}));
    manifest["spec"]
        .as_object_mut()
        .unwrap()
        .remove("phoneNumber");
    manifest
}

fn account(kind: Kind, webhooks: Value) -> Value {
    with_spec(
        least(kind, "twilio", "account"),
        &json!({"webhooks": webhooks}),
    )
}

/// Every manifest with what is said about it; an empty text if it is accepted.
async fn hold(cluster: &Cluster, table: &[(Value, &str)]) {
    for (manifest, message) in table.iter().filter(|(_, message)| !message.is_empty()) {
        // Policies take effect a moment after they were installed or their namespace was changed.
        let mut said = Ok(Value::Null);
        for _ in 0..600 {
            said = cluster.try_create(manifest).await;
            if said.as_ref().is_err_and(|error| error.contains(message)) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let error = said.expect_err(&manifest.to_string());
        assert!(error.contains(message), "{manifest}: {error}");
    }
    for (manifest, _) in table.iter().filter(|(_, message)| message.is_empty()) {
        if let Err(error) = cluster.try_create(manifest).await {
            panic!("{manifest}: {error}");
        }
    }
}

#[tokio::test]
async fn a_namespace_has_numbers_of_its_own_countries_only() {
    let values = [
        "--set=admission.allowedCountries.enabled=true",
        "--set-json=admission.allowedCountries.default=[\"DE\"]",
    ];
    let cluster = office("countries", &values).await;
    let exact = |text: &str| number(json!({"phoneNumber": text}));
    let german = "its countries are [DE], by the annotation telephony.burki.dev/allowed-countries of the namespace";
    hold(
        &cluster,
        &[
            (searched("US"), "this namespace may not have numbers of US"),
            (
                exact("+12125551234"),
                "this namespace may not have +12125551234",
            ),
            (searched("GB"), german),
            (exact("+442079460141"), german),
            (searched("DE"), ""),
            (exact("+4930901820"), ""),
        ],
    )
    .await;
    let namespace = cluster.namespace.clone();
    let annotate = [
        "annotate",
        "namespace",
        &namespace,
        "telephony.burki.dev/allowed-countries=US, GB",
    ];
    cluster.kubectl(&annotate).unwrap();
    hold(
        &cluster,
        &[
            (searched("DE"), "its countries are [US, GB]"),
            (exact("+4930901820"), "its countries are [US, GB]"),
            (searched("US"), ""),
            (searched("GB"), ""),
            (exact("+442079460141"), ""),
            // One calling code for all of North America: the account's limits tell them apart.
            (exact("+17875551234"), ""),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_price_is_declared_and_not_above_the_highest() {
    let values = ["--set-string=admission.maxMonthlyCost.amount=5.00"];
    let cluster = office("prices", &values).await;
    let priced = |amount: &str, currency: &str| {
        number(json!({"maxMonthlyCost": {"amount": amount, "currency": currency}}))
    };
    let most = "spec.maxMonthlyCost may be at most 5.00 USD";
    hold(
        &cluster,
        &[
            (
                number(json!({})),
                "declare spec.maxMonthlyCost: at most 5.00 USD a month",
            ),
            (
                searched("US"),
                "declare spec.maxMonthlyCost: at most 5.00 USD a month",
            ),
            (priced("5.000001", "USD"), most),
            (priced("10", "USD"), most),
            (priced("999999999", "USD"), most),
            (priced("1", "EUR"), most),
            (priced("5", "USD"), ""),
            (priced("5.000000", "USD"), ""),
            (priced("0", "USD"), ""),
        ],
    )
    .await;
}

#[tokio::test]
async fn calls_and_messages_go_to_known_hosts_only() {
    let known = "MG00000000000000000000000000000001";
    let values = [
        "--set-json=admission.webhookHosts=[\"voice.example.com\",\"*.example.org\"]",
        &format!("--set-json=admission.messagingServices=[\"{known}\"]"),
    ];
    let cluster = office("hosts", &values).await;
    let voice = |address: &str| number(json!({"webhooks": {"voiceUrl": address}}));
    let sms = |address: &str| number(json!({"webhooks": {"smsUrl": address}}));
    let base = |address: &str| account(Kind::ProviderAccount, json!({"baseUrl": address}));
    let only =
        "calls and messages may go to voice.example.com, *.example.org only, not to https://";
    hold(
        &cluster,
        &[
            (voice("https://evil.example.net/twiml"), only),
            (sms("https://evil.example.net/twiml"), only),
            (base("https://evil.example.net"), only),
            (voice("https://voice.example.com.evil.net/"), only),
            (voice("https://evilexample.org/"), only),
            (voice("https://example.org/"), only),
            (voice("https://sub.voice.example.com/"), only),
            (voice("https://127.0.0.1/"), only),
            (
                number(json!({"twilio": {"messagingServiceSid": "MG00000000000000000000000000000002"}})),
                "name it in the chart's admission.messagingServices",
            ),
            (number(json!({"twilio": {"messagingServiceSid": known}})), ""),
            (number(json!({"twilio": {}})), ""),
            (number(json!({})), ""),
            (voice("https://voice.example.com/twiml"), ""),
            (voice("https://VOICE.example.com/twiml"), ""),
            (voice("https://voice.example.com:8443/twiml?a=b"), ""),
            (sms("https://a.b.example.org/"), ""),
            (base("https://voice.example.com"), ""),
            (least(Kind::ProviderAccount, "twilio", "account"), ""),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_was_there_before_a_rule_is_labelled_deleted_and_let_go() {
    let cluster = Cluster::new("before").await;
    let mut old = number(json!({"webhooks": {"voiceUrl": "https://old.example.net"}}));
    old["metadata"]["finalizers"] = json!(["example.com/keeps-it"]);
    cluster.create(&old).await.unwrap();
    enforce(
        &cluster,
        &[
            "--set=admission.allowedCountries.enabled=true",
            "--set-json=admission.allowedCountries.default=[\"US\"]",
            "--set-string=admission.maxMonthlyCost.amount=5.00",
            "--set-json=admission.webhookHosts=[\"voice.example.com\"]",
        ],
    );
    let priced = json!({"maxMonthlyCost": {"amount": "1", "currency": "USD"}});
    let british = json!({"phoneNumber": "+442079460141"});
    let elsewhere = json!({"webhooks": {"voiceUrl": "https://old.example.net"}});
    hold(
        &cluster,
        &[
            (with_spec(number(priced.clone()), &british), "may not have"),
            (number(json!({})), "declare spec.maxMonthlyCost"),
            (with_spec(number(priced), &elsewhere), "may go to"),
        ],
    )
    .await;
    let patch = |patch: &'static str| ["patch", "pn", "number", "--type=merge", "-p", patch];
    let suspend = patch(r#"{"spec": {"suspend": true}}"#);
    assert!(
        cluster.kubectl(&suspend).is_err(),
        "its spec is under the rules"
    );
    for arguments in [
        &["label", "pn", "number", "team=voice"][..],
        &patch(r#"{"metadata": {"finalizers": ["example.com/keeps-it", "example.com/another"]}}"#),
        &[
            "patch",
            "pn",
            "number",
            "--subresource=status",
            "--type=merge",
            "-p",
            r#"{"status": {"id": "PN1"}}"#,
        ],
        &["delete", "pn", "number", "--wait=false"],
        &patch(r#"{"spec": {"deletionPolicy": "Retain"}}"#),
        &patch(r#"{"metadata": {"finalizers": null}}"#),
    ] {
        cluster
            .kubectl(arguments)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    }
}
