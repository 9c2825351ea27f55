//! The rounds of DnsZones: the only ones that read and write a zone, one at a time each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tremplin_core::api::DnsZone;
use tremplin_core::api::dns::{AuthorityStatus, Breaker, Deletions, DnsZoneStatus, PlannedChange};
use tremplin_core::dns::plan::Planned;
use tremplin_core::dns::profile::Publication;
use tremplin_core::dns::status::{Progress, Served, ZoneFacts, zone_status};
use tremplin_core::dns::{Change, Fqdn, Reason, Zone, breaker};
use tremplin_core::fault::{Class, Fault};
use tremplin_core::labels::BREAKER_ACKNOWLEDGED;

use super::board::Work;
use super::providers::{self, Ready};
use super::report::after;
use super::write::{self, Asking, Task};
use super::{Dns, TOLERATED, cluster_key, drift, until};
use crate::cluster::Seen;
use crate::dns_provider::Provider;
use crate::dns_provider::authority::{self, Server, Start};
use crate::driver::{Accident, Cause, Outcome, Reconcile};
use crate::key::Key;

/// How soon a server that does not yet answer as asked is asked again within a round, and then by rounds of their own.
const ASK_AGAIN: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(300),
];
const ASK_LATER: Duration = Duration::from_secs(1);
/// When a provider that did not answer or was asked too often is tried again.
const PROVIDER_AGAIN: Duration = Duration::from_secs(5);

/// The DnsZones of the cluster.
pub struct Zones(pub Arc<Dns>);

impl Reconcile for Zones {
    const KIND: &'static str = "DnsZone";

    async fn reconcile(&self, key: &Key, failures: u32) -> Outcome {
        let dns = &self.0;
        let Some(seen) = dns.zones.get(key) else {
            return Outcome::Gone;
        };
        let zone = match &*seen {
            Seen::Malformed(malformed) => return dns.report_malformed(&dns.zones, malformed).await,
            Seen::Object(zone) if zone.metadata.deletion_timestamp.is_some() => return Outcome::Gone,
            Seen::Object(zone) => zone,
        };
        match dns.zone_round(zone).await {
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
            dns.report_accident(&dns.zones, &seen, accident).await;
        }
    }
}

/// A round on a zone: what it works with, and what it found out.
pub(super) struct Round<'a> {
    pub dns: &'a Dns,
    pub object: &'a DnsZone,
    pub zone: &'a Zone,
    pub provider: Arc<dyn Provider>,
    pub servers: Vec<Server>,
    pub start: Option<Start>,
    pub facts: ZoneFacts,
    pub now: Timestamp,
}

