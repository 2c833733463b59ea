//! The way of one process to the emulated companies, without sockets.

use async_trait::async_trait;
use phonenumber_operator::emulator::{self, Emulator, Side};
use phonenumber_operator::provider::http::{Method, Request, Response, Transport, TransportError};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::process::{Outcome, Process};

/// Where each company is said to be.
pub const TWILIO: &str = "http://twilio.test";
pub const TELNYX: &str = "http://telnyx.test";
pub const BURKI: &str = "http://burki.test";

/// The way of one process to the companies.
pub struct Line {
    pub emulator: Emulator,
    pub process: Process,
}

#[async_trait]
impl Transport for Line {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let side = match request.url.host_str() {
            Some("twilio.test") => Side::Twilio,
            Some("telnyx.test") => Side::Telnyx,
            Some("burki.test") => Side::Burki,
            other => panic!("a request leaves for {other:?}"),
        };
        let asked = asked(&request);
        let operation = emulator::operation(side, &asked).to_owned();
        let effect = self.emulator.answer(side, asked);
        let outcome = self
            .process
            .ask(side.name(), operation.clone(), effect)
            .await;
        let now = self.emulator.world().date(side, &operation);
        let respond = |status, body: Vec<u8>, more: Vec<(String, String)>| {
            let date = now.map(|now| ("date".to_owned(), httpdate::fmt_http_date(now)));
            Ok(Response {
                status,
                headers: date.into_iter().chain(more).collect(),
                body,
            })
        };
        match outcome {
            Outcome::Answer(reply) => {
                if reply
                    .said_length
                    .is_some_and(|said| said != reply.body.len())
                {
                    return Err(TransportError::Lost("the answer was cut".into()));
                }
                let headers = reply.headers.into_iter();
                let headers = headers.map(|(name, value)| (name.to_owned(), value));
                respond(reply.status, reply.body, headers.collect())
            }
            Outcome::Cut(reply) => {
                let half = reply.body.len() / 2;
                respond(reply.status, reply.body[..half].to_vec(), Vec::new())
            }
            Outcome::Proxy(status) => respond(status, b"<html>proxy</html>".to_vec(), Vec::new()),
            Outcome::Refused(status) => {
                let (twilio, telnyx) = match status {
                    404 => (20404, "10005"),
                    _ => (20429, "10011"),
                };
                let body = json!({"code": twilio, "message": "refused", "status": status,
                    "errors": [{"code": telnyx, "title": "refused"}]});
                respond(status, body.to_string().into_bytes(), Vec::new())
            }
            Outcome::NotSent => Err(TransportError::NotSent("connection refused".into())),
            Outcome::Lost => Err(TransportError::Lost("connection reset".into())),
        }
    }
}

fn asked(request: &Request) -> emulator::Request {
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    };
    emulator::Request {
        method: method.to_owned(),
        path: request.url.path().to_owned(),
        query: request.url.query_pairs().into_owned().collect(),
        authorization: Some(request.authorization.expose_secret().to_owned()),
        body: request
            .body
            .as_ref()
            .map(|body| body.text.clone().into_bytes())
            .unwrap_or_default(),
    }
}
