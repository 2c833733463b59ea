//! Traces by OTLP: a span for each reconcile of an object, in it one for each step, and in that one for each call of a
//! provider. No span holds a phone number or a secret.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

pub use crate::provider::http::SPANS;

/// The service, and the scope of its spans.
const NAME: &str = "phonenumber-operator";

/// How long one export may take, and how long the program waits at its end for the last one.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The exporter cannot be made.
    #[error("no traces can be sent to {0}")]
    Exporter(Url, #[source] ExporterBuildError),
    /// There is no HTTP client.
    #[error("there is no HTTP client for traces")]
    Client(#[from] reqwest::Error),
}

/// Where spans are gathered and sent from. A collector that does not answer costs spans and nothing else.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends spans as OTLP over HTTP to `/v1/traces` of `endpoint`. To be called within a runtime that lives as long.
    ///
    /// # Errors
    /// If no exporter can be made. That nobody listens at `endpoint` is no error.
    pub fn to(endpoint: &Url) -> Result<Self, TracesError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(EXPORT_TIMEOUT)
            .build()?;
        let runtime = tokio::runtime::Handle::current();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender { http, runtime })
            .with_endpoint(format!(
                "{}/v1/traces",
                endpoint.as_str().trim_end_matches('/')
            ))
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|error| TracesError::Exporter(endpoint.clone(), error))?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder()
            .with_service_name(NAME)
            .with_attribute(version)
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        Ok(Self(provider))
    }

    /// What gathers the spans of a subscriber.
    pub(crate) fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(NAME))
            .with_location(false)
            .with_threads(false)
            .with_filter(Targets::new().with_target(SPANS, LevelFilter::INFO))
            .boxed()
    }

    /// Sends what is gathered, for a few seconds at most.
    pub async fn end(self) {
        let sent =
            tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(EXPORT_TIMEOUT));
        if let Ok(Err(error)) = sent.await {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Sends from the program's own runtime, since the thread that gathers spans has none.
#[derive(Debug)]
struct Sender {
    http: reqwest::Client,
    runtime: tokio::runtime::Handle,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let http = self.http.clone();
        let exchange = async move {
            let answer = http.execute(request).await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        };
        let (status, body) = self.runtime.spawn(exchange).await??;
        Ok(Response::builder().status(status).body(body)?)
    }
}
