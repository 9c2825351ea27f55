//! Files of a process.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ObjectRef;

/// Files at a path of a process's container.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new(
        "(has(self.temporary) ? 1 : 0) + (has(self.secretRef) ? 1 : 0) + (has(self.configMapRef) ? 1 : 0) == 1")
    .message("spec.volumes[] needs exactly one of temporary, secretRef and configMapRef"),
    validation = Rule::new("!self.mountPath.matches('/[.][.]?(/|$)')")
    .message("the mountPath of a volume holds a part . or ..: write the plain path"))]
pub struct Volume {
    /// The volume's name, unique in the app.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// The process that sees it, and the crons that run with that process. Absent: every process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20))]
    pub process: Option<String>,

    /// An absolute path in the container, other than `/tmp`, which is there already; without `//` and without a part `.`
    /// or `..`.
    #[schemars(length(min = 2, max = 256), regex(pattern = r"^(/[^/: ]+)+/?$"))]
    pub mount_path: String,

    /// An empty folder on the node, lost with the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temporary: Option<Temporary>,

    /// The keys of a Secret as files, read-only. A change of content restarts the process once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<ObjectRef>,

    /// The keys of a ConfigMap as files, read-only. A change of content restarts the process once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ObjectRef>,
}

/// An empty folder on the node.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Temporary {
    /// How much it may hold, for example `1Gi`; a pod that writes more is evicted. Absent: no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 20),
        regex(pattern = r"^[0-9]+(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$")
    )]
    pub size: Option<String>,
}
