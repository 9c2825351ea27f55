//! A policy that refuses is quoted.

use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::team::{DEADLINE, Team};
use crate::world::{World, image};

/// Refuses in the team's namespace, with `message`, the new objects of `resource` for which `expression` is false.
async fn refuse(team: &Team, resource: &Value, expression: &str, message: &str) {
    let name = format!("{}-{}", resource["resources"][0].as_str().unwrap(), team.namespace);
    let apply = PatchParams::apply("platform").force();
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [resource]},
            "validations": [{"expression": expression, "message": message}],
        },
    });
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": team.namespace}});
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": selector},
        },
    });
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(team.world.client.clone());
    policies.patch(&name, &apply, &Patch::Apply(policy)).await.unwrap();
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(team.world.client.clone());
    bindings.patch(&name, &apply, &Patch::Apply(binding)).await.unwrap();
}

/// Waits until an attempt to create an object is refused in these words.
async fn in_force<K>(team: &Team, object: Value, message: &str)
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    K: serde::Serialize + serde::de::DeserializeOwned + Clone + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object).unwrap();
    let dry = PostParams {
        dry_run: true,
        ..Default::default()
    };
    let deadline = std::time::Instant::now() + DEADLINE;
    loop {
        match team.api::<K>().create(&dry, &object).await {
            Err(refused) if refused.to_string().contains(message) => return,
            other => assert!(std::time::Instant::now() < deadline, "not refused: {other:?}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// A pod, or a pod's template, that the platform takes.
fn clean_pod() -> Value {
    json!({
        "metadata": {"name": "probe", "labels": {"app": "probe", "env": "dev", "tier": "backend"}},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "web",
                "image": image("1.0.0"),
                "imagePullPolicy": "IfNotPresent",
                "readinessProbe": {"tcpSocket": {"port": 8080}},
                "resources": {"limits": {"cpu": "10m", "memory": "16Mi"}, "requests": {"cpu": "10m", "memory": "16Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    })
}

pub async fn a_refused_object_is_told_in_the_words_of_the_policy(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    let message = "every workload says how critical it is";
    let deployments = json!({
        "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE", "UPDATE"],
    });
    refuse(&team, &deployments, "'criticality' in object.metadata.labels", message).await;
    let template = json!({"metadata": {"labels": clean_pod()["metadata"]["labels"]}, "spec": clean_pod()["spec"]});
    let spec = json!({"selector": {"matchLabels": {"app": "probe"}}, "template": template});
    let probe = json!({"metadata": clean_pod()["metadata"], "spec": spec});
    in_force::<Deployment>(&team, probe, message).await;

    team.put("shop", json!({"image": image("1.0.0")})).await;
    let app = team
        .told("shop", "PolicyRefused", &[message, "ValidatingAdmissionPolicy"])
        .await;
    assert_eq!(app.condition("Available", "status"), "False");
    team.put("shop", json!({"image": image("1.0.0"), "criticality": "High"}))
        .await;
    team.ready("shop").await;
    team.leave().await;
}

pub async fn a_refused_instance_is_told_in_the_words_of_the_policy(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    let message = "nobody debugs here";
    let pods = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"],
    });
    let expression = "object.spec.containers.all(c, !has(c.env) || !c.env.exists(e, e.name == 'DEBUG'))";
    refuse(&team, &pods, expression, message).await;
    let mut probe = clean_pod();
    probe["spec"]["containers"][0]["env"] = json!([{"name": "DEBUG", "value": "1"}]);
    in_force::<Pod>(&team, probe, message).await;

    team.put("shop", json!({"image": image("1.0.0"), "env": {"DEBUG": "1"}}))
        .await;
    team.told("shop", "PolicyRefused", &["web", message]).await;
    team.put("shop", json!({"image": image("1.0.0")})).await;
    team.ready("shop").await;
    team.leave().await;
}
