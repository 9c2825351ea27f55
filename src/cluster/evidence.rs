//! What Events tell of a pod or Job that tells nothing itself: a probe's answer, a quota's refusal.
//!
//! No Events are watched: there are too many. They are read by the UID of one object, a few at a time, while an app is
//! in trouble; an answer is kept for a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;
use tokio::time::Instant;

use super::Cluster;

/// How long an answer is taken for fresh.
pub const FRESH: Duration = Duration::from_secs(15);
/// How many Events of one object are read.
const MOST: u32 = 50;

/// The last answers, by UID.
#[derive(Default)]
pub(super) struct Evidence(Mutex<HashMap<String, Answer>>);

#[derive(Clone)]
struct Answer {
    at: Instant,
    message: Option<String>,
}

impl Evidence {
    fn fresh(&self, uid: &str) -> Option<Answer> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, answer| answer.at.elapsed() < FRESH);
        known.get(uid).cloned()
    }

    fn keep(&self, uid: &str, message: Option<String>) {
        let answer = Answer {
            at: Instant::now(),
            message,
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(uid.to_owned(), answer);
    }
}

impl Cluster {
    /// What the Events of the object of that UID tell of its trouble: of a pod's, those of the pod itself and of its
    /// container of that name. `None` also when Events cannot be read: they are evidence, never a decision.
    pub async fn trouble_of(&self, namespace: &str, uid: &str, container: &str) -> Option<String> {
        if let Some(answer) = self.evidence.fresh(uid) {
            return answer.message;
        }
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let params = ListParams::default()
            .fields(&format!("involvedObject.uid={uid}"))
            .limit(MOST);
        let message = match events.list(&params).await {
            Ok(list) => telling(&list.items, container),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "failed to read events");
                None
            }
        };
        self.evidence.keep(uid, message.clone());
        message
    }
}

/// The last warning, without the Job controller's that time is up, which its condition tells; or, when the kubelet ended
/// the container for its probe, what the probe said last, and that.
fn telling(events: &[Event], container: &str) -> Option<String> {
    let concerns = |event: &&Event| names_no_other(event, container);
    let last = |wanted: &dyn Fn(&&Event) -> bool| {
        let wanted = events.iter().filter(concerns).filter(wanted);
        wanted.max_by_key(|event| seen_at(event))
    };
    let message = |event: &Event| event.message.clone().unwrap_or_default();
    let is = |event: &Event, reason: &str| event.reason.as_deref() == Some(reason);
    let ended = last(&|event| is(event, "Killing") && message(event).contains("probe, will be restarted"));
    let failed = last(&|event| is(event, "Unhealthy"));
    match (ended, failed) {
        (Some(ended), Some(failed)) => Some(format!("{}; {}", message(failed), message(ended))),
        _ => last(&|event| event.type_.as_deref() == Some("Warning") && !is(event, "DeadlineExceeded")).map(message),
    }
}

/// A platform injects containers that have probes of their own. `fieldPath` names the one that an Event is about, as
/// `spec.containers{web}`.
fn names_no_other(event: &Event, container: &str) -> bool {
    let path = event.involved_object.field_path.as_deref().unwrap_or_default();
    path.split_once('{')
        .is_none_or(|(_, name)| name.trim_end_matches('}') == container)
}

fn seen_at(event: &Event) -> Option<Timestamp> {
    let series = event
        .series
        .as_ref()
        .and_then(|series| series.last_observed_time.as_ref())
        .map(|time| time.0);
    let times = [
        series,
        event.last_timestamp.as_ref().map(|time| time.0),
        event.event_time.as_ref().map(|time| time.0),
    ];
    times.into_iter().flatten().max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(type_: &str, reason: &str, message: &str, minute: u8) -> Event {
        let at = format!("2026-11-22T10:{minute:02}:00Z");
        serde_json::from_value(json!({
            "metadata": {}, "involvedObject": {}, "type": type_, "reason": reason, "message": message, "lastTimestamp": at,
        }))
        .unwrap()
    }

    #[test]
    fn the_last_warning_tells() {
        let events = [
            event("Warning", "Unhealthy", "Startup probe failed: refused", 1),
            event("Warning", "BackOff", "Back-off restarting failed container", 3),
            event("Normal", "Pulled", "Container image already present", 4),
        ];
        assert_eq!(
            telling(&events, "web").as_deref(),
            Some("Back-off restarting failed container")
        );
        assert_eq!(telling(&events[2..], "web"), None);
    }

    #[test]
    fn why_a_job_made_no_pod_is_told_also_after_its_time_is_up() {
        let events = [
            event("Warning", "FailedCreate", "exceeded quota: q", 1),
            event(
                "Warning",
                "DeadlineExceeded",
                "Job was active longer than specified deadline",
                2,
            ),
        ];
        assert_eq!(telling(&events, "web").as_deref(), Some("exceeded quota: q"));
    }

    #[test]
    fn that_the_kubelet_ended_a_container_for_its_probe_is_told_before_the_back_off_that_follows() {
        let events = [
            event("Warning", "Unhealthy", "Startup probe failed: refused", 1),
            event("Warning", "Unhealthy", "Startup probe failed: 503", 2),
            event(
                "Normal",
                "Killing",
                "Container web failed startup probe, will be restarted",
                2,
            ),
            event("Warning", "BackOff", "Back-off restarting failed container", 3),
        ];
        let told = "Startup probe failed: 503; Container web failed startup probe, will be restarted";
        assert_eq!(telling(&events, "web").as_deref(), Some(told));
        // One that ends for another reason, such as a new version, is not.
        let stopping = event("Normal", "Killing", "Stopping container web", 2);
        assert_eq!(
            telling(&[events[0].clone(), stopping], "web").as_deref(),
            Some("Startup probe failed: refused")
        );
    }

    #[test]
    fn the_probe_of_an_injected_container_is_not_ours() {
        let about = |container: &str, message: &str, minute| {
            let mut event = event("Warning", "Unhealthy", message, minute);
            event.involved_object.field_path = Some(format!("spec.containers{{{container}}}"));
            event
        };
        let events = [about("web", "ours", 1), about("istio-proxy", "theirs", 2)];
        assert_eq!(telling(&events, "web").as_deref(), Some("ours"));
        assert_eq!(telling(&events[1..], "web"), None);
    }
}
