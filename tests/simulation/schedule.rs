//! What users, consoles and machines do to a world, as a seed decides.

mod deeds;
mod faults;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use phonenumber_operator::random::Random;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::audit::{self, Diary, Limits, Meddling};
use crate::classes::{self, Class};
use crate::marks;
use crate::operator::{Driver, Options};
use crate::process::{Call, Dates, Fate};
use crate::world::{NAMESPACE, TELNYX_ACCOUNTS, World, credentials};
use faults::Faults;

/// What a number costs each month at Twilio, as it is emulated, in cents.
const CENTS_OF_A_NUMBER: usize = 115;

/// How long users and faults are at work, and how long all is well afterwards at most.
const TROUBLE: Duration = Duration::from_secs(240);
const PEACE: Duration = Duration::from_secs(900);

/// Each eighth schedule is a long one: there is trouble for this long, and peace to its end.
const LONG_TROUBLE: Duration = Duration::from_secs(900);

/// How much longer all is well while something is tried once more.
const AT_IT: Duration = Duration::from_secs(300);

/// The others end this long after everything has come to an end.
const TO_BE_SEEN: Duration = Duration::from_secs(120);

/// The resources that users create and delete.
const NAMES: [&str; 6] = ["nyc", "rival", "bos", "hub", "any-nyc", "any-bos"];

/// A messaging service of the first Twilio account.
pub const SERVICE: &str = "MG00000000000000000000000000000001";

/// Hidden for longer than this, a purchase keeps its resource waiting after all is well.
const LONG: Duration = Duration::from_secs(300);

/// A number that somebody bought by hand.
const FOREIGN: &str = "+12125550009";

/// Plays the schedule of `seed` to its end, and returns what is wrong then; nothing, if all is right.
pub async fn play(seed: u64, driver: Driver) -> Result<Played, String> {
    let mut play = Play::new(seed, driver);
    let is_long = seed.is_multiple_of(8);
    play.trouble(if is_long { LONG_TROUBLE } else { TROUBLE })
        .await;
    play.heal();
    play.peace(is_long).await;
    let kept = std::mem::take(&mut *play.kept.lock().unwrap());
    for (at, id) in kept {
        let at = play.world.elapsed_at(at);
        play.diary.meddles(at, Meddling::Kept(id));
    }
    let report = audit::report(&play.world, &play.diary);
    if report.faults.is_empty() {
        return Ok(Played {
            calls: play.world.stage.calls(),
            purchases: audit::purchases(&play.world),
            judged: report.judged,
            excused: report.excused,
        });
    }
    let diary = play.diary.lines.join("\n");
    let calls = play.world.stage.calls();
    let last = &calls[calls.len().saturating_sub(20)..];
    let last: Vec<_> = last.iter().map(ToString::to_string).collect();
    Err(format!(
        "seed {seed}:\n{}\n\nwhat was done:\n{diary}\n\nthe last requests:\n{}\n\nwhat there is:\n{}",
        report.faults.join("\n"),
        last.join("\n"),
        play.world.shown()
    ))
}

/// What a schedule came to.
pub struct Played {
    /// Every request, in its order.
    pub calls: Vec<Call>,
    pub purchases: usize,
    /// How many times something was judged that can be excused, and what was excused.
    pub judged: usize,
    pub excused: BTreeMap<&'static str, usize>,
}

struct Play {
    world: World,
    diary: Diary,
    classes: BTreeSet<Class>,
    options: Options,
    replicas: usize,
    /// True if nobody but the operator may change claims and finalizers.
    policy: bool,
    /// When each process that died is started anew.
    restarts: Vec<Duration>,
    /// The numbers whose release was answered as done and did nothing, and when.
    kept: Arc<Mutex<Vec<(Instant, String)>>>,
    peace: Duration,
}

