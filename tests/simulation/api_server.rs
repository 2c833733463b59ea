//! The HTTP side of the cluster, as one process reaches it. What it answers is compared with the real API server by
//! `tests/support/src/conformance.rs`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::Service;

use crate::cluster::{Change, Cluster, INVALID, NOT_FOUND, Place, Refused};
use crate::process::{Life, Outcome, Process, STALL_ASKED_AFTER};

/// The longest that a watch lags behind.
const LAG: Duration = Duration::from_millis(300);

/// How long before its end a watch shows how far it got.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// How long a watch lasts that does not say so.
const WATCH_LASTS: Duration = Duration::from_secs(1800);

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The way of one process to the cluster.
#[derive(Clone)]
pub struct ApiServer {
    pub cluster: Cluster,
    pub process: Process,
}

/// A request as the cluster understands it.
#[derive(Clone)]
struct Asked {
    method: Method,
    place: Place,
    subresource: String,
    query: HashMap<String, String>,
    /// True if only the metadata of objects is wanted.
    metadata: bool,
    body: Value,
}

impl Service<Request<Body>> for ApiServer {
    type Response = Reply;
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
    async fn serve(&self, request: Request<Body>) -> io::Result<Reply> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let asked = Asked::read(&parts, &body);
        let what = (asked.operation(), asked.place.name.clone());
        let effect = || {
            let (cluster, mut asked) = (self.cluster.clone(), asked.clone());
            let process = self.process.clone();
            async move {
                if process.relists().get() > 0 {
                    asked.query.insert("limit".into(), "1".into());
                }
                if asked.query.get("continue").is_some_and(|it| !it.is_empty())
                    && process.expires_a_list()
                {
                    return Some(Err(EXPIRED));
                }
                Some(answer(&cluster, &asked))
            }
        };
        let outcome = self.process.ask("kubernetes", what, || true, effect).await;
        let lost = || io::Error::new(io::ErrorKind::ConnectionReset, "connection reset");
        match outcome {
            Outcome::Answer(Ok(_)) if asked.is_watch() => Ok(self.watched(&asked)),
            Outcome::Answer(answer) => {
                let made = asked.method == Method::POST;
                Ok(self.respond(answer, if made { 201 } else { 200 }))
            }
            Outcome::Refused(code) => Ok(self.respond(Err(refusal(code)), 200)),
            Outcome::Proxy(code) => Ok(self.respond(
                Err(Refused {
                    code,
                    reason: "InternalError",
                }),
                200,
            )),
            Outcome::NotSent
            | Outcome::Lost
            | Outcome::Cut(_)
            | Outcome::Wrong(..)
            | Outcome::Ignored => Err(lost()),
        }
    }

    fn respond(&self, answer: Result<Value, Refused>, well: u16) -> Reply {
        let (code, value) = match answer {
            Ok(value) => (well, value),
            Err(refused) => (refused.code, status(&refused)),
        };
        let body = Full::new(Bytes::from(value.to_string()));
        self.reply(code, UnsyncBoxBody::new(body))
    }

    fn reply(&self, code: u16, body: UnsyncBoxBody<Bytes, Infallible>) -> Reply {
        let dates = self.process.stage().dates("kubernetes");
        let date = dates.shown(self.cluster.now(), self.process.random());
        let mut reply = Response::builder().status(code);
        if let Some(date) = date {
            reply = reply.header("date", httpdate::fmt_http_date(date));
        }
        reply.body(body).unwrap()
    }

    /// What happens to objects from a version on, one event a line.
    fn watched(&self, asked: &Asked) -> Reply {
        let version = asked.number("resourceVersion").unwrap_or_default();
        let lasts = asked.number("timeoutSeconds");
        let lasts = lasts.map_or(WATCH_LASTS, Duration::from_secs);
        let watch = Watch {
            cluster: self.cluster.clone(),
            process: self.process.clone(),
            asked: asked.clone(),
            next: self.cluster.after(version),
            is_too_old: version < self.cluster.compacted(),
            relists: self.process.relists().get(),
            ends: Instant::now() + lasts,
            has_ended: false,
            bookmark: (asked.query.get("allowWatchBookmarks")).is_some_and(|it| it == "true"),
        };
        let lines = stream::unfold(watch, |mut watch| async move {
            let event = watch.next().await?;
            let line = Bytes::from(format!("{event}\n"));
            Some((Ok::<_, Infallible>(Frame::data(line)), watch))
        });
        self.reply(200, UnsyncBoxBody::new(StreamBody::new(lines)))
    }
}

