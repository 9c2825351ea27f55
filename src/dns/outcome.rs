//! What a zone's round came to, told to the records and claims that it concerns.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::ResourceExt as _;
use tremplin_core::api::dns::Withdrawal;
use tremplin_core::api::{DnsClaim, DnsZone};
use tremplin_core::dns::judge::programmed;
use tremplin_core::dns::plan::Planned;
use tremplin_core::dns::status::{Progress, of_zone};
use tremplin_core::dns::{Fqdn, Reason, RecordType, Zone};
use tremplin_core::fault::{Class, Fault};

use super::board::Work;
use super::reading::READ_AGAIN;
use super::round::Round;
use super::write::{Asking, Task};
use super::writer::Written;
use super::{Dns, TOLERATED, cluster_key, drift, providers};
use crate::cluster::Seen;
use crate::dns_provider::Failure;
use crate::driver::Cause;
use crate::key::Key;

/// When a provider that did not answer or was asked too often is tried again.
const PROVIDER_AGAIN: Duration = Duration::from_secs(5);
/// When a claim that somebody else changed meanwhile is written again.
const CROSSED_AGAIN: Duration = Duration::from_secs(1);
/// How often that is doubled for one name that fails again and again.
const MOST_DOUBLED: u32 = 6;
/// When a provider that refuses all of a zone, which takes a human, is tried again.
const REFUSING_AGAIN: Duration = Duration::from_mins(1);

/// What keeps a round from going on, and when it is tried again.
pub(super) struct Trouble {
    pub fault: Fault<Reason>,
    pub again: Duration,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let again = match failure {
            // As it asked for.
            Failure::Busy { after: Some(after) } => after,
            Failure::Unavailable(_) | Failure::Busy { after: None } | Failure::Changed(_) => PROVIDER_AGAIN,
            Failure::Unauthorized(_)
            | Failure::NoZone(_)
            | Failure::NoApi(_)
            | Failure::Refused(_)
            | Failure::Settings(_) => REFUSING_AGAIN,
        };
        Self {
            fault: providers::fault(&failure),
            again,
        }
    }
}

impl From<Fault<Reason>> for Trouble {
    fn from(fault: Fault<Reason>) -> Self {
        let again = PROVIDER_AGAIN;
        Self { fault, again }
    }
}

impl Dns {
    /// What keeps a zone from being used at all, for all that waits for it.
    pub(super) fn refuse_work(&self, work: &Work, zone: &DnsZone, fault: &Fault<Reason>) {
        let told = of_zone(fault, &zone.name_any(), zone.spec.contact.as_deref());
        for key in work.records.iter().chain(&work.unpublished) {
            self.note_fault(key, &told);
        }
        for claim in &work.claims {
            self.note_stuck(claim, Some(fault.clone()));
        }
    }

    /// Notes on a record what keeps its zone from being written.
    fn note_fault(&self, key: &Key, fault: &Fault<Reason>) {
        let Some(seen) = self.records.get(key) else { return };
        let Seen::Object(record) = &*seen else { return };
        let wanted = programmed(&self.view(record).judgement.sets);
        let drift = record.status.as_ref().and_then(|status| status.drift.clone());
        self.note(
            key,
            Progress {
                wanted,
                result: Err(fault.clone()),
                drift,
                findings: Vec::new(),
            },
        );
    }

    /// Notes how far the writer is with a record, and wakes it when that is news.
    pub(super) fn note(&self, key: &Key, progress: Progress) {
        if self.board.note(key, progress) {
            let _ = self.wake.records.send((key.clone(), Cause::Related));
        }
    }

