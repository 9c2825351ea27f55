//! What others answered about where records lead. Whoever judges says what he still wants to know, and is asked again when
//! it is known.

use std::collections::BTreeMap;

use crate::dns::name::Fqdn;

/// What was asked, and what the answer was.
pub type Facts = BTreeMap<Question, Answer>;

/// A question to the DNS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// About which name.
    pub name: Fqdn,
    /// What about it.
    pub kind: Kind,
}

impl Question {
    /// A question.
    pub fn new(name: &Fqdn, kind: Kind) -> Self {
        Self {
            name: name.clone(),
            kind,
        }
    }
}

/// What is asked about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Whether it exists at all, aliases followed.
    Name,
    /// Its texts (TXT), aliases followed.
    Text,
    /// Whether it has an address (A or AAAA).
    Address,
    /// Whether it has mail exchangers (MX).
    Mx,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The texts, each joined to one (see [`crate::dns::rrset::unquoted`]).
    Texts(Vec<String>),
    /// Yes: there is what was asked for, at the name itself.
    Found,
    /// There is what was asked for, but the name is an alias (CNAME).
    Alias,
    /// No: the name does not exist, has none of it, or does not do it.
    Nothing,
    /// A time-out, or a fault of the server: nobody knows.
    Unknown,
}

/// How many octets of texts are kept of one answer: policies, keys and verifications of a whole organisation are fewer.
const MOST_TEXT: usize = 16 * 1024;

impl Answer {
    /// Without the texts that are too many: anybody may publish 64 KiB at a name to which a record leads.
    #[must_use]
    pub fn bounded(self) -> Self {
        let Self::Texts(mut texts) = self else { return self };
        let mut left = MOST_TEXT;
        texts.retain(|text| {
            let fits = text.len() <= left;
            left -= if fits { text.len() } else { 0 };
            fits
        });
        Self::Texts(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_kept_with_more_text_than_is_needed() {
        let policy = "v=spf1 -all".to_owned();
        let answer = Answer::Texts(vec!["x".repeat(60_000), policy.clone()]);
        assert_eq!(answer.bounded(), Answer::Texts(vec![policy]));
        assert_eq!(Answer::Found.bounded(), Answer::Found);
    }
}
