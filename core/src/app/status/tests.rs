//! The table of situations: what is the case, and what Ready, Reconciling and Stalled say.

use serde_json::json;

use crate::api::startup_app::InventoryItem;
use crate::app::observed::{Content, ContentDigest};
use crate::app::testing::World;
use crate::app::valid::ContentRef;
use crate::app::{Outcome, Reason, status};
use crate::conditions::{find, is_true};
use crate::fault::{Fault, Refusal};
use crate::platform::Platform;

const SIX_LINES: &str = "{image: 'ghcr.io/brigade/site:one'}";

fn running() -> World {
    let mut world = World::new(SIX_LINES);
    world.settle();
    world.roll_out();
    world
}

fn set(world: &mut World, pointer: &str, value: serde_json::Value) {
    let live = world.deployments.get_mut("brigade-web").unwrap();
    *live.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
}

fn add_pod(world: &mut World, status: &serde_json::Value) {
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
fn each_trouble_of_a_container_has_its_own_reason() {
    let waiting = |reason: &str, message: &str| json!({"name": "web", "image": "i", "state": {"waiting": {"reason": reason, "message": message}}});
    for (container, expected, said) in [
        (
            waiting("ImagePullBackOff", "manifest unknown"),
            "False/ImagePullFailed Reconciling",
            "manifest unknown",
        ),
        (
            waiting("CreateContainerConfigError", "secret \"db\" not found"),
            "False/ReferenceMissing Reconciling",
            "secret \"db\"",
        ),
        (
            waiting(
                "CreateContainerConfigError",
                "container has runAsNonRoot and image will run as root",
            ),
            "False/ContainerStartFailed Reconciling",
            "image will run as root",
        ),
        (
            json!({"name": "web", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                   "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "message": "no DATABASE_URL"}}}),
            "False/CrashLooping Reconciling",
            "exit code 3: no DATABASE_URL",
        ),
        (
            json!({"name": "web", "restartCount": 5, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}),
            "False/CrashLooping Stalled",
            "OOMKilled",
        ),
        (
            json!({"name": "web", "restartCount": 1, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}),
            "False/CrashLooping Reconciling",
            "must keep running",
        ),
        (
            json!({"name": "web", "state": {"running": {}}}),
            "False/Deploying Reconciling",
            "0 of 2",
        ),
    ] {
        let world = broken(&container);
        assert_eq!(world.ready(), expected, "{container}");
        let message = world.status().conditions[0].message.clone();
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_probe_that_fails_is_told_from_the_event() {
    let world = broken(&json!({"name": "web", "state": {"running": {}}}));
    let mut observed = world.observed();
    assert_eq!(crate::app::unexplained(&observed), ["pod-1"]);
    observed.events.insert(
        "pod-1".into(),
        "Readiness probe failed: dial tcp 10.0.0.1:8080: connection refused".into(),
    );
    let status = status(
        &world.app,
        &observed,
        &world.decide(),
        &Outcome::default(),
        jiff::Timestamp::UNIX_EPOCH,
    );
    assert_eq!(status.conditions[0].reason, "ProbeFailing");
    assert!(status.conditions[0].message.contains(":8080: connection refused"));
}

#[test]
fn an_instance_that_does_not_answer_yet_is_starting_until_its_time_is_over() {
    const REFUSED: &str = "Startup probe failed: dial tcp 10.0.0.1:8080: connection refused";
    for (restarts, expected) in [(0, "Deploying"), (1, "ProbeFailing")] {
        let mut container =
            json!({"name": "web", "restartCount": restarts, "started": false, "state": {"running": {}}});
        if restarts > 0 {
            container["lastState"] = json!({"terminated": {"exitCode": 143, "reason": "Error"}});
        }
        let mut observed = broken(&container).observed();
        observed.events.insert("pod-1".into(), REFUSED.into());
        let health = crate::app::health::process_health("web", 2, &observed);
        let trouble = health.trouble.unwrap();
        assert_eq!(trouble.reason.as_str(), expected);
        assert!(
            trouble.message.contains("8080: connection refused"),
            "{}",
            trouble.message
        );
    }
}

#[test]
fn a_container_that_the_kubelet_ends_for_its_probe_is_told_so_with_what_is_asked() {
    const FAILED: &str = "Startup probe failed: HTTP probe failed with statuscode: 503";
    const ENDED: &str = "Startup probe failed: HTTP probe failed with statuscode: 503; \
        Container web failed startup probe, will be restarted";
    const BACK_OFF: &str = "Back-off restarting failed container web in pod brigade-web-1";
    for (exit_code, reason, event, expected) in [
        (143, "Error", FAILED, "ProbeFailing"),
        (0, "Completed", ENDED, "ProbeFailing"),
        (0, "Completed", FAILED, "CrashLooping"),
        (143, "Error", BACK_OFF, "CrashLooping"),
        (137, "OOMKilled", FAILED, "CrashLooping"),
        (3, "Error", FAILED, "CrashLooping"),
    ] {
        let ended = json!({"exitCode": exit_code, "reason": reason});
        let mut world = broken(&json!({"name": "web", "restartCount": 2, "started": false,
            "state": {"running": {}}, "lastState": {"terminated": ended}}));
        let probe = json!({"httpGet": {"port": 8080, "path": "/healthz"}});
        world.pods[0]["spec"] = json!({"containers": [{"name": "web", "startupProbe": probe}]});
        let mut observed = world.observed();
        let is_open = !crate::app::unexplained(&observed).is_empty();
        assert_eq!(is_open, exit_code != 3 && reason != "OOMKilled", "{exit_code} {reason}");
        observed.events.insert("pod-1".into(), event.into());
        let now = jiff::Timestamp::UNIX_EPOCH;
        let status = status(&world.app, &observed, &world.decide(), &Outcome::default(), now);
        let ready = &status.conditions[0];
        assert_eq!(ready.reason, expected, "{exit_code} {event}");
        if expected == "ProbeFailing" {
            let words =
                "web does not pass its health check (port 8080, path /healthz), and was restarted for that 2 times: ";
            assert!(
                ready.message.starts_with(words) && ready.message.contains("503"),
                "{}",
                ready.message
            );
        }
    }
}

#[test]
fn a_pod_that_no_node_takes_is_told() {
    let mut world = running();
    set(&mut world, "/status/availableReplicas", json!(1));
    add_pod(
        &mut world,
        &json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available: Insufficient cpu"}]}),
    );
    // No container status yet: the kubelet has not seen the pod.
    assert_eq!(world.ready(), "False/Unschedulable Reconciling");
}

#[test]
fn a_refused_pod_is_told_with_the_quotas_numbers_or_the_policys_words() {
    for (message, expected, said) in [
        (
            "pods \"x\" is forbidden: exceeded quota: dso-quota, requested: limits.cpu=1, used: limits.cpu=2, limited: limits.cpu=2",
            "False/QuotaExceeded Reconciling",
            "limits.cpu: 1 asked, 2 of 2 used",
        ),
        (
            "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": seccompProfile",
            "False/PolicyRefused Reconciling",
            "seccompProfile",
        ),
        (
            "pods \"x\" is forbidden: maximum cpu usage per Container is 50m, but limit is 250m",
            "False/QuotaExceeded Reconciling",
            "cpu: 250m asked, at most 50m per Container",
        ),
        (
            "pods \"x\" is forbidden: minimum memory usage per Container is 1Gi, but request is 128Mi",
            "False/QuotaExceeded Reconciling",
            "memory: 128Mi asked, at least 1Gi per Container); choose a larger",
        ),
        (
            "pods \"x\" is forbidden: error looking up service account team-dev/brigade: serviceaccount \"brigade\" not found",
            "False/InstanceRefused Reconciling",
            "serviceaccount \"brigade\" not found",
        ),
        (
            "Internal error occurred: failed calling webhook \"validate.kyverno.svc\": connection refused",
            "False/ApiUnavailable Reconciling",
            "connection refused",
        ),
        (
            "Pod \"x\" is invalid: spec.containers[0].image: Required value",
            "False/InvalidChild Reconciling",
            "Required value",
        ),
    ] {
        let mut world = running();
        set(&mut world, "/status/availableReplicas", json!(1));
        let failure =
            json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}]);
        set(&mut world, "/status/conditions", failure);
        assert_eq!(world.ready(), expected);
        assert!(world.status().conditions[0].message.contains(said));
        assert_eq!(
            find(&world.status().conditions, "QuotaFits").is_some(),
            expected.contains("Quota")
        );
    }
}

#[test]
fn a_roll_that_waits_for_the_room_of_ending_instances_is_no_lack_of_quota() {
    let message =
        "pods \"x\" is forbidden: exceeded quota: dso-quota, requested: pods=1, used: pods=2, limited: pods=2";
    let mut world = running();
    set(&mut world, "/status/availableReplicas", json!(1));
    let failure = json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}]);
    set(&mut world, "/status/conditions", failure);
    add_pod(&mut world, &json!({"phase": "Running"}));
    assert_eq!(world.ready(), "False/QuotaExceeded Reconciling");
    world.pods[0]["metadata"]["deletionTimestamp"] = json!("2026-11-22T12:00:10Z");
    assert_eq!(world.ready(), "False/Deploying Reconciling");
    assert!(find(&world.status().conditions, "QuotaFits").is_none());
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
