//! Answers that no honest company gives, and what becomes of the requests that they answer.

use std::fs::File;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use phonenumber_operator::clock::{self, BootClock, Clock};
use phonenumber_operator::number::{E164, NumberId, Provider};
use phonenumber_operator::provider::http::{
    Method, Request, Reqwest, SendGuard, Transport, TransportError, WriteGate,
};
use phonenumber_operator::provider::{Error, Reply};
use secrecy::SecretString;
use serde_json::{Value, json};
use test_support::company::{BOTH, configuration};
use url::Url;

use crate::listener::{Listener, Say, answer};
use crate::setup::{PURCHASE_TIMEOUT, company, company_with, token};

const SECRET: &str = "fake-secret";

fn number() -> E164 {
    "+12125551234".parse().unwrap()
}

async fn buy(provider: Provider, endpoint: &Url) -> Reply {
    let company = company(provider, endpoint, SECRET);
    company
        .buy(token(&number()), &configuration(provider, "11", None))
        .await
}

/// Reads and purchases at both companies against a server with `script`: no read may conclude anything, and a
/// purchase stays unknown and is sent once. All of them say `why`.
async fn nothing_is_concluded_from(script: Vec<Say>, why: &str) {
    for provider in BOTH {
        let listener = Listener::saying(script.clone()).await;
        let company = company(provider, &listener.url, SECRET);
        let errors = [
            company.find(&number()).await.unwrap_err(),
            company.fetch(&NumberId::new("21")).await.unwrap_err(),
            company.list().await.unwrap_err(),
            company.identify().await.unwrap_err(),
        ];
        for error in errors {
            let (Error::Unavailable(text) | Error::Unreadable(text)) = &error else {
                panic!("{provider}: {error:?}")
            };
            assert!(text.contains(why), "{provider}: {text}");
        }

        let listener = Listener::saying(script.clone()).await;
        let reply = buy(provider, &listener.url).await;
        assert!(matches!(reply, Reply::Unknown(_)), "{provider}: {reply:?}");
        assert_eq!(listener.heard().len(), 1, "{provider}");
    }
}

/// How a page of a listing of the account names itself.
const OWN_URI: &str =
    "/2010-04-01/Accounts/AC00000000000000000000000000000001/IncomingPhoneNumbers.json";

#[tokio::test]
async fn a_body_that_announces_too_much_is_not_read() {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
        (4 << 20) + 1
    );
    nothing_is_concluded_from(vec![Say::Bytes(head)], "longer than 4 MiB").await;
}

#[tokio::test]
async fn a_body_that_does_not_end_is_cut() {
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for status in [200, 201, 404] {
        let head = format!("HTTP/1.1 {status} X\r\ntransfer-encoding: chunked\r\n\r\n");
        nothing_is_concluded_from(
            vec![Say::Endless(head, chunk.clone(), Duration::ZERO)],
            "longer than 4 MiB",
        )
        .await;
    }
}

#[tokio::test]
async fn a_body_that_trickles_ends_at_the_time_limit() {
    let head = "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    let trickle = Say::Endless(head, "1\r\n \r\n".into(), Duration::from_millis(50));
    for provider in BOTH {
        let listener = Listener::saying(vec![trickle.clone()]).await;
        let start = Instant::now();
        let reply = buy(provider, &listener.url).await;
        assert!(matches!(reply, Reply::Unknown(_)), "{provider}: {reply:?}");
        assert!(start.elapsed() < PURCHASE_TIMEOUT * 2, "{provider}");
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_no_answer() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"data\":".to_owned();
    nothing_is_concluded_from(vec![Say::BytesAndClose(cut)], "no answer").await;
}

#[tokio::test]
async fn a_connection_that_closes_without_an_answer_is_no_answer() {
    nothing_is_concluded_from(vec![Say::BytesAndClose(String::new())], "no answer").await;
}

#[tokio::test]
async fn what_is_not_http_is_no_answer() {
    nothing_is_concluded_from(
        vec![Say::BytesAndClose("SSH-2.0-OpenSSH\r\n\r\n".into())],
        "no answer",
    )
    .await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Listener::saying(vec![answer(200, "", "{}")]).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: {}2010-04-01/x\r\n", elsewhere.url);
        nothing_is_concluded_from(vec![answer(status, &location, "")], "HTTP 30").await;
    }
    assert!(elsewhere.heard().is_empty());
}

