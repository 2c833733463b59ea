//! What users, consoles and machines do to a world, as a seed decides.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use phonenumber_operator::chance::Chance;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::audit::{self, Diary, Limits, Meddling};
use crate::classes::{self, Class};
use crate::cluster::{Place, finalizers};
use crate::marks;
use crate::operator::{Driver, Options};
use crate::process::{Call, Dates, Fate, Script, Wrong};
use crate::world::{
    CONNECTION, NAMESPACE, PROFILE, TELNYX_ACCOUNTS, TWILIO_ACCOUNTS, World, credentials, manifest,
};

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

/// Resources that somebody creates with a claim of his own making.
const FORGERS: [&str; 2] = ["forged", "forged-too"];

/// A finalizer of somebody else.
const OTHERS: &str = "example.com/keep";

/// Hidden for longer than this, a purchase keeps its resource waiting after all is well.
const LONG: Duration = Duration::from_secs(300);

/// A price that no account can pay, and that no two of can be added.
const HOSTILE_PRICE: &str = "79228162514264337593543950335";

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
        let dice = Chance::seeded(seed.wrapping_mul(31).wrapping_add(7));
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
            chance: play.world.chance.clone(),
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

    fn begin_with_limits(&mut self, dice: &Chance) {
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
    fn begin_with_another_installation(&mut self, dice: &Chance) {
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

    fn relist(&mut self) {
        if let Some(at) = self.some_operator() {
            self.note("the watches of an operator list anew");
            self.world.operators[at].process.relist();
        }
    }

    fn stall(&mut self) {
        if let Some(at) = self.some_operator() {
            let time = Duration::from_secs(1 + self.below(300) as u64);
            self.note(&format!(
                "the watches of an operator stand still for {time:?}"
            ));
            self.world.operators[at].process.stall(time);
        }
    }

    fn step_the_clock(&mut self) {
        let dates = Dates {
            ahead: [-660, -30, 0, 30, 660][self.below(5)],
            percent: [50, 100][self.below(2)],
            missing: [0, 0, 10, 100][self.below(4)],
        };
        self.note(&format!("the dates of the API server: {dates:?}"));
        self.world.stage.set_dates("kubernetes", dates);
        self.diary
            .dates(self.world.elapsed(), dates != Dates::default());
    }

    fn hold(&mut self, name: &str) {
        let object = self.world.get(name);
        if object.is_null() {
            return;
        }
        let mut all = finalizers(&object);
        if all.iter().any(|one| one == OTHERS) {
            return self.let_go_of(name);
        }
        if object["metadata"]["deletionTimestamp"].is_null() {
            self.note(&format!("somebody else's finalizer holds {name}"));
            all.push(OTHERS.to_owned());
            self.world
                .patch(name, json!({"metadata": {"finalizers": all}}));
        }
    }

    fn let_go_of(&mut self, name: &str) {
        let mut all = finalizers(&self.world.get(name));
        if all.iter().any(|one| one == OTHERS) {
            self.note(&format!("somebody else lets {name} go"));
            all.retain(|one| one != OTHERS);
            self.world
                .patch(name, json!({"metadata": {"finalizers": all}}));
        }
    }

    fn delete_secret(&mut self) {
        let name = ["twilio", "telnyx", "burki"][self.below(3)];
        let place = Place::new("secrets", NAMESPACE, name);
        if self.world.cluster.delete(&place).is_ok() {
            self.note(&format!("deletes the Secret {name}"));
        } else if name == "burki" {
            self.note("creates the Secret burki");
            self.world
                .secret("burki", json!({"apiKey": "emulator-burki-key"}));
        } else {
            self.note(&format!("creates the Secret {name}"));
            self.world.secret(name, credentials(name, 1));
        }
    }

    /// Creates, or deletes again, a resource that comes with a claim of somebody's making.
    fn forge(&mut self) {
        let name = FORGERS[self.below(FORGERS.len())];
        if !self.world.get(name).is_null() {
            return self.delete(name);
        }
        let number = ["+12125550001", "+12125550002", "+12125550007"][self.below(3)];
        let account = [
            TWILIO_ACCOUNTS[0],
            TWILIO_ACCOUNTS[1],
            TELNYX_ACCOUNTS[0],
            "none",
        ][self.below(4)];
        let at = [
            "9999-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z",
            "2026-09-21T14:15:00Z",
        ][self.below(3)];
        let amount = [HOSTILE_PRICE, "1000000", "1.15"][self.below(3)];
        let claim = json!({
            "version": 1, "intent": "buy", "number": number, "accountId": account,
            "owner": format!("{NAMESPACE}/{name}"), "uid": "x", "nonce": "x", "at": at, "since": "2020-01-01T00:00:00Z",
            "price": {"monthly": amount, "upfront": "0", "currency": "USD"},
        });
        self.note(&format!("creates {name} with the claim {claim}"));
        let mut object = manifest(json!({"provider": "twilio", "phoneNumber": number}));
        object["metadata"] =
            json!({"annotations": {"telephony.burki.dev/claim": claim.to_string()}});
        let place = Place::number(NAMESPACE, name);
        self.world.cluster.create(&place, object).unwrap();
    }

    fn raise_the_price(&mut self) {
        let price = [Some(HOSTILE_PRICE), Some("999999999999"), None][self.below(3)];
        self.note(&format!("each number costs {price:?}"));
        self.world
            .control("POST", "/switches", json!({"monthlyPrice": price}));
    }

    fn undo_orders(&mut self) {
        let [undone, timeless] = [self.below(2) == 0, self.below(2) == 0];
        self.note(&format!(
            "orders are undone: {undone}, numbers tell no time of purchase: {timeless}"
        ));
        let switches = json!({"ordersUndone": undone, "noPurchaseTime": timeless});
        self.world.control("POST", "/switches", switches);
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
        if spec["provider"] == "telnyx" && self.has(Class::Profile) {
            spec["telnyx"]["messagingProfileId"] = json!(PROFILE);
        }
        if spec["provider"] == "twilio" && self.has(Class::MessagingService) && self.below(2) == 0 {
            spec["twilio"] = json!({"messagingServiceSid": SERVICE});
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
        self.meddle(Meddling::Stripped(name.to_owned()));
    }

    fn meddle(&mut self, meddling: Meddling) {
        self.diary.meddles(self.world.elapsed(), meddling);
    }

    /// A backup without status comes back, with a new uid.
    fn restore(&mut self, name: &'static str) {
        let old = self.world.get(name);
        if old.is_null() || !old["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        self.note(&format!("restores {name} without its status"));
        self.meddle(Meddling::Restored(name.to_owned()));
        self.world.restore(name);
    }

    fn force_finalizer_off(&mut self, name: &'static str) {
        if self.world.get(name).is_null() {
            return;
        }
        self.note(&format!("takes the finalizer off {name}"));
        self.world
            .patch(name, json!({"metadata": {"finalizers": []}}));
        self.meddle(Meddling::Stripped(name.to_owned()));
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
            self.meddle(Meddling::Renamed(self.world.id_of(&number)));
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
        let hides = self.world.emulator.world().state.switches.hidden_ms > 0;
        if hides && !self.has(Class::HandWhileHidden) {
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
        }
    }

    fn thaw(&mut self) {
        self.note("thaws every operator");
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

/// Telnyx accounts that do not tell whose they are before they have a number.
pub fn without_profiles() -> Value {
    let account = |at: usize| {
        let suffix = if at == 0 { "" } else { "-2" };
        json!({"organization": TELNYX_ACCOUNTS[at], "key": format!("emulator-key{suffix}"),
            "connection": format!("129338426107573149{}", 9 - at), "profile": ""})
    };
    json!([account(0), account(1)])
}

/// Loses, delays and spoils requests.
struct Faults {
    chance: Chance,
    rate: f64,
    classes: BTreeSet<Class>,
    kept: Arc<Mutex<Vec<(Instant, String)>>>,
    state: Mutex<FaultState>,
}

#[derive(Default)]
struct FaultState {
    /// How many of the next status writes are refused, and with what.
    refused: (usize, u16),
    /// The lists whose last answer was wrong: who asked whom for what.
    wrong: HashSet<(usize, &'static str, String)>,
    /// When each process got its last wrong list of a side.
    misled: HashMap<(usize, &'static str), Instant>,
    /// What was denied once.
    denied: HashSet<String>,
    panics: usize,
}

/// For how long after a wrong list a process gets right ones.
const RIGHT_FOR: Duration = Duration::from_secs(30);

/// So many passes of a schedule panic at most.
const MOST_PANICS: usize = 8;

impl Faults {
    fn into_script(self) -> Script {
        Arc::new(move |call: &Call| self.special(call).unwrap_or_else(|| self.common()))
    }

    fn yes(&self, class: Class, percent: usize) -> bool {
        self.classes.contains(&class) && self.chance.below(100) < percent
    }

    /// What a class does to a request.
    fn special(&self, call: &Call) -> Option<Fate> {
        let mut state = self.state.lock().unwrap();
        let state = &mut *state;
        if state.panics < MOST_PANICS && self.yes(Class::Panics, 1) {
            state.panics += 1;
            return Some(Fate::Panics);
        }
        match (call.side, call.operation.as_str()) {
            ("kubernetes", "put phonenumbers/status") => {
                let (left, code) = state.refused;
                state.refused.0 = left.saturating_sub(1);
                (left > 0).then_some(Fate::Refused(code))
            }
            ("twilio" | "telnyx", "buy") => {
                if self.yes(Class::RefusedStatus, 50) {
                    let code = [422, 413, 403][self.chance.below(3)];
                    state.refused = (1 + self.chance.below(20), code);
                }
                self.purchase()
            }
            ("twilio" | "telnyx", "release") => {
                if self.yes(Class::FalseReleases, 30) {
                    let kept = (Instant::now(), call.about.clone());
                    self.kept.lock().unwrap().push(kept);
                    return Some(Fate::Ignored);
                }
                let is_refused = self.yes(Class::UnknownRefusals, 20);
                is_refused.then_some(Fate::Refused(400))
            }
            ("twilio" | "telnyx", "fetch") => {
                let denies = self.yes(Class::FalseAbsence, 20);
                let is_first = denies && state.denied.insert(call.about.clone());
                is_first.then_some(Fate::Refused(404))
            }
            ("twilio" | "telnyx", "list" | "orders") => {
                let list = (call.process, call.side, call.about.clone());
                let (who, now) = ((call.process, call.side), Instant::now());
                let misled = state.misled.get(&who);
                let is_soon = misled.is_some_and(|at| now.duration_since(*at) < RIGHT_FOR);
                if !state.wrong.insert(list.clone()) || is_soon || !self.yes(Class::WrongPages, 30)
                {
                    // Two answers in a row to one question are not both wrong, nor two of one decision.
                    state.wrong.remove(&list);
                    return None;
                }
                state.misled.insert(who, now);
                let wrongs = [Wrong::Empty, Wrong::Shifted, Wrong::Short, Wrong::Stale];
                Some(Fate::Wrong(wrongs[self.chance.below(wrongs.len())]))
            }
            ("burki", "assign") => {
                let lies = self.yes(Class::FalseAssignments, 30);
                lies.then_some(Fate::Ignored)
            }
            _ => None,
        }
    }

    fn purchase(&self) -> Option<Fate> {
        if self.yes(Class::UnknownRefusals, 30) {
            return Some(Fate::Refused(400));
        }
        if !self.yes(Class::LatePurchases, 40) {
            return None;
        }
        let late = Duration::from_secs(20 + self.chance.below(100) as u64);
        Some(match self.chance.below(3) {
            0 => Fate::Twice,
            _ => Fate::Delayed(late),
        })
    }

    /// What happens in every schedule, at its rate.
    fn common(&self) -> Fate {
        let chance = &self.chance;
        if chance.fraction() >= self.rate {
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
    }
}
