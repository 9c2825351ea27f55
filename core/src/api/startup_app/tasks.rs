//! What runs to its end: crons and the release.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// A command that runs by the clock, with the image, environment and volumes of a process.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cron {
    /// The cron's name, unique among the app's crons.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// Five fields: minute, hour, day of month, month, day of week; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    #[schemars(length(min = 1, max = 100))]
    pub schedule: String,

    /// An IANA time zone such as `Europe/Paris`. Absent: the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,

    /// The process whose image, environment and volumes it uses. Absent: `web`, else the first process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20))]
    pub process: Option<String>,

    /// The program, in place of the image's entry point. Absent: the image's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::arguments")]
    pub command: Vec<String>,

    /// The program's arguments. Absent: the image's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::arguments")]
    pub args: Vec<String>,

    /// One of the platform's sizes. Absent: the platform's default size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20))]
    pub size: Option<String>,

    /// After how many seconds a run is stopped and counted as failed. Absent: 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: Option<i32>,

    /// What to do when the previous run is still going. Absent: `Forbid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_policy: Option<ConcurrencyPolicy>,

    /// How often a failed run is tried again. Absent: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub retries: Option<i32>,

    /// Stops new runs. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// What to do when the previous run of a cron is still going.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConcurrencyPolicy {
    /// Run beside it.
    Allow,
    /// Skip this run.
    Forbid,
    /// Stop the previous run.
    Replace,
}

impl ConcurrencyPolicy {
    /// The word that a CronJob takes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Forbid => "Forbid",
            Self::Replace => "Replace",
        }
    }
}

/// A command that runs once before a new version rolls out, such as a database migration. It uses the image,
/// environment and volumes of `web`, else of the first process.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Release {
    /// The program, in place of the image's entry point.
    #[schemars(schema_with = "schema::command")]
    pub command: Vec<String>,

    /// The program's arguments. Absent: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::arguments")]
    pub args: Vec<String>,

    /// After how many seconds it is stopped and counted as failed. Absent: 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: Option<i32>,
}
