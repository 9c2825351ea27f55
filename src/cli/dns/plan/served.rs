//! What a zone's servers answer.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};
use tremplin_core::dns::plan::{Sets, by_name};
use tremplin_core::dns::{Fqdn, RecordType, Zone};

use crate::dns_provider::authority::{self, discovery};

/// The types that may stand at a name beside or in the way of what is asked for.
const TYPES: [RecordType; 9] = [
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Cname,
    RecordType::Txt,
    RecordType::Mx,
    RecordType::Caa,
    RecordType::Srv,
    RecordType::Ns,
    RecordType::Ds,
];
/// How many names are asked about at the same time.
const AT_ONCE: usize = 8;

/// What is in the zone at these names, as the first server says that serves the zone.
///
/// # Errors
/// Why nobody answers.
pub async fn served(zone: &Zone, names: &BTreeSet<Fqdn>) -> Result<Sets, String> {
    let servers = if zone.authorities.is_empty() {
        discovery::discover(&zone.domain).await?
    } else {
        authority::servers(&zone.authorities).await?
    };
    let mut why = format!("{} has no name server", zone.domain);
    for server in servers {
        if let Err(error) = authority::start(server.address, &zone.domain).await {
            why = format!("{} {error}", server.name);
            continue;
        }
        let found = futures::stream::iter(names)
            .map(|name| authority::at(server.address, name, &zone.domain, &TYPES))
            .buffered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await;
        let found = found.map_err(|error| format!("{} {error}", server.name))?;
        return Ok(by_name(found.into_iter().flatten()));
    }
    Err(why)
}
