//! What is true of an app right now, as the operator saw it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A condition, in the shape of `metav1.Condition`.
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// What is true of an app right now. It can be rebuilt from the cluster at any time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct StartupAppStatus {
    /// The generation of the spec that the rest of this status speaks of; -1 before the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready` always; `Reconciling` and `Stalled` only while true; one more per question a user asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The address of the canonical host, as a browser takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// The image of the main process that serves now (not the one asked for, while a release or a rollout is going on).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,

    /// Ready and wanted instances of all processes, for example `2/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<String>,

    /// How often the containers of the pods alive now have been restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<i32>,

    /// Counts the versions that were rolled out; the newest entry of `history`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,

    /// The last ten versions, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Revision>,

    /// One entry per process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub processes: Vec<ProcessStatus>,

    /// One entry per cron.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub crons: Vec<CronStatus>,

    /// The objects that the operator made for this app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inventory: Vec<InventoryItem>,

    /// `spec.links`, as they were understood.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
}

/// One version of the app.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Its number, from 1.
    pub revision: i64,
    /// The image of the main process.
    pub image: String,
    /// When the operator began to roll it out.
    pub at: Time,
    /// How it ended, or that it has not.
    pub result: RevisionResult,
}

/// How the rollout of a version ended.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionResult {
    /// On its way.
    Progressing,
    /// Every process served it.
    Succeeded,
    /// Its release failed, or it did not become ready in time.
    Failed,
    /// A newer version came before it ended.
    Superseded,
}

/// One process.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ProcessStatus {
    /// The process's name.
    pub name: String,
    /// Instances that can serve.
    pub ready: i32,
    /// Instances wanted.
    pub desired: i32,
    /// Restarts of the containers of the pods alive now.
    pub restarts: i32,
    /// How a container of it last ended, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<LastExit>,
}

/// How a container ended.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LastExit {
    /// The kubelet's word, such as `Error` or `OOMKilled`.
    pub reason: String,
    /// The exit code.
    pub exit_code: i32,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

/// One cron.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CronStatus {
    /// The cron's name.
    pub name: String,
    /// When it was last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_at: Option<Time>,
    /// `Running`, `Succeeded`, or `Failed` with the cause. Kept when the Job is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_result: Option<String>,
    /// When it runs next; absent while suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<Time>,
}

/// An object that the operator made.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct InventoryItem {
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
}
