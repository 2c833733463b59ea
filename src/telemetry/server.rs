//! A small HTTP server for probes and scrapes: what anybody in the cluster may connect to takes little memory and little
//! time.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tower::ServiceExt;

/// How many connections are open at once. One more closes the oldest: a probe takes milliseconds, and gets through.
const MOST_CONNECTIONS: usize = 64;

/// How long a connection lives. A scrape takes a moment, and a scraper connects again.
const LIVES: Duration = Duration::from_secs(60);

/// How long the head of a request may take, and how long a connection may be idle.
const HEAD_TAKES: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes.
const LARGEST_HEAD: usize = 16 * 1024;

/// The pause after a connection could not be accepted, as where no file descriptor is left.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers with `router` until the process ends.
pub(super) async fn answer(listener: TcpListener, router: Router) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= MOST_CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            router.clone().oneshot(request.map(Body::new))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TAKES)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        // What fails on one connection is dropped with it.
        let connection = tokio::spawn(async move {
            let _ = tokio::time::timeout(LIVES, connection).await;
        });
        open.push_back(connection.abort_handle());
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn started() -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "ok" }));
        tokio::spawn(answer(listener, router));
        address
    }

    async fn ask(address: std::net::SocketAddr, head: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // It may be closed before all of the head is sent.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    const PROBE: &str = "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";

    #[tokio::test]
    async fn idle_connections_keep_no_probe_waiting() {
        let address = started().await;
        let mut idle = Vec::new();
        for _ in 0..3 * MOST_CONNECTIONS {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        assert!(ask(address, PROBE).await.ends_with("ok"));
        // The first of them was closed.
        let mut end = [0; 1];
        let read = idle[0].read(&mut end);
        let read = tokio::time::timeout(Duration::from_secs(5), read).await;
        assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
    }

    #[tokio::test]
    async fn a_head_without_end_is_not_kept() {
        let address = started().await;
        let head = format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(4 * LARGEST_HEAD));
        let answer = tokio::time::timeout(Duration::from_secs(5), ask(address, &head)).await;
        assert!(!answer.unwrap().ends_with("ok"));
        assert!(ask(address, PROBE).await.ends_with("ok"));
    }
}
