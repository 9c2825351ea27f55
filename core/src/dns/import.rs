//! An existing zone as DnsRecords, for a platform team that brings it under our care: what its teams would write, what
//! must be given to them, and what is left where it is, each with why.

mod admitted;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;

use super::name::Fqdn;
use super::ownership;
use super::rrset::{RecordType, RrSet};
use super::wanted::without_zone;
use crate::api::conform::{self, Breach};
use crate::api::dns::{Adoption, Delegation, DnsRecord, DnsRecordSpec, LabelSelector, RecordTypeChoice};
use crate::names::{LABEL, hash_suffix};

pub use admitted::changes;

/// Stands for the namespace that a name is to be given to. No namespace is called so: until it is replaced, nobody gets
/// the name.
pub const NAMESPACE: &str = "NAMESPACE";
/// The label that every namespace has, with its own name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// What an existing zone becomes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Import {
    /// The records, those of one claim together.
    pub records: Vec<DnsRecord>,
    /// For `spec.adoptions` of the DnsZone: one for each name, to be completed with its namespace.
    pub adoptions: Vec<Adoption>,
    /// What is left as it is, and why.
    pub left_out: Vec<(RrSet, String)>,
}

/// Reads the record sets of a zone. `depth`: `claims.depth` of the DnsZone.
pub fn import(sets: &[RrSet], zone: &Fqdn, depth: usize) -> Import {
    let mut import = Import::default();
    let mut names: BTreeMap<Fqdn, Vec<&RrSet>> = BTreeMap::new();
    let known = Known::of(sets, zone);
    for set in sets {
        match known.why_not(set, zone) {
            Some(why) => import.left_out.push((set.clone(), why)),
            None => names.entry(set.name.clone()).or_default().push(set),
        }
    }
    let mut taken = BTreeSet::new();
    let schema = conform::schema("DnsRecord");
    let mut by_claim: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (name, sets) in names {
        let claim = name.cut(zone, depth).unwrap_or_else(|| name.clone());
        by_claim.entry(claim).or_default().push((name, sets));
    }
    for (name, sets) in by_claim.into_values().flatten() {
        let before = import.records.len();
        for (spec, sets) in specs(&name, &sets) {
            let object = object_name(&name, zone, &sets, &mut taken);
            let record = DnsRecord::new(&object, spec);
            let taken = same(&record.spec, &name, zone, &sets).and_then(|()| conforms(&record, schema.as_ref()));
            match taken {
                Ok(()) => import.records.push(record),
                Err(why) => import
                    .left_out
                    .extend(sets.into_iter().map(|set| (set.clone(), why.clone()))),
            }
        }
        if import.records.len() > before {
            import.adoptions.push(Adoption {
                name: name.as_str().to_owned(),
                namespace_selector: LabelSelector {
                    match_labels: [(NAME_LABEL.to_owned(), NAMESPACE.to_owned())].into(),
                    ..LabelSelector::default()
                },
            });
        }
    }
    import.left_out.sort();
    import
}

/// What is to be known of a zone before one of its sets can be judged.
struct Known {
    /// The types at each name.
    types: BTreeMap<Fqdn, BTreeSet<RecordType>>,
    /// Names that are delegated.
    cuts: BTreeSet<Fqdn>,
    /// Names that external-dns has in its registry.
    registered: BTreeSet<Fqdn>,
    /// Names and types that Tremplin marked.
    marked: BTreeSet<(Fqdn, RecordType)>,
}

impl Known {
    fn of(sets: &[RrSet], zone: &Fqdn) -> Self {
        let texts = || sets.iter().filter(|set| set.type_ == RecordType::Txt);
        let delegations = sets
            .iter()
            .filter(|set| set.type_ == RecordType::Ns && set.name != *zone);
        let marks =
            texts().filter_map(|set| Some((ownership::marked_name(&set.name, zone)?, ownership::Mark::of(set)?)));
        let mut types: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for set in sets {
            types.entry(set.name.clone()).or_default().insert(set.type_.clone());
        }
        Self {
            types,
            cuts: delegations.map(|set| set.name.clone()).collect(),
            registered: texts()
                .filter(|set| is_registry(set))
                .filter_map(|set| registered(&set.name, sets, zone))
                .collect(),
            marked: marks
                .flat_map(|(name, mark)| mark.types.into_iter().map(move |type_| (name.clone(), type_)))
                .collect(),
        }
    }

