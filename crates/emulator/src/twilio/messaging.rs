//! Messaging services: which numbers are in them, and who is told of the messages to those
//! (`twilio_messaging_v1.json` of <https://github.com/twilio/twilio-oai>).

use serde_json::{Value, json};

use super::super::carrier::{Service, World};
use super::super::catalogue::{abilities, country_of};
use super::super::message::{Reply, Request};
use super::super::numbers::Number;
use super::super::registrations::Registration;
use super::settings::note_change;
use super::{MOST, error, not_found, whole_seconds};

const HOST: &str = "https://messaging.twilio.com";

pub(super) fn answer(
    world: &mut World,
    operation: &str,
    account: &str,
    request: &Request,
) -> Reply {
    if world.state.switches.messaging_services_forbidden {
        return error(
            403,
            70051,
            "Authorization failed: the key lacks the permission",
        );
    }
    let segments = request.segments();
    let sid = segments.get(2).copied().unwrap_or_default();
    let number = segments.get(4).copied().unwrap_or_default();
    if operation == "services" {
        let services = world.services.iter();
        let rows = services.filter(|service| service.account == account);
        return page(rows.map(shown).collect(), "services", request);
    }
    let is_registered = matches!(operation, "campaigns" | "verifications");
    if is_registered && world.state.switches.registrations_forbidden {
        return error(
            403,
            70051,
            "Authorization failed: the key lacks the permission",
        );
    }
    let own = world
        .registrations
        .iter()
        .filter(|it| it.account == account);
    if operation == "verifications" {
        let rows = own.filter(|it| it.is_toll_free()).map(verification);
        return page(rows.collect(), "verifications", request);
    }
    if operation == "campaigns" {
        let rows = own.filter(|it| it.subject == sid).map(campaign);
        return page(rows.collect(), "compliance", request);
    }
    let services = world.services.iter();
    let mut found = services.filter(|service| service.account == account && service.sid == sid);
    let Some(service) = found.next().cloned() else {
        return not_found(request);
    };
    match operation {
        "service" if request.method == "GET" => Reply::json(200, &shown(&service)),
        "members" => {
            let numbers = world.numbers.iter();
            let members = numbers.filter(|number| is_in(number, &service));
            page(
                members.map(|number| row(number, &service)).collect(),
                "phone_numbers",
                request,
            )
        }
        "attach" => attach(world, &service, request),
        "member" => {
            let at = world.by_id("twilio", account, number);
            match at.and_then(|at| world.numbers.get(at)) {
                Some(number) if is_in(number, &service) => Reply::json(200, &row(number, &service)),
                _ => not_found(request),
            }
        }
        "detach" => detach(world, &service, number, request),
        _ => not_found(request),
    }
}

fn campaign(registration: &Registration) -> Value {
    json!({"sid": "QE00000000000000000000000000000001", "messaging_service_sid": registration.subject,
        "campaign_status": registration.status, "campaign_id": null, "mock": registration.mock, "errors": []})
}

fn verification(registration: &Registration) -> Value {
    json!({"sid": "HH00000000000000000000000000000001", "tollfree_phone_number": registration.subject,
        "status": registration.status, "business_name": "Example"})
}

fn is_in(number: &Number, service: &Service) -> bool {
    number.provider == "twilio"
        && number.account == service.account
        && number.messaging_service == service.sid
}

fn attach(world: &mut World, service: &Service, request: &Request) -> Reply {
    let form = request.form();
    let id = form.get("PhoneNumberSid").map_or("", String::as_str);
    let Some(at) = world.by_id("twilio", &service.account, id) else {
        return not_found(request);
    };
    let members = world.numbers.iter().filter(|number| is_in(number, service));
    let is_full = members.count() >= world.state.switches.messaging_service_holds;
    let Some(number) = world.numbers.get_mut(at) else {
        return not_found(request);
    };
    let can = abilities(&number.phone_number);
    if number.messaging_service == service.sid {
        let text = "Phone Number or Short Code is already in the Messaging Service";
        return error(409, 21710, text);
    }
    if !number.messaging_service.is_empty() {
        let text = "Phone Number or Short Code is associated with another Messaging Service";
        return error(409, 21712, text);
    }
    if is_full {
        return error(400, 21714, "Number Pool size limit reached");
    }
    if !can.sms && !can.mms {
        let text = "Phone Number does not have SMS or MMS capability";
        return error(400, 21715, text);
    }
    number.messaging_service.clone_from(&service.sid);
    let number = number.clone();
    note_change(world, &number);
    Reply::json(201, &row(&number, service))
}

fn detach(world: &mut World, service: &Service, id: &str, request: &Request) -> Reply {
    let at = world.by_id("twilio", &service.account, id);
    match at.and_then(|at| world.numbers.get_mut(at)) {
        Some(number) if is_in(number, service) => {
            number.messaging_service.clear();
            let number = number.clone();
            note_change(world, &number);
            Reply::empty(204)
        }
        _ => not_found(request),
    }
}

/// Pages as the newer APIs have them: the links are whole URLs.
fn page(rows: Vec<Value>, key: &str, request: &Request) -> Reply {
    let number = |name: &str| {
        request
            .query(name)
            .and_then(|text| text.parse::<usize>().ok())
    };
    let size = number("PageSize").unwrap_or(50).clamp(1, MOST);
    let at = number("Page").unwrap_or(0);
    let link = |at: usize| {
        let path = &request.path;
        format!("{HOST}{path}?PageSize={size}&Page={at}&PageToken=PT{at}")
    };
    let more = (at + 1) * size < rows.len();
    let shown: Vec<_> = rows.into_iter().skip(at * size).take(size).collect();
    let meta = json!({"page": at, "page_size": size, "first_page_url": link(0), "url": link(at),
        "previous_page_url": (at > 0).then(|| link(at.saturating_sub(1))),
        "next_page_url": more.then(|| link(at + 1)), "key": key});
    Reply::json(200, &json!({ key: shown, "meta": meta }))
}

fn shown(service: &Service) -> Value {
    let url = format!("{HOST}/v1/Services/{}", service.sid);
    let inbound = (!service.inbound_request_url.is_empty()).then_some(&service.inbound_request_url);
    json!({"sid": service.sid, "account_sid": service.account, "friendly_name": service.name,
        "inbound_request_url": inbound, "inbound_method": "POST", "fallback_url": null, "fallback_method": "POST",
        "status_callback": null, "sticky_sender": true, "usecase": "undeclared",
        "us_app_to_person_registered": false,
        "use_inbound_webhook_on_number": service.use_inbound_webhook_on_number,
        "date_created": "2015-07-30T20:12:31Z", "date_updated": "2015-07-30T20:12:33Z",
        "url": url, "links": {"phone_numbers": format!("{url}/PhoneNumbers")}})
}

fn row(number: &Number, service: &Service) -> Value {
    let can = abilities(&number.phone_number);
    let words = [("MMS", can.mms), ("SMS", can.sms), ("Voice", can.voice)];
    let capabilities: Vec<_> = words
        .iter()
        .filter(|(_, can)| *can)
        .map(|(word, _)| word)
        .collect();
    let sid = &service.sid;
    json!({"sid": number.id, "account_sid": number.account, "service_sid": sid,
        "phone_number": number.phone_number, "country_code": country_of(&number.phone_number),
        "capabilities": capabilities, "date_created": whole_seconds(number.created),
        "date_updated": whole_seconds(number.created),
        "url": format!("{HOST}/v1/Services/{sid}/PhoneNumbers/{}", number.id)})
}
