//! The table of situations: what is the case, and what Ready, Reconciling and Stalled say.

use serde_json::json;

use crate::app::observed::{Content, ContentDigest};
use crate::app::testing::World;
use crate::app::valid::ContentRef;
use crate::app::{Outcome, Reason, status};
use crate::conditions::is_true;
use crate::fault::{Fault, Refusal};

const SIX_LINES: &str = "{image: 'ghcr.io/brigade/site:one'}";

pub(super) fn running() -> World {
    let mut world = World::new(SIX_LINES);
    world.settle();
    world.roll_out();
    world
}

pub(super) fn set(world: &mut World, pointer: &str, value: serde_json::Value) {
    let live = world.deployments.get_mut("brigade-web").unwrap();
    *live.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
}

pub(super) fn add_pod(world: &mut World, status: &serde_json::Value) {
    world.pods.push(json!({
        "metadata": {"name": "brigade-web-1", "namespace": "brigade-ns", "uid": "pod-1", "labels": {
            "tremplin.dev/app": "brigade", "tremplin.dev/process": "web", "pod-template-hash": "h",
        }},
        "status": status,
    }));
}

/// One instance of two is missing, with a pod that shows why.
pub fn broken(container: &serde_json::Value) -> World {
    with_containers(&[], &[container])
}

/// The same, with what a platform put into the pod.
pub fn with_containers(init: &[serde_json::Value], containers: &[&serde_json::Value]) -> World {
    let mut world = running();
    set(&mut world, "/status/availableReplicas", json!(0));
    set(&mut world, "/status/readyReplicas", json!(0));
    add_pod(
        &mut world,
        &json!({"phase": "Running", "initContainerStatuses": init, "containerStatuses": containers}),
    );
    world
}

#[test]
fn an_app_that_runs_as_asked_is_ready() {
    let world = running();
    assert_eq!(world.ready(), "True/Running");
    let status = world.status();
    assert_eq!(status.observed_generation, Some(3));
    assert_eq!(status.replicas.as_deref(), Some("2/2"));
    assert_eq!(status.image.as_deref(), Some("ghcr.io/brigade/site:one"));
    assert_eq!(status.history.len(), 1);
    assert!(is_true(&status.conditions, "Available"));
}

#[test]
fn a_second_look_changes_nothing() {
    let mut world = running();
    let first = world.status();
    world.app.status = Some(first.clone());
    assert_eq!(world.status(), first);
}

#[test]
fn a_rollout_is_reconciling_until_its_deadline_and_then_stalled_also_while_the_old_version_serves() {
    let mut world = running();
    world.commit("{image: 'ghcr.io/brigade/site:two'}");
    world.settle();
    assert_eq!(
        world.ready(),
        "False/Deploying Reconciling",
        "the Deployment controller has not looked yet"
    );
    world.roll_out();
    set(&mut world, "/status/updatedReplicas", json!(1));
    assert_eq!(world.ready(), "False/Deploying Reconciling");
    set(
        &mut world,
        "/status/conditions/0/reason",
        json!("ProgressDeadlineExceeded"),
    );
    assert_eq!(world.ready(), "False/RolloutFailed Stalled");
    assert!(is_true(&world.status().conditions, "Available"));
}

#[test]
fn a_missing_secret_is_waited_for_by_name_and_heals() {
    let spec = "{image: 'ghcr.io/brigade/site:one', secretEnv: {DATABASE_URL: {name: db, key: url}}}";
    let mut world = World::new(spec);
    let secret = ContentRef::secret("db");
    world.contents.insert(secret.clone(), Content::Missing);
    world.settle();
    assert_eq!(world.ready(), "False/ReferenceMissing Reconciling");
    assert!(
        world.status().conditions[0]
            .message
            .contains("the Secret db does not exist")
    );
    assert!(world.deployments.is_empty());

    let digest = |key: &str| ContentDigest {
        whole: "w".into(),
        keys: [(key.to_owned(), "k".to_owned())].into(),
    };
    world.contents.insert(secret.clone(), Content::Present(digest("other")));
    assert!(world.status().conditions[0].message.contains("has no key url"));

    world.contents.insert(secret, Content::Present(digest("url")));
    world.settle();
    world.roll_out();
    assert_eq!(world.ready(), "True/Running");
}

