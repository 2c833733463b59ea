//! The control side: what a test reads and breaks, and what somebody does by hand in a provider's console.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::carrier::{Service, World};
use super::faults::Rule;
use super::ledger::Deed;
use super::message::{Reply, Request};
use super::numbers::Number;
use super::registrations::Registration;
use super::state::Assistant;
use super::usage::Record;

/// What can be asked for here.
const HELP: &[(&str, &str)] = &[
    ("GET /ledger", "every effect that took place, in order"),
    ("GET /numbers", "every number that an account has"),
    (
        "GET /requests",
        "how often each operation was asked for, and how many requests ran at once",
    ),
    ("GET /assignments", "which assistant answers which number"),
    (
        "GET /faults",
        "the rules in force, and how often each was met",
    ),
    (
        "POST /faults",
        "a rule: dialect, operation, mentions, times, every, kind, seconds, status, code, message",
    ),
    ("DELETE /faults", "no more faults"),
    ("POST /switches", "change switches"),
    (
        "POST /console/numbers/NUMBER",
        "edit a number by hand: any of its fields",
    ),
    (
        "DELETE /console/numbers/NUMBER",
        "give a number back by hand",
    ),
    (
        "POST /console/buy",
        "buy by hand: provider, account, number",
    ),
    (
        "POST /console/assignments/NUMBER",
        "assign by hand: assistant, or null",
    ),
    (
        "POST /console/assistants/ID",
        "change an assistant: name, active, connection",
    ),
    (
        "POST /console/connections/ID",
        "edit a connection's or messaging profile's webhook: webhook, apiVersion",
    ),
    (
        "POST /console/services/SID",
        "make or edit a messaging service: account, inboundRequestUrl, useInboundWebhookOnNumber",
    ),
    ("DELETE /console/services/SID", "delete a messaging service"),
    (
        "POST /console/orders/NUMBER",
        "edit the papers of the order of a number: requirementsMet, requirementsStatus",
    ),
    (
        "POST /console/usage",
        "a call or message took place: kind (call, message), from, to, at",
    ),
    (
        "POST /console/registrations",
        "a campaign or verification: account, subject (a number, or a Twilio messaging service), status, campaign (Telnyx: its state), mock",
    ),
    (
        "POST /console/accounts/ID",
        "change an account: token or key, status, trial, solvent, balance, tellsBalance",
    ),
];

pub(super) fn answer(world: &mut World, request: &Request) -> Reply {
    match answered(world, request) {
        Ok(value) => Reply::json(200, &value),
        Err((status, text)) => Reply::json(status, &json!({ "error": text })),
    }
}

type Answer = Result<Value, (u16, String)>;

fn read<T: DeserializeOwned>(request: &Request) -> Result<T, (u16, String)> {
    serde_json::from_slice(&request.body).map_err(|error| (400, error.to_string()))
}

fn missing(what: &str) -> (u16, String) {
    (404, format!("there is no {what}"))
}

fn answered(world: &mut World, request: &Request) -> Answer {
    let segments = request.segments();
    let path: Vec<String> = segments
        .iter()
        .map(|part| part.replace("%2B", "+"))
        .collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (request.method.as_str(), path.as_slice()) {
        ("GET", []) => Ok(HELP
            .iter()
            .map(|(call, what)| ((*call).to_owned(), json!(what)))
            .collect()),
        ("GET", ["ledger"]) => Ok(json!(world.ledger.entries)),
        ("GET", ["numbers"]) => Ok(json!(world.numbers)),
        ("GET", ["requests"]) => {
            Ok(json!({"count": world.ledger.requests, "inFlight": world.ledger.in_flight}))
        }
        ("GET", ["assignments"]) => Ok(json!(world.assigned)),
        ("GET", ["faults"]) => {
            let rules: Vec<_> = world
                .faults
                .rules
                .iter()
                .map(|(rule, seen, met)| json!([rule, seen, met]))
                .collect();
            Ok(json!({"rules": rules, "met": world.faults.met()}))
        }
        ("POST", ["faults"]) => {
            world.faults.add(read::<Rule>(request)?);
            Ok(Value::Null)
        }
        ("DELETE", ["faults"]) => {
            world.faults.rules.clear();
            Ok(Value::Null)
        }
        ("POST", ["switches"]) => {
            world.state.switches = merged(&world.state.switches, request)?;
            Ok(Value::Null)
        }
        ("POST", ["console", "numbers", number]) => edit(world, number, request),
        ("DELETE", ["console", "numbers", number]) => {
            let at = position(world, number)?;
            Ok(json!(world.take_back(at, "console")))
        }
        ("POST", ["console", "buy"]) => buy(world, request),
        ("POST", ["console", "assignments", number]) => assign(world, number, request),
        ("POST", ["console", "assistants", id]) => assistant(world, id, request),
        ("POST", ["console", "connections", id]) => connection(world, id, request),
        ("POST", ["console", "services", sid]) => service(world, sid, request),
        ("DELETE", ["console", "services", sid]) => {
            world.services.retain(|service| service.sid != *sid);
            Ok(Value::Null)
        }
        ("POST", ["console", "orders", number]) => order(world, number, request),
        ("POST", ["console", "usage"]) => {
            world.records.push(read::<Record>(request)?);
            Ok(Value::Null)
        }
        ("POST", ["console", "registrations"]) => {
            let registration: Registration = read(request)?;
            world
                .registrations
                .retain(|it| it.subject != registration.subject);
            world.registrations.push(registration);
            Ok(Value::Null)
        }
        ("POST", ["console", "accounts", id]) => account(world, id, request),
        _ => Err(missing(&format!(
            "{} {}; GET / lists what there is",
            request.method, request.path
        ))),
    }
}

