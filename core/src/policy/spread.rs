//! Replicas that do not fail together.

use serde_json::Value;

use crate::platform::Rule;

use super::Report;
use super::manifest::{Manifest, Manifests, labels, selects};

pub(super) fn check(manifest: &Manifest<'_>, all: &Manifests<'_>, report: &mut Report<'_>) {
    if !matches!(manifest.kind, "Deployment" | "StatefulSet") {
        return;
    }
    let Some(pods) = manifest.pods() else { return };
    let replicas = manifest.at("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    if replicas < 2 {
        return;
    }
    let filled = |pointer: &str| {
        pods.spec(pointer)
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty())
    };
    let apart = filled("/topologySpreadConstraints")
        || filled("/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution")
        || filled("/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution");
    if !apart {
        let field = pods.field("spec.topologySpreadConstraints");
        report.add(
            Rule::Spread,
            manifest,
            field,
            format!("nothing keeps the {replicas} replicas on different nodes"),
        );
    }
    let pod_labels = pods.labels();
    let budget = all
        .beside(manifest, "PodDisruptionBudget")
        .find(|budget| selects(&labels(budget.at("/spec/selector/matchLabels")), &pod_labels));
    match budget {
        None => {
            report.add(
                Rule::Spread,
                manifest,
                "spec.replicas",
                format!("no PodDisruptionBudget keeps one of the {replicas} replicas"),
            );
        }
        Some(budget) if !lets_one_go(budget, replicas) => {
            let message = format!(
                "the PodDisruptionBudget lets none of the {replicas} replicas of {} go: a node could not be emptied",
                manifest.name
            );
            report.add(Rule::Spread, budget, "spec", message);
        }
        Some(_) => {}
    }
}

fn lets_one_go(budget: &Manifest<'_>, replicas: i64) -> bool {
    match (budget.at("/spec/maxUnavailable"), budget.at("/spec/minAvailable")) {
        (Some(unavailable), _) => count(unavailable, replicas) > 0,
        (None, Some(available)) => count(available, replicas) < replicas,
        (None, None) => true,
    }
}

/// A number, or a percentage of the replicas, rounded up as Kubernetes does for budgets.
fn count(value: &Value, replicas: i64) -> i64 {
    let percent = value
        .as_str()
        .and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok());
    percent.map_or_else(
        || value.as_i64().unwrap_or_default(),
        |percent| (percent * replicas + 99) / 100,
    )
}
