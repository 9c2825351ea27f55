//! Whose the marks of a zone are. The cluster's own name is the operator's to know: here it is found out by what the zone
//! says of claims that are seen.

use std::collections::BTreeSet;

use tremplin_core::api::DnsClaim;
use tremplin_core::dns::ownership::{Mark, mark_name, marked_name};
use tremplin_core::dns::plan::{Sets, Want};
use tremplin_core::dns::{Fqdn, RecordType, Zone};

use super::round::Wanted;
use super::served::served;

/// The marks of how many claims are asked for.
const ASKED: usize = 10;

/// The name of the cluster, where it matters and a mark of one of its claims tells it.
pub async fn cluster(wanted: &[Wanted], claims: &[DnsClaim], zone: &Zone, current: &Sets) -> Option<String> {
    let is_doubtful = |one: &Wanted| {
        let marks = one.want.marks(current, &zone.domain).unwrap_or_default();
        !marks.is_empty() && !marks.iter().any(|mark| mark.is_of(&one.want.owner))
    };
    if !wanted.iter().any(is_doubtful) {
        return None;
    }
    let own = claims.iter().filter(|claim| claim.spec.zone == zone.domain.as_str());
    let own: Vec<_> = own.collect();
    let mark = |claim: &&DnsClaim| mark_name(&Fqdn::parse(&claim.spec.key).ok()?, &zone.domain, false).ok();
    let names = own.iter().filter_map(mark);
    let names: BTreeSet<_> = names.take(ASKED).collect();
    let marks = served(zone, &names).await.ok()?;
    named(&own, current, &zone.domain).or_else(|| named(&own, &marks, &zone.domain))
}

/// The cluster that the mark of one of these claims names.
fn named(claims: &[&DnsClaim], marks: &Sets, domain: &Fqdn) -> Option<String> {
    marks.iter().find_map(|(name, sets)| {
        let owner = Mark::of(sets.get(&RecordType::Txt)?)?.owner;
        let marked = marked_name(name, domain)?;
        let is_of = |claim: &&DnsClaim| {
            claim.spec.holder.namespace == owner.namespace
                && claim.spec.claimed_at.0 == owner.since
                && Fqdn::parse(&claim.spec.key).is_ok_and(|key| marked.is_within(&key))
        };
        claims.iter().any(is_of).then_some(owner.cluster)
    })
}

/// Gives the owner its cluster's name: that of the mark that is its own, or that of the cluster, or else that of the mark
/// that was given to it with the name. What an own mark says of an ALIAS is taken as done: servers answer addresses instead.
///
/// # Errors
/// When the name is marked for this namespace, and it cannot be told whether by this cluster.
pub fn know(want: &mut Want, current: &mut Sets, domain: &Fqdn, cluster: Option<&str>) -> Result<(), String> {
    let marks = want.marks(current, domain).unwrap_or_default();
    let own = marks.iter().find(|mark| mark.is_of(&want.owner));
    let given = || {
        marks
            .first()
            .filter(|_| want.adopted)
            .map(|mark| mark.owner.cluster.as_str())
    };
    let named = own.map(|mark| mark.owner.cluster.as_str()).or(cluster).or_else(given);
    if let Some(cluster) = named {
        cluster.clone_into(&mut want.owner.cluster);
    } else if let Some(Mark { owner, .. }) = marks
        .iter()
        .find(|mark| mark.owner.namespace == want.owner.namespace && mark.owner.is_before(&want.owner))
    {
        return Err(format!(
            "whether the mark in the zone is of this cluster: it names this namespace of the cluster {} since {:.0}, and no claim that is seen tells the name of this one",
            owner.cluster, owner.since
        ));
    }
    let is_ours = |mark: &&Mark| mark.is_of(&want.owner) || want.adopted && mark.owner.cluster == want.owner.cluster;
    if marks
        .iter()
        .find(is_ours)
        .is_some_and(|mark| mark.types.contains(&RecordType::Alias))
    {
        let here = current.entry(want.name.clone()).or_default();
        here.retain(|type_, _| !matches!(type_, RecordType::A | RecordType::Aaaa));
        let alias = want.sets.get(&RecordType::Alias).cloned();
        here.extend(alias.map(|alias| (RecordType::Alias, alias)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use tremplin_core::dns::ownership::Owner;
    use tremplin_core::dns::plan::by_name;

    use super::*;

    fn name(text: &str) -> Fqdn {
        Fqdn::parse(text).unwrap()
    }

    fn owner(cluster: &str, since: i64) -> Owner {
        Owner {
            cluster: cluster.into(),
            namespace: "blue".into(),
            since: Timestamp::from_second(since).unwrap(),
        }
    }

    fn mark(of: &str, owner: Owner) -> Sets {
        let types = [RecordType::A].into();
        by_name([Mark { owner, types }.set(name(of))])
    }

    fn claim(key: &str, since: i64) -> DnsClaim {
        let since = Timestamp::from_second(since).unwrap();
        let object = serde_json::json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsClaim", "metadata": {"name": key}, "spec": {
            "key": key, "zone": "z.org", "holder": {"namespace": "blue"}, "claimedAt": since.to_string()}});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_mark_of_a_claim_that_is_seen_tells_the_name_of_the_cluster() {
        let told = |key: &str, since| {
            let marks = mark("_tremplin.www.a.z.org", owner("real", 5));
            named(&[&claim(key, since)], &marks, &name("z.org"))
        };
        assert_eq!(told("a.z.org", 5).as_deref(), Some("real"));
        assert_eq!((told("a.z.org", 6), told("b.z.org", 5)), (None, None));
    }

    #[test]
    fn data_of_a_namespace_whose_claim_was_made_anew_are_its_own() {
        let knew = |cluster: Option<&str>, since| {
            let mut want = Want {
                name: name("a.z.org"),
                owner: owner("this", 100),
                sets: BTreeMap::new(),
                withdraw: BTreeSet::new(),
                adopted: false,
                above: Vec::new(),
            };
            let mut marks = mark("_tremplin.a.z.org", owner("real", since));
            know(&mut want, &mut marks, &name("z.org"), cluster).map(|()| want.owner.cluster)
        };
        assert_eq!(knew(Some("real"), 5).unwrap(), "real");
        assert_eq!(knew(Some("other"), 5).unwrap(), "other", "as the operator compares it");
        assert_eq!(knew(None, 100).unwrap(), "real", "the same claim");
        assert!(knew(None, 5).unwrap_err().contains("of the cluster real since"));
        assert_eq!(
            knew(None, 200).unwrap(),
            "this",
            "the older claim takes it, whosever it is"
        );
    }
}
