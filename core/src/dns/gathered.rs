//! What the records of one claim say together at one name: what is to be there, what is to be taken away, and what is
//! left as it is, since a record that has data in it cannot be judged now.

use std::collections::{BTreeMap, BTreeSet};

use super::judge::{Judgement, join, programmed};
use super::name::Fqdn;
use super::reasons::Reason;
use super::rrset::{RecordType, RrSet};
use crate::api::dns::{ProgrammedSet, Withdrawal};
use crate::fault::{Class, Fault};

/// A record of the claim's holder that is not about to go.
#[derive(Clone, Debug)]
pub struct Said {
    /// The DnsRecord's name.
    pub record: String,
    /// What of it is in the zone, or may be: `status.programmed`.
    pub written: Vec<ProgrammedSet>,
    /// What it comes to now.
    pub judgement: Judgement,
}

/// What is said at one name, by type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    /// What is to be there.
    pub sets: BTreeMap<RecordType, RrSet>,
    /// What is to be taken away.
    pub withdraw: BTreeSet<RecordType>,
    /// What is neither written nor taken away, and why.
    pub kept: BTreeMap<RecordType, Fault<Reason>>,
}

/// Gathers what is said at a name, by older records first.
pub fn gather(name: &Fqdn, said: &[Said], withdrawals: &[Withdrawal]) -> Gathered {
    let staying = said.iter().filter(|said| said.stays());
    let sets = join(name, staying.flat_map(|said| &said.judgement.sets));
    let withdraw: BTreeSet<_> = withdrawals
        .iter()
        .filter(|withdrawal| withdrawal.name == name.as_str())
        .map(|withdrawal| RecordType::of(&withdrawal.type_))
        .filter(|type_| !sets.contains_key(type_))
        .collect();
    let mut kept = BTreeMap::new();
    for held in said.iter().flat_map(|said| said.held(name)) {
        for type_ in sets.keys().chain(&withdraw) {
            if is_in_the_way(&held.type_, type_) {
                kept.entry(type_.clone()).or_insert_with(|| held.fault(name));
            }
        }
    }
    Gathered {
        sets: without(sets, &kept),
        withdraw: withdraw.into_iter().filter(|type_| !kept.contains_key(type_)).collect(),
        kept,
    }
}

/// Whether the zone may hold all that is asked for, as the status of the record says. Nothing is written before: a spec
/// that changes meanwhile would leave behind what nobody knows of.
pub fn is_noted(written: &[ProgrammedSet], sets: &[RrSet]) -> bool {
    programmed(sets).iter().all(|set| {
        written
            .iter()
            .any(|noted| (&noted.name, &noted.type_) == (&set.name, &set.type_))
    })
}

/// Data in the zone of a record that cannot be judged now.
struct Held<'a> {
    record: &'a str,
    type_: RecordType,
    verdict: &'a Result<(), Fault<Reason>>,
}

impl Said {
    /// Whether what it asks for is to be in the zone: it may, or is there and would no longer be admitted.
    fn stays(&self) -> bool {
        match &self.judgement.verdict {
            Ok(()) => is_noted(&self.written, &self.judgement.sets),
            Err(fault) if fault.reason == Reason::NoLongerAllowed => self.written == programmed(&self.judgement.sets),
            Err(_) => false,
        }
    }

    /// What of it is in the zone at a name, where nobody knows what is to become of it.
    fn held<'a>(&'a self, name: &'a Fqdn) -> impl Iterator<Item = Held<'a>> {
        let verdict = &self.judgement.verdict;
        // Of two that say the same the older one counts, and this is the younger.
        let gives_way = matches!(verdict, Err(fault) if fault.reason == Reason::DuplicateRecord);
        let here = self.written.iter().filter(move |set| set.name == name.as_str());
        here.filter(move |_| !gives_way && !self.stays()).map(|set| Held {
            record: &self.record,
            type_: RecordType::of(&set.type_),
            verdict,
        })
    }
}

impl Held<'_> {
    fn fault(&self, name: &Fqdn) -> Fault<Reason> {
        let Self { record, type_, .. } = self;
        let why = match self.verdict {
            Ok(()) => "is about to be judged".to_owned(),
            Err(fault) => format!("is {} now", fault.reason.as_str()),
        };
        let message =
            format!("{name} has {type_} of the DnsRecord {record}, which {why}: it is left as it is until then");
        let class = match self.verdict {
            Err(fault) if fault.class == Class::Stalled => Class::Stalled,
            _ => Class::Waiting,
        };
        Fault {
            class,
            ..Fault::waiting(
                Reason::WaitingForRecord,
                message,
                format!("correct or delete the DnsRecord {record}"),
            )
        }
    }
}

/// Whether another type cannot be changed while one is left as it is. (A delegation decides where the mark stands.)
fn is_in_the_way(held: &RecordType, other: &RecordType) -> bool {
    held == other || *held == RecordType::Ns || !held.may_stand_beside(other)
}

