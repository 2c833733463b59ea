//! Burki's dialect: assistants, and which of them answers which number.
//!
//! Taking a number, Burki rewrites its webhooks at the provider, which is why an operator has to look again afterwards.

use serde_json::{Value, json};

use super::carrier::{Home, World};
use super::ledger::Deed;
use super::message::{Reply, Request};
use super::state::Assistant;

/// Where Burki's own webhooks are.
const BASE: &str = "https://burki.example.com";

pub(super) fn operation(request: &Request) -> &'static str {
    match request.segments().as_slice() {
        ["api", "v1", "organization"] | ["api", "v1", "assistants", "me", "organization"] => {
            "organization"
        }
        ["api", "v1", "assistants", "by-phone", _] => "by-phone",
        ["api", "v1", "assistants", _] => "assistant",
        [
            "api",
            "v1",
            "assistants",
            _,
            "phone-numbers",
            "assign-by-number",
        ] => "assign",
        [
            "api",
            "v1",
            "assistants",
            _,
            "phone-numbers",
            "unassign-by-number",
        ] => "unassign",
        _ => "unknown",
    }
}

pub(super) fn answer(world: &mut World, operation: &str, request: &Request) -> Reply {
    let key = request.bearer().unwrap_or_default().to_owned();
    if !world
        .state
        .assistants
        .iter()
        .any(|assistant| assistant.key == key)
    {
        return refusal(401, "Could not validate credentials");
    }
    let segments = request.segments();
    match operation {
        "organization" if segments.len() > 3 => Reply::json(
            200,
            &json!({"organization_id": 1, "organization_name": "Example", "user_id": 1,
                "user_email": "somebody@example.com", "user_role": "admin"}),
        ),
        "organization" if world.state.switches.burki_hosted => Reply::json(
            200,
            &json!({"id": 1, "name": "Example", "telnyx_api_key": "fake-key-in-an-answer",
                "telnyx_connection_id": world.state.switches.burki_connection}),
        ),
        "by-phone" => {
            let number = segments
                .get(4)
                .copied()
                .unwrap_or_default()
                .replace("%2B", "+")
                .replace("%2b", "+");
            let holder = world
                .assigned
                .get(&number)
                .and_then(|id| visible(world, &key, *id));
            holder.map_or_else(
                || {
                    refusal(
                        404,
                        &format!("No assistant found for phone number {number}"),
                    )
                },
                |assistant| Reply::json(200, &shown(assistant)),
            )
        }
        "assistant" | "assign" | "unassign" => {
            let wanted = segments.get(3).copied().unwrap_or_default();
            let Ok(id) = wanted.parse::<i64>() else {
                let detail = json!([{"loc": ["path", "assistant_id"], "msg": "Input should be a valid integer",
                    "type": "int_parsing"}]);
                return Reply::json(422, &json!({ "detail": detail }));
            };
            match visible(world, &key, id).cloned() {
                None => refusal(
                    404,
                    &format!("Assistant with ID {id} not found in your organization"),
                ),
                Some(assistant) if operation == "assistant" => Reply::json(200, &shown(&assistant)),
                Some(assistant) if operation == "assign" => assign(world, &assistant, request),
                Some(assistant) => unassign(world, &assistant, request),
            }
        }
        _ => refusal(404, "Not Found"),
    }
}

pub(super) fn refusal(status: u16, detail: &str) -> Reply {
    Reply::json(status, &json!({ "detail": detail }))
}

fn visible<'a>(world: &'a World, key: &str, id: i64) -> Option<&'a Assistant> {
    world
        .state
        .assistants
        .iter()
        .find(|assistant| assistant.key == key && assistant.id == id)
}

fn shown(assistant: &Assistant) -> Value {
    let config = assistant
        .connection
        .as_ref()
        .map(|id| json!({ "connection_id": id }));
    json!({"id": assistant.id, "organization_id": 1, "name": assistant.name, "is_active": assistant.active,
        "sms_webhook_url": null, "messaging_service_sid": null, "telnyx_config": config,
        "llm_provider_config": {"api_key": "fake-key-in-an-answer"}})
}

fn assign(world: &mut World, assistant: &Assistant, request: &Request) -> Reply {
    let body = request.json();
    let number = number_in(&body);
    let Some(at) = world.numbers.place_of(&number) else {
        return refusal(
            404,
            &format!("Phone number {number} not found in your provider accounts"),
        );
    };
    let is_telnyx = world
        .numbers
        .get(at)
        .is_some_and(|owned| owned.provider == "telnyx");
    if is_telnyx && !world.state.switches.burki_hosted {
        return refusal(
            404,
            &format!("Phone number {number} not found in your Twilio account"),
        );
    }
    if let Some(other) = world
        .assigned
        .get(&number)
        .filter(|id| **id != assistant.id)
    {
        let message = format!("Phone number is already assigned to assistant {other}");
        return Reply::json(
            200,
            &json!({"success": false, "message": message, "data": null}),
        );
    }
    world.assigned.insert(number.clone(), assistant.id);
    world.enter(
        Deed::Assign,
        "burki",
        &assistant.id.to_string(),
        &number,
        "",
        "",
    );
    if world.state.switches.burki_rewrites {
        rewrite(world, at);
    }
    let data = json!({"phone_number": number, "phone_number_id": at, "assistant_id": assistant.id,
        "assistant_name": assistant.name, "friendly_name": body.get("friendly_name"), "was_synced": true});
    Reply::json(
        200,
        &json!({"success": true, "message": "Phone number assigned", "data": data}),
    )
}

/// Points the number's webhooks at Burki's own host.
fn rewrite(world: &mut World, at: usize) {
    let path = if world.state.switches.burki_hosted {
        "webhooks/sms/twilio"
    } else {
        "twilio-sms-webhook"
    };
    let Some(number) = world.numbers.get_mut(at) else {
        return;
    };
    if number.provider == "twilio" {
        number.voice_url = format!("{BASE}/twiml");
        number.sms_url = format!("{BASE}/{path}");
        return;
    }
    let digits = number.phone_number.trim_start_matches('+').to_owned();
    let id = format!("9{digits}");
    number.connection_id.clone_from(&id);
    let application = Home {
        id: id.clone(),
        account: number.account.clone(),
        name: format!("Burki-{digits}"),
        is_profile: false,
        webhook: format!("{BASE}/telnyx-webhook"),
        api_version: "2".into(),
        enabled: true,
    };
    if !world.homes.iter().any(|home| home.id == id) {
        world.homes.push(application);
    }
}

/// The number that the body of a request names.
fn number_in(body: &Value) -> String {
    let number = body.get("phone_number").and_then(Value::as_str);
    number.unwrap_or_default().to_owned()
}

fn unassign(world: &mut World, assistant: &Assistant, request: &Request) -> Reply {
    let number = number_in(&request.json());
    match world.assigned.get(&number) {
        Some(id) if *id == assistant.id => {
            world.assigned.remove(&number);
            world.enter(
                Deed::Unassign,
                "burki",
                &assistant.id.to_string(),
                &number,
                "",
                "",
            );
            Reply::json(
                200,
                &json!({"success": true, "message": "Phone number unassigned"}),
            )
        }
        Some(_) => refusal(400, "Phone number is not assigned to this assistant"),
        None if world.numbers.place_of(&number).is_some() => {
            refusal(400, "Phone number is not assigned to this assistant")
        }
        None => refusal(404, &format!("Phone number {number} not found")),
    }
}
