use serde_json::json;

use crate::app::observed::{Content, ContentDigest};
use crate::app::testing::World;
use crate::app::valid::ContentRef;
use crate::app::{Hold, ReleaseState, Step, unexplained};
use crate::labels::RESTARTED_AT;

fn spec(image: &str) -> String {
    format!("{{image: 'ghcr.io/brigade/site:{image}', release: {{command: [migrate]}}}}")
}

fn image_of(world: &World) -> String {
    world.deployments["brigade-web"]["spec"]["template"]["spec"]["containers"][0]["image"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// An app whose first version is released and rolled out.
fn released() -> World {
    let mut world = World::new(&spec("one"));
    world.settle();
    let job = world.running().remove(0);
    world.end_job(&job, true, "");
    world.settle();
    world.roll_out();
    world
}

#[test]
fn nothing_rolls_out_before_the_first_release_succeeded() {
    let mut world = World::new(&spec("one"));
    assert_eq!(world.plan().hold, Some(Hold::FirstRelease));
    world.settle();
    assert!(world.deployments.is_empty());
    assert_eq!(world.ready(), "False/Releasing Reconciling");
    let job = world.running().remove(0);
    world.end_job(&job, true, "");
    world.settle();
    assert!(image_of(&world).ends_with(":one"));
}

#[test]
fn the_job_is_made_suspended_then_recorded_then_resumed() {
    let mut world = World::new(&spec("one"));
    assert!(matches!(world.round(), Step::CreateJob(job) if job.spec.as_ref().unwrap().suspend == Some(true)));
    assert!(world.record.is_none() && world.running().is_empty());
    assert!(matches!(world.round(), Step::ResumeJob { .. }));
    assert!(world.record.is_some());
    assert_eq!(world.running().len(), 1);
}

#[test]
fn a_death_between_any_two_writes_never_runs_it_twice() {
    // Applied, but the step was not done: the next round finds the same step.
    let mut world = World::new(&spec("one"));
    for _ in 0..4 {
        let plan = world.plan();
        world.apply(&plan);
        let again = world.plan();
        world.apply(&again);
        world.step(&again.step);
    }
    assert_eq!(world.created.len(), 1);
    assert_eq!(world.running().len(), 1);
}

#[test]
fn a_failed_release_keeps_the_old_version_and_is_told_with_its_last_words() {
    let mut world = released();
    world.commit(&spec("two"));
    world.settle();
    let job = world.running().remove(0);
    world.end_job(
        &job,
        false,
        "relation users does not exist at postgres://app:hunter2@db/app",
    );
    world.settle();
    assert!(image_of(&world).ends_with(":one"));
    assert_eq!(world.ready(), "False/ReleaseFailed Stalled");
    let message = world
        .status()
        .conditions
        .iter()
        .find(|c| c.type_ == "Released")
        .unwrap()
        .message
        .clone();
    assert!(
        message.contains("exit code 1: relation users") && !message.contains("hunter2"),
        "{message}"
    );
    world.settle();
    assert_eq!(world.created.len(), 2, "it is not tried again by itself");
}

#[test]
fn a_newer_restart_allows_one_more_attempt() {
    let mut world = released();
    world.commit(&spec("two"));
    world.settle();
    let job = world.running().remove(0);
    world.end_job(&job, false, "");
    world.annotate(RESTARTED_AT, "2026-11-22T11:00:00Z");
    world.settle();
    let job = world.running().remove(0);
    world.end_job(&job, false, "");
    world.settle();
    assert_eq!(world.created.len(), 3);
    assert_eq!(world.ready(), "False/ReleaseFailed Stalled");
}

#[test]
fn a_lost_job_leaves_the_outcome_unknown_and_nothing_rolls_out() {
    let mut world = released();
    world.commit(&spec("two"));
    world.settle();
    world.jobs.clear();
    world.settle();
    assert_eq!(world.ready(), "False/ReleaseOutcomeUnknown Stalled");
    assert!(image_of(&world).ends_with(":one"));
    assert_eq!(world.created.len(), 2);
}

#[test]
fn releases_never_overlap_and_only_the_newest_waits() {
    let mut world = released();
    world.commit(&spec("two"));
    world.settle();
    let two = world.running().remove(0);
    world.commit(&spec("three"));
    world.settle();
    world.commit(&spec("four"));
    world.settle();
    assert_eq!(world.running(), std::slice::from_ref(&two));
    world.end_job(&two, true, "");
    world.settle();
    let four = world.running().remove(0);
    world.end_job(&four, true, "");
    world.settle();
    assert_eq!(world.created.len(), 3, "three never ran");
    assert!(image_of(&world).ends_with(":four"));
}

#[test]
fn a_version_that_comes_back_is_not_released_again() {
    let mut world = released();
    world.commit(&spec("two"));
    world.settle();
    let job = world.running().remove(0);
    world.end_job(&job, true, "");
    world.settle();
    world.jobs.clear();
    world.commit(&spec("one"));
    world.settle();
    assert!(image_of(&world).ends_with(":one"));
    assert_eq!(world.created.len(), 2);
}

#[test]
fn a_lost_record_is_read_back_from_the_deployments() {
    let mut world = released();
    world.record = None;
    world.jobs.clear();
    world.settle();
    assert_eq!(world.created.len(), 1);
    assert_eq!(world.ready(), "True/Running");
}

#[test]
fn what_is_not_in_the_key_changes_without_a_release() {
    let mut world = released();
    world.commit(
        "{image: 'ghcr.io/brigade/site:one', release: {command: [migrate]}, processes: [{name: web, replicas: 3}]}",
    );
    world.settle();
    assert_eq!(world.created.len(), 1);
    assert_eq!(world.deployments["brigade-web"]["spec"]["replicas"], 3);
}

#[test]
fn drift_of_the_old_version_is_repaired_while_the_new_one_is_stuck() {
    let mut world = released();
    world.commit(
        "{image: 'ghcr.io/brigade/site:two', release: {command: [migrate]}, processes: [{name: web}, {name: worker}]}",
    );
    world.settle();
    world.deployments.clear();
    world.settle();
    assert_eq!(world.deployments.keys().collect::<Vec<_>>(), ["brigade-web"]);
    assert!(image_of(&world).ends_with(":one"));
}

#[test]
fn no_release_begins_while_a_secret_is_missing() {
    let spec = "{image: 'ghcr.io/brigade/site:one', release: {command: [migrate]}, envFrom: [{secretRef: {name: db}}]}";
    let mut world = World::new(spec);
    let secret = ContentRef::secret("db");
    world.contents.insert(secret.clone(), Content::Missing);
    world.settle();
    assert!(world.created.is_empty());
    assert_eq!(world.ready(), "False/ReferenceMissing Reconciling");
    world
        .contents
        .insert(secret, Content::Present(ContentDigest::default()));
    world.settle();
    assert_eq!(world.running().len(), 1);
}

#[test]
fn a_release_taken_out_of_the_spec_while_it_runs_is_waited_for() {
    for succeeded in [true, false] {
        let mut world = released();
        world.commit(&spec("two"));
        world.settle();
        let job = world.running().remove(0);
        world.commit("{image: 'ghcr.io/brigade/site:two'}");
        world.settle();
        assert!(image_of(&world).ends_with(":one"), "beside a migration that runs");
        assert_eq!(world.ready(), "False/Releasing Reconciling");
        world.end_job(&job, succeeded, "");
        world.settle();
        assert!(image_of(&world).ends_with(":two"));
    }
}

#[test]
fn a_release_that_never_had_a_pod_is_told_with_what_kept_it() {
    const QUOTA: &str = "Error creating: pods \"x\" is forbidden: exceeded quota: dso-quota, requested: limits.cpu=1, used: limits.cpu=2, limited: limits.cpu=2";
    let mut world = released();
    world.commit(&spec("two"));
    world.settle();
    let job = world.running().remove(0);
    let failed = json!({"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "Job was active longer than specified deadline"});
    world.jobs.get_mut(&job).unwrap()["status"] = json!({"startTime": "2026-11-22T10:00:00Z", "conditions": [failed]});
    let uid = world.jobs[&job]["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(unexplained(&world.observed()), [uid.as_str()], "its Events are read");

    for (event, said) in [
        (
            Some(QUOTA),
            "it never started: the quota dso-quota has no room (limits.cpu: 1 asked, 2 of 2 used)",
        ),
        (
            None,
            "it never started: no pod could be made for it in spec.release.timeoutSeconds",
        ),
    ] {
        let mut observed = world.observed();
        observed
            .events
            .extend(event.map(|event| (uid.clone(), event.to_owned())));
        let crate::app::Decision::Go(plan) = crate::app::decide(&world.app, &observed, &world.platform) else {
            panic!("no plan");
        };
        let ReleaseState::Failed(words) = &plan.release else {
            panic!("{:?}", plan.release);
        };
        assert!(words.starts_with(said), "{words}");
    }
    world.settle();
    assert_eq!(world.ready(), "False/ReleaseFailed Stalled");
    assert_eq!(
        unexplained(&world.observed()),
        [""; 0],
        "what is recorded is not asked for again"
    );

    // A pod that ran out of time did start.
    let mut world = released();
    world.commit(&spec("two"));
    world.settle();
    let job = world.running().remove(0);
    let failed = json!({"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too long"});
    world.jobs.get_mut(&job).unwrap()["status"] = json!({"failed": 1, "conditions": [failed]});
    world.settle();
    assert!(
        world.status().conditions[0]
            .message
            .contains("DeadlineExceeded: too long")
    );
}
