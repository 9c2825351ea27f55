//! Who the authoritative servers of a zone are, and which of them answer.

use std::collections::{BTreeMap, BTreeSet};
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
    /// The serials that they have: several where one is behind.
    pub serials: BTreeSet<u32>,
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
        let answered = || starts.iter().filter_map(|start| start.as_ref().ok());
        let start = answered().next().copied();
        let serials = answered().map(|start| start.serial).collect();
        let answers = servers.iter().zip(starts);
        let silent = answers.filter_map(|(server, start)| Some((server.address, start.err()?)));
        Self {
            silent: silent.collect(),
            start,
            serials,
            servers,
            unknown: None,
        }
    }

    /// Whether none answers.
    pub fn are_silent(&self) -> bool {
        self.start.is_none()
    }

    /// The serial that all have that answer. While one is behind none tells that nothing changed.
    pub fn serial(&self) -> Option<i64> {
        let mut serials = self.serials.iter();
        let serial = serials.next().copied().map(i64::from);
        serial.filter(|_| serials.next().is_none())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_differ_have_no_serial() {
        let serial = |serials: &[u32]| {
            let serials = serials.iter().copied().collect();
            let authorities = Authorities {
                serials,
                ..Authorities::default()
            };
            authorities.serial()
        };
        assert_eq!(serial(&[7, 7]), Some(7));
        assert_eq!(serial(&[7, 8]), None, "whichever comes first");
        assert_eq!(serial(&[]), None);
    }
}
