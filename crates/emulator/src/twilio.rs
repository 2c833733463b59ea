//! Twilio's dialect. Source: `twilio_api_v2010.json` and `twilio_messaging_v1.json` of
//! <https://github.com/twilio/twilio-oai>, and <https://www.twilio.com/docs/api/errors>.

mod messaging;
mod settings;
mod shop;
mod usage;

use std::time::SystemTime;

use serde_json::{Value, json};

use super::carrier::World;
use super::catalogue::{Kind, abilities, kind_of};
use super::ledger::Deed;
use super::message::{Reply, Request, rfc2822};
use super::numbers::Number;
use super::usage::RecordKind;
use settings::{
    change, configure, no_messages, papers_error, refuses_messages, set, unreachable_webhook,
};

/// The largest page.
const MOST: usize = 1000;

pub(super) fn operation(request: &Request) -> &'static str {
    let segments = request.segments();
    let method = request.method.as_str();
    match segments.as_slice() {
        ["2010-04-01", "Accounts", _] => "account",
        ["2010-04-01", "Accounts", _, "Balance.json"] => "balance",
        ["2010-04-01", "Accounts", _, "IncomingPhoneNumbers.json"] if method == "GET" => "list",
        ["2010-04-01", "Accounts", _, "IncomingPhoneNumbers.json"] => "buy",
        [
            "2010-04-01",
            "Accounts",
            _,
            "IncomingPhoneNumbers",
            "Local.json" | "Mobile.json" | "TollFree.json",
        ] if method == "POST" => "buy",
        ["2010-04-01", "Accounts", _, "IncomingPhoneNumbers", _] => match method {
            "GET" => "fetch",
            "DELETE" => "release",
            _ => "configure",
        },
        [
            "2010-04-01",
            "Accounts",
            _,
            "AvailablePhoneNumbers.json" | "AvailablePhoneNumbers",
            ..,
        ] => "search",
        ["2010-04-01", "Accounts", _, "Calls.json" | "Messages.json"] if method == "GET" => "usage",
        ["v1", "Services"] => "services",
        ["v1", "Services", _] => "service",
        ["v1", "Services", _, "PhoneNumbers"] if method == "GET" => "members",
        ["v1", "Services", _, "PhoneNumbers"] => "attach",
        ["v1", "Services", _, "PhoneNumbers", _] if method == "GET" => "member",
        ["v1", "Services", _, "PhoneNumbers", _] => "detach",
        ["v1", "Services", _, "Compliance", "Usa2p"] => "campaigns",
        ["v1", "Tollfree", "Verifications"] => "verifications",
        ["v1", "PhoneNumbers", "Countries", ..] => "pricing",
        _ => "unknown",
    }
}

pub(super) fn answer(world: &mut World, operation: &str, request: &Request) -> Reply {
    let account = match authenticate(world, request) {
        Ok(account) => account,
        Err(reply) => return *reply,
    };
    if request.path.starts_with("/2010-04-01/") && !request.path.ends_with(".json") {
        return Reply {
            headers: vec![("content-type", "application/xml".into())],
            body: b"<TwilioResponse/>".to_vec(),
            ..Reply::empty(200)
        };
    }
    let segments = request.segments();
    let last = segments
        .last()
        .copied()
        .unwrap_or_default()
        .trim_end_matches(".json")
        .to_owned();
    match operation {
        "account" => Reply::json(
            200,
            &json!({"sid": account, "status": "active", "type": "Full"}),
        ),
        "balance" => {
            let accounts = &world.state.twilio;
            let told = accounts
                .iter()
                .find(|it| it.sid == account && it.tells_balance);
            let Some(told) = told else {
                return not_found(request);
            };
            let left = if told.solvent {
                told.balance.as_str()
            } else {
                "0.00"
            };
            let currency = &world.state.switches.currency;
            Reply::json(
                200,
                &json!({"account_sid": account, "balance": left, "currency": currency}),
            )
        }
        "list" => list(world, &account, request),
        "buy" => buy(world, &account, request),
        "fetch" => match world.fetched("twilio", &account, &last) {
            Some(number) => Reply::json(200, &shown(number)),
            None => not_found(request),
        },
        "configure" => configure(world, &account, &last, request),
        "release" => release(world, &account, &last, request),
        "search" => shop::search(world, &account, request),
        "usage" if last == "Calls" => usage::list(world, RecordKind::Call, &account, request),
        "usage" => usage::list(world, RecordKind::Message, &account, request),
        "pricing" => shop::pricing(world, request),
        "services" | "service" | "members" | "attach" | "member" | "detach" | "campaigns"
        | "verifications" => messaging::answer(world, operation, &account, request),
        _ => not_found(request),
    }
}

fn error(status: u16, code: u32, message: &str) -> Reply {
    let more = format!("https://www.twilio.com/docs/errors/{code}");
    Reply::json(
        status,
        &json!({"code": code, "message": message, "more_info": more, "status": status}),
    )
}