/// A watch under way.
struct Watch {
    cluster: Cluster,
    process: Process,
    asked: Asked,
    /// The place of the first change that was not told yet.
    next: usize,
    is_too_old: bool,
    /// How often the process had to list anew when this began.
    relists: usize,
    ends: Instant,
    has_ended: bool,
    /// True if a bookmark is still to come.
    bookmark: bool,
}

impl Watch {
    /// `None` at its end.
    async fn next(&mut self) -> Option<Value> {
        if self.has_ended || self.process.life() == Life::Dead {
            return None;
        }
        if self.is_too_old {
            self.has_ended = true;
            return Some(json!({"type": "ERROR", "object": status(&EXPIRED)}));
        }
        loop {
            self.process.moves().await;
            if self.process.relists().get() > self.relists {
                self.has_ended = true;
                return Some(json!({"type": "ERROR", "object": status(&EXPIRED)}));
            }
            if self.process.stalled().is_some() {
                tokio::time::sleep(STALL_ASKED_AFTER).await;
                continue;
            }
            let changes = self.cluster.since(self.next);
            for change in changes {
                self.next += 1;
                if self.asked.is_about(&change.place) {
                    return Some(self.event(&change));
                }
            }
            let bookmark_at = match self.bookmark {
                true => self.ends - BOOKMARK_BEFORE_END,
                false => self.ends,
            };
            let (length, next) = (self.cluster.length().clone(), self.next);
            let (relists, before) = (self.process.relists().clone(), self.relists);
            tokio::select! {
                biased;
                () = length.until(|length| *length > next) => {
                    let lag = LAG.mul_f64(self.process.random().fraction());
                    tokio::time::sleep(lag).await;
                }
                () = relists.until(|relists| *relists > before) => {}
                () = tokio::time::sleep_until(bookmark_at) => {
                    if !self.bookmark {
                        return None;
                    }
                    self.bookmark = false;
                    let version = self.cluster.version().to_string();
                    return Some(json!({"type": "BOOKMARK", "object": {
                        "kind": kind(&self.asked.place.plural), "apiVersion": api_version(&self.asked.place.plural),
                        "metadata": {"resourceVersion": version},
                    }}));
                }
            }
        }
    }

    fn event(&self, change: &Change) -> Value {
        let word = match (change.deleted, change.created) {
            (true, _) => "DELETED",
            (_, true) => "ADDED",
            _ => "MODIFIED",
        };
        json!({"type": word, "object": self.asked.shown(&change.place.plural, &change.object)})
    }
}

const EXPIRED: Refused = Refused {
    code: 410,
    reason: "Expired",
};

/// What the API server says with a status that a test chose.
fn refusal(code: u16) -> Refused {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        413 => "RequestEntityTooLarge",
        422 => "Invalid",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    Refused { code, reason }
}

fn status(refused: &Refused) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": refused.reason, "reason": refused.reason, "code": refused.code,
    })
}

impl Asked {
    fn read(parts: &http::request::Parts, body: &[u8]) -> Self {
        let path: Vec<&str> = (parts.uri.path().split('/'))
            .filter(|part| !part.is_empty())
            .collect();
        let rest = match path.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            other => panic!("no such path: {other:?}"),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let at = |index: usize| rest.get(index).copied().unwrap_or_default();
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let accept = parts.headers.get(http::header::ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok());
        Self {
            method: parts.method.clone(),
            place: Place::new(at(0), namespace, at(1)),
            subresource: at(2).to_owned(),
            query: url::form_urlencoded::parse(query).into_owned().collect(),
            metadata: accept.is_some_and(|accept| accept.contains("as=PartialObjectMetadata")),
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
        }
    }

    fn operation(&self) -> String {
        let verb = self.method.as_str().to_lowercase();
        let plural = &self.place.plural;
        match (self.subresource.as_str(), self.place.name.is_empty()) {
            _ if self.is_watch() => format!("watch {plural}"),
            ("", true) if self.method == Method::GET => format!("list {plural}"),
            ("", _) => format!("{verb} {plural}"),
            (subresource, _) => format!("{verb} {plural}/{subresource}"),
        }
    }

