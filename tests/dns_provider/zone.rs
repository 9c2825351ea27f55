//! What is done with a zone, as its writer does it, and how its sets are written here.

use std::collections::BTreeSet;
use std::time::Instant;

use tremplin::dns_provider::{Failure, Provider};
use tremplin_core::dns::rrset::canonical;
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet};

use super::server::{DEADLINE, ZONE};

/// Writes and publishes, as the writer of a zone does, and waits until the provider says that it is done.
pub async fn apply(provider: &dyn Provider, changes: &[Change]) -> Result<(), Failure> {
    provider.write(changes).await?;
    provider.publish().await?;
    let deadline = Instant::now() + DEADLINE;
    while provider.is_published().await? == Some(false) {
        assert!(Instant::now() < deadline, "not published within {DEADLINE:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(())
}

/// What is at these names alone.
pub async fn read(provider: &dyn Provider, names: &[&str]) -> Vec<RrSet> {
    let names: BTreeSet<Fqdn> = names.iter().map(|text| name(text)).collect();
    let mut sets = provider.read(&names).await.unwrap();
    sets.retain(|set| names.contains(&set.name));
    sets.sort();
    sets
}

/// The whole zone but its SOA, whose serial goes up.
pub async fn whole(provider: &dyn Provider) -> Vec<RrSet> {
    let mut sets = provider.read_all().await.unwrap();
    sets.retain(|set| set.type_ != RecordType::Soa);
    sets.sort();
    sets
}

pub fn name(text: &str) -> Fqdn {
    if text.ends_with(ZONE) || text.ends_with("other.example") {
        return Fqdn::parse(text).unwrap();
    }
    Fqdn::parse(&format!("{text}.{ZONE}")).unwrap()
}

/// A set; names are below [`ZONE`] unless they are in it already.
pub fn set(owner: &str, type_: &str, ttl: u32, values: &[&str]) -> RrSet {
    let type_ = RecordType::of(type_);
    RrSet {
        name: name(owner),
        ttl,
        values: values.iter().map(|value| canonical(&type_, value).unwrap()).collect(),
        type_,
    }
}
