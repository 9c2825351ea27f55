//! What the tests of this room share.

use jiff::Timestamp;
use serde_json::json;

use super::name::Fqdn;
use super::profile::{Alias, Atomicity, Profile, Publication};
use super::rrset::{RecordType, RrSet};
use super::zone::Zone;
use crate::api::dns::DnsZone;

/// A name.
pub fn name(text: &str) -> Fqdn {
    Fqdn::parse(text).unwrap()
}

/// A time.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// One value of a type, at `app.z.org`.
pub fn set(type_: RecordType, value: &str) -> RrSet {
    RrSet {
        name: name("app.z.org"),
        type_,
        ttl: 300,
        values: [value.to_owned()].into(),
    }
}

/// A zone from the YAML of its spec.
pub fn zone(spec: &str) -> Zone {
    let spec: serde_json::Value = serde_saphyr::from_str(spec).unwrap();
    let object =
        json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "shared"}, "spec": spec});
    let object: DnsZone = serde_json::from_value(object).unwrap();
    Zone::parse(&object).unwrap()
}

/// A provider that can everything, TTLs of 60 seconds and more.
pub fn profile() -> Profile {
    Profile {
        name: "Example",
        min_ttl: 60,
        max_ttl: 604_800,
        atomicity: Atomicity::Batch(100),
        alias: Alias::Anywhere,
        without: &[],
        publication: Publication::Immediate,
        reads_by_name: 10,
        snapshots: false,
        serial_moves: true,
        rate: None,
    }
}
