//! Deployments whose instances were refused, to be looked at again.
//!
//! The ReplicaSet controller tries a refused instance again after twice the time at each failure, up to 1,000 seconds
//! (`workqueue.DefaultTypedControllerRateLimiter`), and does not hear that there is room again. A roll under a full quota
//! makes its own room, one ending instance after the other: without a reminder it stands still for minutes beside that
//! room. The Deployment controller copies a Deployment's annotations to its ReplicaSet, whose change is looked at at once.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;

use super::observed::Observed;
use crate::labels;
use crate::live::Live;

/// How long a refusal stands before the next reminder, while the rollout is in time.
const SOON: Duration = Duration::from_secs(15);
/// The same, when a human must act: the quota, the policy or the spec is to be changed first.
const LATER: Duration = Duration::from_mins(5);

/// What to remind of refused instances, and when to look again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reminders {
    /// The Deployments that are due.
    pub due: Vec<Due>,
    /// When the next will be due; `None` when no instance is refused.
    pub again: Option<Duration>,
}

/// A Deployment that is to be reminded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The generation that it will have: a change of an annotation is one.
    pub generation: i64,
}

/// Whether the controllers have seen a Deployment as it is, but for a reminder: what they told of it still stands.
pub fn is_seen(live: &Live<Deployment>) -> bool {
    let generation = live.metadata.generation.unwrap_or_default();
    let reminded = live.annotation(labels::REMINDED_GENERATION) == Some(generation.to_string().as_str());
    live.facts.observed_generation >= generation - i64::from(reminded)
}

/// Finds the Deployments that are to be reminded.
pub fn reminders(observed: &Observed, now: Timestamp) -> Reminders {
    let mut found = Reminders::default();
    for live in &observed.deployments {
        let refused = live.facts.condition("ReplicaFailure").filter(|c| c.status == "True");
        let Some(refused) = refused else { continue };
        let late = live
            .facts
            .condition("Progressing")
            .is_some_and(|c| c.reason == "ProgressDeadlineExceeded");
        let pause = if late { LATER } else { SOON };
        let reminded = live
            .annotation(labels::REMINDED_AT)
            .and_then(|at| at.parse::<Timestamp>().ok());
        let waited = refused.since.max(reminded).map_or(pause, |since| {
            Duration::try_from(now.duration_since(since)).unwrap_or_default()
        });
        let left = pause.saturating_sub(waited);
        if left.is_zero() {
            found.due.push(Due {
                name: live.name().to_owned(),
                uid: live.uid().to_owned(),
                generation: live.metadata.generation.unwrap_or_default() + 1,
            });
        }
        let next = if left.is_zero() { pause } else { left };
        found.again = Some(found.again.map_or(next, |again| again.min(next)));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::app::testing::World;

    const REFUSED_AT: &str = "2026-11-22T10:00:00Z";

    /// The reminders so many seconds after the refusal.
    fn after(seconds: i64, reminded_after: Option<i64>, conditions: &Value) -> (usize, Option<u64>) {
        let refused_at: Timestamp = REFUSED_AT.parse().unwrap();
        let at = |seconds| refused_at + jiff::SignedDuration::from_secs(seconds);
        let mut world = World::new("{image: 'ghcr.io/brigade/site:one'}");
        world.settle();
        world.roll_out();
        let live = world.deployments.get_mut("brigade-web").unwrap();
        live["status"]["conditions"] = conditions.clone();
        if let Some(seconds) = reminded_after {
            live["metadata"]["annotations"][labels::REMINDED_AT] = json!(at(seconds).to_string());
        }
        let found = reminders(&world.observed(), at(seconds));
        (found.due.len(), found.again.map(|again| again.as_secs()))
    }

    fn refused(more: &[Value]) -> Value {
        let failure = json!({"type": "ReplicaFailure", "status": "True", "lastTransitionTime": REFUSED_AT});
        [failure].into_iter().chain(more.iter().cloned()).collect()
    }

    #[test]
    fn a_refused_instance_is_reminded_of_after_a_pause_and_again_after_each() {
        let refused = refused(&[]);
        assert_eq!(after(4, None, &refused), (0, Some(11)));
        assert_eq!(after(15, None, &refused), (1, Some(15)));
        assert_eq!(after(20, Some(15), &refused), (0, Some(10)));
        assert_eq!(after(30, Some(15), &refused), (1, Some(15)));
    }

    #[test]
    fn when_a_human_must_act_reminders_are_rare() {
        let late = refused(&[json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"})]);
        assert_eq!(after(200, Some(150), &late), (0, Some(250)));
        assert_eq!(after(450, Some(150), &late), (1, Some(300)));
    }

    #[test]
    fn a_reminder_is_no_change_that_the_controllers_must_see_first() {
        let seen = |generation: i64, reminded: Option<&str>| {
            let mut world = World::new("{image: 'ghcr.io/brigade/site:one'}");
            world.settle();
            world.roll_out();
            let live = world.deployments.get_mut("brigade-web").unwrap();
            live["metadata"]["generation"] = json!(generation);
            live["status"]["observedGeneration"] = json!(4);
            if let Some(reminded) = reminded {
                live["metadata"]["annotations"][labels::REMINDED_GENERATION] = json!(reminded);
            }
            is_seen(world.observed().deployment("web").unwrap())
        };
        assert!(seen(4, None) && !seen(5, None));
        assert!(seen(5, Some("5")) && seen(4, Some("4")));
        // A change of the spec beside or after the reminder is to be seen first.
        assert!(!seen(6, Some("5")) && !seen(6, Some("6")) && !seen(5, Some("4")));
    }

    #[test]
    fn a_deployment_whose_instances_are_taken_is_left_alone() {
        assert_eq!(after(1000, None, &json!([])), (0, None));
        let over = json!([{"type": "ReplicaFailure", "status": "False", "lastTransitionTime": REFUSED_AT}]);
        assert_eq!(after(1000, None, &over), (0, None));
    }
}
