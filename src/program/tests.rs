//! Tests of `program`.

use super::*;
use k8s_openapi::api::coordination::v1::Lease;
use kube::client::Body;
use serde_json::json;
use std::sync::Mutex;

type Work = Result<(), controller::Ended>;

fn running(
    work: impl Future<Output = Work> + Send + 'static,
    serving: impl Future<Output = std::io::Result<()>> + Send + 'static,
) -> Running {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let work = async move {
        tokio::select! {
            ended = work => ended,
            _ = stopped => Ok(()),
        }
    };
    Running {
        work: tokio::spawn(work),
        stop,
        served: tokio::spawn(serving),
        to_finish: Duration::from_secs(10),
    }
}

/// One for each way in which a part ends, and what is said of it.
fn broken() -> [(Running, &'static str); 3] {
    [
        (
            running(async { Ok(()) }, std::future::pending()),
            "the controllers ended",
        ),
        (
            running(
                async {
                    panic!(
                        "no
way"
                    )
                },
                std::future::pending(),
            ),
            "the controllers ended: it panicked: no way",
        ),
        (
            running(std::future::pending(), async { Ok(()) }),
            "the server of metrics and health ended",
        ),
    ]
}

#[tokio::test]
async fn a_part_that_ends_ends_the_program() {
    for (mut running, told) in broken() {
        assert_eq!(format!("{:#}", running.broken().await), told);
    }
    let mut works = running(std::future::pending(), std::future::pending());
    let goes_on = tokio::time::timeout(Duration::from_millis(50), works.broken());
    assert!(goes_on.await.is_err());
}

/// An API server that keeps one Lease.
fn keeper_of_the_lease() -> kube::Client {
    let kept = Arc::new(Mutex::new((0, None::<Lease>)));
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let kept = Arc::clone(&kept);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await.unwrap();
            let (version, lease) = &mut *kept.lock().unwrap();
            if head.method != http::Method::GET {
                *version += 1;
                let mut written: Lease = serde_json::from_slice(&body).unwrap();
                written.metadata.resource_version = Some(version.to_string());
                *lease = Some(written);
            }
            let (code, body) = match lease {
                Some(lease) => (200, serde_json::to_vec(lease).unwrap()),
                None => {
                    let none = json!({"kind": "Status", "status": "Failure", "reason": "NotFound",
                        "message": "none", "code": 404});
                    (404, none.to_string().into_bytes())
                }
            };
            let answer = http::Response::builder().status(code);
            Ok::<_, std::convert::Infallible>(answer.body(Body::from(body)).unwrap())
        }
    });
    kube::Client::new(service, "default")
}

#[tokio::test(start_paused = true)]
async fn when_a_part_ends_the_next_replica_leads_at_once() {
    for (running, told) in broken() {
        let client = keeper_of_the_lease();
        let elector = || {
            let clock = Arc::new(BootClock);
            let random = Random::of_system();
            Elector::new(client.clone(), "default", LEASE, clock, random)
        };
        let term = elector().acquire().await;
        let next = elector();
        let standby = tokio::spawn(next.acquire());
        let ended = running
            .until_the_end(term.clone(), std::future::pending(), None)
            .await;
        // Which ends the process with an exit code that is not 0.
        assert_eq!(format!("{:#}", ended.unwrap_err()), told);
        assert!(!term.holds(BootClock.now()), "{told}");
        let followed = tokio::time::timeout(Duration::from_secs(2), standby).await;
        let followed = followed
            .unwrap_or_else(|_| panic!("{told}: nobody leads"))
            .unwrap();
        assert!(followed.holds(BootClock.now()), "{told}");
    }
}

#[test]
fn flags_that_safety_depends_on_are_checked() {
    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        options: Options,
    }
    let check = |flags: &[&str]| {
        let flags = std::iter::once(&"run").chain(flags);
        let parsed = <Flags as clap::Parser>::try_parse_from(flags);
        let checked = parsed
            .map_err(anyhow::Error::from)
            .and_then(|flags| flags.options.check());
        checked.map_err(|error| error.to_string())
    };
    for good in [
        &[][..],
        &["--concurrency=1", "--inventory-interval=1s"],
        &["--concurrency=1024", "--inventory-interval=24h"],
        &["--purchase-timeout=2s", "--purchase-visibility=7s"],
        &["--purchase-timeout=10m", "--purchase-visibility=168h"],
    ] {
        assert_eq!(check(good), Ok(()), "{good:?}");
    }
    for bad in [
        &["--concurrency=0"][..],
        &["--concurrency=1025"],
        &["--inventory-interval=0s"],
        &["--inventory-interval=999ms"],
        &["--inventory-interval=25h"],
        &["--purchase-timeout=0s"],
        &["--purchase-timeout=601s"],
        &["--purchase-visibility=1s"],
        &["--purchase-visibility=34999ms"],
        &["--purchase-visibility=169h"],
        &["--purchase-timeout=10m"],
        &["--purchase-visibility=18446744073709551615h"],
    ] {
        let (flag, _) = bad[0].split_once('=').unwrap();
        let error = check(bad).expect_err(bad[0]);
        assert!(
            error.contains(flag) || error.contains("--purchase-visibility"),
            "{bad:?}: {error}"
        );
    }
}

#[test]
fn durations_need_a_unit() {
    for (text, wanted) in [
        ("500ms", Some(Duration::from_millis(500))),
        ("60s", Some(Duration::from_secs(60))),
        ("10m", Some(Duration::from_secs(600))),
        ("1h", Some(Duration::from_secs(3600))),
        ("60", None),
        ("s", None),
        ("", None),
        ("-1s", None),
        ("5 parsecs", None),
        ("18446744073709551615h", None),
        ("18446744073709551616s", None),
    ] {
        assert_eq!(duration(text).ok(), wanted, "{text}");
    }
}
