//! The rounds of DnsZones: the only ones that read and write a zone, one at a time each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tremplin_core::api::dns::{DnsZoneStatus, ProviderType};
use tremplin_core::api::{DnsClaim, DnsZone};
use tremplin_core::dns::plan::Planned;
use tremplin_core::dns::status::{ZoneFacts, is_to_be_checked, near_end, zone_status};
use tremplin_core::dns::{Change, Fqdn, Reason, Zone};
use tremplin_core::fault::{Class, Fault};

use super::authorities::Authorities;
use super::board::Work;
use super::outcome::Trouble;
use super::providers::Ready;
use super::reading;
use super::report::after;
use super::round::Round;
use super::write::{Asking, Task};
use super::writer;
use super::{Dns, TOLERATED};
use crate::cluster::{Group, Item as _, Notice, Seen};
use crate::driver::{Accident, Outcome, Reconcile};
use crate::key::Key;

/// When a credential that was refused is tried again, should its Secret not change before.
const VERIFY_AGAIN: Duration = Duration::from_mins(5);
/// How soon authoritative servers of which none answers are asked again.
pub(super) const ASK_SILENT_AGAIN: Duration = Duration::from_secs(15);
/// How often an API that the cluster does not serve is looked for.
const LOOK_FOR_API: Duration = Duration::from_secs(15);

/// The DnsZones of the cluster.
pub struct Zones(pub Arc<Dns>);

impl Reconcile for Zones {
    const KIND: &'static str = "DnsZone";

    async fn reconcile(&self, key: &Key, failures: u32) -> Outcome {
        let dns = &self.0;
        let Some(seen) = dns.zones.get(key) else {
            // Its credential is kept no longer.
            dns.forget_provider(&key.name);
            return Outcome::Gone;
        };
        let zone = match &*seen {
            Seen::Malformed(malformed) => return dns.report_malformed(&dns.zones, malformed).await,
            Seen::Object(zone) if zone.metadata.deletion_timestamp.is_some() => return Outcome::Gone,
            Seen::Object(zone) => zone,
        };
        match Box::pin(dns.zone_round(zone)).await {
            Ok(outcome) => outcome,
            Err(fault) => {
                let outcome = after(&fault);
                if !(matches!(outcome, Outcome::Failed(_)) && failures < TOLERATED) {
                    dns.report_fault(&dns.zones, &seen, &fault).await;
                }
                outcome
            }
        }
    }

    async fn tell(&self, key: &Key, accident: &Accident) {
        let dns = &self.0;
        if let Some(seen) = dns.zones.get(key) {
            if let Seen::Object(zone) = &*seen {
                dns.take_up_again(zone);
            }
            dns.report_accident(&dns.zones, &seen, accident).await;
        }
    }
}

impl Dns {
    /// The work of a round that ended badly went with it: everything in the zone is work again.
    fn take_up_again(&self, object: &DnsZone) {
        let Ok(zone) = Zone::parse(object) else { return };
        for record in self.records_of(&zone) {
            self.board.record(&zone.name, record);
        }
        for seen in self.claims.group(&Group::Name(zone.domain.to_string())) {
            self.board.claim(&zone.name, &seen.key().name);
        }
    }

    async fn zone_round(&self, object: &DnsZone) -> Result<Outcome, Fault<Reason>> {
        tracing::Span::current().record("generation", object.metadata.generation);
        let name = object.metadata.name.clone().unwrap_or_default();
        let zone = match Zone::parse(object) {
            Ok(zone) => zone,
            Err(fault) => return self.cannot(object, fault).await,
        };
        let opened = self.opened().at(&zone.domain);
        if let Some(other) = opened.filter(|open| open.name != name) {
            let message = format!("the older DnsZone {} has the domain {}", other.name, zone.domain);
            return self
                .cannot(object, Fault::stalled(Reason::DuplicateZone, message, ""))
                .await;
        }
        if zone.provider == ProviderType::Request {
            return self.desk_round(object, &zone).await;
        }
        let told = object.status.as_ref();
        if told.is_some_and(|told| is_to_be_checked(told, (self.now)())) {
            self.renew_provider(&name);
        }
        let Ready {
            provider,
            memory,
            is_verified,
        } = match self.provider(object, &zone).await {
            Ok(ready) => ready,
            Err(fault) => return self.cannot(object, fault).await,
        };
        let mut round = Round {
            dns: self,
            object: object.clone(),
            zone: &zone,
            provider,
            memory,
            authorities: Authorities::default(),
            facts: ZoneFacts {
                kept: self.kept(object, &zone),
                ..ZoneFacts::default()
            },
            audited: None,
            now: (self.now)(),
        };
        let mut verify_again = None;
        if !is_verified {
            match round.provider.verify().await {
                Ok(credential) => round.facts.credential = Some(Ok(credential.expires_at)),
                Err(failure) => {
                    let trouble = Trouble::from(failure);
                    if trouble.fault.class == Class::Stalled {
                        return round.refused(trouble.fault).await;
                    }
                    verify_again = Some(trouble.again);
                }
            }
        }
        let again = round.work().await;
        round.tell().await?;
        if verify_again.is_none() {
            // Not before it is told: a round that ends sooner would have checked it for nobody.
            self.note_verified(&name);
        }
        let again = [again, verify_again].into_iter().flatten().min();
        Ok(Outcome::Settled { again })
    }

