//! Each safeguard is taken out, and a trace then finds what it prevents: a rule that no test misses is no rule.

use std::any::Any;
use std::fmt::Write as _;
use std::panic;

use phonenumber_operator::safeguards::{Safeguard, disable};

use crate::{cluster, page, traces};

/// What is taken out: one of the program's own rules, or the comparing of versions by the API server.
#[derive(Clone, Copy)]
enum Out {
    Rule(Safeguard),
    CompareAndSwap,
}

/// A safeguard for people, how it is taken out, the trace that misses it, and what that trace finds then.
const NEEDED: [(&str, Out, &str, &str); 17] = [
    (
        "the claim is stored by compare-and-swap",
        Out::CompareAndSwap,
        "two_that_both_believe_to_lead",
        "right: 10",
    ),
    (
        "the account is looked at once more between the claim and the purchase of a number",
        Out::Rule(Safeguard::LastLook),
        "a_number_that_is_bought_by_hand_while_it_is_being_claimed",
        "Configure by twilio",
    ),
    (
        "a number that carries our mark, and is older than the request, was not bought by it",
        Out::Rule(Safeguard::ProofOfPurchase),
        "a_number_that_was_bought_by_hand_and_is_hidden_for_a_minute",
        "Ready=Some((\"True\", \"Ready\"",
    ),
    (
        "a claim is bought on within seconds, or not at all",
        Out::Rule(Safeguard::TokenAge),
        "a_leader_frozen_between_claim_and_purchase_and_woken_after_the_second_bought_another_number",
        "left: 2",
    ),
    (
        "an unknown outcome is waited out",
        Out::Rule(Safeguard::Doubt),
        "crash_loops_shorter_than_the_visibility_period",
        "right: 1",
    ),
    (
        "a foreign mark forbids the release",
        Out::Rule(Safeguard::ForeignMark),
        "two_installations_with_ids_that_begin_alike",
        "left: \"Ready\"",
    ),
    (
        "a candidate is reserved, for all that use the provider's account",
        Out::Rule(Safeguard::Reservation),
        "two_namespaces_with_keys_of_one_account_and_equal_searches",
        "Configure by twilio",
    ),
    (
        "one resource at a time claims a number",
        Out::Rule(Safeguard::OneAtATime),
        "two_resources_that_claim_one_number_at_one_moment",
        "belongs to PhoneNumber support/another",
    ),
    (
        "the first to claim a number has it, as is known when the next claim is written",
        Out::Rule(Safeguard::FirstComeFirstServed),
        "two_resources_that_declare_one_number_and_one_of_them_looks_slowly",
        // Which of the two that is depends on how long their requests take.
        "\"OwnedByAnother\"",
    ),
    (
        "a number stays with the account that it was bought in",
        Out::Rule(Safeguard::PinnedAccount),
        "a_secret_of_another_account_then_a_deletion",
        "right: \"AccountMismatch\"",
    ),
    (
        "what only listings show to be absent is absent when two of them agree",
        Out::Rule(Safeguard::SecondListing),
        "a_listing_that_lacks_what_was_bought",
        "numbers were bought for 5 resources",
    ),
    (
        "a release leaves after a write on the version that it was decided on",
        Out::Rule(Safeguard::ReleaseFence),
        "a_number_that_is_kept_at_the_last_moment_is_not_released",
        "a number was released that is to be kept",
    ),
    (
        "a number is gone when the provider has said so twice, by its id",
        Out::Rule(Safeguard::ConfirmedAbsence),
        "a_number_that_is_deleted_while_the_provider_denies_it_once",
        "left: 1",
    ),
    (
        "an adopted number is marked as one",
        Out::Rule(Safeguard::AdoptedMark),
        "a_number_that_was_written_over_is_never_released",
        "left: String(\"Bought\")\n right: \"Adopted\"",
    ),
    (
        "a deleted number is kept for as long as the account says",
        Out::Rule(Safeguard::ReleaseDelay),
        "a_deleted_number_is_kept_for_the_delay_by_one_write_and_then_released",
        "the number was released before its time",
    ),
    (
        "the hourly quota is counted by compare-and-swap",
        Out::Rule(Safeguard::CountBySwap),
        "two_that_both_believe_to_lead_and_the_quota",
        "numbers were bought, and 5 may be",
    ),
    (
        "an assignment is announced by compare-and-swap",
        Out::Rule(Safeguard::Announcement),
        "what_is_not_declared_any_more_is_not_assigned_by_who_does_not_know",
        "left: Number(101)",
    ),
];

#[test]
fn each_safeguard_is_needed() {
    let mut table = String::from("| taken out | found by |\n|---|---|\n");
    let mut not_missed = Vec::new();
    for (safeguard, out, name, fault) in NEEDED {
        let trace = traces::ALL.iter().find(|(known, _)| *known == name);
        let (_, trace) = trace.unwrap();
        trace();
        match out {
            Out::Rule(rule) => disable(Some(rule)),
            Out::CompareAndSwap => cluster::set_comparing(false),
        }
        let played = panic::catch_unwind(trace);
        disable(None);
        cluster::set_comparing(true);
        let found = played.err().map(|panic| text_of(panic.as_ref()));
        // A trace that only comes to no end has found nothing.
        if !found.as_ref().is_some_and(|found| found.contains(fault)) {
            let found = found.unwrap_or_else(|| "nothing".to_owned());
            not_missed.push(format!(
                "{safeguard}: {name} should find {fault:?} and found {found}"
            ));
        }
        let _ = writeln!(table, "| {safeguard} | `{name}` |");
    }
    assert!(not_missed.is_empty(), "{}", not_missed.join("\n\n"));
    page::compare("safeguards", &table);
}

/// What a panic says.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_default()
}
