//! The platform file as it is written. Unknown fields are refused; what a field means stands at the field, and
//! `docs/reference/platform-file.md` is generated from here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rule::Mode;
use crate::api::startup_app::Environment;

/// What the platform team decides for every app of a cluster.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlatformFile {
    /// The domains under which apps get names. A host outside all of them is refused. Absent: no host is allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<DomainFile>,

    /// Which namespaces are which environment: the first entry whose patterns all fit wins. A namespace that fits none
    /// is taken for `Production`, and the apps in it say so by the condition `EnvironmentAssumed`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<EnvironmentFile>,

    /// The namespace label that holds the project's slug: `{project}` in host templates. Absent: no project is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_label: Option<String>,

    /// The labels that the platform wants on every object. Absent: the standard ones and ours alone.
    #[serde(default)]
    pub labels: LabelsFile,

    /// The classes of exposure. Absent: no app can be reached from outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposures: Vec<ExposureFile>,

    /// The sizes that processes ask for by name. Exactly one is the default.
    pub sizes: BTreeMap<String, SizeFile>,

    /// Where images may come from.
    #[serde(default)]
    pub registries: RegistriesFile,

    /// The security context of every pod.
    pub security: SecurityFile,

    /// The IANA time zone of crons that name none. Absent: `Etc/UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,

    /// What a breach of a rule means, by the rule's id. Absent: the rule's own default, listed below.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, Mode>,

    /// The platform's Argo CD.
    #[serde(default, rename = "argoCD")]
    pub argo_cd: ArgoCdFile,
}

/// A domain under which apps get names.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DomainFile {
    /// The domain, such as `app.example.org`: it allows itself and every name below it. `*` allows every name.
    pub domain: String,
    /// The environments whose namespaces may use it, by the namespace's environment, not the app's. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<Environment>,
    /// The host of an app that names none. Holds `{app}`, may hold `{environment}`, `{project}`, `{namespace}` and
    /// `{label:KEY}` (a label of the namespace), and ends with `.{domain}`. What is missing becomes a hash of the
    /// namespace; a DNS label longer than 63 is cut and gets a hash. The first allowed domain with a template gives the
    /// host. Absent: the domain gives no host of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_template: Option<String>,
    /// Which namespaces may use it. Absent: all.
    #[serde(default)]
    pub allowed_namespaces: SelectorFile,
    /// Whether each host of an app that is the domain or below it gets a DnsRecord that follows the app, made with it and
    /// withdrawn with it, so that the StartupApp alone is enough. Of the domains that hold a host the longest decides. For
    /// domains that a DnsZone covers. Absent: false, and teams commit their DnsRecords themselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dns_records: bool,
}

/// Selects namespaces.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SelectorFile {
    /// Labels that the namespace must have, with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

/// Says that some namespaces are an environment.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentFile {
    /// Namespace labels, each with a pattern (`*` any characters, `?` one) that its value must fit. At least one.
    pub labels: BTreeMap<String, String>,
    /// What such a namespace is.
    pub environment: Environment,
}

/// The labels that the platform wants on every object.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelsFile {
    /// Under which keys.
    #[serde(default)]
    pub keys: LabelKeysFile,
    /// The platform's words for the environments, as label value and in host templates. Absent: `production`,
    /// `staging`, `development`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment_values: BTreeMap<Environment, String>,
}

/// The keys of the platform's labels.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelKeysFile {
    /// For the app's name. Absent: `app.kubernetes.io/name` alone has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// For the environment. Absent: no label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// For the tier: `frontend`, `backend`, `db`, `cache` or `auth`. Absent: `tremplin.dev/tier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// For the technology. Absent: `tremplin.dev/component`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// For the criticality: `high`, `medium` or `low`. Absent: `tremplin.dev/criticality`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criticality: Option<String>,
}

/// A class of exposure.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExposureFile {
    /// The name by which apps ask for it. Not `None`, which means no exposure.
    pub name: String,
    /// Whether an app that names no class gets this one. At most one class is the default. Absent: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// `http` or `https`: how a browser reaches it, whoever ends TLS.
    pub scheme: SchemeFile,
    /// The port of the URL. Absent: the scheme's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// By which objects.
    #[serde(rename = "type")]
    pub type_: ExposureTypeFile,
    /// Where DnsRecords that follow apps of this class lead: addresses, or one host. Absent: where the status of the app's
    /// own Ingress says that it is reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// With `type: Ingress`. Absent: no class, no TLS, no annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressFile>,
}

/// By which objects an app is exposed.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExposureTypeFile {
    /// One Ingress per app.
    Ingress,
}

/// How a browser reaches an app.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SchemeFile {
    /// Not encrypted.
    Http,
    /// Encrypted.
    Https,
}

/// How the Ingress of a class looks.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngressFile {
    /// `spec.ingressClassName`. Absent: left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// Who ends TLS. Absent: `None`.
    #[serde(default)]
    pub tls: TlsFile,
    /// Annotations for the ingress controller, as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Who ends TLS.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsFile {
    /// Which of the ways.
    #[serde(rename = "type", default)]
    pub type_: TlsTypeFile,
    /// With `type: Secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<TlsSecretFile>,
    /// With `type: CertManager`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_manager: Option<CertManagerFile>,
}

/// The ways to end TLS.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsTypeFile {
    /// Not at the Ingress: there is no TLS, or a proxy in front of the cluster ends it.
    #[default]
    None,
    /// The ingress controller, with its own certificate.
    ControllerDefault,
    /// A certificate in a Secret of the app's namespace.
    Secret,
    /// cert-manager, one certificate per app.
    CertManager,
}

/// A certificate in a Secret of the app's namespace.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsSecretFile {
    /// The Secret's name, of the type `kubernetes.io/tls`.
    pub name: String,
}

/// cert-manager's part.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertManagerFile {
    /// The ClusterIssuer that signs.
    pub cluster_issuer: String,
}

/// What one instance of a process gets. Requests equal limits.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SizeFile {
    /// CPU, such as `250m`.
    pub cpu: String,
    /// Memory, such as `256Mi`.
    pub memory: String,
    /// Whether a process that asks for nothing gets this one. Absent: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
}

/// Where images may come from.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistriesFile {
    /// Patterns (`*` any characters) over registry and repository, such as `ghcr.io/*`. Absent: every registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// Secrets that lie in every namespace and that pods pull with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
}

/// The security context of every pod.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecurityFile {
    /// Who gives user and group ids.
    #[serde(rename = "type")]
    pub type_: SecurityTypeFile,
    /// With `type: Restricted`, required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restricted: Option<RestrictedFile>,
}

/// Who gives user and group ids.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityTypeFile {
    /// The cluster (restricted-v2): a pod that names an id is refused, so none is set.
    OpenShift,
    /// This file: a vanilla cluster that enforces Pod Security `restricted`.
    Restricted,
}

/// The ids of every pod. With them images built for root run, and volumes are writable.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestrictedFile {
    /// The user of every container: not 0.
    #[schemars(range(min = 1))]
    pub run_as_user: i64,
    /// The primary group. Absent: left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub run_as_group: Option<i64>,
    /// The group that owns the files of volumes.
    #[schemars(range(min = 0))]
    pub fs_group: i64,
}

/// The platform's Argo CD.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgoCdFile {
    /// The label by which this Argo CD tracks its objects (`application.instanceLabelKey`): none of
    /// `labels.keys` may be it. Absent: `app.kubernetes.io/instance`, which none may be either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_label_key: Option<String>,
}