fn position(world: &World, number: &str) -> Result<usize, (u16, String)> {
    let place = world.numbers.place_of(number);
    place.ok_or_else(|| missing(number))
}

/// `value` with the fields of the request's body put in.
fn merged<T: serde::Serialize + DeserializeOwned>(
    value: &T,
    request: &Request,
) -> Result<T, (u16, String)> {
    let bad = |error: serde_json::Error| (400, error.to_string());
    let mut whole = serde_json::to_value(value).map_err(bad)?;
    let fields: serde_json::Map<String, Value> = read(request)?;
    if let Some(map) = whole.as_object_mut() {
        if let Some(stranger) = fields.keys().find(|key| !map.contains_key(*key)) {
            return Err((400, format!("there is no field {stranger}")));
        }
        map.extend(fields);
    }
    serde_json::from_value(whole).map_err(bad)
}

fn edit(world: &mut World, number: &str, request: &Request) -> Answer {
    let at = position(world, number)?;
    let old = world.numbers.get(at).ok_or_else(|| missing(number))?;
    let mut new: Number = merged(old, request)?;
    (new.created, new.shown) = (old.created, old.shown);
    new.updated = world.database_now();
    world.numbers.replace(at, new.clone());
    world.enter(
        Deed::Configure,
        "console",
        &new.account,
        &new.phone_number,
        &new.id,
        "",
    );
    Ok(json!(new))
}

fn buy(world: &mut World, request: &Request) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Purchase {
        provider: String,
        account: String,
        number: String,
    }
    let purchase: Purchase = read(request)?;
    let provider = match purchase.provider.as_str() {
        "twilio" => "twilio",
        "telnyx" => "telnyx",
        other => return Err((400, format!("{other} is no provider"))),
    };
    if !world.for_sale(&purchase.number) {
        return Err((409, format!("{} is not for sale", purchase.number)));
    }
    let sold = world.sell(provider, &purchase.account, &purchase.number);
    world.enter(
        Deed::Purchase,
        "console",
        &sold.account,
        &sold.phone_number,
        &sold.id,
        "",
    );
    Ok(json!(sold))
}

fn assign(world: &mut World, number: &str, request: &Request) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Assignment {
        assistant: Option<i64>,
    }
    match read::<Assignment>(request)?.assistant {
        Some(id) => world.assigned.insert(number.to_owned(), id),
        None => world.assigned.remove(number),
    };
    Ok(Value::Null)
}

fn assistant(world: &mut World, id: &str, request: &Request) -> Answer {
    let named = |assistant: &&mut Assistant| assistant.id.to_string() == id;
    let found = world
        .state
        .assistants
        .iter_mut()
        .find(named)
        .ok_or_else(|| missing(id))?;
    *found = merged(found, request)?;
    Ok(Value::Null)
}

fn connection(world: &mut World, id: &str, request: &Request) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Edit {
        webhook: Option<String>,
        api_version: Option<String>,
        enabled: Option<bool>,
    }
    let edit: Edit = read(request)?;
    let home = world
        .homes
        .iter_mut()
        .find(|home| home.id == id)
        .ok_or_else(|| missing(id))?;
    if let Some(webhook) = edit.webhook {
        home.webhook = webhook;
    }
    if let Some(version) = edit.api_version {
        home.api_version = version;
    }
    if let Some(enabled) = edit.enabled {
        home.enabled = enabled;
    }
    Ok(json!({"webhook": home.webhook, "apiVersion": home.api_version}))
}

fn service(world: &mut World, sid: &str, request: &Request) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Edit {
        account: Option<String>,
        inbound_request_url: Option<String>,
        use_inbound_webhook_on_number: Option<bool>,
    }
    let edit: Edit = read(request)?;
    if !world.services.iter().any(|service| service.sid == sid) {
        let account = edit.account.clone();
        let first = world.state.twilio.first().map(|first| first.sid.clone());
        world.services.push(Service {
            sid: sid.to_owned(),
            account: account.or(first).unwrap_or_default(),
            name: "Made by hand".to_owned(),
            inbound_request_url: String::new(),
            use_inbound_webhook_on_number: false,
        });
    }
    let mut services = world.services.iter_mut();
    let service = services.find(|service| service.sid == sid);
    let service = service.ok_or_else(|| missing(sid))?;
    if let Some(account) = edit.account {
        service.account = account;
    }
    if let Some(url) = edit.inbound_request_url {
        service.inbound_request_url = url;
    }
    if let Some(defers) = edit.use_inbound_webhook_on_number {
        service.use_inbound_webhook_on_number = defers;
    }
    Ok(Value::Null)
}

fn order(world: &mut World, number: &str, request: &Request) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Edit {
        requirements_met: Option<bool>,
        requirements_status: Option<String>,
    }
    let edit: Edit = read(request)?;
    let mut orders = world.orders.iter_mut().rev();
    let order = orders.find(|order| order.number == number);
    let order = order.ok_or_else(|| missing(number))?;
    if let Some(met) = edit.requirements_met {
        order.requirements_met = met;
    }
    if let Some(status) = edit.requirements_status {
        order.requirements_status = status;
    }
    Ok(json!({"status": order.status, "requirementGroup": order.requirement_group}))
}

fn account(world: &mut World, id: &str, request: &Request) -> Answer {
    if let Some(found) = world
        .state
        .twilio
        .iter_mut()
        .find(|account| account.sid == id)
    {
        *found = merged(found, request)?;
        return Ok(Value::Null);
    }
    let found = world
        .state
        .telnyx
        .iter_mut()
        .find(|account| account.organization == id);
    let found = found.ok_or_else(|| missing(id))?;
    *found = merged(found, request)?;
    Ok(Value::Null)
}
