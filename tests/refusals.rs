//! What the API server does not take is told in the words of the one who must act.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use common::{Team, eventually, start};
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{LimitRange, Pod, ResourceQuota};
use kube::Client;
use kube::api::{Api, DeleteParams, PostParams};
use serde::de::DeserializeOwned;

const APP: &str = "image: 'ghcr.io/brigade/site:one'";

fn object<K: DeserializeOwned>(text: &str) -> K {
    serde_json::from_value(common::yaml(text)).unwrap()
}

async fn forbid_services(client: &Client, namespace: &str) {
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let policy = r#"{metadata: {name: no-services}, spec: {
        matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [services]}]},
        validations: [{expression: "false", message: "no Services on Sundays"}]}}"#;
    policies.create(&PostParams::default(), &object(policy)).await.unwrap();
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let binding = format!(
        "{{metadata: {{name: no-services}}, spec: {{policyName: no-services, validationActions: [Deny],
          matchResources: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}}}}}}}"
    );
    bindings
        .create(&PostParams::default(), &object(&binding))
        .await
        .unwrap();
    let services: Api<k8s_openapi::api::core::v1::Service> = Api::namespaced(client.clone(), namespace);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let service = object("{metadata: {name: try}, spec: {ports: [{port: 80}]}}");
    eventually("the policy counts", async || {
        services.create(&dry, &service).await.err()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_quoted_and_a_quota_is_told_with_its_numbers() {
    let (control_plane, client) = start().await;
    let (policed, limited, free) = (
        Team::new(control_plane, &client, "policed").await,
        Team::new(control_plane, &client, "limited").await,
        Team::new(control_plane, &client, "free").await,
    );
    forbid_services(&client, &policed.namespace).await;
    limited
        .create::<ResourceQuota>("{metadata: {name: dso-quota}, spec: {hard: {count/deployments.apps: '0'}}}")
        .await;
    eventually("the quota counts", async || {
        limited
            .api::<ResourceQuota>()
            .get("dso-quota")
            .await
            .unwrap()
            .status?
            .hard
    })
    .await;

    for team in [&policed, &limited, &free] {
        team.commit("brigade", APP).await;
    }
    let (_, condition) = policed.told("brigade", "Stalled", "True", "PolicyRefused").await;
    assert!(condition.message.contains("no Services on Sundays"), "{condition:?}");
    let (_, condition) = limited.told("brigade", "Reconciling", "True", "QuotaExceeded").await;
    assert!(
        condition.message.contains("dso-quota") && condition.message.contains("count/deployments.apps"),
        "{condition:?}"
    );
    eventually("the others are not disturbed", async || {
        free.deployments().get_opt("brigade-web").await.unwrap()
    })
    .await;
}

/// The controller manager makes no pod, and says why in the Deployment: both ways that a size may be wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_range_is_told_with_its_numbers_and_the_field_to_change() {
    let (control_plane, client) = start().await;
    for (prefix, limit, number, fix) in [
        (
            "tight",
            "max: {cpu: 50m, memory: 1Gi}",
            "cpu: 250m asked, at most 50m",
            "smaller spec.processes[].size",
        ),
        (
            "wide",
            "min: {memory: 512Mi}",
            "memory: 256Mi asked, at least 512Mi",
            "larger spec.processes[].size",
        ),
    ] {
        let team = Team::new(control_plane, &client, prefix).await;
        let limits = format!("{{metadata: {{name: limits}}, spec: {{limits: [{{type: Container, {limit}}}]}}}}");
        team.create::<LimitRange>(&limits).await;
        let pods = team.api::<Pod>();
        let pod = "{metadata: {name: try}, spec: {containers: [{name: x, image: 'ghcr.io/team/other:1',
            resources: {requests: {cpu: 250m, memory: 256Mi}, limits: {cpu: 250m, memory: 256Mi}}}]}}";
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        eventually("the limits count", async || pods.create(&dry, &object(pod)).await.err()).await;

        team.commit("brigade", APP).await;
        let (_, condition) = team.told("brigade", "Reconciling", "True", "QuotaExceeded").await;
        for said in ["web: an instance was refused", number, fix] {
            assert!(condition.message.contains(said), "{said}: {condition:?}");
        }
        // A size that fits, and it goes on by itself.
        let size = if prefix == "tight" { "XS" } else { "L" };
        team.commit(
            "brigade",
            &format!("{{{APP}, processes: [{{name: web, size: {size}}}]}}"),
        )
        .await;
        team.told("brigade", "Reconciling", "True", "Deploying").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_cannot_be_changed_is_named_with_the_child_to_delete() {
    let (control_plane, client) = start().await;
    let team = Team::new(control_plane, &client, "frozen").await;
    let app = team.commit("brigade", &format!("{{{APP}, suspend: true}}")).await;
    // A Deployment of this app by another selector, as an operator of another age would have made it.
    let uid = app.metadata.uid.unwrap();
    let labels = "{app.kubernetes.io/managed-by: tremplin, tremplin.dev/app: brigade, tremplin.dev/process: web}";
    let deployment = format!(
        "{{metadata: {{name: brigade-web, labels: {labels}, ownerReferences: [{{apiVersion: tremplin.dev/v1alpha1,
            kind: StartupApp, name: brigade, uid: {uid}, controller: true}}]}},
          spec: {{selector: {{matchLabels: {{of: old}}}}, template: {{metadata: {{labels: {{of: old}}}},
            spec: {{containers: [{{name: web, image: 'ghcr.io/brigade/site:one'}}]}}}}}}}}"
    );
    let old: Deployment = team.create(&deployment).await;

    team.commit("brigade", &format!("{{{APP}}}")).await;
    let (_, condition) = team.told("brigade", "Stalled", "True", "ImmutableField").await;
    for said in ["Deployment brigade-web", "spec.selector", "Next: Delete the child"] {
        assert!(condition.message.contains(said), "{said}: {condition:?}");
    }

    team.deployments()
        .delete("brigade-web", &DeleteParams::background())
        .await
        .unwrap();
    team.told("brigade", "Ready", "False", "Deploying").await;
    let new = team.deployments().get("brigade-web").await.unwrap();
    assert_ne!(new.metadata.uid, old.metadata.uid);
}
