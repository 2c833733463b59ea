//! What users, consoles and machines do to a world, as a seed decides.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::audit::{self, Diary, Limits};
use crate::cluster::Place;
use crate::operator::Options;
use crate::process::{Call, Fate};
use crate::world::{CONNECTION, NAMESPACE, World, credentials, manifest};

/// How long users and faults are at work, and how long all is well afterwards at most.
const TROUBLE: Duration = Duration::from_secs(240);
const PEACE: Duration = Duration::from_secs(900);

/// Each eighth schedule is a long one: there is trouble for this long, and peace to its end.
const LONG_TROUBLE: Duration = Duration::from_secs(900);

/// The others end this long after everything has come to an end.
const TO_BE_SEEN: Duration = Duration::from_secs(120);

/// The resources that users create and delete.
const NAMES: [&str; 6] = ["nyc", "rival", "bos", "hub", "any-nyc", "any-bos"];

/// A number that somebody bought by hand.
const FOREIGN: &str = "+12125550009";

/// Plays the schedule of `seed` to its end, and returns what is wrong then; nothing, if all is right.
pub async fn play(seed: u64) -> Result<Played, String> {
    let mut play = Play::new(seed);
    let is_long = seed.is_multiple_of(8);
    play.trouble(if is_long { LONG_TROUBLE } else { TROUBLE })
        .await;
    play.heal();
    play.peace(is_long).await;
    let faults = audit::faults(&play.world, &play.diary);
    if faults.is_empty() {
        return Ok(Played {
            calls: play.world.stage.calls(),
            purchases: audit::purchases(&play.world),
        });
    }
    let diary = play.diary.lines.join("\n");
    let calls = play.world.stage.calls();
    let last = &calls[calls.len().saturating_sub(20)..];
    let last: Vec<_> = last.iter().map(ToString::to_string).collect();
    Err(format!(
        "seed {seed}:\n{}\n\nwhat was done:\n{diary}\n\nthe last requests:\n{}\n\nwhat there is:\n{}",
        faults.join("\n"),
        last.join("\n"),
        play.world.shown()
    ))
}

/// What a schedule came to.
pub struct Played {
    /// Every request, in its order.
    pub calls: Vec<Call>,
    pub purchases: usize,
}

struct Play {
    world: World,
    diary: Diary,
    options: Options,
    replicas: usize,
    /// True if nobody but the operator may change claims and finalizers.
    policy: bool,
    /// When each process that died is started anew.
    restarts: Vec<Duration>,
}

impl Play {
    fn new(seed: u64) -> Self {
        let dice =
            phonenumber_operator::chance::Chance::seeded(seed.wrapping_mul(31).wrapping_add(7));
        let pick = |choices: &[u64]| choices[dice.below(choices.len())];
        let yes = |percent: usize| dice.below(100) < percent;
        let switches = json!({
            "hiddenMs": pick(&[0, 0, 0, 3_000, 40_000, 120_000]),
            "orderMs": pick(&[0, 300, 300, 20_000]),
            "ordersFail": yes(5),
            "copyReference": yes(50),
            "plusMatches": yes(50),
            "cancelledOrdersSucceed": yes(30),
            "burkiRewrites": yes(80),
            "onSale": pick(&[3, 20, 20, 20]),
        });
        let world = World::new(seed, json!({"switches": switches}));
        let (replicas, leader_elect) = match dice.below(8) {
            0..=3 => (1, false),
            4 => (2, true),
            // Two that both believe to lead: what is left of order is the rules.
            _ => (2, false),
        };
        let rate = [0.0, 0.02, 0.05, 0.15][dice.below(4)];
        let mut play = Self {
            diary: Diary::of(if leader_elect { 1 } else { replicas }),
            options: Options {
                leader_elect,
                ..Options::default()
            },
            replicas,
            policy: yes(70),
            restarts: Vec::new(),
            world,
        };
        play.note(&format!(
            "begins: {switches}, {replicas} operators, leader election {leader_elect}, faults {rate}, admission policy {}",
            play.policy
        ));
        if dice.below(3) == 0 {
            let limits = Limits {
                purchases_per_hour: 1 + dice.below(4),
                releases_per_hour: 1 + dice.below(3),
                numbers: None,
            };
            play.limit(limits);
        } else if (replicas == 1 || leader_elect) && dice.below(3) == 0 {
            // One of them is a number that somebody bought by hand.
            let numbers = Some(1 + dice.below(3));
            play.limit(Limits {
                purchases_per_hour: 100,
                releases_per_hour: 50,
                numbers,
            });
        }
        play.world.bought_by_hand("twilio", FOREIGN);
        for _ in 0..replicas {
            play.world.start(play.options.clone());
        }
        play.world
            .stage
            .set_script(script(play.world.chance.clone(), rate));
        play
    }

