//! What stops the operator before it breaks much: too many deletions within an hour, or too large a part of what is
//! ours changed at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::change::Change;
use super::ownership::is_kept;
use super::zone::Safety;
use crate::api::dns::{Breaker, Deletions};

/// Deletions older than this are forgotten.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// Changes within this time count as made at once: what one commit changes comes in one by one.
const AT_ONCE: SignedDuration = SignedDuration::from_mins(10);
/// Up to so many changed record sets, no percentage counts: a small zone could never be changed.
const ALWAYS: usize = 10;

/// How many deletions are told by name while they are under way.
const MOST_OPEN: usize = 1000;

/// The deletions that still count. Those of one minute are told together, at the time of the last: so the list stays
/// short, and none is forgotten too early.
pub fn recent(deletions: &[Deletions], now: Timestamp) -> Vec<Deletions> {
    let counts = |deletion: &&Deletions| {
        let is_something = deletion.count > 0 || !deletion.open.is_empty();
        is_something && now.duration_since(deletion.at.0) < WINDOW
    };
    let minute = |deletion: &Deletions| deletion.at.0.as_second().div_euclid(60);
    let mut recent: Vec<Deletions> = deletions.iter().filter(counts).cloned().collect();
    recent.sort_by_key(|deletion| deletion.at.0);
    recent.dedup_by(|later, kept| {
        let together = minute(later) == minute(kept) && later.open.len() + kept.open.len() <= MOST_OPEN;
        if together {
            kept.at = later.at.clone();
            kept.count = kept.count.saturating_add(later.count);
            kept.open.append(&mut later.open);
        }
        together
    });
    recent
}

/// The record sets of teams that these changes delete, as `name TYPE`. (Marks come and go with them.)
pub fn deleted(changes: &[Change]) -> BTreeSet<String> {
    sets(changes.iter().filter(|change| change.after.is_none()))
}

/// The record sets of teams that these changes change or delete.
fn touched(changes: &[Change]) -> BTreeSet<String> {
    sets(changes.iter().filter(|change| change.before.is_some()))
}

fn sets<'a>(changes: impl Iterator<Item = &'a Change>) -> BTreeSet<String> {
    changes
        .filter(|change| !change.name().is_some_and(is_kept))
        .filter_map(|change| Some(format!("{} {}", change.name()?, change.type_()?)))
        .collect()
}

/// The record sets of a zone that were changed or deleted lately, as `name TYPE`, and when last.
#[derive(Clone, Debug, Default)]
pub struct Touched(BTreeMap<String, Timestamp>);

impl Touched {
    /// These changes are made now.
    pub fn note(&mut self, changes: &[Change], now: Timestamp) {
        self.0.retain(|_, at| now.duration_since(*at) < AT_ONCE);
        self.0.extend(touched(changes).into_iter().map(|set| (set, now)));
    }

    /// Those that count as changed together with what is changed now.
    fn lately(&self, now: Timestamp) -> impl Iterator<Item = String> {
        let is_late = move |at: &Timestamp| now.duration_since(*at) < AT_ONCE;
        self.0
            .iter()
            .filter(move |(_, at)| is_late(at))
            .map(|(set, _)| set.clone())
    }
}

/// The deletions with those that are begun now: to be kept before anything is written, so that none is forgotten, and
/// none counted twice when it is tried again.
pub fn begin(deletions: &[Deletions], begun: &BTreeSet<String>, now: Timestamp) -> Vec<Deletions> {
    let mut all = without(deletions, begun);
    let open: Vec<String> = begun.iter().take(MOST_OPEN).cloned().collect();
    all.push(Deletions {
        at: second(now),
        count: i32::try_from(begun.len() - open.len()).unwrap_or(i32::MAX),
        open,
    });
    recent(&all, now)
}

/// The deletions after a write. What is neither among those that are done nor among those that surely are not stays
/// open, since nobody knows. What was not begun here, since a human acknowledged it, is not counted.
pub fn end(
    deletions: &[Deletions],
    done: &BTreeSet<String>,
    not_done: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<Deletions> {
    let counted = open(deletions).filter(|set| done.contains(*set)).count();
    let mut all = without(&without(deletions, done), not_done);
    all.push(Deletions {
        at: second(now),
        count: i32::try_from(counted).unwrap_or(i32::MAX),
        open: Vec::new(),
    });
    recent(&all, now)
}

/// Whether what is written now is what a human acknowledged.
pub fn is_acknowledged(breaker: &Breaker, now: Timestamp) -> bool {
    let since = breaker.acknowledged_at.as_ref();
    since.is_some_and(|at| now.duration_since(at.0) < WINDOW)
}

fn open(deletions: &[Deletions]) -> impl Iterator<Item = &String> {
    deletions.iter().flat_map(|deletion| &deletion.open)
}

fn without(deletions: &[Deletions], sets: &BTreeSet<String>) -> Vec<Deletions> {
    let mut left = deletions.to_vec();
    for deletion in &mut left {
        deletion.open.retain(|set| !sets.contains(set));
    }
    left
}

/// As statuses keep it.
fn second(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// What came before the changes that are judged.
#[derive(Clone, Copy)]
pub struct Before<'a> {
    /// The deletions that were told.
    pub deletions: &'a [Deletions],
    /// What was changed lately.
    pub touched: &'a Touched,
}

/// Why these changes trip the breaker; `None` when they are within bounds. `owned` are the record sets that are ours, as
/// `name TYPE`: asked for only where it matters, since a zone may have thousands.
pub fn trip(
    changes: &[Change],
    owned: impl FnOnce() -> BTreeSet<String>,
    before: Before<'_>,
    safety: &Safety,
    now: Timestamp,
) -> Option<String> {
    let deleted = deleted(changes);
    let recent = recent(before.deletions, now);
    let counted: usize = recent
        .iter()
        .filter_map(|deletion| usize::try_from(deletion.count).ok())
        .sum();
    let earlier = counted + open(&recent).filter(|set| !deleted.contains(*set)).count();
    if !deleted.is_empty() && earlier + deleted.len() > safety.max_deletes_per_hour {
        return Some(format!(
            "{} record set(s) would be deleted, {earlier} were within the last hour, and spec.safety.maxDeletesPerHour is {}",
            deleted.len(),
            safety.max_deletes_per_hour
        ));
    }
    let touched = touched(changes);
    if touched.is_empty() {
        return None;
    }
    let together: BTreeSet<String> = touched.into_iter().chain(before.touched.lately(now)).collect();
    if together.len() <= ALWAYS {
        return None;
    }
    // What was deleted meanwhile was ours too.
    let mut ours = owned();
    ours.extend(together.iter().cloned());
    let most = ours.len() * safety.max_changed_percent / 100;
    (together.len() > most).then(|| {
        format!(
            "{} of {} record sets would be changed or deleted within {} minutes, and spec.safety.maxChangedPercent is {}",
            together.len(),
            ours.len(),
            AT_ONCE.as_mins(),
            safety.max_changed_percent
        )
    })
}

#[cfg(test)]
mod tests;
