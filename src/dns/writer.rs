//! Writes what was planned, so that what one name meets with keeps no other from being written.
//!
//! Many names are written with one call where the provider takes that. When it fails, they are read and planned again and
//! written in halves, down to the name that it is. A name that failed is written last and alone until it succeeds, so
//! that it spoils no batch again. Nothing is given up for all of them but where the failure is clearly not one name's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;
use tremplin_core::dns::ownership::is_kept;
use tremplin_core::dns::plan::{Want, restores};
use tremplin_core::dns::profile::Atomicity;
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet, Zone, breaker};

use super::board::Board;
use super::reading::{self, Left};
use super::write::read;
use crate::dns_provider::{Failure, Provider};

/// How long one call after the other is made before the rest is left to the next round; marks and data each.
const STEP: Duration = Duration::from_secs(30);

/// The changes of a name, in order: its own and its mark's. They are never torn apart.
pub type Group = (Fqdn, Vec<Change>);

/// What came of it, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Names at which all is as asked.
    pub done: BTreeSet<Fqdn>,
    /// Names that met with a failure of their own.
    pub failed: BTreeMap<Fqdn, Failure>,
    /// Names that were not tried, or of which nobody knows what came of it, and why.
    pub untried: BTreeMap<Fqdn, Failure>,
    /// Names whose turn comes with the next round.
    pub later: BTreeSet<Fqdn>,
    /// Names that were planned another time, from what was there then.
    pub planned_anew: BTreeSet<Fqdn>,
    /// What concerns the whole zone.
    pub whole: Option<Failure>,
}

impl Written {
    /// What kept a name from being written.
    pub fn failure(&self, name: &Fqdn) -> Option<&Failure> {
        self.failed.get(name).or_else(|| self.untried.get(name))
    }

    /// Whether nothing keeps a name from being written now.
    fn is_open(&self, name: &Fqdn) -> bool {
        self.failure(name).is_none() && !self.later.contains(name)
    }

    /// Whether a name is now as it was first planned.
    pub fn is_as_planned(&self, name: &Fqdn) -> bool {
        self.whole.is_none() && self.is_open(name) && !self.planned_anew.contains(name)
    }

    /// Whether a name is to be tried again without anybody's doing.
    pub fn may_pass(&self, name: &Fqdn) -> bool {
        let is_refused = matches!(self.failed.get(name), Some(Failure::Refused(_)));
        !self.is_open(name) && !is_refused
    }

    /// Whether nothing is left that may pass.
    pub fn is_complete(&self) -> bool {
        !self.left().any(|name| self.may_pass(name))
    }

    /// The names that were not written.
    pub fn left(&self) -> impl Iterator<Item = &Fqdn> {
        self.failed.keys().chain(self.untried.keys()).chain(&self.later)
    }
}

/// What a write is made with.
pub struct Writer<'a> {
    provider: &'a dyn Provider,
    zone: &'a Zone,
    wants: &'a BTreeMap<Fqdn, Want>,
    board: &'a Board,
    /// The deletions that were planned: no other is made, whatever is found when it is planned again.
    deletions: BTreeSet<String>,
    /// The credential was checked, and is good.
    is_verified: bool,
    /// A call for one name was not answered, and none has succeeded since: whether the name never failed before.
    unanswered: Option<bool>,
    /// Nothing more is tried.
    stopped: Option<Failure>,
    written: Written,
}

impl<'a> Writer<'a> {
    /// For what was planned from these wants. The board keeps which names failed.
    pub fn new(provider: &'a dyn Provider, zone: &'a Zone, wants: &'a BTreeMap<Fqdn, Want>, board: &'a Board) -> Self {
        Self {
            provider,
            zone,
            wants,
            board,
            deletions: BTreeSet::new(),
            is_verified: false,
            unanswered: None,
            stopped: None,
            written: Written::default(),
        }
    }

    /// Writes the changes of names.
    pub async fn write(mut self, groups: Vec<Group>) -> Written {
        self.deletions = groups
            .iter()
            .flat_map(|(_, changes)| breaker::deleted(changes))
            .collect();
        let mut groups = in_turns(groups, self.wants);
        // A name that lost its data, as when something stopped a type that takes another's place, waits for no other.
        groups.sort_by_key(|(_, changes)| !restores(changes));
        let failed = self.board.suspects(&self.zone.name);
        let (mut suspects, sound): (Vec<Group>, Vec<Group>) =
            groups.into_iter().partition(|(name, _)| failed.contains_key(name));
        // Those that failed least come first, so that each has its turn.
        suspects.sort_by_key(|(name, _)| failed.get(name).copied());
        match self.provider.profile().atomicity {
            Atomicity::Batch(most) => {
                let batches = packed(sound, most).into_iter().chain(alone(suspects));
                let done = self.run(batches.collect()).await;
                self.done(done);
            }
            Atomicity::Set | Atomicity::Record => {
                for groups in self.taken(sound, suspects) {
                    self.stepwise(groups).await;
                }
            }
        }
        self.written
    }

