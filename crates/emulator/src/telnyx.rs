//! Telnyx's dialect. Source: `openapi/spec3.yml` of <https://github.com/team-telnyx/openapi>.

mod homes;
mod orders;
mod registrations;
mod shop;
mod usage;

use serde_json::{Value, json};

use super::carrier::World;
use super::catalogue::{Kind, country_of, kind_of};
use super::ledger::Deed;
use super::message::{Reply, Request, iso8601};
use super::numbers::Number;
use homes::{change_home, find_home, home, shown_home};
use orders::{attach_group, cancel, found, order, orders, shown_order, sub_orders};

/// The largest page.
const MOST: usize = 250;

pub(super) fn operation(request: &Request) -> &'static str {
    let segments = request.segments();
    let method = request.method.as_str();
    match segments.as_slice() {
        ["v2", "phone_numbers"] => "list",
        ["v2", "phone_numbers", "messaging"] => "identity",
        ["v2", "phone_numbers", _] => match method {
            "GET" => "fetch",
            "DELETE" => "release",
            _ => "configure",
        },
        ["v2", "phone_numbers", _, "voice"] => "voice",
        ["v2", "phone_numbers", _, "messaging"] => "messaging",
        ["v2", "available_phone_numbers"] => "search",
        ["v2", "number_orders"] if method == "POST" => "buy",
        ["v2", "number_orders"] => "orders",
        ["v2", "number_orders", _] => "order",
        ["v2", "sub_number_orders"] => "sub-orders",
        ["v2", "sub_number_orders", _, "cancel"] => "cancel",
        ["v2", "sub_number_orders", _, "requirement_group"] => "requirement-group",
        ["v2", "connections", _] => "connection",
        ["v2", "call_control_applications", _] => "application",
        ["v2", "messaging_profiles"] => "profiles",
        ["v2", "messaging_profiles", _] => "profile",
        ["v2", "balance"] => "balance",
        ["v2", "detail_records"] => "usage",
        ["v2", "10dlc", "phone_number_campaigns"] => "campaigns",
        ["v2", "10dlc", "campaign", _] => "campaign",
        ["v2", "messaging_tollfree", "verification", "requests"] => "verifications",
        _ => "unknown",
    }
}

pub(super) fn answer(world: &mut World, operation: &str, request: &Request) -> Reply {
    let mut reply = answered(world, operation, request);
    reply.headers.extend([
        ("x-ratelimit-limit", "1000".to_owned()),
        ("x-ratelimit-remaining", "999".to_owned()),
        ("x-ratelimit-reset", "1".to_owned()),
    ]);
    reply
}

fn answered(world: &mut World, operation: &str, request: &Request) -> Reply {
    let key = request.bearer().unwrap_or_default();
    let account = world.state.telnyx.iter().find(|account| account.key == key);
    let Some(account) = account.cloned() else {
        return error(
            401,
            "10009",
            "Authentication failed",
            "The API key looks malformed or is invalid",
        );
    };
    let organization = account.organization.as_str();
    let segments = request.segments();
    let id = segments.get(2).copied().unwrap_or_default();
    let method = request.method.as_str();
    match (operation, method) {
        ("list", "GET") => list(world, organization, request),
        ("identity", "GET") => identity(world, organization, request),
        ("fetch", _) if world.state.switches.profiles_unavailable => no_profiles(),
        ("fetch", _) => match world.fetched("telnyx", organization, id) {
            Some(number) => data(&shown(world, number)),
            None => not_found(),
        },
        ("configure", "PATCH") => configure(world, organization, id, request),
        ("release", _) => release(world, organization, id),
        ("voice", "PATCH") => voice(world, organization, id, request),
        ("messaging", _) => messaging(world, organization, id, request),
        ("search", "GET") => shop::search(world, organization, request),
        ("buy", _) if !account.solvent => error(
            402,
            "20100",
            "Insufficient funds",
            "You do not have the funds to order this number",
        ),
        ("buy", _) => order(world, organization, request),
        ("orders", "GET") => orders(world, organization, request),
        ("order", "GET") => match found(world, organization, id) {
            Some(order) => data(&shown_order(order, true)),
            None => not_found(),
        },
        ("sub-orders", "GET") => sub_orders(world, organization, request),
        ("cancel", "PATCH") => cancel(world, organization, id),
        ("requirement-group", "POST") => attach_group(world, organization, id, request),
        ("connection" | "application", "GET") => home(world, organization, id, false),
        ("profile", "GET") => home(world, organization, id, true),
        ("application", "PATCH") => change_home(world, organization, id, false, request),
        ("profile", "PATCH") => change_home(world, organization, id, true, request),
        ("profiles", "GET") => {
            let rows = world
                .homes
                .iter()
                .filter(|home| home.is_profile && home.account == organization);
            page(rows.collect(), shown_home, request)
        }
        ("campaigns" | "campaign" | "verifications", "GET") => {
            let last = segments.last().copied().unwrap_or_default();
            registrations::answer(world, operation, organization, last, request)
        }
        ("usage", "GET") => usage::list(world, request),
        ("balance", "GET") if !account.tells_balance => error(
            403,
            "10010",
            "Authorization failed",
            "This key may not read the balance",
        ),
        ("balance", "GET") => {
            let left = if account.solvent {
                account.balance.as_str()
            } else {
                "0.00"
            };
            data(
                &json!({"record_type": "balance", "balance": left, "pending": "0.00", "credit_limit": "0.00",
                "available_credit": left, "currency": world.state.switches.currency}),
            )
        }
        _ => not_found(),
    }
}

