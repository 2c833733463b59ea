//! What is made of Telnyx's answers, in tables.

mod numbers;
mod orders;
mod registrations;
mod sale;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::Telnyx;
use super::classify::{MAY_BE_OURS, TABLE};
use crate::number::{
    Configuration, Description, Line, NumberId, OrderId, RegulatoryDocuments, Routing, Settings,
    Shown,
};
use crate::provider::http::fake::{Fake, NUMBER, json, mark_of, release_token, text, token};
use crate::provider::http::{Response, TransportError};
use crate::provider::{
    Error, Order, OrderPapers, OrderState, Ours, ProviderApi, Refusal, RefusalKind, Released,
    Reply, Webhook, WebhookOwner,
};

const KEY: &str = "fake-api-key";

fn telnyx(fake: &Arc<Fake>) -> Telnyx {
    Telnyx::new(fake.client(), SecretString::from(KEY), None)
}

fn configuration() -> Configuration {
    Configuration {
        name: "NYC".into(),
        mark: mark_of("nyc"),
        routing: Routing::Telnyx {
            connection_id: "11".into(),
            messaging_profile_id: Some("mp-1".into()),
            billing_group_id: Some("bg-1".into()),
        },
        papers: RegulatoryDocuments {
            requirement_group_id: Some("rg-1".into()),
            ..RegulatoryDocuments::default()
        },
    }
}

fn reference() -> String {
    format!("{}.n1", mark_of("nyc"))
}

fn changed(mut value: Value, change: Value) -> Value {
    for (key, field) in change.as_object().unwrap() {
        value[key] = field.clone();
    }
    value
}

/// A number as Telnyx shows it, with `change` on it.
fn row(change: Value) -> Value {
    let row = json!({
        "id": "21",
        "phone_number": NUMBER,
        "status": "active",
        "customer_reference": mark_of("nyc").to_string(),
        "connection_id": "11",
        "messaging_profile_id": "mp-1",
        "billing_group_id": "bg-1",
        "purchased_at": "2026-01-02T03:04:05Z",
        "created_at": "2026-01-02T03:04:06Z",
    });
    changed(row, change)
}

/// An order as Telnyx shows it, with `change` on it.
fn order(change: Value) -> Value {
    let order = json!({
        "id": "o-1",
        "status": "pending",
        "customer_reference": reference(),
        "requirements_met": true,
        "sub_number_orders_ids": ["s-1"],
        "phone_numbers": [{"phone_number": NUMBER, "status": "pending", "requirements_met": true}],
        "created_at": "2026-01-02T03:04:05.000000Z",
    });
    changed(order, change)
}

fn page(rows: Value, number: usize, pages: usize) -> Value {
    counted(rows, number, pages, Value::Null)
}

fn counted(rows: Value, number: usize, pages: usize, total: Value) -> Value {
    json!({"data": rows, "meta": {"page_number": number, "total_pages": pages, "total_results": total}})
}

fn errors(code: &str) -> Value {
    json!({"errors": [{"code": code, "title": "No", "detail": "not so"}]})
}

type Answer = Result<Response, TransportError>;

async fn reply(answer: Answer) -> Reply {
    let fake = Fake::with([answer]);
    telnyx(&fake)
        .buy(token("org-1", Duration::ZERO), &configuration())
        .await
}

async fn ours() -> Ours {
    let fake = Fake::with([json(200, json!({"data": row(json!({}))}))]);
    let id = NumberId::new("21");
    let holding = telnyx(&fake).fetch(&id).await.unwrap().unwrap();
    Ours::prove(&holding, &mark_of("nyc"), &id).unwrap()
}
