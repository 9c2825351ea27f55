//! What the rounds of records, claims and zones tell each other. Nothing here is a decision's only copy: after a restart
//! it is empty, and is found out again (or, of what was changed lately, counted anew).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::jiff::Timestamp;
use tremplin_core::api::dns::{ProgrammedSet, Request};
use tremplin_core::dns::breaker::Touched;
use tremplin_core::dns::status::Progress;
use tremplin_core::dns::{Change, Fqdn, Reason, RecordType};
use tremplin_core::fault::Fault;

use crate::key::Key;

/// What is to be looked at in a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Records whose data may differ from the zone's.
    pub records: BTreeSet<Key>,
    /// DnsClaims that have withdrawals.
    pub claims: BTreeSet<String>,
    /// Records that are written and not yet answered as asked by every server.
    pub unpublished: BTreeSet<Key>,
}

impl Work {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.claims.is_empty() && self.unpublished.is_empty()
    }
}

/// A claim with withdrawals, as it was when its zone was told of them: what it asks for is the same as long as this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The DnsZone that was told.
    pub zone: String,
    /// Which claim of that name it is.
    pub uid: Option<String>,
    /// Which spec it has.
    pub generation: Option<i64>,
}

/// What a provider said of what was written.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// Until when it is not asked again.
    pub until: Timestamp,
    /// Whether it serves it, if it can tell, or why it does not.
    pub said: Result<Option<bool>, Fault<Reason>>,
}

/// What the rounds tell each other.
#[derive(Default)]
pub struct Board(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// By the DnsZone's name.
    work: BTreeMap<String, Work>,
    progress: HashMap<Key, Progress>,
    /// What records ask for that are to be looked at for no other reason than that they ask for it.
    asked: HashMap<Key, Vec<ProgrammedSet>>,
    /// The claims of whose withdrawals their zone was told.
    given: HashMap<String, Given>,
    /// Why the withdrawals of a claim are not done.
    stuck: HashMap<String, Fault<Reason>>,
    /// What a desk is asked to do, by claim.
    requests: HashMap<String, Vec<Request>>,
    /// The TTL of what a desk is to change, by zone, name and type.
    there: HashMap<String, BTreeMap<(Fqdn, RecordType), u32>>,
    /// What a provider said of what was written, by zone.
    deployed: HashMap<String, Deployed>,
    /// Names whose last write failed, by zone, and how often in a row each did alone.
    suspects: HashMap<String, BTreeMap<Fqdn, u32>>,
    /// What was changed lately, by zone.
    touched: HashMap<String, Touched>,
}

impl Board {
    /// A record is to be looked at.
    pub fn record(&self, zone: &str, record: Key) {
        let mut inner = self.lock();
        inner.asked.remove(&record);
        inner.work.entry(zone.to_owned()).or_default().records.insert(record);
    }

    /// A record asks for something else than what is written as far as it knows. The round that is running may be about
    /// to write it: whether there is anything to do is seen when it is taken.
    pub fn ask(&self, zone: &str, record: Key, wanted: Vec<ProgrammedSet>) {
        let mut inner = self.lock();
        let is_new = inner
            .work
            .entry(zone.to_owned())
            .or_default()
            .records
            .insert(record.clone());
        if is_new || inner.asked.contains_key(&record) {
            inner.asked.insert(record, wanted);
        }
    }

    /// What others answer about a record is to be asked again.
    pub fn ask_again(&self, zone: &str, record: Key) {
        self.lock()
            .work
            .entry(zone.to_owned())
            .or_default()
            .unpublished
            .insert(record);
    }

    /// A claim's withdrawals are to be carried out.
    pub fn claim(&self, zone: &str, claim: &str) {
        self.lock()
            .work
            .entry(zone.to_owned())
            .or_default()
            .claims
            .insert(claim.to_owned());
    }

    /// The work of a zone; it is the caller's now.
    pub fn take(&self, zone: &str) -> Work {
        let mut inner = self.lock();
        let mut work = inner.work.remove(zone).unwrap_or_default();
        work.records.retain(|record| {
            let Some(asked) = inner.asked.remove(record) else {
                return true;
            };
            let known = inner.progress.get(record);
            !known.is_some_and(|progress| progress.result.is_ok() && progress.wanted == asked)
        });
        work
    }

    /// Whether something in a zone is written and not yet answered by every server. (What others answer is asked about
    /// what is published too, such as delegations.)
    pub fn is_behind(&self, zone: &str) -> bool {
        let inner = self.lock();
        let is_behind = |record: &Key| {
            let known = inner.progress.get(record);
            known.is_some_and(|progress| progress.result.as_ref().is_ok_and(|served| !served.is_published()))
        };
        let mut asked = inner.work.get(zone).into_iter().flat_map(|work| &work.unpublished);
        asked.any(is_behind)
    }

    /// What could not be done comes back.
    pub fn give_back(&self, zone: &str, work: Work) {
        if work.is_empty() {
            return;
        }
        let mut inner = self.lock();
        let waiting = inner.work.entry(zone.to_owned()).or_default();
        waiting.records.extend(work.records);
        waiting.claims.extend(work.claims);
        waiting.unpublished.extend(work.unpublished);
    }

    /// The names of a zone whose last write failed, and how often in a row each did alone.
    pub fn suspects(&self, zone: &str) -> BTreeMap<Fqdn, u32> {
        self.lock().suspects.get(zone).cloned().unwrap_or_default()
    }

