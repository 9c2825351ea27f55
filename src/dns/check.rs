//! What the authoritative servers of a zone say: only what all of them answer is published.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;
use tremplin_core::api::dns::{AuthorityAnswer, AuthorityStatus};
use tremplin_core::dns::status::{Progress, Served};
use tremplin_core::dns::{Change, Fqdn, Zone};

use super::board::Work;
use super::drift;
use super::providers;
use super::write::{self, Asking};
use super::zones::Round;
use crate::dns_provider::authority::discovery::Discovered;
use crate::dns_provider::authority::{self, Server, Start};

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

impl Round<'_> {
    /// Asks every authoritative server about what is written, until all answer as asked or the round has lasted.
    pub(super) async fn check(&mut self, asking: Vec<Asking>, changes: &[Change]) -> Option<Duration> {
        let negative = self.start.map(|start| start.negative_ttl);
        let of_names = by_name(changes);
        let mut behind = asking;
        for wait in ASK_AGAIN.iter().map(Some).chain([None]) {
            let mut still = Vec::new();
            let asked = self.all_answers(&behind).await;
            let deployed = match wait {
                Some(_) => None,
                None => self.deployed(!changes.is_empty()).await,
            };
            for (record, answers) in behind.into_iter().zip(asked) {
                let names = record.names().into_iter();
                let own: Vec<&Change> = names.filter_map(|name| of_names.get(name)).flatten().copied().collect();
                let before = record.record.status.as_ref();
                let visible_after = write::visible_after(own.iter().copied(), negative, self.now)
                    .or_else(|| Some(before?.visible_after.as_ref()?.0).filter(|at| *at > self.now));
                let served = Served {
                    answers,
                    visible_after,
                    stage: self.provider.profile().stage(deployed),
                };
                if served.is_published() || wait.is_none() {
                    let published = served.is_published();
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
        let (servers, statuses, start) = authorities(self.zone, &self.dns.discovered).await;
        self.facts.authorities = Some(statuses);
        self.servers = servers;
        self.start = start;
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
        let asked = self.servers.iter().map(async |server| {
            let whole = record.answered.iter().map(|set| (set, true));
            for (set, alone) in whole.chain(record.included.iter().map(|set| (set, false))) {
                let asked = if alone {
                    authority::compare(server.address, set).await
                } else {
                    authority::includes(server.address, set).await
                };
                let message = match asked {
                    Ok(None) => continue,
                    Ok(Some(why)) | Err(why) => format!("{} {}: {why}", set.name, set.type_),
                };
                return AuthorityAnswer {
                    server: server.name.clone(),
                    serial: None,
                    matches: false,
                    message: Some(message),
                };
            }
            AuthorityAnswer {
                server: server.name.clone(),
                serial: None,
                matches: true,
                message: None,
            }
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

/// The authoritative servers of a zone, what to tell of them, and the zone's start as the first that answers has it.
/// Where the zone names none, they are those of its NS records.
pub async fn authorities(zone: &Zone, discovered: &Discovered) -> (Vec<Server>, Vec<AuthorityStatus>, Option<Start>) {
    let found = if zone.authorities.is_empty() {
        discovered.of(&zone.domain).await
    } else {
        authority::servers(&zone.authorities).await
    };
    let servers = match found {
        Ok(servers) => servers,
        Err(message) => {
            let status = AuthorityStatus {
                server: zone.domain.to_string(),
                serial: None,
                message: Some(message),
            };
            return (Vec::new(), vec![status], None);
        }
    };
    let asked = servers
        .iter()
        .map(|server| authority::start(server.address, &zone.domain));
    let starts = futures::future::join_all(asked).await;
    let start = starts.iter().find_map(|start| start.as_ref().ok().copied());
    let status = |(server, start): (&Server, Result<Start, String>)| AuthorityStatus {
        server: server.name.clone(),
        // A serial changes with every record: it is told where it matters, on the record.
        serial: None,
        message: start.err(),
    };
    let statuses = servers.iter().zip(starts).map(status).collect();
    (servers, statuses, start)
}
