//! What is measured, part by part.

mod others;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use test_support::emulator::{is_purchase, number_of};

use crate::beside::beside_a_peer;
use crate::floor::Pattern;
use crate::process::{cpu_seconds, peak_memory, until_quiet};
use crate::table::{Part, Table};
use crate::witness::Witness;
use crate::world::{INTERVAL, Spent, World, twilio_keys, twilio_search};

/// How many numbers a page of a Twilio listing holds.
const TWILIO_PAGE: usize = 1000;

/// The requests of a purchase by search, and how many of those are writes to the API server.
const REQUESTS: f64 = 4.0;
const WRITES: f64 = 3.0;

/// The calls of a purchase by search: itself, and its share of a search, which shows 30 numbers whatever it asks for, some of
/// which are being bought.
const MOST_CALLS: f64 = 1.15;

/// What the second half of many purchases may take of the processor, compared with the first: no more for each where others are
/// many, and some for the noise of the machine.
const MOST_OF_THE_SECOND_HALF: f64 = 1.5;

/// What a request of a purchase may take of the processor, compared with one of a client that decides nothing.
const MOST_PER_REQUEST: f64 = 3.0;

/// What the API server stores for a number that is Ready, in bytes of JSON.
const MOST_STORED: f64 = 3600.0;

/// The Events of a release: that it begins, and that it is done.
const EVENTS_OF_A_RELEASE: usize = 2;

/// For fewer numbers the start of the operator takes more than the purchases.
const ENOUGH: usize = 1000;

const NAMESPACE: &str = "bench";

pub struct Bench {
    count: usize,
    world: World,
    witness: Witness,
    pid: u32,
    /// The purchases of what stood.
    standing: Option<Standing>,
    pub table: Table,
}

/// Purchases by search, to be compared with their writes alone.
struct Standing {
    /// What each writes.
    pattern: Pattern,
    /// When the last was Ready, in seconds.
    last_ready: f64,
    /// The processor seconds of the operator.
    processor: f64,
}

/// Twilio's budgets for buying this many at once: seconds, processor seconds, MiB. Others have none.
fn budgets(count: usize) -> [Option<f64>; 3] {
    match count {
        1_000 => [Some(4.0), Some(0.7), Some(25.0)],
        10_000 => [Some(35.0), Some(6.0), Some(50.0)],
        _ => [None; 3],
    }
}

impl Bench {
    pub async fn start(count: usize) -> Self {
        let world = World::start().await;
        world.account(NAMESPACE, "twilio", twilio_keys()).await;
        Self {
            count,
            witness: Witness::of(world.client.clone(), NAMESPACE),
            world,
            pid: 0,
            standing: None,
            table: Table::default(),
        }
    }

    fn pages(&self) -> f64 {
        self.count.div_ceil(TWILIO_PAGE) as f64
    }

    /// All are there when the operator starts.
    pub async fn purchases_of_what_stands(&mut self) {
        let count = self.count;
        println!("\nBuying {count} numbers at Twilio by search, which all wait for the operator");
        let created = self.world.many(NAMESPACE, count, &twilio_search()).await;
        self.world.begin().await;
        let begun = Instant::now();
        self.pid = self.world.start_operator(INTERVAL, &[]).await;
        self.witness.until_ready(count / 2).await;
        let first_half = cpu_seconds(self.pid);
        self.witness.until_ready(count).await;
        let second_half = cpu_seconds(self.pid) - first_half;
        until_quiet(self.pid).await;
        let processor = cpu_seconds(self.pid);
        let spent = self.world.end().await;
        let waits = waits(
            &self.witness,
            created.iter().map(|(name, _)| (name.as_str(), begun)),
        );
        let mut part = self.table.part("Twilio by search, all standing");
        purchases(&mut part, &waits, self.pid, budgets(count));
        part.count(
            "processor, second half per first",
            second_half / first_half,
            MOST_OF_THE_SECOND_HALF,
        );
        counts(&mut part, &spent, count, 2.0, MOST_CALLS);
        let lost = count.saturating_sub(spent.writes.events);
        part.count("Events that did not come", lost as f64, 0.0);
        let pattern = Pattern::of(&self.world, NAMESPACE, &created[0].0).await;
        let (stored, tracked) = pattern.stored;
        part.count("stored of a resource (bytes)", stored as f64, MOST_STORED)
            .show("of these, managed fields", tracked as f64);
        self.check_ledger(count).await;
        self.standing = Some(Standing {
            pattern,
            last_ready: at(&waits, 1.0),
            processor,
        });
    }

