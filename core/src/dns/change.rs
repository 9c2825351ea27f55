//! What is done to a zone: one record set at a time, and never more than that.

use super::name::Fqdn;
use super::rrset::{RecordType, RrSet};

/// A change of one record set. What was there before is known, so that a provider that can compares and swaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is there now, as it was read; `None`: nothing.
    pub before: Option<RrSet>,
    /// What is to be there; `None`: nothing.
    pub after: Option<RrSet>,
}

impl Change {
    /// Makes a set that is not there.
    pub fn create(after: RrSet) -> Self {
        Self {
            before: None,
            after: Some(after),
        }
    }

    /// Removes a set.
    pub fn delete(before: RrSet) -> Self {
        Self {
            before: Some(before),
            after: None,
        }
    }

    /// Puts another set of the same name and type in its place.
    pub fn replace(before: RrSet, after: RrSet) -> Self {
        Self {
            before: Some(before),
            after: Some(after),
        }
    }

    fn side(&self) -> Option<&RrSet> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// The set's name. (`None` only for a change of nothing into nothing, which nobody makes.)
    pub fn name(&self) -> Option<&Fqdn> {
        self.side().map(|set| &set.name)
    }

    /// The set's type.
    pub fn type_(&self) -> Option<&RecordType> {
        self.side().map(|set| &set.type_)
    }

    /// How many calls it takes at most where each writes one value.
    pub fn calls(&self) -> usize {
        let sets = self.before.iter().chain(&self.after);
        sets.map(|set| set.values.len()).max().unwrap_or_default()
    }

    /// `Create`, `Replace` or `Delete`.
    pub fn action(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "Create",
            (Some(_), Some(_)) => "Replace",
            (Some(_), None) => "Delete",
        }
    }
}
