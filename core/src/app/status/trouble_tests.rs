//! What keeps a process from being as asked: each trouble, what is said of it, and what is not.

use serde_json::json;

use super::tests::{add_pod, broken, running, set};
use crate::app::{Outcome, status};
use crate::conditions::find;

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
