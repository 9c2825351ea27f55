//! Whether a DnsRecord may be, and what it then says.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::admission::{Applicant, Approval, admit};
use super::claim::{self, Holding, Key};
use super::follow::Followed;
use super::mail;
use super::name::Fqdn;
use super::ownership;
use super::profile::Profile;
use super::reasons::Reason;
use super::rrset::{RecordType, RrSet};
use super::wanted::{self, fits, wanted};
use super::zone::Zone;
use crate::api::dns::{DnsClaim, DnsRecord, DnsRecordSpec, ProgrammedSet};
use crate::api::startup_app::Environment;
use crate::fault::{Class, Fault};
use crate::labels;

/// Where a record is.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Its canonical name.
    pub name: Fqdn,
    /// The claim that covers it.
    pub key: Key,
}

/// What a judgement reads beside the record.
pub struct Observed<'a> {
    /// The zone that it is in.
    pub zone: &'a Zone,
    /// What the zone's provider can do.
    pub profile: &'a Profile,
    /// Its namespace.
    pub namespace: &'a str,
    /// The namespace's labels.
    pub labels: &'a BTreeMap<String, String>,
    /// The namespace's environment, as the platform file maps its labels; none where no rule does.
    pub environment: Option<Environment>,
    /// The claim that covers its name.
    pub claim: Option<&'a DnsClaim>,
    /// Whom the holder of that claim wants to be asked.
    pub contact: Option<&'a str>,
    /// How many other names of the zone the namespace holds.
    pub claims_held: usize,
    /// The older records of the namespace below the same claim, as their own specs ask.
    pub older: &'a [RrSet],
    /// The app that it follows.
    pub app: Option<&'a Followed>,
}

/// What a record comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// What it asks for; empty when that cannot be told.
    pub sets: Vec<RrSet>,
    /// Whether it may.
    pub verdict: Result<(), Fault<Reason>>,
}

impl Judgement {
    /// Whether the record may have its name: nothing is missing, or only the platform team's approval or the app's address.
    pub fn wants_claim(&self) -> bool {
        match &self.verdict {
            Ok(()) => true,
            Err(fault) => matches!(fault.reason, Reason::WaitingForApproval | Reason::AppHasNoAddress),
        }
    }
}

/// The canonical name of a record.
///
/// # Errors
/// `InvalidSpec`, with what is wrong with the name.
pub fn name(record: &DnsRecord) -> Result<Fqdn, Fault<Reason>> {
    let invalid = |message: String| {
        Fault::stalled(
            Reason::InvalidSpec,
            message,
            "write an absolute name, such as mon-app.incubateur.net",
        )
        .at("spec.name")
    };
    let name = Fqdn::parse(&record.spec.name).map_err(|error| invalid(format!("the name {error}")))?;
    if ownership::is_kept(&name) {
        return Err(invalid(ownership::kept()));
    }
    Ok(name)
}

/// The verdict on a record that no zone covers; of one that is published, that what is published stays.
pub fn without_zone<'a>(record: &DnsRecord, name: &Fqdn, zones: impl IntoIterator<Item = &'a Fqdn>) -> Fault<Reason> {
    no_longer(record, held_before(record), no_zone(name, zones))
}

/// The verdict on a record whose zone cannot be used for that fault; of one that is published, that what is published stays.
pub fn with_invalid_zone(record: &DnsRecord, zone: &str, why: &Fault<Reason>) -> Fault<Reason> {
    let why = Fault {
        fix: String::new(),
        ..why.clone()
    };
    let message = format!("the DnsZone {zone} cannot be used: {why}");
    let fault = Fault::stalled(Reason::InvalidZone, message, "ask the platform team to correct it");
    no_longer(record, held_before(record), fault)
}

/// Whether its namespace held the name when that could be told last.
fn held_before(record: &DnsRecord) -> bool {
    record.status.as_ref().is_some_and(|status| status.claim.is_some())
}

/// The refusal of a name that no zone covers. `zones`: the domains that there are.
pub fn no_zone<'a>(name: &Fqdn, zones: impl IntoIterator<Item = &'a Fqdn>) -> Fault<Reason> {
    let domains: Vec<_> = zones.into_iter().map(Fqdn::as_str).collect();
    let fix = if domains.is_empty() {
        "ask the platform team for a DnsZone: there is none yet".to_owned()
    } else {
        format!("use a name below {}", domains.join(", "))
    };
    Fault::stalled(Reason::NoZone, format!("no DnsZone covers {name}"), fix).at("spec.name")
}

