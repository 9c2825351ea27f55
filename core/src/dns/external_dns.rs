//! What an external-dns of the cluster is given to publish: one `DNSEndpoint` for each name, with everything of ours there.
//!
//! Our mark stands on the object and not in the zone: there, external-dns keeps a registry of its own.
//!
//! How data is written, from its public documentation and source: hosts without a dot at their end, save those of SRV,
//! which need one; texts in quotes, as it writes its own registry at every provider.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{CustomResource, ResourceExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::change::Change;
use super::name::Fqdn;
use super::ownership::{Mark, is_kept};
use super::rrset::{RecordType, RrSet, canonical, quoted, unquoted};
use super::{claim, profile};
use crate::labels::{MANAGED_BY, MANAGER};
use crate::names::{LABEL, child};

/// Label of a `DNSEndpoint` of ours: the DnsZone.
pub const ZONE: &str = "tremplin.dev/dns-zone";
/// Annotation of a `DNSEndpoint` of ours: the name that it is about.
pub const NAME: &str = "tremplin.dev/dns-name";
/// Annotation of a `DNSEndpoint` of ours: whose the name is, and which types there are ours.
pub const MARK: &str = "tremplin.dev/dns-mark";

/// The types that it can be given.
pub const TYPES: [RecordType; 7] = [
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Cname,
    RecordType::Txt,
    RecordType::Mx,
    RecordType::Srv,
    RecordType::Ns,
];

/// What external-dns publishes.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "externaldns.k8s.io",
    version = "v1alpha1",
    kind = "DNSEndpoint",
    root = "DnsEndpoint",
    plural = "dnsendpoints",
    status = "DnsEndpointStatus",
    namespaced,
    schema = "disabled"
)]
pub struct DnsEndpointSpec {
    /// Record sets.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
}

/// What external-dns says of it.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DnsEndpointStatus {
    /// The generation that it has read.
    #[serde(default)]
    pub observed_generation: Option<i64>,
}

/// A record set.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Its name.
    #[serde(default)]
    pub dns_name: String,
    /// Its type.
    #[serde(default)]
    pub record_type: String,
    /// How long it may be kept, in seconds.
    #[serde(default, rename = "recordTTL")]
    pub record_ttl: i64,
    /// Its data.
    #[serde(default)]
    pub targets: Vec<String>,
}

/// Where the objects of a zone are.
#[derive(Clone, Debug)]
pub struct Place {
    /// The DnsZone's name.
    pub zone: String,
    /// The namespace.
    pub namespace: String,
    /// Labels that the platform team wants on them.
    pub labels: BTreeMap<String, String>,
}

/// Everything of ours at a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The record sets.
    pub sets: BTreeMap<RecordType, RrSet>,
    /// The text of the mark.
    pub mark: Option<String>,
}

impl Place {
    /// Whether an object is one of ours for this zone.
    pub fn is_ours(&self, object: &DnsEndpoint) -> bool {
        let says = |key: &str, value: &str| object.labels().get(key).is_some_and(|found| found == value);
        says(MANAGED_BY, MANAGER) && says(ZONE, &self.label())
    }

    /// Selects our objects of this zone.
    pub fn selector(&self) -> String {
        format!("{MANAGED_BY}={MANAGER},{ZONE}={}", self.label())
    }

    /// A DnsZone's name may be longer than a label's value.
    fn label(&self) -> String {
        if self.zone.len() <= LABEL {
            self.zone.clone()
        } else {
            child(&self.zone, "zone", LABEL)
        }
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
        labels.insert(ZONE.to_owned(), self.label());
        labels
    }

    /// The object that is to be made.
    pub fn object(&self, name: &Fqdn, entry: &Entry) -> DnsEndpoint {
        let mark = entry.mark.clone().map(|mark| (MARK.to_owned(), mark));
        let annotations = [(NAME.to_owned(), name.to_string())].into_iter().chain(mark);
        let metadata = ObjectMeta {
            name: Some(object_name(name)),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels()),
            annotations: Some(annotations.collect()),
            ..ObjectMeta::default()
        };
        let spec = DnsEndpointSpec {
            endpoints: entry.endpoints(),
        };
        DnsEndpoint {
            metadata,
            spec,
            status: None,
        }
    }

    /// The merge patch that makes one of our objects say this.
    pub fn change(&self, name: &Fqdn, entry: &Entry) -> Value {
        json!({
            "metadata": {
                "labels": self.labels(),
                "annotations": {NAME: name.as_str(), MARK: entry.mark},
            },
            "spec": {"endpoints": entry.endpoints()},
        })
    }
}

