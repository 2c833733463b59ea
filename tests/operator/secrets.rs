//! A whole life of numbers with credentials that would be recognised anywhere, at the loudest log level: they show up nowhere.

use std::fmt::Debug;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Response, Uri};
use data_encoding::BASE64;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use phonenumber_operator::api::{ClusterProviderAccount, PhoneNumber, ProviderAccount};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use test_support::emulator::CONNECTION;
use test_support::kubectl::OPERATOR_NAMESPACE;
use test_support::world::{Log, World, reason};

const TWILIO: &str = "canary7f3a9c51twilio0000000000000";
const TELNYX: &str = "KEYcanary7f3a9c51_telnyx";
const BURKI: &str = "canary7f3a9c51-burki";
const WRONG: &str = "canary7f3a9c51-wrong";

/// In every credential above, and in nothing else.
const CANARY: &str = "canary7f3a9c51";

/// A secret of other people that the directory answers with.
const OF_OTHERS: &str = "fake-key-in-an-answer";

/// A company that refuses everything, and repeats in its answer what it was told, in every form.
async fn echo() -> (String, Arc<Mutex<Vec<String>>>) {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&heard);
    let answer = move |uri: Uri, headers: HeaderMap| {
        let kept = Arc::clone(&kept);
        async move {
            let told = headers
                .get("authorization")
                .map(|value| value.to_str().unwrap().to_owned())
                .unwrap_or_default();
            let plain = told
                .strip_prefix("Basic ")
                .and_then(|pair| BASE64.decode(pair.as_bytes()).ok())
                .and_then(|pair| String::from_utf8(pair).ok())
                .unwrap_or_default();
            kept.lock().unwrap().push(format!("{told} {plain}"));
            let text = format!("you said {told} which is {plain} to https://{plain}@example.com");
            let body = match uri.path() {
                path if path.starts_with("/v2/") => {
                    json!({"errors": [{"code": told, "title": text, "detail": text}]})
                }
                path if path.starts_with("/api/") => json!({"detail": text}),
                _ => json!({"code": 20003, "message": text, "status": 401}),
            };
            Response::builder()
                .status(401)
                .header("x-request-id", told.rsplit(' ').next().unwrap_or_default())
                .body(Body::from(body.to_string()))
                .unwrap()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, heard)
}

/// Everything of one kind that a reader of the cluster sees.
async fn shown<K>(api: Api<K>) -> String
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize,
{
    let list = api.list(&ListParams::default()).await.unwrap();
    serde_json::to_string_pretty(&list.items).unwrap()
}

/// What stands in the cluster, by kind.
async fn seen_in_the_cluster(client: &Client, namespace: &str) -> Vec<(&'static str, String)> {
    let client = || client.clone();
    vec![
        (
            "Events",
            shown(Api::<Event>::namespaced(client(), namespace)).await,
        ),
        (
            "PhoneNumbers",
            shown(Api::<PhoneNumber>::namespaced(client(), namespace)).await,
        ),
        (
            "accounts",
            shown(Api::<ProviderAccount>::namespaced(client(), namespace)).await,
        ),
        (
            "cluster accounts",
            shown(Api::<ClusterProviderAccount>::all(client())).await,
        ),
        (
            "ConfigMaps",
            shown(Api::<ConfigMap>::namespaced(client(), OPERATOR_NAMESPACE)).await,
        ),
        (
            "Leases",
            shown(Api::<Lease>::namespaced(client(), OPERATOR_NAMESPACE)).await,
        ),
    ]
}

/// What the operator's own port tells.
async fn told_at(address: SocketAddr) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut told = String::new();
    for path in ["metrics", "livez", "readyz"] {
        let reply = http.get(format!("http://{address}/{path}")).send().await;
        told += &reply.unwrap().text().await.unwrap();
    }
    told
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// The accounts at the emulated companies, and the Secrets that open them, get keys that would be recognised.
async fn change_the_keys(world: &World) {
    let account = format!("/console/accounts/{}", world.twilio);
    world
        .emulator
        .post(&account, json!({"token": TWILIO}))
        .await;
    let account = format!("/console/accounts/{}", world.telnyx);
    world.emulator.post(&account, json!({"key": TELNYX})).await;
    for assistant in [101, 102] {
        let assistant = format!("/console/assistants/{assistant}");
        world.emulator.post(&assistant, json!({"key": BURKI})).await;
    }
    open_with(world, TWILIO, TELNYX, BURKI).await;
}

