//! Known ways in which money or a number was lost in models and in other programs, each played as a story.

mod accounts;
mod connections;
mod crashes;
mod evidence;
mod faults;
mod hostile;
mod limits;
mod lists;
mod orders;
mod papers;
mod people;
mod refusals;
mod rest;
mod rights;
mod rivals;
mod undone;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use phonenumber_emulator::Deed;
use serde_json::{Value, json};

use crate::audit::{self, Diary, reason};
use crate::cluster::Place;
use crate::in_simulated_time;
use crate::marks;
use crate::operator::Options;
use crate::process::{Call, Fate, Script, Wrong};
use crate::world::{
    CONNECTION, NAMESPACE, TELNYX_ACCOUNTS, World, condition, credentials, is_ready,
};

const NUMBER: &str = "+12125550001";
const TELNYX_NUMBER: &str = "+16175550001";

fn twilio() -> Value {
    json!({"provider": "twilio", "phoneNumber": NUMBER})
}

fn telnyx() -> Value {
    json!({"provider": "telnyx", "phoneNumber": TELNYX_NUMBER})
}

fn any_twilio() -> Value {
    json!({"provider": "twilio", "search": {"country": "US", "areaCode": "212"}})
}

fn any_telnyx() -> Value {
    json!({"provider": "telnyx", "search": {"country": "US", "areaCode": "617"}})
}