    pub(super) fn refuse(&self, asking: &[Asking], fault: &Fault<Reason>) {
        for record in asking {
            self.note(
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

    /// Records that ask to change what is left as it is are told, and looked at again with the next round; the others stay.
    pub(super) fn tell_kept(&self, zone: &Zone, task: &mut Task) {
        for record in std::mem::take(&mut task.records) {
            match task.why_kept(&record.sets) {
                Some(fault) if !record.was_written => {
                    self.board.record(&zone.name, record.key.clone());
                    self.refuse(&[record], fault);
                }
                _ => task.records.push(record),
            }
        }
    }

    /// `left`: the withdrawals that stay on a claim. Tells when that is to be tried again, should it fail.
    pub(super) async fn strike_off(&self, claim: &DnsClaim, left: Vec<Withdrawal>) -> Option<Duration> {
        if left.len() == claim.spec.withdrawals.len() {
            return None;
        }
        let change = serde_json::json!({"spec": {"withdrawals": left}});
        let fault = self
            .change_claim(&self.with_newest_status(claim), &change)
            .await
            .err()?;
        tracing::debug!(%fault, "failed to strike off withdrawals");
        Some(match fault.reason {
            Reason::Conflict => CROSSED_AGAIN,
            _ => PROVIDER_AGAIN,
        })
    }

    /// A claim as it is known now, if it still asks for the same: its own round may have told something on it meanwhile.
    fn with_newest_status(&self, claim: &DnsClaim) -> DnsClaim {
        let of = |claim: &DnsClaim| (claim.metadata.uid.clone(), claim.metadata.generation);
        match self.claims.get(&cluster_key(&claim.name_any())).as_deref() {
            Some(Seen::Object(known)) if of(known) == of(claim) => (**known).clone(),
            _ => claim.clone(),
        }
    }

    /// Notes why the withdrawals of a claim are not done, and wakes it when that is news.
    pub(super) fn note_stuck(&self, claim: &str, why: Option<Fault<Reason>>) {
        if self.board.note_stuck(claim, why) {
            let _ = self.wake.claims.send((cluster_key(claim), Cause::Related));
        }
    }
}

impl Round<'_> {
    /// What concerns the whole zone puts everything back. Of records that were written before the servers still tell.
    pub(super) async fn failed(&mut self, work: Work, task: Task, trouble: &Trouble) -> Duration {
        self.tell_whole(&trouble.fault);
        let told = of_zone(&trouble.fault, &self.zone.name, self.zone.contact.as_deref());
        self.all_stuck(&task.claims, &trouble.fault);
        let (written, others): (Vec<_>, Vec<_>) =
            task.records.into_iter().partition(|record| self.dns.is_written(record));
        self.dns.refuse(&others, &told);
        self.give_back_beside(work, &written);
        let again = self.check(written, &[]).await;
        again.map_or(trouble.again, |again| again.min(trouble.again))
    }

    /// Nothing may be written: records to which that makes a difference are told, and what is to be done is put back until
    /// the zone changes. Of the others the servers tell.
    pub(super) async fn held_back(
        &mut self,
        mut work: Work,
        asking: Vec<Asking>,
        planned: &BTreeMap<Fqdn, Planned>,
        fault: &Fault<Reason>,
    ) -> Option<Duration> {
        let is_as_asked = |name: &&Fqdn| planned.get(name).is_some_and(|planned| planned.changes.is_empty());
        let (as_asked, waiting): (Vec<_>, Vec<_>) = asking
            .into_iter()
            .partition(|record| self.dns.is_written(record) && record.names().iter().all(is_as_asked));
        self.dns.refuse(&waiting, fault);
        for record in &as_asked {
            work.records.remove(&record.key);
        }
        self.give_back_beside(work, &as_asked);
        self.check(as_asked, &[]).await
    }

    /// Puts work back, beside the records that are checked now.
    fn give_back_beside(&self, mut work: Work, checked: &[Asking]) {
        for record in checked {
            work.unpublished.remove(&record.key);
        }
        self.dns.board.give_back(&self.zone.name, work);
    }

    /// Tells on the zone what concerns all of it.
    pub(super) fn tell_whole(&mut self, fault: &Fault<Reason>) {
        self.facts.fault = Some(fault.clone());
        if matches!(fault.reason, Reason::CredentialInvalid | Reason::ZoneUnknown) {
            self.facts.credential = Some(Err(fault.clone()));
            // Checked anew at the next round: it may have been renewed at the provider.
            self.dns.renew_provider(&self.zone.name);
        }
    }

    /// Where nothing is to be written, nothing failed.
    pub(super) fn trust_what_is_as_asked(&self, planned: &BTreeMap<Fqdn, Planned>) {
        let as_asked = |(name, planned): (&Fqdn, &Planned)| planned.changes.is_empty().then(|| name.clone());
        let names = planned.iter().filter_map(as_asked).collect();
        self.dns.board.trust(&self.zone.name, &names);
    }

    /// When what could not be written and may pass is tried again. What concerns the whole zone is told.
    pub(super) fn try_again(&mut self, written: &Written) -> Option<Duration> {
        if let Some(failure) = &written.whole {
            let trouble = Trouble::from(failure.clone());
            self.tell_whole(&trouble.fault);
            return Some(trouble.again);
        }
        let failed = self.dns.board.suspects(&self.zone.name);
        let times = |name: &Fqdn| failed.get(name).copied().unwrap_or_default();
        let names = written.left().filter(|name| written.may_pass(name));
        names
            .map(|name| match written.failure(name) {
                // Its turn comes next.
                None => READ_AGAIN,
                Some(Failure::Changed(_)) if times(name) <= TOLERATED => READ_AGAIN,
                _ => PROVIDER_AGAIN * 2_u32.pow(times(name).saturating_sub(1).min(MOST_DOUBLED)),
            })
            .min()
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
                Some(fault) => self.dns.refuse(&[record], &fault),
                None => going_on.push(record),
            }
        }
        going_on
    }