impl Play {
    fn new(seed: u64, driver: Driver) -> Self {
        let dice = Random::seeded(seed.wrapping_mul(31).wrapping_add(7));
        let pick = |choices: &[u64]| choices[dice.below(choices.len())];
        let yes = |percent: usize| dice.below(100) < percent;
        let mut switches = json!({
            "hiddenMs": pick(&[0, 0, 0, 3_000, 40_000, 120_000]),
            "orderMs": pick(&[0, 300, 300, 20_000]),
            "ordersFail": yes(5),
            "copyReference": yes(50),
            "plusMatches": yes(50),
            "cancelledOrdersSucceed": yes(30),
            "burkiRewrites": yes(80),
            "onSale": pick(&[3, 20, 20, 20]),
        });
        let (replicas, leader_elect) = match dice.below(8) {
            0..=3 => (1, false),
            4 => (2, true),
            // Two that both believe to lead: what is left of order is the rules.
            _ => (2, false),
        };
        let rate = [0.0, 0.02, 0.05, 0.15][dice.below(4)];
        let policy = yes(70);
        let classes = classes::drawn(&dice);
        if classes.contains(&Class::LongHiding) {
            switches["hiddenMs"] = json!(pick(&[500_000, 560_000, 590_000, 605_000, 700_000]));
        } else if classes.contains(&Class::HandWhileHidden) {
            switches["hiddenMs"] = json!(pick(&[20_000, 40_000, 120_000]));
        }
        if classes.contains(&Class::LongHiding) {
            switches["shownFirstMs"] = json!(pick(&[0, 0, 0, 20_000]));
            switches["hiddenFromFetchMs"] = json!(pick(&[0, 0, 5_000]));
            let filter = [Value::Null, json!(0), json!(30_000)];
            switches["hiddenFromFilterMs"] = filter[dice.below(3)].clone();
        }
        if classes.contains(&Class::ProviderDates) {
            switches["datesBehindMs"] =
                json!([-2_000, 0, 3_000, 5_000, 45_000, 600_000][dice.below(6)]);
            switches["otherHostsAheadMs"] = json!([0, 0, -5_000, 5_000][dice.below(4)]);
            switches["noDate"] = json!(yes(20));
            switches["overwrittenUnnoticed"] = json!(yes(50));
        }
        let mut change = json!({"switches": switches});
        if classes.contains(&Class::Unidentified) {
            change["telnyx"] = without_profiles();
        }
        let hidden = Duration::from_millis(switches["hiddenMs"].as_u64().unwrap_or_default());
        let mut play = Self {
            diary: Diary::of(if leader_elect { 1 } else { replicas }),
            options: Options {
                leader_elect,
                driver,
                ..Options::default()
            },
            replicas,
            policy,
            restarts: Vec::new(),
            world: World::new(seed, change),
            classes,
            kept: Arc::default(),
            peace: PEACE
                + if hidden >= LONG {
                    hidden
                } else {
                    Duration::ZERO
                },
        };
        play.note(&format!(
            "begins: {switches}, {replicas} operators, leader election {leader_elect}, faults {rate}, admission policy {}, \
             {:?}",
            play.policy, play.classes
        ));
        play.diary.visibility = play.options.purchase_visibility;
        play.begin_with_limits(&dice);
        play.world.bought_by_hand("twilio", FOREIGN);
        play.begin_with_another_installation(&dice);
        if play.has(Class::ProviderDates) {
            for side in ["twilio", "telnyx"] {
                let missing = [0, 0, 20][dice.below(3)];
                let dates = Dates {
                    missing,
                    ..Dates::default()
                };
                play.world.stage.set_dates(side, dates);
            }
        }
        for _ in 0..replicas {
            play.world.start(play.options.clone());
        }
        let script = Faults {
            random: play.world.random.clone(),
            rate,
            classes: play.classes.clone(),
            kept: Arc::clone(&play.kept),
            state: Mutex::default(),
        };
        play.world.stage.set_script(script.into_script());
        play
    }

    fn has(&self, class: Class) -> bool {
        self.classes.contains(&class)
    }

