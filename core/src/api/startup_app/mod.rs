//! `StartupApp`: an application of a team, from one image to its processes, crons, release and public names.

mod process;
mod references;
mod status;
mod tasks;
mod volume;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use process::{Component, Health, Process, Resources, Tier};
pub use references::{EnvFrom, ObjectRef, SecretKeyRef};
pub use status::{
    Condition, CronStatus, InventoryItem, LastExit, ProcessStatus, Revision, RevisionResult, StartupAppStatus,
};
pub use tasks::{ConcurrencyPolicy, Cron, Release};
pub use volume::{Temporary, Volume};

use super::schema;

/// An application of a team. Six lines are enough: with an `image` alone it is one web process on port 8080,
/// reachable, probed and clean under the platform's policies.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "tremplin.dev",
    version = "v1alpha1",
    kind = "StartupApp",
    plural = "startupapps",
    namespaced,
    status = "StartupAppStatus",
    shortname = "sapp",
    category = "tremplin",
    derive = "PartialEq",
    cel,
    doc = "An application of a team: from one image to its processes, crons, release and public names",
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 40")
        .message("metadata.name must start with a letter, hold only a-z, 0-9 and -, and be at most 40 characters: shorten or rename it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Image", type_ = "string", json_path = ".status.image"),
    printcolumn(name = "Replicas", type_ = "string", json_path = ".status.replicas"),
    printcolumn(name = "Restarts", type_ = "integer", json_path = ".status.restarts"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Released", type_ = "string", json_path = ".status.conditions[?(@.type==\"Released\")].reason", priority = 1)
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.image) || (has(self.processes) && self.processes.all(p, has(p.image)))")
        .message("spec.image is missing: name an image here, or one in each of spec.processes[]"),
    validation = Rule::new("!has(self.env) || !has(self.secretEnv) || self.env.all(name, !(name in self.secretEnv))")
        .message("a variable is both in spec.env and in spec.secretEnv: keep one of them"),
    validation = Rule::new("!has(self.links) || self.links.all(name, name.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))")
        .message("the name of a link in spec.links must be at most 63 letters without accents, digits, -, _ and ., the first and last a letter or digit: rename it"),
)]
pub struct StartupAppSpec {
    /// The image of every process that names none of its own: fully qualified (with its registry), with a tag other
    /// than `latest` or a digest. Required unless every process names its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,

    /// What this environment is for. Absent: the platform file maps the namespace's labels; unmapped: `Production`,
    /// told by the condition `EnvironmentAssumed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,

    /// The long-running processes. Absent: one process `web` on port 8080.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub processes: Vec<Process>,

    /// Which process answers which path: front and back behind one name. Absent: everything goes to `web`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub routes: Vec<Route>,

    /// Commands that run by the clock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub crons: Vec<Cron>,

    /// A command that runs at most once per hash of image, release and env as written, before the rollout. When it
    /// fails, the old version keeps serving. Absent: nothing runs before a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,

    /// Environment variables of every process, cron and release. `$(NAME)` refers to any other variable of this map;
    /// `$$(NAME)` is a literal `$(NAME)`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::env")]
    pub env: BTreeMap<String, String>,

    /// Environment variables whose values are in Secrets: variable name to Secret name and key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 200))]
    pub secret_env: BTreeMap<String, SecretKeyRef>,

    /// Secrets and ConfigMaps, each of whose keys becomes a variable. A change of their content restarts the
    /// processes once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub env_from: Vec<EnvFrom>,

    /// The public DNS names. The first is the canonical one, shown in `status.url`. Absent: the platform's host
    /// template decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::hosts")]
    pub hosts: Vec<String>,

    /// A class of exposure that the platform file defines (`internet`, `intranet`, ...), or `None`. Absent: the
    /// platform's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub exposure: Option<String>,

    /// Files of the processes. `/tmp` is always there and writable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub volumes: Vec<Volume>,

    /// Makes the containers' root file system writable. Absent: read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writable_root: Option<bool>,

    /// How much the platform's operators should care: becomes a label of every child, under the platform's key for it,
    /// else `tremplin.dev/criticality`. Absent: no label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criticality: Option<Criticality>,

    /// Links for people, by name, shown in status and in Argo CD. A name becomes part of an annotation's key: at most 63
    /// letters without accents, digits, `-`, `_` and `.`, the first and last a letter or digit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::links")]
    pub links: BTreeMap<String, String>,

    /// Leaves everything as it is: nothing is created, changed or removed until it is false again. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// What an environment is for.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Environment {
    /// Real users: two replicas of `web`, a PodDisruptionBudget, indexing allowed.
    Production,
    /// A rehearsal of production.
    Staging,
    /// Everything else.
    Development,
}

impl Environment {
    /// The word used in host templates and labels where the platform file gives no other: `production`, `staging`, `development`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Staging => "staging",
            Self::Development => "development",
        }
    }
}

/// How much the platform's operators should care about an app.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criticality {
    /// Wake somebody up.
    High,
    /// Next working day.
    Medium,
    /// When there is time.
    Low,
}

impl Criticality {
    /// The label's value: `high`, `medium`, `low`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// Sends the requests of one path to one process.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!self.path.matches('//|/[.][.]?(/|$)|%2[fF]')")
    .message("the path of a route holds //, a part . or .., or %2F, which no Ingress takes: write the plain path"))]
pub struct Route {
    /// One of the app's hosts. Absent: every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub host: Option<String>,
    /// A path prefix, element by element: `/api` matches `/api` and `/api/x`, not `/apis`. The characters of a URL's
    /// path (RFC 3986), others percent-encoded; without `//`, a part `.` or `..`, `%2F`, `?` and `#`.
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = r"^/([-A-Za-z0-9._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$")
    )]
    pub path: String,
    /// The name of a process that has a port.
    #[schemars(length(min = 1, max = 20))]
    pub process: String,
}
