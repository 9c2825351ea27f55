//! The rules of a platform, each listed once: what it asks, why, and what to do.
//!
//! The checks themselves are in [`crate::policy`]. Sources: `EXI-…` are the requirements of the *Cadre de Cohérence
//! Technique* for cloud-native applications; a name in `code` is the Kyverno policy of Cloud π native that refuses the
//! same thing in the cluster; *Pod Security* is the profile `restricted` of Kubernetes.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// What a breach of a rule means.
#[derive(schemars::JsonSchema, Serialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The rule is not looked at.
    Off,
    /// Told, and nothing more.
    Warn,
    /// The cluster would refuse it.
    Enforce,
}

/// Also takes `false` for `Off`: YAML 1.1, which Helm and kubectl read, takes the bare word for a boolean.
impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)?.to_string().as_str() {
            "\"Off\"" | "false" => Ok(Self::Off),
            "\"Warn\"" => Ok(Self::Warn),
            "\"Enforce\"" => Ok(Self::Enforce),
            other => Err(D::Error::custom(format!("{other} is none of Off, Warn, Enforce"))),
        }
    }
}

/// A rule of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    missing_docs,
    reason = "each variant is described by its facts, from which the reference is generated too"
)]
pub enum Rule {
    ImageRegistry,
    ImageTag,
    ImagePullPolicy,
    PullSecret,
    Labels,
    LabelsAdvised,
    Resources,
    ResourcesEqual,
    Probes,
    NonRoot,
    FixedIds,
    ReadOnlyRoot,
    PrivilegedPort,
    HostAccess,
    VolumeTypes,
    PortsAgree,
    ServiceType,
    ConfigmapCredentials,
    Hosts,
    Names,
    Spread,
    JobTtl,
    CronHistory,
    ClaimSize,
    ClusterScoped,
    Quota,
}

/// What is known about a rule.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The word in the platform file, in findings and on the command line.
    pub id: &'static str,
    /// The rule in a few words.
    pub title: &'static str,
    /// What it asks.
    pub asks: &'static str,
    /// What to do about a breach.
    pub fix: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// What a breach means when the platform file does not say.
    pub mode: Mode,
}

impl Rule {
    /// Every rule, in the order in which findings are told.
    pub const ALL: [Self; 26] = [
        Self::ImageRegistry,
        Self::ImageTag,
        Self::ImagePullPolicy,
        Self::PullSecret,
        Self::Labels,
        Self::LabelsAdvised,
        Self::Resources,
        Self::ResourcesEqual,
        Self::Probes,
        Self::NonRoot,
        Self::FixedIds,
        Self::ReadOnlyRoot,
        Self::PrivilegedPort,
        Self::HostAccess,
        Self::VolumeTypes,
        Self::PortsAgree,
        Self::ServiceType,
        Self::ConfigmapCredentials,
        Self::Hosts,
        Self::Names,
        Self::Spread,
        Self::JobTtl,
        Self::CronHistory,
        Self::ClaimSize,
        Self::ClusterScoped,
        Self::Quota,
    ];

