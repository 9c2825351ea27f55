//! An app after validation: every default decided, every text parsed. What comes after never asks again.

use std::collections::BTreeMap;

use super::image::Image;
use super::reasons::Reason;
use super::schedule::Schedule;
use crate::api::startup_app::{ConcurrencyPolicy, Environment, SecretKeyRef, Tier};
use crate::fault::Fault;
use crate::live::Digest;
use crate::platform::Exposure;
use crate::quantity::Quantity;

/// What identifies an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`; empty when there is no cluster to ask.
    pub uid: String,
}

/// An app that can be rendered.
#[derive(Clone, Debug)]
pub struct ValidApp {
    /// What identifies it.
    pub identity: Identity,
    /// What its environment is for.
    pub environment: Environment,
    /// The platform's labels that are the same on every child: `app`, `env`, and `criticality` when asked.
    pub labels: BTreeMap<String, String>,
    /// Links for people.
    pub links: BTreeMap<String, String>,
    /// The long-running processes, in the order of the spec; never empty.
    pub processes: Vec<ValidProcess>,
    /// The crons, in the order of the spec.
    pub crons: Vec<ValidCron>,
    /// The release.
    pub release: Option<ValidRelease>,
    /// How it is reached from outside.
    pub exposure: Option<ValidExposure>,
    /// Whose the names of its hosts are.
    pub names: Names,
    /// `secretEnv`.
    pub secret_env: BTreeMap<String, SecretKeyRef>,
    /// `envFrom`.
    pub env_from: Vec<ContentRef>,
    /// `env`, in dependency order.
    pub env: Vec<(String, String)>,
    /// Whether the root file system is writable.
    pub writable_root: bool,
}

impl ValidApp {
    /// The process that stands for the app where there can be one only: `web`, else the first.
    pub fn main(&self) -> Option<&ValidProcess> {
        self.processes
            .iter()
            .find(|process| process.name == "web")
            .or_else(|| self.processes.first())
    }

    /// The process of that name.
    pub fn process(&self, name: &str) -> Option<&ValidProcess> {
        self.processes.iter().find(|process| process.name == name)
    }
}

/// CPU and memory of one instance: requests and limits alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// CPU.
    pub cpu: Quantity,
    /// Memory.
    pub memory: Quantity,
}

/// A program in an image, with what it sees.
#[derive(Clone, Debug)]
pub struct Program {
    /// The image.
    pub image: Image,
    /// In place of the entry point; empty: the image's.
    pub command: Vec<String>,
    /// Empty: the image's.
    pub args: Vec<String>,
    /// CPU and memory.
    pub demand: Demand,
    /// Its files.
    pub volumes: Vec<ValidVolume>,
    /// What it is in the platform's vocabulary.
    pub tier: Tier,
    /// The technology it runs on.
    pub component: Option<String>,
}

/// A long-running process.
#[derive(Clone, Debug)]
pub struct ValidProcess {
    /// Its name.
    pub name: String,
    /// What runs.
    pub program: Program,
    /// The port it listens on.
    pub port: Option<i32>,
    /// How many instances.
    pub replicas: i32,
    /// How to tell that it is up.
    pub health: Health,
    /// How long it may take to start, in seconds.
    pub start_seconds: i32,
    /// The hash of everything in the spec that its pods are made from.
    pub written: Digest,
}

/// How to tell that a process is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// An HTTP GET answers 200 to 399.
    Http {
        /// The path.
        path: String,
        /// The port.
        port: i32,
    },
    /// A TCP connection.
    Tcp {
        /// The port.
        port: i32,
    },
    /// A program in the image exits with 0.
    Command(Vec<String>),
    /// It runs: nothing else can be asked.
    Running,
}

/// A command that runs by the clock.
#[derive(Clone, Debug)]
pub struct ValidCron {
    /// Its name.
    pub name: String,
    /// When it runs.
    pub schedule: Schedule,
    /// What runs.
    pub program: Program,
    /// The port of its process, which it gets as `PORT` too.
    pub port: Option<i32>,
    /// When a run is stopped, in seconds.
    pub timeout_seconds: i32,
    /// What to do when the previous run is still going.
    pub concurrency: ConcurrencyPolicy,
    /// How often a failed run is tried again.
    pub retries: i32,
    /// Whether new runs are stopped.
    pub suspend: bool,
}

/// A command that runs once before a version rolls out.
#[derive(Clone, Debug)]
pub struct ValidRelease {
    /// What runs.
    pub program: Program,
    /// The port of the main process, which it gets as `PORT` too.
    pub port: Option<i32>,
    /// When it is stopped, in seconds.
    pub timeout_seconds: i32,
    /// The hash of image, release and env as written.
    pub key: String,
}

/// How an app is reached from outside.
#[derive(Clone, Debug)]
pub struct ValidExposure {
    /// The platform's class.
    pub class: Exposure,
    /// The hosts, canonical first; never empty.
    pub hosts: Vec<ValidHost>,
}

/// Whose the names of an app's hosts are, where zones of ours cover them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// The hosts that get a DnsRecord: also those that are not routed, for the record claims the name.
    pub records: Vec<String>,
    /// How many its namespace holds.
    pub held: usize,
    /// Why hosts are not routed.
    pub unrouted: Vec<Fault<Reason>>,
    /// Why hosts that are routed would not be any more.
    pub kept: Vec<Fault<Reason>>,
}

/// One public name and where its paths lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidHost {
    /// The name.
    pub host: String,
    /// Path prefix and process, longest prefix first; never empty.
    pub paths: Vec<(String, String)>,
}

/// Files of a process.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidVolume {
    /// Its name.
    pub name: String,
    /// Where it is seen.
    pub mount_path: String,
    /// What it holds.
    pub source: VolumeSource,
}

/// What a volume holds.
#[derive(Clone, Debug, PartialEq)]
pub enum VolumeSource {
    /// An empty folder, with a size limit.
    Temporary(Option<Quantity>),
    /// The keys of a Secret or ConfigMap.
    Content(ContentRef),
}

/// A Secret or ConfigMap of the app's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentRef {
    /// Which of the two.
    pub kind: ContentKind,
    /// Its name.
    pub name: String,
}

/// Which kind of object holds content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl ContentKind {
    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

impl ContentRef {
    /// A Secret.
    pub fn secret(name: &str) -> Self {
        Self {
            kind: ContentKind::Secret,
            name: name.to_owned(),
        }
    }

    /// A ConfigMap.
    pub fn config_map(name: &str) -> Self {
        Self {
            kind: ContentKind::ConfigMap,
            name: name.to_owned(),
        }
    }
}