    fn is_watch(&self) -> bool {
        let word = self.query.get("watch");
        word.is_some_and(|word| word == "true" || word == "1")
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.query.get(name)?.parse().ok()
    }

    fn is_about(&self, place: &Place) -> bool {
        let of = |asked: &str, is: &str| asked.is_empty() || asked == is;
        self.place.plural == place.plural && of(&self.place.namespace, &place.namespace)
    }

    fn shown(&self, plural: &str, object: &Arc<Value>) -> Value {
        if self.metadata {
            return json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": object["metadata"]});
        }
        let mut object = Value::clone(object);
        object["kind"] = json!(kind(plural));
        object["apiVersion"] = json!(api_version(plural));
        object
    }
}

fn kind(plural: &str) -> &str {
    match plural {
        "phonenumbers" => "PhoneNumber",
        "provideraccounts" => "ProviderAccount",
        "clusterprovideraccounts" => "ClusterProviderAccount",
        "namespaces" => "Namespace",
        "secrets" => "Secret",
        "configmaps" => "ConfigMap",
        "leases" => "Lease",
        other => other,
    }
}

fn api_version(plural: &str) -> &'static str {
    match plural {
        "namespaces" | "secrets" | "configmaps" => "v1",
        "leases" => "coordination.k8s.io/v1",
        _ => "telephony.burki.dev/v1alpha1",
    }
}

fn answer(cluster: &Cluster, asked: &Asked) -> Result<Value, Refused> {
    let place = &asked.place;
    match (&asked.method, asked.subresource.as_str()) {
        (&Method::GET, _) if asked.is_watch() => Ok(Value::Null),
        (&Method::GET, "") if place.name.is_empty() => list(cluster, asked),
        (&Method::GET, _) => cluster.get(place).ok_or(NOT_FOUND),
        (&Method::POST, "") => {
            let name = asked.body["metadata"]["name"].as_str().unwrap_or_default();
            let place = Place::new(&place.plural, &place.namespace, name);
            cluster.create(&place, asked.body.clone())
        }
        // ConfigMaps alone are replaced by who does not say of which version.
        (&Method::PUT, _)
            if asked.body["metadata"]["resourceVersion"].is_null()
                && place.plural != "configmaps" =>
        {
            match cluster.get(place) {
                Some(_) => Err(INVALID),
                None => Err(NOT_FOUND),
            }
        }
        (&Method::PUT, "status") => cluster.replace_status(place, &asked.body),
        (&Method::PUT, _) => cluster.replace(place, asked.body.clone()),
        (&Method::PATCH, _) => cluster.patch(place, &asked.body),
        (&Method::DELETE, _) => cluster.delete_if(place, &asked.body["preconditions"]),
        (method, _) => panic!("the operator has no business with {method} {place:?}"),
    }
}

/// A page of the objects as they are now, or were at the version that `continue` names.
fn list(cluster: &Cluster, asked: &Asked) -> Result<Value, Refused> {
    let token = asked.query.get("continue").filter(|it| !it.is_empty());
    let from = token.and_then(|token| token.split_once('.'));
    let (version, skipped) = match from {
        Some((version, skipped)) => (
            version.parse().unwrap_or_default(),
            skipped.parse().unwrap_or_default(),
        ),
        None => (cluster.version(), 0),
    };
    if version < cluster.compacted() {
        return Err(EXPIRED);
    }
    let plural = &asked.place.plural;
    let objects = cluster.list_at(plural, version).into_iter();
    let objects: Vec<_> = objects.filter(|(place, _)| asked.is_about(place)).collect();
    let limit = asked.number("limit").filter(|limit| *limit > 0);
    let limit = limit.map_or(objects.len(), |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let page = objects.iter().skip(skipped).take(limit);
    let items: Vec<Value> = page
        .map(|(_, object)| asked.shown(plural, object))
        .collect();
    let end = skipped + items.len();
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if end < objects.len() {
        metadata["continue"] = json!(format!("{version}.{end}"));
        metadata["remainingItemCount"] = json!(objects.len() - end);
    }
    let (kind, api_version) = match asked.metadata {
        true => ("PartialObjectMetadata", "meta.k8s.io/v1"),
        false => (kind(plural), api_version(plural)),
    };
    Ok(
        json!({"kind": format!("{kind}List"), "apiVersion": api_version, "metadata": metadata, "items": items}),
    )
}