#[tokio::test]
async fn credentials_never_leave_their_host() {
    let elsewhere = Listener::saying(vec![answer(200, "", "{}")]).await;
    let page = json!({"incoming_phone_numbers": [], "uri": OWN_URI,
            "next_page_uri": format!("{}page2", elsewhere.url)});
    let listener = Listener::saying(vec![answer(200, "", &page.to_string())]).await;
    let twilio = company(Provider::Twilio, &listener.url, SECRET);
    let error = twilio.list().await.unwrap_err();
    assert!(matches!(error, Error::Unreadable(_)), "{error:?}");
    let heard = listener.heard();
    assert_eq!(heard.len(), 1);
    assert!(heard[0].to_lowercase().contains("authorization: basic "));
    assert!(elsewhere.heard().is_empty());
}

#[tokio::test]
async fn a_listing_that_loops_is_left() {
    let path = "/2010-04-01/Accounts/AC00000000000000000000000000000001/IncomingPhoneNumbers.json?PageSize=1000";
    let twilio = json!({"incoming_phone_numbers": [], "next_page_uri": path, "uri": path});
    let row = json!({"id": "21", "phone_number": "+12125550001", "status": "active"});
    let telnyx = json!({"data": [row], "meta": {"page_number": 1, "total_pages": 2}});
    for (provider, page) in [(Provider::Twilio, twilio), (Provider::Telnyx, telnyx)] {
        let listener = Listener::saying(vec![answer(200, "", &page.to_string())]).await;
        let error = company(provider, &listener.url, SECRET)
            .list()
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Unreadable(_)),
            "{provider}: {error:?}"
        );
        assert!(listener.heard().len() <= 2, "{provider}");
    }
}

/// The last page of a listing that shows nothing.
fn pages_without_a_number() -> [(Provider, Value); 2] {
    [
        (
            Provider::Twilio,
            json!({"incoming_phone_numbers": [], "uri": OWN_URI}),
        ),
        (
            Provider::Telnyx,
            json!({"data": [], "meta": {"page_number": 1, "total_pages": 0}}),
        ),
    ]
}

#[tokio::test]
async fn a_purchase_is_sent_once_even_if_a_kept_connection_breaks() {
    for (provider, page) in pages_without_a_number() {
        let script = vec![
            answer(200, "", &page.to_string()),
            Say::BytesAndClose(String::new()),
        ];
        let listener = Listener::saying(script).await;
        let company = company(provider, &listener.url, SECRET);
        assert_eq!(company.find(&number()).await, Ok(None), "{provider}");
        let reply = company
            .buy(token(&number()), &configuration(provider, "11", None))
            .await;
        assert!(matches!(reply, Reply::Unknown(_)), "{provider}: {reply:?}");
        let posts = listener
            .heard()
            .iter()
            .filter(|request| request.starts_with("POST"))
            .count();
        assert_eq!(posts, 1, "{provider}");
    }
}