    /// Where the provider does not compare before it writes, every new mark comes first and is read again, so that of
    /// two clusters that write at the same time one gives way.
    async fn stepwise(&mut self, groups: Vec<Group>) {
        let is_new_mark = |change: &Change| change.before.is_none() && change.name().is_some_and(is_kept);
        let (marks, rest): (Vec<Group>, Vec<Group>) = groups
            .into_iter()
            .map(|(name, changes)| {
                let (marks, rest) = changes.into_iter().partition(is_new_mark);
                ((name.clone(), marks), (name, rest))
            })
            .unzip();
        let marks: Vec<Group> = marks.into_iter().filter(|(_, marks)| !marks.is_empty()).collect();
        if !marks.is_empty() {
            let marked = self.run(alone(marks.clone())).await;
            let marks = marks.into_iter().filter(|(name, _)| marked.contains(name)).collect();
            self.compare_marks(marks).await;
        }
        let is_open = |(name, _): &Group| self.written.is_open(name);
        let rest = rest.into_iter().filter(is_open).collect();
        let done = self.run(alone(rest)).await;
        self.done(done);
    }

    /// As many names as the account has room for, so that the data follow their marks; the others come later. Half of the
    /// room is for names that failed: they wait for no backlog to end.
    fn taken(&mut self, sound: Vec<Group>, suspects: Vec<Group>) -> [Vec<Group>; 2] {
        let Some(room) = self.provider.room() else {
            return [sound, suspects];
        };
        // There is always room for the first: when it is not taken, the provider says until when.
        let first = sound.first().or(suspects.first());
        let room = room.max(first.map_or(0, |(_, changes)| calls(changes)));
        let share = if sound.is_empty() { room } else { room / 2 };
        let (suspects, left) = self.fitting(suspects, share);
        let (sound, _) = self.fitting(sound, room - share + left);
        [sound, suspects]
    }

    /// As many names as fit, and the room that is left.
    fn fitting(&mut self, groups: Vec<Group>, mut room: usize) -> (Vec<Group>, usize) {
        let mut taken = Vec::new();
        for (name, changes) in groups {
            match room.checked_sub(calls(&changes)) {
                Some(left) => {
                    room = left;
                    taken.push((name, changes));
                }
                None => drop(self.written.later.insert(name)),
            }
        }
        (taken, room)
    }

    /// Of names whose mark is not there alone, no more is written.
    async fn compare_marks(&mut self, marks: Vec<Group>) {
        let written: Vec<(&Fqdn, &RrSet)> = marks
            .iter()
            .flat_map(|(name, marks)| marks.iter().filter_map(move |mark| Some((name, mark.after.as_ref()?))))
            .collect();
        let names = written.iter().map(|(_, mark)| mark.name.clone()).collect();
        let found = match read(self.provider, &names).await {
            Ok(found) => found,
            Err(failure) => return self.give_up(&marks, failure),
        };
        for (name, mark) in written {
            let there = found.get(&mark.name).and_then(|sets| sets.get(&RecordType::Txt));
            if there.is_none_or(|there| there.values != mark.values) {
                let why = format!("another cluster marks {} at the same time", mark.name);
                self.fails(name.clone(), Failure::Changed(why));
            }
        }
    }

    /// Writes one batch after the other, for a while, and gives the names at which that succeeded.
    async fn run(&mut self, batches: Vec<Vec<Group>>) -> BTreeSet<Fqdn> {
        let mut done = BTreeSet::new();
        let mut left: VecDeque<Vec<Group>> = batches.into();
        let until = Instant::now() + STEP;
        while let Some(batch) = left.pop_front() {
            if let Some(failure) = &self.stopped {
                let names = batch.into_iter().map(|(name, _)| (name, failure.clone()));
                self.written.untried.extend(names);
                continue;
            }
            if Instant::now() >= until {
                self.written.later.extend(batch.into_iter().map(|(name, _)| name));
                continue;
            }
            let changes: Vec<Change> = batch.iter().flat_map(|(_, changes)| changes).cloned().collect();
            match self.make(&changes).await {
                Ok(()) => {
                    self.unanswered = None;
                    done.extend(batch.into_iter().map(|(name, _)| name));
                }
                Err(failure) => {
                    for half in self.narrow(batch, failure).await.into_iter().rev() {
                        left.push_front(half);
                    }
                }
            }
        }
        done
    }

    async fn make(&self, changes: &[Change]) -> Result<(), Failure> {
        if changes.is_empty() {
            return Ok(());
        }
        for change in changes {
            tracing::info!(
                zone = self.zone.name,
                action = change.action(),
                name = change.name().map(ToString::to_string),
                type_ = change.type_().map(ToString::to_string),
                "writing to the zone"
            );
        }
        self.provider.write(changes).await
    }

