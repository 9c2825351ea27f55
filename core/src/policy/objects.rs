//! Names, scopes, ConfigMaps and claims: what an object says of itself.

use serde_json::Value;

use crate::platform::{Rule, is_dns_name};

use super::Report;
use super::manifest::{Manifest, items, text};
use super::workloads::quantity;

pub(super) fn check(manifest: &Manifest<'_>, report: &mut Report<'_>) {
    name(manifest, report);
    scope(manifest, report);
    match manifest.kind {
        "ConfigMap" => credentials(manifest, report),
        "PersistentVolumeClaim" => claim(manifest, "spec", manifest.at("/spec"), report),
        "StatefulSet" => {
            for (index, template) in items(manifest.value, "/spec/volumeClaimTemplates").enumerate() {
                claim(
                    manifest,
                    &format!("spec.volumeClaimTemplates[{index}].spec"),
                    template.pointer("/spec"),
                    report,
                );
            }
        }
        _ => {}
    }
}

/// The Jobs of a CronJob are named after it, with eleven characters more.
const CRON_JOB_NAME: usize = 52;
const NAME: usize = 63;

fn name(manifest: &Manifest<'_>, report: &mut Report<'_>) {
    let name = manifest.name;
    let longest = if manifest.kind == "CronJob" {
        CRON_JOB_NAME
    } else {
        NAME
    };
    if name.is_empty() {
        report.add(Rule::Names, manifest, "metadata.name", "the object has no name");
    } else if name.len() > longest {
        let message = format!("the name has {} characters, {longest} are possible", name.len());
        report.add(Rule::Names, manifest, "metadata.name", message);
    } else if !is_dns_name(name) {
        let message =
            format!("the name {name:?} may hold only a-z, 0-9 and -, and begins and ends with a letter or digit");
        report.add(Rule::Names, manifest, "metadata.name", message);
    }
}

/// Kinds that lie outside every namespace, with their API groups.
const CLUSTER_SCOPED: [(&str, &str); 22] = [
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("cert-manager.io", "ClusterIssuer"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("kyverno.io", "ClusterPolicy"),
    ("networking.k8s.io", "IngressClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "VolumeAttributesClass"),
    ("security.openshift.io", "SecurityContextConstraints"),
];

fn scope(manifest: &Manifest<'_>, report: &mut Report<'_>) {
    // What has a UID was read from a cluster, and tells what is there, not what is to be synced.
    if !text(manifest.value, "/metadata/uid").is_empty() {
        return;
    }
    let kind = manifest.kind;
    if CLUSTER_SCOPED.contains(&(manifest.api_group, kind)) {
        report.add(
            Rule::ClusterScoped,
            manifest,
            "kind",
            format!("a {kind} lies outside every namespace"),
        );
    } else if manifest.api_group == "argoproj.io" && matches!(kind, "Application" | "ApplicationSet" | "AppProject") {
        report.add(
            Rule::ClusterScoped,
            manifest,
            "kind",
            format!("the {kind} of Argo CD are the platform's"),
        );
    } else if manifest.api_group.is_empty() && matches!(kind, "ResourceQuota" | "LimitRange") {
        report.add(
            Rule::ClusterScoped,
            manifest,
            "kind",
            format!("a {kind} is the platform's to set"),
        );
    }
}

/// The names that the platform refuses, without case and underscores.
const CREDENTIALS: [&str; 13] = [
    "adminpassword",
    "apisecret",
    "credentials",
    "encryptionkey",
    "key",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "secretkey",
    "userpass",
];

fn credentials(manifest: &Manifest<'_>, report: &mut Report<'_>) {
    for (key, _) in manifest.at("/data").and_then(Value::as_object).into_iter().flatten() {
        let plain: String = key
            .chars()
            .filter(|c| !matches!(c, '_' | '-'))
            .collect::<String>()
            .to_ascii_lowercase();
        if CREDENTIALS.contains(&plain.as_str()) {
            report.add(
                Rule::ConfigmapCredentials,
                manifest,
                format!("data.{key}"),
                format!("the key {key} is the name of a credential"),
            );
        }
    }
}

fn claim(manifest: &Manifest<'_>, field: &str, spec: Option<&Value>, report: &mut Report<'_>) {
    let asked = spec
        .and_then(|spec| spec.pointer("/resources/requests/storage"))
        .and_then(quantity);
    if let (Some(asked), Ok(most)) = (asked, "1Ti".parse())
        && asked > most
    {
        let message = format!("{asked} are asked for, {most} are possible");
        report.add(
            Rule::ClaimSize,
            manifest,
            format!("{field}.resources.requests.storage"),
            message,
        );
    }
}
