//! What the authoritative servers of a zone say: only what all of them answer is published.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use tremplin_core::api::dns::AuthorityAnswer;
use tremplin_core::dns::caches::{Cached, Held};
use tremplin_core::dns::status::{Progress, Served, is_published, proven};
use tremplin_core::dns::{Change, Fqdn};

use super::authorities::Authorities;
use super::board::{Deployed, Work};
use super::drift;
use super::providers;
use super::round::Round;
use super::write::Asking;
use crate::dns_provider::authority::{self, Server};

/// How soon a server that does not yet answer as this round wrote is asked again, before rounds of their own do.
const ASK_AGAIN: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(300),
];
/// About how many records the servers are asked at the same time.
const AT_ONCE: usize = 32;
/// How soon the provider is asked again, at the soonest, whether it serves what was written.
const ASK_PROVIDER_AGAIN: Duration = Duration::from_secs(10);

/// The changes of this round, by name.
type ByName<'a> = HashMap<&'a Fqdn, Vec<&'a Change>>;
/// The zone's serial on its servers.
type Serials = BTreeMap<SocketAddr, Option<i64>>;

impl Round<'_> {
    /// Asks every authoritative server about what is written, and tells what they answer. About what this round wrote they
    /// are asked until all answer as asked or the round has lasted: it is on its way. About the rest once, and what they
    /// have been behind with for long ever more rarely. Tells when to ask again.
    pub(super) async fn check(&mut self, asking: Vec<Asking>, changes: &[Change]) -> Option<Duration> {
        let of_names = by_name(changes);
        let is_on_its_way = |record: &Asking| record.names().iter().any(|name| of_names.contains_key(name));
        let (mut records, others): (Vec<_>, Vec<_>) = asking.into_iter().partition(is_on_its_way);
        for wait in ASK_AGAIN {
            let behind = self.look(records, &of_names).await;
            records = behind.into_iter().map(|(record, _)| record).collect();
            if records.is_empty() {
                break;
            }
            tokio::time::sleep(wait).await;
        }
        let mut unpublished = BTreeSet::new();
        let mut waits = Vec::new();
        for record in others {
            match self.wait(&record) {
                Some(wait) => {
                    waits.push(wait);
                    unpublished.insert(record.key);
                }
                None => records.push(record),
            }
        }
        let behind = self.look(records, &of_names).await;
        for (record, _) in &behind {
            waits.push(self.dns.behind.note(&record.key, is_on_its_way(record)));
            unpublished.insert(record.key.clone());
        }
        let Some(again) = waits.into_iter().min() else {
            self.dns.board.note_deployed(&self.zone.name, None);
            return None;
        };
        self.tell_behind(behind, &of_names, again).await;
        // Also where it was asked rounds ago.
        if let Some(Err(fault)) = self.dns.board.deployed(&self.zone.name).map(|known| known.said) {
            self.facts.fault.get_or_insert(fault);
        }
        let work = Work {
            unpublished,
            ..Work::default()
        };
        self.dns.board.give_back(&self.zone.name, work);
        Some(again)
    }

    /// Tells what servers are behind with, and how far the provider is. They are asked `again`.
    async fn tell_behind(&mut self, behind: Vec<(Asking, Served)>, changes: &ByName<'_>, again: Duration) {
        if behind.is_empty() {
            return;
        }
        let deployed = self.deployed(!changes.is_empty(), again).await;
        let stage = self.provider.profile().stage(deployed);
        let mut serials = Serials::new();
        for (record, served) in behind {
            let stage = stage.clone();
            let served = self.proven(&record, Served { stage, ..served }, &mut serials).await;
            self.tell_served(&record, served, changes);
        }
    }

    /// For how long the servers need not be asked about a record, since all that they answered is told already.
    fn wait(&self, record: &Asking) -> Option<Duration> {
        let known = self.dns.board.progress(&record.key)?;
        let is_told = known.result.is_ok() && known.wanted == record.programmed && known.findings == record.findings;
        is_told.then(|| self.dns.behind.wait(&record.key))?
    }

    /// Asks every server once. What all answer is told; the rest is given back, with the answers.
    async fn look(&self, records: Vec<Asking>, changes: &ByName<'_>) -> Vec<(Asking, Served)> {
        let mut behind = Vec::new();
        let mut serials = Serials::new();
        let asked = self.all_answers(&records).await;
        for (record, answers) in records.into_iter().zip(asked) {
            let served = Served {
                answers,
                unasked: self.authorities.unknown.clone(),
                stage: self.provider.profile().stage(None),
                ..Served::default()
            };
            let served = self.with_caches(&record, &own(&record, changes), served);
            if served.is_published() {
                self.dns.behind.end(&record.key);
                let served = self.proven(&record, served, &mut serials).await;
                self.tell_served(&record, served, changes);
            } else {
                behind.push((record, served));
            }
        }
        behind
    }

    fn tell_served(&self, record: &Asking, served: Served, changes: &ByName<'_>) {
        self.dns.note(
            &record.key,
            Progress {
                wanted: record.programmed.clone(),
                result: Ok(served),
                drift: drift::noted(record, own(record, changes), self.now),
                findings: record.findings.clone(),
            },
        );
    }

    /// With what caches hold: from when the servers answer as asked, which may be rounds after the change.
    fn with_caches(&self, record: &Asking, own: &[&Change], told: Served) -> Served {
        let negative = self.authorities.start.map(|start| start.negative_ttl);
        let known = self.dns.board.progress(&record.key);
        let known = known.filter(|progress| progress.wanted == record.programmed);
        let known = known.and_then(|progress| progress.result.ok()).unwrap_or_default();
        let changed = Cached::after(own.iter().copied(), negative);
        let held = known.held.filter(|_| changed.is_none());
        // Another program may have changed it: that there was nothing is what caches hold of a new name.
        let unknown = || negative.map(Cached::Negative).filter(|_| !is_published(&record.record));
        let cached = changed.or(known.cached).or_else(unknown);
        let begins = || Held::from_now(cached.filter(|_| told.is_published())?, self.now);
        Served {
            cached,
            held: held.or_else(begins),
            ..told
        }
    }

    /// Whether the provider says that it serves what was written: asked while servers are behind, and then rarely, not
    /// before they are asked `again`.
    async fn deployed(&mut self, has_changed: bool, again: Duration) -> Option<bool> {
        let name = &self.zone.name;
        let known = self.dns.board.deployed(name).filter(|known| self.now < known.until);
        if let Some(known) = known.filter(|_| !has_changed) {
            return known.said.ok().flatten();
        }
        if self.facts.fault.is_some() {
            // One that fails is asked for nothing more.
            return None;
        }
        let said = self.provider.is_published().await;
        let said = said.map_err(|failure| providers::fault(&failure));
        let until = self.now.checked_add(again.max(ASK_PROVIDER_AGAIN)).unwrap_or(self.now);
        let deployed = said.clone().ok().flatten();
        self.dns.board.note_deployed(name, Some(Deployed { until, said }));
        deployed
    }

    /// Finds the authoritative servers and asks each for the zone's start.
    pub(super) async fn ask_authorities(&mut self) {
        self.authorities = Authorities::of(self.zone, &self.dns.discovered).await;
        self.facts.authorities = Some(self.authorities.statuses(&self.zone.domain));
    }

    /// With the serials of the servers that answer as asked for: each is asked once after that, and only where it is news.
    async fn proven(&self, record: &Asking, told: Served, serials: &mut Serials) -> Served {
        let before = record.record.status.as_ref().filter(|_| record.was_written);
        let before = before.map(|status| status.authoritative.as_slice()).unwrap_or_default();
        let mut answers = Vec::new();
        for answer in told.answers {
            let known = proven(answer.clone(), None, before);
            let server = self
                .authorities
                .servers
                .iter()
                .find(|server| server.name == answer.server);
            let serial = match server.filter(|_| known.matches && known.serial.is_none()) {
                Some(server) => self.serial(server, serials).await,
                None => None,
            };
            answers.push(proven(known, serial, before));
        }
        Served { answers, ..told }
    }

    async fn serial(&self, server: &Server, serials: &mut Serials) -> Option<i64> {
        if let Some(known) = serials.get(&server.address) {
            return *known;
        }
        let start = authority::start(server.address, &self.zone.domain).await;
        let serial = start.ok().map(|start| i64::from(start.serial));
        serials.insert(server.address, serial);
        serial
    }

    /// What is answered about each record, in their order.
    async fn all_answers(&self, records: &[Asking]) -> Vec<Vec<AuthorityAnswer>> {
        let mut all = Vec::new();
        for some in records.chunks(AT_ONCE) {
            all.extend(futures::future::join_all(some.iter().map(|record| self.answers(record))).await);
        }
        all
    }

    async fn answers(&self, record: &Asking) -> Vec<AuthorityAnswer> {
        let asked = self.authorities.servers.iter().map(async |server| {
            let answer = |message: Option<String>| AuthorityAnswer {
                server: server.name.clone(),
                serial: None,
                matches: message.is_none(),
                message,
            };
            if let Some(why) = self.authorities.silent.get(&server.address) {
                return answer(Some(why.clone()));
            }
            let with_ttl = self.provider.profile().proves_by_ttl();
            let whole = record.answered.iter().map(|set| (set, true));
            for (set, alone) in whole.chain(record.included.iter().map(|set| (set, false))) {
                let asked = match (alone, with_ttl) {
                    (true, true) => authority::compare_with_ttl(server.address, set).await,
                    (true, false) => authority::compare(server.address, set).await,
                    (false, _) => authority::includes(server.address, set).await,
                };
                if let Ok(Some(why)) | Err(why) = asked {
                    return answer(Some(format!("{} {}: {why}", set.name, set.type_)));
                }
            }
            answer(None)
        });
        futures::future::join_all(asked).await
    }
}

fn by_name(changes: &[Change]) -> ByName<'_> {
    let mut found = ByName::new();
    for change in changes {
        if let Some(name) = change.name() {
            found.entry(name).or_default().push(change);
        }
    }
    found
}

/// The changes at the names of a record.
fn own<'a>(record: &Asking, changes: &ByName<'a>) -> Vec<&'a Change> {
    let names = record.names().into_iter();
    names.filter_map(|name| changes.get(name)).flatten().copied().collect()
}
