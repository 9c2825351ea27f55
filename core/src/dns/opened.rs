//! The zones that the platform team opened: of several of one domain the oldest counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::judge;
use super::name::Fqdn;
use super::reasons::Reason;
use super::zone::{self, Zone};
use crate::api::dns::{DnsRecord, DnsZone};
use crate::fault::Fault;

/// The zones that there are, by domain: the oldest DnsZone of each.
#[derive(Debug, Default)]
pub struct Opened(BTreeMap<Fqdn, Arc<OpenZone>>);

/// A zone, or what is wrong with it.
#[derive(Debug)]
pub struct OpenZone {
    /// The DnsZone's name.
    pub name: String,
    /// What it says.
    pub zone: Result<Zone, Fault<Reason>>,
}

impl OpenZone {
    /// What it says, for a record in it.
    ///
    /// # Errors
    /// That of [`judge::with_invalid_zone`] where nothing can be made of it.
    pub fn usable(&self, record: &DnsRecord) -> Result<&Zone, Fault<Reason>> {
        let zone = self.zone.as_ref();
        zone.map_err(|fault| judge::with_invalid_zone(record, &self.name, fault))
    }
}

impl Opened {
    /// From every DnsZone.
    pub fn of(mut zones: Vec<DnsZone>) -> Self {
        zones.sort_by_key(|zone| {
            let created = zone.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (created, zone.metadata.name.clone())
        });
        let mut opened = BTreeMap::new();
        for object in zones {
            if let Ok(domain) = zone::domain(&object) {
                let open = || OpenZone {
                    name: object.metadata.name.clone().unwrap_or_default(),
                    zone: Zone::parse(&object),
                };
                opened.entry(domain).or_insert_with(|| Arc::new(open()));
            }
        }
        Self(opened)
    }

    /// The zone that a name is in.
    pub fn covering(&self, name: &Fqdn) -> Option<Arc<OpenZone>> {
        zone::longest(self.0.iter(), name).cloned()
    }

    /// The domains.
    pub fn domains(&self) -> impl Iterator<Item = &Fqdn> {
        self.0.keys()
    }

    /// The zone of that domain.
    pub fn at(&self, domain: &Fqdn) -> Option<Arc<OpenZone>> {
        self.0.get(domain).cloned()
    }
}
