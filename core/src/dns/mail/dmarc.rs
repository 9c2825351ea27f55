//! DMARC records: their syntax (RFC 7489 6.3, 6.4).

use super::tags::Tags;
use crate::dns::rrset::number;

/// What is to become of mail that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing: it is reported.
    None,
    /// It is treated as suspect.
    Quarantine,
    /// It is refused.
    Reject,
}

/// A record that receivers understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dmarc {
    /// What is to become of mail that fails.
    pub policy: Policy,
    /// Whether reports are asked for.
    pub reported: bool,
}

/// Whether a text is meant as a DMARC record (6.6.3).
pub fn is_dmarc(text: &str) -> bool {
    text.trim_start().starts_with("v=DMARC1")
}

/// Reads a record.
///
/// # Errors
/// Why receivers would pass it over, or not do as it says, in words.
pub fn parse(text: &str) -> Result<Dmarc, String> {
    let tags = Tags::parse(text)?;
    if tags.first() != Some(("v", "DMARC1")) {
        return Err("it does not begin with v=DMARC1".into());
    }
    let policy = |name: &str| match tags.get(name).map(str::to_ascii_lowercase).as_deref() {
        None => Ok(None),
        Some("none") => Ok(Some(Policy::None)),
        Some("quarantine") => Ok(Some(Policy::Quarantine)),
        Some("reject") => Ok(Some(Policy::Reject)),
        Some(other) => Err(format!("{name}={other} is none of none, quarantine, reject")),
    };
    let own = policy("p")?.ok_or("the policy is missing: p=none, p=quarantine or p=reject")?;
    policy("sp")?;
    one_of(&tags, "adkim", &["r", "s"])?;
    one_of(&tags, "aspf", &["r", "s"])?;
    if let Some(options) = tags.get("fo")
        && !options
            .split(':')
            .all(|option| ["0", "1", "d", "s"].contains(&option.trim()))
    {
        return Err(format!("fo={options} is no list of 0, 1, d and s, separated by colons"));
    }
    if let Some(percent) = tags.get("pct")
        && number::<u8>(percent).is_none_or(|percent| percent > 100)
    {
        return Err(format!("pct={percent} is no number from 0 to 100"));
    }
    if let Some(seconds) = tags.get("ri")
        && number::<u32>(seconds).is_none()
    {
        return Err(format!("ri={seconds} is no number of seconds"));
    }
    for name in ["rua", "ruf"] {
        for address in tags.get(name).into_iter().flat_map(|list| list.split(',')) {
            report(address.trim())
                .ok_or_else(|| format!("{name}={address} is no address, such as mailto:dmarc@example.org"))?;
        }
    }
    Ok(Dmarc {
        policy: own,
        reported: tags.get("rua").is_some(),
    })
}

fn one_of(tags: &Tags<'_>, name: &str, allowed: &[&str]) -> Result<(), String> {
    match tags.get(name) {
        Some(value) if !allowed.contains(&value.to_ascii_lowercase().as_str()) => {
            Err(format!("{name}={value} is none of {}", allowed.join(", ")))
        }
        _ => Ok(()),
    }
}

/// `mailto:` with an address, and perhaps the greatest size of a report: `!10m`.
fn report(text: &str) -> Option<()> {
    let (scheme, address) = text.split_once(':')?;
    let (address, size) = address.split_once('!').unwrap_or((address, "1"));
    let digits = size
        .strip_suffix(['k', 'm', 'g', 't', 'K', 'M', 'G', 'T'])
        .unwrap_or(size);
    let (local, domain) = address.rsplit_once('@')?;
    let sized = number::<u64>(digits).is_some();
    let plain = !local.is_empty() && local.chars().all(|c| c.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("mailto") && sized && plain && crate::dns::Fqdn::parse(domain).is_ok()).then_some(())
}

#[cfg(test)]
mod tests;
