//! What of a number can be changed, and what is refused.

use super::super::carrier::World;
use super::super::catalogue::abilities;
use super::super::ledger::Deed;
use super::super::message::{Reply, Request};
use super::super::numbers::Number;
use super::{error, not_found, shown};

/// The refusal of a webhook that cannot be reached over the public Internet: a host without a dot, or no host name at all
/// (<https://www.twilio.com/docs/api/errors/21402>).
pub(super) fn unreachable_webhook(request: &Request) -> Option<Reply> {
    let form = request.form();
    let is_name = |label: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_reachable = |text: &str| {
        let url = url::Url::parse(text).ok();
        let host = url.as_ref().and_then(url::Url::host_str);
        host.is_some_and(|host| host.contains('.') && host.split('.').all(is_name))
    };
    let mut webhooks = ["VoiceUrl", "SmsUrl"].into_iter();
    let wrong = webhooks.find(|name| {
        let value = form.get(*name).filter(|value| !value.is_empty());
        value.is_some_and(|value| !is_reachable(value))
    });
    wrong.map(|name| error(400, 21402, &format!("{name} is not a valid URL")))
}

pub(super) fn configure(world: &mut World, account: &str, id: &str, request: &Request) -> Reply {
    match world.by_id("twilio", account, id) {
        Some(at) => unreachable_webhook(request).unwrap_or_else(|| change(world, at, request, 200)),
        None => not_found(request),
    }
}

pub(super) fn change(world: &mut World, at: usize, request: &Request, status: u16) -> Reply {
    let form = request.form();
    if let Some(reply) = papers_error(&form).or_else(|| webhook_error(world, at, &form)) {
        return reply;
    }
    set(world, at, &form);
    let Some(number) = world.numbers.get(at).cloned() else {
        return not_found(request);
    };
    note_change(world, &number);
    Reply::json(status, &shown(&number))
}

pub(super) fn note_change(world: &mut World, number: &Number) {
    world.enter(
        Deed::Configure,
        "twilio",
        &number.account,
        &number.phone_number,
        &number.id,
        &number.friendly_name,
    );
}

/// Papers that no regulation is satisfied by: SIDs of zeros.
pub(super) fn papers_error(form: &std::collections::BTreeMap<String, String>) -> Option<Reply> {
    let is_void = |name: &str| {
        let sid = form.get(name)?;
        let digits = sid.get(2..)?;
        (!digits.is_empty() && digits.bytes().all(|byte| byte == b'0')).then_some(())
    };
    is_void("BundleSid").map(|()| error(400, 21649, "Bundle does not satisfy the regulation"))
}

/// True if these webhooks are refused because numbers of this type take no messages
/// (<https://www.twilio.com/docs/api/errors/21407>).
pub(super) fn refuses_messages(
    world: &World,
    number: &str,
    form: &std::collections::BTreeMap<String, String>,
) -> bool {
    let can = abilities(number);
    let names = ["SmsUrl", "SmsMethod", "SmsFallbackUrl", "SmsFallbackMethod"];
    world.state.switches.sms_webhooks_refused
        && !can.sms
        && !can.mms
        && names.iter().any(|name| form.contains_key(*name))
}

pub(super) fn no_messages() -> Reply {
    error(
        400,
        21407,
        "This Phone Number type does not support SMS or does not support SmsUrl",
    )
}

fn webhook_error(
    world: &World,
    at: usize,
    form: &std::collections::BTreeMap<String, String>,
) -> Option<Reply> {
    let number = world.numbers.get(at)?;
    refuses_messages(world, &number.phone_number, form).then(no_messages)
}

pub(super) fn set(world: &mut World, at: usize, form: &std::collections::BTreeMap<String, String>) {
    let now = world.database_now();
    let is_unnoticed = world.state.switches.changed_unnoticed;
    let Some(number) = world.numbers.get_mut(at) else {
        return;
    };
    if !is_unnoticed {
        number.updated = now;
    }
    let fields: [(&str, &mut String); 11] = [
        ("AddressSid", &mut number.address_sid),
        ("BundleSid", &mut number.bundle_sid),
        ("IdentitySid", &mut number.identity_sid),
        ("FriendlyName", &mut number.friendly_name),
        ("VoiceUrl", &mut number.voice_url),
        ("VoiceMethod", &mut number.voice_method),
        ("SmsUrl", &mut number.sms_url),
        ("SmsMethod", &mut number.sms_method),
        ("TrunkSid", &mut number.trunk_sid),
        ("VoiceApplicationSid", &mut number.voice_application_sid),
        ("SmsApplicationSid", &mut number.sms_application_sid),
    ];
    for (name, field) in fields {
        if let Some(value) = form.get(name) {
            field.clone_from(value);
        }
    }
    let can = abilities(&number.phone_number);
    if !can.sms && !can.mms {
        number.sms_url.clear();
    }
    let given = |name: &str| form.get(name).is_some_and(|value| !value.is_empty());
    // A trunk and a voice application exclude each other; the one that is set deletes the other.
    if given("TrunkSid") {
        number.voice_application_sid.clear();
    } else if given("VoiceApplicationSid") {
        number.trunk_sid.clear();
    }
}
