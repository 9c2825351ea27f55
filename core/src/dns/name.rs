//! Canonical names: lower-case A-labels, no dot at the end. Two spellings of one name are one value.

use std::fmt;
use std::str::FromStr;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// The longest name, in octets, without the dot at its end (RFC 1035, 2.3.4).
pub const LONGEST: usize = 253;
/// The longest label, in octets (RFC 1035, 2.3.4).
const LONGEST_LABEL: usize = 63;

/// An absolute name in canonical form: lower case, A-labels (RFC 5890), without the dot at its end.
///
/// `*` is allowed as the whole first label (RFC 4592); `_` anywhere in a label (RFC 8552).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fqdn(String);

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is there.
    #[error("is empty")]
    Empty,
    /// Two dots, or one at the beginning.
    #[error("has an empty label: remove the doubled or leading dot")]
    EmptyLabel,
    /// A label is longer than 63 octets as an A-label.
    #[error("has a label longer than 63 octets: {0}")]
    LongLabel(String),
    /// The whole is longer than 253 octets.
    #[error("is longer than 253 octets")]
    Long,
    /// A label that is no host name's, not even after mapping.
    #[error("has a label that DNS names cannot have: {0:?} (letters, digits, - inside, and _ are allowed)")]
    Label(String),
    /// `*` elsewhere than as the whole first label.
    #[error("has a * that is not its whole first label")]
    Wildcard,
    /// An address.
    #[error("is an address, not a name")]
    Address,
    /// A single label.
    #[error("is not absolute: write it with its domain")]
    Single,
}

impl Fqdn {
    /// Reads a name of at least two labels; one dot at the end is allowed.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Err(NameError::Address);
        }
        // Longer than any mapping can shorten to a name.
        if text.len() > 4 * LONGEST {
            return Err(NameError::Long);
        }
        let labels: Vec<String> = text
            .split('.')
            .enumerate()
            .map(|(index, label)| canonical_label(index, label))
            .collect::<Result<_, _>>()?;
        let name = labels.join(".");
        if name.len() > LONGEST {
            return Err(NameError::Long);
        }
        // `127.1` and `0x7f.0.0.1` are addresses to most programs (WHATWG URL, "ends in a number"), and no domain ends so.
        if labels.last().is_some_and(|label| is_number(label)) {
            return Err(NameError::Address);
        }
        if labels.len() < 2 {
            return Err(NameError::Single);
        }
        Ok(Self(name))
    }

    /// Without the dot at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// With the dot at its end.
    pub fn absolute(&self) -> String {
        format!("{}.", self.0)
    }

    /// From the left.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// How many labels it has.
    pub fn depth(&self) -> usize {
        self.labels().count()
    }

    /// Whether it is `zone` or below it.
    pub fn is_within(&self, zone: &Self) -> bool {
        self == zone || self.is_below(zone)
    }

    /// Whether it is below `zone`, and not `zone` itself.
    pub fn is_below(&self, zone: &Self) -> bool {
        self.0
            .strip_suffix(zone.as_str())
            .is_some_and(|rest| rest.ends_with('.'))
    }

    /// The part before `zone`: empty at the apex; `None` when it is not within.
    pub fn relative_to(&self, zone: &Self) -> Option<&str> {
        if self == zone {
            return Some("");
        }
        self.0.strip_suffix(zone.as_str())?.strip_suffix('.')
    }

    /// How many labels it has below `zone`; `None` when it is not within.
    pub fn depth_below(&self, zone: &Self) -> Option<usize> {
        let relative = self.relative_to(zone)?;
        Some(if relative.is_empty() {
            0
        } else {
            relative.split('.').count()
        })
    }

    /// Its last labels, `depth` of them below `zone`. `None` when it has fewer, or is not within.
    pub fn cut(&self, zone: &Self, depth: usize) -> Option<Self> {
        let below = self.depth_below(zone)?;
        let skip = below.checked_sub(depth)?;
        let labels: Vec<_> = self.labels().skip(skip).collect();
        Some(Self(labels.join(".")))
    }

    /// The name without its first label; `None` when a single label would be left.
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_once('.')?;
        rest.contains('.').then(|| Self(rest.to_owned()))
    }

    /// A name below this one.
    ///
    /// # Errors
    /// When it gets too long, or the label is none.
    pub fn child(&self, label: &str) -> Result<Self, NameError> {
        Self::parse(&format!("{label}.{}", self.0))
    }

    /// The name that it says something about: without the labels before it of services, keys and policies (RFC 8552), such
    /// as `_dmarc`.
    #[must_use]
    pub fn host(&self) -> Self {
        let after = self.0.rsplit_once('_').and_then(|(_, label)| label.split_once('.'));
        match after {
            Some((_, host)) if host.contains('.') => Self(host.to_owned()),
            _ => self.clone(),
        }
    }

    /// The first label.
    pub fn first_label(&self) -> &str {
        self.labels().next().unwrap_or_default()
    }

    /// Whether its first label is `*`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// Whether it could be a host's: no label has a `*` or `_`.
    pub fn is_host(&self) -> bool {
        !self.0.contains(['*', '_'])
    }
}

fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .map(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
    hexadecimal.unwrap_or_else(|| label.chars().all(|c| c.is_ascii_digit()))
}

fn canonical_label(index: usize, label: &str) -> Result<String, NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if label == "*" {
        return if index == 0 {
            Ok("*".to_owned())
        } else {
            Err(NameError::Wildcard)
        };
    }
    if label.contains('*') {
        return Err(NameError::Wildcard);
    }
    let too_long = || NameError::LongLabel(label.chars().take(80).collect());
    if label.contains('_') {
        // Not for IDNA: labels of services, keys and proofs (RFC 8552).
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !label.chars().all(plain) || label.ends_with('-') {
            return Err(NameError::Label(label.chars().take(80).collect()));
        }
        return if label.len() > LONGEST_LABEL {
            Err(too_long())
        } else {
            Ok(label.to_ascii_lowercase())
        };
    }
    let mapped = Uts46::new().to_ascii(
        label.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
        DnsLength::Ignore,
    );
    match mapped {
        // A full stop of another script becomes a dot: the label is two.
        Ok(mapped) if mapped.is_empty() || mapped.contains('.') => {
            Err(NameError::Label(label.chars().take(80).collect()))
        }
        Ok(mapped) if mapped.len() > LONGEST_LABEL => Err(too_long()),
        Ok(mapped) => Ok(mapped.into_owned()),
        Err(_) => Err(NameError::Label(label.chars().take(80).collect())),
    }
}

impl fmt::Display for Fqdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Fqdn {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Fqdn {
        Fqdn::parse(text).unwrap()
    }

    #[test]
    fn spellings_of_one_name_are_one_value() {
        for spelling in [
            "Mon-App.Incubateur.NET",
            "mon-app.incubateur.net.",
            "mon-app.incubateur.net",
        ] {
            assert_eq!(name(spelling).as_str(), "mon-app.incubateur.net");
        }
        assert_eq!(name("Été.example.org").as_str(), "xn--t-9fab.example.org");
        assert_eq!(name("XN--T-9FAB.example.org"), name("e\u{301}t\u{e9}.example.org"));
        assert_eq!(name("_DMARC.Example.org").as_str(), "_dmarc.example.org");
    }

    #[test]
    fn what_is_no_name_says_why() {
        let long = format!("{}.org", "a".repeat(64));
        let longest = format!("{}.org", vec!["a".repeat(49); 5].join("."));
        assert_eq!(longest.len(), 253);
        assert!(Fqdn::parse(&longest).is_ok());
        for (text, error) in [
            ("", NameError::Empty),
            (".", NameError::Empty),
            ("a..b", NameError::EmptyLabel),
            (".a.b", NameError::EmptyLabel),
            ("a.b..", NameError::EmptyLabel),
            ("localhost", NameError::Single),
            ("192.0.2.1", NameError::Address),
            ("127.1", NameError::Address),
            ("0x7f.0.0.1", NameError::Address),
            ("127.0.0.0x1", NameError::Address),
            ("2130706433", NameError::Address),
            ("\u{ff11}27.0.0.1", NameError::Address),
            ("010.0.0.1.", NameError::Address),
            ("a.*.b", NameError::Wildcard),
            ("a*.b", NameError::Wildcard),
            (&format!("a{longest}"), NameError::Long),
            ("a b.c", NameError::Label("a b".into())),
            ("-a.b", NameError::Label("-a".into())),
            ("a\u{3002}b.c", NameError::Label("a\u{3002}b".into())),
        ] {
            assert_eq!(Fqdn::parse(text), Err(error), "{text:?}");
        }
        assert!(matches!(Fqdn::parse(&long), Err(NameError::LongLabel(_))));
    }

    #[test]
    fn a_name_knows_where_it_is() {
        let zone = name("beta.gouv.fr");
        let deep = name("_acme-challenge.x.beta.gouv.fr");
        assert_eq!(deep.relative_to(&zone), Some("_acme-challenge.x"));
        assert_eq!(deep.cut(&zone, 1), Some(name("x.beta.gouv.fr")));
        assert_eq!(deep.cut(&zone, 3), None);
        assert_eq!(zone.cut(&zone, 1), None);
        assert!(!name("notbeta.gouv.fr").is_within(&zone));
        assert!(zone.is_within(&zone) && !zone.is_below(&zone));
        assert_eq!(name("gouv.fr").parent(), None);
    }

    proptest! {
        #[test]
        fn canonical_names_stay_as_they_are(text in "[-a-zA-Z0-9_*.éßİ。ａ]{1,40}") {
            if let Ok(once) = Fqdn::parse(&text) {
                prop_assert_eq!(Fqdn::parse(once.as_str()), Ok(once.clone()));
                prop_assert!(once.as_str().len() <= LONGEST && once.as_str().is_ascii());
            }
        }
    }
}
