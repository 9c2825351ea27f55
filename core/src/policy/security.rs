//! Under which identity pods run, and what of the node they see.

use serde_json::Value;

use crate::platform::{Rule, Security};

use super::Report;
use super::manifest::{Container, Manifest, PodTemplate, items, text};

pub(super) fn check(manifest: &Manifest<'_>, report: &mut Report<'_>) {
    let Some(pods) = manifest.pods() else { return };
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        if is(pods.spec(&format!("/{field}")), true) {
            report.add(
                Rule::HostAccess,
                manifest,
                pods.field(&format!("spec.{field}")),
                format!("{field} is true"),
            );
        }
    }
    volumes(manifest, &pods, report);
    ids(
        manifest,
        &pods.field("spec.securityContext"),
        pods.spec("/securityContext"),
        report,
    );
    for container in pods.all_containers() {
        let field = container.field("securityContext");
        ids(manifest, &field, container.at("/securityContext"), report);
        if is(container.at("/securityContext/privileged"), true) {
            let message = format!("the container {} is privileged", container.name());
            report.add(
                Rule::HostAccess,
                manifest,
                container.field("securityContext.privileged"),
                message,
            );
        }
        non_root(manifest, &pods, &container, report);
        root_file_system(manifest, &container, report);
        ports(manifest, &container, report);
    }
}

fn is(value: Option<&Value>, wanted: bool) -> bool {
    value.and_then(Value::as_bool) == Some(wanted)
}

fn non_root(manifest: &Manifest<'_>, pods: &PodTemplate<'_>, container: &Container<'_>, report: &mut Report<'_>) {
    let mut told = |field: &str, what: &str| {
        let message = format!("the container {} {what}", container.name());
        report.add(
            Rule::NonRoot,
            manifest,
            container.field(&format!("securityContext.{field}")),
            message,
        );
    };
    // The container's own word counts before the pod's.
    let inherited = |field: &str| {
        container
            .at(&format!("/securityContext{field}"))
            .or_else(|| pods.spec(&format!("/securityContext{field}")))
    };
    if !is(inherited("/runAsNonRoot"), true) {
        told("runAsNonRoot", "does not say runAsNonRoot: true, nor does its pod");
    }
    if !is(container.at("/securityContext/allowPrivilegeEscalation"), false) {
        told(
            "allowPrivilegeEscalation",
            "does not say allowPrivilegeEscalation: false",
        );
    }
    if !items(container.value, "/securityContext/capabilities/drop").any(|capability| capability == "ALL") {
        told("capabilities.drop", "does not drop all capabilities");
    }
    for added in
        items(container.value, "/securityContext/capabilities/add").filter(|added| *added != "NET_BIND_SERVICE")
    {
        told("capabilities.add", &format!("adds the capability {added}"));
    }
    let profile = inherited("/seccompProfile/type").and_then(Value::as_str);
    if !matches!(profile, Some("RuntimeDefault" | "Localhost")) {
        told(
            "seccompProfile.type",
            "has no seccomp profile RuntimeDefault, nor does its pod",
        );
    }
}

fn ids(manifest: &Manifest<'_>, field: &str, context: Option<&Value>, report: &mut Report<'_>) {
    let Some(context) = context else { return };
    let open_shift = *report.platform.security() == Security::OpenShift;
    for id in ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"] {
        let Some(value) = context.pointer(&format!("/{id}")) else {
            continue;
        };
        if open_shift {
            let message = format!("{id} is {value}: OpenShift gives the ids and refuses a fixed one");
            report.add(Rule::FixedIds, manifest, format!("{field}.{id}"), message);
        } else if id == "runAsUser" && value.as_i64() == Some(0) {
            report.add(
                Rule::FixedIds,
                manifest,
                format!("{field}.{id}"),
                "runAsUser is 0, which is root",
            );
        }
    }
}

fn root_file_system(manifest: &Manifest<'_>, container: &Container<'_>, report: &mut Report<'_>) {
    let name = container.name();
    if !is(container.at("/securityContext/readOnlyRootFilesystem"), true) {
        let field = container.field("securityContext.readOnlyRootFilesystem");
        report.add(
            Rule::ReadOnlyRoot,
            manifest,
            field,
            format!("the container {name} may write to its root file system"),
        );
    } else if !items(container.value, "/volumeMounts").any(|mount| text(mount, "/mountPath") == "/tmp") {
        let field = container.field("volumeMounts");
        report.add(
            Rule::ReadOnlyRoot,
            manifest,
            field,
            format!("the container {name} has no writable /tmp"),
        );
    }
}

fn ports(manifest: &Manifest<'_>, container: &Container<'_>, report: &mut Report<'_>) {
    for (index, port) in items(container.value, "/ports").enumerate() {
        let field = |name: &str| container.field(&format!("ports[{index}].{name}"));
        let number = port
            .pointer("/containerPort")
            .and_then(Value::as_i64)
            .unwrap_or_default();
        if number < 1024 {
            let message = format!("the container {} listens on {number}", container.name());
            report.add(Rule::PrivilegedPort, manifest, field("containerPort"), message);
        }
        if let Some(host_port) = port.pointer("/hostPort").filter(|port| port.as_i64() != Some(0)) {
            let message = format!(
                "the container {} takes the port {host_port} of the node",
                container.name()
            );
            report.add(Rule::PrivilegedPort, manifest, field("hostPort"), message);
        }
    }
}

/// What Pod Security `restricted` lets in.
const VOLUME_TYPES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

fn volumes(manifest: &Manifest<'_>, pods: &PodTemplate<'_>, report: &mut Report<'_>) {
    for (index, volume) in items(pods.value, "/spec/volumes").enumerate() {
        let keys = volume.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        for kind in keys.filter(|key| *key != "name" && !VOLUME_TYPES.contains(key)) {
            let field = pods.field(&format!("spec.volumes[{index}].{kind}"));
            report.add(
                Rule::VolumeTypes,
                manifest,
                field,
                format!("the volume {} is a {kind}", text(volume, "/name")),
            );
        }
    }
}