async fn open_with(world: &World, twilio: &str, telnyx: &str, burki: &str) {
    let keys = json!({"accountSid": world.twilio, "authToken": twilio});
    world.secret("twilio", keys).await;
    world.secret("telnyx", json!({"apiKey": telnyx})).await;
    world.secret("burki", json!({"apiKey": burki})).await;
}

async fn until_refused(world: &World) {
    for account in ["twilio", "telnyx"] {
        let refused = |account: &Value| {
            let conditions = account["status"]["conditions"].as_array();
            let mut conditions = conditions.into_iter().flatten();
            conditions.any(|found| found["reason"] == "CredentialsInvalid")
        };
        world.until_account(account, refused).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_shows_up_in_logs_events_status_annotations_or_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let listen = address.to_string();
    let flags = [
        "--log-level",
        "trace",
        "--log-format",
        "json",
        "--listen",
        &listen,
    ];
    let mut world = World::alone("canary", &flags).await;
    world.kill_operator();
    world.log = Some(Log(folder.path().join("operator.log")));
    change_the_keys(&world).await;
    world.start_operator();

    let spec = json!({"assistantId": 101, "telnyx": {"connectionId": CONNECTION}});
    world.create("bos", "telnyx", "+16175550101", spec).await;
    let spec = json!({"assistantId": 101});
    world.create("nyc", "twilio", "+12125550101", spec).await;
    world.until_ready("nyc").await;
    world.until_ready("bos").await;
    for kind in ["html-body", "truncated-body", "500-after-commit"] {
        for dialect in ["twilio", "telnyx", "burki"] {
            let fault = json!({"dialect": dialect, "kind": kind, "times": 2});
            world.emulator.fault(fault).await;
        }
    }
    world.change("nyc", json!({"assistantId": 102})).await;
    world.change("bos", json!({"assistantId": 102})).await;
    world.until_ready("nyc").await;
    world.until_ready("bos").await;
    let metrics = told_at(address).await;

    open_with(&world, WRONG, WRONG, WRONG).await;
    world
        .create("new", "twilio", "+12125550102", json!({}))
        .await;
    until_refused(&world).await;
    world.until_reason("new", "CredentialsInvalid").await;

    let (url, heard) = echo().await;
    let honest = world.emulator.clone();
    (
        world.emulator.twilio,
        world.emulator.telnyx,
        world.emulator.burki,
    ) = (url.clone(), url.clone(), url.clone());
    world.kill_operator();
    open_with(&world, TWILIO, TELNYX, BURKI).await;
    for account in ["twilio", "telnyx"] {
        let burki = json!({"burki": {"url": url, "credentialsSecretRef": {"name": "burki"}}});
        world.change_account(account, burki).await;
    }
    world.start_operator();
    world
        .until("new", "refused by an echo", |number| {
            serde_json::to_string(&number.status)
                .unwrap()
                .contains("you said")
        })
        .await;
    until_refused(&world).await;
    let heard = heard.lock().unwrap().join("\n");
    assert!(heard.contains(TWILIO) && heard.contains(TELNYX), "{heard}");
    let amid = seen_in_the_cluster(&world.client, &world.namespace).await;

    world.emulator = honest;
    world.kill_operator();
    for account in ["twilio", "telnyx"] {
        let origin = &world.emulator.burki;
        let burki = json!({"burki": {"url": origin, "credentialsSecretRef": {"name": "burki"}}});
        world.change_account(account, burki).await;
    }
    world.start_operator();
    let number = world.until_ready("new").await;
    assert_eq!(reason(&number), "Ready");
    let after = seen_in_the_cluster(&world.client, &world.namespace).await;
    for name in ["new", "nyc", "bos"] {
        world.delete(name).await;
    }
    for name in ["new", "nyc", "bos"] {
        world.until_gone(name).await;
    }
    world.kill_operator();

    let log = std::fs::read_to_string(folder.path().join("operator.log")).unwrap();
    for said in [
        "\"TRACE\"",
        "\"operation\":\"assign\"",
        "\"operation\":\"release\"",
    ] {
        assert!(log.contains(said), "the log tells all: {said}");
    }
    let last = seen_in_the_cluster(&world.client, &world.namespace).await;
    let places = [("the log", log), ("metrics", metrics)];
    for (place, text) in places.into_iter().chain(amid).chain(after).chain(last) {
        let pair = BASE64.encode(format!("{}:{TWILIO}", world.twilio).as_bytes());
        for secret in [CANARY, OF_OTHERS, &pair, &world.token()] {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{place} shows {secret}: {line:?}");
        }
    }
}
