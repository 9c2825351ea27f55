//! The facts of each kind: what decisions read, and nothing else.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::Value;

use super::{Kept, time};
use crate::api::dns::DnsRecord;
use crate::conditions::{READY, STALLED};
use crate::labels;

/// For kinds of which only the identity and the owned fields count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nothing;

/// A condition of a live object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConditionFact {
    /// Its type.
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The machine's word.
    pub reason: String,
    /// The human's.
    pub message: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// A `Deployment`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentFacts {
    /// `spec.replicas`; 1 when absent.
    pub wanted: i32,
    /// The generation that the status speaks of.
    pub observed_generation: i64,
    /// `status.replicas`: pods of every version.
    pub total: i32,
    /// Pods of the newest version.
    pub updated: i32,
    /// Pods that pass their readiness probe.
    pub ready: i32,
    /// Pods ready for long enough.
    pub available: i32,
    /// The image of the container that we rendered.
    pub image: String,
    /// Annotations of ours on the pod template.
    pub template: BTreeMap<String, String>,
    /// Its conditions.
    pub conditions: Vec<ConditionFact>,
}

impl DeploymentFacts {
    /// The condition of that type.
    pub fn condition(&self, type_: &str) -> Option<&ConditionFact> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }
}

/// A `Pod`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// The pod's own reason, such as `Evicted`.
    pub reason: String,
    /// The pod's own message.
    pub message: String,
    /// Whether it passes its readiness probe.
    pub ready: bool,
    /// The `PodScheduled` condition, when it is not true.
    pub unscheduled: Option<ConditionFact>,
    /// Which version of its Deployment it is of.
    pub template_hash: String,
    /// The Job that made it.
    pub job: Option<String>,
    /// The container that we rendered: it has the name of the process or cron, or `release`.
    pub own: Option<ContainerFact>,
    /// Those that run before it, and the sidecars among them: a platform injects such into every pod.
    pub init: Vec<ContainerFact>,
    /// Those that run beside it, injected too.
    pub beside: Vec<ContainerFact>,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerFact {
    /// Its name.
    pub name: String,
    /// The image asked for.
    pub image: String,
    /// How often it was restarted.
    pub restarts: i32,
    /// Whether it runs now.
    pub running: bool,
    /// Whether it passed its start-up probe.
    pub started: bool,
    /// What its start-up probe asks, else its readiness probe: `port 8080, path /healthz`. Empty without either.
    pub asked: String,
    /// Why it waits: the kubelet's reason and message.
    pub waiting: Option<(String, String)>,
    /// How it ended: now if it does not run, else the time before.
    pub ended: Option<Ended>,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The kubelet's word, such as `Error`, `Completed` or `OOMKilled`.
    pub reason: String,
    /// The exit code.
    pub exit_code: i32,
    /// Its last words.
    pub message: String,
    /// When.
    pub at: Option<Timestamp>,
}

/// A `Job`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFacts {
    /// Whether it may not start yet.
    pub suspended: bool,
    /// Pods running.
    pub active: i32,
    /// Pods that ended otherwise than well.
    pub failed: i32,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it completed.
    pub completed_at: Option<Timestamp>,
    /// The `Complete` or `Failed` condition once true.
    pub finished: Option<ConditionFact>,
}

/// A `CronJob`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CronJobFacts {
    /// When it last made a Job.
    pub last_scheduled_at: Option<Timestamp>,
    /// When a Job of it last succeeded.
    pub last_succeeded_at: Option<Timestamp>,
}

/// An `Ingress`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngressFacts {
    /// The hosts of its rules.
    pub hosts: Vec<String>,
    /// Where it is reached: addresses, or a host name.
    pub addresses: Vec<String>,
}

/// A `ConfigMap` of ours: the release record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigMapFacts {
    /// Its data.
    pub data: BTreeMap<String, String>,
}

