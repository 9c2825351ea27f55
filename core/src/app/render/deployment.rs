//! Deployments and PodDisruptionBudgets: one per process.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    ContainerPort, ExecAction, HTTPGetAction, Lifecycle, LifecycleHandler, PodTemplateSpec, Probe, SleepAction,
    TCPSocketAction, TopologySpreadConstraint,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use serde_json::json;

use super::{Frame, Marks, Part, pod};
use crate::app::valid::{Health, ValidProcess};
use crate::labels;
use crate::live::{Digest, Live};

/// How long a stopping instance still answers while proxies learn that it goes, in seconds.
const DRAIN_SECONDS: i64 = 10;
/// What a process gets to end after that, in seconds.
const GRACE_SECONDS: i64 = 30;
/// How often a start-up probe asks, in seconds.
const START_PERIOD: i32 = 2;

pub fn deployment(frame: Frame<'_>, process: &ValidProcess, marks: &Marks) -> Deployment {
    let part = part(process);
    let many = process.replicas > 1;
    let mut metadata = frame.metadata(frame.child_name(&process.name), part);
    let template = template(frame, process, marks);
    metadata.annotations = Some(annotations(frame, process, marks, &template));
    Deployment {
        metadata,
        spec: DeploymentSpec {
            replicas: Some(process.replicas),
            selector: LabelSelector {
                match_labels: Some(frame.selector(&process.name)),
                match_expressions: None,
            },
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".into()),
                // With one instance the new one must be up first. With more, one may be missing: the roll goes on
                // also when the quota has no room for the surge.
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(i32::from(many))),
                }),
            }),
            revision_history_limit: Some(5),
            progress_deadline_seconds: Some(120 + 3 * process.start_seconds),
            template,
            ..DeploymentSpec::default()
        },
        status: None,
    }
}

pub fn disruption_budget(frame: Frame<'_>, process: &ValidProcess) -> Option<PodDisruptionBudget> {
    (process.replicas > 1).then(|| PodDisruptionBudget {
        metadata: frame.metadata(frame.child_name(&process.name), part(process)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            // An instance that does not serve protects nothing, and would keep its node from being drained for ever.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            selector: Some(LabelSelector {
                match_labels: Some(frame.selector(&process.name)),
                match_expressions: None,
            }),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    })
}

pub fn part(process: &ValidProcess) -> Part<'_> {
    Part::Process {
        name: &process.name,
        tier: process.program.tier,
        component: process.program.component.as_deref(),
    }
}

/// Links for people stand on the main Deployment, where Argo CD shows them; what the template was made from on each.
fn annotations(
    frame: Frame<'_>,
    process: &ValidProcess,
    marks: &Marks,
    template: &PodTemplateSpec,
) -> BTreeMap<String, String> {
    let main = frame.app.main().is_some_and(|main| main.name == process.name);
    let links = frame.app.links.iter().filter(|_| main);
    let links = links.map(|(name, url)| (format!("link.argocd.argoproj.io/{name}"), url.clone()));
    let release = marks.release_key.clone();
    let made_from = format!("{}/{}", process.written.short(), Digest::of(&json!(template)).short());
    links
        .chain(release.map(|key| (labels::RELEASE_KEY.to_owned(), key)))
        .chain([(labels::TEMPLATE.to_owned(), made_from)])
        .collect()
}

/// Who wants a Deployment to be another than the live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nobody; drift is not looked at.
    None,
    /// The team: by its spec, a restart, or the content that the process uses.
    Team,
    /// A new operator or platform file renders the template otherwise, although the team changed nothing that it is made
    /// from. Rolling every app at once for that would be an outage of its own.
    Platform,
}

/// Who wants the Deployment to be another than the live one.
pub fn change(desired: &Deployment, live: &Live<Deployment>) -> Change {
    let annotation = |key: &str| desired.metadata.annotations.as_ref()?.get(key).map(String::as_str);
    let (written, template) = halves(annotation(labels::TEMPLATE));
    let (live_written, live_template) = halves(live.annotation(labels::TEMPLATE));
    let new = desired
        .spec
        .template
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.annotations.as_ref());
    let asked = [labels::RESTARTED_AT, labels::CONTENT]
        .iter()
        .any(|key| new.and_then(|new| new.get(*key)) != live.facts.template.get(*key));
    let released = annotation(labels::RELEASE_KEY) != live.annotation(labels::RELEASE_KEY);
    if written != live_written || asked || released {
        Change::Team
    } else if template != live_template {
        Change::Platform
    } else {
        Change::None
    }
}