/// A process that was stopped has not seen the company close the connection that it kept.
#[tokio::test]
async fn a_purchase_after_a_freeze_is_sent_once_at_most() {
    const FROZEN: Duration = Duration::from_millis(600);
    // The company is another process, which goes on.
    let elsewhere = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    for (provider, page) in pages_without_a_number() {
        let Say::Bytes(page) = answer(200, "", &page.to_string()) else {
            unreachable!("an answer is bytes")
        };
        let script = vec![
            Say::BytesAndCloseLater(page, FROZEN / 3),
            answer(201, "", "{}"),
        ];
        let listener = elsewhere.spawn(Listener::saying(script)).await.unwrap();
        let company = company(provider, &listener.url, SECRET);
        assert_eq!(company.find(&number()).await, Ok(None), "{provider}");
        // The only thread of this process.
        std::thread::sleep(FROZEN);
        let reply = company
            .buy(token(&number()), &configuration(provider, "11", None))
            .await;
        assert!(matches!(reply, Reply::Unknown(_)), "{provider}: {reply:?}");
        let heard = listener.heard();
        let posts = heard.iter().filter(|it| it.starts_with("POST")).count();
        println!("{provider}: {posts} of 1 purchase after a freeze: {reply:?}");
        assert!(posts <= 1, "{provider}: {heard:?}");
    }
    elsewhere.shutdown_background();
}

/// A clock that jumps ahead once it was read so often, as for a process that is frozen there.
struct Freezing(AtomicUsize);

impl Clock for Freezing {
    fn now(&self) -> clock::Instant {
        let is_frozen = self.0.fetch_add(1, Ordering::Relaxed) >= 2;
        let now = BootClock.now();
        if is_frozen {
            now + Duration::from_secs(60)
        } else {
            now
        }
    }
}

/// Whoever has taken over meanwhile may have concluded that nothing was bought.
#[tokio::test]
async fn a_purchase_that_is_held_up_on_its_way_out_does_not_leave() {
    for provider in BOTH {
        let asked = AtomicUsize::new(0);
        let leads_once = move || match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err("it does not lead"),
        };
        let held_up: [(WriteGate, Arc<dyn Clock>); 2] = [
            (Arc::new(leads_once), Arc::new(BootClock)),
            (Arc::new(|| Ok(())), Arc::new(Freezing(AtomicUsize::new(0)))),
        ];
        for (gate, clock) in held_up {
            let listener = Listener::saying(vec![answer(201, "", "{}")]).await;
            let company = company_with(provider, &listener.url, SECRET, gate, clock);
            let reply = company
                .buy(token(&number()), &configuration(provider, "11", None))
                .await;
            assert!(matches!(reply, Reply::Unknown(_)), "{provider}: {reply:?}");
            let heard = listener.heard().concat();
            assert!(!heard.contains("2125551234"), "{provider}: {heard}");
        }
    }
}

/// A release that another process has decided against meanwhile, as when it is to be retained now.
#[tokio::test]
async fn a_release_that_is_held_up_on_its_way_out_does_not_leave() {
    for (may_get_on, leaves) in [(0, false), (1, false), (usize::MAX, true)] {
        let listener = Listener::saying(vec![answer(204, "", "")]).await;
        let asked = AtomicUsize::new(0);
        let departure = SendGuard::through(Arc::new(move || {
            match asked.fetch_add(1, Ordering::Relaxed) < may_get_on {
                true => Ok(()),
                false => Err("it does not lead"),
            }
        }));
        let request = Request {
            method: Method::Delete,
            url: listener.url.clone(),
            authorization: SecretString::from(SECRET),
            body: None,
            departure,
        };
        let sent = Reqwest::new().unwrap().send(request).await;
        assert_eq!(sent.is_ok(), leaves, "{sent:?}");
        // What may not begin was certainly not sent; what is held up later may have been.
        let is_expected = match may_get_on {
            0 => matches!(&sent, Err(TransportError::NotSent(_))),
            1 => matches!(&sent, Err(TransportError::Lost(_))),
            _ => sent.is_ok(),
        };
        assert!(is_expected, "{may_get_on}: {sent:?}");
        assert_eq!(!listener.heard().is_empty(), leaves, "{may_get_on}");
    }
}

