//! DKIM key records: their syntax, and whether the key is one that receivers take (RFC 6376, 8301, 8463).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::tags::Tags;

/// RSA keys shorter than this are not taken (RFC 8301 3.2), in bits.
const SHORTEST_RSA: usize = 1024;
/// RSA keys should be at least this long (RFC 8301 3.2), in bits.
const GOOD_RSA: usize = 2048;
/// An Ed25519 key, in octets (RFC 8463 4).
const ED25519: usize = 32;

/// A key that receivers take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What it is, such as `rsa, 2048 bits`.
    pub kind: String,
    /// What could be better.
    pub advice: Vec<String>,
}

/// Reads a record.
///
/// # Errors
/// Why receivers would not use it, in words.
pub fn parse(text: &str) -> Result<Key, String> {
    let tags = Tags::parse(text)?;
    if let Some(version) = tags.get("v")
        && (version != "DKIM1" || tags.first() != Some(("v", version)))
    {
        return Err("v= is not DKIM1, or not the first tag".into());
    }
    let Some(data) = tags.get("p") else {
        return Err("the key is missing: p=…".into());
    };
    let data: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    if data.is_empty() {
        return Err("p= is empty, which says that the key was revoked".into());
    }
    // Padding is left out by some.
    let forgiving = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let octets = GeneralPurpose::new(&STANDARD, forgiving)
        .decode(data)
        .map_err(|error| format!("p= is no base64: {error}"))?;
    let listed = |tag: &str, word: &str| {
        tags.get(tag).is_none_or(|list| {
            list.split(':')
                .any(|entry| matches!(entry.trim(), "*") || entry.trim() == word)
        })
    };
    if !listed("h", "sha256") {
        return Err("h= does not allow sha256, the only hash that receivers take".into());
    }
    if !listed("s", "email") {
        return Err("s= does not allow email".into());
    }
    let mut key = match tags.get("k").unwrap_or("rsa") {
        "rsa" => rsa(&octets)?,
        "ed25519" if octets.len() == ED25519 => Key {
            kind: "ed25519".into(),
            advice: Vec::new(),
        },
        "ed25519" => return Err(format!("an Ed25519 key has {ED25519} octets, not {}", octets.len())),
        other => return Err(format!("k={other} is no kind of key (rsa, ed25519)")),
    };
    if tags
        .get("t")
        .is_some_and(|flags| flags.split(':').any(|flag| flag.trim() == "y"))
    {
        key.advice
            .push("t=y says that signatures are only being tried: receivers may ignore them".into());
    }
    Ok(key)
}

fn rsa(octets: &[u8]) -> Result<Key, String> {
    let bits = modulus_bits(octets).ok_or("p= holds no RSA key: copy the whole record")?;
    if bits < SHORTEST_RSA {
        return Err(format!(
            "the RSA key has {bits} bits: receivers take {SHORTEST_RSA} and more"
        ));
    }
    let mut advice = Vec::new();
    if bits < GOOD_RSA {
        advice.push(format!(
            "the RSA key has {bits} bits: ask the mail service for one of {GOOD_RSA}"
        ));
    }
    Ok(Key {
        kind: format!("rsa, {bits} bits"),
        advice,
    })
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// The length of an RSA key: of a SubjectPublicKeyInfo, as everybody writes it, or of a bare RSAPublicKey (RFC 6376,
/// erratum 3017).
fn modulus_bits(octets: &[u8]) -> Option<usize> {
    let (outer, []) = element(octets, SEQUENCE)? else {
        return None;
    };
    let bare = if outer.first() == Some(&INTEGER) {
        outer
    } else {
        let (_algorithm, rest) = element(outer, SEQUENCE)?;
        let (bits, _) = element(rest, BIT_STRING)?;
        element(bits.strip_prefix(&[0])?, SEQUENCE)?.0
    };
    let (modulus, rest) = element(bare, INTEGER)?;
    element(rest, INTEGER)?;
    let leading = modulus.iter().take_while(|octet| **octet == 0).count();
    let first = modulus.get(leading)?;
    Some((modulus.len() - leading) * 8 - first.leading_zeros() as usize)
}

/// The content of a DER element with that tag, and what comes after it.
fn element(octets: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81 => rest.split_first().map(|(one, rest)| (usize::from(*one), rest))?,
        0x82 => {
            let (two, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*two)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
pub(super) mod tests;
