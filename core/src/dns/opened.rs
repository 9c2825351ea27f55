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
    /// For how long it keeps a name from others after its last use, in seconds: also while it cannot be used.
    pub release_after: i64,
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
                    release_after: zone::release_after(&object),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::name;

    #[test]
    fn a_zone_that_cannot_be_used_keeps_names_for_the_time_that_it_says() {
        let object = serde_json::json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "z"}, "spec": {
            "domain": "z.org", "provider": {"type": "Request"}, "claims": {"releaseAfterSeconds": 31_536_000}, "ttl": {"min": 600, "max": 60}}});
        let opened = Opened::of(vec![serde_json::from_value(object).unwrap()]);
        let open = opened.at(&name("z.org")).unwrap();
        assert_eq!((open.zone.is_err(), open.release_after), (true, 31_536_000));
    }
}
