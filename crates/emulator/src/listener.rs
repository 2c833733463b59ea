//! Sockets: every side on an address of its own. A dropped connection is one that closes without an answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::message::{Reply, Request, http_date};
use super::{Emulator, Side};

/// A side that can be spoken to.
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
}

/// The emulator gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped")]
struct Dropped;

/// Speaks `side` of `emulator` at `address` until the runtime ends.
///
/// # Errors
/// If nothing can listen there.
pub async fn listen(
    emulator: Emulator,
    side: Side,
    address: SocketAddr,
) -> std::io::Result<Listening> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let emulator = emulator.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| serve(emulator.clone(), side, request));
                // An error is a client that went away, or an answer that was to be dropped.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Ok(Listening { address })
}

async fn serve(
    emulator: Emulator,
    side: Side,
    request: http::Request<Incoming>,
) -> Result<http::Response<Announced>, Dropped> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|_| Dropped)?
        .to_bytes()
        .to_vec();
    let query = parts.uri.query().unwrap_or_default();
    let request = Request {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        authorization: parts
            .headers
            .get(http::header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        body,
    };
    let operation = super::operation(side, &request);
    let reply = emulator.answer(side, request).await.ok_or(Dropped)?;
    let date = emulator.world().date(side, operation);
    respond(reply, date.map(http_date)).map_err(|_| Dropped)
}

fn respond(reply: Reply, date: Option<String>) -> Result<http::Response<Announced>, http::Error> {
    let mut response = http::Response::builder().status(reply.status);
    if let Some(date) = date {
        response = response.header("date", date);
    }
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    let length = reply.said_length.unwrap_or(reply.body.len());
    if reply.status != 204 {
        response = response.header("content-length", length);
    }
    response.body(Announced(Some(Bytes::from(reply.body))))
}

/// A body that may be shorter than announced; hyper then breaks the connection off.
struct Announced(Option<Bytes>);

impl Body for Announced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(
            self.0
                .take()
                .filter(|bytes| !bytes.is_empty())
                .map(|bytes| Ok(Frame::data(bytes))),
        )
    }
}