fn error(status: u16, code: &str, title: &str, detail: &str) -> Reply {
    Reply::json(
        status,
        &json!({"errors": [{"code": code, "title": title, "detail": detail}]}),
    )
}

/// Errors with these codes, of which any may be missing.
pub(super) fn refusal(status: u16, codes: &Value, title: &str) -> Reply {
    let one = std::slice::from_ref(codes);
    let codes = codes.as_array().map_or(one, Vec::as_slice);
    let errors: Vec<_> = codes
        .iter()
        .map(|code| json!({"code": code, "title": title}))
        .collect();
    Reply::json(status, &json!({ "errors": errors }))
}

fn pointed(status: u16, code: &str, title: &str, detail: &str, pointer: &str) -> Reply {
    let source = json!({"pointer": pointer});
    Reply::json(
        status,
        &json!({"errors": [{"code": code, "title": title, "detail": detail, "source": source}]}),
    )
}

fn not_found() -> Reply {
    error(
        404,
        "10005",
        "Resource not found",
        "The requested resource or URL could not be found",
    )
}

fn no_profiles() -> Reply {
    error(
        503,
        "10037",
        "Service unavailable",
        "Messaging profiles cannot be looked up",
    )
}

fn data(value: &Value) -> Reply {
    Reply::json(200, &json!({ "data": value }))
}

fn page<T>(rows: Vec<T>, shown: impl Fn(T) -> Value, request: &Request) -> Reply {
    let number = |name: &str| {
        request
            .query(name)
            .and_then(|text| text.parse::<usize>().ok())
    };
    let size = number("page[size]").unwrap_or(20).clamp(1, MOST);
    let at = number("page[number]").unwrap_or(1).max(1);
    let total = rows.len();
    let rows = rows.into_iter().skip((at - 1) * size).take(size);
    let rows: Vec<_> = rows.map(shown).collect();
    let meta = json!({"page_number": at, "page_size": size, "total_pages": total.div_ceil(size),
        "total_results": total});
    Reply::json(200, &json!({"data": rows, "meta": meta}))
}

/// Where messaging profiles cannot be looked up, listings that do not allow for it fail.
fn list(world: &World, organization: &str, request: &Request) -> Reply {
    let hides = world.state.switches.profiles_unavailable;
    if hides && request.query("handle_messaging_profile_error") != Some("true") {
        return no_profiles();
    }
    let shown = |number: &Number| {
        let mut shown = shown(world, number);
        if let Some(profile) = shown.get_mut("messaging_profile_id").filter(|_| hides) {
            *profile = Value::Null;
        }
        shown
    };
    let pattern = request.query("filter[phone_number]");
    let strict = !world.state.switches.plus_matches;
    if pattern.is_some_and(|pattern| strict && !pattern.bytes().all(|byte| byte.is_ascii_digit())) {
        return page(Vec::new(), shown, request);
    }
    let digits = pattern.map(|pattern| {
        pattern
            .chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
    });
    let wanted = |number: &&Number| {
        digits
            .as_ref()
            .is_none_or(|digits| number.phone_number.contains(digits.as_str()))
            && request
                .query("filter[customer_reference]")
                .is_none_or(|text| number.customer_reference == text)
    };
    let rows = world
        .listed("telnyx", organization, pattern.is_some())
        .into_iter()
        .filter(wanted);
    page(rows.collect(), shown, request)
}

/// The messaging settings of all numbers, which name the organization.
fn identity(world: &World, organization: &str, request: &Request) -> Reply {
    let rows = world.listed("telnyx", organization, false);
    page(rows, shown_messaging, request)
}

fn reference_error(world: &World, organization: &str, fields: &Value) -> Option<Reply> {
    for (field, is_profile) in [("connection_id", false), ("messaging_profile_id", true)] {
        let wanted = fields
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !wanted.is_empty() && find_home(world, organization, wanted, is_profile).is_none() {
            let detail = format!("{field} does not exist");
            return Some(pointed(
                422,
                "10017",
                "Associated resource not found",
                &detail,
                &format!("/{field}"),
            ));
        }
    }
    None
}

