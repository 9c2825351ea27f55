//! The round of a zone that humans at a desk write: they are asked, and the authoritative servers tell when it is done.
//! There is no mark in such a zone: the claims alone say whose a name is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tremplin_core::api::dns::{AuthorityAnswer, DnsZoneStatus, PlannedChange, Request, Withdrawal};
use tremplin_core::api::{DnsClaim, DnsZone};
use tremplin_core::dns::caches::{Cached, Held};
use tremplin_core::dns::claim::Key as ClaimedKey;
use tremplin_core::dns::desk::{self, Seen};
use tremplin_core::dns::status::{Progress, Served, ZoneFacts, is_published, proven};
use tremplin_core::dns::{Fqdn, Reason, RecordType, RrSet, Zone};
use tremplin_core::fault::Fault;

use super::audit::{next_audit, requested};
use super::authorities::Authorities;
use super::board::Work;
use super::outcome::left;
use super::round::Audited;
use super::write::{Asking, Task, not_written};
use super::zones::ASK_SILENT_AGAIN;
use super::{Dns, cluster_key, in_seconds};
use crate::cluster::{self, Group, Item as _};
use crate::dns_provider::authority::Server;
use crate::driver::{Cause, Outcome};
use look::Looked;

mod look;

/// How often the servers are asked while a request is open.
const ASK_AGAIN: Duration = Duration::from_secs(15);
/// A record set of which something is asked.
type Place = (Fqdn, RecordType);

/// What a round works with.
struct Desk<'a> {
    dns: &'a Dns,
    zone: &'a Zone,
    authorities: &'a Authorities,
    /// Why nobody is asked, where nobody is.
    closed: Option<Fault<Reason>>,
    contact: Option<String>,
    now: Timestamp,
}

impl Dns {
    /// Asks the servers about what is asked for; what they do not answer is a request.
    pub(super) async fn desk_round(&self, object: &DnsZone, zone: &Zone) -> Result<Outcome, Fault<Reason>> {
        let authorities = Authorities::of(zone, &self.discovered).await;
        let now = (self.now)();
        let kept = self.kept(object, zone);
        let mut work = self.board.take(&zone.name);
        let request = requested(object);
        let is_audited = self.take_up_all(&mut work, zone, Audited { at: now, request });
        let mut task = self.task(&mut work, zone);
        let children_again = self.gate_delegations(zone, &authorities.servers, &mut task, &work);
        self.tell_kept(zone, &mut task);
        let own = object.spec.provider.request.as_ref();
        let desk = Desk {
            dns: self,
            zone,
            authorities: &authorities,
            closed: (!zone.written).then(|| not_written(zone, object.spec.paused == Some(true))),
            contact: own.and_then(|own| own.contact.clone()).or_else(|| zone.contact.clone()),
            now,
        };
        let (open, plan) = desk.carry_out(&work, &task).await;
        let waits = (!open.is_empty() && zone.written).then_some(ASK_AGAIN);
        let silent = authorities.are_silent().then_some(ASK_SILENT_AGAIN);
        let audit_again = Some(next_audit(now, zone, now));
        self.board.give_back(&zone.name, open);
        let facts = ZoneFacts {
            authorities: Some(authorities.statuses(&zone.domain)),
            plan,
            kept: DnsZoneStatus {
                // Nothing is written by the operator: there is nothing to stop, nor to acknowledge.
                breaker: None,
                last_audit_at: if is_audited {
                    Some(in_seconds(now))
                } else {
                    kept.last_audit_at
                },
                ..kept
            },
            ..ZoneFacts::default()
        };
        self.tell_zone(object, facts, now).await?;
        if is_audited {
            self.audits.note(&zone.name, Audited { at: now, request });
        }
        Ok(Outcome::Settled {
            again: [waits, silent, children_again, audit_again].into_iter().flatten().min(),
        })
    }

    /// By the zone's interval, and when somebody asks for it, everything is work: what the desk changed since is found by
    /// asking again. Tells whether it is.
    fn take_up_all(&self, work: &mut Work, zone: &Zone, now: Audited) -> bool {
        let is_due = |last: Audited| {
            let is_requested = now.request.is_some() && now.request != last.request;
            is_requested || next_audit(last.at, zone, now.at).is_zero()
        };
        if !self.audits.last(&zone.name).is_none_or(is_due) {
            return false;
        }
        work.records.extend(self.records_of(zone));
        for seen in self.claims.group(&Group::Name(zone.domain.to_string())) {
            if let cluster::Seen::Object(claim) = &*seen
                && !claim.spec.withdrawals.is_empty()
            {
                work.claims.insert(seen.key().name);
            }
        }
        true
    }