#[test]
fn what_the_api_server_refuses_is_stalled_and_what_it_could_not_do_now_is_reconciling() {
    let world = running();
    for (fault, expected) in [
        (
            Fault::stalled(Refusal::NameTaken, "Service brigade-web is not ours", "rename"),
            ("False", "NameTaken", "Stalled"),
        ),
        (
            Fault::waiting(Refusal::QuotaExceeded, "no room", "lower"),
            ("False", "QuotaExceeded", "Reconciling"),
        ),
        (
            Fault::transient(Refusal::ApiUnavailable, "timed out"),
            ("False", "ApiUnavailable", "Reconciling"),
        ),
    ] {
        let outcome = Outcome {
            fault: Some(fault.map(Reason::from)),
            inventory: Vec::new(),
        };
        let status = status(
            &world.app,
            &world.observed(),
            &world.decide(),
            &outcome,
            jiff::Timestamp::UNIX_EPOCH,
        );
        let ready = &status.conditions[0];
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), (expected.0, expected.1));
        assert!(is_true(&status.conditions, expected.2));
        let next = ["rename", "lower", "Next: Nothing: it is tried again"];
        assert!(
            next.iter().any(|next| ready.message.contains(next)),
            "{}",
            ready.message
        );
    }
}

#[test]
fn a_suspended_app_is_ready_as_asked() {
    let mut world = running();
    world.commit("{image: 'ghcr.io/brigade/site:two', suspend: true}");
    assert_eq!(world.ready(), "True/Suspended");
}

#[test]
fn every_fault_of_a_spec_is_told_at_once() {
    let world = World::new("{image: 'nginx', exposure: moon, processes: [{name: web, size: huge}]}");
    let message = world.status().conditions[0].message.clone();
    assert_eq!(world.ready(), "False/InvalidImage Stalled");
    assert!(
        message.contains("spec.exposure: the platform has no exposure moon")
            && message.contains("spec.processes[0].size"),
        "{message}"
    );
}

#[test]
fn a_bad_commit_leaves_the_old_version_told_as_serving() {
    let mut world = running();
    world.commit("{image: nginx}");
    let status = world.status();
    assert_eq!(world.ready(), "False/InvalidImage Stalled");
    assert!(is_true(&status.conditions, "Available"));
    assert_eq!(status.replicas.as_deref(), Some("2/2"));
}

#[test]
fn a_release_that_cannot_start_is_told() {
    let mut world = World::new("{image: 'ghcr.io/brigade/site:one', release: {command: [migrate]}}");
    world.settle();
    let observed = world.observed();
    let uid = crate::app::unexplained(&observed).remove(0);
    let told = |event: &str| {
        let mut observed = world.observed();
        observed.events.insert(uid.clone(), event.into());
        status(
            &world.app,
            &observed,
            &world.decide(),
            &Outcome::default(),
            jiff::Timestamp::UNIX_EPOCH,
        )
        .conditions[0]
            .clone()
    };
    let quota = told(
        "Error creating: pods \"x\" is forbidden: exceeded quota: dso-quota, requested: limits.cpu=1, used: limits.cpu=1, limited: limits.cpu=1",
    );
    assert_eq!(quota.reason, "QuotaExceeded");
    assert!(quota.message.contains("1 asked, 1 of 1 used"), "{}", quota.message);
}

#[test]
fn a_release_that_has_just_ended_is_no_crash_loop() {
    let mut world = World::new("{image: 'ghcr.io/brigade/site:one', release: {command: [migrate]}}");
    world.settle();
    let job = world.running().remove(0);
    for exit_code in [0, 1] {
        world.pods = vec![json!({
            "metadata": {"name": "release-1", "namespace": "brigade-ns", "uid": "release-1", "labels": {"batch.kubernetes.io/job-name": job, "tremplin.dev/release": "true"}},
            "status": {"phase": "Running", "containerStatuses": [
                {"name": "release", "image": "i", "state": {"terminated": {"exitCode": exit_code, "reason": "Completed"}}}
            ]},
        })];
        assert_eq!(world.ready(), "False/Releasing Reconciling");
    }
}

#[test]
fn a_key_without_a_value_is_told_though_the_api_server_drops_it() {
    let mut world = running();
    let written = r#"{"spec": {"image": "x", "release": null, "processes": [{"name": "web", "port": null}]}}"#;
    world.annotate("kubectl.kubernetes.io/last-applied-configuration", written);
    let message = world.status().conditions[0].message.clone();
    assert!(
        message.contains("spec.release has no value") && message.contains("spec.processes[0].port"),
        "{message}"
    );
    assert_eq!(world.ready(), "True/Running");
}

#[test]
fn a_refusal_of_the_api_server_comes_with_a_next_step() {
    let mut world = running();
    world.commit(SIX_LINES);
    let outcome = Outcome {
        fault: Some(Fault::stalled(
            Reason::ImmutableField,
            "Deployment brigade-web: field is immutable",
            "",
        )),
        inventory: Vec::new(),
    };
    let now = "2026-11-22T12:00:00Z".parse().unwrap();
    let told = status(&world.app, &world.observed(), &world.decide(), &outcome, now);
    let message = &told.conditions[0].message;
    assert_eq!(
        *message,
        format!(
            "Deployment brigade-web: field is immutable. Next: {}",
            Reason::ImmutableField.action()
        )
    );
}
