//! What a DnsRecord asks for, as record sets. Whether it may is [`super::admission`]'s question.
//!
//! ```text
//!  targets    IPv4 ─▶ A    IPv6 ─▶ AAAA    host ─▶ CNAME, or ALIAS at the apex where the provider can
//!  appRef     as targets, from the app's Ingress
//!  values     the given type, as it is written
//!  mail       MX, TXT (SPF, DKIM, DMARC) and CNAME (DKIM): see `mail`
//!  delegation NS, and DS
//! ```
//!
//! Owner names: `_` is for names that are no host's, so that it is refused with A, AAAA, ALIAS, MX and CAA (RFC 1123 2.1,
//! RFC 8552); SRV needs it (RFC 2782). `*` is refused with NS and DS (RFC 4592 4.2), and with mail.

mod data;

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::follow::Followed;
use super::mail;
use super::name::Fqdn;
use super::profile::{Alias, Profile};
use super::reasons::Reason;
use super::rrset::{LARGEST, RecordType, RrSet};
use super::zone::{Zone, type_of};
use crate::api::dns::{Delegation, DnsRecordSpec};
use crate::fault::Fault;
use data::{Target, digest_length, target, value};

/// The record sets that a spec asks for, in canonical form, by name and type. `app`: what the app is
/// that `appRef` names.
///
/// # Errors
/// The first field that cannot work; `TypeNotAllowed` where the provider cannot; those of
/// [`Followed::targets`].
pub fn wanted(
    spec: &DnsRecordSpec,
    name: &Fqdn,
    zone: &Zone,
    profile: &Profile,
    app: Option<&Followed>,
) -> Result<Vec<RrSet>, Fault<Reason>> {
    let ttl = ttl(spec.ttl_seconds, zone, profile);
    let sets = asked(spec, name, Some(&zone.domain), ttl, profile.alias, profile.name, app)?;
    taken(spec, &sets, profile)?;
    Ok(sets)
}

/// Whether the provider has the types at all.
fn taken(spec: &DnsRecordSpec, sets: &[RrSet], profile: &Profile) -> Result<(), Fault<Reason>> {
    let Some(set) = sets.iter().find(|set| profile.without.contains(&set.type_)) else {
        return Ok(());
    };
    let (field, fix) = match set.type_ {
        RecordType::Ds if spec.delegation.is_some() => (
            "spec.delegation.ds",
            "remove it: the delegation is then published unsigned",
        ),
        _ => (
            "spec.type",
            "remove the record, or ask the platform team for a zone at a provider that takes it",
        ),
    };
    let message = format!("{} takes no records of type {}", profile.name, set.type_);
    Err(Fault::stalled(Reason::TypeNotAllowed, message, fix).at(field))
}

/// What a spec asks for, as far as it can be told without its zone and provider: `check` and `import` look with it.
///
/// # Errors
/// As [`wanted`].
pub fn without_zone(spec: &DnsRecordSpec, name: &Fqdn, domain: Option<&Fqdn>) -> Result<Vec<RrSet>, Fault<Reason>> {
    let ttl = spec
        .ttl_seconds
        .and_then(|seconds| u32::try_from(seconds).ok())
        .unwrap_or_default();
    asked(spec, name, domain, ttl, Alias::Anywhere, "the provider", None)
}

fn asked(
    spec: &DnsRecordSpec,
    name: &Fqdn,
    domain: Option<&Fqdn>,
    ttl: u32,
    alias: Alias,
    provider: &str,
    app: Option<&Followed>,
) -> Result<Vec<RrSet>, Fault<Reason>> {
    let source = source(spec)?;
    let type_ = spec.type_.and_then(type_of);
    type_fits(&source, type_.as_ref())?;
    let request = Request {
        name,
        ttl,
        type_,
        apex: domain == Some(name),
        alias,
        provider,
    };
    let mut sets = match source {
        Source::Targets => request.targets(&spec.targets, |index| format!("spec.targets[{index}]"))?,
        Source::App(followed) => {
            let nowhere = Followed::At(Vec::new());
            let targets = app.unwrap_or(&nowhere).targets(followed)?;
            request.targets(targets, |_| "spec.appRef".to_owned())?
        }
        Source::Values => vec![request.values(&spec.values)?],
        Source::Mail(given) => mail::unit(given, name, request.ttl)?,
        Source::Delegation(delegation) => request.delegation(delegation)?,
    };
    sets.iter().try_for_each(|set| fits(set, spec))?;
    sets.sort();
    Ok(sets)
}