    /// The claims about which a desk of this zone is asked something, or was when this program began.
    fn asked_claims(&self, zone: &Zone) -> BTreeSet<String> {
        let claims = self.claims.group(&Group::Name(zone.domain.to_string()));
        let names = claims.iter().map(|seen| seen.key().name);
        names.filter(|name| !self.requests_before(name).is_empty()).collect()
    }

    /// What a desk is asked about a claim, or was when this program began.
    pub(super) fn requests_before(&self, claim: &str) -> Vec<Request> {
        let noted = self.board.requests(claim);
        if !noted.is_empty() {
            return noted;
        }
        let told = self.claims.get(&cluster_key(claim));
        match told.as_deref() {
            Some(cluster::Seen::Object(claim)) => {
                let status = claim.status.as_ref();
                status.map(|status| status.requests.clone()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }
}

impl Desk<'_> {
    /// Looks, asks the desk, tells records and claims. Gives what is open, and what would be asked where nobody is.
    async fn carry_out(&self, work: &Work, task: &Task) -> (Work, Vec<PlannedChange>) {
        let looked = self.look(task).await;
        let asked: Vec<&Request> = looked.values().filter_map(|looked| looked.request.as_ref()).collect();
        let plan = if self.closed.is_some() {
            asked.iter().map(|request| planned(request)).collect()
        } else {
            Vec::new()
        };
        let requests = self.note_requests(&asked);
        self.note_there(&looked);
        let mut open = Work::default();
        for record in &task.records {
            if !self.tell_record(record, &looked, &requests) {
                open.records.insert(record.key.clone());
            }
        }
        for claim in &task.claims {
            if !self.tell_claim(claim, task, &looked, &requests).await {
                open.claims.insert(claim.metadata.name.clone().unwrap_or_default());
            }
        }
        if self.closed.is_some() {
            // Nothing is lost when the zone is opened.
            open.records.extend(work.records.iter().cloned());
            open.claims.extend(work.claims.iter().cloned());
        }
        (open, plan)
    }

    /// Notes what stands where something else is to be: caches hold it when it has gone.
    fn note_there(&self, looked: &BTreeMap<Place, Looked>) {
        for (place, looked) in looked {
            let others = looked.seen.iter().filter_map(|seen| match seen {
                Seen::Other(there, _) => Some(there.as_ref().map(|there| there.ttl)),
                Seen::AsAsked | Seen::Silent(_) => None,
            });
            if let Some(ttl) = others.max() {
                self.dns.board.note_there(&self.zone.name, place, ttl);
            }
        }
    }

    /// Notes on the claims what the desk is asked, by claim.
    fn note_requests(&self, asked: &[&Request]) -> BTreeMap<String, Vec<Request>> {
        let mut requests: BTreeMap<String, Vec<Request>> = BTreeMap::new();
        for claim in self.dns.asked_claims(self.zone) {
            requests.insert(claim, Vec::new());
        }
        for request in asked {
            if let Ok(name) = Fqdn::parse(&request.name) {
                let claim = self.claim_of(&name);
                requests.entry(claim).or_default().push((*request).clone());
            }
        }
        for (claim, requests) in &mut requests {
            *requests = desk::since(std::mem::take(requests), &self.dns.requests_before(claim));
            let told = if self.closed.is_some() {
                Vec::new()
            } else {
                requests.clone()
            };
            if self.dns.board.note_requests(claim, told) {
                let _ = self.dns.wake.claims.send((cluster_key(claim), Cause::Related));
            }
        }
        requests
    }

    fn claim_of(&self, name: &Fqdn) -> String {
        ClaimedKey::of(name, self.zone).object_name()
    }

    /// Tells whether all that a record asks for was seen on every server.
    fn tell_record(
        &self,
        record: &Asking,
        looked: &BTreeMap<Place, Looked>,
        requests: &BTreeMap<String, Vec<Request>>,
    ) -> bool {
        let served = self.served(record, looked);
        let own = || {
            record
                .sets
                .iter()
                .filter_map(|set| looked.get(&(set.name.clone(), set.type_.clone())))
        };
        let foreign = own().find_map(|looked| looked.foreign.as_ref());
        // What others have there is looked at again by the zone's interval alone.
        let is_done = self.closed.is_none() && (served.is_published() || foreign.is_some());
        let fault = match &self.closed {
            // What is published stays so.
            Some(_) if record.was_written && served.is_published() => None,
            Some(closed) => Some(closed.clone()),
            None => self.why_not(record, requests).or_else(|| foreign.map(desk::not_ours)),
        };
        let result = fault.map_or_else(|| Ok(served), Err);
        self.dns.note(
            &record.key,
            Progress {
                wanted: record.programmed.clone(),
                result,
                drift: None,
                findings: record.findings.clone(),
            },
        );
        is_done
    }

    fn why_not(&self, record: &Asking, requests: &BTreeMap<String, Vec<Request>>) -> Option<Fault<Reason>> {
        let protected = |name: &&&Fqdn| !record.was_written && self.zone.protects(name);
        if let Some(name) = record.names().iter().find(protected) {
            let message = format!("{name} is protected: nobody is asked to change it");
            return Some(Fault::stalled(Reason::ProtectedName, message, ""));
        }
        let claim = self.claim_of(&record.sets.first()?.name);
        let is_own = |request: &&Request| {
            let is_it = |set: &RrSet| (set.name.as_str(), set.type_.as_str()) == (&*request.name, &*request.type_);
            record.sets.iter().any(is_it)
        };
        let own: Vec<_> = requests.get(&claim)?.iter().filter(is_own).collect();
        (!own.is_empty()).then(|| self.waiting(&own, &claim))
    }

    fn waiting(&self, requests: &[&Request], claim: &str) -> Fault<Reason> {
        let known = self.dns.claims.get(&cluster_key(claim));
        let annotations = match known.as_deref() {
            Some(cluster::Seen::Object(claim)) => claim.metadata.annotations.clone(),
            _ => None,
        };
        desk::waiting(requests, claim, annotations.as_ref(), self.contact.as_deref())
    }

    /// What each server says of a record.
    fn served(&self, record: &Asking, looked: &BTreeMap<Place, Looked>) -> Served {
        let before = record.record.status.as_ref().filter(|_| record.was_written);
        let before = before.map(|status| status.authoritative.as_slice()).unwrap_or_default();
        let serial = self.authorities.start.map(|start| i64::from(start.serial));
        let of_server = |(index, server): (usize, &Server)| {
            let message = record.sets.iter().find_map(|set| {
                let looked = looked.get(&(set.name.clone(), set.type_.clone()))?;
                match looked.seen.get(index)? {
                    Seen::AsAsked => None,
                    Seen::Other(_, why) | Seen::Silent(why) => Some(format!("{} {}: {why}", set.name, set.type_)),
                }
            });
            let answer = AuthorityAnswer {
                server: server.name.clone(),
                serial: None,
                matches: message.is_none(),
                message,
            };
            proven(answer, serial, before)
        };
        let answers: Vec<_> = self.authorities.servers.iter().enumerate().map(of_server).collect();
        let stage = if answers.iter().any(|answer| answer.matches) {
            "made by the desk"
        } else {
            "nothing new is asked of the desk"
        };
        let mut served = Served {
            answers,
            unasked: self.authorities.unknown.clone(),
            cached: None,
            held: None,
            stage: stage.to_owned(),
        };
        if served.is_published() && !(record.was_written && is_published(&record.record)) {
            let places = record.sets.iter().map(|set| (set.name.clone(), set.type_.clone()));
            let before = places
                .filter_map(|place| self.dns.board.was_there(&self.zone.name, &place))
                .max();
            // Of a name at which nothing was seen, caches hold that there was nothing.
            let negative = self.authorities.start.map(|start| Cached::Negative(start.negative_ttl));
            let cached = before.map(Cached::Older).or(negative);
            served.held = cached.and_then(|cached| Held::from_now(cached, self.now));
        }
        served
    }

    /// Strikes off what is as it is to be. Tells whether nothing is left.
    async fn tell_claim(
        &self,
        claim: &DnsClaim,
        task: &Task,
        looked: &BTreeMap<Place, Looked>,
        requests: &BTreeMap<String, Vec<Request>>,
    ) -> bool {
        let object = claim.metadata.name.clone().unwrap_or_default();
        let why = |withdrawal: &Withdrawal| {
            if let Some(kept) = task.why_not_withdrawn(withdrawal) {
                return Some(kept);
            }
            let place = (Fqdn::parse(&withdrawal.name).ok()?, RecordType::of(&withdrawal.type_));
            let looked = looked.get(&place).filter(|looked| !looked.is_done)?;
            let asked = requests.get(&object).into_iter().flatten();
            let same = |request: &&Request| request.name == withdrawal.name && request.type_ == withdrawal.type_;
            let own: Vec<_> = asked.filter(same).collect();
            let silent = || {
                let message = format!("it is not known whether {} {} is still there", place.0, place.1);
                Fault::waiting(Reason::AuthoritiesSilent, message, "")
            };
            Some(match &self.closed {
                Some(closed) => closed.clone(),
                None if looked.request.is_none() => silent(),
                None => self.waiting(&own, &object),
            })
        };
        let (left, why) = left(claim, why);
        let is_done = left.is_empty();
        let failed = self.dns.strike_off(claim, left).await;
        self.dns.note_stuck(&object, why);
        is_done && failed.is_none()
    }
}

fn planned(request: &Request) -> PlannedChange {
    PlannedChange {
        action: request.action.clone(),
        name: request.name.clone(),
        type_: request.type_.clone(),
        detail: (!request.values.is_empty()).then(|| request.values.join(", ")),
    }
}
