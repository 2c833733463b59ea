//! Files that break the rules, and files that follow them: each rule can fail.

use super::rules::RULES;
use super::source::Source;
use super::{MAKES_TOKENS, makers_of_tokens};

/// What all rules say about a file with this name and text.
fn judged(name: &str, text: &str) -> usize {
    let source = Source::new(name, text);
    let rules = RULES.iter().filter(|rule| rule.applies_to(&source));
    rules.map(|rule| rule.violations(&source).len()).sum()
}

#[test]
fn each_rule_notices_when_it_is_broken() {
    for (name, text) in [
        ("number.rs", "use crate::clock::Clock;"),
        (
            "number/mark.rs",
            "fn of(text: &str) -> crate::claim::Claim { todo!() }",
        ),
        ("number/mark.rs", "use super::super::api::PhoneNumber;"),
        ("clock.rs", "use crate::number::E164;"),
        (
            "claim.rs",
            "use crate::{\n    clock::Instant, // fine\n    provider::{self as company, Order},\n};",
        ),
        ("claim.rs", "use crate::*;"),
        ("outcome.rs", "use crate::{cluster as resources};"),
        ("outcome.rs", "fn ask(client: &kube::Client) {}"),
        ("reconcile/plan.rs", "use super::memory::Memory;"),
        (
            "reconcile/plan.rs",
            "use crate::cluster::observations::Verified;",
        ),
        ("reconcile/plan.rs", "fn plan(cluster: &Cluster) {}"),
        ("cluster.rs", "use crate::reconcile::plan::Outcome;"),
        ("cluster/process.rs", "use super::super::reconcile::plan;"),
        (
            "cluster/slots.rs",
            "use crate::controller::schedule::Pauses;",
        ),
        ("cluster/secrets.rs", "use crate::controller;"),
        (
            "reconcile/number.rs",
            "use crate::controller::reconciler::Reconciler;",
        ),
        (
            "reconcile/perform/spend.rs",
            "fn buy() { crate::controller::REREAD_AFTER; }",
        ),
        ("api/refs.rs", "use telephony::claim::Claim;"),
        ("api/account.rs", "use kube::{Client, KubeSchema};"),
        ("outcome.rs", "use crate::reconcile::plan::Step;"),
        ("outcome.rs", "use telephony::provider::Order;"),
        (
            "reconcile/plan/maintain.rs",
            "use super::super::perform::perform;",
        ),
        (
            "reconcile/plan/maintain.rs",
            "use crate::provider::{Order, http::Client};",
        ),
        ("reconcile/plan.rs", "use crate::provider;"),
        (
            "reconcile/plan.rs",
            "fn plan(company: &dyn crate::provider::ProviderApi) {}",
        ),
        ("reconcile/plan.rs", "async fn plan() {}"),
        (
            "number.rs",
            "const A: char = '\"'; use crate::provider::Order; const B: char = '\"';",
        ),
        ("number/mark.rs", "use super::super::provider::twilio;"),
        (
            "number.rs",
            "fn of<'a>(text: &'a str) -> crate::burki::Reply<'a> { todo!() }",
        ),
        ("reconcile/report.rs", "use super::plan::{Facts, plan};"),
        (
            "reconcile/perform/settle.rs",
            "fn next(facts: &Facts) { super::super::plan::plan(facts); }",
        ),
        ("reconcile/resolve.rs", "use kube::api::PatchParams;"),
        (
            "reconcile/resolve.rs",
            "fn resolve(quotas: &HourlyQuotas) {}",
        ),
        (
            "reconcile/perform/look.rs",
            "use super::super::writer::Writer;",
        ),
        (
            "reconcile/perform/spend.rs",
            "fn buy(providers: &Providers) {}",
        ),
        (
            "reconcile/perform/settle.rs",
            "use super::super::quota::{HourlyQuotas, Slot};",
        ),
        (
            "reconcile/report.rs",
            "fn report(state: &State, schedule: &Schedule) {}",
        ),
        ("burki.rs", "use reqwest::Client;"),
        ("plugin/cluster.rs", "use kube::api::{Api, PostParams};"),
        (
            "plugin/account.rs",
            "fn buy(account: &telephony::account::Account) { account.provider_api(); }",
        ),
        ("plugin/lib.rs", "use telephony::provider;"),
        ("plugin/survey.rs", "use telephony::claim::Claim;"),
        ("lib.rs", "pub use reqwest;"),
    ] {
        assert!(judged(name, text) > 0, "{name} was let through: {text}");
    }
}