    /// All are created while the operator runs.
    pub async fn purchases_of_what_arrives(&mut self) {
        let count = self.count;
        println!("\nBuying {count} numbers at Twilio by search, as they are created");
        self.world.kill_operator();
        self.pid = self.world.start_operator(INTERVAL, &[]).await;
        until_quiet(self.pid).await;
        self.witness = Witness::of(self.world.client.clone(), NAMESPACE);
        self.world.begin().await;
        let begun = Instant::now();
        let created = self.world.many(NAMESPACE, count, &twilio_search()).await;
        let creating = begun.elapsed().as_secs_f64();
        self.witness.until_ready(count).await;
        until_quiet(self.pid).await;
        let spent = self.world.end().await;
        let each = created.iter().map(|(name, there)| (name.as_str(), *there));
        let waits = waits(&self.witness, each);
        let all = created
            .iter()
            .filter_map(|(name, _)| self.witness.ready_at(name))
            .max()
            .map(|at| at.duration_since(begun).as_secs_f64());
        let mut part = self.table.part("Twilio by search, arriving");
        part.guide("creating them took", creating, "s", None).guide(
            "first created to last Ready",
            all.unwrap_or_default(),
            "s",
            None,
        );
        purchases(&mut part, &waits, self.pid, [None; 3]);
        counts(&mut part, &spent, count, 2.0, MOST_CALLS);
    }

    /// What no operator can be faster than that writes as much: the same requests, without one.
    pub async fn writes_of_purchases_alone(&mut self) {
        const FLOOR: &str = "floor";
        let count = self.count;
        println!("\nWriting what {count} purchases write, without buying anything");
        self.world.kill_operator();
        let Standing {
            pattern,
            last_ready,
            processor,
        } = self.standing.take().expect("something was bought");
        self.world.namespace(FLOOR).await;
        let created = self.world.many(FLOOR, count, &twilio_search()).await;
        let names: Vec<_> = created.into_iter().map(|(name, _)| name).collect();
        self.world.begin().await;
        let cpu = cpu_seconds(std::process::id());
        let took = pattern.write(&self.world, FLOOR, &names).await;
        let cpu = cpu_seconds(std::process::id()) - cpu;
        let spent = self.world.end().await;
        let mut part = self.table.part("the writes of purchases, alone");
        part.guide("all written", took, "s", None)
            .guide("processor of who writes", cpu, "s", None)
            .guide(
                "processor of the API server",
                spent.api_server_cpu,
                "s",
                None,
            )
            .show("last Ready above, as a multiple", last_ready / took);
        let per_request = (processor / REQUESTS) / (cpu / WRITES);
        if count >= ENOUGH {
            part.count(
                "processor above, per request, as a multiple",
                per_request,
                MOST_PER_REQUEST,
            );
        }
    }

    /// Where the operator's log is kept.
    pub fn kept_log(&self) -> PathBuf {
        self.world.kept_log()
    }

    /// Both buy in turn, and only ratios count.
    pub async fn beside_a_peer(&mut self) {
        self.world.kill_operator();
        beside_a_peer(&mut self.world, &mut self.table, self.count).await;
    }

    async fn check_ledger(&self, count: usize) {
        let ledger = self.world.emulator.ledger().await;
        let mut bought: Vec<_> = ledger
            .iter()
            .filter(|entry| is_purchase(entry))
            .map(number_of)
            .collect();
        let all = bought.len();
        bought.sort_unstable();
        bought.dedup();
        assert_eq!(
            (all, bought.len()),
            (count, count),
            "purchases, and numbers bought"
        );
    }

