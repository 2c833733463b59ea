//! A simulated API server, and what becomes of requests on their way to it.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::client::Body;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::time::sleep;

/// An API server that has room for one Lease, and compares and swaps as the real one does.
#[derive(Default)]
pub struct Server {
    pub lease: Mutex<Option<Lease>>,
    version: AtomicU64,
    pub writes: AtomicUsize,
}

impl Server {
    fn answer(&self, method: &Method, body: &[u8]) -> Response<Body> {
        let mut stored = self.lease.lock().unwrap();
        match *method {
            Method::GET => match &*stored {
                Some(lease) => reply(StatusCode::OK, lease),
                None => refusal(StatusCode::NOT_FOUND),
            },
            Method::POST if stored.is_some() => refusal(StatusCode::CONFLICT),
            Method::POST | Method::PUT => {
                let mut lease: Lease = serde_json::from_slice(body).unwrap();
                let current = stored
                    .as_ref()
                    .and_then(|lease| lease.metadata.resource_version.clone());
                if *method == Method::PUT && current.is_none() {
                    return refusal(StatusCode::NOT_FOUND);
                }
                if *method == Method::PUT {
                    assert!(
                        lease.metadata.resource_version.is_some(),
                        "a replacement that compares nothing"
                    );
                }
                if lease.metadata.resource_version != current {
                    return refusal(StatusCode::CONFLICT);
                }
                self.writes.fetch_add(1, Ordering::Relaxed);
                let version = self.version.fetch_add(1, Ordering::Relaxed);
                lease.metadata.resource_version = Some(version.to_string());
                *stored = Some(lease.clone());
                reply(StatusCode::OK, &lease)
            }
            _ => panic!("an elector has no use for {method}"),
        }
    }

    /// A client whose every request meets with what `fate` says.
    pub fn client(self: &Arc<Self>, fate: impl FnMut(&Method) -> Fate + Send + 'static) -> Client {
        let (server, fate) = (Arc::clone(self), Arc::new(Mutex::new(fate)));
        let service = tower::service_fn(move |request: Request<Body>| {
            let (server, fate) = (Arc::clone(&server), Arc::clone(&fate));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let fate = (fate.lock().unwrap())(&head.method);
                // What was sent goes its way, whether or not somebody still waits for the answer.
                let under_way = tokio::spawn(async move {
                    sleep(fate.there).await;
                    let answer = fate.arrives.then(|| server.answer(&head.method, &body));
                    sleep(fate.back).await;
                    match answer {
                        Some(answer) if fate.returns => answer,
                        _ => std::future::pending().await,
                    }
                });
                Ok::<_, Infallible>(under_way.await.unwrap())
            }
        });
        Client::new(service, "default")
    }
}

fn reply(status: StatusCode, body: &impl serde::Serialize) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::from(serde_json::to_vec(body).unwrap()))
        .unwrap()
}

fn refusal(status: StatusCode) -> Response<Body> {
    let reason = if status == StatusCode::CONFLICT {
        "Conflict"
    } else {
        "NotFound"
    };
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status.as_u16()});
    reply(status, &body)
}

/// What becomes of one request.
#[derive(Clone, Copy)]
pub struct Fate {
    pub there: Duration,
    pub arrives: bool,
    pub back: Duration,
    pub returns: bool,
}

pub const SMOOTH: Fate = Fate {
    there: Duration::from_millis(5),
    arrives: true,
    back: Duration::from_millis(5),
    returns: true,
};
pub const LOST_REPLY: Fate = Fate {
    returns: false,
    ..SMOOTH
};
pub const LOST: Fate = Fate {
    arrives: false,
    ..SMOOTH
};

impl Fate {
    /// Mostly smooth in good times; in bad times anything.
    pub fn random(random: &mut StdRng, bad: bool) -> Self {
        let slow = Duration::from_millis(random.random_range(0..20_000));
        match random.random_range(0..10) {
            0 | 1 if bad => LOST,
            2 | 3 if bad => LOST_REPLY,
            4 | 5 if bad => Self {
                there: slow,
                ..SMOOTH
            },
            6 | 7 if bad => Self {
                back: slow,
                ..SMOOTH
            },
            _ => SMOOTH,
        }
    }
}
