//! What the authoritative servers of a zone say: only what all of them answer is published.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;
use tremplin_core::api::dns::AuthorityAnswer;
use tremplin_core::dns::caches::{Cached, Held};
use tremplin_core::dns::status::{Progress, Served, is_published, proven};
use tremplin_core::dns::{Change, Fqdn};

use super::authorities::Authorities;
use super::board::Work;
use super::drift;
use super::providers;
use super::write::Asking;
use super::zones::Round;
use crate::dns_provider::authority::{self, Server};

/// How soon a server that does not yet answer as asked is asked again within a round, and then by rounds of their own.
const ASK_AGAIN: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(300),
];
/// About how many records the servers are asked at the same time.
const AT_ONCE: usize = 32;
const ASK_LATER: Duration = Duration::from_secs(1);
/// How soon the provider is asked again whether it serves what was written.
const ASK_PROVIDER_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// The zone's serial on its servers.
type Serials = BTreeMap<SocketAddr, Option<i64>>;

impl Round<'_> {
    /// Asks every authoritative server about what is written, until all answer as asked or the round has lasted.
    pub(super) async fn check(&mut self, asking: Vec<Asking>, changes: &[Change]) -> Option<Duration> {
        let of_names = by_name(changes);
        let mut behind = asking;
        for wait in ASK_AGAIN.iter().map(Some).chain([None]) {
            let mut still = Vec::new();
            let asked = self.all_answers(&behind).await;
            let mut serials = Serials::new();
            let deployed = match wait {
                Some(_) => None,
                None => self.deployed(!changes.is_empty()).await,
            };
            for (record, answers) in behind.into_iter().zip(asked) {
                let names = record.names().into_iter();
                let own: Vec<&Change> = names.filter_map(|name| of_names.get(name)).flatten().copied().collect();
                let served = self.with_caches(
                    &record,
                    &own,
                    Served {
                        answers,
                        unasked: self.authorities.unknown.clone(),
                        stage: self.provider.profile().stage(deployed),
                        ..Served::default()
                    },
                );
                if served.is_published() || wait.is_none() {
                    let published = served.is_published();
                    let served = self.proven(&record, served, &mut serials).await;
                    self.dns.note(
                        &record.key,
                        Progress {
                            wanted: record.programmed.clone(),
                            result: Ok(served),
                            drift: drift::noted(&record, own, self.now),
                            findings: record.findings.clone(),
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

    /// Whether the provider says that it serves what was written: asked while servers are behind, and then rarely. What
    /// it says is wrong with the zone is told on the zone.
    async fn deployed(&mut self, has_changed: bool) -> Option<bool> {
        let name = &self.zone.name;
        if let Some((until, known)) = self.dns.board.deployed(name)
            && self.now < until
            && !has_changed
        {
            return known;
        }
        let deployed = match self.provider.is_published().await {
            Ok(deployed) => deployed,
            Err(failure) => {
                let fault = providers::fault(&failure);
                self.facts.fault.get_or_insert(fault);
                None
            }
        };
        let until = self.now.checked_add(ASK_PROVIDER_AGAIN).unwrap_or(self.now);
        self.dns.board.note_deployed(name, until, deployed);
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

fn by_name(changes: &[Change]) -> HashMap<&Fqdn, Vec<&Change>> {
    let mut found: HashMap<&Fqdn, Vec<&Change>> = HashMap::new();
    for change in changes {
        if let Some(name) = change.name() {
            found.entry(name).or_default().push(change);
        }
    }
    found
}
