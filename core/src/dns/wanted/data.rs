//! One target, one value: syntax, and the rules that a team's data keep beyond it.

use std::net::IpAddr;

use crate::dns::name::Fqdn;
use crate::dns::rrset::{RecordType, canonical};

/// Where a target leads.
pub enum Target {
    Address(IpAddr),
    Host(Fqdn),
}

/// Reads a target.
pub fn target(text: &str) -> Result<Target, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Target::Address(address));
    }
    match Fqdn::parse(text) {
        Ok(host) if host.is_wildcard() => Err("a wildcard is no host".to_owned()),
        Ok(host) => Ok(Target::Host(host)),
        Err(error) => Err(format!("{:?} {error}", shortened(text))),
    }
}

/// Data of a type in canonical form, with the rules that a team's data keep beyond its syntax.
pub fn value(type_: &RecordType, text: &str) -> Result<String, (String, &'static str)> {
    if *type_ == RecordType::Txt && text.len() > 1 && text.starts_with('"') && text.ends_with('"') {
        return Err((
            "the quotes would be part of the text".to_owned(),
            "write the text as it is meant, without quotes and escapes",
        ));
    }
    let value = canonical(type_, text).map_err(|error| (error.to_string(), "correct it"))?;
    if *type_ == RecordType::Txt && value.starts_with("heritage=") {
        return Err((
            "a text that begins with heritage= tells a DNS controller whose a name is".to_owned(),
            "write another text",
        ));
    }
    let host = match type_ {
        RecordType::Alias | RecordType::Mx | RecordType::Ns | RecordType::Srv => value.rsplit(' ').next(),
        _ => None,
    };
    if let Some(host) = host.filter(|host| host.contains('_')) {
        return Err((format!("{host} has a _, and is no host"), "write a host's name"));
    }
    Ok(value)
}

/// The digest of a DS record is as long as its type says (RFC 4034, RFC 4509, RFC 6605); other types are not for us to
/// judge.
pub fn digest_length(signer: &str) -> Result<(), (String, &'static str)> {
    let mut parts = signer.split(' ').skip(2);
    let (kind, digest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let characters = match kind {
        "1" => 40,
        "2" => 64,
        "4" => 96,
        _ => return Ok(()),
    };
    if digest.len() == characters {
        return Ok(());
    }
    let message = format!(
        "a digest of type {kind} has {characters} hexadecimal digits, not {}",
        digest.len()
    );
    Err((message, "copy the whole DS record from the child zone"))
}

fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}
