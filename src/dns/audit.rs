//! Compares the whole zone with what is asked for, by its interval: at rest one question for the serial, and no more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tremplin_core::api::DnsZone;
use tremplin_core::api::dns::DnsZoneStatus;
use tremplin_core::dns::neighbours::written;
use tremplin_core::dns::ownership::Mark;
use tremplin_core::dns::plan::{self, Sets};
use tremplin_core::dns::tally::{Tally, tally};
use tremplin_core::dns::{Fqdn, Reason, RecordType, Zone};
use tremplin_core::fault::Fault;
use tremplin_core::labels::AUDIT_REQUESTED_AT;

use super::board::Work;
use super::outcome::Trouble;
use super::round::{Audited, Round};
use super::write::{self, Task};
use super::{Dns, in_seconds, record_key, until};
use crate::cluster::{Group, Item as _, Seen};
use crate::key::Key;

/// When each zone was last looked at since this program began.
#[derive(Default)]
pub struct Audits {
    zones: Mutex<HashMap<String, Audited>>,
    /// When what depends on others, such as delegations, was last asked for, and at whose request.
    others: Mutex<HashMap<String, Audited>>,
}

/// How often what depends on others is asked for.
const DAY: SignedDuration = SignedDuration::from_hours(24);

impl Audits {
    pub(super) fn last(&self, zone: &str) -> Option<Audited> {
        let zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        zones.get(zone).copied()
    }

    pub(super) fn note(&self, zone: &str, audited: Audited) {
        let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        zones.insert(zone.to_owned(), audited);
    }

    /// What was seen counts no more.
    fn forget(&self, zone: &str) {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner).remove(zone);
    }

    /// Whether a day has gone by, or somebody asks for it anew; the day begins then.
    fn is_another_day(&self, zone: &str, request: Option<Timestamp>, now: Timestamp) -> bool {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let known = others.get(zone).copied();
        let is_old = |last: Audited| now.duration_since(last.at) >= DAY;
        let is_asked = |last: Audited| request.is_some() && request != last.request;
        let due = known.is_none_or(|last| is_old(last) || is_asked(last));
        if due {
            let request = request.or(known.and_then(|last| last.request));
            others.insert(zone.to_owned(), Audited { at: now, request });
        }
        due
    }
}

/// When somebody says that the zone is to be looked at: another time is another request.
pub(super) fn requested(zone: &DnsZone) -> Option<Timestamp> {
    let annotations = zone.metadata.annotations.as_ref()?;
    annotations.get(AUDIT_REQUESTED_AT)?.parse().ok()
}

impl Dns {
    /// Every record at or below a zone's domain that can be read.
    pub(super) fn records_of(&self, zone: &Zone) -> BTreeSet<Key> {
        let records = self.records.group(&Group::Name(zone.domain.to_string()));
        let readable = records.iter().filter_map(|seen| match &**seen {
            Seen::Object(record) => Some(record_key(record)),
            Seen::Malformed(_) => None,
        });
        readable.collect()
    }

    /// What the status of a zone says that still counts. Other settings may be those of another provider or of other
    /// servers: the zone is looked at anew, and every server asked about all that is published.
    pub(super) fn kept(&self, object: &DnsZone, zone: &Zone) -> DnsZoneStatus {
        let mut kept = object.status.clone().unwrap_or_default();
        if kept.observed_generation != object.metadata.generation {
            kept.audited_serial = None;
            self.audits.forget(&zone.name);
            for record in self.records_of(zone) {
                self.board.ask_again(&zone.name, record);
            }
        }
        kept
    }

    /// The record sets of a zone that are ours, as `name TYPE`, by the statuses of their records.
    pub(super) fn owned(&self, zone: &Zone) -> BTreeSet<String> {
        let mut owned = BTreeSet::new();
        for seen in self.records.group(&Group::Name(zone.domain.to_string())) {
            if let Seen::Object(record) = &*seen {
                let written = written(record).iter().filter(|set| !set.hash.is_empty());
                owned.extend(written.map(|set| format!("{} {}", set.name, set.type_)));
            }
        }
        owned
    }
}

