//! A zone as the platform team opened it, parsed and checked: after this nothing of it is a loose string.

use std::collections::BTreeSet;

use regex::Regex;

use super::cidr::Cidr;
use super::name::Fqdn;
use super::reasons::Reason;
use super::rrset::RecordType;
use crate::api::dns::{self, DnsZone, DriftPolicy, LabelSelector, ProviderType, RecordTypeChoice, ZoneMode};
use crate::api::startup_app::Environment;
use crate::fault::Fault;

/// A zone that can be used.
#[derive(Clone, Debug)]
pub struct Zone {
    /// The DnsZone's name.
    pub name: String,
    /// Its domain.
    pub domain: Fqdn,
    /// Who serves it.
    pub provider: ProviderType,
    /// Whether it may be written: `mode: Enforce`, and not paused.
    pub written: bool,
    /// Whom to ask.
    pub contact: Option<String>,
    /// Who may have what.
    pub admission: Admission,
    /// How many labels below the zone a claim has.
    pub depth: usize,
    /// For how long a name is kept from others after its last use, in seconds.
    pub release_after: i64,
    /// Names that are given away.
    pub adoptions: Vec<Adoption>,
    /// The bounds of TTLs, in seconds.
    pub ttl: Ttl,
    /// What stops the operator.
    pub safety: Safety,
    /// The authoritative servers and their ports; empty: those of the zone's NS records.
    pub authorities: Vec<(String, u16)>,
    /// Whether changes of others are put right.
    pub repairs: bool,
    /// How often the zone is looked at, in seconds.
    pub interval: i64,
}

/// Who may have what.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The namespaces; `None`: nobody's.
    pub namespaces: Option<LabelSelector>,
    /// What the claimed label must match whole, and how it was written.
    pub pattern: Option<(Regex, String)>,
    /// Labels that no team gets.
    pub reserved: BTreeSet<String>,
    /// The namespace's label whose value names begin with.
    pub prefix_from_label: Option<String>,
    /// The environments; empty: all.
    pub environments: Vec<Environment>,
    /// The types.
    pub types: BTreeSet<RecordType>,
    /// The types that need an approval.
    pub approval_for: BTreeSet<RecordType>,
    /// The domains that hosts must be of; empty: any.
    pub allow_suffixes: Vec<Fqdn>,
    /// The ranges that addresses must be of; empty: any.
    pub allow_cidrs: Vec<Cidr>,
    /// Whether addresses beside the public Internet are refused.
    pub deny_private: bool,
    /// How many names a namespace may hold.
    pub max_claims: usize,
    /// How many record sets a claim may have.
    pub max_records: usize,
}

/// A name that is given away.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// The name, exactly.
    pub name: Fqdn,
    /// To the namespaces with these labels.
    pub namespaces: LabelSelector,
}

/// The bounds of TTLs, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Ttl {
    /// Of records that ask for nothing.
    pub default: u32,
    /// The least.
    pub min: u32,
    /// The most.
    pub max: u32,
}

/// What stops the operator.
#[derive(Clone, Debug)]
pub struct Safety {
    /// Deletions within an hour.
    pub max_deletes_per_hour: usize,
    /// Part of what is ours that may change at once, in percent.
    pub max_changed_percent: usize,
    /// Names that are never written: see [`Zone::protects`].
    pub protected: BTreeSet<Fqdn>,
    /// Whether the zone is kept as it was before it is changed.
    pub snapshot: bool,
}

/// Every type that a choice stands for.
pub fn type_of(choice: RecordTypeChoice) -> Option<RecordType> {
    Some(match choice {
        RecordTypeChoice::Auto => return None,
        RecordTypeChoice::A => RecordType::A,
        RecordTypeChoice::AAAA => RecordType::Aaaa,
        RecordTypeChoice::CNAME => RecordType::Cname,
        RecordTypeChoice::ALIAS => RecordType::Alias,
        RecordTypeChoice::TXT => RecordType::Txt,
        RecordTypeChoice::MX => RecordType::Mx,
        RecordTypeChoice::CAA => RecordType::Caa,
        RecordTypeChoice::SRV => RecordType::Srv,
        RecordTypeChoice::NS => RecordType::Ns,
    })
}

