//! The rounds of DnsRecords: judge, claim, hand over to the zone's writer, tell.

use std::sync::Arc;

use kube::ResourceExt as _;
use serde_json::json;
use tremplin_core::api::dns::{DeletionPolicy, DnsRecordStatus, ProgrammedSet, ProviderType, Request};
use tremplin_core::api::{DnsClaim, DnsRecord};
use tremplin_core::conditions::{self, READY};
use tremplin_core::dns::claim::Occasion;
use tremplin_core::dns::judge::programmed;
use tremplin_core::dns::outlook::TARGET_RESOLVES;
use tremplin_core::dns::status::{DELEGATED, RecordFacts, has_moved, record_status};
use tremplin_core::dns::{Reason, Zone, neighbours};
use tremplin_core::fault::Fault;
use tremplin_core::labels::DNS_FINALIZER;

use super::observe::View;
use super::report::{after, ready_reason};
use super::{Dns, MANAGER, TOLERATED, answers, cluster_key, drift, record_key, until};
use crate::cluster::Seen;
use crate::driver::{Accident, Cause, Outcome, Reconcile};
use crate::key::Key;

/// The DnsRecords of the cluster.
pub struct Records(pub Arc<Dns>);

impl Reconcile for Records {
    const KIND: &'static str = "DnsRecord";

    async fn reconcile(&self, key: &Key, failures: u32) -> Outcome {
        let dns = &self.0;
        let Some(seen) = dns.records.get(key) else {
            dns.board.forget(key);
            return Outcome::Gone;
        };
        let record = match &*seen {
            Seen::Malformed(malformed) if malformed.metadata.deletion_timestamp.is_none() => {
                return dns.report_malformed(&dns.records, malformed).await;
            }
            Seen::Malformed(_) => return dns.release_malformed(&seen).await,
            Seen::Object(record) => record,
        };
        let ended = if record.metadata.deletion_timestamp.is_some() {
            dns.leave(record).await
        } else {
            dns.record_round(record).await
        };
        match ended {
            Ok(outcome) => outcome,
            Err(fault) => {
                let outcome = after(&fault);
                if !(matches!(outcome, Outcome::Failed(_)) && failures < TOLERATED) {
                    dns.report_fault(&dns.records, &seen, &fault).await;
                }
                outcome
            }
        }
    }

    async fn tell(&self, key: &Key, accident: &Accident) {
        let dns = &self.0;
        if let Some(seen) = dns.records.get(key) {
            dns.report_accident(&dns.records, &seen, accident).await;
        }
    }
}

impl Dns {
    /// Judge, claim, hand over to the zone's writer, tell.
    async fn record_round(&self, record: &DnsRecord) -> Result<Outcome, Fault<Reason>> {
        tracing::Span::current().record("generation", record.metadata.generation);
        let mut record = record.clone();
        let mut view = self.view(&record);
        if view.judgement.wants_claim() {
            // Before anything outside the cluster may come of it.
            record = self.finalized(record).await?;
            view = self.claimed(&record, view).await?;
        }
        let is_moved = |zone: &Zone| has_moved(&record, zone.domain.as_str());
        if record.status.is_none() || view.usable_zone().is_some_and(is_moved) {
            // What is known is known of another record of that name, or of another zone.
            self.board.forget(&record_key(&record));
        }
        // The status says what may be in the zone before it is there.
        let outcome = self.tell_record(&record, &view).await?;
        if view.judgement.verdict.is_ok() {
            self.hand_over(&record, &view).await?;
        }
        self.look_around(&record, &view);
        Ok(outcome)
    }

    /// With our finalizer.
    async fn finalized(&self, record: DnsRecord) -> Result<DnsRecord, Fault<Reason>> {
        let mut finalizers = record.finalizers().to_vec();
        if finalizers.iter().any(|finalizer| finalizer == DNS_FINALIZER) {
            return Ok(record);
        }
        finalizers.push(DNS_FINALIZER.to_owned());
        self.set_finalizers(&record, &finalizers)
            .await?
            .ok_or_else(|| Fault::transient(Reason::Conflict, "the record is gone"))
    }

    async fn set_finalizers(
        &self,
        record: &DnsRecord,
        finalizers: &[String],
    ) -> Result<Option<DnsRecord>, Fault<Reason>> {
        let change = json!({"metadata": {"finalizers": finalizers}});
        let changed = self.cluster.change_object(record, &change, MANAGER).await;
        let changed = changed.map_err(|fault| fault.map(Reason::from))?;
        if let Some(changed) = &changed {
            self.records.refresh(Seen::Object(Box::new(changed.clone())));
        }
        Ok(changed)
    }