/// The name of the object about a name.
pub fn object_name(name: &Fqdn) -> String {
    claim::object_name(name)
}

/// The name that an object of ours is about.
pub fn name_of(object: &DnsEndpoint) -> Option<Fqdn> {
    Fqdn::parse(object.annotations().get(NAME)?).ok()
}

impl Entry {
    /// What an object says about that name.
    pub fn of(object: &DnsEndpoint, name: &Fqdn) -> Self {
        let about = |endpoint: &&Endpoint| Fqdn::parse(&endpoint.dns_name).is_ok_and(|said| said == *name);
        let set = |endpoint: &Endpoint| {
            let type_ = RecordType::of(&endpoint.record_type);
            let values = endpoint.targets.iter().map(|target| read(&type_, target)).collect();
            let ttl = u32::try_from(endpoint.record_ttl).unwrap_or_default();
            let set = RrSet {
                name: name.clone(),
                type_: type_.clone(),
                ttl,
                values,
            };
            (type_, set)
        };
        Self {
            sets: object.spec.endpoints.iter().filter(about).map(set).collect(),
            mark: object.annotations().get(MARK).cloned(),
        }
    }

    /// Makes a change; one of the mark is one of the object's.
    pub fn apply(&mut self, change: &Change) {
        if change.name().is_some_and(is_kept) {
            let text = |set: &Option<RrSet>| set.as_ref().and_then(|set| set.values.first().cloned());
            // A mark that moves is made in one place and taken from the other: there is one on an object.
            if change.after.is_some() || self.mark == text(&change.before) {
                self.mark = text(&change.after);
            }
            return;
        }
        match (&change.before, &change.after) {
            (_, Some(after)) => drop(self.sets.insert(after.type_.clone(), after.clone())),
            (Some(before), None) => drop(self.sets.remove(&before.type_)),
            (None, None) => {}
        }
    }

    /// Takes over what its mark names and the zone has already.
    pub fn take_over(&mut self, there: &[RrSet]) {
        let types = self.mark.as_deref().and_then(Mark::parse).map(|mark| mark.types);
        for set in there {
            if types.as_ref().is_some_and(|types| types.contains(&set.type_)) {
                self.sets.entry(set.type_.clone()).or_insert_with(|| set.clone());
            }
        }
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        let endpoint = |set: &RrSet| Endpoint {
            dns_name: set.name.to_string(),
            record_type: set.type_.to_string(),
            record_ttl: set.ttl.into(),
            targets: set.values.iter().map(|value| written(&set.type_, value)).collect(),
        };
        self.sets.values().map(endpoint).collect()
    }
}

fn written(type_: &RecordType, value: &str) -> String {
    match type_ {
        RecordType::Txt => quoted(value),
        RecordType::Srv if !value.ends_with('.') => format!("{value}."),
        _ => value.to_owned(),
    }
}

fn read(type_: &RecordType, target: &str) -> String {
    match type_ {
        RecordType::Txt => unquoted(target),
        // What somebody else wrote here equals nothing that anybody wants.
        _ => canonical(type_, target).unwrap_or_else(|_| target.to_owned()),
    }
}