/// Judges a record at its place.
pub fn judge(record: &DnsRecord, place: &Place, observed: &Observed<'_>) -> Judgement {
    let sets = wanted(&record.spec, &place.name, observed.zone, observed.profile, observed.app);
    let (sets, told) = match sets {
        Ok(sets) => (sets, Ok(())),
        Err(fault) => (Vec::new(), Err(fault)),
    };
    let claim = observed.claim.map(|claim| &claim.spec);
    let holding = claim::holding(claim, observed.namespace);
    if let (Holding::Other, Some(claim)) = (&holding, claim) {
        let contact = observed.contact.or(observed.zone.contact.as_deref());
        return Judgement {
            sets,
            verdict: Err(claim::held_by_another(claim, contact)),
        };
    }
    let held = matches!(holding, Holding::Ours | Holding::Leaving);
    let admissible = || {
        place.key.claimable(observed.zone, observed.labels)?;
        duplicate(&sets, observed.older, &record.spec)?;
        hidden(&sets, observed.older)?;
        admitted(place, &sets, observed, held)
    };
    let allowed = match told {
        Ok(()) => admissible(),
        // The app may wait for the name to be claimed, and has an address only then.
        Err(fault) if fault.reason == Reason::AppHasNoAddress => admissible().and(Err(fault)),
        Err(fault) => Err(fault),
    };
    let verdict = allowed.map_err(|fault| no_longer(record, held, fault));
    Judgement { sets, verdict }
}

/// Whether what is said at other names than the record's own, under claims of their own, is nobody else's to say.
/// `claim`: that of a key, whoever's.
///
/// # Errors
/// `NameHeld`.
pub fn elsewhere(
    sets: &[RrSet],
    place: &Place,
    zone: &Zone,
    namespace: &str,
    claim: impl Fn(&Key) -> Option<DnsClaim>,
) -> Result<(), Fault<Reason>> {
    let keys = sets.iter().map(|set| Key::of(&set.name, zone));
    let held = keys
        .filter(|key| *key != place.key)
        .filter_map(|key| claim(&key))
        .find(|claim| claim::holding(Some(&claim.spec), namespace) == Holding::Other);
    match held {
        Some(claim) => Err(claim::held_by_another(&claim.spec, zone.contact.as_deref())),
        None => Ok(()),
    }
}

fn admitted(place: &Place, sets: &[RrSet], observed: &Observed<'_>, held: bool) -> Result<(), Fault<Reason>> {
    let who = Applicant {
        namespace: observed.namespace,
        labels: observed.labels,
        environment: observed.environment,
        claims_held: observed.claims_held,
        holds_claim: held,
        sets_under_claim: observed.older.len(),
    };
    let approvals = observed
        .claim
        .and_then(|claim| claim.metadata.annotations.as_ref()?.get(labels::APPROVED))
        .map(|text| Approval::parse(text))
        .unwrap_or_default();
    admit(&place.name, sets, observed.zone, &who, &approvals)
}

/// What is published stays published: only the reason changes.
fn no_longer(record: &DnsRecord, held: bool, fault: Fault<Reason>) -> Fault<Reason> {
    let is_published = record
        .status
        .as_ref()
        .is_some_and(|status| status.programmed.iter().any(|set| !set.hash.is_empty()));
    let is_rule = matches!(
        fault.reason,
        Reason::NamespaceNotAdmitted
            | Reason::EnvironmentNotAdmitted
            | Reason::NameNotAllowed
            | Reason::NameReserved
            | Reason::TypeNotAllowed
            | Reason::TargetNotAllowed
            | Reason::TooManyClaims
            | Reason::TooManyRecords
            | Reason::NotClaimable
            | Reason::ProtectedName
            | Reason::NoZone
            | Reason::InvalidZone
    );
    if !(is_published && held && is_rule) {
        return fault;
    }
    Fault {
        message: format!(
            "what is published stays as it is, and would no longer be admitted: {}",
            fault.message
        ),
        class: Class::Stalled,
        reason: Reason::NoLongerAllowed,
        ..fault
    }
}