    pub async fn steady_state(&mut self) {
        const PASSES: f64 = 3.0;
        println!("\nWatching {PASSES} passes in which nothing happens");
        self.world.passes("twilio list", 1).await;
        let cpu = cpu_seconds(self.pid);
        self.world.begin().await;
        self.world.passes("twilio list", PASSES as usize).await;
        let spent = self.world.end().await;
        let cpu = (cpu_seconds(self.pid) - cpu) / PASSES;
        // What messages depend on is read once an interval for all numbers: the services and the members of the only one.
        let services = spent.calls("twilio services");
        let members = spent.calls("twilio members");
        let others = services + members + spent.calls("twilio balance");
        let pages = self.pages();
        self.table
            .part("steady state, a pass")
            .count("listings of services", services / PASSES, 1.0)
            .count("listings of members", members / PASSES, 1.0)
            .count(
                "provider calls besides",
                (spent.all_calls() - others) / PASSES,
                pages,
            )
            .count("writes to our kinds", spent.writes.ours() as f64, 0.0)
            .show(
                "other writes and Events",
                (spent.writes.other + spent.writes.events) as f64,
            )
            .guide("processor", cpu, "s", None);
    }

    pub async fn drift(&mut self) {
        let drifting = (self.count / 100).max(1);
        println!("\nEditing the webhooks of {drifting} numbers in the console");
        let page = ListParams::default().limit(u32::try_from(drifting).unwrap());
        let numbers = self.world.numbers(NAMESPACE).list(&page).await.unwrap();
        let numbers = numbers
            .items
            .into_iter()
            .filter_map(|number| number.status?.phone_number);
        let numbers: Vec<String> = numbers.collect();
        assert_eq!(numbers.len(), drifting);
        self.world.passes("twilio list", 1).await;
        self.world.begin().await;
        let configured = self.world.asked("twilio configure").await;
        for number in &numbers {
            let change = json!({"voice_url": "https://elsewhere.example.com/"});
            self.world.emulator.edit(number, change).await;
        }
        let begun = Instant::now();
        let mut noticed = None;
        loop {
            let done = self.world.asked("twilio configure").await - configured;
            if done > 0 {
                noticed.get_or_insert_with(|| begun.elapsed().as_secs_f64());
            }
            if done >= drifting as u64 {
                break;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "{done} of {drifting} are mended"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mended = begun.elapsed().as_secs_f64();
        self.world.passes("twilio list", 1).await;
        let spent = self.world.end().await;
        for number in &numbers {
            let found = self.world.emulator.number(number).await;
            assert_eq!(
                found["voice_url"], "https://voice.example.com/twiml",
                "{number}"
            );
        }
        let each = drifting as f64;
        let shared = ["list", "services", "members", "balance"];
        let shared = shared.map(|operation| spent.calls(&format!("twilio {operation}")));
        let besides = spent.all_calls() - shared.iter().sum::<f64>();
        self.table
            .part("1 % drift")
            .guide("noticed", noticed.unwrap_or_default(), "s", None)
            .guide("all mended", mended, "s", None)
            .count("calls per drifted, listings besides", besides / each, 1.0)
            .count(
                "writes to numbers per drifted",
                spent.writes.numbers as f64 / each,
                0.0,
            )
            // They are written once a minute at most, so that those of before may come now.
            .count(
                "writes to accounts (figures)",
                spent.writes.accounts as f64,
                1.0,
            )
            .show("Events per drifted", spent.writes.events as f64 / each);
    }

    /// One PhoneNumber is created while no operator runs.
    pub async fn restart(&mut self) {
        println!("\nKilling the operator and starting it again, with one PhoneNumber more");
        self.world.kill_operator();
        self.world.number(NAMESPACE, "new", twilio_search()).await;
        self.world.begin().await;
        let begun = Instant::now();
        self.pid = self.world.start_operator(INTERVAL, &[]).await;
        self.witness.until_ready(self.count + 1).await;
        let ready = self
            .witness
            .ready_at("new")
            .map(|at| at.duration_since(begun));
        until_quiet(self.pid).await;
        let (cpu, memory) = (cpu_seconds(self.pid), peak_memory(self.pid));
        let spent = self.world.end_except("new").await;
        println!("  calls: {:?}", spent.calls);
        self.table
            .part("restart with all Ready")
            .guide(
                "a new one Ready",
                ready.unwrap_or_default().as_secs_f64(),
                "s",
                Some(10.0),
            )
            .count("writes to the others", spent.writes.numbers as f64, 0.0)
            .count(
                "writes to accounts (figures)",
                spent.writes.accounts as f64,
                1.0,
            )
            .count(
                "calls to fetch single numbers",
                spent.calls("twilio fetch"),
                0.0,
            )
            .show("calls in all", spent.all_calls())
            .guide("processor", cpu, "s", None)
            .guide("peak memory", memory, "MiB", None);
    }

    pub async fn deletion(&mut self) {
        let count = self.count + 1;
        println!("\nDeleting all {count}");
        let cpu = cpu_seconds(self.pid);
        self.world.begin().await;
        let begun = Instant::now();
        self.world.delete_all(NAMESPACE).await;
        self.witness.until_gone(count).await;
        let gone = begun.elapsed().as_secs_f64();
        until_quiet(self.pid).await;
        let spent = self.world.end().await;
        println!("  calls: {:?}", spent.calls);
        let left = self
            .world
            .numbers(NAMESPACE)
            .list_metadata(&ListParams::default())
            .await
            .unwrap();
        assert!(
            left.items.is_empty(),
            "{:?}",
            left.items.first().map(ResourceExt::name_any)
        );
        let owned = self.world.emulator.get("/numbers").await;
        assert_eq!(owned, json!([]), "the account holds nothing any more");
        let each = count as f64;
        let lost = (EVENTS_OF_A_RELEASE * count).saturating_sub(spent.writes.events);
        self.table
            .part("delete all")
            .guide("all gone", gone, "s", None)
            .guide("processor", cpu_seconds(self.pid) - cpu, "s", None)
            .guide(
                "peak memory since the start",
                peak_memory(self.pid),
                "MiB",
                None,
            )
            .count("provider calls per release", spent.all_calls() / each, 2.1)
            // One whose write took the API server longer than a release may wait is decided again, with one more write.
            .count(
                "writes per release",
                spent.writes.numbers as f64 / each,
                2.1,
            )
            .count("Events that did not come", lost as f64, 0.0);
    }
}

/// How long each took to become Ready, in seconds, shortest first.
fn waits<'a>(witness: &Witness, since: impl Iterator<Item = (&'a str, Instant)>) -> Vec<f64> {
    let waits = since.filter_map(|(name, since)| {
        let ready = witness.ready_at(name)?;
        Some(ready.saturating_duration_since(since).as_secs_f64())
    });
    let mut waits: Vec<f64> = waits.collect();
    waits.sort_by(f64::total_cmp);
    waits
}