/// What can be done by it.
pub const PROFILE: profile::Profile = profile::Profile {
    name: "external-dns",
    min_ttl: 1,
    max_ttl: 0x7fff_ffff,
    // One object for each name: what changes there changes at once.
    atomicity: profile::Atomicity::Batch(1),
    alias: profile::Alias::Never,
    without: &[RecordType::Caa, RecordType::Ds],
    publication: profile::Publication::Controller,
    // Whether a name is free is asked name by name.
    reads_by_name: usize::MAX,
    snapshots: false,
    serial_moves: true,
    rate: None,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{name, set};

    fn place() -> Place {
        Place {
            zone: "shared".into(),
            namespace: "dns".into(),
            labels: BTreeMap::from([("publish".into(), "yes".into())]),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut entry = Entry {
            mark: Some("heritage=tremplin,cluster=c,namespace=n,since=2026-01-01T00:00:00Z,types=A".into()),
            ..Entry::default()
        };
        let long = "k".repeat(400);
        for (type_, value, target) in [
            (RecordType::A, "192.0.2.1", "192.0.2.1".to_owned()),
            (RecordType::Aaaa, "2001:db8::1", "2001:db8::1".to_owned()),
            (RecordType::Mx, "10 mail.example.org", "10 mail.example.org".to_owned()),
            (
                RecordType::Srv,
                "0 5 5060 sip.example.org",
                "0 5 5060 sip.example.org.".to_owned(),
            ),
            (RecordType::Txt, "v=spf1 -all", "\"v=spf1 -all\"".to_owned()),
            (RecordType::Ns, "ns.example.org", "ns.example.org".to_owned()),
            (RecordType::Cname, "a.example.org", "a.example.org".to_owned()),
        ] {
            entry.apply(&Change::create(set(type_.clone(), value)));
            assert_eq!(written(&type_, value), target);
        }
        entry.apply(&Change::create(set(RecordType::Txt, &long)));
        let object = place().object(&name("app.z.org"), &entry);
        assert!(place().is_ours(&object));
        assert_eq!(object.labels()["publish"], "yes");
        assert_eq!(name_of(&object), Some(name("app.z.org")));
        assert_eq!(Entry::of(&object, &name("app.z.org")), entry);
        assert_eq!(TYPES.len(), entry.sets.len());
    }

    #[test]
    fn an_object_of_somebody_else_or_of_another_zone_is_not_ours() {
        let object = place().object(&name("app.z.org"), &Entry::default());
        let other = Place {
            zone: "other".into(),
            ..place()
        };
        assert!(!other.is_ours(&object));
        assert!(!place().is_ours(&DnsEndpoint::new("app.z.org", DnsEndpointSpec::default())));
    }

    #[test]
    fn a_changed_type_is_one_change_of_the_object_and_a_gone_mark_is_taken_away() {
        let mut entry = Entry::default();
        let mark = Mark::parse("heritage=tremplin,cluster=c,namespace=n,since=2026-01-01T00:00:00Z,types=A").unwrap();
        let mark = mark.set(name("_tremplin.app.z.org"));
        entry.apply(&Change::create(mark.clone()));
        entry.apply(&Change::create(set(RecordType::A, "192.0.2.1")));
        entry.apply(&Change::delete(set(RecordType::A, "192.0.2.1")));
        entry.apply(&Change::create(set(RecordType::Cname, "a.example.org")));
        assert_eq!(entry.sets.keys().collect::<Vec<_>>(), [&RecordType::Cname]);
        assert!(entry.mark.is_some());
        entry.apply(&Change::delete(mark));
        let change = place().change(&name("app.z.org"), &entry);
        assert_eq!(change["metadata"]["annotations"][MARK], Value::Null);
        assert_eq!(change["spec"]["endpoints"][0]["recordTTL"], 300);
    }

    #[test]
    fn a_mark_that_moves_beside_its_name_stays_on_the_object() {
        let text =
            |types: &str| format!("heritage=tremplin,cluster=c,namespace=n,since=2026-01-01T00:00:00Z,types={types}");
        let mark = |place: &str, types: &str| Mark::parse(&text(types)).unwrap().set(name(place));
        let mut entry = Entry {
            mark: Some(text("A")),
            ..Entry::default()
        };
        entry.apply(&Change::create(mark("app._tremplin.z.org", "NS")));
        entry.apply(&Change::delete(mark("_tremplin.app.z.org", "A")));
        assert_eq!(entry.mark, Some(text("NS")));
    }

    #[test]
    fn only_what_the_mark_names_is_taken_over() {
        let mut entry = Entry {
            mark: Some("heritage=tremplin,cluster=c,namespace=n,since=2026-01-01T00:00:00Z,types=A".into()),
            ..Entry::default()
        };
        entry.take_over(&[set(RecordType::A, "192.0.2.1"), set(RecordType::Mx, "0 .")]);
        assert_eq!(entry.sets.keys().collect::<Vec<_>>(), [&RecordType::A]);
    }
}