#[tokio::test]
async fn a_body_is_announced_with_its_length() {
    for provider in BOTH {
        let listener = Listener::saying(vec![answer(201, "", "{}")]).await;
        buy(provider, &listener.url).await;
        let heard = listener.heard().concat();
        let (head, body) = heard.split_once("\r\n\r\n").unwrap();
        let length = format!("content-length: {}", body.len());
        assert!(head.to_lowercase().contains(&length), "{provider}: {head}");
        assert!(body.contains("2125551234"), "{provider}: {body}");
    }
}

/// A purchase at `url` is known not to have been sent.
async fn nothing_is_sent_to(url: &Url) {
    for provider in BOTH {
        let reply = buy(provider, url).await;
        assert!(
            matches!(reply, Reply::NotSent(Error::NotSent(_))),
            "{provider}: {reply:?}"
        );
    }
}

#[tokio::test]
async fn a_purchase_that_found_no_connection_was_not_sent() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(free);
    nothing_is_sent_to(&url).await;
}

#[tokio::test]
async fn a_purchase_whose_host_has_no_address_was_not_sent() {
    let url = "http://no-such-host.invalid".parse().unwrap();
    nothing_is_sent_to(&url).await;
}

#[tokio::test]
async fn without_tls_nothing_is_said_to_an_https_host() {
    let listener =
        Listener::saying(vec![Say::BytesAndClose("HTTP/1.1 400 X\r\n\r\n".into())]).await;
    let mut url = listener.url.clone();
    url.set_scheme("https").unwrap();
    nothing_is_sent_to(&url).await;
    let heard = listener.heard().concat();
    assert!(
        !heard.contains("HTTP/1.1") && !heard.contains(SECRET),
        "{heard}"
    );
}

/// Set in a process that may use up its file descriptors, to where the company listens.
const FRUGAL: &str = "TEST_OF_FILE_DESCRIPTORS";

#[tokio::test]
async fn a_purchase_for_which_no_file_descriptor_is_left_was_not_sent() {
    if let Ok(url) = std::env::var(FRUGAL) {
        return buys_without_file_descriptors(&url.parse().unwrap()).await;
    }
    let listener = Listener::saying(vec![answer(201, "", "{}")]).await;
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(program)
        .args([
            "--exact",
            "wire::a_purchase_for_which_no_file_descriptor_is_left_was_not_sent",
        ])
        .env(FRUGAL, listener.url.to_string());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("1 passed"),
        "{output:?}"
    );
    // One of each company, once there were descriptors again.
    let heard = listener.heard();
    assert_eq!(heard.len(), BOTH.len(), "{heard:?}");
}

async fn buys_without_file_descriptors(url: &Url) {
    for provider in BOTH {
        let company = company(provider, url, SECRET);
        let buy = async || {
            let configuration = configuration(provider, "11", None);
            company.buy(token(&number()), &configuration).await
        };
        let mut held = Vec::new();
        let full = loop {
            match File::open("/dev/null") {
                Ok(file) => held.push(file),
                Err(error) => break error.to_string(),
            }
        };
        let reply = buy().await;
        drop(held);
        let Reply::NotSent(Error::NotSent(why)) = &reply else {
            panic!("{provider}: {reply:?}")
        };
        assert!(why.contains(&full), "{provider}: {why}, not {full}");
        let reply = buy().await;
        assert!(matches!(reply, Reply::Unknown(_)), "{provider}: {reply:?}");
    }
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    let proxy = Listener::saying(vec![answer(200, "", "{}")]).await;
    let program = std::env::current_exe().unwrap();
    let url = proxy.url.to_string();
    let status = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(program);
        for name in [
            "HTTP_PROXY",
            "http_proxy",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env(name, &url);
        }
        command.args([
            "--exact",
            "wire::a_purchase_that_found_no_connection_was_not_sent",
        ]);
        command.output().unwrap()
    });
    let output = status.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("1 passed"),
        "{output:?}"
    );
    assert!(proxy.heard().is_empty());
}
