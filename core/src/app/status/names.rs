//! What is said of the names of an app's hosts.

use super::summary::{Summary, Verdict, of_faults};
use crate::app::decision::Decision;
use crate::app::observed::Observed;
use crate::app::reasons::Reason;
use crate::app::render::dns_record_name;
use crate::app::valid::Names;
use crate::conditions::{Conditions, State};
use crate::live::DnsRecordFacts;

/// Does the namespace hold the names of the hosts. Present only for hosts that lie in a zone of ours.
const HOSTS_CLAIMED: &str = "HostsClaimed";

/// Do the name servers answer for the hosts. Present only for hosts that the platform gives a DnsRecord.
const NAMES_PUBLISHED: &str = "NamesPublished";

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

/// Writes whether the namespace holds the names of the hosts, and whether their DnsRecords are published.
pub fn write_conditions(conditions: &mut Conditions<'_>, decision: &Decision, observed: &Observed) {
    let Some(names) = names(decision) else { return };
    if !names.records.is_empty() {
        write_published(conditions, decision, &names.records, observed);
    }
    let Names {
        held, unrouted, kept, ..
    } = names;
    let faults: Vec<_> = unrouted.iter().chain(kept).cloned().collect();
    if !faults.is_empty() {
        let Summary { reason, message, .. } = of_faults(&faults);
        conditions.set(HOSTS_CLAIMED, State::False, reason.as_str(), &message);
    } else if *held > 0 {
        let message = "the namespace holds the name of every host that lies in a zone";
        conditions.set(HOSTS_CLAIMED, State::True, Reason::NamesHeld.as_str(), message);
    }
}

/// The first record that is not published stands for all; those that a human must look at come before the others.
fn write_published(conditions: &mut Conditions<'_>, decision: &Decision, hosts: &[String], observed: &Observed) {
    let Decision::Go(plan) = decision else { return };
    let app = &plan.app.identity.name;
    let facts = |host: &String| {
        let name = dns_record_name(app, host);
        let live = observed.dns_records.iter().find(|live| live.name() == name);
        (host.clone(), live.map(|live| live.facts.clone()).unwrap_or_default())
    };
    let pending = hosts.iter().map(facts).filter(|(_, facts)| !is_published(facts));
    match pending.rev().max_by_key(|(_, facts)| facts.stalled) {
        None => {
            let message = "the DnsRecord of every host is published";
            conditions.set(NAMES_PUBLISHED, State::True, Reason::NamesPublished.as_str(), message);
        }
        Some((host, DnsRecordFacts { ready: Some(ready), .. })) => {
            let message = format!("{host}: {}", ready.message);
            conditions.set(NAMES_PUBLISHED, State::False, &ready.reason, &message);
        }
        Some((host, _)) => {
            let message = format!("the DnsRecord of {host} was not looked at yet");
            conditions.set(NAMES_PUBLISHED, State::False, Reason::NamesPending.as_str(), &message);
        }
    }
}

fn is_published(facts: &DnsRecordFacts) -> bool {
    let ready = facts.ready.as_ref();
    ready.is_some_and(|ready| ready.status == State::True.as_str())
}
