//! What a team lives through on a real node: each trial is named after the rule that it keeps.
//!
//! One cluster is brought up per run, with the platform's policies, the data path and the operator. Most trials run
//! beside each other, each in an environment of its own as Cloud π native makes it; those that take the operator away
//! run after them, in their order. Nothing of Tremplin's code is used here: it is judged from outside.
//!
//! It needs root; without it every trial is ignored.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic, and so may its helpers"
)]

mod app;
mod counter;
mod kill;
mod operator;
mod policy;
mod references;
mod release;
mod roll;
mod samples;
mod serve;
mod stage;
mod tasks;
mod team;
mod traffic;
mod trouble;
mod uninstall;
mod world;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use stage::Stage;

/// How many trials run beside each other: nearly all of their time is spent waiting for the cluster.
const BESIDE: usize = 10;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(BESIDE);
    let stage = Stage::new();
    let beside = stage::trials![
        stage;
        samples::every_sample_is_ready_and_reachable,
        tasks::a_cron_runs_by_the_clock_and_its_result_is_told,
        trouble::a_failing_probe_is_told_with_its_port_and_the_answer,
        roll::no_request_fails_during_a_roll_and_some_do_without_a_pre_stop,
        roll::a_roll_proceeds_when_the_quota_has_no_room_for_the_surge,
        roll::a_refusal_by_the_quota_is_told_with_its_numbers,
        release::a_failed_release_keeps_the_old_version_and_each_version_is_released_once,
        references::a_missing_secret_is_named_and_the_app_goes_on_when_it_is_there,
        references::a_changed_secret_rolls_the_processes_that_use_it_once,
        tasks::a_cron_asked_for_by_hand_runs_once_and_its_failure_is_told,
        tasks::a_restart_rolls_once,
        trouble::a_crash_is_told_with_its_exit_code_and_last_words,
        trouble::a_process_out_of_memory_is_told,
        trouble::an_image_that_cannot_be_pulled_is_told,
        trouble::an_instance_that_no_node_takes_is_told,
        policy::a_refused_object_is_told_in_the_words_of_the_policy,
        policy::a_refused_instance_is_told_in_the_words_of_the_policy,
        serve::six_lines_are_reachable_and_told_in_columns,
        serve::front_and_back_stand_behind_one_host,
    ];
    let beside = libtest_mimic::run(&arguments, beside);
    arguments.test_threads = Some(1);
    let after = stage::trials![
        stage;
        kill::a_release_runs_once_however_often_the_operator_is_killed,
        uninstall::apps_go_on_while_the_operator_stops_is_replaced_and_uninstalled,
    ];
    let after = libtest_mimic::run(&arguments, after);
    if beside.has_failed() || after.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