impl Dns {
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
        if !Self::has_client(zone.provider) {
            let message = format!("zones of type {} cannot be written yet", zone.provider.as_str());
            return self
                .cannot(
                    object,
                    Fault::stalled(Reason::InvalidZone, message, "use another type").at("spec.provider.type"),
                )
                .await;
        }
        let Ready { provider, is_new } = match self.provider(object, &zone.domain).await {
            Ok(ready) => ready,
            Err(fault) => return self.cannot(object, fault).await,
        };
        let mut round = Round {
            dns: self,
            object,
            zone: &zone,
            provider,
            servers: Vec::new(),
            start: None,
            facts: ZoneFacts {
                kept: object.status.clone().unwrap_or_default(),
                ..ZoneFacts::default()
            },
            now: (self.now)(),
        };
        if is_new {
            let verified = round.provider.verify().await;
            let verified = verified.map_err(|failure| providers::fault(&failure));
            if let Err(fault) = &verified
                && fault.class == Class::Stalled
            {
                self.forget_provider(&name);
                let fault = fault.clone();
                round.facts.credential = Some(Err(fault.clone()));
                round.facts.fault = Some(fault.clone());
                let work = self.board.take(&zone.name);
                round.refuse_all(&work, &fault);
                self.board.give_back(&zone.name, work);
                round.tell().await?;
                return Ok(Outcome::Stalled {
                    again: Some(Duration::from_mins(5)),
                });
            }
            if let Ok(credential) = verified {
                round.facts.credential = Some(Ok(credential.expires_at));
            }
        }
        let again = round.work().await;
        round.tell().await?;
        Ok(Outcome::Settled { again })
    }

    /// A zone that cannot be used at all: it says so, and so do its records.
    async fn cannot(&self, object: &DnsZone, fault: Fault<Reason>) -> Result<Outcome, Fault<Reason>> {
        let facts = ZoneFacts {
            fault: Some(fault.clone()),
            kept: object.status.clone().unwrap_or_default(),
            credential: matches!(fault.reason, Reason::CredentialMissing).then(|| Err(fault.clone())),
            ..ZoneFacts::default()
        };
        let name = object.metadata.name.clone().unwrap_or_default();
        let work = self.board.take(&name);
        for record in work.records.iter().chain(&work.unpublished) {
            self.note_fault(record, &fault);
        }
        self.board.give_back(&name, work);
        self.tell_zone(object, facts, (self.now)()).await?;
        Ok(after(&fault))
    }

    /// Notes on a record what keeps its zone from being written.
    pub(super) fn note_fault(&self, key: &Key, fault: &Fault<Reason>) {
        let Some(seen) = self.records.get(key) else { return };
        let Seen::Object(record) = &*seen else { return };
        let wanted = tremplin_core::dns::judge::programmed(&self.view(record).judgement.sets);
        let drift = record.status.as_ref().and_then(|status| status.drift.clone());
        self.note(
            key,
            Progress {
                wanted,
                result: Err(fault.clone()),
                drift,
            },
        );
    }

    /// Notes how far the writer is with a record, and wakes it when that is news.
    pub(super) fn note(&self, key: &Key, progress: Progress) {
        if self.board.note(key, progress) {
            let _ = self.wake.records.send((key.clone(), Cause::Related));
        }
    }

    async fn tell_zone(&self, object: &DnsZone, facts: ZoneFacts, now: Timestamp) -> Result<(), Fault<Reason>> {
        let new: DnsZoneStatus = zone_status(object, facts, now);
        if object.status.as_ref() == Some(&new) {
            return Ok(());
        }
        let unwritable = |error: serde_json::Error| Fault::transient(Reason::InternalError, error.to_string());
        let status = serde_json::to_value(&new).map_err(unwritable)?;
        let seen = Seen::Object(Box::new(object.clone()));
        self.cluster
            .report(&self.zones, &seen, &status, &new.conditions, &[])
            .await
            .map_err(|fault| fault.map(Reason::from))
    }
}

