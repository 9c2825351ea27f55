//! What the API server itself takes and refuses of a StartupApp: schema and CEL rules, before the operator sees it.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

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

// One row per rule.
#[allow(clippy::too_many_lines)]
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
        format!(
            "{{{I}, links: {{Code: 'https://example.org'}}, routes: [{{path: /.well-known/a%C3%A9/, process: web}}]}}"
        ),
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
            format!("{{{I}, links: {{\"Site d'équipe\": 'https://example.org'}}}}"),
            "the name of a link",
        ),
        (
            "brigade",
            format!("{{{I}, routes: [{{path: /a/../b, process: web}}]}}"),
            "which no Ingress takes",
        ),
        (
            "brigade",
            format!("{{{I}, routes: [{{path: '/a?x=1', process: web}}]}}"),
            "spec.routes[0].path",
        ),
        (
            "brigade",
            format!("{{{I}, processes: [{{name: web, health: {{command: [ok], port: 9999}}}}]}}"),
            "a command asks no port",
        ),
        (
            "brigade",
            format!("{{{I}, volumes: [{{name: v, mountPath: /v/../tmp, temporary: {{}}}}]}}"),
            "a part . or ..",
        ),
        (
            "brigade",
            format!("{{{I}, volumes: [{{name: v, mountPath: //tmp, temporary: {{}}}}]}}"),
            "spec.volumes[0].mountPath",
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

/// For each CEL rule of the CRD, by its message: the name and spec of an object that breaks it and no other rule, and
/// the field that `tremplin check` names.
const BREACHES: [(&str, &str, &str, &str); 11] = [
    (
        "metadata.name must start with a letter, hold only a-z, 0-9 and -, and be at most 40 characters: shorten or rename it",
        "1brigade",
        "{image: 'ghcr.io/b/s:1'}",
        "metadata.name",
    ),
    (
        "spec.image is missing: name an image here, or one in each of spec.processes[]",
        "brigade",
        "{processes: [{name: web, image: 'ghcr.io/b/s:1'}, {name: worker}]}",
        "spec.image",
    ),
    (
        "a variable is both in spec.env and in spec.secretEnv: keep one of them",
        "brigade",
        "{image: 'ghcr.io/b/s:1', env: {A: b, C: d}, secretEnv: {C: {name: s, key: k}}}",
        "spec.env.C",
    ),
    (
        "spec.envFrom[] needs exactly one of secretRef and configMapRef",
        "brigade",
        "{image: 'ghcr.io/b/s:1', envFrom: [{secretRef: {name: s}, configMapRef: {name: s}}]}",
        "spec.envFrom[0]",
    ),
    (
        "health has both path and command: keep one of them",
        "brigade",
        "{image: 'ghcr.io/b/s:1', processes: [{name: web, health: {path: /, command: [x]}}]}",
        "spec.processes[0].health",
    ),
    (
        "a process has both size and resources: keep one of them",
        "brigade",
        "{image: 'ghcr.io/b/s:1', processes: [{name: web, size: S, resources: {cpu: '1', memory: 1Gi}}]}",
        "spec.processes[0]",
    ),
    (
        "spec.volumes[] needs exactly one of temporary, secretRef and configMapRef",
        "brigade",
        "{image: 'ghcr.io/b/s:1', volumes: [{name: v, mountPath: /v, temporary: {}, secretRef: {name: s}}]}",
        "spec.volumes[0]",
    ),
    (
        "the path of a route holds //, a part . or .., or %2F, which no Ingress takes: write the plain path",
        "brigade",
        "{image: 'ghcr.io/b/s:1', routes: [{path: /a/../b, process: web}]}",
        "spec.routes[0].path",
    ),
    (
        "the name of a link in spec.links must be at most 63 letters without accents, digits, -, _ and ., the first and last a letter or digit: rename it",
        "brigade",
        "{image: 'ghcr.io/b/s:1', links: {équipe: 'https://example.org'}}",
        "spec.links.équipe",
    ),
    (
        "the mountPath of a volume holds a part . or ..: write the plain path",
        "brigade",
        "{image: 'ghcr.io/b/s:1', volumes: [{name: v, mountPath: /v/../tmp, temporary: {}}]}",
        "spec.volumes[0].mountPath",
    ),
    (
        "health has both port and command, and a command asks no port: keep one of them",
        "brigade",
        "{image: 'ghcr.io/b/s:1', processes: [{name: web, health: {port: 9999, command: [x]}}]}",
        "spec.processes[0].health",
    ),
];

/// Every CEL rule below a schema: where it stands, the first item of a list for all, and its message.
fn rules(schema: &Value, path: &str, found: &mut Vec<(String, String)>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        found.push((path.to_owned(), rule["message"].as_str().unwrap().to_owned()));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let dot = if path.is_empty() { "" } else { "." };
        rules(property, &format!("{path}{dot}{name}"), found);
    }
    if schema["items"].is_object() {
        rules(&schema["items"], &format!("{path}[0]"), found);
    }
    if schema["additionalProperties"].is_object() {
        rules(&schema["additionalProperties"], &format!("{path}.*"), found);
    }
}

/// What `tremplin check -f` finds in the object, as fields.
fn checked(folder: &Path, object: &DynamicObject) -> Vec<String> {
    let file = folder.join("app.yaml");
    fs::write(&file, serde_saphyr::to_string(object).unwrap()).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_tremplin"))
        .args(["check", "--output", "json", "--namespace", "brigade", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
    let findings: Vec<Value> = serde_json::from_slice(&ran.stdout).unwrap();
    findings
        .iter()
        .map(|finding| finding["field"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn what_a_cel_rule_refuses_check_refuses_too_at_the_same_place() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let client = control_plane.client().unwrap();
    let namespace = control_plane.namespace("cel").await.unwrap();
    let api = api(&client, &namespace).await;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let mut found = Vec::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds/tremplin.dev_startupapps.yaml");
    let crd: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    rules(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "", &mut found);
    let mut messages: Vec<_> = found.iter().map(|(_, message)| message.as_str()).collect();
    let mut listed = BREACHES.map(|(message, ..)| message);
    messages.sort_unstable();
    listed.sort_unstable();
    assert_eq!(messages, listed, "each CEL rule has one object here that breaks it");

    for (message, name, spec, field) in BREACHES {
        let bad = object(name, spec);
        let refused = api.create(&dry, &bad).await.expect_err(message).to_string();
        assert!(refused.contains(message), "{refused}");
        let others = BREACHES
            .iter()
            .filter(|(other, ..)| *other != message && refused.contains(other));
        assert_eq!(others.count(), 0, "{refused}");
        let (place, _) = found.iter().find(|(_, said)| said == message).unwrap();
        let fields = checked(control_plane.folder(), &bad);
        assert_eq!(fields, [field], "{message}");
        assert!(
            field.starts_with(place.as_str()),
            "the rule stands at {place:?}, check names {field}"
        );
    }
}