    /// A zone that cannot be used at all: it says so, and so do its records.
    async fn cannot(&self, object: &DnsZone, fault: Fault<Reason>) -> Result<Outcome, Fault<Reason>> {
        let kept = match Zone::parse(object) {
            Ok(zone) => self.kept(object, &zone),
            Err(_) => object.status.clone().unwrap_or_default(),
        };
        let facts = ZoneFacts {
            fault: Some(fault.clone()),
            kept,
            credential: matches!(fault.reason, Reason::CredentialMissing).then(|| Err(fault.clone())),
            ..ZoneFacts::default()
        };
        let name = object.metadata.name.clone().unwrap_or_default();
        let work = self.board.take(&name);
        self.refuse_work(&work, object, &fault);
        self.board.give_back(&name, work);
        self.tell_zone(object, facts, (self.now)()).await?;
        Ok(after(&fault))
    }

    pub(super) async fn tell_zone(
        &self,
        object: &DnsZone,
        facts: ZoneFacts,
        now: Timestamp,
    ) -> Result<(), Fault<Reason>> {
        let new = zone_status(object, facts, now);
        self.write_zone_status(object, &new).await
    }

    pub(super) async fn write_zone_status(&self, object: &DnsZone, new: &DnsZoneStatus) -> Result<(), Fault<Reason>> {
        if object.status.as_ref() == Some(new) {
            return Ok(());
        }
        let unwritable = |error: serde_json::Error| Fault::transient(Reason::InternalError, error.to_string());
        let status = serde_json::to_value(new).map_err(unwritable)?;
        let seen = Seen::Object(Box::new(object.clone()));
        self.cluster
            .report(&self.zones, &seen, &status, &new.conditions, &[])
            .await
            .map_err(|fault| fault.map(Reason::from))?;
        if let Some(told) = near_end(object.status.as_ref(), new) {
            let notice = Notice {
                warning: true,
                reason: told.reason.clone(),
                action: "Verify".to_owned(),
                note: told.message.clone(),
            };
            self.cluster.publish(&seen.reference(), notice).await;
        }
        Ok(())
    }
}