    fn limit(&mut self, limits: Limits) {
        let spec = json!({"purchasesPerHour": limits.purchases_per_hour,
            "releasesPerHour": limits.releases_per_hour, "maxNumbers": limits.numbers});
        self.world.limit("twilio", spec.clone());
        self.note(&format!("limits the account twilio: {spec}"));
        self.diary.limits = Some(limits);
    }

    fn note(&mut self, line: &str) {
        let at = self.world.elapsed().as_secs_f64();
        self.diary.lines.push(format!("{at:9.3} {line}"));
    }

    fn below(&self, bound: usize) -> usize {
        self.world.chance.below(bound)
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
        let end = self.world.elapsed() + PEACE;
        while self.world.elapsed() < end {
            self.revive();
            if to_its_end || !audit::is_settled(&self.world) {
                self.world.run_for(Duration::from_secs(20)).await;
                continue;
            }
            self.world.run_for(TO_BE_SEEN).await;
            if audit::is_settled(&self.world) {
                return;
            }
        }
        // Some try again every ten minutes, and may be at it.
        for _ in 0..6 {
            if audit::is_settled(&self.world) {
                return;
            }
            self.world.run_for(Duration::from_secs(20)).await;
        }
    }

    fn heal(&mut self) {
        self.note("all is well from now on");
        self.diary.well_since = self.world.elapsed();
        self.diary.thaws(self.world.elapsed());
        self.world.stage.set_script(Arc::new(|_| Fate::Answered));
        self.world
            .operators
            .iter()
            .for_each(|operator| operator.process.thaw());
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

    fn create(&mut self, name: &'static str) {
        if !self.world.get(name).is_null() {
            return;
        }
        let spec = self.spec(name);
        self.note(&format!("creates {name}: {spec}"));
        self.world.number(name, spec);
    }

    fn spec(&self, name: &str) -> Value {
        let either = ["1", "2"][self.below(2)];
        let mut spec = match name {
            "nyc" => json!({"provider": "twilio", "phoneNumber": "+12125550001"}),
            "rival" => json!({"provider": "twilio", "phoneNumber": format!("+1212555000{either}")}),
            "bos" => json!({"provider": "telnyx", "phoneNumber": "+16175550001"}),
            "hub" => json!({"provider": "telnyx", "phoneNumber": format!("+1617555000{either}")}),
            "any-nyc" => {
                json!({"provider": "twilio", "search": {"country": "US", "areaCode": "212"}})
            }
            _ => json!({"provider": "telnyx", "search": {"country": "US", "areaCode": "617"}}),
        };
        if self.below(3) == 0 {
            spec["assistantId"] = json!(101 + self.below(2));
        }
        if self.below(6) == 0 {
            spec["adoptionPolicy"] = json!("Adopt");
        }
        if spec["provider"] == "telnyx" && self.below(2) == 0 {
            spec["telnyx"] = json!({"connectionId": CONNECTION});
        }
        spec
    }

    fn delete(&mut self, name: &'static str) {
        if self.world.get(name).is_null() {
            return;
        }
        self.note(&format!("deletes {name}"));
        self.world.delete(name);
    }

    fn edit(&mut self, name: &'static str) {
        let change = match self.below(3) {
            0 => json!({"friendlyName": format!("name {}", self.below(3))}),
            1 => json!({"assistantId": 101 + self.below(2)}),
            _ => json!({"assistantId": null}),
        };
        self.note(&format!("edits {name}: {change}"));
        self.world.patch(name, json!({ "spec": change }));
    }

    fn toggle(&mut self, name: &'static str, field: &str) {
        let on = self.world.get(name)["spec"][field] == true;
        self.note(&format!("sets {field} of {name} to {}", !on));
        self.world.patch(name, json!({"spec": {field: !on}}));
    }

    fn retain(&mut self, name: &'static str) {
        self.note(&format!("sets deletionPolicy Retain on {name}"));
        self.world
            .patch(name, json!({"spec": {"deletionPolicy": "Retain"}}));
        self.diary.may_lose_sight(name);
    }

    /// `kubectl replace` of a manifest that knows nothing of claims and finalizers.
    fn replace(&mut self, name: &'static str) {
        let old = self.world.get(name);
        if self.policy || old.is_null() {
            return;
        }
        self.note(&format!("replaces {name}"));
        let _ = self.world.cluster.replace(
            &Place::number(NAMESPACE, name),
            manifest(old["spec"].clone()),
        );
        self.diary.may_lose_sight(name);
    }

    /// A backup without status comes back, with a new uid.
    fn restore(&mut self, name: &'static str) {
        let old = self.world.get(name);
        if old.is_null() || !old["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        self.note(&format!("restores {name} without its status"));
        self.diary.unseen |= self.world.emulator.world().state.switches.hidden_ms > 0;
        self.world.restore(name);
    }

    fn force_finalizer_off(&mut self, name: &'static str) {
        if self.world.get(name).is_null() {
            return;
        }
        self.note(&format!("takes the finalizer off {name}"));
        self.world
            .patch(name, json!({"metadata": {"finalizers": []}}));
        self.diary.may_lose_sight(name);
    }

    fn swap_secret(&mut self) {
        let provider = ["twilio", "telnyx"][self.below(2)];
        let which = 1 + self.below(2);
        self.note(&format!("the Secret {provider} opens account {which}"));
        self.world.secret(provider, credentials(provider, which));
    }

    /// A number that an operator bought, if there is one.
    fn some_number(&self) -> Option<String> {
        let numbers: Vec<String> = self
            .world
            .emulator
            .world()
            .numbers
            .iter()
            .filter(|number| number.phone_number != FOREIGN)
            .map(|number| number.phone_number.clone())
            .collect();
        (!numbers.is_empty()).then(|| numbers[self.below(numbers.len())].clone())
    }

    fn edit_in_console(&mut self) {
        if let Some(number) = self.some_number() {
            self.note(&format!("edits {number} in the console"));
            self.world.console(&number, |number| {
                number.voice_url = "https://elsewhere.example.com".into();
                number.connection_id.clear();
            });
        }
    }

    fn rename_in_console(&mut self) {
        if let Some(number) = self.some_number() {
            self.note(&format!("renames {number} in the console"));
            self.diary.renamed = true;
            self.world.console(&number, |number| {
                number.friendly_name = "renamed".into();
                number.customer_reference = "renamed".into();
            });
        }
    }

    fn release_in_console(&mut self) {
        if let Some(number) = self.some_number() {
            self.note(&format!("releases {number} in the console"));
            self.world.released_by_hand(&number);
        }
    }

    fn buy_in_console(&mut self) {
        // A provider that hides what somebody else has just bought cannot be seen through.
        if self.world.emulator.world().state.switches.hidden_ms > 0 {
            return;
        }
        let (provider, number) =
            [("twilio", "+12125550002"), ("telnyx", "+16175550002")][self.below(2)];
        self.note(&format!("buys {number} in the console, if it is for sale"));
        self.world.bought_by_hand(provider, number);
    }

    fn some_operator(&self) -> Option<usize> {
        let count = self.world.operators.len();
        (count > 0).then(|| self.below(count))
    }

    fn freeze(&mut self) {
        if let Some(at) = self.some_operator() {
            self.note("freezes an operator");
            self.world.operators[at].process.freeze();
            self.diary.freezes(self.world.elapsed());
        }
    }

    fn thaw(&mut self) {
        self.note("thaws every operator");
        self.diary.thaws(self.world.elapsed());
        self.world
            .operators
            .iter()
            .for_each(|operator| operator.process.thaw());
    }

    fn kill(&mut self) {
        if let Some(at) = self.some_operator() {
            self.note("kills an operator");
            self.world.operators[at].kill();
        }
    }
}

/// Loses, delays and spoils requests at this rate.
fn script(chance: phonenumber_operator::chance::Chance, rate: f64) -> crate::process::Script {
    Arc::new(move |_: &Call| {
        if chance.fraction() >= rate {
            return Fate::Answered;
        }
        match chance.below(20) {
            0..=2 => Fate::NotSent,
            3..=7 => Fate::ReplyLost,
            8..=9 => Fate::RequestLost,
            10..=11 => Fate::Proxy(502),
            12 => Fate::Refused(429),
            13 => Fate::Cut,
            14..=15 => Fate::Slow(Duration::from_millis(1 + chance.below(40_000) as u64)),
            16 => Fate::Late(Duration::from_millis(1 + chance.below(3_000) as u64)),
            17 => Fate::CrashBefore,
            _ => Fate::CrashAfter,
        }
    })
}
