//! What is said of the names of an app's hosts.

use super::summary::{Summary, Verdict, of_faults};
use crate::app::decision::Decision;
use crate::app::reasons::Reason;
use crate::app::valid::Names;
use crate::conditions::{Conditions, State};

/// Does the namespace hold the names of the hosts. Present only for hosts that lie in a zone of ours.
const HOSTS_CLAIMED: &str = "HostsClaimed";

fn names(decision: &Decision) -> Option<&Names> {
    match decision {
        Decision::Go(plan) => Some(&plan.rendered.names),
        // What is there stays as it is.
        Decision::Suspended(_) | Decision::Refused(_) => None,
    }
}

/// An app that runs as asked is not as asked while a host of it is not routed. (A version that runs has not failed for
/// it, so the history does not count this.)
pub fn outweigh(summary: &Summary, decision: &Decision) -> Option<Summary> {
    let unrouted = &names(decision)?.unrouted;
    (summary.verdict == Verdict::Ready && !unrouted.is_empty()).then(|| of_faults(unrouted))
}

/// Writes whether the namespace holds the names of the hosts.
pub fn write_condition(conditions: &mut Conditions<'_>, decision: &Decision) {
    let Some(names) = names(decision) else { return };
    let Names { held, unrouted, kept } = names;
    let faults: Vec<_> = unrouted.iter().chain(kept).cloned().collect();
    if !faults.is_empty() {
        let Summary { reason, message, .. } = of_faults(&faults);
        conditions.set(HOSTS_CLAIMED, State::False, reason.as_str(), &message);
    } else if *held > 0 {
        let message = "the namespace holds the name of every host that lies in a zone";
        conditions.set(HOSTS_CLAIMED, State::True, Reason::NamesHeld.as_str(), message);
    }
}
