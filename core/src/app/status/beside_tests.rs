//! What is told beside Ready: what serves and where, its crons, its history, its inventory, the platform's rules.

use serde_json::json;

use super::tests::running;
use crate::api::startup_app::InventoryItem;
use crate::app::observed::{Content, ContentDigest};
use crate::app::testing::World;
use crate::app::valid::ContentRef;
use crate::app::{Outcome, status};
use crate::conditions::{find, is_true};
use crate::platform::Platform;

#[test]
fn the_image_told_is_the_one_that_serves() {
    let mut world = running();
    world.app.status = Some(world.status());
    world.commit("{image: 'ghcr.io/brigade/site:two'}");
    world.settle();
    assert_eq!(world.status().image.as_deref(), Some("ghcr.io/brigade/site:one"));
    world.roll_out();
    assert_eq!(world.status().image.as_deref(), Some("ghcr.io/brigade/site:two"));
}

#[test]
fn a_guessed_environment_is_told() {
    assert!(is_true(&running().status().conditions, "EnvironmentAssumed"));
    let mut world = World::new("{image: 'ghcr.io/brigade/site:one', environment: Staging}");
    world.settle();
    assert!(!is_true(&world.status().conditions, "EnvironmentAssumed"));
}

#[test]
fn the_result_of_a_cron_outlives_its_job() {
    let mut world = World::new(
        "{image: 'ghcr.io/brigade/site:one', crons: [{name: mails, schedule: '0 6 * * *', command: [send]}]}",
    );
    world.settle();
    world.roll_out();
    let job = |name: &str, at: &str, end: &str| {
        json!({"metadata": {"name": name, "namespace": "brigade-ns", "uid": name, "labels": {"tremplin.dev/cron": "mails"}},
               "status": {"startTime": at, "conditions": [{"type": end, "status": "True", "reason": "DeadlineExceeded"}]}})
    };
    world
        .jobs
        .insert("a".into(), job("a", "2026-11-21T06:00:00Z", "Complete"));
    world
        .jobs
        .insert("b".into(), job("b", "2026-11-22T06:00:00Z", "Failed"));
    let status = world.status();
    assert_eq!(status.crons[0].last_result.as_deref(), Some("Failed: DeadlineExceeded"));
    assert!(!is_true(&status.conditions, "CronsHealthy") && find(&status.conditions, "CronsHealthy").is_some());
    assert_eq!(
        world.ready(),
        "True/Running",
        "a failed cron is told beside, the app serves"
    );
    world.app.status = Some(status.clone());
    world.jobs.clear();
    assert_eq!(world.status().crons, status.crons);
}

#[test]
fn a_failed_cron_is_told_with_its_last_words_masked_and_also_after_its_pod_is_gone() {
    let cron = "{name: mails, schedule: '0 6 * * *', command: [send], retries: 1}";
    let mut world = World::new(&format!("{{image: 'ghcr.io/brigade/site:one', crons: [{cron}]}}"));
    world.settle();
    world.roll_out();
    let failed = json!({"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"});
    let status = json!({"startTime": "2026-11-22T06:00:00Z", "conditions": [failed]});
    let labels = json!({"tremplin.dev/cron": "mails"});
    let metadata = json!({"name": "a", "namespace": "brigade-ns", "uid": "a", "labels": labels});
    world
        .jobs
        .insert("a".into(), json!({"metadata": metadata, "status": status}));
    for (minute, words) in [
        // Cut before it is masked, it would end in an innocent `ord=hunter2 …`.
        (2, format!("password=hunter2{}", " no relay".repeat(21))),
        (1, "an earlier try".to_owned()),
    ] {
        let ended = json!({"exitCode": 1, "reason": "Error", "message": words});
        let container = json!({"name": "mails", "state": {"terminated": ended}});
        world.pods.push(json!({
            "metadata": {
                "name": format!("a-{minute}"), "namespace": "brigade-ns", "uid": format!("a-{minute}"),
                "creationTimestamp": format!("2026-11-22T06:0{minute}:00Z"),
                "labels": {"tremplin.dev/app": "brigade", "tremplin.dev/cron": "mails", "batch.kubernetes.io/job-name": "a"},
            },
            "status": {"phase": "Failed", "containerStatuses": [container]},
        }));
    }
    let told = world.status();
    let result = told.crons[0].last_result.clone().unwrap();
    assert!(
        result.starts_with("Failed: exit code 1: …") && result.ends_with("no relay"),
        "{result}"
    );
    assert!(result.chars().count() < 230 && !result.contains("hunter2"), "{result}");
    let message = &find(&told.conditions, "CronsHealthy").unwrap().message;
    assert!(message.contains("mails (exit code 1: "), "{message}");
    world.app.status = Some(told.clone());
    world.pods.clear();
    assert_eq!(world.status(), told);
}

