//! Our operator beside a plain one of `peer/`: the same purchases, in turn, on the same API server and at the same provider.

use std::time::Instant;

use serde_json::json;
use test_support::emulator::TWILIO_ACCOUNT;

use crate::process::{cpu_seconds, peak_memory, until_quiet};
use crate::table::Table;
use crate::witness::Witness;
use crate::world::{INTERVAL, Limits, World};

/// What ours may take, as a multiple of the plain operator in the same run.
const MOST_TIME: f64 = 1.15;
const MOST_PROCESSOR: f64 = 0.8;
const MOST_MEMORY: f64 = 0.8;
const MOST_OF_THE_API_SERVER: f64 = 1.35;
const MOST_CALLS: f64 = 0.55;

/// What many purchases took.
#[derive(Clone, Copy)]
struct Taken {
    last_ready: f64,
    processor: f64,
    memory: f64,
    api_server: f64,
    calls: f64,
}

/// Which operator buys, and under which circumstances.
#[derive(Clone, Copy)]
enum Buyer {
    Peer,
    Ours { limits: Limits, has_prices: bool },
}

/// Both buy `count` numbers by search that wait for them: the plain operator first and last, and ours between with and without
/// limits, and with and without a price list.
pub async fn beside_a_peer(world: &mut World, table: &mut Table, count: usize) {
    println!("\nBuying {count} numbers at Twilio by search, in turn with a plain operator");
    let program = World::built_peer();
    let ours = |limits, has_prices| Buyer::Ours { limits, has_prices };
    let mut taken = Vec::new();
    let turns = [
        ("peer-first", Buyer::Peer),
        ("limits-prices", ours(Limits::All, true)),
        ("prices", ours(Limits::None, true)),
        ("peer-between", Buyer::Peer),
        ("limits", ours(Limits::Numbers, false)),
        ("plain", ours(Limits::None, false)),
        ("peer-last", Buyer::Peer),
    ];
    for (namespace, buyer) in turns {
        taken.push(turn(world, &program, namespace, buyer, count).await);
    }
    let [first, a, b, between, c, d, last] = taken[..] else {
        unreachable!("there are seven turns");
    };
    for (what, taken, peers) in [
        ("beside a plain one", a, [first, between]),
        ("beside it, without limits", b, [first, between]),
        ("beside it, without prices", c, [between, last]),
        ("beside it, without either", d, [between, last]),
    ] {
        let times = |figure: fn(&Taken) -> f64| {
            figure(&taken) * 2.0 / (figure(&peers[0]) + figure(&peers[1]))
        };
        table
            .part(what)
            .guide("last Ready", taken.last_ready, "s", None)
            .count(
                "last Ready, as a multiple",
                times(|it| it.last_ready),
                MOST_TIME,
            )
            .count(
                "processor, as a multiple",
                times(|it| it.processor),
                MOST_PROCESSOR,
            )
            .count(
                "peak memory, as a multiple",
                times(|it| it.memory),
                MOST_MEMORY,
            )
            .count(
                "processor of the API server, as a multiple",
                times(|it| it.api_server),
                MOST_OF_THE_API_SERVER,
            )
            .count(
                "provider calls, as a multiple",
                times(|it| it.calls),
                MOST_CALLS,
            );
    }
}

async fn turn(
    world: &mut World,
    program: &str,
    namespace: &str,
    buyer: Buyer,
    count: usize,
) -> Taken {
    let account = TWILIO_ACCOUNT;
    let token = "emulator-token";
    let keys = json!({"accountSid": account, "authToken": token});
    let limits = match buyer {
        Buyer::Ours { limits, .. } => limits,
        Buyer::Peer => Limits::None,
    };
    world
        .limited_account(namespace, "twilio", keys, limits)
        .await;
    let witness = Witness::of(world.client.clone(), namespace);
    let spec = json!({"provider": "twilio", "search": {"country": "US", "areaCode": "212"}});
    world.many(namespace, count, &spec).await;
    if matches!(
        buyer,
        Buyer::Ours {
            has_prices: false,
            ..
        }
    ) {
        let rule = json!({"dialect": "twilio", "operation": "pricing", "kind": "refused", "status": 404, "code": 20404});
        world.emulator.fault(rule).await;
    }
    world.begin().await;
    let begun = Instant::now();
    let pid = match buyer {
        Buyer::Peer => world.start_peer(program, namespace, account, token).await,
        Buyer::Ours { .. } => {
            let own = [
                "--watch-namespace",
                namespace,
                "--installation-id",
                namespace,
            ];
            world.start_operator(INTERVAL, &own).await
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
