//! A zone is written and published; what whoever comes after must know is told before.

use std::collections::{BTreeMap, BTreeSet};

use tremplin_core::dns::plan::Want;
use tremplin_core::dns::profile::Publication;
use tremplin_core::dns::{Change, Fqdn, breaker};

use super::in_seconds;
use super::outcome::Trouble;
use super::round::Round;
use super::write::read;
use super::writer::{Group, Writer, Written};

impl Round<'_> {
    /// Writes, and publishes what is written.
    pub(super) async fn write(&mut self, groups: Vec<Group>, wants: &BTreeMap<Fqdn, Want>) -> Result<Written, Trouble> {
        if groups.is_empty() {
            self.publish().await?;
            self.carried_out();
            return Ok(Written::default());
        }
        let changes: Vec<Change> = groups.iter().flat_map(|(_, changes)| changes).cloned().collect();
        let has_snapshot = self.snapshot(&changes).await?;
        let has_news = self.note_unpublished();
        if self.changes_begin(&changes) || has_news || has_snapshot {
            self.tell_before().await?;
        }
        let deletes = |(_, changes): &&Group| !breaker::deleted(changes).is_empty();
        let deletions: Vec<Group> = groups.iter().filter(deletes).cloned().collect();
        let writer = Writer::new(&*self.provider, self.zone, wants, &self.dns.board);
        let written = writer.write(groups).await;
        self.count(deletions, &written).await;
        if written.is_complete() {
            self.carried_out();
        }
        // What was written is published also when the rest was not.
        self.publish().await?;
        Ok(written)
    }

    /// Which deletions were made: where that is not known, the zone is asked.
    async fn count(&mut self, deletions: Vec<Group>, written: &Written) {
        let (done, others): (Vec<Group>, Vec<Group>) =
            deletions.into_iter().partition(|(name, _)| written.done.contains(name));
        // A name whose turn has not come was surely left alone.
        let is_later = |(name, _): &Group| written.later.contains(name) && !written.planned_anew.contains(name);
        let (later, others): (Vec<Group>, Vec<Group>) = others.into_iter().partition(is_later);
        let names: BTreeSet<Fqdn> = others.iter().map(|(name, _)| name.clone()).collect();
        let found = match &written.whole {
            None => read(&*self.provider, &names).await.ok(),
            Some(_) => None,
        };
        let is_there = |change: &Change| {
            let set = change.before.as_ref()?;
            let there = found.as_ref()?.get(&set.name).and_then(|sets| sets.get(&set.type_));
            Some(there.is_some())
        };
        let mut done: Vec<Change> = done.into_iter().flat_map(|(_, changes)| changes).collect();
        let mut not_done: Vec<Change> = later.into_iter().flat_map(|(_, changes)| changes).collect();
        for change in others.into_iter().flat_map(|(_, changes)| changes) {
            match is_there(&change) {
                Some(true) => not_done.push(change),
                Some(false) => done.push(change),
                // Nobody knows: it stays open.
                None => {}
            }
        }
        self.deletions_ended(&done, &not_done);
    }

    /// Where publishing is a step of its own, it is to be done from now on, whoever comes to it. Tells whether that is news.
    pub(super) fn note_unpublished(&mut self) -> bool {
        let is_news =
            self.provider.profile().publication == Publication::Explicit && self.facts.kept.unpublished.is_none();
        if is_news {
            self.facts.kept.unpublished = Some(in_seconds(self.now));
        }
        is_news
    }

    /// Publishes what may be written and is not published.
    pub(super) async fn publish(&mut self) -> Result<(), Trouble> {
        if self.facts.kept.unpublished.is_none() || !self.zone.written {
            return Ok(());
        }
        self.provider.publish().await?;
        self.facts.kept.unpublished = None;
        Ok(())
    }

    /// What must be known of a write to whoever comes after it, should this program not come to its end.
    async fn tell_before(&mut self) -> Result<(), Trouble> {
        let mut status = self.object.status.clone().unwrap_or_default();
        status.unpublished = self.facts.kept.unpublished.clone();
        status.breaker = self.facts.kept.breaker.clone();
        status.snapshots = self.facts.kept.snapshots.clone();
        self.dns.write_zone_status(&self.object, &status).await?;
        self.object.status = Some(status);
        Ok(())
    }
}
