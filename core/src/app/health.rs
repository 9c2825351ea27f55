//! How a process fares, told from its Deployment and pods: one reason, one message, one next step.

use k8s_openapi::api::core::v1::Pod;

use super::mask::mask;
use super::observed::Observed;
use super::reasons::Reason;
use super::release;
use super::reminder::is_seen;
use crate::labels;
use crate::live::{ContainerFact, DeploymentFacts, Ended, Live, PodFacts};
use crate::refusal;

/// After so many restarts nobody waits for a container to get well by itself.
const HOPELESS_RESTARTS: i32 = 5;

/// How a process fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessHealth {
    /// The process.
    pub name: String,
    /// Instances that can serve.
    pub ready: i32,
    /// Instances wanted.
    pub desired: i32,
    /// What keeps it from being as asked; `None` when nothing does.
    pub trouble: Option<Trouble>,
}

/// What keeps a process from being as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The machine's word.
    pub reason: Reason,
    /// What is the case.
    pub message: String,
    /// Whether a human must act.
    pub stalled: bool,
}

/// Reads how a process fares. `replicas` is how many instances are wanted while there is no Deployment yet.
pub fn process_health(name: &str, replicas: i32, observed: &Observed) -> ProcessHealth {
    let Some(live) = observed.deployment(name) else {
        let trouble = Trouble {
            reason: Reason::Deploying,
            message: format!("{name} is not there yet"),
            stalled: false,
        };
        return ProcessHealth {
            name: name.to_owned(),
            ready: 0,
            desired: replicas,
            trouble: Some(trouble),
        };
    };
    let facts = &live.facts;
    ProcessHealth {
        name: name.to_owned(),
        ready: facts.ready,
        desired: facts.wanted,
        trouble: trouble(name, is_seen(live), facts, observed),
    }
}

fn trouble(name: &str, seen: bool, facts: &DeploymentFacts, observed: &Observed) -> Option<Trouble> {
    let complete =
        seen && facts.updated == facts.wanted && facts.total == facts.updated && facts.available >= facts.wanted;
    if complete {
        return None;
    }
    let past_deadline = seen
        && facts
            .condition("Progressing")
            .is_some_and(|c| c.reason == "ProgressDeadlineExceeded");
    let refused = facts
        .condition("ReplicaFailure")
        .filter(|c| seen && c.status == "True")
        .map(|c| refused(name, &c.message))
        // What ends leaves room for what was refused: that is how a roll goes on under a full quota.
        .filter(|(reason, ..)| *reason != Reason::QuotaExceeded || !observed.is_making_room(name));
    let found = refused.or_else(|| seen.then(|| worst_pod(name, observed)).flatten());
    let (mut reason, message, hopeless) = found.unwrap_or_else(|| {
        let ready = facts.updated.min(facts.available);
        let message = format!(
            "{name}: {ready} of {} instances of the new version are ready",
            facts.wanted
        );
        (Reason::Deploying, message, false)
    });
    if past_deadline && reason == Reason::Deploying {
        reason = Reason::RolloutFailed;
    }
    Some(Trouble {
        reason,
        message,
        stalled: past_deadline || hopeless,
    })
}

/// What keeps the pod of a running release from running.
pub fn release_trouble(observed: &Observed) -> Option<Trouble> {
    let job = observed
        .jobs
        .iter()
        .find(|job| job.label(labels::RELEASE).is_some() && !job.facts.suspended && job.facts.finished.is_none())?;
    let finding = observed
        .pods_of_job(job.name())
        .find_map(|pod| pod_finding("release", pod, observed))
        // The command ends once. How, the Job tells a moment later.
        .filter(|(reason, ..)| *reason != Reason::CrashLooping)
        .or_else(|| observed.events.get(job.uid()).map(|event| refused("release", event)))?;
    Some(Trouble {
        reason: finding.0,
        message: finding.1,
        stalled: false,
    })
}

type Finding = (Reason, String, bool);

/// The controller manager could not create a pod; its message is the API server's refusal.
fn refused(process: &str, message: &str) -> Finding {
    let reason = refusal::of_creation(message).map_or(Reason::InstanceRefused, Reason::from);
    let told = refusal::explain(message).unwrap_or_else(|| message.to_owned());
    (reason, format!("{process}: an instance was refused: {told}"), false)
}

