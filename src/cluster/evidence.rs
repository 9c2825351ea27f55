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
    /// The message of the last warning about the object of that UID. `None` also when Events cannot be read: they are
    /// evidence, never a decision.
    pub async fn last_warning(&self, namespace: &str, uid: &str) -> Option<String> {
        if let Some(answer) = self.evidence.fresh(uid) {
            return answer.message;
        }
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let params = ListParams::default()
            .fields(&format!("involvedObject.uid={uid},type=Warning"))
            .limit(MOST);
        let message = match events.list(&params).await {
            Ok(list) => list
                .items
                .into_iter()
                .max_by_key(seen_at)
                .and_then(|event| event.message),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "failed to read events");
                None
            }
        };
        self.evidence.keep(uid, message.clone());
        message
    }
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
