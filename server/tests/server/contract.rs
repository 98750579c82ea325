//! What every store promises, whatever the database. Each promise runs on a store of its own users.

pub mod accounts;
pub mod bundles;
pub mod groups;
pub mod logs;
pub mod mailboxes;
pub mod room;
pub mod time;

pub use crate::rows::*;

/// Runs every promise on the store that `$open` makes.
#[macro_export]
macro_rules! contract {
    ($open:path) => {
        $crate::contract!(@list $open,
            accounts: name_is_one_account_in_every_spelling, adopted_capitals_are_the_account_of_the_small_letters, invite_is_used_once, password_changes_by_compare_and_set,
                colliding_rows_are_refused_until_renamed, enrolled_account_keeps_its_name, accounts_are_listed_in_pages,
                atk_21_hostile_text_is_only_ever_a_value, atk_22_corrupt_hashes_come_out_as_they_are;
            logs: of_two_first_enrolments_one_wins, append_is_compare_and_set, revoked_device_loses_everything_and_never_returns,
                reset_archives_and_ends_the_old_devices, reset_waits_and_is_cancelled, waiting_devices_are_few_and_known,
                atk_23_swapped_hashes_change_no_identity, login_state_tells_where_everything_stands;
            bundles: bundle_sequence_only_rises, one_time_key_is_handed_out_once, keys_a_bundle_does_not_list_are_dropped, bundle_without_a_key_uses_none_up,
                racing_requesters_get_different_keys;
            mailboxes: sequences_are_contiguous_per_device, repeated_submit_gets_its_first_answer,
                one_bad_row_fails_alone, outdated_head_stores_nothing, full_mailbox_is_named_and_others_served,
                quotas_count_within_one_commit, bytes_of_an_account_are_counted_over_all_mailboxes_until_they_go, atk_84_bytes_of_one_sender_leave_room_for_others_and_come_back_when_they_go, acknowledged_messages_make_room, acknowledgement_ahead_is_refused,
                reading_stops_at_the_byte_limit, unknown_and_ended_devices_are_not_found,
                sweep_forgets_by_age_and_keeps_the_sequence, sweep_of_much_lets_others_in_between, how_far_submits_had_come_outlives_their_memory, racing_commits_leave_no_gap, large_commits_are_whole;
            room: posts_are_contiguous_and_deduplicated, newest_posts_come_without_a_cursor, sweep_keeps_the_counter,
                any_text_survives;
            groups: op_takes_its_place_once_and_may_ask_again, place_is_given_by_the_token_of_the_op_before,
                account_makes_so_many_groups_also_at_two_servers, of_racing_ops_one_takes_the_place, nothing_is_stored_under_an_op_once_the_next_one_was_called, ended_device_appends_nothing,
                groups_outlive_sweeps_resets_and_their_account, groups_answer_as_their_model,
                submit_under_another_op_of_its_group_stores_nothing, submit_is_repeated_and_its_answer_stays_when_the_group_went_on,
                submit_in_many_groups_is_judged_by_each, all_devices_of_a_submit_may_be_full;
            time: seen_time_is_kept_and_never_goes_back, a_post_goes_by_the_time_that_was_seen_whatever_its_clock_said,
                an_invite_goes_once_it_has_ended_and_not_with_what_is_old;
        );
    };
    (@list $open:path, $($module:ident: $($promise:ident),+;)+) => {
        $(mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let home = $open().await;
                $crate::contract::$module::$promise(&home).await;
            })+
        })+
    };
}