#[test]
fn what_the_platform_would_refuse_is_told_beside_with_its_fix() {
    let mut world = running();
    assert!(is_true(&world.status().conditions, "PolicyCompliant"));
    world.platform = Platform::bundled("cpin-pax").unwrap();
    world.commit("{image: 'elsewhere.example.org/brigade/site:one', exposure: None}");
    let status = world.status();
    let told = find(&status.conditions, "PolicyCompliant").unwrap();
    assert_eq!((told.status.as_str(), told.reason.as_str()), ("False", "RulesBroken"));
    assert!(
        told.message.contains("Deployment brigade-web") && told.message.contains("elsewhere.example.org"),
        "{}",
        told.message
    );
}

#[test]
fn a_health_check_on_a_port_of_its_own_keeps_the_platforms_rules() {
    for processes in [
        "{name: web, health: {port: 9090}}",
        "{name: web}, {name: worker, health: {port: 9090}}",
        "{name: web, health: {path: /up, port: 8080}}",
    ] {
        let mut world = World::new(&format!(
            "{{image: 'ghcr.io/brigade/site:one', processes: [{processes}]}}"
        ));
        world.settle();
        let status = world.status();
        let told = find(&status.conditions, "PolicyCompliant").unwrap();
        assert_eq!(told.status, "True", "{processes}: {}", told.message);
    }
}

#[test]
fn children_that_are_held_back_stay_in_the_inventory() {
    let mut world = World::new("{image: 'ghcr.io/brigade/site:one', envFrom: [{secretRef: {name: db}}]}");
    let item =
        |kind: &str| -> InventoryItem { serde_json::from_value(json!({"kind": kind, "name": "brigade"})).unwrap() };
    let (account, deployment) = (item("ServiceAccount"), item("Deployment"));
    let told = |world: &World, inventory: &[InventoryItem]| {
        let outcome = Outcome {
            fault: None,
            inventory: inventory.to_vec(),
        };
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        status(&world.app, &world.observed(), &world.decide(), &outcome, now)
    };
    let db = ContentRef::secret("db");
    world
        .contents
        .insert(db.clone(), Content::Present(ContentDigest::default()));
    world.app.status = Some(told(&world, &[account.clone(), deployment.clone()]));
    world.contents.insert(db.clone(), Content::Missing);
    let held = told(&world, std::slice::from_ref(&account));
    assert_eq!(held.inventory, [account.clone(), deployment]);

    world.contents.insert(db, Content::Present(ContentDigest::default()));
    world.app.status = Some(held);
    assert_eq!(told(&world, std::slice::from_ref(&account)).inventory, [account]);
}

#[test]
fn the_url_told_is_the_one_that_is_served() {
    let spec = |version: &str, host: &str| {
        format!(
            "{{image: 'ghcr.io/brigade/site:{version}', hosts: [{host}.localhost], links: {{{version}: 'https://{host}.example.org'}},
               release: {{command: [migrate]}}, crons: [{{name: {version}, schedule: '@daily', command: [send]}}]}}"
        )
    };
    let mut world = World::new(&spec("one", "old"));
    world.settle();
    let job = world.running().remove(0);
    world.end_job(&job, true, "");
    world.settle();
    world.app.status = Some(world.status());
    let served = world.status();
    assert!(served.url.as_ref().unwrap().contains("old.localhost"));

    world.commit(&spec("two", "new"));
    world.settle();
    let job = world.running().remove(0);
    world.end_job(&job, false, "no such table");
    world.settle();
    assert_eq!(world.ready(), "False/ReleaseFailed Stalled");
    let status = world.status();
    assert_eq!((&status.url, &status.links), (&served.url, &served.links));
    assert_eq!(status.crons[0].name, "one");
    assert_eq!(status.image, served.image);
}

#[test]
fn a_version_committed_while_suspended_is_not_in_the_history() {
    let mut world = running();
    world.app.status = Some(world.status());
    world.commit("{image: 'ghcr.io/brigade/site:two', hosts: [other.localhost], suspend: true}");
    let (before, now) = (world.app.status.clone().unwrap(), world.status());
    assert_eq!((now.history, now.url), (before.history, before.url));
}

#[test]
fn while_something_is_missing_the_url_stays_that_of_what_serves() {
    let mut world = running();
    let old = world.status();
    world.app.status = Some(old.clone());
    world.commit("{image: 'ghcr.io/brigade/site:two', hosts: [other.localhost], envFrom: [{secretRef: {name: db}}]}");
    world.contents.insert(ContentRef::secret("db"), Content::Missing);
    assert_eq!(world.status().url, old.url);
}