    fn begin_with_limits(&mut self, dice: &Random) {
        let one_leads = self.replicas == 1 || self.options.leader_elect;
        if self.has(Class::Limits) {
            let provider = ["twilio", "telnyx"][dice.below(2)];
            let numbers = (one_leads && dice.below(2) == 0).then(|| 1 + dice.below(3));
            // Where all numbers cost the same. What another leader has released may count for an hour.
            let is_plain = provider == "twilio" && !self.has(Class::HostilePrices);
            let cost_of = (one_leads && is_plain && dice.below(2) == 0).then(|| 1 + dice.below(3));
            self.limit(Limits {
                cost_of,
                provider,
                purchases_per_hour: 1 + dice.below(4),
                releases_per_hour: 1 + dice.below(3),
                numbers: numbers.filter(|_| provider == "twilio"),
            });
        } else if dice.below(3) == 0 {
            self.limit(Limits {
                provider: "twilio",
                purchases_per_hour: 1 + dice.below(4),
                releases_per_hour: 1 + dice.below(3),
                numbers: None,
                cost_of: None,
            });
        } else if one_leads && dice.below(3) == 0 {
            // One of them is a number that somebody bought by hand.
            self.limit(Limits {
                provider: "twilio",
                purchases_per_hour: 100,
                releases_per_hour: 50,
                numbers: Some(1 + dice.below(3)),
                cost_of: None,
            });
        }
    }

    /// Numbers that carry the marks of equal names in another installation: those of a cluster that was given up, perhaps.
    fn begin_with_another_installation(&mut self, dice: &Random) {
        if !self.has(Class::OtherInstallation) {
            return;
        }
        for (provider, name, number) in [
            ("twilio", "nyc", "+12125550001"),
            ("twilio", "any-nyc", "+12125550003"),
            ("telnyx", "any-bos", "+16175550003"),
        ] {
            if dice.below(3) == 0 {
                continue;
            }
            self.note(&format!("another installation holds {number} for {name}"));
            let mark = marks::mark("another", NAMESPACE, name);
            self.world.bought_by_hand(provider, number);
            let id = self.world.id_of(number);
            self.diary
                .meddles(self.world.elapsed(), Meddling::Marked(id, mark.clone()));
            self.world.console(number, |number| match provider {
                "twilio" => number.friendly_name = format!("{name} [{mark}]"),
                _ => number.customer_reference = mark,
            });
        }
        // They were bought long ago.
        let now = tokio::time::Instant::now();
        self.world.emulator.world().numbers.list_from(now);
    }

    fn limit(&mut self, limits: Limits) {
        let cost = limits.cost_of.map(|numbers| {
            let cents = numbers * CENTS_OF_A_NUMBER;
            json!({"amount": format!("{}.{:02}", cents / 100, cents % 100), "currency": "USD"})
        });
        let spec = json!({"purchasesPerHour": limits.purchases_per_hour,
            "releasesPerHour": limits.releases_per_hour, "maxNumbers": limits.numbers, "maxMonthlyCost": cost});
        self.world.limit(limits.provider, spec.clone());
        self.note(&format!("limits the account {}: {spec}", limits.provider));
        self.diary.limits.push(limits);
    }

    fn note(&mut self, line: &str) {
        let at = self.world.elapsed().as_secs_f64();
        self.diary.lines.push(format!("{at:9.3} {line}"));
    }

    fn below(&self, bound: usize) -> usize {
        self.world.random.below(bound)
    }

    async fn trouble(&mut self, time: Duration) {
        while self.world.elapsed() < time {
            let pause = [50, 500, 2_000, 10_000, 40_000][self.below(5)];
            let pause = Duration::from_millis(1 + self.below(pause) as u64);
            self.world.run_for(pause).await;
            self.restart();
            self.act();
        }
    }

    /// Starts what has died, after a while.
    fn restart(&mut self) {
        let now = self.world.elapsed();
        let before = self.world.operators.len();
        self.world.operators.retain(|operator| operator.is_alive());
        for _ in self.world.operators.len()..before {
            let pause = Duration::from_millis(self.below(60_000) as u64);
            self.restarts.push(now + pause);
        }
        let due = self.restarts.iter().filter(|at| **at <= now).count();
        self.restarts.retain(|at| *at > now);
        for _ in 0..due {
            self.note("an operator starts");
            self.world.start(self.options.clone());
        }
    }

