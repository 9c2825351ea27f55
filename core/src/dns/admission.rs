//! Whether a namespace may have these record sets at this name of a zone: the rules of the DnsZone, one after the other.
//! Every refusal names its rule (a field of the DnsZone) and what would pass.
//!
//! What the platform team gave away by name (`adoptions`) is not asked for namespace and name policy again; where it
//! leads is.

mod approval;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use super::cidr::{Cidr, is_private};
use super::claim::{self, Key};
use super::name::Fqdn;
use super::ownership;
use super::reasons::Reason;
use super::rrset::{RecordType, RrSet};
use super::selector::matches;
use super::zone::{Adoption, Zone};
use crate::api::startup_app::Environment;
use crate::fault::Fault;
pub use approval::Approval;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Its environment, as the platform file maps its labels; none where no rule does.
    pub environment: Option<Environment>,
    /// How many other claims of the zone it holds.
    pub claims_held: usize,
    /// Whether it holds the claim that covers the name.
    pub holds_claim: bool,
    /// How many record sets its other records have under that claim.
    pub sets_under_claim: usize,
}

/// Whether `who` may have these record sets at `name`.
///
/// # Errors
/// The first rule that refuses; `WaitingForApproval` when nothing else is missing.
pub fn admit(
    name: &Fqdn,
    sets: &[RrSet],
    zone: &Zone,
    who: &Applicant<'_>,
    approvals: &[Approval],
) -> Result<(), Fault<Reason>> {
    let key = Key::of(name, zone);
    protected(name, sets, zone)?;
    if !given_away(name, key.name(), zone, who)? {
        namespace(zone, who)?;
        environment(zone, who)?;
        key.claimable(zone, who.labels)?;
        label(key.name(), zone, who)?;
    }
    covered(name, sets, &key, zone, who)?;
    sets.iter().try_for_each(|set| type_allowed(&set.type_, zone))?;
    sets.iter().try_for_each(|set| leads(set, zone))?;
    quotas(sets, zone, who)?;
    approved(sets, zone, approvals)
}

fn refused(
    reason: Reason,
    rule: &str,
    message: impl fmt::Display,
    fix: impl Into<String>,
    zone: &Zone,
) -> Fault<Reason> {
    Fault::stalled(reason, format!("{message} ({rule} of the DnsZone {})", zone.name), fix)
}

fn protected(name: &Fqdn, sets: &[RrSet], zone: &Zone) -> Result<(), Fault<Reason>> {
    let names = sets.iter().map(|set| &set.name).chain([name]);
    for name in names {
        if ownership::is_kept(name) {
            let fix = "choose another name";
            return Err(Fault::stalled(Reason::NameReserved, ownership::kept(), fix).at("spec.name"));
        }
        if zone.protects(name) {
            let message = format!("{name} is never written");
            let fix = "choose another name, or ask the platform team";
            return Err(refused(Reason::ProtectedName, "safety.protected", message, fix, zone));
        }
    }
    Ok(())
}

/// What a record says at other names than its own, such as `_dmarc`, must be covered by the same claim, or given away
/// as well: the claim of an apex covers nothing below it.
fn covered(name: &Fqdn, sets: &[RrSet], key: &Key, zone: &Zone, who: &Applicant<'_>) -> Result<(), Fault<Reason>> {
    let others = sets.iter().map(|set| &set.name).filter(|other| *other != name);
    for other in others {
        if Key::of(other, zone) != *key && !claim::is_adopted(other, zone, who.labels) {
            let message =
                format!("the record also says something at {other}, which the claim of {name} does not cover");
            let fix = format!("ask the platform team to give {other} to this namespace as well");
            return Err(refused(Reason::NotClaimable, "adoptions", message, fix, zone));
        }
    }
    Ok(())
}

/// Whether the platform team gave the name, or the claimed name above it, to this namespace.
fn given_away(name: &Fqdn, key: &Fqdn, zone: &Zone, who: &Applicant<'_>) -> Result<bool, Fault<Reason>> {
    let about = |adoption: &&Adoption| adoption.name == *name || adoption.name == *key;
    let mut any = None;
    for adoption in zone.adoptions.iter().filter(about) {
        if matches(&adoption.namespaces, who.labels) {
            return Ok(true);
        }
        any = Some(&adoption.name);
    }
    let Some(given) = any else {
        return Ok(false);
    };
    let message = format!(
        "{given} is given to namespaces with other labels than those of {}",
        who.namespace
    );
    let fix = "choose another name, or ask the platform team";
    Err(refused(Reason::NamespaceNotAdmitted, "adoptions", message, fix, zone))
}