/// The wait that this share of all does not exceed.
fn at(waits: &[f64], share: f64) -> f64 {
    let place = (waits.len() as f64 * share).ceil() as usize;
    waits[place.clamp(1, waits.len()) - 1]
}

fn purchases(part: &mut Part<'_>, waits: &[f64], pid: u32, budgets: [Option<f64>; 3]) {
    let [time, processor, memory] = budgets;
    part.guide("p50 to Ready", at(waits, 0.5), "s", None)
        .guide("p99 to Ready", at(waits, 0.99), "s", None)
        .guide("last Ready", at(waits, 1.0), "s", time)
        .guide("processor", cpu_seconds(pid), "s", processor)
        .guide("peak memory", peak_memory(pid), "MiB", memory);
}

fn counts(part: &mut Part<'_>, spent: &Spent, count: usize, writes: f64, calls: f64) {
    println!("  calls: {:?}; writes: {:?}", spent.calls, spent.writes);
    let each = count as f64;
    part.count(
        "writes to it per purchase",
        spent.writes.numbers as f64 / each,
        writes,
    )
    .count(
        "provider calls per purchase",
        spent.all_calls() / each,
        calls,
    )
    .show("Events per purchase", spent.writes.events as f64 / each)
    .show(
        "other writes",
        (spent.writes.accounts + spent.writes.other) as f64,
    )
    .guide(
        "processor of the API server",
        spent.api_server_cpu,
        "s",
        None,
    );
}