    /// The rule of that id.
    pub fn of(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.id() == id)
    }

    /// The word in the platform file, in findings and on the command line.
    pub fn id(self) -> &'static str {
        self.facts().id
    }

    /// What a breach means when the platform file does not say.
    pub fn default_mode(self) -> Mode {
        self.facts().mode
    }

    /// What is known about the rule.
    #[allow(clippy::too_many_lines, reason = "a table: one entry per rule")]
    pub fn facts(self) -> Facts {
        match self {
            Self::ImageRegistry => Facts {
                id: "image-registry",
                title: "Images come from an allowed registry",
                asks: "every image names its registry, and the platform allows it",
                fix: "write the image with its registry, such as ghcr.io/team/app:1.2.3, or ask the platform to allow the registry",
                source: "`restrict-image-registries`",
                mode: Mode::Enforce,
            },
            Self::ImageTag => Facts {
                id: "image-tag",
                title: "Images are pinned",
                asks: "every image has a tag other than latest, or a digest",
                fix: "use the tag that your pipeline pushed, such as the commit's short SHA",
                source: "`disallow-latest-tag`, EXI-ARCH-27 (P), EXI-ARCH-9 (P)",
                mode: Mode::Enforce,
            },
            Self::ImagePullPolicy => Facts {
                id: "image-pull-policy",
                title: "Images are pulled once",
                asks: "imagePullPolicy is IfNotPresent",
                fix: "set imagePullPolicy: IfNotPresent, and give every build its own tag",
                source: "EXI-ARCH-27 (P)",
                mode: Mode::Warn,
            },
            Self::PullSecret => Facts {
                id: "pull-secret",
                title: "Pods name the platform's pull secrets",
                asks: "imagePullSecrets holds the pull secrets of the platform file",
                fix: "add the platform's pull secrets to imagePullSecrets: they are not on the default ServiceAccount",
                source: "Cloud π native, namespace content",
                mode: Mode::Warn,
            },
            Self::Labels => Facts {
                id: "labels",
                title: "Objects carry the platform's labels",
                asks: "workloads, their Job templates and their pods carry the labels for app, env and tier",
                fix: "add the labels at every level: the object, the Job template, the pod template",
                source: "`check-labels`",
                mode: Mode::Enforce,
            },
            Self::LabelsAdvised => Facts {
                id: "labels-advised",
                title: "Pods carry the advised labels",
                asks: "pods carry the labels for component and criticality",
                fix: "set component on the process and criticality on the app",
                source: "MIOM label list",
                mode: Mode::Off,
            },
            Self::Resources => Facts {
                id: "resources",
                title: "Containers declare what they use",
                asks: "every container, init containers included, has CPU and memory requests and limits",
                fix: "set requests and limits for cpu and memory: a quota refuses pods without them",
                source: "`all-containers-need-requests-and-limits`",
                mode: Mode::Enforce,
            },
            Self::ResourcesEqual => Facts {
                id: "resources-equal",
                title: "Limits equal requests",
                asks: "the limits of a container equal its requests, so that the pod is of the class Guaranteed",
                fix: "set the limits to the requests: the quota counts the limits anyway",
                source: "Cloud π native, best practices",
                mode: Mode::Warn,
            },
            Self::Probes => Facts {
                id: "probes",
                title: "Containers are probed",
                asks: "every container has a liveness, readiness or startup probe, also in Jobs",
                fix: "add a readiness probe on a path that answers when the process can serve",
                source: "`require-pod-probes`",
                mode: Mode::Enforce,
            },
            Self::NonRoot => Facts {
                id: "non-root",
                title: "Containers run without privileges",
                asks: "runAsNonRoot, allowPrivilegeEscalation: false, all capabilities dropped, seccomp RuntimeDefault",
                fix: "set the four fields in the security context of the pod and its containers",
                source: "Pod Security, EXI-ARCH-18 (P)",
                mode: Mode::Enforce,
            },
            Self::FixedIds => Facts {
                id: "fixed-ids",
                title: "User and group ids are the platform's",
                asks: "on OpenShift no runAsUser, runAsGroup or fsGroup is set; elsewhere none of them is 0 for the user",
                fix: "remove the ids: the image must run under any user, with files writable by group 0",
                source: "EXI-ARCH-26 (I), Pod Security",
                mode: Mode::Enforce,
            },
            Self::ReadOnlyRoot => Facts {
                id: "read-only-root",
                title: "Root file systems are read-only",
                asks: "readOnlyRootFilesystem is true, and /tmp is a volume",
                fix: "write to /tmp or to a volume, and set readOnlyRootFilesystem: true",
                source: "EXI-ARCH-18 (P), EXI-ARCH-6 (P)",
                mode: Mode::Warn,
            },
            Self::PrivilegedPort => Facts {
                id: "privileged-port",
                title: "Containers listen above 1023",
                asks: "no container port is below 1024, and none is a host port",
                fix: "let the process listen on 8080 or another port above 1023; the Service may still say 80",
                source: "EXI-ARCH-18 (P)",
                mode: Mode::Enforce,
            },
            Self::HostAccess => Facts {
                id: "host-access",
                title: "Pods do not see the node",
                asks: "no hostNetwork, hostPID, hostIPC and no privileged container",
                fix: "remove the field",
                source: "Pod Security, EXI-ARCH-26 (I)",
                mode: Mode::Enforce,
            },
            Self::VolumeTypes => Facts {
                id: "volume-types",
                title: "Volumes are of a portable type",
                asks: "volumes are configMap, secret, emptyDir, projected, downwardAPI, csi, ephemeral or persistentVolumeClaim",
                fix: "use one of these types; hostPath is refused everywhere",
                source: "`disallow-host-path`, Pod Security, EXI-ARCH-26 (I)",
                mode: Mode::Enforce,
            },
            Self::PortsAgree => Facts {
                id: "ports-agree",
                title: "Ports agree from the Ingress to the container",
                asks: "an Ingress names a port of its Service, a Service a port of its pods, a probe a port of its container",
                fix: "use the same port, or the same port name, at both ends",
                source: "Cloud π native, field failures",
                mode: Mode::Enforce,
            },
            Self::ServiceType => Facts {
                id: "service-type",
                title: "Services stay inside the cluster",
                asks: "a Service is of the type ClusterIP, without external addresses",
                fix: "use ClusterIP and expose the app by an Ingress",
                source: "`restrict-nodeport`",
                mode: Mode::Enforce,
            },
            Self::ConfigmapCredentials => Facts {
                id: "configmap-credentials",
                title: "ConfigMaps hold no credentials",
                asks: "no key of a ConfigMap is the name of a credential, such as password, secret_key or key",
                fix: "move the value to a Secret, and refer to it by secretEnv",
                source: "`check-configmap-credentials`",
                mode: Mode::Enforce,
            },
            Self::Hosts => Facts {
                id: "hosts",
                title: "Hosts are real and allowed",
                asks: "a host is a full DNS name under a domain that the platform allows to the namespace",
                fix: "use a name under one of the allowed domains, or leave the host out and take the platform's",
                source: "Cloud π native, field failures",
                mode: Mode::Enforce,
            },
            Self::Names => Facts {
                id: "names",
                title: "Names fit",
                asks: "names are DNS labels of at most 63 characters, 52 for a CronJob",
                fix: "choose a name of a-z, 0-9 and -, at most 63 characters, 52 for a CronJob",
                source: "Kubernetes",
                mode: Mode::Enforce,
            },
            Self::Spread => Facts {
                id: "spread",
                title: "Replicas do not fail together",
                asks: "a workload of several replicas is spread over nodes and has a PodDisruptionBudget that lets one go",
                fix: "add topologySpreadConstraints or podAntiAffinity, and a PodDisruptionBudget with maxUnavailable: 1",
                source: "EXI-ARCH-2 (P)",
                mode: Mode::Warn,
            },
            Self::JobTtl => Facts {
                id: "job-ttl",
                title: "Finished Jobs go, when you say",
                asks: "a Job says ttlSecondsAfterFinished itself",
                fix: "set ttlSecondsAfterFinished: where it is absent the platform sets 900, and Argo CD shows a difference",
                source: "`add-ttl-jobs`",
                mode: Mode::Warn,
            },
            Self::CronHistory => Facts {
                id: "cron-history",
                title: "CronJobs say how many Jobs they keep",
                asks: "a CronJob says successfulJobsHistoryLimit and failedJobsHistoryLimit itself",
                fix: "set both: where they are absent the platform sets 5, and Argo CD shows a difference",
                source: "`check-cronjob-history-limits`",
                mode: Mode::Warn,
            },
            Self::ClaimSize => Facts {
                id: "claim-size",
                title: "Volumes are not too large",
                asks: "a PersistentVolumeClaim asks for at most 1Ti",
                fix: "ask for less, or for an object store",
                source: "`limit-pvc-size`",
                mode: Mode::Enforce,
            },
            Self::ClusterScoped => Facts {
                id: "cluster-scoped",
                title: "Everything lies in the namespace",
                asks: "no object is cluster-scoped, a ResourceQuota, or of Argo CD: a team may not sync them",
                fix: "ask the platform's team for it",
                source: "Cloud π native, AppProject",
                mode: Mode::Enforce,
            },
            Self::Quota => Facts {
                id: "quota",
                title: "Everything fits the quota",
                asks: "limits × replicas, with the surge of a rollout, stay within the ResourceQuota given beside the manifests",
                fix: "lower size or replicas, or ask for more quota",
                source: "`dso-quota`",
                mode: Mode::Warn,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_rule_is_listed_once_and_found_by_its_id() {
        let ids: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        assert_eq!(ids.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            assert_eq!(Rule::of(rule.id()), Some(rule));
            let facts = rule.facts();
            assert!(
                !facts.title.ends_with('.')
                    && !facts.asks.is_empty()
                    && !facts.fix.is_empty()
                    && !facts.source.is_empty()
            );
        }
        assert_eq!(Rule::of("no-such-rule"), None);
    }
}