/// A `DnsRecord` of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsRecordFacts {
    /// Whether it is published, and if not, why.
    pub ready: Option<ConditionFact>,
    /// Whether a human must act on it.
    pub stalled: bool,
}

macro_rules! nothing {
    ($($kind:ty),+) => {$(
        impl Kept for $kind {
            type Facts = Nothing;
            fn facts(_: &Value) -> Nothing {
                Nothing
            }
        }
    )+};
}
nothing!(Service, ServiceAccount, PodDisruptionBudget);

impl Kept for Deployment {
    type Facts = DeploymentFacts;

    fn facts(object: &Value) -> DeploymentFacts {
        DeploymentFacts {
            wanted: object.pointer("/spec/replicas").map_or(1, as_i32),
            observed_generation: object
                .pointer("/status/observedGeneration")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            total: int(object, "/status/replicas"),
            updated: int(object, "/status/updatedReplicas"),
            ready: int(object, "/status/readyReplicas"),
            available: int(object, "/status/availableReplicas"),
            image: items(object, "/spec/template/spec/containers")
                .find(|container| is_own(object, container))
                .map(|container| text(container, "/image"))
                .unwrap_or_default(),
            template: ours(object.pointer("/spec/template/metadata/annotations")),
            conditions: items(object, "/status/conditions").map(condition).collect(),
        }
    }
}

impl Kept for Pod {
    type Facts = PodFacts;

    fn facts(object: &Value) -> PodFacts {
        let mut conditions = items(object, "/status/conditions").map(condition);
        PodFacts {
            phase: text(object, "/status/phase"),
            reason: text(object, "/status/reason"),
            message: text(object, "/status/message"),
            ready: items(object, "/status/conditions")
                .any(|c| text(c, "/type") == "Ready" && text(c, "/status") == "True"),
            unscheduled: conditions.find(|c| c.type_ == "PodScheduled" && c.status != "True"),
            template_hash: text(object, "/metadata/labels/pod-template-hash"),
            job: object
                .pointer("/metadata/labels/batch.kubernetes.io~1job-name")
                .and_then(Value::as_str)
                .map(str::to_owned),
            own: items(object, "/status/containerStatuses")
                .find(|status| is_own(object, status))
                .map(|status| container(object, status)),
            init: items(object, "/status/initContainerStatuses")
                .map(|status| container(object, status))
                .collect(),
            beside: items(object, "/status/containerStatuses")
                .filter(|status| !is_own(object, status))
                .map(|status| container(object, status))
                .collect(),
        }
    }
}

impl Kept for Job {
    type Facts = JobFacts;

    fn facts(object: &Value) -> JobFacts {
        JobFacts {
            suspended: object
                .pointer("/spec/suspend")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
            active: int(object, "/status/active"),
            failed: int(object, "/status/failed"),
            started_at: time(object.pointer("/status/startTime")),
            completed_at: time(object.pointer("/status/completionTime")),
            finished: items(object, "/status/conditions")
                .map(condition)
                .find(|c| (c.type_ == "Complete" || c.type_ == "Failed") && c.status == "True"),
        }
    }
}

impl Kept for CronJob {
    type Facts = CronJobFacts;

    fn facts(object: &Value) -> CronJobFacts {
        CronJobFacts {
            last_scheduled_at: time(object.pointer("/status/lastScheduleTime")),
            last_succeeded_at: time(object.pointer("/status/lastSuccessfulTime")),
        }
    }
}

impl Kept for Ingress {
    type Facts = IngressFacts;

    fn hosts(facts: &IngressFacts) -> &[String] {
        &facts.hosts
    }

    fn facts(object: &Value) -> IngressFacts {
        IngressFacts {
            hosts: items(object, "/spec/rules")
                .map(|rule| text(rule, "/host"))
                .filter(|host| !host.is_empty())
                .collect(),
            addresses: items(object, "/status/loadBalancer/ingress")
                .map(|point| {
                    let ip = text(point, "/ip");
                    if ip.is_empty() { text(point, "/hostname") } else { ip }
                })
                .filter(|address| !address.is_empty())
                .collect(),
        }
    }
}

