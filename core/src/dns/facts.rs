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
