use serde_json::Value;

use super::*;
use crate::app::observed::ContentDigest;
use crate::app::testing::{World, now};
use crate::app::{Outcome, status};

fn template<'a>(world: &'a World, process: &str) -> &'a Value {
    &world.deployments[&format!("brigade-{process}")]["spec"]["template"]
}

fn mark<'a>(world: &'a World, process: &str, key: &str) -> Option<&'a str> {
    template(world, process)["metadata"]["annotations"][key].as_str()
}

fn digest(whole: &str, keys: &[(&str, &str)]) -> Content {
    let keys = keys
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Content::Present(ContentDigest {
        whole: whole.into(),
        keys,
    })
}

#[test]
fn a_restart_rolls_every_process_once_and_stays_done_when_the_annotation_goes() {
    let mut world = World::new("{image: 'ghcr.io/b/s:1', processes: [{name: web}, {name: worker}]}");
    world.annotate(labels::RESTARTED_AT, "2026-11-22T10:00:00Z");
    world.settle();
    for process in ["web", "worker"] {
        assert_eq!(
            mark(&world, process, labels::RESTARTED_AT),
            Some("2026-11-22T10:00:00Z")
        );
    }
    world.app.metadata.annotations = None;
    world.settle();
    assert_eq!(mark(&world, "web", labels::RESTARTED_AT), Some("2026-11-22T10:00:00Z"));
    world.annotate(labels::RESTARTED_AT, "2026-11-22T09:00:00Z");
    world.settle();
    assert_eq!(
        mark(&world, "web", labels::RESTARTED_AT),
        Some("2026-11-22T10:00:00Z"),
        "an older time rolls nothing"
    );
}

#[test]
fn a_changed_secret_rolls_only_the_processes_that_use_it() {
    let spec = "{image: 'ghcr.io/b/s:1', processes: [{name: web}, {name: worker}], volumes: [{name: v, process: worker, mountPath: /v, secretRef: {name: certs}}]}";
    let mut world = World::new(spec);
    world.contents.insert(ContentRef::secret("certs"), digest("one", &[]));
    world.settle();
    let before = mark(&world, "worker", labels::CONTENT).unwrap().to_owned();
    assert_eq!(mark(&world, "web", labels::CONTENT), None);
    world.contents.insert(ContentRef::secret("certs"), digest("two", &[]));
    world.settle();
    assert_ne!(mark(&world, "worker", labels::CONTENT), Some(before.as_str()));
    assert_eq!(mark(&world, "web", labels::CONTENT), None);
}

#[test]
fn a_key_that_nobody_uses_rolls_nothing() {
    let mut world = World::new("{image: 'ghcr.io/b/s:1', secretEnv: {URL: {name: db, key: url}}}");
    world
        .contents
        .insert(ContentRef::secret("db"), digest("one", &[("url", "u"), ("other", "o")]));
    world.settle();
    let before = mark(&world, "web", labels::CONTENT).unwrap().to_owned();
    world
        .contents
        .insert(ContentRef::secret("db"), digest("two", &[("url", "u"), ("other", "p")]));
    world.settle();
    assert_eq!(mark(&world, "web", labels::CONTENT), Some(before.as_str()));
}

#[test]
fn a_secret_that_vanishes_rolls_nothing_and_holds_what_is_there() {
    let mut world = World::new("{image: 'ghcr.io/b/s:1', envFrom: [{secretRef: {name: db}}]}");
    world.contents.insert(ContentRef::secret("db"), digest("one", &[]));
    world.settle();
    let before = world.deployments.clone();
    world.contents.insert(ContentRef::secret("db"), Content::Missing);
    world.settle();
    assert!(matches!(world.plan().hold, Some(Hold::Missing(_))));
    assert_eq!(world.deployments, before);
}

#[test]
fn a_restart_that_cannot_be_followed_is_told_and_holds_nothing_up() {
    for (asked, said) in [("now", "not an RFC 3339 time"), ("2099-01-01T00:00:00Z", "lies ahead")] {
        let mut world = World::new("{image: 'ghcr.io/b/s:1'}");
        world.annotate(labels::RESTARTED_AT, asked);
        world.settle();
        world.roll_out();
        assert_eq!(world.ready(), "True/Running");
        let message = &world.status().conditions[0].message;
        let field = "metadata.annotations[tremplin.dev/restarted-at]: ";
        assert!(message.contains(field) && message.contains(said), "{message}");
        // The next one counts.
        world.annotate(labels::RESTARTED_AT, "2026-11-22T10:00:00Z");
        world.settle();
        assert_eq!(mark(&world, "web", labels::RESTARTED_AT), Some("2026-11-22T10:00:00Z"));
    }
}