/// The worst of the newest version's pods; the others only go.
fn worst_pod(process: &str, observed: &Observed) -> Option<Finding> {
    let newest = observed
        .pods_of_process(process)
        .max_by_key(|pod| pod.created_at())
        .map(|pod| pod.facts.template_hash.clone())?;
    observed
        .pods_of_process(process)
        .filter(|pod| pod.facts.template_hash == newest && !pod.facts.ready)
        .filter_map(|pod| pod_finding(process, pod, observed))
        .max_by_key(|(reason, _, hopeless)| (*hopeless, *reason))
}

fn pod_finding(name: &str, pod: &Live<Pod>, observed: &Observed) -> Option<Finding> {
    if let Some(unscheduled) = pod.facts.unscheduled.as_ref().filter(|c| c.reason == "Unschedulable") {
        return Some((
            Reason::Unschedulable,
            format!("{name}: no node takes the instance: {}", unscheduled.message),
            false,
        ));
    }
    if !has_begun(&pod.facts) {
        return injected_finding(name, &pod.facts);
    }
    let container = pod.facts.own.as_ref()?;
    let event = observed.events.get(pod.uid());
    if let Some(event) = event.filter(|event| is_ended_by_probe(container, event)) {
        return Some(probe_finding(name, container, event));
    }
    container_finding(name, container)
        .or_else(|| injected_finding(name, &pod.facts))
        .or_else(|| {
            event
                .filter(|_| container.running)
                .map(|event| unready_finding(name, container, event))
        })
}

/// Whether the containers that run before ours let it begin.
fn has_begun(pod: &PodFacts) -> bool {
    let waiting = pod.own.as_ref().map(|own| own.waiting.as_ref());
    waiting.is_some_and(|waiting| waiting.is_none_or(|(reason, _)| reason != "PodInitializing"))
}

/// Exit codes of a program that was told to end, or was made to: 128 + SIGTERM, 128 + SIGKILL.
const TOLD_TO_END: [i32; 2] = [143, 137];

/// Whether the container may have been ended from outside rather than by itself.
fn may_be_ended_from_outside(ended: &Ended) -> bool {
    ended.reason != "OOMKilled" && (ended.exit_code == 0 || TOLD_TO_END.contains(&ended.exit_code))
}

/// Whether it is the kubelet that ended a container, since it did not pass its start-up probe in time. The pod itself
/// does not say it; a program that ends well when told to leaves no other trace than the kubelet's Event.
fn is_ended_by_probe(container: &ContainerFact, event: &str) -> bool {
    let Some(ended) = container
        .ended
        .as_ref()
        .filter(|ended| may_be_ended_from_outside(ended))
    else {
        return false;
    };
    let said = event.contains("failed startup probe, will be restarted");
    let failed = event.starts_with("Startup probe failed");
    !container.started && (said || (failed && TOLD_TO_END.contains(&ended.exit_code)))
}

/// What keeps a container that runs from serving. One that has not answered yet has `startSeconds` to do so.
fn unready_finding(name: &str, container: &ContainerFact, event: &str) -> Finding {
    let is_starting = !container.started && container.restarts == 0 && event.starts_with("Startup probe failed");
    if !is_starting {
        return probe_finding(name, container, event);
    }
    let (asked, answer) = (asked(container), mask(event));
    let message = format!("{name} is starting, and does not answer{asked} yet: {answer}");
    (Reason::Deploying, message, false)
}

/// What the health check asks, in parentheses.
fn asked(container: &ContainerFact) -> String {
    match container.asked.as_str() {
        "" => String::new(),
        asked => format!(" ({asked})"),
    }
}

fn probe_finding(name: &str, container: &ContainerFact, event: &str) -> Finding {
    let asked = asked(container);
    let restarts = match container.restarts {
        0 => String::new(),
        restarts => format!(", and was restarted for that {}", count(restarts)),
    };
    // What a command of the team's own says when it is asked for its health stands in the Event.
    let answer = mask(event);
    let message = format!("{name} does not pass its health check{asked}{restarts}: {answer}");
    (Reason::ProbeFailing, message, container.restarts >= HOPELESS_RESTARTS)
}

