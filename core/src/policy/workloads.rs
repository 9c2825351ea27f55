//! What every workload declares: labels, resources, probes, and how long its Jobs stay.

use serde_json::Value;

use crate::platform::{LabelKey, Rule};
use crate::quantity::Quantity;

use super::Report;
use super::manifest::{Container, Manifest, PodTemplate, labels};

pub(super) fn check(manifest: &Manifest<'_>, report: &mut Report<'_>) {
    let Some(pods) = manifest.pods() else { return };
    platform_labels(manifest, &pods, report);
    for container in pods.all_containers() {
        resources(manifest, &container, report);
    }
    for container in pods.containers() {
        probes(manifest, &container, report);
    }
    jobs(manifest, report);
}

fn platform_labels(manifest: &Manifest<'_>, pods: &PodTemplate<'_>, report: &mut Report<'_>) {
    let keys = report.platform.label_keys().clone();
    let mut levels = vec![(String::from("metadata.labels"), manifest.at("/metadata/labels"))];
    if manifest.kind == "CronJob" {
        levels.push((
            "spec.jobTemplate.metadata.labels".into(),
            manifest.at("/spec/jobTemplate/metadata/labels"),
        ));
    }
    if manifest.kind != "Pod" {
        levels.push((pods.field("metadata.labels"), pods.value.pointer("/metadata/labels")));
    }
    for (field, written) in levels {
        let missing = missing([&keys.app, &keys.env, &keys.tier], written);
        if !missing.is_empty() {
            report.add(
                Rule::Labels,
                manifest,
                field,
                format!("missing or empty: {}", missing.join(", ")),
            );
        }
    }
    let missing = missing(
        [&keys.component, &keys.criticality, &None],
        pods.value.pointer("/metadata/labels"),
    );
    if !missing.is_empty() {
        let field = pods.field("metadata.labels");
        report.add(
            Rule::LabelsAdvised,
            manifest,
            field,
            format!("missing or empty: {}", missing.join(", ")),
        );
    }
}

fn missing<'a>(wanted: [&'a Option<LabelKey>; 3], written: Option<&Value>) -> Vec<&'a str> {
    let written = labels(written);
    let keys = wanted.into_iter().flatten().map(LabelKey::as_str);
    keys.filter(|key| written.get(key).is_none_or(|value| value.is_empty()))
        .collect()
}

fn resources(manifest: &Manifest<'_>, container: &Container<'_>, report: &mut Report<'_>) {
    let name = container.name();
    for resource in ["cpu", "memory"] {
        let read = |which: &str| quantity(container.at(&format!("/resources/{which}/{resource}"))?);
        match (read("requests"), read("limits")) {
            (Some(request), Some(limit)) if request == limit => {}
            (Some(request), Some(limit)) => {
                let message = format!("the container {name} asks for {request} of {resource} and may use {limit}");
                report.add(
                    Rule::ResourcesEqual,
                    manifest,
                    container.field(&format!("resources.limits.{resource}")),
                    message,
                );
            }
            (request, limit) => {
                for (which, value) in [("requests", request), ("limits", limit)] {
                    if value.is_none() {
                        let field = container.field(&format!("resources.{which}.{resource}"));
                        let message = format!("the container {name} has no {which} for {resource}");
                        report.add(Rule::Resources, manifest, field, message);
                    }
                }
            }
        }
    }
}

/// A quantity as a manifest holds it: a text or a bare number.
pub(super) fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

fn probes(manifest: &Manifest<'_>, container: &Container<'_>, report: &mut Report<'_>) {
    let probed = ["livenessProbe", "readinessProbe", "startupProbe"]
        .into_iter()
        .any(|probe| container.at(&format!("/{probe}")).is_some_and(Value::is_object));
    if !probed {
        let message = format!("the container {} has no probe", container.name());
        report.add(Rule::Probes, manifest, container.path.clone(), message);
    }
}

fn jobs(manifest: &Manifest<'_>, report: &mut Report<'_>) {
    if let Some((path, job)) = manifest.job()
        && job
            .pointer("/ttlSecondsAfterFinished")
            .is_none_or(|seconds| !seconds.is_number())
    {
        let field = format!("{path}.ttlSecondsAfterFinished");
        report.add(
            Rule::JobTtl,
            manifest,
            field,
            "the Job does not say how long it stays when it is finished",
        );
    }
    if manifest.kind == "CronJob" {
        for limit in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
            if manifest
                .at(&format!("/spec/{limit}"))
                .is_none_or(|count| !count.is_number())
            {
                report.add(
                    Rule::CronHistory,
                    manifest,
                    format!("spec.{limit}"),
                    format!("{limit} is not set"),
                );
            }
        }
    }
}