    async fn peace(&mut self, to_its_end: bool) {
        let end = self.world.elapsed() + self.peace;
        while self.world.elapsed() < end {
            self.revive();
            if to_its_end || !self.is_at_rest() {
                self.world.run_for(Duration::from_secs(20)).await;
                continue;
            }
            self.world.run_for(TO_BE_SEEN).await;
            if self.is_at_rest() {
                return;
            }
        }
        // Some try again every ten or thirty minutes, and may be at it until the company shows what that brings.
        let end = self.world.elapsed() + AT_IT + (self.peace - PEACE);
        while self.world.elapsed() < end && !self.is_at_rest() {
            self.world.run_for(Duration::from_secs(20)).await;
        }
    }

    /// True if everything has come to an end, and nobody waits for room that there is once it is known what became of a purchase.
    fn is_at_rest(&self) -> bool {
        audit::is_settled(&self.world)
            && !audit::waits_for_what_may_be_hidden(&self.world, &self.diary)
    }

    fn heal(&mut self) {
        self.note("all is well from now on");
        self.diary.well_since = self.world.elapsed();
        self.world.stage.set_script(Arc::new(|_| Fate::Answered));
        for operator in &self.world.operators {
            operator.process.thaw();
            operator.process.flow();
        }
        self.world.stage.set_dates("kubernetes", Dates::default());
        self.diary.dates(self.world.elapsed(), false);
        self.world.control(
            "POST",
            "/switches",
            json!({"monthlyPrice": null, "ordersUndone": false}),
        );
        for object in self.world.cluster.list("phonenumbers") {
            self.let_go_of(object["metadata"]["name"].as_str().unwrap_or_default());
        }
        self.world.secret("twilio", credentials("twilio", 1));
        self.world.secret("telnyx", credentials("telnyx", 1));
        self.revive();
    }

    /// Starts as many operators as there are to be. One that froze may yet die of what was decided before.
    fn revive(&mut self) {
        self.world.operators.retain(|operator| operator.is_alive());
        while self.world.operators.len() < self.replicas {
            self.world.start(self.options.clone());
        }
    }

    fn act(&mut self) {
        let name = NAMES[self.below(NAMES.len())];
        if !self.classes.is_empty() && self.below(4) == 0 {
            return self.act_out_of_the_ordinary(name);
        }
        match self.below(100) {
            0..=34 => self.create(name),
            35..=49 => self.delete(name),
            50..=55 => self.edit(name),
            56..=58 => self.toggle(name, "suspend"),
            59 => self.toggle(name, "deletionProtection"),
            60..=61 => self.retain(name),
            62..=63 => self.replace(name),
            64..=65 => self.restore(name),
            66 => self.force_finalizer_off(name),
            67..=70 => self.swap_secret(),
            71..=76 => self.edit_in_console(),
            77..=78 => self.rename_in_console(),
            79..=80 => self.release_in_console(),
            81 => self.buy_in_console(),
            82..=87 => self.freeze(),
            88..=93 => self.kill(),
            _ => self.thaw(),
        }
    }

    fn act_out_of_the_ordinary(&mut self, name: &'static str) {
        let classes: Vec<Class> = self.classes.iter().copied().collect();
        match classes[self.below(classes.len())] {
            Class::Relists => self.relist(),
            Class::StalledWatches => self.stall(),
            Class::ServerDates => self.step_the_clock(),
            Class::OthersFinalizers => self.hold(name),
            Class::SecretsGone => self.delete_secret(),
            Class::HostileClaims => self.forge(),
            Class::HostilePrices => self.raise_the_price(),
            Class::HandWhileHidden => self.buy_in_console(),
            Class::UndoneOrders => self.undo_orders(),
            // The others are in the script, or in what there is from the beginning.
            _ => {}
        }
    }
}

/// Telnyx accounts that do not tell whose they are before they have a number.
pub fn without_profiles() -> Value {
    let account = |at: usize| {
        let suffix = if at == 0 { "" } else { "-2" };
        json!({"organization": TELNYX_ACCOUNTS[at], "key": format!("emulator-key{suffix}"),
            "connection": format!("129338426107573149{}", 9 - at), "profile": ""})
    };
    json!([account(0), account(1)])
}