/// Whether a set is small enough to be answered and changed.
///
/// # Errors
/// `InvalidSpec` when it is not.
pub fn fits(set: &RrSet, spec: &DnsRecordSpec) -> Result<(), Fault<Reason>> {
    if set.size() <= LARGEST {
        return Ok(());
    }
    let message = format!(
        "the data of type {} at {} take {} octets in a message, and may take {LARGEST}",
        set.type_,
        set.name,
        set.size()
    );
    Err(invalid(field(spec), message, "shorten it, or say it at several names"))
}

/// The field that the data come from.
pub fn field(spec: &DnsRecordSpec) -> &'static str {
    if !spec.targets.is_empty() {
        "spec.targets"
    } else if !spec.values.is_empty() {
        "spec.values"
    } else if spec.app_ref.is_some() {
        "spec.appRef"
    } else if spec.mail.is_some() {
        "spec.mail"
    } else {
        "spec.delegation"
    }
}

/// The TTL in force, in seconds: the spec's or the zone's own, within what zone and provider allow.
pub fn ttl(seconds: Option<i32>, zone: &Zone, profile: &Profile) -> u32 {
    let asked = seconds
        .and_then(|seconds| u32::try_from(seconds).ok())
        .unwrap_or(zone.ttl.default);
    profile.clamp_ttl(asked.clamp(zone.ttl.min, zone.ttl.max))
}

/// Where the data comes from.
enum Source<'a> {
    Targets,
    Values,
    App(&'a str),
    Mail(&'a crate::api::dns::Mail),
    Delegation(&'a Delegation),
}

fn source(spec: &DnsRecordSpec) -> Result<Source<'_>, Fault<Reason>> {
    let given = [
        (!spec.targets.is_empty()).then_some(Source::Targets),
        (!spec.values.is_empty()).then_some(Source::Values),
        spec.app_ref.as_ref().map(|app| Source::App(&app.name)),
        spec.mail.as_ref().map(Source::Mail),
        spec.delegation.as_ref().map(Source::Delegation),
    ];
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(source), None) => Ok(source),
        _ => Err(invalid(
            "spec",
            "exactly one of targets, values, appRef, mail and delegation is needed",
            "make one DnsRecord for each",
        )),
    }
}

/// Whether the type can be said beside the data at all.
fn type_fits(source: &Source<'_>, type_: Option<&RecordType>) -> Result<(), Fault<Reason>> {
    let of_targets = [RecordType::A, RecordType::Aaaa, RecordType::Cname, RecordType::Alias];
    match (source, type_) {
        (Source::Mail(_) | Source::Delegation(_), Some(_)) => Err(invalid(
            "spec.type",
            "mail and delegation choose their types themselves",
            "remove spec.type",
        )),
        (Source::Targets | Source::App(_), Some(type_)) if !of_targets.contains(type_) => Err(invalid(
            "spec.type",
            format!("addresses and hosts make records of type A, AAAA, CNAME or ALIAS, not {type_}"),
            "write data of other types in spec.values",
        )),
        _ => Ok(()),
    }
}

fn invalid(field: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) -> Fault<Reason> {
    Fault::stalled(Reason::InvalidSpec, message, fix).at(field)
}

struct Request<'a> {
    name: &'a Fqdn,
    ttl: u32,
    type_: Option<RecordType>,
    apex: bool,
    alias: Alias,
    provider: &'a str,
}

