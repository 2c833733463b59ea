use std::io;

use kube::core::Status;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::api::{PhoneNumber, ProviderAccount};
use telephony::testing::ManualClock;

/// Lets a wait go by, and a moment more.
fn turn(clock: &ManualClock, wait: Duration) {
    clock.advance(wait + Duration::from_millis(1));
}

fn setbacks() -> (Arc<ManualClock>, Metrics, Setbacks) {
    let (clock, metrics) = (Arc::new(ManualClock::default()), Metrics::default());
    let setbacks = Setbacks::new(clock.clone(), Random::seeded(1), metrics.clone());
    (clock, metrics, setbacks)
}

fn number(name: &str, version: &str) -> PhoneNumber {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "support", "uid": name, "resourceVersion": version},
        "spec": {"provider": "twilio", "phoneNumber": "+12125550100"},
    }))
    .unwrap()
}

fn error(code: u16, message: &str) -> kube::Error {
    let status = Status::failure(message, "").with_code(code);
    kube::Error::Api(status.boxed())
}

#[test]
fn pauses_grow_to_five_minutes_and_begin_again_after_a_success() {
    let (clock, _, setbacks) = setbacks();
    let nyc = number("nyc", "1");
    let mut waited = Duration::ZERO;
    let mut pauses = Vec::new();
    while waited < Duration::from_secs(3600) {
        let pause = setbacks.add(&nyc, &error(403, "may not patch")).unwrap();
        pauses.push(pause);
        waited += pause;
        turn(&clock, pause);
    }
    assert!(pauses[0] <= Duration::from_secs(1), "{pauses:?}");
    let last = pauses[pauses.len() - 1];
    assert!(last >= Duration::from_secs(150) && last <= Duration::from_secs(300));
    assert!(
        (15..35).contains(&pauses.len()),
        "{} in an hour",
        pauses.len()
    );
    setbacks.over(&nyc);
    assert!(setbacks.add(&nyc, &error(500, "x")).unwrap() <= Duration::from_secs(1));
}

#[test]
fn an_object_waits_unless_it_changes() {
    let (clock, _, setbacks) = setbacks();
    let nyc = number("nyc", "1");
    assert_eq!(setbacks.wait(&nyc), None);
    let pause = setbacks.add(&nyc, &error(500, "x")).unwrap();
    assert_eq!(setbacks.wait(&nyc), Some(pause), "whatever wakes it");
    assert_eq!(
        setbacks.wait(&number("nyc", "2")),
        None,
        "somebody wrote it"
    );
    assert_eq!(setbacks.wait(&number("bos", "1")), None);
    turn(&clock, pause);
    assert_eq!(setbacks.wait(&nyc), None);
}

#[test]
fn a_conflict_is_repeated_soon_and_many_are_not() {
    let (clock, metrics, setbacks) = setbacks();
    let nyc = number("nyc", "1");
    let conflict = || error(409, "modified");
    let first = setbacks.add(&nyc, &conflict()).unwrap();
    assert!(first <= Duration::from_millis(200));
    let mut last = first;
    for _ in 0..20 {
        turn(&clock, last);
        last = setbacks.add(&nyc, &conflict()).unwrap();
    }
    assert!(last >= Duration::from_secs(15) && last <= Duration::from_secs(30));
    assert!(shown(&metrics, "PhoneNumber", 1), "a watch lags");
    assert_eq!(setbacks.add(&nyc, &error(404, "gone")), None);
    assert!(shown(&metrics, "PhoneNumber", 0));
}

fn shown(metrics: &Metrics, kind: &str, count: i64) -> bool {
    let line = format!("phonenumber_objects_failing{{kind=\"{kind}\"}} {count}\n");
    metrics.text().unwrap().contains(&line)
}

#[test]
fn the_metric_counts_the_objects_that_fail_now() {
    let (_, metrics, setbacks) = setbacks();
    for name in ["nyc", "bos", "nyc"] {
        setbacks.add(&number(name, "1"), &error(403, "may not patch"));
    }
    setbacks.add(&number("conflicting", "1"), &error(409, "modified"));
    assert!(shown(&metrics, "PhoneNumber", 2));
    setbacks.retain::<ProviderAccount>(|_, _| false);
    assert!(shown(&metrics, "PhoneNumber", 2));
    setbacks.retain::<PhoneNumber>(|namespace, name| namespace == Some("support") && name == "nyc");
    assert!(shown(&metrics, "PhoneNumber", 1));
    setbacks.over(&number("nyc", "2"));
    setbacks.over(&number("nyc", "2"));
    assert!(shown(&metrics, "PhoneNumber", 0));
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn the_log_has_one_line_for_each_object_and_cause() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let (_, _, setbacks) = setbacks();
        for message in ["may not patch", "may not patch", "too large", "too large"] {
            for name in ["nyc", "bos"] {
                setbacks.add(&number(name, "1"), &error(403, message));
            }
        }
        setbacks.add(&number("nyc", "1"), &error(409, "modified"));
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines.iter().all(|line| line.contains("support")), "{text}");
}

#[test]
fn pauses_after_panics_grow_until_a_pass_ends_well() {
    let (_, _, setbacks) = setbacks();
    let nyc = number("nyc", "1");
    let pauses: Vec<_> = (0..12).filter_map(|_| setbacks.panicked(&nyc)).collect();
    assert!(pauses[0] <= Duration::from_secs(1), "{pauses:?}");
    assert!(pauses[11] >= Duration::from_secs(150), "{pauses:?}");
    assert!(setbacks.wait(&nyc).is_some());
    setbacks.over(&nyc);
    assert!(setbacks.panicked(&nyc).unwrap() <= Duration::from_secs(1));
}
