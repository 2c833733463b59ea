//! The transport over real sockets: the only use of reqwest.

use std::error::Error as _;
use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{self, Poll};
use std::time::Duration;

use async_trait::async_trait;
use http_body::{Frame, SizeHint};
use hyper::body::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret;

use super::{MAX_BODY, Method, Request, Response, SendGuard, Transport, TransportError};

/// How long it may take to get a connection. Shorter than every request's limit, so that "no connection" is told
/// apart from "no answer".
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Both providers close idle connections after a minute or more; ours are closed first.
const IDLE: Duration = Duration::from_secs(30);

/// Requests over TLS 1.2 or later, without retries, redirects, proxies and cookies.
///
/// HTTP/1.1 only: a request that gets no answer takes its connection with it. Over HTTP/2 all requests would go on
/// waiting on the one dead connection.
#[derive(Clone, Debug)]
pub struct Reqwest(reqwest::Client);

impl Reqwest {
    /// Makes the transport. If the process has no TLS provider yet, ring becomes it.
    ///
    /// # Errors
    /// If the machine has no usable root certificates.
    pub fn new() -> Result<Self, TransportError> {
        // Fails only if a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE)
            .http1_only()
            .tcp_nodelay(true)
            .user_agent(concat!("phonenumber-operator/", env!("CARGO_PKG_VERSION")))
            .build()
            .map(Self)
            .map_err(|error| TransportError::NotSent(causes(error)))
    }
}

#[async_trait]
impl Transport for Reqwest {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut authorization = HeaderValue::from_str(request.authorization.expose_secret())
            .map_err(|_| {
                TransportError::NotSent("the credential has characters that HTTP forbids".into())
            })?;
        authorization.set_sensitive(true);
        let builder = self
            .0
            .request(method, request.url)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, authorization);
        let mut answer = match (request.body, request.method) {
            (Some(body), _) => {
                let departing = GuardedBody {
                    text: body.text.into(),
                    departure: request.departure,
                };
                let builder = builder.header(CONTENT_TYPE, body.content_type);
                let builder = builder.body(reqwest::Body::wrap(departing));
                builder.send().await.map_err(unanswered)?
            }
            (None, Method::Get) => builder.send().await.map_err(unanswered)?,
            (None, _) => while_it_may(&request.departure, builder.send()).await?,
        };
        let status = answer.status().as_u16();
        let headers = answer
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        let announced = answer.content_length().unwrap_or_default();
        if announced > MAX_BODY as u64 {
            return Err(TransportError::TooLarge);
        }
        let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or_default());
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| TransportError::Lost(causes(error)))?
        {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(TransportError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response {
            status,
            headers,
            body,
        })
    }
}

/// A body that asks whether it may still leave. Where it may not, the request stays without its body, and the provider
/// cannot act on it.
struct GuardedBody {
    text: Bytes,
    departure: SendGuard,
}

impl http_body::Body for GuardedBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        if self.text.is_empty() {
            return Poll::Ready(None);
        }
        let frame = match self.departure.ask() {
            Ok(()) => Ok(Frame::data(mem::take(&mut self.text))),
            Err(why) => Err(TransportError::Lost(why.into())),
        };
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.text.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.text.len() as u64)
    }
}

/// Sends a request without a body, whose departure a body could hold up: each time it could get on, as when it has a
/// connection, it is asked whether it may. An answer to what has left is not waited for any longer either.
///
/// # Errors
/// [`TransportError::NotSent`] if it may not from the start.
async fn while_it_may(
    departure: &SendGuard,
    sending: impl Future<Output = reqwest::Result<reqwest::Response>>,
) -> Result<reqwest::Response, TransportError> {
    departure
        .ask()
        .map_err(|why| TransportError::NotSent(why.into()))?;
    let mut sending = pin!(sending);
    poll_fn(|context| match departure.ask() {
        Ok(()) => sending.as_mut().poll(context).map_err(unanswered),
        Err(why) => Poll::Ready(Err(TransportError::Lost(why.into()))),
    })
    .await
}

/// An error of connecting comes before the first byte of the request; every other one may come after the last.
fn unanswered(error: reqwest::Error) -> TransportError {
    if error.is_connect() || error.is_builder() {
        TransportError::NotSent(causes(error))
    } else {
        TransportError::Lost(causes(error))
    }
}

/// The error and its causes, without the URL.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
