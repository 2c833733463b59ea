//! What people want while the storm rages: numbers at both companies, by number and by search, changed and given back.

use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use phonenumber_operator::api::PhoneNumber;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use test_support::emulator::CONNECTION;
use test_support::objects::merge;
use test_support::world::World;

/// Where numbers are searched. Those that are named are in another area.
const AREAS: [&str; 3] = ["315", "415", "617"];

/// One thing that is done to one resource.
pub enum Action {
    Create,
    Change(Value),
    Delete,
}

/// A resource and what it is to become.
pub struct Resource {
    pub name: String,
    pub provider: &'static str,
    /// As it is created.
    spec: Value,
    /// As it is in the end.
    pub wanted: Value,
    pub is_deleted: bool,
}

/// Everything that is done, in order.
pub struct Work {
    pub resources: Vec<Resource>,
    /// The place of a resource, and what is done to it.
    pub actions: Vec<(usize, Action)>,
    /// Resources that name a number of somebody else.
    pub intruders: Vec<(String, &'static str)>,
}

impl Work {
    pub fn new(count: usize, random: &mut StdRng) -> Self {
        let mut resources = Vec::new();
        let mut actions = Vec::new();
        for at in 0..count {
            let mut resource = Resource::new(at, random);
            resource.is_deleted = random.random_bool(0.5);
            let created = random.random_range(0.0..0.5);
            // Most are bought by then.
            let deleted = random.random_range(created + 0.4..1.0);
            let changes = random.random_range(0..3);
            let mut moments: Vec<f64> = (0..changes)
                .map(|_| random.random_range(created..deleted))
                .collect();
            moments.sort_by(f64::total_cmp);
            actions.push((created, at, Action::Create));
            for moment in moments {
                let change = resource.change(random);
                merge(&mut resource.wanted, &change);
                actions.push((moment, at, Action::Change(change)));
            }
            if resource.is_deleted {
                actions.push((deleted, at, Action::Delete));
            }
            resources.push(resource);
        }
        actions.sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
        Self {
            resources,
            actions: actions
                .into_iter()
                .map(|(_, at, action)| (at, action))
                .collect(),
            intruders: ["twilio", "telnyx"]
                .map(|provider| (format!("intruder-{provider}"), provider))
                .into(),
        }
    }

    /// Does one thing, however often the API server is away.
    pub async fn perform(&self, world: &World, (at, action): &(usize, Action)) {
        let resource = &self.resources[*at];
        let name = &resource.name;
        let numbers = world.numbers();
        match action {
            Action::Create => create(world, name, &resource.spec).await,
            Action::Change(spec) => {
                let patch = Patch::Merge(json!({"spec": spec}));
                let how = PatchParams::default();
                insist(async || numbers.patch(name, &how, &patch).await.map(drop)).await;
            }
            Action::Delete => {
                let how = DeleteParams::default();
                insist(async || numbers.delete(name, &how).await.map(drop)).await;
            }
        }
    }

    /// Names a number of somebody else at each company.
    pub async fn intrude(&self, world: &World, number: impl Fn(&str) -> String) {
        for (name, provider) in &self.intruders {
            let spec = with_connection(
                provider,
                json!({"provider": provider, "phoneNumber": number(provider)}),
            );
            create(world, name, &spec).await;
        }
    }
}

impl Resource {
    fn new(at: usize, random: &mut StdRng) -> Self {
        let provider = ["twilio", "telnyx"][at % 2];
        let mut spec = with_connection(provider, json!({"provider": provider}));
        if at % 4 < 2 {
            spec["phoneNumber"] = json!(format!("+1212555{at:04}"));
        } else {
            let area = AREAS[random.random_range(0..AREAS.len())];
            spec["search"] = json!({"country": "US", "areaCode": area});
        }
        if random.random_bool(0.3) {
            spec["assistantId"] = json!(101);
        }
        Self {
            name: format!("number-{at:03}"),
            provider,
            wanted: spec.clone(),
            spec,
            is_deleted: false,
        }
    }

    fn change(&self, random: &mut StdRng) -> Value {
        let count: u16 = random.random();
        match random.random_range(0..4) {
            0 => json!({"assistantId": 101}),
            1 => json!({"assistantId": null}),
            2 => json!({"assistantId": 102, "friendlyName": format!("Line {count}")}),
            _ if self.provider == "twilio" => {
                json!({"webhooks": {"voiceUrl": format!("https://voice.example.com/{count}")}})
            }
            _ => json!({"friendlyName": format!("Line {count}")}),
        }
    }
}

fn with_connection(provider: &str, mut spec: Value) -> Value {
    if provider == "telnyx" {
        spec["telnyx"] = json!({"connectionId": CONNECTION});
    }
    spec
}

async fn create(world: &World, name: &str, spec: &Value) {
    let object = json!({"metadata": {"name": name}, "spec": spec});
    let object: PhoneNumber = serde_json::from_value(object).unwrap();
    let (numbers, how) = (world.numbers(), PostParams::default());
    insist(async || numbers.create(&how, &object).await.map(drop)).await;
}

/// Tries until it is done. A repetition may meet what the attempt before it has done unheard.
async fn insist(attempt: impl AsyncFn() -> kube::Result<()>) {
    for tried in 0..600 {
        match attempt().await {
            Ok(()) => return,
            Err(kube::Error::Api(status)) if tried > 0 && [404, 409].contains(&status.code) => {
                return;
            }
            Err(kube::Error::Api(status)) if [400, 403, 404, 409, 422].contains(&status.code) => {
                panic!("refused: {status:?}");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    panic!("the API server stays away");
}
