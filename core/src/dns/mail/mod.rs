//! Mail at a name, as one unit: who receives it (MX), who may send it (SPF), how it is signed (DKIM), what becomes of the
//! rest (DMARC).

pub mod dkim;
pub mod dmarc;
mod lint;
pub mod preset;
pub mod spf;
mod tags;

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use super::name::{Fqdn, NameError};
use super::reasons::Reason;
use super::rrset::{RecordType, RrSet, canonical};
use crate::api::dns::{Dkim, Mail};
use crate::fault::Fault;
pub use lint::{Verdict, lint};
use preset::Preset;

/// The record sets of a mail unit.
///
/// # Errors
/// `InvalidMail` at the first field that cannot work.
pub fn unit(mail: &Mail, name: &Fqdn, ttl: u32) -> Result<Vec<RrSet>, Fault<Reason>> {
    if !name.is_host() {
        let message = format!("{name} is no host's name: mail is addressed to names without * and _");
        return Err(Fault::stalled(Reason::InvalidMail, message, "write a name without them").at("spec.name"));
    }
    let preset = mail.preset.map(preset::of);
    let written_by_hand = !mail.mx.is_empty() || mail.spf.is_some() || !mail.dkim.is_empty() || mail.dmarc.is_some();
    if preset.is_none() && !written_by_hand {
        return Err(invalid(
            "spec.mail",
            "it is empty: name a preset, or mx, spf, dkim or dmarc",
        ));
    }
    if preset.is_some_and(|preset| preset.null_mx) && written_by_hand {
        let message = "the preset None says that no mail is sent or received: remove mx, spf, dkim and dmarc";
        return Err(invalid("spec.mail", message));
    }
    let mut unit = Unit {
        ttl,
        sets: BTreeMap::new(),
    };
    let null = preset.is_some_and(|preset| preset.null_mx);
    if null {
        unit.add(name.clone(), RecordType::Mx, "0 .".to_owned());
    }
    for (index, exchanger) in mail.mx.iter().enumerate() {
        let text = format!("{} {}", exchanger.priority, exchanger.host);
        let at = format!("spec.mail.mx[{index}].host");
        let value = canonical(&RecordType::Mx, &text).map_err(|error| invalid(&at, error.reason))?;
        if value.contains('_') {
            return Err(invalid(&at, "a host has no _ in its name"));
        }
        if value.ends_with(" .") && mail.mx.len() > 1 {
            return Err(invalid(
                &at,
                "a null MX says that there is no mail, and stands alone (RFC 7505)",
            ));
        }
        unit.add(name.clone(), RecordType::Mx, value);
    }
    if let Some(text) = written(mail.spf.as_deref(), preset.map(|preset: Preset| preset.spf)) {
        sound_spf(text, name)?;
        unit.text(name.clone(), text, "spec.mail.spf")?;
    }
    for (index, key) in mail.dkim.iter().enumerate() {
        unit.key(name, key, &format!("spec.mail.dkim[{index}]"))?;
    }
    if let Some(text) = written(mail.dmarc.as_deref(), preset.map(|preset| preset.dmarc)) {
        let at = child(name, "_dmarc").map_err(|error| invalid("spec.name", error.to_string()))?;
        dmarc::parse(text).map_err(|error| invalid("spec.mail.dmarc", error))?;
        unit.text(at, text, "spec.mail.dmarc")?;
    }
    Ok(unit.sets())
}

/// What receivers would call a permanent error, as far as the record itself tells it.
fn sound_spf(text: &str, name: &Fqdn) -> Result<(), Fault<Reason>> {
    let spf = spf::parse(text).map_err(|error| invalid("spec.mail.spf", error))?;
    let lookups = spf.count(name, &Facts::new()).lookups;
    if lookups > spf::MOST_LOOKUPS {
        let most = spf::MOST_LOOKUPS;
        return Err(invalid(
            "spec.mail.spf",
            format!("it makes receivers ask {lookups} questions: they give up after {most}"),
        ));
    }
    Ok(())
}

/// Which policy of mail a text is, of which a name has one: receivers take none of several (RFC 7208 4.5, RFC 7489 6.6.3).
pub fn policy(text: &str) -> Option<&'static str> {
    if spf::is_spf(text) {
        return Some("SPF");
    }
    dmarc::is_dmarc(text).then_some("DMARC")
}

/// What the team wrote, else the preset's.
fn written<'a>(own: Option<&'a str>, preset: Option<&'a str>) -> Option<&'a str> {
    own.or(preset)
}

/// Where a key is: `<selector>._domainkey.<name>` (RFC 6376 3.6.2.1). A selector may have dots.
pub fn key_name(name: &Fqdn, selector: &str) -> Result<Fqdn, NameError> {
    child(name, &format!("{selector}._domainkey"))
}

fn child(name: &Fqdn, labels: &str) -> Result<Fqdn, NameError> {
    let child = Fqdn::parse(&format!("{labels}.{name}"))?;
    if child.is_wildcard() {
        return Err(NameError::Wildcard);
    }
    Ok(child)
}

fn invalid(field: &str, message: impl Into<String>) -> Fault<Reason> {
    Fault::stalled(Reason::InvalidMail, message, "").at(field)
}

struct Unit {
    ttl: u32,
    sets: BTreeMap<(Fqdn, RecordType), BTreeSet<String>>,
}

impl Unit {
    fn add(&mut self, name: Fqdn, type_: RecordType, value: String) {
        self.sets.entry((name, type_)).or_default().insert(value);
    }

    fn text(&mut self, name: Fqdn, text: &str, field: &str) -> Result<(), Fault<Reason>> {
        let value = canonical(&RecordType::Txt, text).map_err(|error| invalid(field, error.reason))?;
        self.add(name, RecordType::Txt, value);
        Ok(())
    }

    fn key(&mut self, name: &Fqdn, key: &Dkim, field: &str) -> Result<(), Fault<Reason>> {
        let selector = format!("{field}.selector");
        let at = key_name(name, &key.selector).map_err(|error| invalid(&selector, error.to_string()))?;
        if self.sets.keys().any(|(known, _)| *known == at) {
            return Err(invalid(
                &selector,
                format!("the selector {} is there twice", key.selector),
            ));
        }
        match (&key.record, &key.target) {
            (Some(record), None) => {
                let field = format!("{field}.record");
                dkim::parse(record).map_err(|error| invalid(&field, error))?;
                self.text(at, record, &field)
            }
            (None, Some(target)) => {
                let field = format!("{field}.target");
                let value = canonical(&RecordType::Cname, target).map_err(|error| invalid(&field, error.reason))?;
                if value == at.as_str() {
                    return Err(invalid(&field, "it would lead to itself"));
                }
                self.add(at, RecordType::Cname, value);
                Ok(())
            }
            _ => Err(invalid(field, "exactly one of record and target is needed")),
        }
    }

    fn sets(self) -> Vec<RrSet> {
        let set = |((name, type_), values)| RrSet {
            name,
            type_,
            ttl: self.ttl,
            values,
        };
        self.sets.into_iter().map(set).collect()
    }
}

#[cfg(test)]
mod tests;