/// For how long a name is kept from others where its zone does not say, in seconds.
pub const RELEASE_AFTER: i64 = 30 * 86_400;

const ALL_BUT_NS: [RecordType; 8] = [
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Cname,
    RecordType::Alias,
    RecordType::Txt,
    RecordType::Mx,
    RecordType::Caa,
    RecordType::Srv,
];

/// A zone's domain, as far as it can be read.
///
/// # Errors
/// When it is no name.
pub fn domain(zone: &DnsZone) -> Result<Fqdn, Fault<Reason>> {
    let invalid = |error| {
        Fault::stalled(
            Reason::InvalidZone,
            format!("the domain {error}"),
            "write the zone's domain, such as incubateur.net",
        )
        .at("spec.domain")
    };
    let domain = Fqdn::parse(&zone.spec.domain).map_err(invalid)?;
    if !domain.is_host() {
        return Err(invalid(super::name::NameError::Label(zone.spec.domain.clone())));
    }
    Ok(domain)
}

/// For how long a name is kept from others after its last use, in seconds. It can be told of a zone that is invalid too.
pub fn release_after(zone: &DnsZone) -> i64 {
    let claims = zone.spec.claims.as_ref();
    let seconds = claims.and_then(|claims| claims.release_after_seconds);
    seconds.map_or(RELEASE_AFTER, i64::from)
}

impl Zone {
    /// Parses and checks a zone.
    ///
    /// # Errors
    /// The first field that cannot work.
    pub fn parse(zone: &DnsZone) -> Result<Self, Fault<Reason>> {
        let spec = &zone.spec;
        let domain = domain(zone)?;
        let claims = spec.claims.clone().unwrap_or_default();
        let drift = spec.drift.clone().unwrap_or_default();
        let authority = |authority: &dns::Authority| {
            let port = authority.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(53);
            (authority.address.clone(), port)
        };
        Ok(Self {
            name: zone.metadata.name.clone().unwrap_or_default(),
            provider: spec.provider.type_,
            written: spec.mode == Some(ZoneMode::Enforce) && spec.paused != Some(true),
            contact: spec.contact.clone(),
            admission: admission(spec.admission.clone().unwrap_or_default())?,
            depth: count(claims.depth, 1),
            release_after: release_after(zone),
            adoptions: adoptions(&spec.adoptions, &domain)?,
            ttl: ttl(spec.ttl.as_ref())?,
            safety: safety(&spec.safety.clone().unwrap_or_default(), &domain)?,
            authorities: spec.authorities.iter().map(authority).collect(),
            repairs: drift.policy != Some(DriftPolicy::Warn),
            interval: drift.interval_seconds.map_or(300, i64::from),
            domain,
        })
    }

    /// Whether a name is never written: it is protected, or below a name that is. (The apex stands for itself alone: the
    /// whole zone is below it.)
    pub fn protects(&self, name: &Fqdn) -> bool {
        let protected = |name: &Fqdn| self.safety.protected.contains(name);
        let within = std::iter::successors(Some(name.clone()), Fqdn::parent);
        let mut below = within.take_while(|above| above.is_below(&self.domain));
        protected(name) || below.any(|above| protected(&above))
    }
}

fn count(number: Option<i32>, default: usize) -> usize {
    number
        .and_then(|number| usize::try_from(number).ok())
        .unwrap_or(default)
}

fn invalid(field: impl Into<String>, message: impl Into<String>, fix: &str) -> Fault<Reason> {
    Fault::stalled(Reason::InvalidZone, message, fix).at(field)
}