fn configure(world: &mut World, organization: &str, id: &str, request: &Request) -> Reply {
    let Some(at) = world.by_id("telnyx", organization, id) else {
        return not_found();
    };
    let fields = request.json();
    let known = [
        "tags",
        "external_pin",
        "hd_voice_enabled",
        "customer_reference",
        "address_id",
        "connection_id",
        "billing_group_id",
    ];
    let stranger = fields
        .as_object()
        .and_then(|map| map.keys().find(|key| !known.contains(&key.as_str())));
    if let Some(stranger) = stranger {
        return pointed(
            422,
            "10015",
            "Bad request",
            "The field cannot be changed here",
            &format!("/{stranger}"),
        );
    }
    if let Some(reply) = reference_error(world, organization, &fields) {
        return reply;
    }
    let Some(number) = world.numbers.get_mut(at) else {
        return not_found();
    };
    for (name, field) in [
        ("customer_reference", &mut number.customer_reference),
        ("connection_id", &mut number.connection_id),
        ("billing_group_id", &mut number.billing_group_id),
    ] {
        if let Some(value) = fields.get(name) {
            value.as_str().unwrap_or_default().clone_into(field);
        }
    }
    let number = number.clone();
    note(world, Deed::Configure, &number);
    data(&shown(world, &number))
}

fn note(world: &mut World, deed: Deed, number: &Number) {
    world.enter(
        deed,
        "telnyx",
        &number.account,
        &number.phone_number,
        &number.id,
        &number.customer_reference,
    );
}

/// A call's settings; the connection is none of them.
fn voice(world: &World, organization: &str, id: &str, request: &Request) -> Reply {
    if request.json().get("connection_id").is_some() {
        return pointed(
            422,
            "10015",
            "Bad request",
            "The field cannot be changed here",
            "/connection_id",
        );
    }
    match world
        .by_id("telnyx", organization, id)
        .and_then(|at| world.numbers.get(at))
    {
        Some(number) => data(&json!({"id": number.id, "record_type": "voice_settings",
            "phone_number": number.phone_number, "connection_id": number.connection_id})),
        None => not_found(),
    }
}

fn messaging(world: &mut World, organization: &str, id: &str, request: &Request) -> Reply {
    let Some(at) = world.by_id("telnyx", organization, id) else {
        return not_found();
    };
    let fields = request.json();
    if let Some(reply) = reference_error(world, organization, &fields) {
        return reply;
    }
    let profile = fields.get("messaging_profile_id").and_then(Value::as_str);
    let Some(number) = world.numbers.get_mut(at) else {
        return not_found();
    };
    if request.method == "PATCH"
        && let Some(profile) = profile
    {
        profile.clone_into(&mut number.messaging_profile_id);
        let number = number.clone();
        note(world, Deed::Configure, &number);
        return data(&shown_messaging(&number));
    }
    data(&shown_messaging(number))
}

fn release(world: &mut World, organization: &str, id: &str) -> Reply {
    let Some(at) = world.by_id("telnyx", organization, id) else {
        return not_found();
    };
    if world.numbers.get(at).is_some_and(|number| number.locked) {
        return error(
            422,
            "10015",
            "Bad request",
            "The deletion lock of the number is enabled",
        );
    }
    let Some(number) = world.take_back(at, "telnyx") else {
        return not_found();
    };
    let mut shown = shown(world, &number);
    if let Some(status) = shown.get_mut("status") {
        *status = json!("deleted");
    }
    data(&shown)
}

fn or_null(text: &str) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        json!(text)
    }
}

fn shown(world: &World, number: &Number) -> Value {
    let bought = iso8601(number.created);
    let status = if number.status.is_empty() {
        "active"
    } else {
        &number.status
    };
    json!({"id": number.id, "record_type": "phone_number", "phone_number": number.phone_number, "status": status,
        "country_iso_alpha2": country_of(&number.phone_number), "tags": [],
        "connection_id": or_null(&number.connection_id),
        "customer_reference": or_null(&number.customer_reference),
        "messaging_profile_id": or_null(&number.messaging_profile_id),
        "billing_group_id": or_null(&number.billing_group_id), "phone_number_type": kind_word(kind_of(&number.phone_number)),
        "deletion_lock_enabled": number.locked, 
        "purchased_at": (!world.state.switches.no_purchase_time).then_some(&bought), "created_at": bought})
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Local => "local",
        Kind::Mobile => "mobile",
        Kind::TollFree => "toll_free",
    }
}

fn shown_messaging(number: &Number) -> Value {
    json!({"id": number.id, "record_type": "messaging_settings", "phone_number": number.phone_number,
        "messaging_profile_id": or_null(&number.messaging_profile_id), "organization_id": number.account,
        "type": "long-code"})
}
