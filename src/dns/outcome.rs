//! What a zone's round came to, told to the records and claims that it concerns.

use std::collections::BTreeMap;
use std::time::Duration;

use tremplin_core::api::DnsClaim;
use tremplin_core::api::dns::Withdrawal;
use tremplin_core::dns::plan::Planned;
use tremplin_core::dns::status::Progress;
use tremplin_core::dns::{Fqdn, Reason};
use tremplin_core::fault::Fault;

use super::board::Work;
use super::write::{Asking, Refusals, Task};
use super::zones::Round;
use super::{cluster_key, drift, providers};
use crate::driver::Cause;

/// When a provider that did not answer or was asked too often is tried again.
const PROVIDER_AGAIN: Duration = Duration::from_secs(5);

impl Round<'_> {
    /// The first failure puts everything back.
    pub(super) fn failed(&mut self, work: Work, task: &Task, fault: &Fault<Reason>) -> Duration {
        self.facts.fault = Some(fault.clone());
        if matches!(fault.reason, Reason::CredentialInvalid | Reason::ZoneUnknown) {
            self.facts.credential = Some(Err(fault.clone()));
            // Checked anew at the next round: it may have been renewed at the provider.
            self.dns.forget_provider(&self.zone.name);
        }
        self.refuse(&task.records, fault);
        for claim in &task.claims {
            self.stuck(claim, Some(fault.to_string()));
        }
        self.dns.board.give_back(&self.zone.name, work);
        match fault.reason {
            // Somebody else wrote meanwhile: it is read anew at once.
            Reason::Conflict => Duration::from_millis(50),
            _ => PROVIDER_AGAIN,
        }
    }

    pub(super) fn refuse(&self, asking: &[Asking], fault: &Fault<Reason>) {
        for record in asking {
            self.dns.note(
                &record.key,
                Progress {
                    wanted: record.programmed.clone(),
                    result: Err(fault.clone()),
                    drift: record.record.status.as_ref().and_then(|status| status.drift.clone()),
                    findings: record.findings.clone(),
                },
            );
        }
    }

    pub(super) fn refuse_all(&self, work: &Work, fault: &Fault<Reason>) {
        for key in work.records.iter().chain(&work.unpublished) {
            self.dns.note_fault(key, fault);
        }
    }

    /// Records of which a name is somebody else's are told; the others go on.
    pub(super) fn told_conflicts(&self, asking: Vec<Asking>, planned: &BTreeMap<Fqdn, Planned>) -> Vec<Asking> {
        let mut going_on = Vec::new();
        for record in asking {
            let fault = record
                .sets
                .iter()
                .find_map(|set| planned.get(&set.name).and_then(|planned| planned.conflict.clone()));
            match fault {
                Some(fault) => self.refuse(&[record], &fault),
                None => going_on.push(record),
            }
        }
        going_on
    }

    /// Records that the provider does not take are told; the others go on.
    pub(super) fn told_refusals(&self, asking: Vec<Asking>, refused: &Refusals) -> Vec<Asking> {
        let mut going_on = Vec::new();
        for record in asking {
            match record.sets.iter().find_map(|set| refused.get(&set.name)) {
                Some(failure) => self.refuse(&[record], &providers::fault(failure)),
                None => going_on.push(record),
            }
        }
        going_on
    }

    /// Records whose data somebody else undid: put right, told, or left alone.
    pub(super) fn told_drift(&self, asking: Vec<Asking>, planned: &BTreeMap<Fqdn, Planned>) -> Vec<Asking> {
        let mut going_on = Vec::new();
        for record in asking {
            match drift::judge(&record, planned, self.zone, self.now) {
                Some((fault, drift)) => self.dns.note(
                    &record.key,
                    Progress {
                        wanted: record.programmed.clone(),
                        result: Err(fault),
                        drift: Some(drift),
                        findings: record.findings.clone(),
                    },
                ),
                None => going_on.push(record),
            }
        }
        going_on
    }

    /// Withdrawals of which nothing is left are struck off the claim.
    pub(super) async fn withdrawn(&self, task: &Task, planned: &BTreeMap<Fqdn, Planned>, refused: &Refusals) {
        for claim in &task.claims {
            let is_done = |withdrawal: &Withdrawal| {
                let Ok(name) = Fqdn::parse(&withdrawal.name) else {
                    return true;
                };
                !refused.contains_key(&name) && planned.get(&name).is_none_or(|planned| planned.conflict.is_none())
            };
            let left: Vec<_> = claim
                .spec
                .withdrawals
                .iter()
                .filter(|withdrawal| !is_done(withdrawal))
                .cloned()
                .collect();
            let why = left.iter().find_map(|withdrawal| {
                let name = Fqdn::parse(&withdrawal.name).ok()?;
                let refused = refused.get(&name).map(ToString::to_string);
                refused.or_else(|| Some(planned.get(&name)?.conflict.as_ref()?.to_string()))
            });
            if left.len() < claim.spec.withdrawals.len() {
                let change = serde_json::json!({"spec": {"withdrawals": left}});
                if let Err(fault) = self.dns.change_claim(claim, &change).await {
                    // The claim's own round passes them on again.
                    tracing::debug!(%fault, "failed to strike off withdrawals");
                    let name = claim.metadata.name.as_deref().unwrap_or_default();
                    let _ = self.dns.wake.claims.send((cluster_key(name), Cause::Related));
                }
            }
            // What was struck off or is told anew wakes the claim; what stays as it was waits for the next audit.
            self.stuck(claim, why);
        }
    }

    pub(super) fn stuck(&self, claim: &DnsClaim, why: Option<String>) {
        let name = claim.metadata.name.clone().unwrap_or_default();
        if self.dns.board.note_stuck(&name, why) {
            let _ = self.dns.wake.claims.send((cluster_key(&name), Cause::Related));
        }
    }
}
