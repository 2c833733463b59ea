//! Where webhooks live: connections and messaging profiles.

use serde_json::{Value, json};

use super::super::carrier::{Home, World};
use super::super::ledger::Deed;
use super::super::message::{Reply, Request};
use super::{data, not_found, or_null, pointed};

pub(super) fn find_home<'a>(
    world: &'a World,
    organization: &str,
    id: &str,
    is_profile: bool,
) -> Option<&'a Home> {
    let fits = |home: &&Home| {
        home.account == organization && home.id == id && home.is_profile == is_profile
    };
    world.homes.iter().find(fits)
}

pub(super) fn home(world: &World, organization: &str, id: &str, is_profile: bool) -> Reply {
    find_home(world, organization, id, is_profile)
        .map_or_else(not_found, |home| data(&shown_home(home)))
}

pub(super) fn change_home(
    world: &mut World,
    organization: &str,
    id: &str,
    is_profile: bool,
    request: &Request,
) -> Reply {
    let fields = request.json();
    let url = if is_profile {
        "webhook_url"
    } else {
        "webhook_event_url"
    };
    let required: &[&str] = if is_profile {
        &[]
    } else {
        &["application_name", "webhook_event_url"]
    };
    if let Some(missing) = required.iter().find(|name| fields.get(**name).is_none()) {
        return pointed(
            422,
            "10004",
            "Missing parameter",
            "It is required",
            &format!("/{missing}"),
        );
    }
    let fits = |home: &&mut Home| {
        home.account == organization && home.id == id && home.is_profile == is_profile
    };
    let Some(home) = world.homes.iter_mut().find(fits) else {
        return not_found();
    };
    let name = if is_profile {
        "name"
    } else {
        "application_name"
    };
    for (name, field) in [
        (url, &mut home.webhook),
        ("webhook_api_version", &mut home.api_version),
        (name, &mut home.name),
    ] {
        if let Some(value) = fields.get(name).and_then(Value::as_str) {
            value.clone_into(field);
        }
    }
    let home = home.clone();
    world.enter(
        Deed::Webhook,
        "telnyx",
        organization,
        &home.id,
        &home.webhook,
        &home.name,
    );
    data(&shown_home(&home))
}

pub(super) fn shown_home(home: &Home) -> Value {
    if home.is_profile {
        return json!({"id": home.id, "record_type": "messaging_profile", "name": home.name, "enabled": home.enabled,
            "organization_id": home.account, "webhook_url": or_null(&home.webhook),
            "webhook_api_version": home.api_version});
    }
    json!({"id": home.id, "record_type": "call_control_application", "application_name": home.name,
        "connection_name": home.name, "active": home.enabled, "webhook_event_url": or_null(&home.webhook),
        "webhook_api_version": home.api_version})
}