    /// Records of which something could not be written are told, and are work again where that may pass; the others go
    /// on.
    pub(super) fn told_failures(&self, asking: Vec<Asking>, written: &Written) -> Vec<Asking> {
        let failed = self.dns.board.suspects(&self.zone.name);
        let mut going_on = Vec::new();
        for record in asking {
            let names = record.names();
            let is_left = names.iter().any(|name| written.may_pass(name));
            if is_left {
                self.dns.board.record(&self.zone.name, record.key.clone());
            }
            let Some(name) = names.iter().find(|name| written.failure(name).is_some()).copied() else {
                if !is_left {
                    going_on.push(record);
                }
                continue;
            };
            let fault = written.failure(name).map(providers::fault);
            let times = failed.get(name).copied().unwrap_or_default();
            // Somebody else wrote meanwhile: it is read anew at once, and nobody needs to know.
            let is_crossed = |fault: &Fault<Reason>| fault.reason == Reason::Conflict && times <= TOLERATED;
            if let Some(fault) = fault.filter(|fault| !is_crossed(fault)) {
                self.dns.refuse(&[record], &fault);
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

    /// Withdrawals of which nothing is left are struck off the claim. Tells when that is to be tried again, should it fail.
    pub(super) async fn withdrawn(
        &self,
        task: &Task,
        planned: &BTreeMap<Fqdn, Planned>,
        written: &Written,
    ) -> Option<Duration> {
        let mut again = None;
        for claim in &task.claims {
            let why = |withdrawal: &Withdrawal| {
                let name = Fqdn::parse(&withdrawal.name).ok()?;
                let failed = written.failure(&name).map(providers::fault);
                let failed = failed.or_else(|| written.later.contains(&name).then(comes_later));
                let conflict = || planned.get(&name)?.conflict.clone();
                failed.or_else(conflict).or_else(|| task.why_not_withdrawn(withdrawal))
            };
            let (left, why) = left(claim, why);
            let failed = self.dns.strike_off(claim, left).await;
            again = [again, failed].into_iter().flatten().min();
            let may_pass = |withdrawal: &Withdrawal| {
                let name = Fqdn::parse(&withdrawal.name);
                name.is_ok_and(|name| written.may_pass(&name))
            };
            if failed.is_some() || claim.spec.withdrawals.iter().any(may_pass) {
                let name = claim.metadata.name.as_deref().unwrap_or_default();
                self.dns.board.claim(&self.zone.name, name);
            }
            // What was struck off or is told anew wakes the claim; what stays as it was waits for the next audit.
            self.stuck(claim, why);
        }
        again
    }

    /// Where nothing may be written, the withdrawals of which nothing of ours is in the zone are struck off: a record that
    /// was never written keeps no name. The others wait, as `fault` says. Tells when to strike off again, should it fail.
    pub(super) async fn not_withdrawn(
        &self,
        task: &Task,
        planned: &BTreeMap<Fqdn, Planned>,
        fault: &Fault<Reason>,
    ) -> Option<Duration> {
        let mut again = None;
        for claim in &task.claims {
            let why = |withdrawal: &Withdrawal| {
                let planned = planned.get(&Fqdn::parse(&withdrawal.name).ok()?)?;
                let is_gone = planned.is_gone(&RecordType::of(&withdrawal.type_));
                let why = || planned.conflict.clone().unwrap_or_else(|| fault.clone());
                task.why_not_withdrawn(withdrawal).or_else(|| (!is_gone).then(why))
            };
            let (left, why) = left(claim, why);
            let failed = self.dns.strike_off(claim, left).await;
            again = [again, failed].into_iter().flatten().min();
            self.stuck(claim, why);
        }
        again
    }

    pub(super) fn all_stuck(&self, claims: &[DnsClaim], fault: &Fault<Reason>) {
        for claim in claims {
            self.stuck(claim, Some(fault.clone()));
        }
    }

    fn stuck(&self, claim: &DnsClaim, why: Option<Fault<Reason>>) {
        self.dns
            .note_stuck(claim.metadata.name.as_deref().unwrap_or_default(), why);
    }
}

/// Of a name whose turn comes with the next round.
fn comes_later() -> Fault<Reason> {
    let message = "the provider takes all that is to be written only little by little";
    Fault::waiting(Reason::ProviderBusy, message, "")
}

/// The withdrawals of a claim for which there is a reason to stay, and the first that no time takes away, or the first.
pub(super) fn left(
    claim: &DnsClaim,
    why: impl Fn(&Withdrawal) -> Option<Fault<Reason>>,
) -> (Vec<Withdrawal>, Option<Fault<Reason>>) {
    let with = |withdrawal: &Withdrawal| Some((withdrawal.clone(), why(withdrawal)?));
    let (left, faults): (Vec<_>, Vec<_>) = claim.spec.withdrawals.iter().filter_map(with).unzip();
    let stalled = faults.iter().find(|fault| fault.class == Class::Stalled);
    let told = stalled.or(faults.first()).cloned();
    (left, told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_left_alone_for_as_long_as_it_asks() {
        let busy = |after: Option<u64>| {
            Trouble::from(Failure::Busy {
                after: after.map(Duration::from_secs),
            })
        };
        assert_eq!(busy(Some(90)).again, Duration::from_secs(90));
        assert_eq!(busy(None).again, PROVIDER_AGAIN);
        assert_eq!(Trouble::from(Failure::Refused(String::new())).again, REFUSING_AGAIN);
        // What is told does not change with every second.
        assert_eq!(busy(Some(90)).fault, busy(Some(89)).fault);
    }
}
