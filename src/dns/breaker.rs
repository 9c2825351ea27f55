//! Whether a zone may be written now: its mode, its pause and its breaker; and what is told of changes that wait.

use std::collections::BTreeMap;
use std::time::Duration;

use tremplin_core::api::dns::{Breaker, PlannedChange};
use tremplin_core::dns::plan::{Planned, Want};
use tremplin_core::dns::status::REFUSED;
use tremplin_core::dns::{Change, Fqdn, Reason, RecordType, Zone, breaker};
use tremplin_core::fault::Fault;
use tremplin_core::labels::BREAKER_ACKNOWLEDGED;

use super::in_seconds;
use super::round::Round;
use super::write::{self, Task};

impl Round<'_> {
    /// Why nothing may be written now.
    pub(super) fn may_not_write(&mut self, changes: &[Change]) -> Option<Fault<Reason>> {
        if !self.zone.written {
            return Some(write::not_written(self.zone, self.object.spec.paused == Some(true)));
        }
        if self.is_acknowledged_now() {
            self.acknowledged(Some(Breaker {
                acknowledged_at: Some(in_seconds(self.now)),
                ..Breaker::default()
            }));
        }
        if changes.is_empty() || self.is_acknowledged() {
            return None;
        }
        let breaker = self.facts.kept.breaker.get_or_insert_default();
        if breaker.tripped_at.is_some() {
            return Some(open_breaker(breaker, self.zone));
        }
        let owned = || self.dns.owned(self.zone);
        let before = breaker::Before {
            deletions: &breaker.deletions,
            touched: &self.dns.board.touched(&self.zone.name),
        };
        let why = breaker::trip(changes, owned, before, &self.zone.safety, self.now)?;
        breaker.tripped_at = Some(in_seconds(self.now));
        breaker.message = Some(why);
        Some(open_breaker(breaker, self.zone))
    }

    /// A human has looked: what tripped the breaker is wanted, and counting begins anew.
    fn acknowledged(&mut self, breaker: Option<Breaker>) {
        self.dns.board.forget_touched(&self.zone.name);
        self.facts.kept.breaker = breaker;
    }

    /// Whether a human has acknowledged what is written now.
    fn is_acknowledged(&self) -> bool {
        let breaker = self.facts.kept.breaker.as_ref();
        breaker.is_some_and(|breaker| breaker::is_acknowledged(breaker, self.now))
    }

    /// Where nothing is left of what tripped it, an acknowledged breaker is closed.
    pub(super) fn close_acknowledged(&mut self) {
        if self.is_acknowledged_now() {
            self.acknowledged(None);
        }
    }

    /// All that was asked for is done: what comes now was not acknowledged.
    pub(super) fn carried_out(&mut self) {
        if let Some(breaker) = &mut self.facts.kept.breaker {
            breaker.acknowledged_at = None;
        }
    }

    /// Notes which changes begin now. Tells whether that must be known before they are made: of deletions alone.
    pub(super) fn changes_begin(&mut self, changes: &[Change]) -> bool {
        if self.is_acknowledged() {
            return true;
        }
        self.dns.board.touch(&self.zone.name, changes, self.now);
        let begun = breaker::deleted(changes);
        if begun.is_empty() {
            return false;
        }
        let breaker = self.facts.kept.breaker.get_or_insert_default();
        breaker.deletions = breaker::begin(&breaker.deletions, &begun, self.now);
        true
    }

    /// Notes which deletions were made, and which surely were not.
    pub(super) fn deletions_ended(&mut self, done: &[Change], not_done: &[Change]) {
        if let Some(breaker) = &mut self.facts.kept.breaker {
            let (done, not_done) = (breaker::deleted(done), breaker::deleted(not_done));
            breaker.deletions = breaker::end(&breaker.deletions, &done, &not_done, self.now);
        }
    }

    /// Whether a human has acknowledged the breaker that is open.
    fn is_acknowledged_now(&self) -> bool {
        let breaker = self.facts.kept.breaker.as_ref();
        let Some(tripped_at) = breaker.and_then(|breaker| breaker.tripped_at.as_ref()) else {
            return false;
        };
        let annotations = self.object.metadata.annotations.as_ref();
        let acknowledged = annotations.and_then(|annotations| annotations.get(BREAKER_ACKNOWLEDGED));
        acknowledged.is_some_and(|time| *time == tripped_at.0.to_string())
    }

    /// Nothing may be written: what would be is told, on the zone and on the claims that wait for it. Tells
    /// when to try that again, should it fail.
    pub(super) async fn tell_waiting(
        &mut self,
        task: &Task,
        planned: &BTreeMap<Fqdn, Planned>,
        changes: &[Change],
        fault: &Fault<Reason>,
    ) -> Option<Duration> {
        let conflicts = planned
            .iter()
            .filter_map(|(name, planned)| refused_change(task.wants.get(name)?, planned));
        self.facts.plan = changes.iter().map(planned_change).chain(conflicts).collect();
        self.not_withdrawn(task, planned, fault).await
    }

    pub(super) fn forget_old_deletions(&mut self) {
        if let Some(breaker) = &mut self.facts.kept.breaker {
            breaker.deletions = breaker::recent(&breaker.deletions, self.now);
            if !breaker::is_acknowledged(breaker, self.now) {
                breaker.acknowledged_at = None;
            }
            if *breaker == Breaker::default() {
                self.facts.kept.breaker = None;
            }
        }
    }
}

fn open_breaker(breaker: &Breaker, zone: &Zone) -> Fault<Reason> {
    let message = format!(
        "the DnsZone {} is not written until the platform team has looked: {}",
        zone.name,
        breaker.message.as_deref().unwrap_or_default()
    );
    Fault::waiting(Reason::BreakerOpen, message, "")
}

/// A change, in a plan.
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

/// What is refused, in a plan.
fn refused_change(want: &Want, planned: &Planned) -> Option<PlannedChange> {
    let fault = planned.conflict.as_ref()?;
    let types: Vec<_> = want.sets.keys().map(RecordType::as_str).collect();
    Some(PlannedChange {
        action: REFUSED.to_owned(),
        name: want.name.to_string(),
        type_: types.join(","),
        detail: Some(fault.message.clone()),
    })
}
