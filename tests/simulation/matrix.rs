//! The crash matrix: every request of every kind of reconcile, as found by running it, with every end that it can have, and
//! whoever goes on afterwards.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::audit::{self, Diary};
use crate::operator::Options;
use crate::process::{Call, Fate};
use crate::schedule::{SERVICE, without_profiles};
use crate::world::{CONNECTION, PROFILE, World, is_ready};
use test_support::objects::merge;

/// What a request may come to. A process that dies after an answer dies before its next request.
const ENDS: [(&str, Fate); 9] = [
    ("not sent", Fate::NotSent),
    ("lost on the way", Fate::RequestLost),
    ("reply lost", Fate::ReplyLost),
    ("502 after it took effect", Fate::Proxy(502)),
    ("429", Fate::Refused(429)),
    ("reply cut", Fate::Cut),
    ("reply after 35 s", Fate::Slow(Duration::from_secs(35))),
    ("dies before", Fate::CrashBefore),
    ("dies after", Fate::CrashAfter),
];

/// Who goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Successor {
    SameProcess,
    NewProcess,
    SecondLeader,
}

const SUCCESSORS: [Successor; 3] = [
    Successor::SameProcess,
    Successor::NewProcess,
    Successor::SecondLeader,
];

/// Long enough for everything that is waited for after one fault: the visibility period, and the pauses around it.
const TO_SETTLE: Duration = Duration::from_secs(1500);

/// How long the world is watched once the work is done: longer than any reply is late.
const TO_BE_SEEN: Duration = Duration::from_secs(120);

/// One kind of work.
pub struct Job {
    pub name: &'static str,
    pub provider: &'static str,
    spec: fn() -> Value,
    /// What is other than usual at the companies.
    change: fn() -> Value,
    /// The resource is Ready before the work begins.
    begins_ready: bool,
    begin: fn(&World, Value),
    is_done: fn(&World) -> bool,
    /// How many numbers operators have bought in the end, and hold.
    bought: usize,
    held: usize,
}

const NAME: &str = "nyc";

pub const JOBS: [Job; 19] = {
    const fn job(name: &'static str, provider: &'static str, spec: fn() -> Value) -> Job {
        Job {
            name,
            provider,
            spec,
            change: || json!({}),
            begins_ready: false,
            begin: create,
            is_done: ready,
            bought: 1,
            held: 1,
        }
    }
    const fn later(
        name: &'static str,
        provider: &'static str,
        spec: fn() -> Value,
        begin: fn(&World, Value),
    ) -> Job {
        Job {
            begins_ready: true,
            begin,
            ..job(name, provider, spec)
        }
    }
    [
        job("purchase by number", "twilio", twilio),
        job(
            "purchase by search",
            "twilio",
            || json!({"provider": "twilio", "search": {"country": "US", "areaCode": "212"}}),
        ),
        job("order by number", "telnyx", telnyx),
        job(
            "order by search",
            "telnyx",
            || json!({"provider": "telnyx", "search": {"country": "US", "areaCode": "617"}}),
        ),
        job("purchase into a messaging service", "twilio", || {
            with(
                twilio(),
                json!({"twilio": {"messagingServiceSid": SERVICE}}),
            )
        }),
        Job {
            begin: create_with_a_profile,
            ..job("order into a messaging profile", "telnyx", || {
                with(telnyx(), json!({"telnyx": {"messagingProfileId": PROFILE}}))
            })
        },
        Job {
            begin: create_under_limits,
            ..job("purchase under limits", "twilio", || {
                with(
                    twilio(),
                    json!({"maxMonthlyCost": {"amount": "2.00", "currency": "USD"}}),
                )
            })
        },
        Job {
            change: || json!({"telnyx": without_profiles()}),
            begin: create_under_limits,
            ..job("order in an unidentified account", "telnyx", telnyx)
        },
        Job {
            is_done: is_directed,
            ..later("manage a connection", "telnyx", telnyx, misdirect)
        },
        later("configure", "twilio", twilio, rename),
        later("configure", "telnyx", telnyx, rename),
        later("assign", "twilio", twilio, assign),
        later("assign", "telnyx", telnyx, assign),
        Job {
            bought: 0,
            begin: adopt,
            ..job("adopt", "twilio", twilio)
        },
        Job {
            bought: 0,
            begin: adopt,
            ..job("adopt", "telnyx", telnyx)
        },
        Job {
            held: 0,
            is_done: gone,
            ..later("release", "twilio", twilio, delete)
        },
        Job {
            held: 0,
            is_done: gone,
            ..later("release", "telnyx", telnyx, delete)
        },
        Job {
            is_done: gone,
            ..later("retain", "twilio", twilio, retain)
        },
        Job {
            is_done: gone,
            ..later("retain", "telnyx", telnyx, retain)
        },
    ]
};

