//! A server that says exactly what a test wants, byte by byte, and keeps what it heard.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// What is done with a request.
#[derive(Clone, Debug)]
pub enum Say {
    /// These bytes; the connection stays open.
    Bytes(String),
    /// These bytes; then the connection is closed.
    BytesAndClose(String),
    /// These bytes; the connection is closed that much later.
    BytesAndCloseLater(String, Duration),
    /// This head, then this text again and again until the client goes.
    Endless(String, String, Duration),
}

/// A listener on a free port of this machine.
pub struct Listener {
    pub url: Url,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    /// Answers the first request by the first of `script`, and so on; the last one again and again.
    pub async fn saying(script: Vec<Say>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(stream, script.clone(), Arc::clone(&kept)));
            }
        });
        Self {
            url: url.parse().unwrap(),
            heard,
        }
    }

    /// The requests so far, head and body; what is not HTTP is kept as it came.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn converse(mut stream: TcpStream, script: Vec<Say>, heard: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = request(&mut stream).await {
        let say = {
            let mut heard = heard.lock().unwrap();
            heard.push(request);
            script[(heard.len() - 1).min(script.len() - 1)].clone()
        };
        // A client that has gone is what some tests are about.
        match say {
            Say::Bytes(bytes) => drop(stream.write_all(bytes.as_bytes()).await),
            Say::BytesAndClose(bytes) => {
                drop(stream.write_all(bytes.as_bytes()).await);
                return;
            }
            Say::BytesAndCloseLater(bytes, pause) => {
                drop(stream.write_all(bytes.as_bytes()).await);
                tokio::time::sleep(pause).await;
                return;
            }
            Say::Endless(head, text, pause) => {
                drop(stream.write_all(head.as_bytes()).await);
                while stream.write_all(text.as_bytes()).await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
                return;
            }
        }
    }
}

async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    let mut buffer = [0; 8192];
    loop {
        let read = stream
            .read(&mut buffer)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if text.starts_with(|c: char| c.is_ascii_uppercase()) {
                continue;
            }
            return Some(text);
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().unwrap())
        });
        if body.len() >= length.unwrap_or_default() {
            return Some(text);
        }
    }
}

/// A whole answer with a JSON body.
pub fn answer(status: u16, headers: &str, body: &str) -> Say {
    Say::Bytes(format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    ))
}
