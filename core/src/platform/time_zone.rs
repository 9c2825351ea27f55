//! IANA time zones, from the database that the program carries.

use std::fmt;

use jiff::tz::{TimeZone, TimeZoneDatabase};

/// A time zone that exists, spelled as the IANA database spells it: the API server is case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZoneName(String);

/// No zone of that name exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no IANA time zone such as Europe/Paris or Etc/UTC")]
pub struct UnknownTimeZone(String);

impl TimeZoneName {
    /// Looks the name up; a difference of case alone is mended.
    pub fn new(name: &str) -> Result<Self, UnknownTimeZone> {
        let unknown = || UnknownTimeZone(name.chars().take(64).collect());
        let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| unknown())?;
        zone.iana_name().map(|name| Self(name.to_owned())).ok_or_else(unknown)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The zone's rules.
    pub fn zone(&self) -> TimeZone {
        TimeZoneDatabase::bundled().get(&self.0).unwrap_or(TimeZone::UTC)
    }
}

impl fmt::Display for TimeZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_looked_up_in_the_bundled_database() {
        assert_eq!(TimeZoneName::new("europe/paris").unwrap().as_str(), "Europe/Paris");
        assert_eq!(TimeZoneName::new("Etc/UTC").unwrap().as_str(), "Etc/UTC");
        for name in ["", "Local", "Mars/Olympus", "CEST", "../etc/passwd"] {
            assert!(TimeZoneName::new(name).is_err(), "{name}");
        }
    }
}