fn namespace(zone: &Zone, who: &Applicant<'_>) -> Result<(), Fault<Reason>> {
    let selector = zone.admission.namespaces.as_ref();
    if selector.is_some_and(|selector| matches(selector, who.labels)) {
        return Ok(());
    }
    let message = match selector {
        None => "the zone admits no namespace".to_owned(),
        Some(_) => format!(
            "the labels of the namespace {} are not those that the zone asks for",
            who.namespace
        ),
    };
    let wanted = selector.map(described).unwrap_or_default();
    let fix = if wanted.is_empty() {
        "ask the platform team to open the zone".to_owned()
    } else {
        format!("ask the platform team for a namespace with {wanted}")
    };
    Err(refused(
        Reason::NamespaceNotAdmitted,
        "admission.namespaces",
        message,
        fix,
        zone,
    ))
}

/// A selector as kubectl writes it: `team=blue,tier in (a,b),!legacy`.
fn described(selector: &crate::api::dns::LabelSelector) -> String {
    use crate::api::dns::Operator;
    let equal = selector
        .match_labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    let required = selector.match_expressions.iter().map(|requirement| {
        let (key, values) = (&requirement.key, requirement.values.join(","));
        match requirement.operator {
            Operator::In => format!("{key} in ({values})"),
            Operator::NotIn => format!("{key} notin ({values})"),
            Operator::Exists => key.clone(),
            Operator::DoesNotExist => format!("!{key}"),
        }
    });
    equal.chain(required).collect::<Vec<_>>().join(",")
}

fn environment(zone: &Zone, who: &Applicant<'_>) -> Result<(), Fault<Reason>> {
    let admitted = &zone.admission.environments;
    if admitted.is_empty()
        || who
            .environment
            .is_some_and(|environment| admitted.contains(&environment))
    {
        return Ok(());
    }
    let is_of = match who.environment {
        Some(environment) => format!("is of the environment {}", environment.as_str()),
        None => "has labels that no rule of the platform file maps to an environment".to_owned(),
    };
    let list: Vec<_> = admitted.iter().map(|environment| environment.as_str()).collect();
    let message = format!(
        "the namespace {} {is_of}, and the zone is for {}",
        who.namespace,
        list.join(", ")
    );
    let rule = "admission.namePolicy.environments";
    let fix = "use a zone for this environment: see kubectl get dnszones";
    Err(refused(Reason::EnvironmentNotAdmitted, rule, message, fix, zone))
}

/// The name policy looks at the first label of the claimed name; what is reserved covers everything below itself.
fn label(key: &Fqdn, zone: &Zone, who: &Applicant<'_>) -> Result<(), Fault<Reason>> {
    let rules = &zone.admission;
    let label = key.first_label();
    let relative = key.relative_to(&zone.domain).unwrap_or_default();
    let reserved = relative
        .split('.')
        .chain([relative])
        .find(|part| rules.reserved.contains(*part));
    if let Some(reserved) = reserved {
        let (rule, message) = ("admission.namePolicy.reserved", format!("{reserved} is reserved"));
        return Err(refused(
            Reason::NameReserved,
            rule,
            message,
            "choose another name",
            zone,
        ));
    }
    if let Some((pattern, written)) = &rules.pattern
        && !pattern.is_match(label)
    {
        let rule = "admission.namePolicy.pattern";
        let message = format!("{label} does not match {written}");
        let fix = format!("choose a name whose label below the zone matches {written}");
        return Err(refused(Reason::NameNotAllowed, rule, message, fix, zone));
    }
    let Some(from) = &rules.prefix_from_label else {
        return Ok(());
    };
    let rule = "admission.namePolicy.prefixFromLabel";
    let Some(prefix) = who.labels.get(from).filter(|prefix| !prefix.is_empty()) else {
        let message = format!(
            "the namespace {} has no label {from}, with which names begin",
            who.namespace
        );
        let fix = format!("ask the platform team to set the label {from} on the namespace");
        return Err(refused(Reason::NameNotAllowed, rule, message, fix, zone));
    };
    // A label's value may have upper case and characters that names have not: those never match.
    let prefix = prefix.to_ascii_lowercase();
    let rest = label.strip_prefix(prefix.as_str());
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
        return Ok(());
    }
    let message = format!("{label} does not begin with {prefix}, the namespace's label {from}");
    let above = key.parent().unwrap_or_else(|| zone.domain.clone());
    let fix = format!("use {prefix}.{above} or {prefix}-….{above}");
    Err(refused(Reason::NameNotAllowed, rule, message, fix, zone))
}

fn type_allowed(type_: &RecordType, zone: &Zone) -> Result<(), Fault<Reason>> {
    if zone.admission.types.contains(judged(type_)) {
        return Ok(());
    }
    let allowed: Vec<_> = zone.admission.types.iter().map(RecordType::as_str).collect();
    let message = format!("records of type {type_} are not allowed");
    let fix = format!("use one of {}, or ask the platform team", allowed.join(", "));
    Err(refused(Reason::TypeNotAllowed, "admission.types", message, fix, zone))
}

/// DS belongs to the delegation, and is judged with it.
fn judged(type_: &RecordType) -> &RecordType {
    if *type_ == RecordType::Ds {
        &RecordType::Ns
    } else {
        type_
    }
}

