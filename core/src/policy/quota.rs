//! Whether everything fits the quota, also during a rollout.

use serde_json::Value;

use crate::platform::Rule;
use crate::quantity::Quantity;

use super::Report;
use super::manifest::{Manifest, Manifests, PodTemplate};
use super::workloads::quantity;

/// Compares a ResourceQuota with what the workloads beside it need at most.
pub(super) fn check(manifest: &Manifest<'_>, all: &Manifests<'_>, report: &mut Report<'_>) {
    if manifest.kind != "ResourceQuota" {
        return;
    }
    for (name, hard) in manifest
        .at("/spec/hard")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let (Some(hard), Some((which, resource))) = (quantity(hard), counted(name)) else {
            continue;
        };
        let needs: Vec<(String, Quantity)> = all
            .iter()
            .filter(|other| other.namespace == manifest.namespace)
            .filter_map(|other| Some((describe(other), need(other, which, resource)?)))
            .filter(|(_, need)| !need.is_zero())
            .collect();
        let sum: Quantity = needs.iter().map(|(_, need)| *need).sum();
        if sum > hard {
            let parts: Vec<String> = needs.iter().map(|(what, need)| format!("{need} for {what}")).collect();
            let message = format!(
                "{sum} of {name} are needed at most, {hard} are allowed: {}",
                parts.join(", ")
            );
            report.add(Rule::Quota, manifest, format!("spec.hard.{name}"), message);
        }
    }
}

/// What a name in `spec.hard` counts, where it counts pods' resources.
fn counted(name: &str) -> Option<(&'static str, &str)> {
    match name {
        "cpu" | "memory" => Some(("requests", name)),
        _ => match name.split_once('.')? {
            ("requests", resource @ ("cpu" | "memory")) => Some(("requests", resource)),
            ("limits", resource @ ("cpu" | "memory")) => Some(("limits", resource)),
            _ => None,
        },
    }
}

fn describe(manifest: &Manifest<'_>) -> String {
    format!("{}/{}", manifest.kind, manifest.name)
}

/// What a workload needs when it needs most: during a rollout that may not go below its replicas, or while its Job runs.
fn need(manifest: &Manifest<'_>, which: &str, resource: &str) -> Option<Quantity> {
    let pods = manifest.pods()?;
    // A ReplicaSet with an owner is counted by its Deployment, a pod with an owner by its workload.
    if manifest.at("/metadata/ownerReferences").is_some() {
        return None;
    }
    Some(of_one_pod(&pods, which, resource) * instances(manifest))
}

fn of_one_pod(pods: &PodTemplate<'_>, which: &str, resource: &str) -> Quantity {
    let pointer = format!("/resources/{which}/{resource}");
    let of = |value: Option<&Value>| value.and_then(quantity).unwrap_or(Quantity::ZERO);
    let running: Quantity = pods
        .list("containers")
        .map(|container| of(container.at(&pointer)))
        .sum();
    pods.list("initContainers")
        .map(|container| of(container.at(&pointer)))
        .fold(running, Ord::max)
}

fn instances(manifest: &Manifest<'_>) -> u32 {
    let number = |pointer: &str| {
        manifest
            .at(pointer)
            .and_then(Value::as_u64)
            .and_then(|count| u32::try_from(count).ok())
    };
    match manifest.kind {
        "Deployment" => {
            let replicas = number("/spec/replicas").unwrap_or(1);
            replicas.saturating_add(surge(manifest, replicas))
        }
        "Job" => number("/spec/parallelism").unwrap_or(1),
        "CronJob" => number("/spec/jobTemplate/spec/parallelism").unwrap_or(1),
        "StatefulSet" | "ReplicaSet" => number("/spec/replicas").unwrap_or(1),
        _ => 1,
    }
}

/// How many pods more a rollout needs: none when it may go on with one less.
fn surge(manifest: &Manifest<'_>, replicas: u32) -> u32 {
    if manifest
        .at("/spec/strategy/type")
        .is_some_and(|kind| kind == "Recreate")
        || replicas == 0
    {
        return 0;
    }
    let written = |field: &str| manifest.at(&format!("/spec/strategy/rollingUpdate/{field}"));
    if share(written("maxUnavailable"), replicas, false) > 0 {
        return 0;
    }
    share(written("maxSurge"), replicas, true)
}

/// A number or a percentage of the replicas; 25 % when absent. A surge is rounded up, what may be missing down.
fn share(value: Option<&Value>, replicas: u32, up: bool) -> u32 {
    let percent = match value {
        None => 25,
        Some(Value::String(text)) => text.trim_end_matches('%').parse().unwrap_or(25),
        Some(number) => {
            return number
                .as_u64()
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or_default();
        }
    };
    let hundredths = replicas.saturating_mul(percent);
    if up { hundredths.div_ceil(100) } else { hundredths / 100 }
}
