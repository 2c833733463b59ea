//! Our operator beside a plain one of `peer/`: the same purchases, in turn, on the same API server and at the same provider.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::process::{cpu_seconds, peak_memory, until_quiet};
use crate::table::Table;
use crate::witness::Witness;
use crate::world::{Limits, World, twilio_keys, twilio_search};

/// How often our operator looks at its accounts, as the chart has it.
const AS_SHIPPED: Duration = Duration::from_secs(60);

/// What many purchases took.
struct Taken {
    last_ready: f64,
    processor: f64,
    memory: f64,
    api_server: f64,
    calls: f64,
}

/// What is compared, and how much of it ours may take as a multiple of the plain operator in the same run.
type Budget = (&'static str, fn(&Taken) -> f64, f64);

const BUDGETS: [Budget; 5] = [
    ("last Ready, as a multiple", |it| it.last_ready, 1.15),
    ("processor, as a multiple", |it| it.processor, 0.8),
    ("peak memory, as a multiple", |it| it.memory, 0.8),
    (
        "processor of the API server, as a multiple",
        |it| it.api_server,
        1.35,
    ),
    ("provider calls, as a multiple", |it| it.calls, 0.55),
];

/// Which operator buys, and under which circumstances.
#[derive(Clone, Copy)]
enum Buyer<'a> {
    /// The plain one, whose program is here.
    Peer(&'a str),
    Ours(Ours),
}

/// Ours, in an account with these limits, at a provider that tells its prices or does not.
#[derive(Clone, Copy)]
struct Ours {
    what: &'static str,
    namespace: &'static str,
    limits: Limits,
    has_prices: bool,
}

/// Two at a time run between two runs of the plain operator.
const OURS: [[Ours; 2]; 2] = [
    [
        Ours {
            what: "beside a plain one",
            namespace: "limits-prices",
            limits: Limits::All,
            has_prices: true,
        },
        Ours {
            what: "beside it, without limits",
            namespace: "prices",
            limits: Limits::None,
            has_prices: true,
        },
    ],
    [
        Ours {
            what: "beside it, without prices",
            namespace: "limits",
            limits: Limits::Numbers,
            has_prices: false,
        },
        Ours {
            what: "beside it, without either",
            namespace: "neither",
            limits: Limits::None,
            has_prices: false,
        },
    ],
];

/// Both buy `count` numbers by search that wait for them, in turn. Ours is compared with the mean of the runs of the plain
/// operator before and after it.
pub async fn beside_a_peer(world: &mut World, table: &mut Table, count: usize) {
    println!("\nBuying {count} numbers at Twilio by search, in turn with a plain operator");
    let program = World::built_peer();
    let peer = Buyer::Peer(&program);
    let mut before = turn(world, "peer-0", peer, count).await;
    for (at, pair) in OURS.into_iter().enumerate() {
        let mut taken = Vec::new();
        for ours in pair {
            let one = turn(world, ours.namespace, Buyer::Ours(ours), count).await;
            taken.push((ours.what, one));
        }
        let after = turn(world, &format!("peer-{}", at + 1), peer, count).await;
        for (what, taken) in taken {
            let mut part = table.part(what);
            part.guide("last Ready", taken.last_ready, "s", None);
            for (name, figure, most) in BUDGETS {
                let mean = (figure(&before) + figure(&after)) / 2.0;
                part.count(name, figure(&taken) / mean, most);
            }
        }
        before = after;
    }
}

async fn turn(world: &mut World, namespace: &str, buyer: Buyer<'_>, count: usize) -> Taken {
    let (limits, has_prices) = match buyer {
        Buyer::Ours(ours) => (ours.limits, ours.has_prices),
        Buyer::Peer(_) => (Limits::None, true),
    };
    world
        .limited_account(namespace, "twilio", twilio_keys(), limits)
        .await;
    let witness = Witness::of(world.client.clone(), namespace);
    world.many(namespace, count, &twilio_search()).await;
    if !has_prices {
        let rule = json!({"dialect": "twilio", "operation": "pricing", "kind": "refused", "status": 404, "code": 20404});
        world.emulator.fault(rule).await;
    }
    world.begin().await;
    let begun = Instant::now();
    let pid = match buyer {
        Buyer::Peer(program) => world.start_peer(program, namespace).await,
        Buyer::Ours(_) => {
            let own = [
                "--watch-namespace",
                namespace,
                "--installation-id",
                namespace,
            ];
            world.start_operator(AS_SHIPPED, &own).await
        }
    };
    witness.until_ready(count).await;
    let last_ready = begun.elapsed().as_secs_f64();
    until_quiet(pid).await;
    let spent = world.end().await;
    let taken = Taken {
        last_ready,
        processor: cpu_seconds(pid),
        memory: peak_memory(pid),
        api_server: spent.api_server_cpu,
        calls: spent.all_calls() / count as f64,
    };
    world.kill_operator();
    world.emulator.clear_faults().await;
    println!(
        "  {namespace}: last Ready {:.1} s, processor {:.2} s, {:.1} MiB, API server {:.1} s, {:.3} calls each, {:?}",
        taken.last_ready,
        taken.processor,
        taken.memory,
        taken.api_server,
        taken.calls,
        spent.writes
    );
    taken
}