fn admission(spec: dns::Admission) -> Result<Admission, Fault<Reason>> {
    let names = spec.name_policy.unwrap_or_default();
    let targets = spec.targets.unwrap_or_default();
    let pattern = names.pattern.map(|text| {
        let whole = Regex::new(&format!("^(?:{text})$"));
        whole.map(|whole| (whole, text)).map_err(|error| {
            let fix = "write a regular expression in RE2 syntax, without look-around and back-references";
            invalid("spec.admission.namePolicy.pattern", error.to_string(), fix)
        })
    });
    let suffix = |(index, text): (usize, &String)| {
        let field = format!("spec.admission.targets.allowSuffixes[{index}]");
        Fqdn::parse(text).map_err(|error| invalid(field, format!("the domain {error}"), "write a domain"))
    };
    let cidr = |(index, text): (usize, &String)| {
        let field = format!("spec.admission.targets.allowCIDRs[{index}]");
        let fix = "write a range, such as 192.0.2.0/24";
        Cidr::parse(text).ok_or_else(|| invalid(field, format!("{text} is no range of addresses"), fix))
    };
    let admitted = types("spec.admission.types", &spec.types)?;
    Ok(Admission {
        namespaces: spec.namespaces,
        pattern: pattern.transpose()?,
        reserved: names
            .reserved
            .iter()
            .enumerate()
            .map(reserved)
            .collect::<Result<_, _>>()?,
        prefix_from_label: names.prefix_from_label,
        environments: names.environments,
        types: if admitted.is_empty() {
            ALL_BUT_NS.into()
        } else {
            admitted
        },
        approval_for: types("spec.admission.approvalRequiredFor", &spec.approval_required_for)?,
        allow_suffixes: targets
            .allow_suffixes
            .iter()
            .enumerate()
            .map(suffix)
            .collect::<Result<_, _>>()?,
        allow_cidrs: targets
            .allow_cidrs
            .iter()
            .enumerate()
            .map(cidr)
            .collect::<Result<_, _>>()?,
        deny_private: targets.deny_private != Some(false),
        max_claims: count(spec.max_claims_per_namespace, 20),
        max_records: count(spec.max_records_per_claim, 50),
    })
}

/// Types of the DNS: `Auto` is none, and left out it would make a rule that says less than it seems to.
fn types(field: &str, given: &[RecordTypeChoice]) -> Result<BTreeSet<RecordType>, Fault<Reason>> {
    let type_ = |choice: &RecordTypeChoice| {
        let fix = "write A, AAAA and CNAME instead";
        type_of(*choice).ok_or_else(|| invalid(field, "Auto is no type of the DNS", fix))
    };
    given.iter().map(type_).collect()
}

/// Labels in the form of canonical names.
fn reserved((index, text): (usize, &String)) -> Result<String, Fault<Reason>> {
    let name = Fqdn::parse(&format!("{text}.invalid")).map_err(|error| {
        let field = format!("spec.admission.namePolicy.reserved[{index}]");
        invalid(field, format!("the label {error}"), "write a label, such as www")
    })?;
    Ok(name.as_str().strip_suffix(".invalid").unwrap_or_default().to_owned())
}

fn within(field: String, text: &str, domain: &Fqdn) -> Result<Fqdn, Fault<Reason>> {
    let fix = "write an absolute name of the zone";
    let name = Fqdn::parse(text).map_err(|error| invalid(field.clone(), format!("the name {error}"), fix))?;
    if !name.is_within(domain) {
        return Err(invalid(field, format!("{name} is not in the zone {domain}"), fix));
    }
    Ok(name)
}

fn adoptions(given: &[dns::Adoption], domain: &Fqdn) -> Result<Vec<Adoption>, Fault<Reason>> {
    let adoption = |(index, adoption): (usize, &dns::Adoption)| {
        Ok(Adoption {
            name: within(format!("spec.adoptions[{index}].name"), &adoption.name, domain)?,
            namespaces: adoption.namespace_selector.clone(),
        })
    };
    given.iter().enumerate().map(adoption).collect()
}

fn ttl(spec: Option<&dns::TtlBounds>) -> Result<Ttl, Fault<Reason>> {
    let seconds = |number: Option<i32>, default: u32| number.map_or(default, |n| u32::try_from(n).unwrap_or(default));
    let spec = spec.cloned().unwrap_or_default();
    let max = seconds(spec.max, 86_400.max(seconds(spec.min, 0)));
    let min = seconds(spec.min, 60.min(max));
    if min > max {
        return Err(invalid(
            "spec.ttl",
            format!("min is {min} and max is {max}"),
            "swap them",
        ));
    }
    let default = seconds(spec.default, 300.clamp(min, max));
    if default < min || default > max {
        let message = format!("{default} is not between the zone's bounds {min} and {max}");
        return Err(invalid("spec.ttl.default", message, "choose one between them"));
    }
    Ok(Ttl { default, min, max })
}