fn without(
    sets: BTreeMap<RecordType, RrSet>,
    kept: &BTreeMap<RecordType, Fault<Reason>>,
) -> BTreeMap<RecordType, RrSet> {
    sets.into_iter()
        .filter(|(type_, _)| !kept.contains_key(type_))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::name;

    fn set(type_: &str, value: &str) -> RrSet {
        RrSet {
            name: name("x.z.org"),
            type_: RecordType::of(type_),
            ttl: 300,
            values: [value.to_owned()].into(),
        }
    }

    /// A record that wrote these, and now asks for the same.
    fn published(record: &str, sets: &[RrSet]) -> Said {
        Said {
            record: record.to_owned(),
            written: programmed(sets),
            judgement: Judgement {
                sets: sets.to_vec(),
                verdict: Ok(()),
            },
        }
    }

    fn refused(said: Said, reason: Reason) -> Said {
        let verdict = Err(Fault::stalled(reason, "refused", ""));
        let judgement = Judgement {
            verdict,
            ..said.judgement
        };
        Said { judgement, ..said }
    }

    fn withdrawal(type_: &str) -> Withdrawal {
        Withdrawal {
            name: "x.z.org".into(),
            type_: type_.into(),
        }
    }

    fn gathered(said: &[Said], withdrawn: &[&str]) -> Gathered {
        let withdrawn: Vec<_> = withdrawn.iter().map(|type_| withdrawal(type_)).collect();
        gather(&name("x.z.org"), said, &withdrawn)
    }

    fn types<'a, T>(by_type: impl IntoIterator<Item = (&'a RecordType, T)>) -> Vec<&'a str> {
        by_type.into_iter().map(|(type_, _)| type_.as_str()).collect()
    }

    #[test]
    fn data_of_a_record_that_is_refused_at_the_moment_is_left_as_it_is() {
        let (spf, text) = (set("TXT", "v=spf1 -all"), set("TXT", "site=1"));
        let mail = published("mail", std::slice::from_ref(&spf));
        let other = published("text", std::slice::from_ref(&text));
        let both = gathered(&[mail.clone(), other.clone()], &[]);
        assert_eq!(both.sets[&RecordType::Txt].values.len(), 2);
        for reason in [
            Reason::InvalidMail,
            Reason::InvalidSpec,
            Reason::AppHasNoAddress,
            Reason::WaitingForApproval,
            Reason::ApiUnavailable,
        ] {
            let said = [refused(mail.clone(), reason), other.clone()];
            let now = gathered(&said, &[]);
            assert_eq!(
                (types(&now.sets), types(&now.kept)),
                (vec![], vec!["TXT"]),
                "{reason:?}"
            );
            let told = now.kept[&RecordType::Txt].to_string();
            assert!(
                told.contains("DnsRecord mail") && told.contains(reason.as_str()),
                "{told}"
            );
            // Nor is it taken away when the one beside it goes.
            let now = gathered(&said[..1], &["TXT"]);
            assert_eq!((now.withdraw.len(), types(&now.kept)), (0, vec!["TXT"]), "{reason:?}");
        }
    }

    #[test]
    fn what_would_no_longer_be_admitted_stays_as_it_was_and_is_not_changed() {
        let (old, new) = (
            published("old", &[set("TXT", "a")]),
            published("new", &[set("TXT", "b")]),
        );
        let old = refused(old, Reason::NoLongerAllowed);
        let now = gathered(&[old.clone(), new.clone()], &[]);
        assert_eq!(now.sets[&RecordType::Txt].values.len(), 2);
        let mut edited = old;
        edited.judgement.sets = vec![set("TXT", "c")];
        assert_eq!(types(&gathered(&[edited, new], &[]).kept), ["TXT"]);
    }

    #[test]
    fn other_types_are_written_unless_they_cannot_stand_beside() {
        let address = refused(published("app", &[set("A", "192.0.2.1")]), Reason::AppHasNoAddress);
        let beside = gathered(&[address.clone(), published("mx", &[set("MX", "0 .")])], &["AAAA"]);
        assert_eq!((types(&beside.sets), types(&beside.kept)), (vec!["MX"], vec![]));
        assert_eq!(beside.withdraw, [RecordType::Aaaa].into());
        let alias = published("alias", &[set("CNAME", "h.example.net")]);
        assert_eq!(types(&gathered(&[address, alias], &[]).kept), ["CNAME"]);
        let cut = refused(published("cut", &[set("NS", "ns.example.net")]), Reason::InvalidSpec);
        assert_eq!(
            types(&gathered(&[cut, published("mx", &[set("MX", "0 .")])], &[]).kept),
            ["MX"]
        );
    }

    #[test]
    fn a_duplicate_gives_way_to_the_record_that_it_duplicates() {
        let older = published("older", &[set("A", "192.0.2.1")]);
        let younger = refused(published("younger", &[set("A", "192.0.2.2")]), Reason::DuplicateRecord);
        let now = gathered(&[older.clone(), younger], &[]);
        assert_eq!(
            (now.sets[&RecordType::A].clone(), now.kept.len()),
            (older.judgement.sets[0].clone(), 0)
        );
    }

    #[test]
    fn what_the_status_does_not_name_yet_is_not_written_and_what_it_names_is_not_lost() {
        let mut growing = published("mail", &[set("TXT", "a")]);
        growing.judgement.sets.push(set("MX", "0 ."));
        let now = gathered(&[growing, published("text", &[set("TXT", "b")])], &[]);
        assert_eq!((types(&now.sets), types(&now.kept)), (vec![], vec!["TXT"]));
        assert_eq!(now.kept[&RecordType::Txt].class, Class::Waiting);
    }
}