/// What was written, and what was rendered from it, of [`labels::TEMPLATE`].
fn halves(made_from: Option<&str>) -> (&str, &str) {
    made_from.and_then(|text| text.split_once('/')).unwrap_or_default()
}

fn template(frame: Frame<'_>, process: &ValidProcess, marks: &Marks) -> PodTemplateSpec {
    let mark =
        pod::content_mark(frame, &process.program, marks).or_else(|| marks.live_contents.get(&process.name).cloned());
    let annotations: BTreeMap<_, _> = [
        (labels::RESTARTED_AT, marks.restarted_at.clone()),
        (labels::CONTENT, mark),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
    .collect();
    let mut container = pod::container(frame, &process.name, &process.program, process.port);
    container.ports = Some(ports(process)).filter(|ports| !ports.is_empty());
    match probe(&process.health) {
        Some(handler) => {
            container.startup_probe = Some(Probe {
                period_seconds: Some(START_PERIOD),
                failure_threshold: Some((process.start_seconds + START_PERIOD - 1) / START_PERIOD),
                timeout_seconds: Some(5),
                ..handler.clone()
            });
            container.readiness_probe = Some(Probe {
                period_seconds: Some(5),
                failure_threshold: Some(3),
                timeout_seconds: Some(5),
                ..handler
            });
        }
        None => container.liveness_probe = Some(pod::never_probe()),
    }
    let drains = process.port.is_some();
    container.lifecycle = drains.then(|| Lifecycle {
        pre_stop: Some(LifecycleHandler {
            sleep: Some(SleepAction { seconds: DRAIN_SECONDS }),
            ..LifecycleHandler::default()
        }),
        ..Lifecycle::default()
    });
    let mut spec = pod::spec(frame, container, &process.program, None);
    spec.termination_grace_period_seconds = Some(GRACE_SECONDS + if drains { DRAIN_SECONDS } else { 0 });
    spec.topology_spread_constraints = (process.replicas > 1).then(|| spread(frame, &process.name));
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(frame.labels(part(process))),
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            ..ObjectMeta::default()
        }),
        spec: Some(spec),
    }
}

/// The port that the Service leads to, and the one that the health check asks where that is another.
fn ports(process: &ValidProcess) -> Vec<ContainerPort> {
    let declare = |name: &str, port: i32| ContainerPort {
        name: Some(name.into()),
        container_port: port,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    };
    let asked = match process.health {
        Health::Http { port, .. } | Health::Tcp { port } => Some(port),
        Health::Command(_) | Health::Running => None,
    };
    let asked = asked.filter(|port| Some(*port) != process.port);
    let served = process.port.map(|port| declare("http", port));
    served
        .into_iter()
        .chain(asked.map(|port| declare("health", port)))
        .collect()
}

fn probe(health: &Health) -> Option<Probe> {
    match health {
        Health::Http { path, port } => Some(Probe {
            http_get: Some(HTTPGetAction {
                path: Some(path.clone()),
                port: IntOrString::Int(*port),
                ..HTTPGetAction::default()
            }),
            ..Probe::default()
        }),
        Health::Tcp { port } => Some(Probe {
            tcp_socket: Some(TCPSocketAction {
                port: IntOrString::Int(*port),
                host: None,
            }),
            ..Probe::default()
        }),
        Health::Command(command) => Some(Probe {
            exec: Some(ExecAction {
                command: Some(command.clone()),
            }),
            ..Probe::default()
        }),
        Health::Running => None,
    }
}

/// Over zones, then over nodes, as far as there are any.
fn spread(frame: Frame<'_>, process: &str) -> Vec<TopologySpreadConstraint> {
    ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        .map(|key| TopologySpreadConstraint {
            max_skew: 1,
            topology_key: key.into(),
            when_unsatisfiable: "ScheduleAnyway".into(),
            label_selector: Some(LabelSelector {
                match_labels: Some(frame.selector(process)),
                match_expressions: None,
            }),
            ..TopologySpreadConstraint::default()
        })
        .into()
}
