//! Our mark in a zone: a TXT record beside each name whose data is ours, so that zone and cluster can be compared.
//!
//! The claim in the cluster is the truth, the mark its mirror. It tells which types at the name are ours: what it does
//! not name is somebody else's, and is never touched.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::name::{Fqdn, NameError};
use super::rrset::{RecordType, RrSet};

/// The label of every mark. No team gets a name that has it.
pub const LABEL: &str = "_tremplin";
/// Stands in a mark's name for `*`, which only means something as a first label.
const WILDCARD: &str = "_wildcard";
/// Stands in a mark's name for the apex.
const APEX: &str = "_apex";
/// How long a mark may be kept, in seconds: nobody but us asks for it.
pub const TTL: u32 = 300;

/// Whose a name is, as the zone is to say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster: what tells two operators apart that serve the same zone.
    pub cluster: String,
    /// The namespace that holds the claim.
    pub namespace: String,
    /// Since when, in whole seconds.
    pub since: Timestamp,
}

impl Owner {
    /// Whether its claim comes before another: by time, and of two of one second by the cluster's name, so that both
    /// sides see it alike.
    pub fn is_before(&self, other: &Self) -> bool {
        let order = |owner: &Self| (owner.since.as_second(), owner.cluster.clone(), owner.namespace.clone());
        order(self) < order(other)
    }
}

/// What a mark says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Whose the name is.
    pub owner: Owner,
    /// Which types at the name are the owner's.
    pub types: BTreeSet<RecordType>,
}

impl Mark {
    /// Reads the text of a mark; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        if parts.next() != Some("heritage=tremplin") {
            return None;
        }
        let (mut cluster, mut namespace, mut since, mut types) = (None, None, None, BTreeSet::new());
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key {
                "cluster" => cluster = Some(value.to_owned()),
                "namespace" => namespace = Some(value.to_owned()),
                "since" => since = value.parse::<Timestamp>().ok(),
                "types" => types = value.split('+').filter(|t| !t.is_empty()).map(RecordType::of).collect(),
                // Of a later version.
                _ => {}
            }
        }
        let owner = Owner {
            cluster: cluster?,
            namespace: namespace?,
            since: since?,
        };
        Some(Self { owner, types })
    }

    /// The mark among the texts of a record set, if there is one.
    pub fn of(set: &RrSet) -> Option<Self> {
        set.values.iter().find_map(|text| Self::parse(text))
    }

    /// The oldest mark among the texts of a record set.
    pub fn oldest(set: &RrSet) -> Option<Self> {
        let marks = set.values.iter().filter_map(|text| Self::parse(text));
        marks.reduce(|one, other| if other.owner.is_before(&one.owner) { other } else { one })
    }

    /// The record set that carries it.
    pub fn set(&self, name: Fqdn) -> RrSet {
        RrSet {
            name,
            type_: RecordType::Txt,
            ttl: TTL,
            values: [self.to_string()].into(),
        }
    }

    /// Whether it is the mark of that owner: by the same cluster for the same namespace, or of the very same claim,
    /// which a restore may have carried to another cluster.
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.owner.namespace == owner.namespace
            && (self.owner.cluster == owner.cluster || self.owner.since == owner.since)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types: Vec<_> = self.types.iter().map(RecordType::as_str).collect();
        let Owner {
            cluster,
            namespace,
            since,
        } = &self.owner;
        write!(
            f,
            "heritage=tremplin,cluster={cluster},namespace={namespace},since={since:.0},types={}",
            types.join("+")
        )
    }
}

/// Where the mark of a name is. Below the name, where it disturbs nothing; for a delegated name beside it, since
/// everything below is the child zone's.
///
/// # Errors
/// When the name is so long that its mark has none.
pub fn mark_name(name: &Fqdn, zone: &Fqdn, delegated: bool) -> Result<Fqdn, NameError> {
    if name == zone {
        return zone.child(&format!("{LABEL}.{APEX}"));
    }
    let Some((first, rest)) = name.as_str().split_once('.') else {
        return Err(NameError::Single);
    };
    if delegated {
        return Fqdn::parse(&format!("{first}.{LABEL}.{rest}"));
    }
    if name.is_wildcard() {
        return Fqdn::parse(&format!("{LABEL}.{WILDCARD}.{rest}"));
    }
    name.child(LABEL)
}