    /// Why a set is left out, if it is.
    fn why_not(&self, set: &RrSet, zone: &Fqdn) -> Option<String> {
        if !set.name.is_within(zone) {
            return Some(format!("it is not in the zone {zone}"));
        }
        if let Some(cut) = self.cuts.iter().find(|cut| set.name.is_below(cut)) {
            return Some(format!("{cut} is delegated: what is below belongs to the child zone"));
        }
        if ownership::is_kept(&set.name) || self.marked.contains(&(set.name.clone(), set.type_.clone())) {
            return Some("Tremplin wrote it: it has its DnsRecord".into());
        }
        if is_registry(set) {
            return Some("it is the registry of external-dns".into());
        }
        if set.type_ != RecordType::Txt && self.registered.contains(&set.name) {
            return Some("external-dns wrote it: remove it there first".into());
        }
        match &set.type_ {
            RecordType::Soa => Some("the provider keeps the SOA".into()),
            RecordType::Ns if set.name == *zone => {
                Some("the zone's own name servers are not changed by records".into())
            }
            RecordType::Ds if !self.cuts.contains(&set.name) => Some("it has no NS records beside it".into()),
            RecordType::Ds if self.marked.contains(&(set.name.clone(), RecordType::Ns)) => {
                Some("the delegation has its DnsRecord, which does not ask for it".into())
            }
            RecordType::Other(type_) if is_dnssec(type_) => Some("it is made by whoever signs the zone".into()),
            RecordType::Other(type_) => Some(format!("Tremplin has no records of type {type_}")),
            _ => self.in_the_way(set),
        }
    }

    /// Why a set cannot stand where it is. Of what cannot stand together, whoever gets one takes the other away.
    fn in_the_way(&self, set: &RrSet) -> Option<String> {
        if self.cuts.contains(&set.name) {
            let is_of_it = matches!(set.type_, RecordType::Ns | RecordType::Ds);
            return (!is_of_it).then(|| "the delegation hides it, and removes it when it is taken over".into());
        }
        // The NS here are the zone's own. Signatures stand beside everything.
        let is_beside = |other: &RecordType| {
            *other == RecordType::Ns
                || set.type_.may_stand_beside(other)
                || matches!(other, RecordType::Other(type_) if is_dnssec(type_))
        };
        let mut others = self.types.get(&set.name)?.iter();
        let other = others.find(|other| !is_beside(other))?;
        Some(format!("{other} cannot stand beside it: remove one of the two first"))
    }
}

/// The name that an entry of external-dns is about: its own, or that without the type before it (`a-`, `cname-`), or
/// without its first label (`txt.`), whichever has data. Of other prefixes nobody can tell. (docs/registry/txt.md of that
/// project)
fn registered(entry: &Fqdn, sets: &[RrSet], zone: &Fqdn) -> Option<Fqdn> {
    let untyped = entry.as_str().split_once('-').and_then(|(type_, rest)| {
        let known = ["a", "aaaa", "cname", "ns", "mx", "srv"].contains(&type_);
        known.then(|| Fqdn::parse(rest).ok()).flatten()
    });
    let above = entry.parent().filter(|parent| parent.is_below(zone));
    [Some(entry.clone()), untyped, above]
        .into_iter()
        .flatten()
        .find(|name| sets.iter().any(|set| set.name == *name && set.type_ != RecordType::Txt))
}

fn is_registry(set: &RrSet) -> bool {
    set.type_ == RecordType::Txt
        && set
            .values
            .iter()
            .any(|text| ownership::external_dns_owner(text).is_some())
}

fn is_dnssec(type_: &str) -> bool {
    ["DNSKEY", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "CDS", "CDNSKEY"].contains(&type_)
}