#[test]
fn what_follows_the_rules_is_let_through() {
    for (name, text) in [
        (
            "number.rs",
            "pub use mark::Mark; use self::mark::Whose; use crate::number::setup::Routing;",
        ),
        (
            "number/mark.rs",
            "use super::Owner; pub(crate) fn mark() {} pub(super) fn owner() {}",
        ),
        (
            "claim.rs",
            "use crate::{clock::Instant, number::{E164, Owner}};",
        ),
        (
            "outcome.rs",
            "//! Knows no kube, no crate::cluster.\n/* crate::cluster /* crate::controller */ */ use crate::claim::Token;",
        ),
        ("provider/http.rs", "use reqwest::Client;"),
        (
            "outcome.rs",
            "const HELP: &str = \"see \\\" crate::cluster kube\";",
        ),
        (
            "outcome.rs",
            "const KIND: &str = r#\"a \"kube::Client\" of crate::cluster\"#;",
        ),
        (
            "outcome.rs",
            "#[cfg(test)]\nmod tests { use kube::Client; fn a() { b[0]; } }",
        ),
        ("outcome.rs", "#[cfg(test)]\n#[path = \"x.rs\"]\nmod kube;"),
        (
            "reconcile/plan/maintain.rs",
            "use super::{Step, Facts}; use crate::provider::{Order, OrderState};",
        ),
        (
            "reconcile/perform.rs",
            "use crate::leader::Term; use kube::Client;",
        ),
        (
            "api/refs.rs",
            "use kube::Resource; use crate::{AccountKind, word::Word}; use super::PhoneNumber; use telephony::number::Owner;",
        ),
        (
            "outcome.rs",
            "use phonenumber_api::Reason; use crate::api::Class;",
        ),
        (
            "cluster/observations.rs",
            "use crate::outcome::{Memory, Outcome}; use super::Cluster;",
        ),
        (
            "reconcile/number.rs",
            "use super::plan::plan; use crate::cluster::Cluster; use crate::outcome::Outcome;",
        ),
        (
            "controller/reconciler.rs",
            "use super::schedule::Schedule; use crate::reconcile::number; use crate::cluster::Cluster;",
        ),
        (
            "reconcile/perform/spend.rs",
            "fn claim(cluster: &Cluster, writer: &Writer, quotas: &HourlyQuotas) {}",
        ),
        (
            "plugin/account.rs",
            "use super::cluster::Cluster; use telephony::account::Accounts; use telephony::provider::{Error, http::Client};",
        ),
    ] {
        let violations = judged(name, text);
        assert_eq!(violations, 0, "{name} was refused: {text}");
    }
}

#[test]
fn what_follows_a_test_is_judged_again() {
    let text = "#[cfg(test)] mod tests { fn a() {} } use crate::cluster::Cluster;";
    assert_eq!(judged("outcome.rs", text), 1);
}

#[test]
fn a_second_place_that_makes_tokens_is_noticed() {
    let sources = [
        Source::new("claim.rs", "impl Token { pub fn from_reply() {} }"),
        Source::new(
            "reconcile/perform.rs",
            "let token = Token::from_reply(reply, claim, sent);",
        ),
        Source::new(
            "reconcile/number.rs",
            "use crate::claim::Token as Right; fn a() { Right::from_reply() }",
        ),
        Source::new(
            "provider/twilio.rs",
            "#[cfg(test)] mod tests { fn token() { Token::from_reply() } }",
        ),
    ];
    assert_eq!(
        makers_of_tokens(&sources, MAKES_TOKENS[0]),
        ["reconcile/perform.rs", "reconcile/number.rs"]
    );
}
