//! What a DnsZone would refuse or change of what was imported, once its names are given to a namespace.

use std::collections::BTreeMap;

use super::{Import, NAME_LABEL, NAMESPACE};
use crate::api::dns::{DnsRecord, DnsZone};
use crate::dns::admission::{Applicant, admit};
use crate::dns::claim::Key;
use crate::dns::judge;
use crate::dns::profile::Profile;
use crate::dns::reasons::Reason;
use crate::dns::wanted::wanted;
use crate::dns::zone::Zone;
use crate::fault::Fault;

/// Each DnsRecord that the zone refuses or changes, and why or how.
///
/// # Errors
/// When the zone cannot be used.
pub fn changes(import: &Import, zone: &DnsZone, profile: &Profile) -> Result<Vec<(String, String)>, Fault<Reason>> {
    let mut given = zone.clone();
    given.spec.adoptions.clone_from(&import.adoptions);
    let zone = Zone::parse(&given)?;
    let labels = BTreeMap::from([(NAME_LABEL.to_owned(), NAMESPACE.to_owned())]);
    let mut under_claim: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for record in &import.records {
        let told = match look(record, &zone, profile, &labels, &mut under_claim) {
            Ok(change) => change,
            Err(fault) => Some(format!("the DnsZone refuses it ({}): {fault}", fault.reason.as_str())),
        };
        let object = record.metadata.name.clone().unwrap_or_default();
        found.extend(told.map(|told| (object, told)));
    }
    Ok(found)
}

fn look(
    record: &DnsRecord,
    zone: &Zone,
    profile: &Profile,
    labels: &BTreeMap<String, String>,
    under_claim: &mut BTreeMap<String, usize>,
) -> Result<Option<String>, Fault<Reason>> {
    let name = judge::name(record)?;
    let sets = wanted(&record.spec, &name, zone, profile, None)?;
    let under = under_claim.entry(Key::of(&name, zone).object_name()).or_default();
    let who = Applicant {
        namespace: NAMESPACE,
        labels,
        environment: None,
        claims_held: 0,
        holds_claim: true,
        sets_under_claim: *under,
    };
    *under += sets.len();
    admit(&name, &sets, zone, &who, &[])?;
    let there = record.spec.ttl_seconds.unwrap_or_default();
    let kept = sets
        .iter()
        .map(|set| set.ttl)
        .find(|ttl| i64::from(*ttl) != i64::from(there));
    Ok(kept.map(|ttl| format!("its TTL of {there} s becomes {ttl} s when it is taken over")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::import::import;
    use crate::dns::testing::{name, profile};
    use crate::dns::zone_file;

    #[test]
    fn what_the_zone_would_refuse_or_change_is_told() {
        let file = "app 300 A 9.9.9.9\nprivate 300 A 10.0.0.1\nshort 30 A 9.9.9.9\nchild 300 NS ns1.example.net.\nchild 300 NS ns2.example.net.\n";
        let domain = name("z.org");
        let import = import(&zone_file::parse(file, &domain).unwrap(), &domain, 1);
        let told = |admission: serde_json::Value| {
            let object = serde_json::json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "z"}, "spec": {
                "domain": "z.org", "provider": {"type": "Request"}, "admission": admission}});
            let zone = serde_json::from_value(object).unwrap();
            let changes = changes(&import, &zone, &profile()).unwrap();
            let short = |(object, told): (String, String)| format!("{object}: {}", told.split(": ").next().unwrap());
            changes.into_iter().map(short).collect::<Vec<_>>()
        };
        let short = "short: its TTL of 30 s becomes 60 s when it is taken over";
        assert_eq!(
            told(serde_json::json!({})),
            [
                "child-ns: the DnsZone refuses it (TypeNotAllowed)",
                "private: the DnsZone refuses it (TargetNotAllowed)",
                short
            ]
        );
        let open = serde_json::json!({"types": ["A", "NS"], "targets": {"denyPrivate": false}});
        assert_eq!(told(open), [short]);
    }
}