/// The first Telnyx account, which nothing identifies before it has a number.
fn unidentified() -> Value {
    json!({"telnyx": [{
        "organization": TELNYX_ACCOUNTS[0], "key": "emulator-key", "connection": CONNECTION, "profile": "",
    }]})
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn elected() -> Options {
    Options {
        leader_elect: true,
        ..Options::default()
    }
}

/// How often operators did this to a number.
fn deeds(world: &World, deed: Deed) -> usize {
    let world = world.emulator.world();
    let entries = world.ledger.entries.iter();
    entries
        .filter(|entry| entry.deed == deed && entry.by != "console")
        .count()
}

fn held(world: &World) -> usize {
    world.emulator.world().numbers.iter().count()
}

fn assert_right(world: &World) {
    assert_right_but_for(world, &Diary::of(1));
}

fn assert_right_but_for(world: &World, diary: &Diary) {
    let faults = audit::faults(world, diary);
    assert!(
        faults.is_empty(),
        "{}\n{}",
        faults.join("\n"),
        world.shown()
    );
}

/// The first request that `wanted` picks meets `fate`.
fn once(wanted: impl Fn(&Call) -> bool + Send + Sync + 'static, fate: Fate) -> Script {
    let met = AtomicBool::new(false);
    Arc::new(
        move |call| match wanted(call) && !met.swap(true, Ordering::Relaxed) {
            true => fate,
            false => Fate::Answered,
        },
    )
}

/// The listings of `side` that `wrong` names, counted from nothing, are wrong.
fn wrong_listings(side: &'static str, wrong: Wrong, which: &'static [usize]) -> Script {
    let listings = AtomicUsize::new(0);
    Arc::new(move |call| {
        if call.side != side || call.operation != "list" {
            return Fate::Answered;
        }
        let place = listings.fetch_add(1, Ordering::Relaxed);
        match which.contains(&place) {
            true => Fate::Wrong(wrong),
            false => Fate::Answered,
        }
    })
}

async fn until_ready(world: &World, name: &'static str) {
    world
        .run_until("Ready", |world| is_ready(&world.get(name)))
        .await;
}

async fn until_reason(world: &World, name: &'static str, wanted: &'static str) {
    world
        .run_until(wanted, |world| reason(&world.get(name)) == wanted)
        .await;
}

async fn until_gone(world: &World, name: &'static str) {
    world
        .run_until("gone", |world| world.get(name).is_null())
        .await;
}

macro_rules! traces {
    ($($file:ident { $($name:ident,)* })*) => {
        /// Every trace, by its name.
        pub const ALL: &[(&str, fn())] = &[$($((stringify!($name), $file::$name),)*)*];
    };
}

traces! {
    undone {
        a_deleted_number_is_kept_for_the_delay_by_one_write_and_then_released,
        a_deletion_is_undone_by_retain_and_the_next_object_takes_the_number_up,
        a_delay_is_ended_by_the_policy_and_by_the_account,
        a_delay_holds_while_the_account_cannot_be_asked,
        a_number_that_is_gone_has_no_delay,
    }
    crashes {
        two_that_both_believe_to_lead,
        two_that_both_believe_to_lead_and_the_quota,
        a_crash_in_the_middle_of_an_adoption_then_a_deletion,
        a_standby_that_takes_over_while_the_first_purchase_is_slow,
        a_leader_frozen_between_claim_and_purchase_and_woken_after_the_second_bought_another_number,
        create_and_delete_in_a_loop_against_the_quota_across_restarts,
        a_replace_in_the_middle_of_an_unknown_purchase,
        the_assistant_directory_is_down_after_a_lost_reply,
        crash_loops_shorter_than_the_visibility_period,
        a_deletion_between_the_purchase_and_the_status_write,
    }
    accounts {
        two_namespaces_with_keys_of_one_account_and_equal_searches,
        two_operators_for_a_namespace_each_with_keys_of_one_account,
        two_installations_with_ids_that_begin_alike,
        a_secret_of_another_account_then_a_deletion,
        a_claim_that_is_stripped_while_the_secret_opens_another_account,
        a_page_that_shifts_while_a_listing_runs,
        a_listing_begun_before_a_release_that_ends_after_it,
        a_fifth_of_the_numbers_ported_out_at_once,
        a_number_that_is_deleted_while_the_provider_denies_it_once,
        an_account_of_three_numbers_that_is_listed_empty,
        a_key_that_is_rotated_once_its_account_is_identified,
        one_secret_for_telnyx_and_burki_sends_nothing_to_burki,
    }
    limits {
        an_account_at_its_limit_buys_nothing_after_a_restart,
        a_purchase_whose_process_died_counts_against_the_limits,
        an_attempt_that_may_have_bought_does_not_count_against_its_own_repetition,
        a_listing_that_is_wrong_makes_no_room,
        what_is_given_back_by_hand_makes_room_soon,
        what_may_be_hidden_counts_until_the_visibility_period_is_over,
        a_claim_is_dated_when_it_is_sent,
        what_is_taken_over_counts_in_the_hour,
        what_was_bought_before_the_account_was_identified_uses_up_its_budget,
        what_is_deleted_while_nobody_watches_frees_its_budget,
        searches_that_wait_for_a_budget_reserve_nothing,
    }
    evidence {
        a_number_that_was_written_over_is_never_released,
        a_number_that_was_bought_by_hand_after_requests_that_never_left_is_never_released,
        a_searched_number_that_was_written_over_is_never_released,
        clocks_of_one_provider_that_lie_apart,
        clocks_of_two_hosts_date_no_attempt,
        a_number_that_comes_long_after_its_first_attempt_is_the_one_that_is_paid,
        a_search_that_cannot_tell_what_it_bought_buys_nothing_more,
        a_doubt_whose_claim_is_gone,
        a_cluster_that_is_built_again_under_another_installation_id,
        a_purchase_that_is_undone_after_its_answer,
    }
    lists {
        a_listing_that_lacks_what_was_bought,
        a_listing_that_hides_the_number_of_another_installation,
        a_number_that_the_provider_writes_otherwise,
        a_number_that_a_listing_shows_and_its_filter_does_not,
    }
    orders {
        an_order_that_succeeded_whose_number_is_not_listed_for_minutes,
        an_order_that_succeeds_after_its_cancellation,
        last_years_order_with_the_same_mark,
        a_successful_order_whose_number_never_shows_comes_to_an_end,
        a_search_that_is_lost_and_declared_again_while_its_order_lasts,
        a_search_whose_claim_goes_while_its_status_is_refused,
        a_search_that_is_declared_again_after_its_number_was_given_back,
    }
    hostile {
        forged_claims_with_amounts_without_bounds_stop_nobody,
        a_number_that_is_kept_at_the_last_moment_is_not_released,
        a_number_that_is_denied_once_is_not_taken_for_released,
    }
    rest {
        every_shape_of_a_spec_comes_to_rest,
        a_messaging_service_that_nobody_declared_is_named,
        a_service_that_refuses_a_number_is_asked_once_in_half_an_hour,
        an_outage_of_telnyx_messaging_is_no_drift,
        who_renames_a_number_again_and_again_is_left_to_people,
        a_number_whose_state_changes_at_telnyx_says_so_and_recovers,
    }
    connections {
        two_accounts_that_manage_one_connection_do_not_write_against_each_other,
        a_webhook_is_managed_only_where_the_account_names_it_and_somebody_may_write,
        a_connection_that_burki_names_is_not_managed,
    }
    papers {
        papers_that_change_after_the_purchase_are_written_or_refused,
        papers_for_an_order_that_waits_are_attached_to_it,
        papers_that_are_rejected_need_a_person,
    }
    people {
        a_number_that_is_bought_by_hand_while_it_is_being_claimed,
        a_number_that_was_bought_by_hand_and_is_hidden_for_a_minute,
        an_adopted_number_whose_resource_is_restored_and_deleted,
        a_number_that_was_renamed_in_the_console,
        the_definition_is_deleted_under_live_resources,
        search_and_number_exchanged_behind_the_rules_of_admission,
        a_forged_claim_buys_nothing_that_limits_forbid,
        an_older_operator_on_a_newer_definition,
        a_protection_that_is_set_while_the_number_is_being_recorded,
        a_refused_candidate_that_may_have_been_bought_before_rests,
        an_assistant_that_is_taken_out_soon_after_a_restore_no_longer_answers,
        what_is_not_declared_any_more_is_not_assigned_by_who_does_not_know,
        a_number_whose_object_is_replaced_by_its_bare_manifest_is_released,
        a_number_that_is_renamed_while_it_is_set_up,
    }
    rivals {
        a_restored_resource_keeps_its_number_from_a_younger_rival,
        two_resources_that_declare_one_number_and_one_of_them_looks_slowly,
        two_resources_that_claim_one_number_at_one_moment,
    }
    refusals {
        objects_that_are_refused_cost_their_neighbours_nothing,
        purchases_of_unknown_outcome_cost_their_neighbours_nothing,
        releases_that_are_refused_cost_their_neighbours_nothing,
        a_webhook_that_the_provider_refuses_is_mended_in_the_account,
        a_search_that_is_refused_is_no_outage,
        a_claim_that_is_not_stored_counts_for_nothing,
        a_purchase_that_is_not_made_counts_for_nothing,
        a_number_that_the_last_look_shows_counts_for_nothing,
        a_release_that_does_not_take_place_counts_for_nothing,
        a_refused_release_and_the_limit_of_another_process_are_not_told_in_turn,
    }
}
