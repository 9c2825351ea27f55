//! What the API server does not take is told in the words of the one who must act.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use common::{Operator, Team, eventually, install};
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::Client;
use kube::api::{Api, PostParams};
use serde::de::DeserializeOwned;
use tremplin_e2e::ControlPlane;

const APP: &str = "image: ghcr.io/brigade/site:one";

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
    let control_plane = ControlPlane::shared().await.unwrap();
    let client = install(control_plane).await;
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

    let operator = Operator::plain(control_plane, &[]);
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
    operator.stop().await.unwrap();
}