/// The records of one name, each with the sets that it stands for.
fn specs<'a>(name: &Fqdn, sets: &[&'a RrSet]) -> Vec<(DnsRecordSpec, Vec<&'a RrSet>)> {
    let of = |type_: RecordType| sets.iter().copied().find(|set| set.type_ == type_);
    let base = |set: &RrSet| DnsRecordSpec {
        name: name.as_str().to_owned(),
        ttl_seconds: i32::try_from(set.ttl).ok().filter(|ttl| *ttl > 0),
        ..DnsRecordSpec::default()
    };
    let list = |set: &RrSet| set.values.iter().cloned().collect::<Vec<_>>();
    let mut specs = Vec::new();
    let (v4, v6) = (of(RecordType::A), of(RecordType::Aaaa));
    match (v4, v6) {
        (Some(v4), Some(v6)) if v4.ttl == v6.ttl => {
            let targets = [list(v4), list(v6)].concat();
            specs.push((DnsRecordSpec { targets, ..base(v4) }, vec![v4, v6]));
        }
        _ => {
            for set in [v4, v6].into_iter().flatten() {
                let targets = list(set);
                specs.push((DnsRecordSpec { targets, ..base(set) }, vec![set]));
            }
        }
    }
    if let Some(servers) = of(RecordType::Ns) {
        let signers = of(RecordType::Ds);
        let delegation = Delegation {
            nameservers: list(servers),
            ds: signers.map(list).unwrap_or_default(),
        };
        let spec = DnsRecordSpec {
            delegation: Some(delegation),
            ..base(servers)
        };
        specs.push((spec, [Some(servers), signers].into_iter().flatten().collect()));
    }
    for set in sets {
        let choice = match set.type_ {
            RecordType::Cname => None,
            RecordType::Alias => Some(RecordTypeChoice::ALIAS),
            RecordType::Txt => Some(RecordTypeChoice::TXT),
            RecordType::Mx => Some(RecordTypeChoice::MX),
            RecordType::Caa => Some(RecordTypeChoice::CAA),
            RecordType::Srv => Some(RecordTypeChoice::SRV),
            _ => continue,
        };
        let mut spec = DnsRecordSpec {
            type_: choice,
            ..base(set)
        };
        if matches!(set.type_, RecordType::Cname | RecordType::Alias) {
            spec.targets = list(set);
        } else {
            spec.values = list(set);
        }
        specs.push((spec, vec![*set]));
    }
    specs
}

/// Whether the record asks for exactly what is there: otherwise taking it over would change it.
fn same(spec: &DnsRecordSpec, name: &Fqdn, zone: &Fqdn, sets: &[&RrSet]) -> Result<(), String> {
    let asked = without_zone(spec, name, Some(zone)).map_err(|fault| fault.to_string())?;
    let data = |set: &RrSet| (set.type_.clone(), set.values.clone());
    let asked: BTreeSet<_> = asked.iter().map(data).collect();
    let there: BTreeSet<_> = sets.iter().map(|set| data(set)).collect();
    if asked == there {
        Ok(())
    } else {
        Err("a DnsRecord cannot ask for exactly this".into())
    }
}

/// Whether the API server takes the record.
fn conforms(record: &DnsRecord, schema: Option<&JSONSchemaProps>) -> Result<(), String> {
    let manifest = serde_json::to_value(record).map_err(|error| error.to_string())?;
    match conform::breaches_of(schema, &manifest).first() {
        None => Ok(()),
        Some(Breach { path, message }) => Err(format!("a DnsRecord cannot hold it: {path} {message}")),
    }
}

/// A name for the object: that of the record without its zone, and its type where it is not told by the targets.
fn object_name(name: &Fqdn, zone: &Fqdn, sets: &[&RrSet], taken: &mut BTreeSet<String>) -> String {
    let relative = name.relative_to(zone).unwrap_or_default();
    let relative = if relative.is_empty() { "apex" } else { relative };
    let mut words: Vec<_> = relative
        .split(['.', '_'])
        .map(|word| {
            if word == "*" {
                "wildcard"
            } else {
                word.trim_matches('-')
            }
        })
        .filter(|word| !word.is_empty())
        .collect();
    let type_ = sets
        .first()
        .map(|set| set.type_.as_str().to_ascii_lowercase())
        .unwrap_or_default();
    if words.is_empty() || !matches!(type_.as_str(), "a" | "cname") {
        words.push(&type_);
    }
    let plain = words.join("-");
    let object = if plain.len() <= LABEL && !taken.contains(&plain) {
        plain
    } else {
        let suffix = hash_suffix(&[name.as_str(), &type_]);
        let head: String = plain.chars().take(LABEL - suffix.len() - 1).collect();
        format!("{}-{suffix}", head.trim_end_matches('-'))
    };
    taken.insert(object.clone());
    object
}

#[cfg(test)]
mod tests;
