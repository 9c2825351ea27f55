//! Records as OVHcloud has them.

use hickory_proto::serialize::txt::Parser;
use serde::Deserialize;
use tremplin_core::dns::{Fqdn, RecordType, RrSet};

use crate::dns_provider::Failure;
use crate::dns_provider::data::from_relative;
use crate::dns_provider::rfc2136::wire;

/// What a TTL of 0 stands for, in seconds.
const DEFAULT_TTL: u32 = 3600;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) field_type: String,
    #[serde(default)]
    pub(super) sub_domain: String,
    pub(super) target: String,
    #[serde(default)]
    ttl: Option<u32>,
}

impl Record {
    pub(super) fn is_at(&self, sub_domain: &str) -> bool {
        self.sub_domain.eq_ignore_ascii_case(sub_domain)
    }

    /// The type that name servers answer it as.
    pub(super) fn type_(&self) -> RecordType {
        match self.field_type.as_str() {
            "SPF" | "DKIM" | "DMARC" => RecordType::Txt,
            other => RecordType::of(other),
        }
    }

    /// In seconds.
    pub(super) fn ttl(&self) -> u32 {
        self.ttl.filter(|ttl| *ttl != 0).unwrap_or(DEFAULT_TTL)
    }

    /// The canonical data.
    pub(super) fn value(&self, domain: &Fqdn) -> String {
        from_relative(&self.type_(), &self.target, domain)
    }
}

/// The sets of an export of the zone, which is a master file without ids.
pub(super) fn of_export(text: &str, domain: &Fqdn) -> Result<Vec<RrSet>, Failure> {
    let unread =
        |why: String| Failure::Unavailable(format!("the export of {domain} by OVHcloud is not understood: {why}"));
    let origin = wire::name(domain)?;
    let (_, sets) = Parser::new(text, None, Some(origin))
        .parse()
        .map_err(|error| unread(error.to_string()))?;
    Ok(wire::sets(sets.values().flat_map(|set| set.records_without_rrsigs())))
}
