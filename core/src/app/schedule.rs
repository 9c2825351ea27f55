//! Cron schedules: the part of the language that both a CronJob and we understand, and when one fires next.

use std::str::FromStr as _;

use croner::Cron;
use jiff::{Timestamp, Zoned};

use crate::platform::TimeZoneName;

/// The descriptors that a CronJob takes, and what they stand for.
const DESCRIPTORS: &[(&str, &str)] = &[
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A schedule in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    cron: Cron,
    zone: TimeZoneName,
}

/// Why a schedule cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// A CronJob would not understand it.
    #[error("{0}")]
    Unreadable(String),
    /// It names days that no calendar has, such as 30 February.
    #[error("the schedule {0:?} never fires")]
    NeverFires(String),
}

impl ScheduleError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "write five fields, as in `30 4 * * *`",
            Self::NeverFires(_) => "name a day that its month has",
        }
    }
}

impl Schedule {
    /// Parses five fields or a descriptor.
    ///
    /// # Errors
    /// What is wrong; also when it never fires (30 February).
    pub fn parse(text: &str, zone: &TimeZoneName) -> Result<Self, ScheduleError> {
        let cron = parse_fields(text).map_err(ScheduleError::Unreadable)?;
        let schedule = Self {
            text: text.to_owned(),
            cron,
            zone: zone.clone(),
        };
        match schedule.next_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::NeverFires(text.to_owned())),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The time zone's name, as it was written.
    pub fn time_zone(&self) -> &str {
        self.zone.as_str()
    }

    /// When it fires next, strictly after `after`.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let start: Zoned = after.to_zoned(self.zone.zone());
        self.cron
            .find_next_occurrence(&start, false)
            .ok()
            .map(|next| next.timestamp())
    }
}

fn parse_fields(text: &str) -> Result<Cron, String> {
    let fields = match DESCRIPTORS.iter().find(|(name, _)| *name == text) {
        Some((_, fields)) => fields,
        None if text.starts_with('@') => {
            return Err(format!(
                "the schedule {text:?} is not one of @hourly, @daily, @weekly, @monthly, @yearly"
            ));
        }
        None => text,
    };
    let count = fields.split_whitespace().count();
    if count != 5 {
        return Err(format!(
            "the schedule {text:?} has {count} fields; it needs five: minute, hour, day of month, month, day of week"
        ));
    }
    // The library knows more (L, W, #, seconds, Sunday as 7) than the CronJob controller does.
    for (index, field) in fields.split_whitespace().enumerate() {
        check_field(index, field).map_err(|why| format!("the schedule {text:?} {why}"))?;
    }
    Cron::from_str(fields).map_err(|error| format!("the schedule {text:?} cannot be read: {error}"))
}

fn check_field(index: usize, field: &str) -> Result<(), String> {
    const MONTHS: &[&str] = &[
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ];
    const DAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let (names, top): (&[&str], u32) = match index {
        0 => (&[], 59),
        1 => (&[], 23),
        2 => (&[], 31),
        3 => (MONTHS, 12),
        _ => (DAYS, 6),
    };
    for word in field.split([',', '-', '/']) {
        let known = word == "*" || word == "?" && index >= 2 || names.contains(&word.to_ascii_uppercase().as_str());
        if !known && !word.parse::<u32>().is_ok_and(|number| number <= top) {
            return Err(format!(
                "has {word:?} in its field {}, where a number up to {top} is needed",
                index + 1
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, zone: &str) -> Result<Schedule, ScheduleError> {
        Schedule::parse(text, &TimeZoneName::new(zone).unwrap())
    }

    #[test]
    fn what_a_cron_job_takes_is_taken() {
        for good in [
            "* * * * *",
            "30 4 * * *",
            "*/15 8-18 * * MON-FRI",
            "0 0 1,15 * ?",
            "@daily",
            "0 0 29 2 *",
            "5 4 * jan 0",
        ] {
            parse(good, "Europe/Paris").unwrap();
        }
    }

    #[test]
    fn the_rest_is_refused_with_its_reason() {
        for (bad, why) in [
            ("", "0 fields"),
            ("* * * *", "4 fields"),
            ("0 * * * * *", "6 fields"),
            ("61 * * * *", "up to 59"),
            ("0 0 * * 7", "up to 6"),
            ("0 0 L * *", "\"L\""),
            ("0 0 * * MON#2", "MON#2"),
            ("@every 5m", "is not one of"),
            ("0 0 30 2 *", "never fires"),
            ("5-1 * * * *", "cannot be read"),
        ] {
            let error = parse(bad, "UTC").unwrap_err();
            assert!(error.to_string().contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn the_next_run_is_in_the_time_zone() {
        let schedule = parse("30 4 * * *", "Europe/Paris").unwrap();
        let noon: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        assert_eq!(
            schedule.next_after(noon).unwrap(),
            "2026-11-23T03:30:00Z".parse().unwrap()
        );
    }
}
