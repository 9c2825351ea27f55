//! Approvals of the platform team, as they stand in an annotation.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::dns::name::Fqdn;
use crate::dns::rrset::RrSet;

/// An approval of the platform team: these data, at this name, of this type. Other data need another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Approval {
    /// The canonical name.
    pub name: String,
    /// The type.
    pub type_: String,
    /// A hash of the data; see [`Approval::of`].
    pub hash: String,
}

impl Approval {
    /// What must be approved for a record set. Its TTL is not part of it.
    pub fn of(set: &RrSet) -> Self {
        let mut hasher = Sha256::new();
        for value in &set.values {
            hasher.update((value.len() as u64).to_be_bytes());
            hasher.update(value.as_bytes());
        }
        // Half of the digest: still more than anybody can find a second text for.
        let half = hasher.finalize().first_chunk().copied().map_or(0, u128::from_be_bytes);
        Self {
            name: set.name.as_str().to_owned(),
            type_: set.type_.as_str().to_owned(),
            hash: format!("{half:032x}"),
        }
    }

    /// Reads the annotation `tremplin.dev/approved`: `name/type/hash`, separated by commas. What is no approval approves
    /// nothing and is left out.
    pub fn parse(annotation: &str) -> Vec<Self> {
        let entry = |text: &str| {
            let mut parts = text.trim().split('/');
            let (name, type_, hash) = (parts.next()?, parts.next()?, parts.next()?);
            parts.next().is_none().then(|| Self {
                name: Fqdn::parse(name).map_or_else(|_| name.to_owned(), |name| name.as_str().to_owned()),
                type_: type_.to_ascii_uppercase(),
                hash: hash.to_ascii_lowercase(),
            })
        };
        annotation.split(',').filter_map(entry).collect()
    }

    /// The annotation that approves it beside what is approved already.
    pub fn beside(&self, given: &[Self]) -> String {
        let all: Vec<_> = given.iter().chain([self]).map(ToString::to_string).collect();
        all.join(",")
    }
}

/// An entry of the annotation.
impl fmt::Display for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.name, self.type_, self.hash)
    }
}
