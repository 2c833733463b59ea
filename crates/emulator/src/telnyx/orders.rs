//! Orders: what they need, what becomes of them, and their sub-orders.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::carrier::{Order, World};
use super::super::catalogue::kind_of;
use super::super::ledger::Deed;
use super::super::message::{Reply, Request, iso8601};
use super::{data, error, kind_word, not_found, or_null, page, pointed, reference_error};

/// How long a number that was found by a search can be ordered. Telnyx says "recent".
const SEARCH_HOLDS: Duration = Duration::from_secs(600);

/// Longer than anybody waits: an order that lacks documents.
const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

pub(super) fn order(world: &mut World, organization: &str, request: &Request) -> Reply {
    let body = request.json();
    let text = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let rows = body
        .get("phone_numbers")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let [row] = rows else {
        return pointed(
            422,
            "10004",
            "Missing parameter",
            "One phone number is wanted",
            "/phone_numbers",
        );
    };
    let number = row
        .get("phone_number")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if let Some(reply) = reference_error(world, organization, &body) {
        return reply;
    }
    if !world.for_sale(&number) || world.somebody_was_faster(&number) {
        return error(
            409,
            "85001",
            "Number already purchased",
            "The phone number was purchased already",
        );
    }
    let searched = world
        .searched
        .get(&(organization.to_owned(), number.clone()));
    if searched.is_none_or(|at| at.elapsed() > SEARCH_HOLDS) {
        return pointed(
            400,
            "10015",
            "Bad request",
            "The number was not in a recent search",
            "/phone_numbers/0",
        );
    }
    let documents = row
        .get("requirement_group_id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let regulated = world
        .state
        .regulated
        .iter()
        .any(|code| number.starts_with(code.as_str()));
    let requirements_met = !regulated || !documents.is_empty();
    let wait = if requirements_met {
        Duration::from_millis(world.state.switches.order_ms)
    } else {
        NEVER
    };
    let count = world.next();
    let order = Order {
        id: format!("00000000-0000-4000-9000-{count:012x}"),
        sub_order: format!("00000000-0000-4000-9001-{count:012x}"),
        account: organization.to_owned(),
        number,
        reference: text("customer_reference"),
        connection: text("connection_id"),
        profile: text("messaging_profile_id"),
        group: text("billing_group_id"),
        created: world.database_now(),
        due: Instant::now() + wait,
        status: "pending",
        cancelled: false,
        requirements_met,
        requirements_status: String::new(),
        requirement_group: documents.to_owned(),
    };
    world.enter(
        Deed::Order,
        "telnyx",
        organization,
        &order.number,
        &order.id,
        &order.reference,
    );
    let reply = data(&shown_order(&order, true));
    world.accept(order);
    reply
}

pub(super) fn found<'a>(world: &'a World, organization: &str, id: &str) -> Option<&'a Order> {
    world
        .orders
        .iter()
        .find(|order| order.account == organization && order.id == id)
}

pub(super) fn orders(world: &World, organization: &str, request: &Request) -> Reply {
    let since = request
        .query("filter[created_at][gt]")
        .and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let since = since.map(SystemTime::from);
    let wanted = |order: &&Order| {
        order.account == organization
            && since.is_none_or(|since| order.created > since)
            && request
                .query("filter[customer_reference]")
                .is_none_or(|text| order.reference == text)
            && request
                .query("filter[status]")
                .is_none_or(|text| order.status == text)
    };
    let rows = world.orders.iter().rev().filter(wanted);
    page(rows.collect(), |order| shown_order(order, false), request)
}

pub(super) fn sub_orders(world: &World, organization: &str, request: &Request) -> Reply {
    let wanted = |order: &&Order| {
        order.account == organization
            && request
                .query("filter[order_request_id]")
                .is_none_or(|id| order.id == id)
    };
    page(
        world.orders.iter().filter(wanted).collect(),
        shown_sub_order,
        request,
    )
}

pub(super) fn cancel(world: &mut World, organization: &str, id: &str) -> Reply {
    let succeeds = world.state.switches.cancelled_orders_succeed;
    let order = world
        .orders
        .iter_mut()
        .find(|order| order.account == organization && order.sub_order == id);
    let Some(order) = order else {
        return not_found();
    };
    if order.status != "pending" {
        return error(
            422,
            "10015",
            "Bad request",
            "Only pending orders can be cancelled",
        );
    }
    order.cancelled = true;
    if !succeeds {
        order.status = "failure";
    }
    let order = order.clone();
    world.enter(
        Deed::Cancel,
        "telnyx",
        organization,
        &order.number,
        &order.id,
        &order.reference,
    );
    data(&shown_sub_order(&order))
}

/// Only pending orders take a group, and only one that is fulfilled.
pub(super) fn attach_group(
    world: &mut World,
    organization: &str,
    id: &str,
    request: &Request,
) -> Reply {
    let body = request.json();
    let group = body.get("requirement_group_id").and_then(Value::as_str);
    let unfulfilled = world.state.switches.requirement_groups_unfulfilled;
    let after = Duration::from_millis(world.state.switches.order_ms);
    let mut orders = world.orders.iter_mut();
    let order = orders.find(|order| order.account == organization && order.sub_order == id);
    let (Some(order), Some(group)) = (order, group) else {
        return not_found();
    };
    if order.status != "pending" || unfulfilled {
        let detail = "The requirement group cannot be attached: it is not fulfilled, or the order is not pending";
        return error(422, "10027", "Unprocessable entity", detail);
    }
    group.clone_into(&mut order.requirement_group);
    order.requirements_met = true;
    order.requirements_status.clear();
    order.due = Instant::now() + after;
    let order = order.clone();
    world.enter(
        Deed::Papers,
        "telnyx",
        organization,
        &order.number,
        &order.id,
        &order.requirement_group,
    );
    data(&shown_sub_order(&order))
}

/// An order. Listings show its number without its status.
pub(super) fn shown_order(order: &Order, whole: bool) -> Value {
    let mut number = json!({"id": order.sub_order.replace("-9001-", "-9002-"),
        "record_type": "number_order_phone_number", "phone_number": order.number,
        "phone_number_type": kind_word(kind_of(&order.number)),
        "regulatory_requirements": [], "requirements_met": order.requirements_met});
    if whole && let Some(number) = number.as_object_mut() {
        number.insert("status".into(), json!(order.status));
        let requirements = match (order.requirements_status.as_str(), order.requirements_met) {
            ("", true) => "approved",
            ("", false) => "requirement-info-pending",
            (given, _) => given,
        };
        number.insert("requirements_status".into(), json!(requirements));
    }
    json!({"id": order.id, "record_type": "number_order", "status": order.status, "phone_numbers_count": 1,
        "phone_numbers": [number], "sub_number_orders_ids": [order.sub_order],
        "connection_id": or_null(&order.connection), "messaging_profile_id": or_null(&order.profile),
        "billing_group_id": or_null(&order.group), "customer_reference": or_null(&order.reference),
        "requirements_met": order.requirements_met, "created_at": iso8601(order.created),
        "updated_at": iso8601(order.created)})
}

/// A sub-order. It has no status of its own for one that was cancelled: that one failed.
fn shown_sub_order(order: &Order) -> Value {
    json!({"id": order.sub_order, "record_type": "sub_number_order", "order_request_id": order.id,
        "status": order.status,
        "customer_reference": or_null(&order.reference), "phone_numbers_count": 1,
        "requirements_met": order.requirements_met, "created_at": iso8601(order.created)})
}