fn twilio() -> Value {
    json!({"provider": "twilio", "phoneNumber": "+12125550001", "assistantId": 101})
}

fn telnyx() -> Value {
    json!({"provider": "telnyx", "phoneNumber": "+16175550001", "assistantId": 101, "telnyx": {"connectionId": CONNECTION}})
}

fn create(world: &World, spec: Value) {
    world.number(NAME, spec);
}

fn with(mut spec: Value, more: Value) -> Value {
    merge(&mut spec, &more);
    spec
}

/// The account does not name the profile, so people have set its webhook.
fn create_with_a_profile(world: &World, spec: Value) {
    let right = json!({"webhook": "https://voice.example.com/telnyx-webhook"});
    world.control("POST", &format!("/console/connections/{PROFILE}"), right);
    create(world, spec);
}

/// What is bought reaches every limit.
fn create_under_limits(world: &World, spec: Value) {
    let limits = json!({"purchasesPerHour": 5, "releasesPerHour": 5, "maxNumbers": 1,
        "maxMonthlyCost": {"amount": "1.15", "currency": "USD"}});
    world.limit(spec["provider"].as_str().unwrap(), limits);
    create(world, spec);
}

/// Somebody points the managed connection elsewhere.
fn misdirect(world: &World, _: Value) {
    let path = format!("/console/connections/{CONNECTION}");
    world.control(
        "POST",
        &path,
        json!({"webhook": "https://elsewhere.example.com"}),
    );
}

fn is_directed(world: &World) -> bool {
    let path = format!("/console/connections/{CONNECTION}");
    let connection = world.control("POST", &path, json!({}));
    ready(world) && connection["webhook"] == "https://voice.example.com/telnyx-webhook"
}

/// Of a number that the account has before.
fn adopt(world: &World, mut spec: Value) {
    let (provider, number) = (
        spec["provider"].as_str().unwrap(),
        spec["phoneNumber"].as_str().unwrap(),
    );
    world.bought_by_hand(provider, number);
    spec["adoptionPolicy"] = json!("Adopt");
    world.number(NAME, spec);
}

fn rename(world: &World, _: Value) {
    world.patch(NAME, json!({"spec": {"friendlyName": "renamed", "webhooks": {"voiceUrl": "https://voice.example.com/telnyx-webhook", "smsUrl": "https://voice.example.com/telnyx-webhook"}}}));
}

fn assign(world: &World, _: Value) {
    world.patch(NAME, json!({"spec": {"assistantId": 102}}));
}

fn delete(world: &World, _: Value) {
    world.delete(NAME);
}

fn retain(world: &World, _: Value) {
    world.patch(NAME, json!({"spec": {"deletionPolicy": "Retain"}}));
    world.delete(NAME);
}

fn ready(world: &World) -> bool {
    is_ready(&world.get(NAME))
}

fn gone(world: &World) -> bool {
    world.get(NAME).is_null()
}

/// One run of a job.
struct Run<'a> {
    job: &'a Job,
    /// The request that meets its end, counted from the beginning of the work, and how; none in the run that counts them.
    end: Option<(usize, Fate)>,
    successor: Successor,
}

/// What a run came to.
struct Ran {
    /// The requests of the work, up to its end.
    calls: Vec<Call>,
    faults: Vec<String>,
}