/// An error whose code may be missing, as it is where Twilio has none to tell.
pub(super) fn refusal(status: u16, code: &Value, message: &str) -> Reply {
    let body = json!({"code": code, "message": message, "more_info": null, "status": status});
    Reply::json(status, &body)
}

fn not_found(request: &Request) -> Reply {
    error(
        404,
        20404,
        &format!("The requested resource {} was not found", request.path),
    )
}

/// The account that the credentials open, if the path is under it.
fn authenticate(world: &World, request: &Request) -> Result<String, Box<Reply>> {
    let refused = || Box::new(error(401, 20003, "Authenticate"));
    let (user, password) = request.basic().ok_or_else(refused)?;
    let account = world.state.twilio.iter().find(|account| {
        (account.sid == user && account.token == password)
            || (account.key_sid == user && account.key_secret == password)
    });
    let account = account.ok_or_else(refused)?;
    let segments = request.segments();
    if let ["2010-04-01", "Accounts", sid, ..] = segments.as_slice()
        && sid.trim_end_matches(".json") != account.sid
    {
        return Err(refused());
    }
    if account.status != "active" {
        return Err(Box::new(error(403, 20403, "Account is suspended")));
    }
    // API keys cannot read the account itself.
    if segments.len() == 3 && user.starts_with("SK") && segments.first() == Some(&"2010-04-01") {
        return Err(Box::new(error(403, 20403, "API keys cannot do that")));
    }
    Ok(account.sid.clone())
}

fn list(world: &World, account: &str, request: &Request) -> Reply {
    let size = request
        .query("PageSize")
        .and_then(|size| size.parse().ok())
        .unwrap_or(50)
        .clamp(1, MOST);
    let page: usize = request
        .query("Page")
        .and_then(|page| page.parse().ok())
        .unwrap_or(0);
    let wanted = |number: &&Number| {
        request
            .query("PhoneNumber")
            .is_none_or(|pattern| is_like(&number.phone_number, pattern))
            && request
                .query("FriendlyName")
                .is_none_or(|name| number.friendly_name == name)
    };
    let rows: Vec<_> = world
        .listed("twilio", account, request.query("PhoneNumber").is_some())
        .into_iter()
        .filter(wanted)
        .collect();
    let shown: Vec<_> = rows
        .iter()
        .skip(page * size)
        .take(size)
        .map(|number| shown(number))
        .collect();
    let base = format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json");
    let link = |page: usize| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for name in ["PhoneNumber", "FriendlyName"] {
            if let Some(value) = request.query(name) {
                query.append_pair(name, value);
            }
        }
        query.append_pair("PageSize", &size.to_string());
        query.append_pair("Page", &page.to_string());
        query.append_pair("PageToken", &format!("PT{page}"));
        format!("{base}?{}", query.finish())
    };
    let more = (page + 1) * size < rows.len();
    Reply::json(
        200,
        &json!({
            "incoming_phone_numbers": shown,
            "first_page_uri": link(0),
            "next_page_uri": more.then(|| link(page + 1)),
            "previous_page_uri": (page > 0).then(|| link(page.saturating_sub(1))),
            "page": page, "page_size": size,
            "start": page * size, "end": (page * size + shown.len()).saturating_sub(1),
            "uri": link(page),
        }),
    )
}

/// Twilio's filter takes parts of a number, and `*` for any digit.
fn is_like(number: &str, pattern: &str) -> bool {
    let wanted: Vec<u8> = pattern
        .bytes()
        .filter(|byte| byte.is_ascii_digit() || *byte == b'*')
        .collect();
    let digits = number.trim_start_matches('+').as_bytes();
    let fits = |window: &[u8]| {
        window
            .iter()
            .zip(&wanted)
            .all(|(digit, wanted)| digit == wanted || *wanted == b'*')
    };
    wanted.is_empty() || digits.windows(wanted.len()).any(fits)
}