/// Texts of several records at one name are joined, but for the policies of mail; anything else has one record to say it.
fn duplicate(sets: &[RrSet], older: &[RrSet], spec: &DnsRecordSpec) -> Result<(), Fault<Reason>> {
    for set in sets {
        let others = older.iter().filter(|other| other.name == set.name);
        let clash = others.into_iter().find(|other| {
            let same = other.type_ == set.type_ && set.type_ != RecordType::Txt;
            same || !set.type_.may_stand_beside(&other.type_)
        });
        if let Some(other) = clash {
            let message = format!(
                "an older DnsRecord of this namespace says {} at {}, beside which {} cannot stand",
                other.type_, other.name, set.type_
            );
            let fix = "remove one of the two, or say both in one DnsRecord";
            return Err(Fault::stalled(Reason::DuplicateRecord, message, fix).at("spec.name"));
        }
        let joined = join(&set.name, older.iter().chain([set]));
        joined.get(&set.type_).map_or(Ok(()), |joined| fits(joined, spec))?;
        let said = older
            .iter()
            .filter(|other| (&other.name, &other.type_) == (&set.name, &set.type_));
        let said: BTreeSet<_> = said.flat_map(|other| &other.values).collect();
        let policies: BTreeSet<_> = said.iter().filter_map(|text| mail::policy(text)).collect();
        let second = set.values.iter().filter(|text| !said.contains(text));
        if let Some(policy) = second
            .filter_map(|text| mail::policy(text))
            .find(|policy| policies.contains(policy))
        {
            let message = format!(
                "an older DnsRecord of this namespace has the {policy} record of {}: receivers take none of several",
                set.name
            );
            let field = match &spec.mail {
                Some(_) => format!("spec.mail.{}", policy.to_ascii_lowercase()),
                None => wanted::field(spec).to_owned(),
            };
            let fix = "make one of the two";
            return Err(Fault::stalled(Reason::DuplicateRecord, message, fix).at(field));
        }
    }
    Ok(())
}

/// What is below a delegated name is the child zone's: data of the parent there is answered by nobody.
fn hidden(sets: &[RrSet], older: &[RrSet]) -> Result<(), Fault<Reason>> {
    let hides = |cut: &RrSet, other: &RrSet| cut.type_ == RecordType::Ns && other.name.is_below(&cut.name);
    for (set, other) in sets.iter().flat_map(|set| older.iter().map(move |other| (set, other))) {
        let (message, fix) = if hides(other, set) {
            let message = format!(
                "an older DnsRecord of this namespace delegates {}, and {} is below it",
                other.name, set.name
            );
            (message, "put it in the child zone")
        } else if hides(set, other) {
            let message = format!(
                "an older DnsRecord of this namespace says {} at {}, which a delegation of {} would hide",
                other.type_, other.name, set.name
            );
            (message, "put it in the child zone, and remove that DnsRecord first")
        } else {
            continue;
        };
        return Err(Fault::stalled(Reason::DuplicateRecord, message, fix).at("spec.name"));
    }
    Ok(())
}

/// What records of one namespace ask for at one name, joined: by type, older ones first.
pub fn join<'a>(name: &Fqdn, sets: impl IntoIterator<Item = &'a RrSet>) -> BTreeMap<RecordType, RrSet> {
    let mut joined: BTreeMap<RecordType, RrSet> = BTreeMap::new();
    for set in sets.into_iter().filter(|set| set.name == *name) {
        match joined.get_mut(&set.type_) {
            Some(known) if set.type_ == RecordType::Txt => {
                known.values.extend(set.values.iter().cloned());
                known.ttl = known.ttl.min(set.ttl);
            }
            Some(_) => {}
            None => drop(joined.insert(set.type_.clone(), set.clone())),
        }
    }
    joined
}

/// The record sets in the form of a status.
pub fn programmed(sets: &[RrSet]) -> Vec<ProgrammedSet> {
    let one = |set: &RrSet| ProgrammedSet {
        name: set.name.as_str().to_owned(),
        type_: set.type_.as_str().to_owned(),
        hash: hash(set),
    };
    sets.iter().map(one).collect::<BTreeSet<_>>().into_iter().collect()
}

/// A hash of TTL and data, in 16 hexadecimal digits.
pub fn hash(set: &RrSet) -> String {
    let mut hasher = Sha256::new();
    hasher.update(set.ttl.to_be_bytes());
    for value in &set.values {
        hasher.update((value.len() as u64).to_be_bytes());
        hasher.update(value.as_bytes());
    }
    hasher.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
