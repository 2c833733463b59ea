//! The HTTP side of the cluster, as one process reaches it.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use kube::client::Body;
use serde_json::{Value, json};
use tower::Service;

use crate::cluster::{Cluster, Place, Refused};
use crate::process::{Outcome, Process};

/// The way of one process to the cluster.
#[derive(Clone)]
pub struct ApiServer {
    pub cluster: Cluster,
    pub process: Process,
}

/// A request as the cluster understands it.
struct Asked {
    method: Method,
    place: Place,
    group: String,
    subresource: String,
    query: HashMap<String, String>,
    body: Value,
}

impl Service<Request<Body>> for ApiServer {
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move { server.serve(request).await })
    }
}

impl ApiServer {
    async fn serve(&self, request: Request<Body>) -> io::Result<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let asked = Asked::read(&parts.method, &parts.uri, &body);
        let operation = asked.operation();
        let cluster = self.cluster.clone();
        let effect = async move { Some(answer(&cluster, asked)) };
        let outcome = self.process.ask("kubernetes", operation, effect).await;
        let lost = || io::Error::new(io::ErrorKind::ConnectionReset, "connection reset");
        match outcome {
            Outcome::Answer(answer) => Ok(self.respond(answer)),
            Outcome::Refused(code) => Ok(self.respond(Err(Refused {
                code,
                reason: "TooManyRequests",
            }))),
            Outcome::Proxy(code) => Ok(self.respond(Err(Refused {
                code,
                reason: "InternalError",
            }))),
            Outcome::NotSent | Outcome::Lost | Outcome::Cut(_) => Err(lost()),
        }
    }

    fn respond(&self, answer: Result<Value, Refused>) -> Response<Full<Bytes>> {
        let (code, value) = match answer {
            Ok(value) => (200, value),
            Err(refused) => (
                refused.code,
                json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": refused.reason, "reason": refused.reason, "code": refused.code,
                }),
            ),
        };
        Response::builder()
            .status(code)
            .header("date", httpdate::fmt_http_date(self.cluster.now()))
            .body(Full::new(Bytes::from(value.to_string())))
            .unwrap()
    }
}

impl Asked {
    fn read(method: &Method, uri: &http::Uri, body: &[u8]) -> Self {
        let parts: Vec<&str> = uri
            .path()
            .split('/')
            .filter(|part| !part.is_empty())
            .collect();
        let (group, rest) = match parts.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            other => panic!("no such path: {other:?}"),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let at = |index: usize| rest.get(index).copied().unwrap_or_default();
        let query = uri.query().unwrap_or_default().as_bytes();
        Self {
            method: method.clone(),
            place: Place::new(at(0), namespace, at(1)),
            group: group.to_owned(),
            subresource: at(2).to_owned(),
            query: url::form_urlencoded::parse(query).into_owned().collect(),
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
        }
    }

    fn operation(&self) -> String {
        let verb = self.method.as_str().to_lowercase();
        let plural = &self.place.plural;
        match (self.subresource.as_str(), self.place.name.is_empty()) {
            ("", true) if self.method == Method::GET => format!("list {plural}"),
            ("", _) => format!("{verb} {plural}"),
            (subresource, _) => format!("{verb} {plural}/{subresource}"),
        }
    }
}

fn answer(cluster: &Cluster, asked: Asked) -> Result<Value, Refused> {
    let not_found = Refused {
        code: 404,
        reason: "NotFound",
    };
    let place = &asked.place;
    match (&asked.method, asked.subresource.as_str()) {
        (&Method::GET, "") if place.name.is_empty() => Ok(list(cluster, &asked)),
        (&Method::GET, _) => cluster.get(place).ok_or(not_found),
        (&Method::POST, "") => {
            let name = asked.body["metadata"]["name"].as_str().unwrap_or_default();
            let place = Place::new(&place.plural, &place.namespace, name);
            cluster.create(&place, asked.body)
        }
        (&Method::PUT, "status") => cluster.replace_status(place, &asked.body),
        (&Method::PUT, _) => cluster.replace(place, asked.body),
        (&Method::PATCH, _) => cluster.patch(place, &asked.body),
        (&Method::DELETE, _) => cluster.delete(place),
        (method, _) => panic!("the operator has no business with {method} {place:?}"),
    }
}

/// Everything in one page: the pages of a list are a matter of the real API server.
fn list(cluster: &Cluster, asked: &Asked) -> Value {
    assert!(!asked.query.contains_key("continue"));
    let items = cluster.list(&asked.place.plural);
    json!({
        "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "1"},
        "items": items.into_iter().map(|item| json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"],
        })).collect::<Vec<_>>(),
        "group": asked.group,
    })
}