#[test]
fn every_secret_and_config_map_that_a_spec_names_is_asked_for_once() {
    let app = crate::app::testing::app(
        "{secretEnv: {A: {name: s1, key: k}, B: {name: s1, key: l}}, envFrom: [{configMapRef: {name: c1}}], volumes: [{name: v, mountPath: /v, secretRef: {name: s2}}]}",
    );
    let named: Vec<_> = content_refs(&app.spec)
        .into_iter()
        .map(|content| content.name)
        .collect();
    assert_eq!(named, ["c1", "s1", "s2"]);
}

/// The same app under a platform file that renders its pods otherwise.
fn new_platform(world: &mut World) {
    let file = "{domains: [{domain: localhost, hostTemplate: '{app}.{domain}'}], exposures: [{name: public, default: true, scheme: http, type: Ingress}], \
                sizes: {M: {cpu: '1', memory: 2Gi, default: true}}, security: {type: OpenShift}}";
    world.platform = Platform::parse(file).unwrap();
}

#[test]
fn only_a_change_that_the_team_did_not_make_waits_for_its_turn() {
    let mut world = World::new("{image: 'ghcr.io/b/s:1'}");
    world.settle();
    assert!(!world.plan().upgrade, "at rest");

    world.commit("{image: 'ghcr.io/b/s:2'}");
    assert!(!world.plan().upgrade, "a new image");
    world.settle();
    world.annotate(labels::RESTARTED_AT, "2026-11-22T10:00:00Z");
    assert!(!world.plan().upgrade, "a restart");
    world.settle();

    new_platform(&mut world);
    let mut plan = world.plan();
    assert!(plan.upgrade);
    plan.wait_for_turn();
    let before = world.deployments.clone();
    world.apply(&plan);
    assert_eq!(world.deployments, before);
    world.roll_out();
    let waits = Decision::Go(Box::new(plan));
    let told = status(&world.app, &world.observed(), &waits, &Outcome::default(), now());
    let ready = &told.conditions[0];
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("True", "Running"));
    assert!(ready.message.contains("waits for its turn"), "{}", ready.message);
    world.settle();
    assert_ne!(world.deployments, before);
    assert!(!world.plan().upgrade);
}

#[test]
fn a_commit_that_comes_with_a_new_platform_does_not_wait() {
    let mut world = World::new("{image: 'ghcr.io/b/s:1'}");
    world.settle();
    new_platform(&mut world);
    world.commit("{image: 'ghcr.io/b/s:2'}");
    assert!(!world.plan().upgrade);
}

#[test]
fn a_commit_to_one_process_does_not_wait_for_the_turn_of_another() {
    let spec = "{image: 'ghcr.io/b/s:1', processes: [{name: web}, {name: worker}], crons: [{name: mails, schedule: '@daily'}]}";
    for commit in [
        "processes: [{name: web, replicas: 3}, {name: worker}], crons: [{name: mails, schedule: '@daily'}]",
        "processes: [{name: web}], crons: [{name: mails, schedule: '@daily'}]",
        "processes: [{name: web}, {name: worker}, {name: api}], crons: [{name: mails, schedule: '@daily'}]",
        "processes: [{name: web}, {name: worker}]",
    ] {
        let mut world = World::new(spec);
        world.settle();
        new_platform(&mut world);
        assert!(world.plan().upgrade);
        world.commit(&format!("{{image: 'ghcr.io/b/s:1', {commit}}}"));
        assert!(!world.plan().upgrade, "{commit}");
    }
}

/// Nothing rolls for it, and a run asked for by hand is recorded there.
#[test]
fn a_cron_does_not_wait_for_the_turn_of_its_app() {
    let mut world = World::new("{image: 'ghcr.io/b/s:1', crons: [{name: mails, schedule: '@daily'}]}");
    world.settle();
    new_platform(&mut world);
    world.annotate(labels::RUN_CRON, "mails@2026-11-22T10:00:00Z");
    let before = world.deployments.clone();
    for _ in 0..3 {
        let mut plan = world.plan();
        plan.wait_for_turn();
        world.apply(&plan);
        world.step(&plan.step);
    }
    assert_eq!((world.created.len(), world.running().len()), (1, 1));
    assert_eq!(world.deployments, before);
    world.jobs.clear();
    world.settle();
    assert_eq!(world.created.len(), 1, "it is recorded, so it does not run again");
}

#[test]
fn drift_does_not_wait() {
    let mut world = World::new("{image: 'ghcr.io/b/s:1'}");
    world.settle();
    let live = world.deployments.get_mut("brigade-web").unwrap();
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "ghcr.io/b/s:hacked".into();
    assert!(!world.plan().upgrade);
}

#[test]
fn a_change_of_one_process_does_not_wait_behind_the_upgrade_of_another() {
    let mut world = World::new("{image: 'ghcr.io/b/s:1', processes: [{name: web}, {name: worker}]}");
    world.settle();
    new_platform(&mut world);
    assert!(world.plan().upgrade);
    world.commit("{image: 'ghcr.io/b/s:1', processes: [{name: web}, {name: worker, command: [work]}]}");
    assert!(!world.plan().upgrade);
}