    /// Notes on the claim what a record no longer says, and gives what it says to the zone's writer.
    async fn hand_over(&self, record: &DnsRecord, view: &View) -> Result<(), Fault<Reason>> {
        let Some(zone) = view.usable_zone() else { return Ok(()) };
        let asked = programmed(&view.judgement.sets);
        let before = neighbours::written(record);
        if let Some(claim) = &view.claim {
            let dropped = neighbours::dropped(&self.may_be_there(before, view, claim), &asked);
            if !dropped.is_empty() {
                self.withdraw(claim.clone(), dropped, Occasion::Change).await?;
            }
        }
        let key = record_key(record);
        let (is_other, is_known) = match self.board.progress(&key) {
            // The writer was at something else: what is in the zone now is not what the status says.
            Some(progress) => (progress.wanted != asked, progress.wanted == asked),
            None => (false, false),
        };
        if has_moved(record, zone.domain.as_str())
            || !is_known && was_refused(record)
            || was_not_accepted(record)
            || drift::is_to_be_put_right(record, zone, (self.now)())
        {
            self.board.record(&zone.name, key);
        } else if is_other || !is_known && before != asked {
            self.board.ask(&zone.name, key, asked);
        } else if !is_known && !is_published(record) {
            // Written by a program that ended before the servers answered.
            self.board.ask_again(&zone.name, key);
        } else {
            return Ok(());
        }
        let _ = self.wake.zones.send((cluster_key(&zone.name), Cause::Related));
        Ok(())
    }

    /// A record that is being deleted: its data is noted for withdrawal, and it may go. Neither the zone nor its provider
    /// is waited for, and the spec is not judged.
    async fn leave(&self, record: &DnsRecord) -> Result<Outcome, Fault<Reason>> {
        let finalizers = record.finalizers();
        if !finalizers.iter().any(|finalizer| finalizer == DNS_FINALIZER) {
            return Ok(Outcome::Gone);
        }
        let namespace = record.namespace().unwrap_or_default();
        if record.spec.deletion_policy != Some(DeletionPolicy::Retain)
            && let Some(claim) = self.claim_of_leaving(record, &namespace)
        {
            let view = self.view(record);
            let mut left = self.may_be_there(neighbours::written(record), &view, &claim);
            if !is_by_hand(&view) {
                // What was asked for may be written although the status does not say so yet.
                left.extend(programmed(&view.judgement.sets));
            }
            let withdrawn = neighbours::dropped(&left, &[]);
            self.withdraw(claim, withdrawn, Occasion::Departure).await?;
        }
        let left: Vec<String> = finalizers
            .iter()
            .filter(|name| *name != DNS_FINALIZER)
            .cloned()
            .collect();
        self.set_finalizers(record, &left).await?;
        self.board.forget(&record_key(record));
        Ok(Outcome::Gone)
    }

    /// What of these sets may be in the zone. Of a desk's, only what was seen there or is asked of it: it is not to take away
    /// what others have.
    fn may_be_there(&self, sets: &[ProgrammedSet], view: &View, claim: &DnsClaim) -> Vec<ProgrammedSet> {
        if !is_by_hand(view) {
            return sets.to_vec();
        }
        let requests = self.requests_before(&claim.name_any());
        let is_asked = |set: &&ProgrammedSet| {
            let is_it = |request: &Request| (&request.name, &request.type_) == (&set.name, &set.type_);
            requests.iter().any(is_it)
        };
        let written = sets.iter().filter(|set| !set.hash.is_empty() || is_asked(set));
        written.cloned().collect()
    }

    /// The claim that covers a record that is about to go, if its namespace holds it: by the status, which outlives the
    /// zone, or by the zones that there are.
    fn claim_of_leaving(&self, record: &DnsRecord, namespace: &str) -> Option<DnsClaim> {
        let named = record.status.as_ref().and_then(|status| status.claim.as_ref());
        let by_status = named.and_then(|claim| match &*self.claims.get(&cluster_key(&claim.name))? {
            Seen::Object(claim) => Some((**claim).clone()),
            Seen::Malformed(_) => None,
        });
        by_status
            .or_else(|| self.view(record).claim)
            .filter(|claim| claim.spec.holder.namespace == namespace)
    }