    /// What is to be written instead of a batch that failed.
    async fn narrow(&mut self, batch: Vec<Group>, failure: Failure) -> Vec<Vec<Group>> {
        if self.concerns_all(&failure).await {
            self.give_up(&batch, failure);
            return Vec::new();
        }
        // Noted at once: the round may be ended before it comes to more.
        let suspected = self.board.suspects(&self.zone.name);
        self.board.suspect(&self.zone.name, batch.iter().map(|(name, _)| name));
        if let [(name, _)] = batch.as_slice() {
            let is_first = suspected.get(name).is_none_or(|times| *times == 0);
            self.fails_alone(name, failure, is_first);
            return Vec::new();
        }
        match self.planned_anew(&batch).await {
            Ok(groups) => halves(groups),
            Err(failure) => {
                self.give_up(&batch, failure);
                Vec::new()
            }
        }
    }

    /// Whether a failure is surely not one name's.
    async fn concerns_all(&mut self, failure: &Failure) -> bool {
        match failure {
            Failure::Busy { .. } | Failure::NoApi(_) | Failure::Settings(_) => true,
            // A server's policy may refuse a type or a name to a credential that is good for the rest.
            Failure::Unauthorized(_) | Failure::NoZone(_) => {
                self.is_verified = self.is_verified || self.provider.verify().await.is_ok();
                !self.is_verified
            }
            Failure::Unavailable(_) | Failure::Changed(_) | Failure::Refused(_) => false,
        }
    }

    /// A call for this name alone failed.
    fn fails_alone(&mut self, name: &Fqdn, failure: Failure, is_first: bool) {
        let failure = match failure {
            Failure::Unauthorized(message) | Failure::NoZone(message) => Failure::Refused(message),
            failure => failure,
        };
        if matches!(failure, Failure::Unavailable(_)) {
            // Two in a row, and nothing that succeeds: it is hardly the names. Of those that failed before, that says
            // nothing of others.
            if let Some(was_first) = self.unanswered {
                self.stopped = Some(failure.clone());
                if was_first || is_first {
                    self.written.whole = Some(failure.clone());
                }
            }
            self.unanswered = Some(is_first || self.unanswered.unwrap_or_default());
        }
        self.fails(name.clone(), failure);
    }

    fn fails(&mut self, name: Fqdn, failure: Failure) {
        self.board.fails(&self.zone.name, &name);
        self.written.failed.insert(name, failure);
    }

    fn give_up(&mut self, batch: &[Group], failure: Failure) {
        let names = batch.iter().map(|(name, _)| (name.clone(), failure.clone()));
        self.written.untried.extend(names);
        self.stopped = Some(failure.clone());
        self.written.whole = Some(failure);
    }

    /// The changes of a batch, planned from what is there now.
    async fn planned_anew(&mut self, batch: &[Group]) -> Result<Vec<Group>, Failure> {
        let wants = batch
            .iter()
            .filter_map(|(name, _)| Some((name.clone(), self.wants.get(name)?.clone())))
            .collect();
        let planned = reading::plan(self.provider, &wants, &mut Left::default(), self.zone).await?;
        let planned = planned.planned;
        self.written.planned_anew.extend(wants.into_keys());
        let mut groups = Vec::new();
        for (name, planned) in planned {
            let is_other = !breaker::deleted(&planned.changes).is_subset(&self.deletions);
            if planned.conflict.is_some() || is_other {
                let why = format!("somebody else changed {name} meanwhile");
                self.fails(name, Failure::Changed(why));
            } else {
                groups.push((name, planned.changes));
            }
        }
        Ok(groups)
    }

    fn done(&mut self, names: BTreeSet<Fqdn>) {
        self.board.trust(&self.zone.name, &names);
        self.written.done.extend(names);
    }
}

/// One name of each namespace after the other, so that nobody waits for all of somebody else's.
fn in_turns(groups: Vec<Group>, wants: &BTreeMap<Fqdn, Want>) -> Vec<Group> {
    let mut turns: BTreeMap<&str, usize> = BTreeMap::new();
    let mut all: Vec<(usize, Group)> = Vec::new();
    for group in groups {
        let namespace = wants.get(&group.0).map(|want| want.owner.namespace.as_str());
        let turn = turns.entry(namespace.unwrap_or_default()).or_default();
        *turn += 1;
        all.push((*turn, group));
    }
    all.sort_by_key(|(turn, _)| *turn);
    all.into_iter().map(|(_, group)| group).collect()
}

fn calls(changes: &[Change]) -> usize {
    changes.iter().map(Change::calls).sum()
}

/// As few batches as hold no more than `most` changes each.
fn packed(groups: Vec<Group>, most: usize) -> Vec<Vec<Group>> {
    let mut batches: Vec<Vec<Group>> = Vec::new();
    let mut size = 0;
    for group in groups {
        match batches.last_mut() {
            Some(batch) if size + group.1.len() <= most => {
                size += group.1.len();
                batch.push(group);
            }
            _ => {
                size = group.1.len();
                batches.push(vec![group]);
            }
        }
    }
    batches
}

fn alone(groups: Vec<Group>) -> Vec<Vec<Group>> {
    groups.into_iter().map(|group| vec![group]).collect()
}

fn halves(mut groups: Vec<Group>) -> Vec<Vec<Group>> {
    let second = groups.split_off(groups.len() / 2);
    [groups, second].into_iter().filter(|half| !half.is_empty()).collect()
}

#[cfg(test)]
mod tests;