impl Round<'_> {
    /// What could not be withdrawn is tried again with every audit.
    fn take_up_withdrawals(&self) {
        for seen in self.dns.claims.group(&Group::Name(self.zone.domain.to_string())) {
            if let Seen::Object(claim) = &*seen
                && !claim.spec.withdrawals.is_empty()
            {
                self.dns.board.claim(&self.zone.name, &seen.key().name);
            }
        }
    }

    /// Why the zone or its provider refused a record when it was last tried; `None`: it did not.
    fn refusal(&self, key: &Key) -> Option<Fault<Reason>> {
        let fault = self.dns.board.progress(key)?.result.err()?;
        matches!(fault.reason, Reason::NotOurs | Reason::ProviderRefused).then_some(fault)
    }

    /// Looks at the whole zone when it is time. What differs becomes work. Tells when to look again.
    pub(super) async fn audit(&mut self) -> Option<Duration> {
        let name = &self.zone.name;
        let told = self.facts.kept.last_audit_at.as_ref().map(|at| at.0);
        let last = self.dns.audits.last(name);
        let request = requested(&self.object);
        let answered = match last {
            Some(last) => last.request,
            // A program before this one did what is no later than what it told, in whole seconds.
            None => request.filter(|at| told.is_some_and(|told| at.as_second() <= told.as_second())),
        };
        let is_requested = request.is_some() && request != answered;
        if let Some(last) = last
            && !is_requested
        {
            let wait = next_audit(last.at, self.zone, self.now);
            if !wait.is_zero() {
                return Some(wait);
            }
        }
        let again = next_audit(self.now, self.zone, self.now);
        let audited = Audited { at: self.now, request };
        if self
            .dns
            .audits
            .is_another_day(name, request.filter(|_| is_requested), self.now)
        {
            self.doubt_delegations();
        }
        self.take_up_withdrawals();
        let serial = self.authorities.serial();
        // What was refused may have been read while somebody else wrote, and before that was audited.
        let is_refused = |key: &Key| self.refusal(key).is_some();
        let unchanged = self.provider.profile().serial_moves
            && serial.is_some()
            && serial == self.facts.kept.audited_serial
            && !self.dns.records_of(self.zone).iter().any(is_refused);
        if unchanged && told.is_some() && !is_requested {
            self.audited = Some(audited);
            return Some(again);
        }
        match self.provider.read_all().await {
            Ok(sets) => {
                self.audited = Some(audited);
                self.compare(&plan::by_name(sets));
                self.facts.kept.last_audit_at = Some(in_seconds(self.now));
                self.facts.kept.audited_serial = serial;
            }
            Err(failure) => {
                let trouble = Trouble::from(failure);
                self.tell_whole(&trouble.fault);
                return Some(trouble.again);
            }
        }
        Some(again)
    }

    /// Counts, and gives what differs to the writer.
    fn compare(&mut self, current: &Sets) {
        let mut all = Work {
            records: self.dns.records_of(self.zone),
            ..Work::default()
        };
        let task = self.dns.task(&mut all, self.zone);
        let planned = write::plan_all(&task.wants, current, self.zone, self.provider.profile());
        for record in &task.records {
            let here = || record.names().into_iter().filter_map(|name| planned.get(name));
            // Also where nothing is to be written: what was refused is perhaps no longer, and the other way round.
            let conflict = here().find_map(|planned| planned.conflict.clone());
            if conflict != self.refusal(&record.key) || here().any(|planned| !planned.changes.is_empty()) {
                self.dns.board.record(&self.zone.name, record.key.clone());
                // Somebody else wrote: nothing is trusted to be as it was left.
                self.memory.take();
            }
        }
        let Tally { counts, orphans } = self.tally(&task, current);
        self.facts.kept.records = Some(counts);
        self.facts.kept.orphans = orphans;
    }

    fn tally(&self, task: &Task, current: &Sets) -> Tally {
        let of_zone = Group::Name(self.zone.domain.to_string());
        let claims = self.dns.claims.group(&of_zone);
        let held: BTreeSet<(String, Timestamp)> = claims
            .iter()
            .filter_map(|seen| match &**seen {
                Seen::Object(claim) => Some((claim.spec.holder.namespace.clone(), claim.spec.claimed_at.0)),
                Seen::Malformed(_) => None,
            })
            .collect();
        // A restore may have carried a claim here from another cluster.
        let is_ours = |mark: &Mark| {
            mark.owner.cluster == self.dns.cluster.home.cluster
                || held.contains(&(mark.owner.namespace.clone(), mark.owner.since))
        };
        let mut asked: BTreeMap<Fqdn, BTreeSet<RecordType>> = BTreeMap::new();
        for (name, want) in &task.wants {
            asked.entry(name.clone()).or_default().extend(want.sets.keys().cloned());
        }
        // What is written for a record that is refused at the moment is still that record's.
        for seen in self.dns.records.group(&of_zone) {
            let Seen::Object(record) = &*seen else { continue };
            let written = record.status.iter().flat_map(|status| &status.programmed);
            for set in written.filter(|set| !set.hash.is_empty()) {
                if let Ok(name) = Fqdn::parse(&set.name) {
                    asked.entry(name).or_default().insert(RecordType::of(&set.type_));
                }
            }
        }
        tally(current, &self.zone.domain, is_ours, &asked)
    }
}

/// When something of the zone is to be looked at next, by its interval.
pub(super) fn next_audit(last: Timestamp, zone: &Zone, now: Timestamp) -> Duration {
    let due = last
        .checked_add(SignedDuration::from_secs(zone.interval))
        .unwrap_or(now);
    until(due, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_depends_on_others_is_asked_for_at_once_and_then_daily_in_each_zone() {
        let audits = Audits::default();
        let at = |hours: i64, seconds: i64| Timestamp::from_second(hours * 3_600 + seconds).unwrap();
        assert!(
            audits.is_another_day("one", None, at(0, 0)),
            "nothing is known when the program begins"
        );
        assert!(!audits.is_another_day("one", None, at(0, 0)));
        assert!(!audits.is_another_day("one", None, at(23, 3_599)));
        assert!(
            audits.is_another_day("two", None, at(1, 0)),
            "each zone has days of its own"
        );
        assert!(audits.is_another_day("one", None, at(24, 0)));
        // The next day begins with the look, not where the last one ended.
        assert!(!audits.is_another_day("one", None, at(47, 3_599)));
        assert!(audits.is_another_day("one", None, at(50, 0)));
        assert!(!audits.is_another_day("one", None, at(72, 0)));
        assert!(audits.is_another_day("one", None, at(74, 0)));
    }

    #[test]
    fn what_depends_on_others_is_asked_for_once_at_a_request() {
        let audits = Audits::default();
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        assert!(audits.is_another_day("one", None, at(10)));
        // The clock of who asks may be behind or ahead.
        for request in [at(1), at(99)] {
            assert!(audits.is_another_day("one", Some(request), at(20)));
            assert!(!audits.is_another_day("one", Some(request), at(21)));
            assert!(!audits.is_another_day("one", None, at(22)));
            assert!(!audits.is_another_day("one", Some(request), at(23)));
        }
    }
}