impl Round<'_> {
    async fn tell(self) -> Result<(), Fault<Reason>> {
        self.dns.tell_zone(self.object, self.facts, self.now).await
    }

    /// Audits when it is time, writes what is to be written, asks who is still behind. Tells when to look again.
    async fn work(&mut self) -> Option<Duration> {
        self.forget_old_deletions();
        self.ask_authorities().await;
        let audit_again = self.audit().await;
        let work = self.dns.board.take(&self.zone.name);
        let task = self.dns.task(&work, self.zone);
        let again = if task.wants.is_empty() {
            None
        } else {
            self.carry_out(work, task).await
        };
        [audit_again, again].into_iter().flatten().min()
    }

    /// Reads, plans, writes, publishes and checks one task.
    async fn carry_out(&mut self, work: Work, mut task: Task) -> Option<Duration> {
        let names = write::names(&task.wants, &self.zone.domain);
        let only_asking = work.records.is_empty() && work.claims.is_empty();
        if only_asking {
            return self.check(task.records, &[]).await;
        }
        let current = match write::read(&*self.provider, &names).await {
            Ok(current) => current,
            Err(failure) => return Some(self.failed(work, &task, &providers::fault(&failure))),
        };
        let planned = write::plan_all(&task.wants, &current, self.zone, self.provider.profile());
        let mut asking = self.told_conflicts(std::mem::take(&mut task.records), &planned);
        asking = self.told_drift(asking, &planned);
        let held: BTreeSet<Fqdn> = held_names(&asking, &planned, &task.wants);
        let groups: Vec<Vec<Change>> = planned
            .iter()
            .filter(|(name, _)| held.contains(name))
            .map(|(_, planned)| planned.changes.clone())
            .filter(|changes| !changes.is_empty())
            .collect();
        let changes: Vec<Change> = groups.iter().flatten().cloned().collect();
        if let Some(fault) = self.may_not_write(&changes) {
            self.facts.plan = changes.iter().map(planned_change).collect();
            self.refuse(&asking, &fault);
            for claim in &task.claims {
                self.stuck(claim, Some(fault.to_string()));
            }
            // Tried again when the zone changes: nothing is lost.
            self.dns.board.give_back(&self.zone.name, work);
            return None;
        }
        if !changes.is_empty()
            && let Err(fault) = self.write(groups, &changes).await
        {
            task.records = asking;
            return Some(self.failed(work, &task, &fault));
        }
        self.withdrawn(&task, &planned).await;
        self.check(asking, &changes).await
    }

    /// Why nothing may be written now.
    fn may_not_write(&mut self, changes: &[Change]) -> Option<Fault<Reason>> {
        if !self.zone.written {
            return Some(write::not_written(self.zone, self.object.spec.paused == Some(true)));
        }
        if changes.is_empty() {
            return None;
        }
        let breaker = self.facts.kept.breaker.get_or_insert_default();
        if let Some(tripped_at) = &breaker.tripped_at {
            let acknowledged = self
                .object
                .metadata
                .annotations
                .as_ref()
                .and_then(|annotations| annotations.get(BREAKER_ACKNOWLEDGED));
            if acknowledged.is_none_or(|time| *time != tripped_at.0.to_string()) {
                return Some(open_breaker(breaker, self.zone));
            }
            // A human has looked: these changes are wanted, and counting begins anew.
            *breaker = Breaker::default();
            return None;
        }
        let owned = self.dns.owned(self.zone);
        let why = breaker::trip(changes, owned, &breaker.deletions, &self.zone.safety, self.now)?;
        breaker.tripped_at = Some(Time(Timestamp::from_second(self.now.as_second()).unwrap_or(self.now)));
        breaker.message = Some(why);
        Some(open_breaker(breaker, self.zone))
    }

    async fn write(&mut self, groups: Vec<Vec<Change>>, changes: &[Change]) -> Result<(), Fault<Reason>> {
        self.snapshot().await?;
        for change in changes {
            tracing::info!(
                zone = self.zone.name,
                action = change.action(),
                name = change.name().map(ToString::to_string),
                type_ = change.type_().map(ToString::to_string),
                "writing to the zone"
            );
        }
        let deleted = i32::try_from(breaker::deleted(changes)).unwrap_or(i32::MAX);
        if deleted > 0 {
            let at = Time(Timestamp::from_second(self.now.as_second()).unwrap_or(self.now));
            let breaker = self.facts.kept.breaker.get_or_insert_default();
            breaker.deletions.push(Deletions { at, count: deleted });
        }
        let written = write::write(&*self.provider, groups).await;
        // What was written is published also when the rest was not.
        let published = match self.provider.profile().publication {
            Publication::Explicit => self.provider.publish().await,
            Publication::Immediate | Publication::Asynchronous => Ok(()),
        };
        written.and(published).map_err(|failure| providers::fault(&failure))
    }

    /// Keeps the zone as it was.
    async fn snapshot(&mut self) -> Result<(), Fault<Reason>> {
        if !self.zone.safety.snapshot || !self.provider.profile().snapshots {
            return Ok(());
        }
        let made = self
            .provider
            .snapshot()
            .await
            .map_err(|failure| providers::fault(&failure))?;
        if let Some(id) = made {
            let at = Time(self.now);
            let snapshots = &mut self.facts.kept.snapshots;
            snapshots.insert(0, tremplin_core::api::dns::SnapshotStatus { id, at });
            snapshots.truncate(10);
        }
        Ok(())
    }

    /// Asks every authoritative server about what is written, until all answer as asked or the round has lasted.
    async fn check(&mut self, asking: Vec<Asking>, changes: &[Change]) -> Option<Duration> {
        let negative = self.start.map(|start| start.negative_ttl);
        let mut behind = asking;
        for wait in ASK_AGAIN.iter().map(Some).chain([None]) {
            let mut still = Vec::new();
            for record in behind {
                let answers = self.answers(&record).await;
                let names: BTreeSet<&Fqdn> = record.sets.iter().map(|set| &set.name).collect();
                let own = changes
                    .iter()
                    .filter(|change| change.name().is_some_and(|name| names.contains(name)));
                let before = record.record.status.as_ref();
                let visible_after = write::visible_after(own, negative, self.now)
                    .or_else(|| Some(before?.visible_after.as_ref()?.0).filter(|at| *at > self.now));
                let served = Served { answers, visible_after };
                if served.is_published() || wait.is_none() {
                    let published = served.is_published();
                    self.dns.note(
                        &record.key,
                        Progress {
                            wanted: record.programmed.clone(),
                            result: Ok(served),
                            drift: drift::noted(&record, changes, self.now),
                        },
                    );
                    if !published {
                        still.push(record);
                    }
                } else {
                    still.push(record);
                }
            }
            behind = still;
            let (Some(wait), false) = (wait, behind.is_empty()) else {
                break;
            };
            tokio::time::sleep(*wait).await;
        }
        if behind.is_empty() {
            return None;
        }
        let unpublished = behind.into_iter().map(|record| record.key).collect();
        self.dns.board.give_back(
            &self.zone.name,
            Work {
                unpublished,
                ..Work::default()
            },
        );
        Some(ASK_LATER)
    }

    /// The first failure puts everything back.
    fn failed(&mut self, work: Work, task: &Task, fault: &Fault<Reason>) -> Duration {
        self.facts.fault = Some(fault.clone());
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

    fn refuse(&self, asking: &[Asking], fault: &Fault<Reason>) {
        for record in asking {
            self.dns.note(
                &record.key,
                Progress {
                    wanted: record.programmed.clone(),
                    result: Err(fault.clone()),
                    drift: record.record.status.as_ref().and_then(|status| status.drift.clone()),
                },
            );
        }
    }

    fn refuse_all(&self, work: &Work, fault: &Fault<Reason>) {
        for key in work.records.iter().chain(&work.unpublished) {
            self.dns.note_fault(key, fault);
        }
    }

    /// Records of which a name is somebody else's are told; the others go on.
    fn told_conflicts(&self, asking: Vec<Asking>, planned: &BTreeMap<Fqdn, Planned>) -> Vec<Asking> {
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

    /// Records whose data somebody else undid: put right, told, or left alone.
    fn told_drift(&self, asking: Vec<Asking>, planned: &BTreeMap<Fqdn, Planned>) -> Vec<Asking> {
        let mut going_on = Vec::new();
        for record in asking {
            match drift::judge(&record, planned, self.zone, self.now) {
                Some((fault, drift)) => self.dns.note(
                    &record.key,
                    Progress {
                        wanted: record.programmed.clone(),
                        result: Err(fault),
                        drift: Some(drift),
                    },
                ),
                None => going_on.push(record),
            }
        }
        going_on
    }

    /// Withdrawals of which nothing is left are struck off the claim.
    async fn withdrawn(&self, task: &Task, planned: &BTreeMap<Fqdn, Planned>) {
        for claim in &task.claims {
            let is_done = |withdrawal: &tremplin_core::api::dns::Withdrawal| {
                let Ok(name) = Fqdn::parse(&withdrawal.name) else {
                    return true;
                };
                planned.get(&name).is_none_or(|planned| planned.conflict.is_none())
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
                Some(planned.get(&name)?.conflict.as_ref()?.to_string())
            });
            if left.len() < claim.spec.withdrawals.len() {
                let change = serde_json::json!({"spec": {"withdrawals": left}});
                if let Err(fault) = self.dns.change_claim(claim, &change).await {
                    // The claim's own round passes them on again.
                    tracing::debug!(%fault, "failed to strike off withdrawals");
                }
            }
            self.stuck(claim, why);
            let _ = self.dns.wake.claims.send((
                cluster_key(claim.metadata.name.as_deref().unwrap_or_default()),
                Cause::Related,
            ));
        }
    }

    fn stuck(&self, claim: &tremplin_core::api::DnsClaim, why: Option<String>) {
        let name = claim.metadata.name.clone().unwrap_or_default();
        if self.dns.board.note_stuck(&name, why) {
            let _ = self.dns.wake.claims.send((cluster_key(&name), Cause::Related));
        }
    }

    fn forget_old_deletions(&mut self) {
        if let Some(breaker) = &mut self.facts.kept.breaker {
            breaker.deletions = breaker::recent(&breaker.deletions, self.now);
            if *breaker == Breaker::default() {
                self.facts.kept.breaker = None;
            }
        }
    }

    /// Finds the authoritative servers and asks each for the zone's start.
    async fn ask_authorities(&mut self) {
        let found = authority::servers(&self.zone.authorities).await;
        let servers = match found {
            Ok(servers) => servers,
            Err(message) => {
                self.facts.authorities = Some(vec![AuthorityStatus {
                    server: self.zone.domain.to_string(),
                    serial: None,
                    message: Some(message),
                }]);
                return;
            }
        };
        let asked = servers
            .iter()
            .map(async |server| (server, authority::start(server.address, &self.zone.domain).await));
        let mut statuses = Vec::new();
        for (server, start) in futures::future::join_all(asked).await {
            if let Ok(start) = &start {
                self.start = self.start.or(Some(*start));
            }
            statuses.push(AuthorityStatus {
                server: server.name.clone(),
                // A serial changes with every record: it is told where it matters, on the record.
                serial: None,
                message: start.err(),
            });
        }
        self.facts.authorities = Some(statuses);
        self.servers = servers;
    }

    async fn answers(&self, record: &Asking) -> Vec<tremplin_core::api::dns::AuthorityAnswer> {
        let asked = self.servers.iter().map(async |server| {
            for set in &record.sets {
                let message = match authority::compare(server.address, set).await {
                    Ok(None) => continue,
                    Ok(Some(why)) | Err(why) => format!("{} {}: {why}", set.name, set.type_),
                };
                return tremplin_core::api::dns::AuthorityAnswer {
                    server: server.name.clone(),
                    serial: None,
                    matches: false,
                    message: Some(message),
                };
            }
            tremplin_core::api::dns::AuthorityAnswer {
                server: server.name.clone(),
                serial: None,
                matches: true,
                message: None,
            }
        });
        futures::future::join_all(asked).await
    }
}

