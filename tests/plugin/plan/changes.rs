//! Made-up changes: what a namespace declares, and what somebody makes of it. A seed gives the same ones each time.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use test_support::emulator::CONNECTION;
use test_support::objects::merge;

/// How many objects there are before, and how many are new.
const BEFORE: usize = 75;
const NEW: usize = 50;

/// How many numbers the account `capped` may hold.
pub const CAP: usize = 5;
/// What these cost each month.
pub const CAP_COSTS: &str = "5.75";
/// How many PhoneNumbers want a number there, before and later.
const CAPPED: (usize, usize) = (3, 4);

/// A PhoneNumber before or after a change. Its name begins with its shape.
#[derive(Clone, Debug)]
pub struct Object {
    pub name: String,
    pub spec: Value,
}

/// What a namespace declares before and after.
#[derive(Debug)]
pub struct Change {
    pub before: Vec<Object>,
    pub after: Vec<Object>,
    /// The numbers that somebody buys at Twilio by hand before everything.
    pub by_hand: Vec<String>,
}

impl Change {
    /// How many objects it is about.
    pub fn len(&self) -> usize {
        let is_new = |object: &&Object| self.before.iter().all(|it| it.name != object.name);
        self.before.len() + self.after.iter().filter(is_new).count()
    }

    pub fn of(seed: u64) -> Self {
        let mut made = Maker {
            random: StdRng::seed_from_u64(seed),
            count: 0,
            by_hand: Vec::new(),
        };
        let mut before: Vec<Object> = (0..BEFORE).map(|_| made.object()).collect();
        before.extend((0..CAPPED.0).map(|_| made.capped()));
        let mut after = Vec::new();
        let mut kept = Vec::new();
        for object in &before {
            let is_kept = made.random.random_bool(0.3);
            if object.name.starts_with("capped") || is_kept {
                kept.push(object.clone());
                after.push(object.clone());
            } else if made.random.random_bool(0.6) {
                after.push(made.changed(object));
            }
        }
        after.extend((0..NEW).map(|_| made.new_object(&kept)));
        after.extend((0..CAPPED.1).map(|_| made.capped()));
        Self {
            before,
            after,
            by_hand: made.by_hand,
        }
    }
}

struct Maker {
    random: StdRng,
    count: usize,
    by_hand: Vec<String>,
}

impl Maker {
    fn number(&mut self, begin: &str) -> String {
        self.count += 1;
        format!("{begin}{:04}", self.count)
    }

    fn named(&mut self, shape: &str, begin: &str, change: Value) -> Object {
        let number = self.number(begin);
        let mut spec = json!({"provider": "twilio", "phoneNumber": number});
        merge(&mut spec, &change);
        Object {
            name: format!("{shape}-{:04}", self.count),
            spec,
        }
    }

    fn found(&mut self, change: Value) -> Object {
        self.count += 1;
        let mut spec =
            json!({"provider": "twilio", "search": {"country": "US", "areaCode": "315"}});
        merge(&mut spec, &change);
        Object {
            name: format!("found-{:04}", self.count),
            spec,
        }
    }

    /// Bought by hand, and to be taken over.
    fn adopted(&mut self, change: Value) -> Object {
        let mut object = self.named("adopted", "+1617556", json!({"adoptionPolicy": "Adopt"}));
        merge(&mut object.spec, &change);
        let number = object.spec["phoneNumber"].as_str().unwrap().to_owned();
        self.by_hand.push(number);
        object
    }

    fn capped(&mut self) -> Object {
        self.named(
            "capped",
            "+1604556",
            json!({"accountRef": {"name": "capped"}}),
        )
    }

    fn object(&mut self) -> Object {
        let dear = |amount: &str| json!({"maxMonthlyCost": {"amount": amount, "currency": "USD"}});
        match self.random.random_range(0..17) {
            0..=2 => self.named("plain", "+1212556", json!({})),
            3 => self.named(
                "telnyx",
                "+1415556",
                json!({"provider": "telnyx", "telnyx": {"connectionId": CONNECTION}}),
            ),
            4 => self.found(json!({})),
            5 => self.named("plain", "+1212556", json!({"deletionPolicy": "Retain"})),
            6 => self.named("plain", "+1212556", json!({"deletionProtection": true})),
            7 => self.adopted(json!({})),
            8 => self.adopted(json!({"deletionPolicy": "Release"})),
            9 => self.named("plain", "+1212556", json!({"suspend": true})),
            10 => self.named("free", "+1888556", json!({})),
            11 => self.named("abroad", "+44207556", json!({})),
            12 => self.named("plain", "+1212556", dear("1.14")),
            13 => self.named("plain", "+1212556", dear("1.15")),
            14 => self.named("bare", "+1212556", json!({"accountRef": {"name": "bare"}})),
            15 => self.found(dear("1")),
            _ => self.named(
                "nowhere",
                "+1212556",
                json!({"accountRef": {"name": "nowhere"}}),
            ),
        }
    }

    fn new_object(&mut self, kept: &[Object]) -> Object {
        match self.random.random_range(0..10) {
            // Somebody else has the number, or nobody.
            0 if !kept.is_empty() => {
                let of = &kept[self.random.random_range(0..kept.len())];
                let number = of.spec["phoneNumber"].as_str().map(str::to_owned);
                let is_rival = of.name.starts_with("plain") && of.spec["suspend"] != true;
                let is_rival = is_rival && of.spec["accountRef"].is_null();
                let mut object = self.named("plain", "+1212556", json!({}));
                if let (Some(number), true) = (number, is_rival) {
                    object.spec["phoneNumber"] = json!(number);
                }
                object
            }
            1 => {
                let object = self.named("hand", "+1617556", json!({}));
                let number = object.spec["phoneNumber"].as_str().unwrap().to_owned();
                self.by_hand.push(number);
                object
            }
            2 => self.named("invalid", "+1212556", json!({"friendlyName": "a pn1. b"})),
            3 => self.named("invalid", "+1212556", json!({"phoneNumber": "12125550100"})),
            4 => self.named(
                "invalid",
                "+1212556",
                json!({"telnyx": {"connectionId": CONNECTION}}),
            ),
            _ => self.object(),
        }
    }

    fn changed(&mut self, object: &Object) -> Object {
        let mut object = object.clone();
        let change = match self.random.random_range(0..8) {
            // Its account knows no assistants.
            _ if object.name.starts_with("bare") => json!({"assistantId": 101}),
            0 => json!({"friendlyName": format!("Line {}", self.count)}),
            1 => json!({"suspend": true}),
            2 => json!({"suspend": null}),
            3 => json!({"deletionPolicy": "Retain"}),
            4 => json!({"maxMonthlyCost": null}),
            5 => json!({"accountRef": null}),
            6 => json!({"search": null, "phoneNumber": "+12125550100"}),
            _ => json!({"deletionProtection": true}),
        };
        merge(&mut object.spec, &change);
        object
    }
}
