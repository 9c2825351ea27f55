//! Who the authoritative servers of a zone are, and which of them answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures::future::join_all;
use tremplin_core::api::dns::AuthorityStatus;
use tremplin_core::dns::{Fqdn, Zone};

use crate::dns_provider::authority::discovery::Discovered;
use crate::dns_provider::authority::{self, Server, Start};

/// The authoritative servers of a zone.
#[derive(Default)]
pub struct Authorities {
    /// All that are known.
    pub servers: Vec<Server>,
    /// Those that did not answer for the zone, and why: who is silent is not asked about every record.
    pub silent: BTreeMap<SocketAddr, String>,
    /// Why none is known.
    pub unknown: Option<String>,
    /// The zone's start as the first that answers has it.
    pub start: Option<Start>,
}

impl Authorities {
    /// Those that the zone names, or else those of its NS records, each asked for the zone's start.
    pub async fn of(zone: &Zone, discovered: &Discovered) -> Self {
        let found = if zone.authorities.is_empty() {
            discovered.of(&zone.domain).await
        } else {
            authority::servers(&zone.authorities).await
        };
        let servers = match found {
            Ok(servers) => servers,
            Err(why) => {
                return Self {
                    unknown: Some(why),
                    ..Self::default()
                };
            }
        };
        let asked = servers
            .iter()
            .map(|server| authority::start(server.address, &zone.domain));
        let starts = join_all(asked).await;
        let start = starts.iter().find_map(|start| start.as_ref().ok().copied());
        let answers = servers.iter().zip(starts);
        let silent = answers.filter_map(|(server, start)| Some((server.address, start.err()?)));
        Self {
            silent: silent.collect(),
            start,
            servers,
            unknown: None,
        }
    }

    /// Whether none answers.
    pub fn are_silent(&self) -> bool {
        self.start.is_none()
    }

    /// What a status tells of them.
    pub fn statuses(&self, domain: &Fqdn) -> Vec<AuthorityStatus> {
        let unknown = self.unknown.as_ref().map(|why| AuthorityStatus {
            server: domain.to_string(),
            message: Some(why.clone()),
        });
        let known = self.servers.iter().map(|server| AuthorityStatus {
            server: server.name.clone(),
            message: self.silent.get(&server.address).cloned(),
        });
        unknown.into_iter().chain(known).collect()
    }
}
