//! How records stand to each other: which is older, where one leads the other, and what one no longer says.

use jiff::Timestamp;

use super::judge::programmed;
use super::name::Fqdn;
use super::rrset::{RecordType, RrSet};
use super::wanted::without_zone;
use crate::api::dns::{DnsRecord, ProgrammedSet, Withdrawal};

/// What orders records by age, older ones first.
pub type Age = (Option<Timestamp>, bool, String);

/// The age of a record. Times are of whole seconds: of one second, what is written comes before what is not.
pub fn age(record: &DnsRecord) -> Age {
    let created = record.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let is_written = written(record).iter().any(|set| !set.hash.is_empty());
    (created, !is_written, record.metadata.uid.clone().unwrap_or_default())
}

/// What of a record is in the zone, or may be, as its status says.
pub fn written(record: &DnsRecord) -> &[ProgrammedSet] {
    record
        .status
        .as_ref()
        .map(|status| status.programmed.as_slice())
        .unwrap_or_default()
}

/// Whether a record has a set in the zone just as it asks for it.
pub fn has_written(record: &DnsRecord, set: &RrSet) -> bool {
    programmed(std::slice::from_ref(set))
        .iter()
        .all(|asked| written(record).contains(asked))
}

/// Where a record leads a name by the CNAME that it has in the zone.
pub fn leads(record: &DnsRecord, name: &Fqdn) -> Option<Fqdn> {
    let cname = RecordType::Cname;
    let is_it = |set: &ProgrammedSet| set.name == name.as_str() && set.type_ == cname.as_str();
    if !written(record).iter().any(is_it) {
        return None;
    }
    let sets = without_zone(&record.spec, name, None).ok()?;
    let set = sets.into_iter().find(|set| set.name == *name && set.type_ == cname)?;
    Fqdn::parse(set.values.first()?).ok()
}

/// What was written and is not asked for any more.
pub fn dropped(written: &[ProgrammedSet], asked: &[ProgrammedSet]) -> Vec<Withdrawal> {
    let is_asked = |old: &ProgrammedSet| {
        asked
            .iter()
            .any(|new| (&new.name, &new.type_) == (&old.name, &old.type_))
    };
    let dropped = written.iter().filter(|old| !is_asked(old));
    dropped
        .map(|old| Withdrawal {
            name: old.name.clone(),
            type_: old.type_.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::name;

    fn record(written: &str) -> DnsRecord {
        let object = serde_json::json!({
            "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsRecord",
            "metadata": {"name": "a", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"name": "a.z.org", "targets": ["b.z.org"]},
            "status": {"programmed": [{"name": "a.z.org", "type": written, "hash": "1"}]},
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn of_one_second_what_is_written_is_the_older() {
        let mut younger = record("CNAME");
        younger.metadata.uid = Some("0".into());
        younger.status = None;
        assert!(age(&record("CNAME")) < age(&younger));
    }

    #[test]
    fn an_alias_leads_once_it_may_be_in_the_zone() {
        assert_eq!(leads(&record("CNAME"), &name("a.z.org")), Some(name("b.z.org")));
        assert_eq!(leads(&record("CNAME"), &name("b.z.org")), None);
        assert_eq!(leads(&record("A"), &name("a.z.org")), None);
    }

    #[test]
    fn a_set_is_written_once_the_status_has_its_data_too() {
        let set = |value: &str| RrSet {
            name: name("a.z.org"),
            type_: RecordType::Txt,
            ttl: 300,
            values: [value.to_owned()].into(),
        };
        let mut other = record("A");
        assert!(!has_written(&other, &set("x")), "waits");
        let about_to_be = ProgrammedSet {
            hash: String::new(),
            ..programmed(&[set("x")]).remove(0)
        };
        for (status, is_written) in [(about_to_be, false), (programmed(&[set("x")]).remove(0), true)] {
            other.status.as_mut().unwrap().programmed = vec![status];
            assert_eq!(has_written(&other, &set("x")), is_written);
            assert!(!has_written(&other, &set("y")), "changes");
        }
    }

    #[test]
    fn what_is_not_asked_for_any_more_is_dropped_by_name_and_type() {
        let before = record("A").status.unwrap().programmed;
        let now = record("CNAME").status.unwrap().programmed;
        let types = |dropped: Vec<Withdrawal>| dropped.into_iter().map(|old| old.type_).collect::<Vec<_>>();
        assert_eq!(types(dropped(&before, &now)), ["A"]);
        assert_eq!(types(dropped(&before, &before)), Vec::<String>::new());
    }
}
