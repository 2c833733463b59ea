//! The way of one process to the emulated companies, without sockets.

use async_trait::async_trait;
use phonenumber_emulator::{self as emulator, Emulator, Side};
use phonenumber_operator::provider::http::{Method, Request, Response, Transport, TransportError};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use crate::process::{Outcome, Process, Wrong};

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
        let about = about(&request.url);
        let may_leave = || request.method == Method::Get || request.departure.ask().is_ok();
        // As the real client does: what has no body is asked for at the start, and while it is not answered.
        let is_bare = request.body.is_none();
        self.process.moves().await;
        if is_bare && !may_leave() {
            return Err(TransportError::NotSent("it may not leave".into()));
        }
        let effect = || {
            let (emulator, asked) = (self.emulator.clone(), asked.clone());
            let (method, departure) = (request.method, request.departure.clone());
            async move {
                // What is held up for longer than its time stays in the process: against a network that holds it nothing helps.
                if method != Method::Get && departure.ask().is_err() {
                    return None;
                }
                emulator.answer(side, asked).await
            }
        };
        let what = (operation.clone(), about);
        let outcome = self.process.ask(side.name(), what, may_leave, effect).await;
        if is_bare && !may_leave() {
            return Err(TransportError::Lost("it may not leave".into()));
        }
        let now = self.emulator.world().date(side, &operation);
        let dates = self.process.stage().dates(side.name());
        let respond = |status, body: Vec<u8>, more: Vec<(String, String)>| {
            let date = now.and_then(|now| dates.shown(now, self.process.random()));
            let date = date.map(|date| ("date".to_owned(), httpdate::fmt_http_date(date)));
            Ok(Response {
                status,
                headers: date.into_iter().chain(more).collect(),
                body,
            })
        };
        match outcome {
            Outcome::Answer(reply) => {
                if ["list", "orders"].contains(&operation.as_str()) {
                    let stage = self.process.stage();
                    let _ = stage.list_before(request.url.as_str(), &reply.body);
                }
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
                    429 => (20429, "10011"),
                    // Codes that nobody knows.
                    _ => (21999, "99999"),
                };
                let body = json!({"code": twilio, "message": "refused", "status": status,
                    "errors": [{"code": telnyx, "title": "refused"}]});
                respond(status, body.to_string().into_bytes(), Vec::new())
            }
            Outcome::Wrong(reply, wrong) => {
                let stale = self
                    .process
                    .stage()
                    .list_before(request.url.as_str(), &reply.body);
                let body = match wrong {
                    Wrong::Stale => stale.unwrap_or(reply.body),
                    wrong => spoiled(&reply.body, wrong),
                };
                respond(reply.status, body, Vec::new())
            }
            Outcome::Ignored if side == Side::Burki => respond(
                200,
                br#"{"success":true,"message":"Phone number assigned"}"#.to_vec(),
                Vec::new(),
            ),
            Outcome::Ignored if side == Side::Twilio => respond(204, Vec::new(), Vec::new()),
            Outcome::Ignored => respond(
                200,
                br#"{"data":{"status":"deleted"}}"#.to_vec(),
                Vec::new(),
            ),
            Outcome::NotSent => Err(TransportError::NotSent("connection refused".into())),
            Outcome::Lost => Err(TransportError::Lost("connection reset".into())),
        }
    }
}

/// A list without some of its rows.
fn spoiled(body: &[u8], wrong: Wrong) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
    for name in ["incoming_phone_numbers", "data"] {
        let Some(rows) = body[name].as_array_mut().filter(|rows| !rows.is_empty()) else {
            continue;
        };
        match wrong {
            Wrong::Empty => rows.clear(),
            Wrong::Shifted => drop(rows.remove(0)),
            Wrong::Short | Wrong::Stale => drop(rows.pop()),
        }
    }
    body.to_string().into_bytes()
}

/// The last part of the path, with what a listing is filtered by.
fn about(url: &Url) -> String {
    let name = url.path().rsplit('/').next().unwrap_or_default();
    let is_filter = |name: &str| name == "PhoneNumber" || name.starts_with("filter");
    let filters = url.query_pairs().filter(|(name, _)| is_filter(name));
    let filters: String = filters.map(|(_, value)| format!(" {value}")).collect();
    name.trim_end_matches(".json").to_owned() + &filters
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
