//! A project's environment as Cloud π native makes it, and the platform's policies.
//!
//! An environment is one namespace with the platform's labels, one quota, default-deny network policies
//! with the allowed exceptions, and the registry's pull secret (charts `dso-env` and `dso-ns`, Kyverno
//! policies `add-networkpolicy-*` and `byoc-ns-psa`). The policies in `e2e/policies/` are written from
//! the platform's rules and from nothing of ours: they judge what Tremplin makes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::ValueEnum;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, Discovery, ResourceExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Whose namespaces the policies look at.
const MANAGED_BY: &str = "dso-console";
/// How long new policies may take until they are enforced.
const IN_FORCE: Duration = Duration::from_mins(1);

/// What kind of cluster the platform runs the environment on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ClusterType {
    /// Vanilla Kubernetes: Pod Security `restricted`
    #[default]
    Restricted,
    /// OpenShift: the cluster chooses users and groups, and refuses those that are given
    OpenShift,
}

/// An environment to be made.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its namespace. The platform's are opaque: nothing may be read from the name.
    pub namespace: String,
    /// The project's name and slug, the identifier that every tool of the platform uses.
    pub project_slug: String,
    /// Free text of the project's choice, not a stage.
    pub name: String,
    /// The quota's limits and requests of cpu, a Kubernetes quantity.
    pub cpu: String,
    /// The quota's limits and requests of memory, a Kubernetes quantity.
    pub memory: String,
    /// What kind of cluster it is on.
    pub cluster_type: ClusterType,
}

impl Environment {
    /// The environment `dev` of the project `demo`, with 4 cpus and 4 Gi.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            project_slug: "demo".to_owned(),
            name: "dev".to_owned(),
            cpu: "4".to_owned(),
            memory: "4Gi".to_owned(),
            cluster_type: ClusterType::default(),
        }
    }

    /// Makes it, or brings one of that namespace up to date.
    ///
    /// # Errors
    /// If the API server refuses one of its objects.
    pub async fn apply(&self, client: &Client) -> Result<()> {
        apply(client, self.objects())
            .await
            .with_context(|| format!("failed to make environment {}", self.namespace))
    }

    /// Its objects, in the order in which they are made.
    pub fn objects(&self) -> Vec<Value> {
        let mut objects = vec![self.namespace_object(), self.quota(), self.pull_secret()];
        objects.extend(self.network_policies());
        objects
    }

    /// The labels that the console puts on what it makes.
    fn labels(&self) -> Value {
        json!({
            "app.kubernetes.io/managed-by": MANAGED_BY,
            "dso/project": self.project_slug,
            "dso/project.slug": self.project_slug,
            "dso/project.id": uuid(&self.project_slug),
            "dso/environment": self.name,
            "dso/environment.id": uuid(&format!("{}/{}/{}", self.project_slug, self.name, self.namespace)),
        })
    }

    fn namespace_object(&self) -> Value {
        let mut labels = self.labels();
        if let Some(labels) = labels.as_object_mut() {
            for (name, value) in [
                ("enforce", "restricted"),
                ("enforce-version", "latest"),
                ("warn", "restricted"),
            ] {
                labels.insert(format!("pod-security.kubernetes.io/{name}"), json!(value));
            }
            if self.cluster_type == ClusterType::OpenShift {
                labels.insert("tremplin.dev/e2e-cluster-type".to_owned(), json!("openshift"));
            }
        }
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}})
    }

    fn quota(&self) -> Value {
        let hard = json!({
            "limits.cpu": self.cpu, "limits.memory": self.memory,
            "requests.cpu": self.cpu, "requests.memory": self.memory,
            "requests.nvidia.com/gpu": "0",
        });
        self.object("v1", "ResourceQuota", "dso-quota", json!({"spec": {"hard": hard}}))
    }

    /// It opens no registry: images of the local cluster are imported. Applications must name it.
    fn pull_secret(&self) -> Value {
        let user = BASE64_STANDARD.encode("ro-robot:unused");
        let config = json!({"auths": {"registry.dso.interieur.rie.gouv.fr": {"auth": user}}}).to_string();
        let data = json!({".dockerconfigjson": BASE64_STANDARD.encode(config)});
        let content = json!({"type": "kubernetes.io/dockerconfigjson", "data": data});
        self.object("v1", "Secret", "registry-pull-secret", content)
    }

    fn network_policies(&self) -> Vec<Value> {
        let of_group = |group: &str| json!({"network.openshift.io/policy-group": group});
        let named = |name: &str| json!({"kubernetes.io/metadata.name": name});
        let from = |labels: Value| json!([{"from": [{"namespaceSelector": {"matchLabels": labels}}]}]);
        [
            ("deny-default", json!([])),
            ("allow-same-namespace", json!([{"from": [{"podSelector": {}}]}])),
            ("allow-from-ingress", from(of_group("ingress"))),
            ("allow-from-monitoring", from(of_group("monitoring"))),
            ("allow-from-logging", from(named("cpin-logging"))),
            ("allow-from-istio", from(named("istio-system"))),
            ("allow-from-cnpg-operator", from(named("infra-cnpg-system"))),
        ]
        .into_iter()
        .map(|(name, ingress)| {
            let spec = json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": ingress});
            self.object("networking.k8s.io/v1", "NetworkPolicy", name, json!({"spec": spec}))
        })
        .collect()
    }

    fn object(&self, version: &str, kind: &str, name: &str, content: Value) -> Value {
        let metadata = json!({"name": name, "namespace": self.namespace, "labels": self.labels()});
        let mut object = json!({"apiVersion": version, "kind": kind, "metadata": metadata});
        if let (Some(object), Value::Object(content)) = (object.as_object_mut(), content) {
            object.extend(content);
        }
        object
    }
}

