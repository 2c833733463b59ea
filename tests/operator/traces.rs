//! The traces of a purchase, as a collector receives them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;
use test_support::control_plane::ControlPlane;
use test_support::wait::until_ok;
use test_support::world::World;

use crate::running::Running;

const NUMBER: &str = "+12125558811";

/// A collector on a loopback address, and the spans that it has received.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

impl Collector {
    async fn start(&self) -> String {
        let all = Arc::clone(&self.0);
        let collect = async move |body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let spans = request
                .resource_spans
                .into_iter()
                .flat_map(|it| it.scope_spans);
            all.lock().unwrap().extend(spans.flat_map(|it| it.spans));
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/v1/traces", post(collect));
        tokio::spawn(async move { axum::serve(listener, router).await });
        endpoint
    }

    fn spans(&self) -> Vec<Span> {
        self.0.lock().unwrap().clone()
    }

    /// The first span with this name and this attribute, once there is one.
    async fn until(&self, name: &str, key: &str, value: &str) -> Span {
        let fits = |span: &Span| {
            span.name == name && attributes(span).get(key).is_some_and(|it| it == value)
        };
        self.until_fits(&format!("{name} whose {key} is {value}"), fits)
            .await
    }

    /// The span that `span` is in, once it has come.
    async fn parent_of(&self, span: &Span) -> Span {
        let fits =
            |other: &Span| other.span_id == span.parent_span_id && other.trace_id == span.trace_id;
        self.until_fits(&format!("the parent of {}", span.name), fits)
            .await
    }

    async fn until_fits(&self, what: &str, fits: impl Fn(&Span) -> bool) -> Span {
        until_ok(Duration::from_secs(60), what, async || {
            let found = self.spans().into_iter().find(&fits);
            found.ok_or_else(String::new)
        })
        .await
    }
}

fn attributes(span: &Span) -> BTreeMap<String, String> {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        other => format!("{other:?}"),
    };
    let pairs = span.attributes.iter().cloned();
    pairs
        .filter_map(|pair| Some((pair.key, text(pair.value?.value?))))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_is_a_call_in_a_step_in_a_pass() {
    let plane = ControlPlane::shared().await;
    let mut world = World::alone("traces", &[]).await;
    world.kill_operator();
    let collector = Collector::default();
    let endpoint = collector.start().await;
    let more = ["--otlp-endpoint", &endpoint, "--log-level", "warn"];
    let told = Running::start(&world, plane.folder(), "traces", None, &more);
    world
        .create("nyc", "twilio", NUMBER, json!({"assistantId": 101}))
        .await;
    world.until_ready("nyc").await;

    let call = collector.until("call", "operation", "buy").await;
    let said = attributes(&call);
    assert_eq!(said["provider"], "twilio");
    assert_eq!(said["outcome"], "ok");
    let step = collector.parent_of(&call).await;
    assert_eq!(
        (step.name.as_str(), attributes(&step)["step"].as_str()),
        ("step", "buy")
    );
    let pass = collector.parent_of(&step).await;
    let said = attributes(&pass);
    assert_eq!(
        (pass.name.as_str(), said["name"].as_str()),
        ("reconcile", "nyc")
    );
    assert_eq!(
        (said["kind"].as_str(), &said["namespace"]),
        ("PhoneNumber", &world.namespace)
    );
    assert!(pass.parent_span_id.is_empty(), "a reconcile begins a trace");
    let assigned = collector.until("call", "operation", "assign").await;
    assert_eq!(
        attributes(&collector.parent_of(&assigned).await)["step"],
        "assign"
    );
    let text = format!("{:?}", collector.spans());
    for secret in [&NUMBER[1..], "emulator-token", "emulator-burki-key"] {
        assert!(!text.contains(secret), "{secret}");
    }
    drop(told);
}
