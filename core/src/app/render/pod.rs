//! Pods: one container under the platform's rules.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapEnvSource, ConfigMapVolumeSource, Container, EmptyDirVolumeSource, EnvFromSource, EnvVar,
    EnvVarSource, ExecAction, LocalObjectReference, PodSecurityContext, PodSpec, Probe, ResourceRequirements,
    SeccompProfile, SecretEnvSource, SecretKeySelector, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::{Frame, Marks};
use crate::app::valid::{ContentKind, ContentRef, Program, VolumeSource};
use crate::live::Digest;
use crate::platform::Security;

/// A container with everything but its name's own needs (ports, probes, lifecycle).
pub fn container(frame: Frame<'_>, name: &str, program: &Program, port: Option<i32>) -> Container {
    let resources: BTreeMap<_, _> = [("cpu", &program.demand.cpu), ("memory", &program.demand.memory)]
        .into_iter()
        .map(|(resource, quantity)| (resource.to_owned(), Quantity(quantity.to_string())))
        .collect();
    let mut mounts = vec![VolumeMount {
        name: "tmp".into(),
        mount_path: "/tmp".into(),
        ..VolumeMount::default()
    }];
    mounts.extend(program.volumes.iter().map(|volume| VolumeMount {
        name: volume.name.clone(),
        mount_path: volume.mount_path.clone(),
        read_only: matches!(volume.source, VolumeSource::Content(_)).then_some(true),
        ..VolumeMount::default()
    }));
    Container {
        name: name.to_owned(),
        image: Some(program.image.as_str().to_owned()),
        image_pull_policy: Some("IfNotPresent".into()),
        command: Some(program.command.clone()).filter(|command| !command.is_empty()),
        args: Some(program.args.clone()).filter(|args| !args.is_empty()),
        env: Some(variables(frame, port)).filter(|variables| !variables.is_empty()),
        env_from: Some(frame.app.env_from.iter().map(env_from).collect()).filter(|from: &Vec<_>| !from.is_empty()),
        resources: Some(ResourceRequirements {
            limits: Some(resources.clone()),
            requests: Some(resources),
            claims: None,
        }),
        volume_mounts: Some(mounts),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".into()]),
                add: None,
            }),
            read_only_root_filesystem: Some(!frame.app.writable_root),
            ..SecurityContext::default()
        }),
        // A program's last words reach the status without a right to read logs.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        ..Container::default()
    }
}

/// A pod around one container.
pub fn spec(frame: Frame<'_>, container: Container, program: &Program, restart_policy: Option<&str>) -> PodSpec {
    let mut volumes = vec![Volume {
        name: "tmp".into(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }];
    volumes.extend(program.volumes.iter().map(|volume| match &volume.source {
        VolumeSource::Temporary(size) => Volume {
            name: volume.name.clone(),
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: size.as_ref().map(|size| Quantity(size.to_string())),
                ..EmptyDirVolumeSource::default()
            }),
            ..Volume::default()
        },
        VolumeSource::Content(content) => content_volume(&volume.name, content),
    }));
    let pull_secrets = frame.platform.registries().pull_secrets.iter();
    PodSpec {
        containers: vec![container],
        volumes: Some(volumes),
        restart_policy: restart_policy.map(str::to_owned),
        service_account_name: Some(frame.app.identity.name.clone()),
        automount_service_account_token: Some(false),
        // Docker-style variables of every Service of the namespace would leak into the app's environment.
        enable_service_links: Some(false),
        image_pull_secrets: Some(
            pull_secrets
                .map(|name| LocalObjectReference { name: name.clone() })
                .collect(),
        )
        .filter(|secrets: &Vec<_>| !secrets.is_empty()),
        security_context: Some(security_context(frame.platform.security())),
        ..PodSpec::default()
    }
}

/// A probe that satisfies "every container has a probe" and never runs: images without a shell have nothing to run.
pub fn never_probe() -> Probe {
    Probe {
        exec: Some(ExecAction {
            command: Some(vec!["true".into()]),
        }),
        initial_delay_seconds: Some(i32::MAX),
        ..Probe::default()
    }
}

/// The mark of the content that a program uses: changes when, and only when, a value changes. `None` when it uses none,
/// or when there is no cluster to ask.
pub fn content_mark(frame: Frame<'_>, program: &Program, marks: &Marks) -> Option<String> {
    let by_key = frame.app.secret_env.iter().map(|(variable, from)| {
        let digest = marks
            .contents
            .get(&ContentRef::secret(&from.name))?
            .keys
            .get(&from.key)?;
        Some((variable.clone(), digest.clone()))
    });
    let volumes = program.volumes.iter().filter_map(|volume| match &volume.source {
        VolumeSource::Content(content) => Some(content),
        VolumeSource::Temporary(_) => None,
    });
    let whole = frame.app.env_from.iter().chain(volumes).map(|content| {
        let digest = &marks.contents.get(content)?.whole;
        Some((format!("{}/{}", content.kind.as_str(), content.name), digest.clone()))
    });
    let used: Option<BTreeMap<_, _>> = by_key.chain(whole).collect();
    let used = used.filter(|used| !used.is_empty())?;
    Some(Digest::of(&serde_json::json!(used)).short())
}

fn variables(frame: Frame<'_>, port: Option<i32>) -> Vec<EnvVar> {
    let port = port.map(|port| EnvVar {
        name: "PORT".into(),
        value: Some(port.to_string()),
        value_from: None,
    });
    let secret = frame.app.secret_env.iter().map(|(name, from)| EnvVar {
        name: name.clone(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: from.name.clone(),
                key: from.key.clone(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
    });
    let plain = frame.app.env.iter().map(|(name, value)| EnvVar {
        name: name.clone(),
        value: Some(value.clone()),
        value_from: None,
    });
    port.into_iter().chain(secret).chain(plain).collect()
}

fn env_from(content: &ContentRef) -> EnvFromSource {
    let name = content.name.clone();
    match content.kind {
        ContentKind::Secret => EnvFromSource {
            secret_ref: Some(SecretEnvSource { name, optional: None }),
            ..EnvFromSource::default()
        },
        ContentKind::ConfigMap => EnvFromSource {
            config_map_ref: Some(ConfigMapEnvSource { name, optional: None }),
            ..EnvFromSource::default()
        },
    }
}

fn content_volume(name: &str, content: &ContentRef) -> Volume {
    let mut volume = Volume {
        name: name.to_owned(),
        ..Volume::default()
    };
    match content.kind {
        ContentKind::Secret => {
            volume.secret = Some(SecretVolumeSource {
                secret_name: Some(content.name.clone()),
                ..SecretVolumeSource::default()
            });
        }
        ContentKind::ConfigMap => {
            volume.config_map = Some(ConfigMapVolumeSource {
                name: content.name.clone(),
                ..ConfigMapVolumeSource::default()
            });
        }
    }
    volume
}

fn security_context(security: &Security) -> PodSecurityContext {
    let common = PodSecurityContext {
        run_as_non_root: Some(true),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".into(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    };
    match *security {
        Security::OpenShift => common,
        Security::Restricted {
            run_as_user,
            run_as_group,
            fs_group,
        } => PodSecurityContext {
            run_as_user: Some(run_as_user),
            run_as_group,
            fs_group: Some(fs_group),
            ..common
        },
    }
}
