//! What a provider can do, as data: the plan and the writer read it instead of knowing providers.

use super::rrset::RecordType;

/// What a provider can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The provider, as messages name it.
    pub name: &'static str,
    /// The least TTL that it keeps, in seconds.
    pub min_ttl: u32,
    /// The greatest TTL that it keeps, in seconds.
    pub max_ttl: u32,
    /// How the changes of one call are applied.
    pub atomicity: Atomicity,
    /// Where it knows ALIAS.
    pub alias: Alias,
    /// Types that it does not take, beside ALIAS.
    pub without: &'static [RecordType],
    /// Whether a change is served only after a publication that we ask for.
    pub publication: Publication,
    /// Up to how many names are read one by one; for more, the whole zone is read at once.
    pub reads_by_name: usize,
    /// Whether it keeps snapshots of the zone itself.
    pub snapshots: bool,
    /// Whether every change moves the serial of the zone's SOA. Where it does not, what others changed is found by
    /// reading alone.
    pub serial_moves: bool,
    /// What it is asked at most.
    pub rate: Option<Rate>,
}

/// How the changes of one call are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atomicity {
    /// All or none of them, up to that many record sets: also a type that takes another's place.
    Batch(usize),
    /// Each record set by itself, without a gap.
    Set,
    /// Each record by itself: a set of several values changes value by value.
    Record,
}

/// Where a provider knows ALIAS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alias {
    /// Nowhere.
    Never,
    /// At the apex of a zone.
    Apex,
    /// Anywhere.
    Anywhere,
}

/// When a change is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// By itself.
    Immediate,
    /// By itself, some time later; the provider tells when.
    Asynchronous,
    /// After a call that publishes everything written so far.
    Explicit,
    /// When a controller of somebody else has read what we gave it.
    Controller,
}

/// Requests in a time, shared by every zone of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many requests of all kinds, in `per_seconds`.
    pub requests: u32,
    /// How many of them may write; as `requests` where the provider does not tell them apart.
    pub writes: u32,
    /// The time, in seconds.
    pub per_seconds: u32,
}

impl Profile {
    /// Whether the TTL that is answered proves that a change is served: the provider serves later than it is written
    /// to, and what it was given exactly.
    pub fn proves_by_ttl(&self) -> bool {
        matches!(self.publication, Publication::Explicit | Publication::Asynchronous)
    }

    /// A TTL as the provider will keep it.
    pub fn clamp_ttl(&self, ttl: u32) -> u32 {
        ttl.clamp(self.min_ttl, self.max_ttl)
    }

    /// How far data is that was written and is not yet answered. `deployed`: whether the provider says that it serves it.
    pub fn stage(&self, deployed: Option<bool>) -> String {
        let name = self.name;
        match (self.publication, deployed) {
            (Publication::Controller, Some(true)) => format!("written as a DNSEndpoint, which {name} has read"),
            (Publication::Controller, _) => format!("written as a DNSEndpoint, not yet published by {name}"),
            (_, None) => format!("written at {name}"),
            (_, Some(false)) => format!("written at {name}, not yet deployed by the provider"),
            (_, Some(true)) => format!("written at {name}, and deployed as the provider says"),
        }
    }
}