impl Round<'_> {
    /// A zone whose provider does not take our credential: it says so, and so do its records.
    async fn refused(mut self, fault: Fault<Reason>) -> Result<Outcome, Fault<Reason>> {
        let (dns, name) = (self.dns, &self.zone.name);
        dns.renew_provider(name);
        let is_api = fault.reason == Reason::ApiMissing;
        self.facts.credential = (!is_api).then(|| Err(fault.clone()));
        self.facts.fault = Some(fault.clone());
        let work = dns.board.take(name);
        dns.refuse_work(&work, &self.object, &fault);
        dns.board.give_back(name, work);
        self.tell().await?;
        let again = if is_api { LOOK_FOR_API } else { VERIFY_AGAIN };
        Ok(Outcome::Stalled { again: Some(again) })
    }

    async fn tell(mut self) -> Result<(), Fault<Reason>> {
        self.forget_old_deletions();
        self.dns.tell_zone(&self.object, self.facts, self.now).await?;
        if let Some(audited) = self.audited {
            self.dns.audits.note(&self.zone.name, audited);
        }
        Ok(())
    }

    /// Audits when it is time, writes what is to be written, asks who is still behind. Tells when to look again.
    async fn work(&mut self) -> Option<Duration> {
        self.ask_authorities().await;
        let audit_again = self.audit().await;
        if self.audited.is_some() && self.dns.board.is_behind(&self.zone.name) {
            // Told that it is published, a provider may have left something out.
            self.note_unpublished();
        }
        let mut work = self.dns.board.take(&self.zone.name);
        let mut task = self.dns.task(&mut work, self.zone);
        let children_again = self
            .dns
            .gate_delegations(self.zone, &self.authorities.servers, &mut task, &work);
        self.dns.tell_kept(self.zone, &mut task);
        let again = if task.is_empty() {
            self.close_acknowledged();
            match self.publish().await {
                Ok(()) => None,
                Err(trouble) => Some(self.failed(work, task, &trouble).await),
            }
        } else {
            self.carry_out(work, task).await
        };
        let silent = self.authorities.are_silent().then_some(ASK_SILENT_AGAIN);
        [audit_again, children_again, again, silent].into_iter().flatten().min()
    }

    /// Reads, plans, writes, publishes and checks one task.
    async fn carry_out(&mut self, work: Work, mut task: Task) -> Option<Duration> {
        let to_be_written = |record: &Asking| work.records.contains(&record.key);
        let only_asking = task.claims.is_empty() && !task.records.iter().any(to_be_written);
        if only_asking {
            self.close_acknowledged();
            if let Err(trouble) = self.publish().await {
                return Some(self.failed(work, task, &trouble).await);
            }
            return self.check(task.records, &[]).await;
        }
        let mut left = self.memory.take();
        let reading = match reading::plan(&*self.provider, &task.wants, &mut left, self.zone).await {
            Ok(reading) => reading,
            Err(failure) => return Some(self.failed(work, task, &failure.into()).await),
        };
        let planned = &reading.planned;
        let mut asking = self.told_conflicts(std::mem::take(&mut task.records), planned);
        asking = self.told_drift(asking, planned);
        let held: BTreeSet<Fqdn> = held_names(&asking, planned, &task.claims);
        let groups = groups(planned, &held);
        let changes: Vec<Change> = groups.iter().flat_map(|(_, changes)| changes).cloned().collect();
        if let Some(fault) = self.may_not_write(&changes) {
            let strike_again = self.tell_waiting(&task, planned, &changes, &fault).await;
            let again = self.held_back(work, asking, planned, &fault).await;
            return [again, strike_again].into_iter().flatten().min();
        }
        self.trust_what_is_as_asked(planned);
        let written = match self.write(groups, &task.wants).await {
            Ok(written) => written,
            Err(trouble) => {
                task.records = asking;
                return Some(self.failed(work, task, &trouble).await);
            }
        };
        let as_planned = held.iter().filter(|name| written.is_as_planned(name));
        left.note(as_planned.filter_map(|name| task.wants.get(name)), &reading, self.zone);
        self.memory.keep(left);
        asking = self.told_failures(asking, &written);
        let strike_again = self.withdrawn(&task, planned, &written).await;
        let try_again = self.try_again(&written);
        let again = self.check(asking, &changes).await;
        [again, try_again, strike_again].into_iter().flatten().min()
    }
}

/// What is to be written, by name.
fn groups(planned: &BTreeMap<Fqdn, Planned>, held: &BTreeSet<Fqdn>) -> Vec<writer::Group> {
    let held = planned
        .iter()
        .filter(|(name, planned)| held.contains(name) && !planned.changes.is_empty());
    held.map(|(name, planned)| (name.clone(), planned.changes.clone()))
        .collect()
}

/// The names that are written: those of records that go on, and those of which something was withdrawn. (Of a text that
/// shares its name with another record's, nothing is withdrawn: the set shrinks.)
fn held_names(asking: &[Asking], planned: &BTreeMap<Fqdn, Planned>, claims: &[DnsClaim]) -> BTreeSet<Fqdn> {
    let asked = asking
        .iter()
        .flat_map(|record| &record.sets)
        .map(|set| set.name.clone());
    let withdrawn = claims
        .iter()
        .flat_map(|claim| &claim.spec.withdrawals)
        .filter_map(|withdrawal| Fqdn::parse(&withdrawal.name).ok());
    // With a conflict, all that is changed is that our mark gives way.
    let retracted = planned.iter().filter(|(_, planned)| planned.conflict.is_some());
    asked
        .chain(withdrawn)
        .chain(retracted.map(|(name, _)| name.clone()))
        .collect()
}
