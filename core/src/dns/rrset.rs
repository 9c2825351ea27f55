//! Record sets: all data of one type at one name, in one canonical form, so that two spellings compare as equal.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::name::{Fqdn, NameError};

/// The type of a record set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses (RFC 3596).
    Aaaa,
    /// Another name for a host.
    Cname,
    /// A provider's own: answered with the addresses of a host.
    Alias,
    /// Texts.
    Txt,
    /// Mail exchangers.
    Mx,
    /// Certification authorities (RFC 8659).
    Caa,
    /// Services (RFC 2782).
    Srv,
    /// Name servers.
    Ns,
    /// Delegation signers (RFC 4034).
    Ds,
    /// The start of the zone.
    Soa,
    /// Any other, in upper case. Ours is never of such a type.
    Other(String),
}

impl RecordType {
    /// The mnemonic, such as `AAAA`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Alias => "ALIAS",
            Self::Txt => "TXT",
            Self::Mx => "MX",
            Self::Caa => "CAA",
            Self::Srv => "SRV",
            Self::Ns => "NS",
            Self::Ds => "DS",
            Self::Soa => "SOA",
            Self::Other(name) => name,
        }
    }

    /// From its mnemonic, in any case.
    pub fn of(mnemonic: &str) -> Self {
        let upper = mnemonic.to_ascii_uppercase();
        match upper.as_str() {
            "A" => Self::A,
            "AAAA" => Self::Aaaa,
            "CNAME" => Self::Cname,
            "ALIAS" | "ANAME" => Self::Alias,
            "TXT" => Self::Txt,
            "MX" => Self::Mx,
            "CAA" => Self::Caa,
            "SRV" => Self::Srv,
            "NS" => Self::Ns,
            "DS" => Self::Ds,
            "SOA" => Self::Soa,
            _ => Self::Other(upper),
        }
    }

    /// Whether two types may be at one name: a CNAME stands alone (RFC 1034, 3.6.2), an ALIAS answers for A and AAAA, and
    /// beside the NS of a delegation the parent has its DS alone (RFC 2181, 6).
    pub fn may_stand_beside(&self, other: &Self) -> bool {
        use RecordType::{A, Aaaa, Alias, Cname, Ds, Ns};
        match (self, other) {
            (one, other) if one == other => true,
            (Cname, _) | (_, Cname) | (Alias, A | Aaaa) | (A | Aaaa, Alias) => false,
            (Ns, other) | (other, Ns) => matches!(other, Ds),
            _ => true,
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// All data of one type at one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RrSet {
    /// Its name.
    pub name: Fqdn,
    /// Its type.
    pub type_: RecordType,
    /// How long it may be kept, in seconds.
    pub ttl: u32,
    /// Its data, each in the form of [`canonical`].
    pub values: BTreeSet<String>,
}

/// The most octets that a record set may take in a message (see [`RrSet::size`]): an update names what was there and what is
/// to be there, and a message of the DNS has 65,535.
pub const LARGEST: usize = 30_000;

impl RrSet {
    /// About how many octets its data take in a message: a text has one more for every 255, each record twelve.
    pub fn size(&self) -> usize {
        let records = self.values.iter().map(|value| value.len() + value.len() / 255 + 1 + 12);
        records.sum()
    }
}

/// Why data cannot be of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} cannot be the data of a record of type {type_}: {reason}")]
pub struct DataError {
    /// The type.
    pub type_: RecordType,
    /// What was given.
    pub value: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The canonical form of data, which is what record sets hold and what providers are given to translate:
/// names without the dot at their end (but `.` alone for the root), addresses as the standard library writes them, TXT
/// as the joined text without quotes and escapes, the rest in presentation form with single spaces.
///
/// # Errors
/// When the data cannot be of the type.
pub fn canonical(type_: &RecordType, value: &str) -> Result<String, DataError> {
    let wrong = |reason: String| DataError {
        type_: type_.clone(),
        value: value.chars().take(120).collect(),
        reason,
    };
    let parts: Vec<&str> = value.split_ascii_whitespace().collect();
    match (type_, parts.as_slice()) {
        (RecordType::A, [address]) => address
            .parse::<Ipv4Addr>()
            .map(|address| address.to_string())
            .map_err(|_| wrong("it is no IPv4 address".into())),
        (RecordType::Aaaa, [address]) => address
            .parse::<Ipv6Addr>()
            .map(|address| address.to_string())
            .map_err(|_| wrong("it is no IPv6 address".into())),
        (RecordType::Cname | RecordType::Alias | RecordType::Ns, [host]) => {
            target(host).map_err(|error| wrong(format!("the host {error}")))
        }
        (RecordType::Mx, [preference, host]) => {
            let preference: u16 = number(preference).ok_or_else(|| wrong("the preference is no number".into()))?;
            let host = target_or_root(host).map_err(|error| wrong(format!("the host {error}")))?;
            Ok(format!("{preference} {host}"))
        }
        (RecordType::Srv, [priority, weight, port, host]) => {
            let numbers = [priority, weight, port].map(|text| number::<u16>(text));
            let [Some(priority), Some(weight), Some(port)] = numbers else {
                return Err(wrong("priority, weight and port are numbers up to 65535".into()));
            };
            let host = target_or_root(host).map_err(|error| wrong(format!("the host {error}")))?;
            Ok(format!("{priority} {weight} {port} {host}"))
        }
        (RecordType::Caa, [flags_text, tag, ..]) => {
            let flags: u8 = number(flags_text).ok_or_else(|| wrong("the flags are a number up to 255".into()))?;
            if tag.is_empty() || !tag.chars().all(|c| c.is_ascii_alphanumeric()) {
                return Err(wrong("the tag is letters and digits, such as issue".into()));
            }
            // What stands behind the tag, however much space there is between.
            let behind = value
                .trim_start()
                .strip_prefix(flags_text)
                .unwrap_or_default()
                .trim_start();
            let text = behind.strip_prefix(*tag).unwrap_or_default().trim();
            let text = text
                .strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'))
                .unwrap_or(text);
            let printable = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
            if !printable || text.contains(['"', '\\']) || text.is_empty() && parts.len() < 3 {
                return Err(wrong("it is written as: 0 issue \"authority.example\"".into()));
            }
            Ok(format!("{flags} {} \"{text}\"", tag.to_ascii_lowercase()))
        }
        (RecordType::Ds, [tag, algorithm, digest_type, digest @ ..]) if !digest.is_empty() => {
            let tag: Option<u16> = number(tag);
            let (algorithm, digest_type): (Option<u8>, Option<u8>) = (number(algorithm), number(digest_type));
            let digest = digest.concat().to_ascii_lowercase();
            let (Some(tag), Some(algorithm), Some(digest_type)) = (tag, algorithm, digest_type) else {
                return Err(wrong("key tag, algorithm and digest type are numbers".into()));
            };
            if digest.len() % 2 != 0 || !digest.chars().all(|c| c.is_ascii_hexdigit()) {
                return Err(wrong("the digest is hexadecimal".into()));
            }
            Ok(format!("{tag} {algorithm} {digest_type} {digest}"))
        }
        (RecordType::Txt, _) => text(value).map_err(wrong),
        (RecordType::Soa | RecordType::Other(_), _) => Ok(parts.join(" ")),
        _ => Err(wrong(format!("it is written as: {}", example(type_)))),
    }
}

fn example(type_: &RecordType) -> &'static str {
    match type_ {
        RecordType::A => "192.0.2.1",
        RecordType::Aaaa => "2001:db8::1",
        RecordType::Mx => "10 mail.example.org",
        RecordType::Srv => "0 5 5060 sip.example.org",
        RecordType::Caa => "0 issue \"letsencrypt.org\"",
        RecordType::Ds => "12345 13 2 0123456789abcdef…",
        _ => "host.example.org",
    }
}

/// Texts longer than this are refused: an answer has to fit, with its name, into 64 KiB.
const LONGEST_TEXT: usize = 60_000;

/// The text that is wanted: any characters but control characters and U+FFFD. As a team writes it, without quotes.
fn text(value: &str) -> Result<String, String> {
    if value.len() > LONGEST_TEXT {
        return Err(format!("it is longer than {LONGEST_TEXT} octets"));
    }
    if value.is_empty() {
        return Err("it is empty".into());
    }
    if value.chars().any(char::is_control) {
        return Err("it has a line break or another control character".into());
    }
    if value.contains(char::REPLACEMENT_CHARACTER) {
        // What a text reads as that is no UTF-8: the two could not be told apart.
        return Err("it has the character U+FFFD, or octets that are no UTF-8".into());
    }
    Ok(value.to_owned())
}

pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    text.chars()
        .all(|c| c.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

fn target(host: &str) -> Result<String, NameError> {
    let name = Fqdn::parse(host)?;
    if name.is_wildcard() {
        return Err(NameError::Wildcard);
    }
    Ok(name.as_str().to_owned())
}

fn target_or_root(host: &str) -> Result<String, NameError> {
    if host == "." { Ok(".".into()) } else { target(host) }
}

/// A text of a TXT record in presentation form: quoted strings of at most 255 octets each (RFC 1035, 3.3 and 5.1).
pub fn quoted(text: &str) -> String {
    let mut strings = Vec::new();
    let mut current = String::new();
    let mut length = 0;
    for c in text.chars() {
        if length + c.len_utf8() > 255 {
            strings.push(std::mem::take(&mut current));
            length = 0;
        }
        length += c.len_utf8();
        match c {
            '"' | '\\' => {
                current.push('\\');
                current.push(c);
            }
            c if c.is_ascii() && !c.is_ascii_control() => current.push(c),
            c => {
                let mut octets = [0; 4];
                for octet in c.encode_utf8(&mut octets).bytes() {
                    // Writing to a string does not fail.
                    let _ = write!(current, "\\{octet:03}");
                }
            }
        }
    }
    strings.push(current);
    strings
        .iter()
        .map(|string| format!("\"{string}\""))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The text of a TXT record in presentation form: strings joined, quotes and escapes undone. A text without quotes is
/// taken as one string per word, as zone files have it; octets that are no UTF-8 become U+FFFD.
pub fn unquoted(presentation: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = presentation.trim().bytes().peekable();
    let mut inside = false;
    while let Some(octet) = rest.next() {
        match octet {
            b'"' => inside = !inside,
            b'\\' => {
                let digits: Vec<u8> = rest.clone().take(3).collect();
                let number = std::str::from_utf8(&digits)
                    .ok()
                    .filter(|d| d.len() == 3)
                    .and_then(number::<u8>);
                if let Some(number) = number {
                    octets.push(number);
                    rest.nth(2);
                } else {
                    octets.extend(rest.next());
                }
            }
            b' ' | b'\t' if !inside => {}
            octet => octets.push(octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_the_same_data_are_equal() {
        for (type_, one, other) in [
            (RecordType::Aaaa, "2001:DB8:0::1", "2001:db8::1"),
            (RecordType::Cname, "Host.Example.ORG.", "host.example.org"),
            (RecordType::Mx, "010  Mail.example.org.", "10 mail.example.org"),
            (RecordType::Mx, "0 .", "0 ."),
            (
                RecordType::Caa,
                "0 ISSUE letsencrypt.org",
                "0 issue \"letsencrypt.org\"",
            ),
            (RecordType::Srv, "0 5 5060 SIP.example.org.", "0 5 5060 sip.example.org"),
            (RecordType::Ds, "1 13 2 AB CD", "1 13 2 abcd"),
        ] {
            assert_eq!(canonical(&type_, one), canonical(&type_, other), "{one}");
            let once = canonical(&type_, one).unwrap();
            assert_eq!(canonical(&type_, &once), Ok(once));
        }
    }

    #[test]
    fn data_of_another_type_is_refused_with_an_example() {
        for (type_, value) in [
            (RecordType::A, "2001:db8::1"),
            (RecordType::A, "256.0.0.1"),
            (RecordType::A, "010.0.0.1"),
            (RecordType::Cname, "*.example.org"),
            (RecordType::Cname, "a b"),
            (RecordType::Cname, "192.0.2.1"),
            (RecordType::Mx, "mail.example.org"),
            (RecordType::Mx, "-1 mail.example.org"),
            (RecordType::Mx, "65536 mail.example.org"),
            (RecordType::Caa, "0 issue"),
            (RecordType::Ds, "1 13 2 xyz"),
            (RecordType::Txt, "a\nb"),
            (RecordType::Txt, ""),
        ] {
            assert!(canonical(&type_, value).is_err(), "{type_} {value}");
        }
    }

    #[test]
    fn a_long_text_is_split_and_joined_again() {
        let long = "k=rsa; p=".to_owned() + &"A".repeat(400);
        let written = quoted(&long);
        assert_eq!(written.matches('"').count(), 4);
        assert_eq!(unquoted(&written), long);
        assert_eq!(quoted("a\"b\\c"), r#""a\"b\\c""#);
        assert_eq!(unquoted("v=spf1"), "v=spf1");
    }

    proptest! {
        #[test]
        fn texts_survive_quoting(text in "[^\\p{Cc}]{1,600}") {
            prop_assert_eq!(unquoted(&quoted(&text)), text);
        }
    }
}