impl Request<'_> {
    fn set(&self, type_: RecordType, values: BTreeSet<String>) -> RrSet {
        RrSet {
            name: self.name.clone(),
            type_,
            ttl: self.ttl,
            values,
        }
    }

    fn targets(&self, targets: &[String], field: impl Fn(usize) -> String) -> Result<Vec<RrSet>, Fault<Reason>> {
        let mut v4 = BTreeSet::new();
        let mut v6 = BTreeSet::new();
        let mut hosts = BTreeSet::new();
        for (index, text) in targets.iter().enumerate() {
            match target(text).map_err(|message| invalid(field(index), message, TARGET))? {
                Target::Address(IpAddr::V4(address)) => v4.insert(address.to_string()),
                Target::Address(IpAddr::V6(address)) => v6.insert(address.to_string()),
                Target::Host(host) if host == *self.name => {
                    let message = format!("{host} would lead to itself");
                    return Err(invalid(field(index), message, "write the host that serves it"));
                }
                Target::Host(host) => hosts.insert(host.as_str().to_owned()),
            };
            let addresses = v4.len() + v6.len();
            if hosts.len() > 1 || (!hosts.is_empty() && addresses > 0) {
                let message = "a name leads to one host, or to addresses, not to several hosts or to both";
                return Err(invalid(field(index), message, "keep one host, or addresses alone"));
            }
            if let Some(type_) = &self.type_ {
                let fits = match type_ {
                    RecordType::A => v6.is_empty() && hosts.is_empty(),
                    RecordType::Aaaa => v4.is_empty() && hosts.is_empty(),
                    _ => addresses == 0,
                };
                if !fits {
                    let message = format!("{text} cannot be the target of a record of type {type_}");
                    return Err(invalid(field(index), message, "remove spec.type, or the target"));
                }
            }
        }
        let mut sets = Vec::new();
        for (type_, values) in [(RecordType::A, v4), (RecordType::Aaaa, v6)] {
            if !values.is_empty() {
                sets.push(self.set(type_, values));
            }
        }
        if !hosts.is_empty() {
            sets.push(self.set(self.host_type()?, hosts));
        }
        sets.iter().try_for_each(|set| self.owner(&set.type_))?;
        Ok(sets)
    }

    /// CNAME or ALIAS.
    fn host_type(&self) -> Result<RecordType, Fault<Reason>> {
        if self.apex && self.type_ == Some(RecordType::Cname) {
            return Err(invalid(
                "spec.type",
                "the apex of a zone cannot be a CNAME",
                "use ALIAS where the provider has it, or addresses",
            ));
        }
        let asked = self.type_.as_ref() == Some(&RecordType::Alias);
        if !asked && !self.apex {
            return Ok(RecordType::Cname);
        }
        let can = match self.alias {
            Alias::Anywhere => true,
            Alias::Apex => self.apex,
            Alias::Never => false,
        };
        if can {
            return Ok(RecordType::Alias);
        }
        let provider = self.provider;
        let message = match (self.apex, self.alias) {
            (true, _) => format!("the apex of a zone cannot be a CNAME, and {provider} has no ALIAS"),
            (false, Alias::Apex) => format!("{provider} has ALIAS at the apex of a zone alone"),
            (false, _) => format!("{provider} has no ALIAS"),
        };
        let (field, fix) = if self.apex {
            ("spec.targets", "write the host's addresses instead")
        } else {
            ("spec.type", "use CNAME")
        };
        Err(Fault::stalled(Reason::TypeNotAllowed, message, fix).at(field))
    }

    fn values(&self, values: &[String]) -> Result<RrSet, Fault<Reason>> {
        let Some(type_) = &self.type_ else {
            let message = "values are raw data, whose type must be said";
            return Err(invalid("spec.type", message, "write the type of spec.values"));
        };
        self.owner(type_)?;
        let mut all = BTreeSet::new();
        for (index, text) in values.iter().enumerate() {
            let value = value(type_, text)
                .and_then(|value| self.leads_elsewhere(type_, &value).map(|()| value))
                .map_err(|(message, fix)| invalid(format!("spec.values[{index}]"), message, fix))?;
            all.insert(value);
        }
        let single = matches!(type_, RecordType::Cname | RecordType::Alias);
        if single && all.len() > 1 {
            let message = format!("a name has one {type_}");
            return Err(invalid("spec.values", message, "keep one of them"));
        }
        if *type_ == RecordType::Mx && all.len() > 1 && all.iter().any(|value| value.ends_with(" .")) {
            let message = "a null MX says that there is no mail, and stands alone (RFC 7505)";
            return Err(invalid("spec.values", message, "remove it, or the others"));
        }
        let policies = || all.iter().filter_map(|text| mail::policy(text));
        if *type_ == RecordType::Txt
            && let Some(twice) = ["SPF", "DMARC"]
                .into_iter()
                .find(|policy| policies().filter(|found| found == policy).count() > 1)
        {
            let message = format!("a name has one {twice} record: receivers take none of several");
            return Err(invalid("spec.values", &message, "make one of them"));
        }
        match type_ {
            RecordType::Cname | RecordType::Alias => self.host_type().map(|type_| self.set(type_, all)),
            _ => Ok(self.set(type_.clone(), all)),
        }
    }

    fn leads_elsewhere(&self, type_: &RecordType, value: &str) -> Result<(), (String, &'static str)> {
        let itself = matches!(type_, RecordType::Cname | RecordType::Alias) && value == self.name.as_str();
        if itself {
            return Err((format!("{value} would lead to itself"), "write the host that serves it"));
        }
        if *type_ == RecordType::Ns {
            return self.glueless(value);
        }
        Ok(())
    }

    /// A name server below the name that it serves could be found only by its address beside the delegation, which is
    /// not published.
    fn glueless(&self, server: &str) -> Result<(), (String, &'static str)> {
        let below = Fqdn::parse(server).is_ok_and(|server| server.is_within(self.name));
        if below {
            let message = format!("{server} is within {}: it could not be found", self.name);
            return Err((message, "use name servers whose names are elsewhere"));
        }
        Ok(())
    }

    fn delegation(&self, delegation: &Delegation) -> Result<Vec<RrSet>, Fault<Reason>> {
        self.owner(&RecordType::Ns)?;
        let mut servers = BTreeSet::new();
        for (index, text) in delegation.nameservers.iter().enumerate() {
            let server = value(&RecordType::Ns, text)
                .and_then(|server| self.glueless(&server).map(|()| server))
                .map_err(|(message, fix)| invalid(format!("spec.delegation.nameservers[{index}]"), message, fix))?;
            servers.insert(server);
        }
        if servers.len() < 2 {
            let message = "a delegation needs two different name servers (RFC 2182)";
            return Err(invalid("spec.delegation.nameservers", message, "write another one"));
        }
        let mut signers = BTreeSet::new();
        for (index, text) in delegation.ds.iter().enumerate() {
            let signer = value(&RecordType::Ds, text)
                .and_then(|signer| digest_length(&signer).map(|()| signer))
                .map_err(|(message, fix)| invalid(format!("spec.delegation.ds[{index}]"), message, fix))?;
            signers.insert(signer);
        }
        let mut sets = vec![self.set(RecordType::Ns, servers)];
        if !signers.is_empty() {
            sets.push(self.set(RecordType::Ds, signers));
        }
        Ok(sets)
    }

    /// Whether a set of that type can have the name.
    fn owner(&self, type_: &RecordType) -> Result<(), Fault<Reason>> {
        let refused = |message: String, fix: &str| Err(invalid("spec.name", message, fix));
        let name = self.name;
        let underscored = name.labels().any(|label| label.contains('_'));
        match type_ {
            RecordType::A | RecordType::Aaaa | RecordType::Alias | RecordType::Mx | RecordType::Caa if underscored => {
                let message = format!("a name with _ is no host's, and cannot have records of type {type_}");
                refused(message, "remove the _")
            }
            RecordType::Srv => {
                let mut labels = name.labels();
                let service = |label: Option<&str>| label.is_some_and(|label| label.starts_with('_'));
                if service(labels.next()) && service(labels.next()) {
                    return Ok(());
                }
                let message = "SRV stands at _service._protocol below a host's name (RFC 2782)".to_owned();
                refused(message, "write a name such as _sip._tcp.example.org")
            }
            RecordType::Ns | RecordType::Ds if name.is_wildcard() => refused(
                "a wildcard cannot be delegated (RFC 4592)".to_owned(),
                "name what is delegated",
            ),
            RecordType::Ns | RecordType::Ds if self.apex => {
                let message = "the zone's own name servers are not changed by records".to_owned();
                refused(message, "delegate a name below the zone")
            }
            _ => Ok(()),
        }
    }
}

const TARGET: &str = "write an address, such as 192.0.2.1, or a host, such as app.example.org";

#[cfg(test)]
mod tests;