fn buy(world: &mut World, account: &str, request: &Request) -> Reply {
    let form = request.form();
    let Some(number) = form.get("PhoneNumber").cloned() else {
        return error(400, 21421, "PhoneNumber is required");
    };
    if let Some(reply) = magic(&number) {
        return reply;
    }
    let number = world.spelled(&number);
    if let Some(reply) = unreachable_webhook(request) {
        return reply;
    }
    if let Some(at) = world.owned("twilio", account, &number) {
        // A purchase of a number that the account has is an update.
        let updated = world.numbers.get(at).map(|number| number.updated);
        change(world, at, request, 201);
        let is_unnoticed = world.state.switches.overwritten_unnoticed;
        let number = world.numbers.get_mut(at);
        if let (true, Some(number), Some(updated)) = (is_unnoticed, number, updated) {
            number.updated = updated;
        }
        let number = world.numbers.get(at);
        return number.map_or_else(|| not_found(request), |it| Reply::json(201, &shown(it)));
    }
    let digits = number.strip_prefix('+').unwrap_or_default();
    if !(8..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return error(400, 21421, &format!("{number} is not a valid number"));
    }
    if !world.for_sale(&number) {
        return error(400, 21422, &format!("{number} is not available."));
    }
    if world.somebody_was_faster(&number) {
        return error(400, 21422, &format!("{number} is not available."));
    }
    let terms = world.state.twilio.iter().find(|terms| terms.sid == account);
    let (solvent, trial) = terms.map_or((true, false), |terms| (terms.solvent, terms.trial));
    if !solvent {
        return error(400, 20005, "Account is not active: it ran out of funds");
    }
    let has_one = world
        .numbers
        .iter()
        .any(|owned| owned.provider == "twilio" && owned.account == account);
    if trial && has_one {
        return error(
            400,
            21404,
            "Trial accounts are allowed only one Twilio phone number",
        );
    }
    let regulated = world
        .state
        .regulated
        .iter()
        .any(|code| number.starts_with(code.as_str()));
    if regulated {
        let given = |name: &str| form.get(name).is_some_and(|value| !value.is_empty());
        if !given("AddressSid") {
            return error(400, 21631, "Phone Number Requires an Address");
        }
        if !given("IdentitySid") && !given("BundleSid") {
            return error(400, 21615, "Phone Number Requires a Local Address");
        }
        if !given("BundleSid") {
            return error(400, 21649, "Bundle required");
        }
    }
    if let Some(reply) = papers_error(&form) {
        return reply;
    }
    if refuses_messages(world, &number, &form) {
        return no_messages();
    }
    let sold = world.sell("twilio", account, &number);
    let Some(at) = world.by_id("twilio", account, &sold.id) else {
        return not_found(request);
    };
    let mut form = form;
    if world.state.switches.papers_ignored_on_purchase {
        form.retain(|name, _| !["AddressSid", "BundleSid", "IdentitySid"].contains(&name.as_str()));
    }
    set(world, at, &form);
    let name = world
        .numbers
        .get(at)
        .map(|number| number.friendly_name.clone())
        .unwrap_or_default();
    world.enter(Deed::Purchase, "twilio", account, &number, &sold.id, &name);
    world.numbers.get(at).map_or_else(
        || not_found(request),
        |number| Reply::json(201, &shown(number)),
    )
}

/// The numbers that Twilio's documentation of test credentials names.
fn magic(number: &str) -> Option<Reply> {
    match number {
        "+15005550000" => Some(error(400, 21422, "+15005550000 is not available.")),
        "+15005550001" => Some(error(400, 21421, "+15005550001 is not a valid number")),
        _ => None,
    }
}

fn release(world: &mut World, account: &str, id: &str, request: &Request) -> Reply {
    let Some(at) = world.by_id("twilio", account, id) else {
        return not_found(request);
    };
    if world.numbers.get(at).is_some_and(|number| number.locked) {
        let text = "The emergency address must be removed before the number can be released";
        return refusal(400, &json!(world.state.switches.locked_code), text);
    }
    world.take_back(at, "twilio");
    Reply::empty(204)
}

/// A time as Twilio's newer APIs write it. Twilio's own clients cannot read parts of a second.
fn whole_seconds(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at)
        .unwrap_or_default()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// A number as Twilio shows it. What is unset is the empty text.
fn shown(number: &Number) -> Value {
    let name = if number.friendly_name.is_empty() {
        &number.phone_number
    } else {
        &number.friendly_name
    };
    let can = abilities(&number.phone_number);
    let kind = match kind_of(&number.phone_number) {
        Kind::Local => "local",
        Kind::Mobile => "mobile",
        Kind::TollFree => "toll-free",
    };
    json!({
        "sid": number.id, "account_sid": number.account, "phone_number": number.phone_number,
        "friendly_name": name,
        "capabilities": {"voice": can.voice, "sms": can.sms, "mms": can.mms, "fax": can.fax},
        "voice_url": number.voice_url, "voice_method": number.voice_method,
        "voice_fallback_url": "", "voice_fallback_method": "POST", "voice_caller_id_lookup": false,
        "voice_application_sid": number.voice_application_sid, "voice_receive_mode": "voice",
        "sms_url": number.sms_url, "sms_method": number.sms_method,
        "sms_fallback_url": "", "sms_fallback_method": "POST", "sms_application_sid": number.sms_application_sid,
        "trunk_sid": number.trunk_sid, "status_callback": "", "status_callback_method": "POST",
        "address_sid": number.address_sid, "address_requirements": "none",
        "identity_sid": number.identity_sid, "bundle_sid": number.bundle_sid,
        "emergency_status": "Inactive", "emergency_address_sid": "", "emergency_address_status": "unregistered",
        "api_version": "2010-04-01", "beta": false, "origin": "twilio", "status": "in-use", "type": kind,
        "date_created": rfc2822(number.created), "date_updated": rfc2822(number.updated),
        "uri": format!("/2010-04-01/Accounts/{}/IncomingPhoneNumbers/{}.json", number.account, number.id),
    })
}
