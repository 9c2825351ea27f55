//! Platforms inject containers into our pods: what is told is the fate of ours, unless another keeps it from running.

use serde_json::{Value, json};

use super::tests::{broken, with_containers};
use crate::app::testing::World;

fn ended(name: &str, exit_code: i32, restarts: i32) -> Value {
    json!({"name": name, "image": "i", "restartCount": restarts, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
           "lastState": {"terminated": {"exitCode": exit_code, "reason": "Error", "message": format!("words of {name}")}}})
}

fn done(name: &str) -> Value {
    json!({"name": name, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}})
}

fn runs(name: &str) -> Value {
    json!({"name": name, "started": true, "ready": true, "state": {"running": {}}})
}

fn waits(name: &str) -> Value {
    json!({"name": name, "state": {"waiting": {"reason": "PodInitializing"}}})
}

/// Reason and message with these containers, whichever order the kubelet gives them in.
fn told(init: &[Value], one: &Value, other: &Value) -> (String, String) {
    let tell = |containers: [&Value; 2]| {
        let status = with_containers(init, &containers).status();
        let ready = &status.conditions[0];
        (ready.reason.clone(), ready.message.clone())
    };
    assert_eq!(tell([one, other]), tell([other, one]));
    tell([one, other])
}

#[test]
fn a_container_that_ended_well_before_ours_is_no_trouble() {
    let (reason, message) = told(&[done("istio-init")], &runs("web"), &runs("istio-proxy"));
    assert_eq!(reason, "Deploying", "{message}");
}

#[test]
fn a_crash_of_ours_is_told_whatever_stands_beside_it() {
    for beside in [runs("istio-proxy"), ended("istio-proxy", 1, 1)] {
        for init in [vec![], vec![done("istio-init")], vec![done("vault"), runs("native")]] {
            let (reason, message) = told(&init, &ended("web", 3, 2), &beside);
            assert_eq!(reason, "CrashLooping");
            assert!(
                message.starts_with("web ended 2 times: exit code 3: words of web"),
                "{message}"
            );
        }
    }
}

#[test]
fn a_container_before_ours_that_fails_explains_a_pod_that_never_starts() {
    let (reason, message) = told(
        &[done("vault"), ended("istio-init", 1, 2)],
        &waits("web"),
        &waits("istio-proxy"),
    );
    assert_eq!(reason, "CrashLooping");
    assert!(
        message.contains(
            "the container istio-init, which the platform added, ended 2 times: exit code 1: words of istio-init"
        ),
        "{message}"
    );
    let unpulled = json!({"name": "istio-init", "image": "proxyv2:1", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no"}}});
    let (reason, message) = told(&[unpulled], &waits("web"), &waits("istio-proxy"));
    assert_eq!(reason, "ImagePullFailed");
    assert!(
        message.contains("istio-init") && message.contains("proxyv2:1"),
        "{message}"
    );
}

#[test]
fn a_sidecar_that_fails_is_told_when_ours_is_well() {
    let (reason, message) = told(&[], &runs("web"), &ended("istio-proxy", 2, 1));
    assert_eq!(reason, "CrashLooping");
    assert!(
        message.contains("istio-proxy") && message.contains("exit code 2"),
        "{message}"
    );
}

#[test]
fn only_our_container_is_counted_in_the_status() {
    let world = with_containers(
        &[done("istio-init")],
        &[&ended("istio-proxy", 2, 7), &ended("web", 3, 1)],
    );
    let process = &world.status().processes[0];
    assert_eq!(process.restarts, 1);
    assert_eq!(process.last_exit.as_ref().unwrap().exit_code, 3);
}

#[test]
fn a_probe_of_ours_is_looked_up_also_beside_a_sidecar() {
    for containers in [[runs("istio-proxy"), runs("web")], [runs("web"), runs("istio-proxy")]] {
        let world = with_containers(&[done("istio-init")], &[&containers[0], &containers[1]]);
        assert_eq!(crate::app::unexplained(&world.observed()), ["pod-1"]);
    }
    let world = broken(&waits("web"));
    assert_eq!(crate::app::unexplained(&world.observed()), [""; 0]);
}

/// A release whose pod ended with these containers.
fn released(init: &[Value], containers: &[&Value]) -> String {
    let mut world = World::new("{image: 'ghcr.io/brigade/site:one', release: {command: [migrate]}}");
    world.settle();
    let job = world.running().remove(0);
    world.end_job(&job, false, "");
    world.pods[0]["status"]["initContainerStatuses"] = json!(init);
    world.pods[0]["status"]["containerStatuses"] = json!(containers);
    world.settle();
    assert_eq!(world.ready(), "False/ReleaseFailed Stalled");
    world.status().conditions[0].message.clone()
}

#[test]
fn a_failed_release_is_told_by_its_own_container() {
    let (own, proxy) = (ended("release", 4, 0), done("istio-proxy"));
    for containers in [[&own, &proxy], [&proxy, &own]] {
        let message = released(&[done("istio-init")], &containers);
        assert!(message.contains("exit code 4: words of release"), "{message}");
    }
    let failed = json!({"name": "istio-init", "state": {"terminated": {"exitCode": 9, "message": "no iptables"}}});
    let message = released(&[failed], &[&waits("istio-proxy"), &waits("release")]);
    assert!(
        message.contains("it never began: the container istio-init of its pod ended with exit code 9: no iptables"),
        "{message}"
    );
}

#[test]
fn a_release_that_a_sidecar_outlived_is_not_told_to_have_failed_with_exit_code_0() {
    let mut world = World::new("{image: 'ghcr.io/brigade/site:one', release: {command: [migrate]}}");
    world.settle();
    let job = world.running().remove(0);
    world.end_job(&job, false, "");
    world.jobs.get_mut(&job).unwrap()["status"]["conditions"][0]["reason"] = json!("DeadlineExceeded");
    world.pods[0]["status"]["containerStatuses"] = json!([done("release"), ended("istio-proxy", 143, 0)]);
    world.settle();
    let message = &world.status().conditions[0].message;
    assert!(
        message.contains("it ended well, but the container istio-proxy of its pod ran on"),
        "{message}"
    );
}