    /// A write of these names failed, for one of them or for all.
    pub fn suspect<'a>(&self, zone: &str, names: impl Iterator<Item = &'a Fqdn>) {
        let mut inner = self.lock();
        let suspects = inner.suspects.entry(zone.to_owned()).or_default();
        for name in names {
            suspects.entry(name.clone()).or_default();
        }
    }

    /// A name failed alone.
    pub fn fails(&self, zone: &str, name: &Fqdn) {
        let mut inner = self.lock();
        let suspects = inner.suspects.entry(zone.to_owned()).or_default();
        let times = suspects.entry(name.clone()).or_default();
        *times = times.saturating_add(1);
    }

    /// These names were written, or need not be.
    pub fn trust(&self, zone: &str, names: &BTreeSet<Fqdn>) {
        let mut inner = self.lock();
        if let Some(suspects) = inner.suspects.get_mut(zone) {
            suspects.retain(|name, _| !names.contains(name));
            if suspects.is_empty() {
                inner.suspects.remove(zone);
            }
        }
    }

    /// What was changed in a zone lately.
    pub fn touched(&self, zone: &str) -> Touched {
        self.lock().touched.get(zone).cloned().unwrap_or_default()
    }

    /// These changes are made now.
    pub fn touch(&self, zone: &str, changes: &[Change], now: Timestamp) {
        let mut inner = self.lock();
        inner.touched.entry(zone.to_owned()).or_default().note(changes, now);
    }

    /// A human has looked at what was changed in a zone.
    pub fn forget_touched(&self, zone: &str) {
        self.lock().touched.remove(zone);
    }

    /// How far the writer is with a record.
    pub fn progress(&self, record: &Key) -> Option<Progress> {
        self.lock().progress.get(record).cloned()
    }

    /// Notes how far the writer is with a record. Tells whether that is news.
    pub fn note(&self, record: &Key, progress: Progress) -> bool {
        let mut inner = self.lock();
        let news = inner.progress.get(record) != Some(&progress);
        inner.progress.insert(record.clone(), progress);
        news
    }

    /// What the provider said of what was written.
    pub fn deployed(&self, zone: &str) -> Option<Deployed> {
        self.lock().deployed.get(zone).cloned()
    }

    /// Notes what the provider said of what was written; `None`: the servers answer as asked, and that counts.
    pub fn note_deployed(&self, zone: &str, deployed: Option<Deployed>) {
        let mut inner = self.lock();
        match deployed {
            Some(deployed) => drop(inner.deployed.insert(zone.to_owned(), deployed)),
            None => drop(inner.deployed.remove(zone)),
        }
    }

    /// What was refused is tried again, since the rules are others now.
    pub fn reconsider(&self, record: &Key) {
        let mut inner = self.lock();
        if inner
            .progress
            .get(record)
            .is_some_and(|progress| progress.result.is_err())
        {
            inner.progress.remove(record);
        }
    }

    /// A record is gone, or is another one now.
    pub fn forget(&self, record: &Key) {
        let mut inner = self.lock();
        inner.progress.remove(record);
        for work in inner.work.values_mut() {
            work.records.remove(record);
            work.unpublished.remove(record);
        }
        inner.asked.remove(record);
    }

    /// Notes that a zone is told of a claim's withdrawals; `None`: it has none. Tells whether that is news.
    pub fn note_given(&self, claim: &str, given: Option<Given>) -> bool {
        let mut inner = self.lock();
        let news = inner.given.get(claim) != given.as_ref();
        match given {
            Some(given) => drop(inner.given.insert(claim.to_owned(), given)),
            None => drop(inner.given.remove(claim)),
        }
        news
    }

    /// Why the withdrawals of a claim are not done.
    pub fn stuck(&self, claim: &str) -> Option<Fault<Reason>> {
        self.lock().stuck.get(claim).cloned()
    }

    /// Notes why the withdrawals of a claim are not done; `None`: they are. Tells whether that is news.
    pub fn note_stuck(&self, claim: &str, why: Option<Fault<Reason>>) -> bool {
        let mut inner = self.lock();
        let news = inner.stuck.get(claim) != why.as_ref();
        match why {
            Some(why) => drop(inner.stuck.insert(claim.to_owned(), why)),
            None => drop(inner.stuck.remove(claim)),
        }
        news
    }

    /// What a desk is asked to do about a claim.
    pub fn requests(&self, claim: &str) -> Vec<Request> {
        self.lock().requests.get(claim).cloned().unwrap_or_default()
    }

    /// Notes what a desk is asked to do about a claim. Tells whether that is news.
    pub fn note_requests(&self, claim: &str, requests: Vec<Request>) -> bool {
        let mut inner = self.lock();
        let before = inner.requests.get(claim).map(Vec::as_slice).unwrap_or_default();
        let news = before != requests.as_slice();
        if requests.is_empty() {
            inner.requests.remove(claim);
        } else {
            inner.requests.insert(claim.to_owned(), requests);
        }
        news
    }

    /// The TTL of what was last seen where a desk was to change something.
    pub fn was_there(&self, zone: &str, place: &(Fqdn, RecordType)) -> Option<u32> {
        self.lock().there.get(zone)?.get(place).copied()
    }

    /// Notes the TTL of what is seen where a desk is to change something; `None`: nothing is there.
    pub fn note_there(&self, zone: &str, place: &(Fqdn, RecordType), ttl: Option<u32>) {
        let mut inner = self.lock();
        let there = inner.there.entry(zone.to_owned()).or_default();
        match ttl {
            Some(ttl) => drop(there.insert(place.clone(), ttl)),
            None => drop(there.remove(place)),
        }
    }

    // A poisoned lock only means that a reader panicked elsewhere: no code here leaves it half changed.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