/// A UUID that is always the same for the same words.
fn uuid(words: &str) -> String {
    let number = Sha256::digest(words)
        .first_chunk()
        .map_or(0, |bytes| u128::from_be_bytes(*bytes));
    // Version 4, variant 1 (RFC 9562).
    let number = number & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{number:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// Installs the platform's policies, and waits until they are enforced in every namespace that the
/// console manages.
///
/// # Errors
/// If a policy does not parse or compile, or is not enforced within a minute.
pub async fn install_policies(client: &Client) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let entries: Result<Vec<_>, _> = fs::read_dir(&folder).context("the policies are gone")?.collect();
    let mut files: Vec<_> = entries
        .context("failed to list the policies")?
        .iter()
        .map(fs::DirEntry::path)
        .collect();
    files.sort();
    let mut objects = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&text).with_context(|| format!("{} does not parse", file.display()))?;
        objects.extend(documents);
    }
    objects.extend(signpost());
    apply(client, objects).await.context("failed to install the policies")?;
    wait_until_enforced(client).await
}

/// The ConfigMap that the last policy refuses, and no program makes.
const SIGNPOST: &str = "are-policies-enforced";

/// The last policy. The API server takes up new policies together: once it refuses what this one
/// speaks of, all are enforced.
fn signpost() -> [Value; 2] {
    let maps = json!({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"],
        "resourceNames": [SIGNPOST]});
    let spec = json!({
        "matchConstraints": {"resourceRules": [maps]},
        "validations": [{"expression": "false", "message": "the policies are enforced"}],
    });
    let binding = json!({"policyName": SIGNPOST, "validationActions": ["Deny"]});
    let object = |kind, spec| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": SIGNPOST}, "spec": spec})
    };
    [
        object("ValidatingAdmissionPolicy", spec),
        object("ValidatingAdmissionPolicyBinding", binding),
    ]
}

async fn wait_until_enforced(client: &Client) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let mut map = ConfigMap::default();
    map.metadata.name = Some(SIGNPOST.to_owned());
    let dry = PostParams {
        dry_run: true,
        ..Default::default()
    };
    let deadline = Instant::now() + IN_FORCE;
    loop {
        match maps.create(&dry, &map).await {
            Err(kube::Error::Api(refusal)) if refusal.message.contains(SIGNPOST) => return Ok(()),
            _ if Instant::now() > deadline => bail!("the policies were not enforced within {IN_FORCE:?}"),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Applies objects in their order, taking over fields that others own.
async fn apply(client: &Client, objects: Vec<Value>) -> Result<()> {
    let groups = ["", "networking.k8s.io", "admissionregistration.k8s.io"];
    let discovery = Discovery::new(client.clone())
        .filter(&groups)
        .run()
        .await
        .context("failed to ask what there is")?;
    for object in objects {
        let object: DynamicObject = serde_json::from_value(object).context("an object without a kind")?;
        let types = object.types.as_ref().context("an object without a kind")?;
        let kind = GroupVersionKind::try_from(types).context("an object with a strange apiVersion")?;
        let name = object.name_any();
        let (resource, _) = discovery
            .resolve_gvk(&kind)
            .with_context(|| format!("the API server knows no {}", types.kind))?;
        let api: Api<DynamicObject> = match object.namespace() {
            Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let params = PatchParams::apply("tremplin-e2e").force();
        api.patch(&name, &params, &Patch::Apply(&object))
            .await
            .with_context(|| format!("failed to apply {} {name}", types.kind))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_uuids_and_stay_the_same() {
        let id = uuid("blue");
        assert_eq!(id, uuid("blue"));
        assert_ne!(id, uuid("green"));
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert!(["8", "9", "a", "b"].contains(&&id[19..20]));
    }
}