fn safety(spec: &dns::Safety, domain: &Fqdn) -> Result<Safety, Fault<Reason>> {
    let protected = |(index, text): (usize, &String)| within(format!("spec.safety.protected[{index}]"), text, domain);
    Ok(Safety {
        max_deletes_per_hour: count(spec.max_deletes_per_hour, 20),
        max_changed_percent: count(spec.max_changed_percent, 20),
        protected: spec
            .protected
            .iter()
            .enumerate()
            .map(protected)
            .collect::<Result<_, _>>()?,
        snapshot: spec.snapshot_before_change != Some(false),
    })
}

/// The zone that a name is in: of those that cover it, the one with the most labels.
pub fn longest<'a, T>(zones: impl IntoIterator<Item = (&'a Fqdn, T)>, name: &Fqdn) -> Option<T> {
    zones
        .into_iter()
        .filter(|(domain, _)| name.is_within(domain))
        .max_by_key(|(domain, _)| domain.depth())
        .map(|(_, zone)| zone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{name, zone};

    const MINIMAL: &str = "{domain: example.org, provider: {type: PowerDNS}}";

    #[test]
    fn what_a_zone_leaves_out_is_what_a_careful_engineer_would_choose() {
        let zone = zone(MINIMAL);
        let (admission, safety) = (&zone.admission, &zone.safety);
        let types: Vec<_> = admission.types.iter().map(RecordType::as_str).collect();
        assert_eq!(types, ["A", "AAAA", "CNAME", "ALIAS", "TXT", "MX", "CAA", "SRV"]);
        for (default, is, expected) in [
            ("maxClaimsPerNamespace", admission.max_claims, 20),
            ("maxRecordsPerClaim", admission.max_records, 50),
            ("claims.depth", zone.depth, 1),
            ("maxDeletesPerHour", safety.max_deletes_per_hour, 20),
            ("maxChangedPercent", safety.max_changed_percent, 20),
        ] {
            assert_eq!(is, expected, "{default}");
        }
        assert_eq!(zone.release_after, 2_592_000);
        assert_eq!((zone.ttl.default, zone.ttl.min, zone.ttl.max), (300, 60, 86_400));
        assert_eq!(zone.interval, 300);
        for (default, is, expected) in [
            ("mode Report", zone.written, false),
            ("namespaces: nobody's", admission.namespaces.is_some(), false),
            ("denyPrivate", admission.deny_private, true),
            ("snapshotBeforeChange", safety.snapshot, true),
            ("drift Repair", zone.repairs, true),
        ] {
            assert_eq!(is, expected, "{default}");
        }
        let nothing = [
            admission.approval_for.len(),
            admission.environments.len(),
            admission.reserved.len(),
            admission.allow_suffixes.len(),
            admission.allow_cidrs.len(),
            safety.protected.len(),
            zone.adoptions.len(),
            zone.authorities.len(),
        ];
        assert_eq!(nothing, [0; 8]);
    }

    #[test]
    fn what_is_below_a_protected_name_is_protected_and_the_apex_stands_for_itself() {
        let protected = "}, safety: {protected: [example.org, app.example.org]}}";
        let zone = zone(&MINIMAL.replace("}}", protected));
        for (protects, names) in [
            (
                true,
                ["example.org", "app.example.org", "_acme-challenge.app.example.org"],
            ),
            (false, ["www.example.org", "*.example.org", "myapp.example.org"]),
        ] {
            for host in names {
                assert_eq!(zone.protects(&name(host)), protects, "{host}");
            }
        }
    }

    #[test]
    fn a_default_ttl_keeps_within_the_bounds_that_are_written() {
        for (bounds, expected) in [
            ("{min: 600}", (600, 600, 86_400)),
            ("{max: 30}", (30, 30, 30)),
            ("{min: 100000}", (100_000, 100_000, 100_000)),
            ("{default: 900}", (900, 60, 86_400)),
        ] {
            let Ttl { default, min, max } = zone(&MINIMAL.replace("}}", &format!("}}, ttl: {bounds}}}"))).ttl;
            assert_eq!((default, min, max), expected, "{bounds}");
        }
    }
}
