//! A long-running process.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// A long-running process: one Deployment, and one Service when it has a port.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.size) || !has(self.resources)")
    .message("a process has both size and resources: keep one of them"))]
pub struct Process {
    /// The process's name, unique in the app. `web` is the one that answers requests unless `routes` says otherwise.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// Its own image. Absent: `spec.image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,

    /// The program, in place of the image's entry point. Absent: the image's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::arguments")]
    pub command: Vec<String>,

    /// The program's arguments, in place of the image's. Absent: the image's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::arguments")]
    pub args: Vec<String>,

    /// The port it listens on, given to it as `PORT`; a Service is made for it. Absent: 8080 for `web`, none for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: Option<i32>,

    /// How many instances. Absent: 2 for `web` in Production, else 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: Option<i32>,

    /// One of the platform's sizes. Absent, and without `resources`: the platform's default size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20))]
    pub size: Option<String>,

    /// CPU and memory of each instance, when no size fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// How to tell that it is up. Absent: a TCP connection to the port within 60 s of its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,

    /// What it is in the platform's vocabulary: a label of its children, under the platform's key for it, else
    /// `tremplin.dev/tier`. Absent: `frontend` for a process with a port, else `backend`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,

    /// The technology it runs on, in the platform's vocabulary: a label of its children, under the platform's key for
    /// it, else `tremplin.dev/component`. Absent: no label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub component: Option<Component>,
}

/// The technology a process runs on: a label value such as `node`, `python` or `nginx`.
pub type Component = String;

/// CPU and memory of one instance, as Kubernetes quantities. The limit is the request: what the quota counts is what
/// the process can use.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// CPU, for example `250m` or `1`.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[0-9]+(\.[0-9]+)?m?$"))]
    pub cpu: String,
    /// Memory, for example `256Mi`.
    #[schemars(
        length(min = 1, max = 20),
        regex(pattern = r"^[0-9]+(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$")
    )]
    pub memory: String,
}

/// How to tell that a process is up.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!has(self.path) || !has(self.command)")
    .message("health has both path and command: keep one of them"),
    validation = Rule::new("!has(self.port) || !has(self.command)")
    .message("health has both port and command, and a command asks no port: keep one of them"))]
pub struct Health {
    /// An HTTP path that answers 200 to 399 when the process can serve. Absent: a TCP connection is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^/[^ ]*$"))]
    pub path: Option<String>,

    /// A program in the image that exits with 0 when the process is well. Not together with `path` or `port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::arguments")]
    pub command: Vec<String>,

    /// The port asked. Absent: the process's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: Option<i32>,

    /// How long it may take to start, in seconds: until something answers at its port, or its command exits with 0. Only
    /// for a process that has one of them. Absent: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub start_seconds: Option<i32>,
}

/// What a process is in the platform's vocabulary.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Answers browsers.
    Frontend,
    /// Works behind the front.
    Backend,
    /// Keeps data.
    Db,
    /// Keeps copies of data.
    Cache,
    /// Checks who somebody is.
    Auth,
}

impl Tier {
    /// The label's value: `frontend`, `backend`, `db`, `cache`, `auth`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Db => "db",
            Self::Cache => "cache",
            Self::Auth => "auth",
        }
    }
}