impl Run<'_> {
    async fn play(&self) -> Ran {
        let mut world = World::new(1, (self.job.change)());
        let options = Options {
            leader_elect: true,
            ..Options::default()
        };
        world.start(options.clone());
        // The first listings are behind us: the work alone is counted.
        world.run_for(Duration::from_secs(3)).await;
        if self.successor == Successor::SecondLeader {
            world.start(options.clone());
        }
        let spec = (self.job.spec)();
        if self.job.begins_ready {
            world.number(NAME, spec.clone());
            world.run_until("Ready", ready).await;
            world.run_for(Duration::from_secs(2)).await;
        }
        let first = world.stage.count();
        if let Some((index, fate)) = self.end {
            self.arm(&world, index, fate);
        }
        (self.job.begin)(&world, spec);
        let calls = match self.end {
            None => {
                world.run_until("done", self.job.is_done).await;
                world.stage.calls().split_off(first)
            }
            Some(_) => Vec::new(),
        };
        let (mut left, mut done_for) = (TO_SETTLE, Duration::ZERO);
        while !left.is_zero() && done_for < TO_BE_SEEN {
            let step = Duration::from_secs(5);
            world.run_for(step).await;
            left -= step;
            done_for = if (self.job.is_done)(&world) {
                done_for + step
            } else {
                Duration::ZERO
            };
            let alive = world
                .operators
                .iter()
                .filter(|operator| operator.is_alive())
                .count();
            if alive == 0 {
                world.start(options.clone());
            }
        }
        Ran {
            calls,
            faults: self.faults(&world),
        }
    }

    /// The request with this index among those of the work meets `fate`; the others are answered.
    fn arm(&self, world: &World, index: usize, fate: Fate) {
        let seen = AtomicUsize::new(0);
        let worker = world.operators[0].process.id;
        let dies_next = self.successor != Successor::SameProcess
            && !matches!(fate, Fate::CrashBefore | Fate::CrashAfter);
        world.stage.set_script(Arc::new(move |call: &Call| {
            if call.process != worker || !is_counted(call) {
                return Fate::Answered;
            }
            let at = seen.fetch_add(1, Ordering::Relaxed);
            match at {
                at if at == index => fate,
                at if at == index + 1 && dies_next => Fate::CrashBefore,
                _ => Fate::Answered,
            }
        }));
    }

    fn faults(&self, world: &World) -> Vec<String> {
        let mut faults = audit::faults(world, &Diary::of(1));
        if !(self.job.is_done)(world) {
            faults.push(format!(
                "- it does not end: {:#}",
                world.get(NAME)["status"]
            ));
        }
        let bought = audit::purchases(world);
        if bought != self.job.bought {
            faults.push(format!(
                "- {bought} numbers were bought, not {}",
                self.job.bought
            ));
        }
        let held = world.emulator.world().numbers.iter().count();
        if held != self.job.held {
            faults.push(format!("- {held} numbers are held, not {}", self.job.held));
        }
        if !faults.is_empty() {
            faults.push(world.shown());
        }
        faults
    }
}

/// The Lease is renewed and Secrets are read again whatever is done.
fn is_counted(call: &Call) -> bool {
    !call.operation.ends_with("leases")
}

/// What the matrix of one job came to.
pub struct Row {
    pub name: &'static str,
    pub provider: &'static str,
    /// The requests of the job, by what they are.
    pub requests: Vec<String>,
    pub runs: usize,
    pub failed: Vec<String>,
}

/// Plays every combination of one job.
pub fn play(job: &Job) -> Row {
    let run = |end, successor| {
        let run = Run {
            job,
            end,
            successor,
        };
        crate::in_simulated_time(run.play())
    };
    let plain = run(None, Successor::SameProcess);
    let calls: Vec<_> = plain.calls.iter().filter(|call| is_counted(call)).collect();
    let mut row = Row {
        name: job.name,
        provider: job.provider,
        requests: calls
            .iter()
            .map(|call| format!("{} {}", call.side, call.operation))
            .collect(),
        runs: 1,
        failed: plain.faults,
    };
    for (index, call) in calls.iter().enumerate() {
        for (word, fate) in ENDS {
            for successor in SUCCESSORS {
                let dies = matches!(fate, Fate::CrashBefore | Fate::CrashAfter);
                if dies && successor == Successor::SameProcess {
                    continue;
                }
                row.runs += 1;
                let ran = run(Some((index, fate)), successor);
                if !ran.faults.is_empty() {
                    row.failed.push(format!(
                        "{} at {}: request {index} ({} {}), {word}, then {successor:?}:\n{}",
                        job.name,
                        job.provider,
                        call.side,
                        call.operation,
                        ran.faults.join("\n")
                    ));
                }
            }
        }
    }
    row
}

/// The table for the documentation.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| work | requests | combinations | bought twice, lost, or touched what is not ours |\n|---|---|---|---|\n",
    );
    for row in rows {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        row.requests
            .iter()
            .for_each(|request| *kinds.entry(request).or_default() += 1);
        let requests = kinds.iter().map(|(request, count)| match count {
            1 => (*request).to_owned(),
            count => format!("{request} ×{count}"),
        });
        let requests = requests.collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            text,
            "| {}, {} | {requests} | {} | {} |",
            row.name,
            row.provider,
            row.runs,
            row.failed.len()
        );
    }
    text
}
