//! How long caches may go on answering what is no longer so.

use std::fmt;

use k8s_openapi::jiff::Timestamp;

use super::Change;

/// What a cache may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    /// The answer before, for its TTL in seconds.
    Older(u32),
    /// That there was nothing, for the negative TTL of the zone's SOA in seconds (RFC 2308, 5).
    Negative(u32),
}

impl Cached {
    /// What is held longest after these changes: where something was, what was there, else that there was nothing.
    /// `negative_ttl`: the zone's, if it is known.
    pub fn after<'a>(changes: impl IntoIterator<Item = &'a Change>, negative_ttl: Option<u32>) -> Option<Self> {
        let cached = changes.into_iter().filter_map(|change| match &change.before {
            Some(before) => Some(Self::Older(before.ttl)),
            None => negative_ttl.map(Self::Negative),
        });
        cached.max_by_key(|cached| cached.ttl())
    }

    /// For how long, in seconds.
    fn ttl(self) -> u32 {
        match self {
            Self::Older(ttl) | Self::Negative(ttl) => ttl,
        }
    }
}

impl fmt::Display for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Older(ttl) => write!(f, "the answer before (its TTL of {ttl} s)"),
            Self::Negative(ttl) => write!(f, "that there is no such name (the SOA's negative TTL of {ttl} s)"),
        }
    }
}

/// What caches hold longest, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// What.
    pub cached: Cached,
    /// Until when, in whole seconds: with more, a status that tells it would be written again at every round.
    pub until: Timestamp,
}

impl Held {
    /// What is held when the servers begin to answer otherwise now; `None` where no time is that late.
    pub fn from_now(cached: Cached, now: Timestamp) -> Option<Self> {
        let until = Timestamp::from_second(now.as_second() + 1 + i64::from(cached.ttl())).ok()?;
        Some(Self { cached, until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{at, name};
    use crate::dns::{RecordType, RrSet};

    #[test]
    fn what_was_there_is_held_for_its_ttl_and_its_absence_for_the_zones() {
        let set = |ttl| RrSet {
            name: name("app.z.org"),
            type_: RecordType::A,
            ttl,
            values: ["192.0.2.1".to_owned()].into(),
        };
        let create = Change::create(set(60));
        let replace = Change::replace(set(3600), set(60));
        let one = std::slice::from_ref;
        assert_eq!(Cached::after(one(&create), Some(300)), Some(Cached::Negative(300)));
        assert_eq!(Cached::after(one(&replace), Some(300)), Some(Cached::Older(3600)));
        let both = [create.clone(), replace];
        assert_eq!(
            Cached::after(&both, Some(7200)),
            Some(Cached::Negative(7200)),
            "the longest"
        );
        assert_eq!(Cached::after(one(&create), None), None, "nobody told how long");
        assert_eq!(Cached::after(&[], Some(300)), None);
        let held = Held::from_now(Cached::Older(3600), at(100)).unwrap();
        assert_eq!(held.until, at(3701), "a second may have begun");
    }
}