/// `once`, `2 times`.
fn count(times: i32) -> String {
    if times == 1 {
        "once".to_owned()
    } else {
        format!("{times} times")
    }
}

/// What the state of the container that we rendered tells by itself.
fn container_finding(name: &str, container: &ContainerFact) -> Option<Finding> {
    start_finding(name, container).or_else(|| {
        let crashing = container.restarts > 0 || is_backing_off(container);
        let ended = container.ended.as_ref().filter(|_| crashing || !container.running)?;
        let how = match ended.reason.as_str() {
            "OOMKilled" => "it used more memory than its size allows (OOMKilled); choose a larger size".to_owned(),
            _ if ended.exit_code == 0 => "it ended by itself with exit code 0; a process must keep running".to_owned(),
            _ => format!("exit code {}", ended.exit_code),
        };
        Some(crash_finding(name, container, ended, &how))
    })
}

/// What a container that the platform put into the pod tells when it fails.
fn injected_finding(name: &str, pod: &PodFacts) -> Option<Finding> {
    pod.init.iter().chain(&pod.beside).find_map(|container| {
        let name = format!("{name}: the container {}, which the platform added,", container.name);
        start_finding(&name, container).or_else(|| {
            let failed = |ended: &&Ended| ended.exit_code != 0 || is_backing_off(container);
            let ended = container.ended.as_ref().filter(failed).filter(|_| !container.running)?;
            let how = match ended.reason.as_str() {
                "OOMKilled" => "it used more memory than it may (OOMKilled)".to_owned(),
                _ => format!("exit code {}", ended.exit_code),
            };
            Some(crash_finding(&name, container, ended, &how))
        })
    })
}

/// What keeps a container from starting at all.
fn start_finding(name: &str, container: &ContainerFact) -> Option<Finding> {
    let (reason, why) = container.waiting.as_ref()?;
    match reason.as_str() {
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable" => {
            let message = format!("{name}: cannot pull {}: {why}", container.image);
            Some((Reason::ImagePullFailed, message, false))
        }
        "CreateContainerConfigError" if why.contains("not found") || why.contains("couldn't find key") => {
            Some((Reason::ReferenceMissing, format!("{name}: {why}"), false))
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Some((Reason::ContainerStartFailed, format!("{name}: {why}"), false))
        }
        _ => None,
    }
}

fn is_backing_off(container: &ContainerFact) -> bool {
    container
        .waiting
        .as_ref()
        .is_some_and(|(reason, _)| reason == "CrashLoopBackOff")
}

fn crash_finding(name: &str, container: &ContainerFact, ended: &Ended, how: &str) -> Finding {
    let words = mask(ended.message.trim());
    let said = if words.is_empty() {
        String::new()
    } else {
        format!(": {}", tail(&words))
    };
    let message = format!("{name} ended {}: {how}{said}", count(container.restarts.max(1)));
    (Reason::CrashLooping, message, container.restarts >= HOPELESS_RESTARTS)
}

fn tail(text: &str) -> String {
    let skip = text.chars().count().saturating_sub(400);
    text.chars().skip(skip).collect()
}

/// The UIDs of pods and Jobs that are in trouble and do not say why: their Events do.
pub fn unexplained(observed: &Observed) -> Vec<String> {
    let pods = observed.pods.iter().filter(|pod| {
        let open = pod.facts.own.as_ref().is_some_and(|c| match &c.ended {
            None => c.running,
            Some(ended) => !c.started && may_be_ended_from_outside(ended),
        });
        !pod.facts.ready && !pod.is_deleting() && pod.facts.phase == "Running" && open
    });
    let jobs = observed.jobs.iter().filter(|job| {
        let facts = &job.facts;
        facts.finished.is_none()
            && !facts.suspended
            && facts.active == 0
            && observed.pods_of_job(job.name()).next().is_none()
    });
    pods.map(|pod| pod.uid().to_owned())
        .chain(jobs.map(|job| job.uid().to_owned()))
        .chain(release::ended_unexplained(observed).map(str::to_owned))
        .collect()
}
