use crate::app::Step;
use crate::app::observed::{Content, ContentDigest};
use crate::app::testing::World;
use crate::labels::RUN_CRON;

const SPEC: &str = "{image: 'ghcr.io/brigade/site:one', crons: [{name: mails, schedule: '@daily', command: [send]}]}";

fn asked(request: &str) -> World {
    let mut world = World::new(SPEC);
    world.settle();
    world.annotate(RUN_CRON, request);
    world
}

#[test]
fn a_request_runs_once_with_the_crons_command() {
    let mut world = asked("mails@2026-11-22T10:00:00Z");
    world.settle();
    let name = world.running().remove(0);
    assert_eq!(
        world.jobs[&name]["spec"]["template"]["spec"]["containers"][0]["command"][0],
        "send"
    );
    world.settle();
    assert_eq!(world.created.len(), 1);
}

#[test]
fn a_lost_job_is_not_run_again() {
    let mut world = asked("mails@2026-11-22T10:00:00Z");
    world.settle();
    world.jobs.clear();
    world.settle();
    assert_eq!(world.created.len(), 1);
}

#[test]
fn a_job_that_was_made_and_not_recorded_is_found_again() {
    let mut world = asked("mails@2026-11-22T10:00:00Z");
    assert!(matches!(world.round(), Step::CreateJob(_)));
    assert!(world.running().is_empty());
    assert!(matches!(world.round(), Step::ResumeJob { .. }));
    assert_eq!(world.running().len(), 1);
}

#[test]
fn a_newer_request_runs_too() {
    let mut world = asked("mails@2026-11-22T10:00:00Z");
    world.settle();
    world.annotate(RUN_CRON, "mails@2026-11-22T11:00:00Z");
    world.settle();
    assert_eq!(world.created.len(), 2);
}

#[test]
fn a_request_taken_back_leaves_its_mark_so_that_it_never_runs_again() {
    let mut world = asked("mails@2026-11-22T10:00:00Z");
    world.settle();
    world.app.metadata.annotations = None;
    world.settle();
    world.annotate(RUN_CRON, "mails@2026-11-22T10:00:00Z");
    world.jobs.clear();
    world.settle();
    assert_eq!(world.created.len(), 1);
}

/// The CronJob, which is to record the run, is left as it is while something is missing.
#[test]
fn nothing_runs_before_it_can_be_recorded() {
    let mut world = World::new(&SPEC.replace("{image", "{envFrom: [{secretRef: {name: db}}], image"));
    let db = crate::app::valid::ContentRef::secret("db");
    world
        .contents
        .insert(db.clone(), Content::Present(ContentDigest::default()));
    world.settle();
    world.contents.insert(db.clone(), Content::Missing);
    world.annotate(RUN_CRON, "mails@2026-11-22T10:00:00Z");
    world.settle();
    assert!(world.created.is_empty());

    world.contents.insert(db, Content::Present(ContentDigest::default()));
    world.settle();
    assert_eq!(world.running().len(), 1);
    world.jobs.clear();
    world.settle();
    assert_eq!(world.created.len(), 1);
}

#[test]
fn a_request_older_than_the_cron_job_was_for_its_predecessor() {
    let mut world = asked("mails@2026-11-22T08:00:00Z");
    world.settle();
    assert!(world.created.is_empty());
}

#[test]
fn a_request_that_cannot_be_followed_is_told_and_holds_nothing_up() {
    for (request, said) in [
        ("mails", "has no @"),
        ("mails@noon", "not an RFC 3339 time"),
        ("mails@2099-01-01T00:00:00Z", "lies ahead"),
        ("nobody@2026-11-22T10:00:00Z", "no cron \"nobody\" (it has: mails)"),
    ] {
        let mut world = asked(request);
        world.settle();
        world.roll_out();
        assert!(world.created.is_empty());
        assert_eq!(world.ready(), "True/Running");
        let message = &world.status().conditions[0].message;
        let field = "metadata.annotations[tremplin.dev/run-cron]: ";
        assert!(message.contains(field) && message.contains(said), "{message}");

        world.annotate(RUN_CRON, "mails@2026-11-22T10:00:00Z");
        let message = &world.status().conditions[0].message;
        assert!(!message.contains("annotations"), "{message}");
    }
}

#[test]
fn a_request_that_comes_back_after_a_newer_one_does_not_run_again() {
    let mut world = asked("mails@2026-11-22T10:00:00Z");
    world.settle();
    world.annotate(RUN_CRON, "mails@2026-11-22T11:00:00Z");
    world.settle();
    world.jobs.clear();
    world.annotate(RUN_CRON, "mails@2026-11-22T10:00:00Z");
    world.settle();
    assert_eq!(world.created.len(), 2);
}