/// Whether the zone allows where a set leads.
fn leads(set: &RrSet, zone: &Zone) -> Result<(), Fault<Reason>> {
    match set.type_ {
        RecordType::A | RecordType::Aaaa => set
            .values
            .iter()
            .filter_map(|value| value.parse().ok())
            .try_for_each(|address| address_allowed(address, zone)),
        RecordType::Cname | RecordType::Alias | RecordType::Ns | RecordType::Mx | RecordType::Srv => set
            .values
            .iter()
            .filter_map(|value| value.rsplit(' ').next())
            // The root leads nowhere: null MX, no service.
            .filter(|host| *host != ".")
            .try_for_each(|host| host_allowed(host, zone)),
        _ => Ok(()),
    }
}

fn address_allowed(address: IpAddr, zone: &Zone) -> Result<(), Fault<Reason>> {
    let rules = &zone.admission;
    // An IPv4 address in IPv6 clothes is judged as what it is.
    let real = address.to_canonical();
    let named = |range: &Cidr| range.contains(real) || range.contains(address);
    if rules.allow_cidrs.iter().any(named) {
        return Ok(());
    }
    if !rules.allow_cidrs.is_empty() {
        let rule = "admission.targets.allowCIDRs";
        let list: Vec<_> = rules.allow_cidrs.iter().map(ToString::to_string).collect();
        let message = format!("{address} is not in the ranges of the zone");
        let fix = format!("use an address of {}", list.join(", "));
        return Err(refused(Reason::TargetNotAllowed, rule, message, fix, zone));
    }
    if rules.deny_private && is_private(address) {
        let rule = "admission.targets.denyPrivate";
        let message = format!("{address} is not of the public Internet");
        let fix = "use a public address, or ask the platform team to name its range in allowCIDRs";
        return Err(refused(Reason::TargetNotAllowed, rule, message, fix, zone));
    }
    Ok(())
}

fn host_allowed(host: &str, zone: &Zone) -> Result<(), Fault<Reason>> {
    let allowed = &zone.admission.allow_suffixes;
    let within = |suffix: &Fqdn| Fqdn::parse(host).is_ok_and(|host| host.is_within(suffix));
    if allowed.is_empty() || allowed.iter().any(within) {
        return Ok(());
    }
    let list: Vec<_> = allowed.iter().map(Fqdn::as_str).collect();
    let message = format!("{host} is not of the domains that names may lead to");
    let fix = format!("use a host of {}", list.join(", "));
    Err(refused(
        Reason::TargetNotAllowed,
        "admission.targets.allowSuffixes",
        message,
        fix,
        zone,
    ))
}

fn quotas(sets: &[RrSet], zone: &Zone, who: &Applicant<'_>) -> Result<(), Fault<Reason>> {
    let rules = &zone.admission;
    if !who.holds_claim && who.claims_held >= rules.max_claims {
        let message = format!(
            "the namespace {} holds {} names, and may hold {}",
            who.namespace, who.claims_held, rules.max_claims
        );
        let (rule, fix) = (
            "admission.maxClaimsPerNamespace",
            "use a name that the namespace holds, or ask the platform team for more: one that is given up counts until its quarantine is over",
        );
        return Err(refused(Reason::TooManyClaims, rule, message, fix, zone));
    }
    let wanted = who.sets_under_claim + sets.len();
    if wanted > rules.max_records {
        let message = format!(
            "there would be {wanted} record sets under the claim, and may be {}",
            rules.max_records
        );
        let (rule, fix) = (
            "admission.maxRecordsPerClaim",
            "remove records below the name, or ask the platform team",
        );
        return Err(refused(Reason::TooManyRecords, rule, message, fix, zone));
    }
    Ok(())
}

fn approved(sets: &[RrSet], zone: &Zone, approvals: &[Approval]) -> Result<(), Fault<Reason>> {
    let missing: Vec<_> = unapproved(sets, zone, approvals).map(Approval::of).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let types: BTreeSet<_> = missing.iter().map(|approval| approval.type_.as_str()).collect();
    let types: Vec<_> = types.into_iter().collect();
    let list: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let message = format!(
        "records of type {} need the platform team's approval (admission.approvalRequiredFor of the DnsZone {})",
        types.join(", "),
        zone.name
    );
    let fix = format!(
        "the platform team adds {} to the annotation tremplin.dev/approved of the DnsClaim",
        list.join(",")
    );
    Err(Fault::waiting(Reason::WaitingForApproval, message, fix))
}

/// The record sets that wait for an approval.
pub fn unapproved<'a>(sets: &'a [RrSet], zone: &Zone, approvals: &[Approval]) -> impl Iterator<Item = &'a RrSet> {
    sets.iter()
        .filter(|set| zone.admission.approval_for.contains(judged(&set.type_)))
        .filter(|set| !approvals.contains(&Approval::of(set)))
}

#[cfg(test)]
mod tests;
