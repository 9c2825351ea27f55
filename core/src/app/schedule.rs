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

/// Why a schedule cannot be used, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScheduleError {
    message: String,
    fix: String,
}

impl ScheduleError {
    /// What to do about it.
    pub fn fix(&self) -> &str {
        &self.fix
    }
}

fn bad(message: String, fix: impl Into<String>) -> ScheduleError {
    ScheduleError {
        message,
        fix: fix.into(),
    }
}

/// A schedule in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    cron: Cron,
    zone: TimeZoneName,
}

impl Schedule {
    /// Parses five fields or a descriptor.
    ///
    /// # Errors
    /// What is wrong, and how to write it; also when it never fires (30 February).
    pub fn parse(text: &str, zone: &TimeZoneName) -> Result<Self, ScheduleError> {
        let cron = parse_fields(text)?;
        let schedule = Self {
            text: text.to_owned(),
            cron,
            zone: zone.clone(),
        };
        match schedule.next_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(bad(
                format!("the schedule {text:?} never fires"),
                "name a day that its month has",
            )),
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

fn parse_fields(text: &str) -> Result<Cron, ScheduleError> {
    let fields = match DESCRIPTORS.iter().find(|(name, _)| *name == text) {
        Some((_, fields)) => fields,
        None if text.starts_with('@') => {
            return Err(bad(
                format!("the schedule {text:?} is not one of @hourly, @daily, @weekly, @monthly, @yearly"),
                "use one of these, or five fields, as in `*/5 * * * *`",
            ));
        }
        None => text,
    };
    if fields.contains("TZ=") {
        return Err(bad(
            format!("the schedule {text:?} holds a time zone"),
            "write it in timeZone, beside the schedule",
        ));
    }
    let count = fields.split_whitespace().count();
    if count != 5 {
        return Err(bad(
            format!(
                "the schedule {text:?} has {count} fields; it needs five: minute, hour, day of month, month, day of week"
            ),
            "write five fields, as in `30 4 * * *`",
        ));
    }
    // The library knows more (L, W, #, seconds, Sunday as 7) than the CronJob controller does.
    let simple: Result<Vec<_>, _> = fields
        .split_whitespace()
        .zip(&FIELDS)
        .map(|(text, field)| field.read(text))
        .collect();
    let simple = simple.map_err(|why| bad(format!("the schedule {text:?} {}", why.message), why.fix))?;
    Cron::from_str(&simple.join(" ")).map_err(|error| {
        bad(
            format!("the schedule {text:?} cannot be read: {error}"),
            "write ranges upwards, as in 1-5, and commas between values, as in 1,15",
        )
    })
}

/// One of the five fields.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// What else may stand for a value.
    words: &'static [&'static str],
    example: &'static str,
}

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        least: 0,
        most: 59,
        words: &[],
        example: "*/15",
    },
    Field {
        name: "hour",
        least: 0,
        most: 23,
        words: &[],
        example: "8-18",
    },
    Field {
        name: "day of month",
        least: 1,
        most: 31,
        words: &["?"],
        example: "1,15",
    },
    Field {
        name: "month",
        least: 1,
        most: 12,
        words: &[
            "?", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ],
        example: "JAN-JUN",
    },
    Field {
        name: "day of week",
        least: 0,
        most: 6,
        words: &["?", "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
        example: "MON-FRI, where Sunday is 0",
    },
];

impl Field {
    /// The field as both understand it. A step beyond the end leaves the first value alone, also to Kubernetes: it takes
    /// `*/90` for `0`.
    fn read(&self, text: &str) -> Result<String, ScheduleError> {
        let parts: Result<Vec<_>, _> = text.split(',').map(|part| self.read_part(part)).collect();
        parts.map(|parts| parts.join(","))
    }

    fn read_part(&self, part: &str) -> Result<String, ScheduleError> {
        let (range, step) = part
            .split_once('/')
            .map_or((part, None), |(range, step)| (range, Some(step)));
        for word in range.split('-') {
            let number = word.parse::<u32>();
            if word != "*"
                && !self.words.contains(&word.to_ascii_uppercase().as_str())
                && !number.is_ok_and(|number| (self.least..=self.most).contains(&number))
            {
                let Self {
                    name,
                    least,
                    most,
                    example,
                    ..
                } = self;
                return Err(bad(
                    format!("has {word:?} for its {name}, where a number from {least} to {most} is needed"),
                    format!("write the {name} as in {example}"),
                ));
            }
        }
        match step.map(str::parse::<u32>) {
            None => Ok(part.to_owned()),
            Some(Ok(step @ 1..)) if step <= self.most => Ok(part.to_owned()),
            Some(Ok(1..)) => Ok(match range.split('-').next() {
                Some(first) if first != "*" && first != "?" => first.to_owned(),
                _ => self.least.to_string(),
            }),
            Some(_) => Err(bad(
                format!("has a step for its {} that is not a number from 1", self.name),
                "write the step as in */15",
            )),
        }
    }
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
            "*/90 * * * *",
            "5/70 */30 * * *",
        ] {
            parse(good, "Europe/Paris").unwrap();
        }
    }

    #[test]
    fn the_rest_is_refused_with_its_reason() {
        for (bad, why, fix) in [
            ("", "0 fields", "five fields"),
            ("* * * *", "4 fields", "five fields"),
            ("0 * * * * *", "6 fields", "five fields"),
            ("TZ=UTC 0 4 * * *", "holds a time zone", "in timeZone"),
            ("61 * * * *", "from 0 to 59", "*/15"),
            ("0 0 0 * *", "from 1 to 31", "1,15"),
            ("0 0 * * 7", "from 0 to 6", "Sunday is 0"),
            ("0 0 L * *", "\"L\"", "day of month"),
            ("0 0 * * MON#2", "MON#2", "day of week"),
            ("*/0 * * * *", "a step for its minute", "*/15"),
            ("*/x * * * *", "a step for its minute", "*/15"),
            ("@every 5m", "is not one of", "use one of these"),
            ("0 0 30 2 *", "never fires", "a day that"),
            ("5-1 * * * *", "cannot be read", "upwards"),
        ] {
            let error = parse(bad, "UTC").unwrap_err();
            assert!(error.message.contains(why), "{bad}: {error:?}");
            assert!(error.fix.contains(fix), "{bad}: {error:?}");
        }
    }

    #[test]
    fn a_step_beyond_the_end_fires_at_the_first_value_as_in_kubernetes() {
        let after: Timestamp = "2026-11-22T12:30:00Z".parse().unwrap();
        for (text, next) in [
            ("*/90 * * * *", "2026-11-22T13:00:00Z"),
            ("5/70 * * * *", "2026-11-22T13:05:00Z"),
            ("10-20/99 * * * *", "2026-11-22T13:10:00Z"),
            ("0 0 */40 * *", "2026-12-01T00:00:00Z"),
        ] {
            let schedule = parse(text, "UTC").unwrap();
            assert_eq!(schedule.next_after(after), Some(next.parse().unwrap()), "{text}");
            assert_eq!(schedule.as_str(), text);
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
