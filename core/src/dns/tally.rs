//! How much of a zone is whose.

use std::collections::{BTreeMap, BTreeSet};

use super::name::Fqdn;
use super::ownership::{Mark, marked_name};
use super::plan::Sets;
use super::rrset::RecordType;
use crate::api::dns::RecordCounts;

/// What a zone holds, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many record sets are whose.
    pub counts: RecordCounts,
    /// Those that have our mark and that nobody asks for: `name TYPE`.
    pub orphans: Vec<String>,
}

/// Counts the record sets of a zone; marks and the SOA do not count. `is_ours` tells our marks from those of other
/// clusters, `asked` is what somebody asks for or has had written, by name.
pub fn tally(
    zone: &Sets,
    domain: &Fqdn,
    is_ours: impl Fn(&Mark) -> bool,
    asked: &BTreeMap<Fqdn, BTreeSet<RecordType>>,
) -> Tally {
    let mut ours: BTreeMap<Fqdn, BTreeSet<RecordType>> = BTreeMap::new();
    let mut marks = BTreeSet::new();
    for (name, sets) in zone {
        let mark = sets.get(&RecordType::Txt).and_then(Mark::oldest);
        if let (Some(mark), Some(marked)) = (mark, marked_name(name, domain)) {
            marks.insert(name);
            if is_ours(&mark) {
                ours.entry(marked).or_default().extend(mark.types);
            }
        }
    }
    let mut tally = Tally::default();
    for (name, sets) in zone.iter().filter(|(name, _)| !marks.contains(name)) {
        let has =
            |of: &BTreeMap<Fqdn, BTreeSet<RecordType>>, type_| of.get(name).is_some_and(|types| types.contains(type_));
        for type_ in sets.keys().filter(|type_| **type_ != RecordType::Soa) {
            if !has(&ours, type_) {
                tally.counts.foreign += 1;
            } else if has(asked, type_) {
                tally.counts.owned += 1;
            } else {
                tally.counts.orphaned += 1;
                tally.orphans.push(format!("{name} {type_}"));
            }
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::ownership::Owner;
    use crate::dns::plan::by_name;
    use crate::dns::rrset::RrSet;
    use crate::dns::testing::{at, name};

    #[test]
    fn each_set_is_somebodys() {
        let set = |host: &str, type_: &str| RrSet {
            name: name(host),
            type_: RecordType::of(type_),
            ttl: 300,
            values: ["x".to_owned()].into(),
        };
        let mark = |host: &str, cluster: &str, types: &[&str]| {
            let owner = Owner {
                cluster: cluster.to_owned(),
                namespace: "blue".to_owned(),
                since: at(0),
            };
            let types = types.iter().map(|type_| RecordType::of(type_)).collect();
            Mark { owner, types }.set(name(host))
        };
        let zone = by_name([
            set("z.org", "SOA"),
            set("z.org", "NS"),
            set("app.z.org", "A"),
            set("app.z.org", "MX"),
            set("app.z.org", "TXT"),
            mark("_tremplin.app.z.org", "one", &["A", "MX"]),
            set("cut.z.org", "NS"),
            mark("cut._tremplin.z.org", "one", &["NS"]),
            set("theirs.z.org", "A"),
            mark("_tremplin.theirs.z.org", "two", &["A"]),
        ]);
        let asked = [
            (name("app.z.org"), [RecordType::A].into()),
            (name("cut.z.org"), [RecordType::Ns].into()),
            (name("theirs.z.org"), [RecordType::A].into()),
        ];
        let found = tally(&zone, &name("z.org"), |mark| mark.owner.cluster == "one", &asked.into());
        let RecordCounts {
            owned,
            foreign,
            orphaned,
        } = found.counts;
        assert_eq!((owned, foreign, orphaned), (2, 3, 1));
        assert_eq!(found.orphans, ["app.z.org MX"]);
    }
}
