//! What the API server itself takes and refuses of a StartupApp: schema and CEL rules, before the operator sees it.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use common::install_crds;
use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tremplin_e2e::ControlPlane;

async fn api(client: &Client, namespace: &str) -> Api<DynamicObject> {
    install_crds(client).await;
    let kind = GroupVersionKind::gvk("tremplin.dev", "v1alpha1", "StartupApp");
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&kind))
}

fn object(name: &str, spec: &str) -> DynamicObject {
    let spec: Value = serde_saphyr::from_str(spec).unwrap();
    let object =
        json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "StartupApp", "metadata": {"name": name}, "spec": spec});
    serde_json::from_value(object).unwrap()
}

const I: &str = "image: 'ghcr.io/b/s:1'";

#[tokio::test]
async fn the_api_server_refuses_what_one_object_can_tell_and_keeps_the_rest_as_written() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let client = control_plane.client().unwrap();
    let namespace = control_plane.namespace("crd").await.unwrap();
    let api = api(&client, &namespace).await;
    let strict = PostParams {
        dry_run: true,
        ..PostParams::default()
    };

    let many = (0..20)
        .map(|i| format!("{{name: p{i}, image: 'ghcr.io/b/s:{i}'}}"))
        .collect::<Vec<_>>()
        .join(", ");
    for spec in [
        format!("{{{I}}}"),
        format!("{{processes: [{many}]}}"),
        format!("{{{I}, env: {{A: b}}, secretEnv: {{C: {{name: s, key: k}}}}, envFrom: [{{secretRef: {{name: s}}}}]}}"),
        format!("{{{I}, volumes: [{{name: v, mountPath: /v, temporary: {{}}}}]}}"),
    ] {
        api.create(&strict, &object("brigade", &spec))
            .await
            .unwrap_or_else(|error| panic!("{spec}: {error}"));
    }

    for (name, spec, said) in [
        ("brigade", "{}".to_owned(), "spec.image is missing"),
        ("brigade", "{processes: [{name: web}]}".into(), "spec.image is missing"),
        ("1brigade", format!("{{{I}}}"), "must start with a letter"),
        (&"a".repeat(41), format!("{{{I}}}"), "at most 40 characters"),
        (
            "brigade",
            format!("{{{I}, env: {{A: b}}, secretEnv: {{A: {{name: s, key: k}}}}}}"),
            "both in spec.env and in spec.secretEnv",
        ),
        (
            "brigade",
            format!("{{{I}, envFrom: [{{}}]}}"),
            "exactly one of secretRef and configMapRef",
        ),
        (
            "brigade",
            format!("{{{I}, volumes: [{{name: v, mountPath: /v}}]}}"),
            "exactly one of temporary, secretRef and configMapRef",
        ),
        (
            "brigade",
            format!("{{{I}, processes: [{{name: web}}, {{name: web}}]}}"),
            "Duplicate value",
        ),
        (
            "brigade",
            format!("{{{I}, processes: [{{name: web, port: 80}}]}}"),
            "spec.processes[0].port",
        ),
        (
            "brigade",
            format!("{{{I}, processes: [{{name: web, size: S, resources: {{cpu: '1', memory: 1Gi}}}}]}}"),
            "both size and resources",
        ),
        (
            "brigade",
            format!("{{{I}, processes: [{{name: web, health: {{path: /, command: [x]}}}}]}}"),
            "both path and command",
        ),
        ("brigade", format!("{{{I}, environment: Prod}}"), "spec.environment"),
        ("brigade", format!("{{{I}, hosts: [Not_A_Host]}}"), "spec.hosts[0]"),
        (
            "brigade",
            format!("{{{I}, release: {{command: []}}}}"),
            "spec.release.command",
        ),
    ] {
        let error = api
            .create(&strict, &object(name, &spec))
            .await
            .expect_err(&spec)
            .to_string();
        assert!(error.contains(said), "{spec}\n{error}");
    }

    let written = object(
        "brigade",
        &format!("{{{I}, processes: [{{name: web, resources: {{cpu: 1000m, memory: 1024Mi}}}}]}}"),
    );
    let kept = api.create(&PostParams::default(), &written).await.unwrap();
    assert_eq!(
        kept.data["spec"], written.data["spec"],
        "no defaults, nothing rewritten"
    );
    assert_eq!(
        kept.data["status"],
        json!({"observedGeneration": -1}),
        "unseen is not healthy"
    );
}