/// The names that are written: those of records that go on, and those of which something was withdrawn.
fn held_names(
    asking: &[Asking],
    planned: &BTreeMap<Fqdn, Planned>,
    wants: &BTreeMap<Fqdn, tremplin_core::dns::plan::Want>,
) -> BTreeSet<Fqdn> {
    let asked = asking
        .iter()
        .flat_map(|record| &record.sets)
        .map(|set| set.name.clone());
    let withdrawn = planned
        .keys()
        .filter(|name| wants.get(name).is_some_and(|want| !want.withdraw.is_empty()));
    asked.chain(withdrawn.cloned()).collect()
}

fn open_breaker(breaker: &Breaker, zone: &Zone) -> Fault<Reason> {
    let message = format!(
        "the DnsZone {} is not written until the platform team has looked: {}",
        zone.name,
        breaker.message.as_deref().unwrap_or_default()
    );
    Fault::waiting(Reason::BreakerOpen, message, "")
}

fn planned_change(change: &Change) -> PlannedChange {
    PlannedChange {
        action: change.action().to_owned(),
        name: change.name().map(ToString::to_string).unwrap_or_default(),
        type_: change.type_().map(ToString::to_string).unwrap_or_default(),
        detail: change
            .after
            .as_ref()
            .map(|set| set.values.iter().cloned().collect::<Vec<_>>().join(", ")),
    }
}

/// When something of the zone is to be looked at next, by its interval.
pub(super) fn next_audit(last: Timestamp, zone: &Zone, now: Timestamp) -> Duration {
    let due = last
        .checked_add(SignedDuration::from_secs(zone.interval))
        .unwrap_or(now);
    until(due, now)
}