/// The name whose mark it is; `None` when it is no mark's name.
pub fn marked_name(mark: &Fqdn, zone: &Fqdn) -> Option<Fqdn> {
    let (first, rest) = mark.as_str().split_once('.')?;
    if first == LABEL {
        if rest == format!("{APEX}.{zone}") {
            return Some(zone.clone());
        }
        let name = match rest.strip_prefix(WILDCARD).and_then(|rest| rest.strip_prefix('.')) {
            Some(rest) => format!("*.{rest}"),
            None => rest.to_owned(),
        };
        return Fqdn::parse(&name).ok();
    }
    let (second, parent) = rest.split_once('.')?;
    (second == LABEL)
        .then(|| Fqdn::parse(&format!("{first}.{parent}")).ok())
        .flatten()
}

/// The labels that stand in the names of marks: with one of them a name's mark would be another's.
pub const KEPT: [&str; 3] = [LABEL, WILDCARD, APEX];

/// Whether a name is kept for marks.
pub fn is_kept(name: &Fqdn) -> bool {
    name.labels().any(|label| KEPT.contains(&label))
}

/// Says so.
pub fn kept() -> String {
    format!("the labels {} are kept for the marks of Tremplin", KEPT.join(", "))
}

/// Who registered a record set with external-dns, if a text is that tool's registry entry.
/// Source: external-dns, docs/registry/txt.md.
pub fn external_dns_owner(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("heritage=external-dns,")?;
    let owner = rest
        .split(',')
        .find_map(|part| part.strip_prefix("external-dns/owner="));
    Some(owner.unwrap_or("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{at, name};
    use proptest::prelude::*;

    fn owner(cluster: &str, namespace: &str, since: i64) -> Owner {
        Owner {
            cluster: cluster.into(),
            namespace: namespace.into(),
            since: at(since),
        }
    }

    #[test]
    fn marks_have_names_in_the_zone_and_none_below_a_cut() {
        let zone = name("z.org");
        for (marked, delegated, mark) in [
            ("app.z.org", false, "_tremplin.app.z.org"),
            ("*.app.z.org", false, "_tremplin._wildcard.app.z.org"),
            ("z.org", false, "_tremplin._apex.z.org"),
            ("app.z.org", true, "app._tremplin.z.org"),
            ("_dmarc.app.z.org", false, "_tremplin._dmarc.app.z.org"),
        ] {
            let found = mark_name(&name(marked), &zone, delegated).unwrap();
            assert_eq!(found, name(mark));
            assert!(found.is_below(&zone) && !(delegated && found.is_below(&name(marked))));
            assert_eq!(marked_name(&found, &zone), Some(name(marked)));
        }
        assert_eq!(marked_name(&name("app.z.org"), &zone), None);
        // What would have the mark of a wildcard, or of the apex.
        assert!(is_kept(&name("_wildcard.app.z.org")) && is_kept(&name("_apex.z.org")));
    }

    #[test]
    fn a_restored_claim_knows_its_mark_and_others_do_not() {
        let mark = Mark {
            owner: owner("one", "blue", 5),
            types: [RecordType::A].into(),
        };
        assert!(mark.is_of(&owner("one", "blue", 9)));
        assert!(mark.is_of(&owner("two", "blue", 5)), "carried to another cluster");
        assert!(!mark.is_of(&owner("two", "blue", 9)));
        assert!(!mark.is_of(&owner("one", "red", 5)));
    }

    #[test]
    fn the_registry_of_external_dns_is_known() {
        let text = "heritage=external-dns,external-dns/owner=default,external-dns/resource=ingress/a/b";
        assert_eq!(external_dns_owner(text), Some("default"));
        assert_eq!(Mark::parse(text), None);
        assert_eq!(external_dns_owner("v=spf1 -all"), None);
    }

    proptest! {
        #[test]
        fn marks_survive_writing(namespace in "[a-z]([-a-z0-9]{0,20}[a-z0-9])?", since in 0_i64..4_000_000_000, types in proptest::collection::btree_set(prop::sample::select(vec!["A", "AAAA", "TXT", "MX", "CNAME"]), 0..4)) {
            let types = types.into_iter().map(RecordType::of).collect();
            let mark = Mark { owner: owner("c-1", &namespace, since), types };
            prop_assert_eq!(Mark::parse(&mark.to_string()), Some(mark));
        }
    }
}
