//! What users are told: the statuses of DnsRecord, DnsClaim and DnsZone.

mod claim;
mod record;
mod zone;

pub use claim::{ClaimFacts, approvals, claim_status};
pub use record::{
    DELEGATED, Finding, Progress, RecordFacts, Served, has_moved, is_published, proven, record_status, with_intents,
};
pub use zone::{EXPIRY_WARNING, REFUSED, ZoneFacts, is_to_be_checked, near_end, zone_status};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::conditions::{Conditions, READY, RECONCILING, STALLED, State, find};
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

/// A fault of a whole zone as its teams are told it, who cannot mend it. `contact`: whom the zone wants to be asked.
pub fn of_zone(fault: &Fault<Reason>, zone: &str, contact: Option<&str>) -> Fault<Reason> {
    let bare = Fault {
        fix: String::new(),
        ..fault.clone()
    };
    let fix = match (fault.class, contact) {
        (Class::Stalled, Some(contact)) => format!("ask the platform team: {contact}"),
        (Class::Stalled, None) => "ask the platform team".to_owned(),
        (Class::Waiting | Class::Transient, _) => fault.fix.clone(),
    };
    Fault {
        message: format!("the DnsZone {zone} cannot be written: {bare}"),
        field: None,
        fix,
        ..bare
    }
}

/// Says of a question what was said before, if anything was.
fn carry(conditions: &mut Conditions<'_>, old: &[Condition], type_: &str) {
    if let Some(condition) = find(old, type_) {
        let state = match condition.status.as_str() {
            "True" => State::True,
            "False" => State::False,
            _ => State::Unknown,
        };
        conditions.set(type_, state, &condition.reason, &condition.message);
    }
}

/// Field, message and next step; the reason's own next step where the fault has none.
pub fn told(fault: &Fault<Reason>) -> String {
    if fault.fix.is_empty() && fault.reason.action() != "Nothing." {
        return format!("{fault}. Next: {}", fault.reason.action());
    }
    fault.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_is_told_whom_to_ask_about_a_zone_and_not_to_mend_it() {
        let missing = Fault::stalled(Reason::CredentialMissing, "there is no Secret ovh", "create it")
            .at("spec.provider.secretRef");
        let about = of_zone(&missing, "shared", Some("dns@example.org"));
        assert_eq!(
            told(&about),
            "the DnsZone shared cannot be written: spec.provider.secretRef: there is no Secret ovh: ask the platform team: dns@example.org"
        );
        let busy = Fault::waiting(Reason::ProviderBusy, "the limit is reached", "");
        assert_eq!(
            told(&of_zone(&busy, "shared", None)),
            "the DnsZone shared cannot be written: the limit is reached. Next: Nothing: it goes on by itself."
        );
    }
}
