//! What users are told: the statuses of DnsRecord, DnsClaim and DnsZone.

mod claim;
mod record;
mod zone;

pub use claim::{ClaimFacts, claim_status};
pub use record::{DELEGATED, Finding, Progress, RecordFacts, Served, proven, record_status};
pub use zone::{REFUSED, ZoneFacts, zone_status};

use crate::conditions::{Conditions, READY, RECONCILING, STALLED, State};
use crate::fault::{Class, Fault};

use super::reasons::Reason;

/// How many authoritative servers a status tells of: the schema takes no more.
const MOST_SERVERS: usize = 32;

/// Sets `Ready` to false for a fault, with its companion, and tells the fault's words.
fn not_ready(conditions: &mut Conditions<'_>, fault: &Fault<Reason>) {
    let message = told(fault);
    let companion = match fault.class {
        Class::Stalled => STALLED,
        Class::Waiting | Class::Transient => RECONCILING,
    };
    conditions.set(READY, State::False, fault.reason.as_str(), &message);
    conditions.set(companion, State::True, fault.reason.as_str(), &message);
}

/// Field, message and next step; the reason's own next step where the fault has none.
pub fn told(fault: &Fault<Reason>) -> String {
    if fault.fix.is_empty() && fault.reason.action() != "Nothing." {
        return format!("{fault}. Next: {}", fault.reason.action());
    }
    fault.to_string()
}