    /// A record that cannot be read is let go: its data is found by the audit.
    async fn release_malformed(&self, seen: &Seen<DnsRecord>) -> Outcome {
        let metadata = kube::Resource::meta(seen).clone();
        let finalizers = metadata.finalizers.clone().unwrap_or_default();
        let left: Vec<String> = finalizers
            .iter()
            .filter(|name| *name != DNS_FINALIZER)
            .cloned()
            .collect();
        if left.len() == finalizers.len() {
            return Outcome::Gone;
        }
        let record = DnsRecord {
            metadata,
            spec: tremplin_core::api::DnsRecordSpec::default(),
            status: None,
        };
        match self.set_finalizers(&record, &left).await {
            Ok(_) => Outcome::Gone,
            Err(fault) => Outcome::Failed(fault.to_string()),
        }
    }

    /// Writes the status if something in it differs.
    async fn tell_record(&self, record: &DnsRecord, view: &View) -> Result<Outcome, Fault<Reason>> {
        let namespace = record.namespace().unwrap_or_default();
        let key = record_key(record);
        let progress = self.board.progress(&key);
        let now = (self.now)();
        let facts = RecordFacts {
            fqdn: view.name.as_ref().map(ToString::to_string),
            zone: view.usable_zone().map(|zone| zone.domain.to_string()),
            // Without a zone nobody can tell who holds it: what was told before is how its withdrawal finds the claim.
            claim: match view.usable_zone() {
                Some(_) => view.summary(&namespace),
                None => record.status.as_ref().and_then(|status| status.claim.clone()),
            },
            conflict: view.conflict(&namespace),
            judgement: &view.judgement,
            outlook: &view.outlook,
            progress: progress.as_ref(),
            now,
        };
        let new = record_status(record, facts);
        let visible_after = new.visible_after.as_ref().map(|at| at.0).filter(|at| *at > now);
        if record.status.as_ref() != Some(&new) {
            let seen = Seen::Object(Box::new(record.clone()));
            let unwritable = |error: serde_json::Error| Fault::transient(Reason::InternalError, error.to_string());
            let status = serde_json::to_value(&new).map_err(unwritable)?;
            let progress = [Reason::Programming.as_str(), Reason::Publishing.as_str()];
            self.cluster
                .report(&self.records, &seen, &status, &new.conditions, &progress)
                .await
                .map_err(|fault| fault.map(Reason::from))?;
            self.cluster
                .warn(&seen, &new.conditions, &[DELEGATED, TARGET_RESOLVES])
                .await;
            if let Some(claim) = &new.claim
                && record.status.as_ref().is_some_and(is_left) != is_left(&new)
            {
                // The platform team is told too.
                let _ = self.wake.claims.send((cluster_key(&claim.name), Cause::Related));
            }
        }
        let look_again = answers::again(&view.outlook);
        Ok(match &view.judgement.verdict {
            Ok(()) => Outcome::Settled {
                again: [visible_after.map(|at| until(at, now)), look_again]
                    .into_iter()
                    .flatten()
                    .min(),
            },
            Err(fault) => after(fault),
        })
    }
}

/// Whether humans at a desk write what is asked for.
fn is_by_hand(view: &View) -> bool {
    view.usable_zone()
        .is_some_and(|zone| zone.provider == ProviderType::Request)
}

/// Whether the authoritative servers answered as asked when they were last asked.
fn is_published(record: &DnsRecord) -> bool {
    let conditions = record.status.as_ref().map(|status| status.conditions.as_slice());
    conditions.is_some_and(|conditions| conditions::is_true(conditions, "Published"))
}

/// Whether it could not be judged, or was refused: its data was left as it is, and others may wait for that.
fn was_not_accepted(record: &DnsRecord) -> bool {
    let conditions = record.status.as_ref().map(|status| status.conditions.as_slice());
    conditions
        .and_then(|conditions| conditions::find(conditions, "Accepted"))
        .is_some_and(|accepted| accepted.status != "True")
}

/// Whether what is published would no longer be admitted.
fn is_left(status: &DnsRecordStatus) -> bool {
    let ready = conditions::find(&status.conditions, READY);
    ready.is_some_and(|ready| ready.reason == Reason::NoLongerAllowed.as_str())
}

/// Whether the zone or its provider refused a record when it was last tried.
fn was_refused(record: &DnsRecord) -> bool {
    let reason = ready_reason(record);
    reason == Some(Reason::NotOurs.as_str()) || reason == Some(Reason::ProviderRefused.as_str())
}