impl Kept for DnsRecord {
    type Facts = DnsRecordFacts;

    fn facts(object: &Value) -> DnsRecordFacts {
        let is_current = object.pointer("/status/observedGeneration") == object.pointer("/metadata/generation");
        let conditions = || {
            items(object, "/status/conditions")
                .map(condition)
                .filter(|_| is_current)
        };
        DnsRecordFacts {
            ready: conditions().find(|c| c.type_ == READY),
            stalled: conditions().any(|c| c.type_ == STALLED && c.status == "True"),
        }
    }
}

impl Kept for ConfigMap {
    type Facts = ConfigMapFacts;

    fn facts(object: &Value) -> ConfigMapFacts {
        let data = object.get("data").and_then(Value::as_object).into_iter().flatten();
        ConfigMapFacts {
            data: data
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
        }
    }
}

fn condition(value: &Value) -> ConditionFact {
    ConditionFact {
        type_: text(value, "/type"),
        status: text(value, "/status"),
        reason: text(value, "/reason"),
        message: text(value, "/message"),
        since: time(value.get("lastTransitionTime")),
    }
}

/// Whether a container of an object of ours is the one that we rendered, by the object's labels: the API server gives
/// the containers in no order that could tell.
fn is_own(object: &Value, container: &Value) -> bool {
    let label = |key: &str| object.get("metadata")?.get("labels")?.get(key)?.as_str();
    let name = label(labels::PROCESS).or_else(|| label(labels::CRON));
    let name = name.or_else(|| label(labels::RELEASE).map(|_| labels::RELEASE_CONTAINER));
    name.is_some() && container.get("name").and_then(Value::as_str) == name
}

fn container(pod: &Value, value: &Value) -> ContainerFact {
    let spec = items(pod, "/spec/containers").find(|spec| spec.get("name") == value.get("name"));
    let ended = value
        .pointer("/state/terminated")
        .or_else(|| value.pointer("/lastState/terminated"));
    ContainerFact {
        name: text(value, "/name"),
        image: text(value, "/image"),
        restarts: int(value, "/restartCount"),
        running: value.pointer("/state/running").is_some(),
        started: value.get("started").and_then(Value::as_bool).unwrap_or_default(),
        asked: spec.map(asked).unwrap_or_default(),
        waiting: value
            .pointer("/state/waiting")
            .map(|waiting| (text(waiting, "/reason"), text(waiting, "/message"))),
        ended: ended.map(|ended| Ended {
            reason: text(ended, "/reason"),
            exit_code: int(ended, "/exitCode"),
            message: text(ended, "/message"),
            at: time(ended.get("finishedAt")),
        }),
    }
}

fn asked(container: &Value) -> String {
    let probe = container
        .get("startupProbe")
        .or_else(|| container.get("readinessProbe"));
    let Some(probe) = probe else { return String::new() };
    let port = |handler: &str| {
        let port = probe.get(handler)?.get("port")?;
        Some(port.as_str().map_or_else(|| port.to_string(), str::to_owned))
    };
    match (port("httpGet"), port("tcpSocket")) {
        (Some(port), _) => format!("port {port}, path {}", text(probe, "/httpGet/path")),
        (None, Some(port)) => format!("port {port}"),
        (None, None) => "its command".to_owned(),
    }
}

fn items<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn text(object: &Value, pointer: &str) -> String {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn int(object: &Value, pointer: &str) -> i32 {
    object.pointer(pointer).map_or(0, as_i32)
}

fn as_i32(value: &Value) -> i32 {
    value
        .as_i64()
        .and_then(|number| i32::try_from(number).ok())
        .unwrap_or_default()
}

fn ours(annotations: Option<&Value>) -> BTreeMap<String, String> {
    let all = annotations.and_then(Value::as_object).into_iter().flatten();
    all.filter(|(key, _)| key.starts_with(labels::PREFIX))
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
