//! What the API server itself takes and refuses of a DnsRecord, a DnsZone and a DnsClaim: schema and CEL rules, before the
//! operator sees them. What a CEL rule refuses, `tremplin check` refuses too, at the same place.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns_custom_resource/cases.rs"]
mod cases;
mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use cases::{CLAIM, REFUSED, TAKEN};
use common::install_crds;
use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tremplin_e2e::ControlPlane;

fn api(client: &Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tremplin.dev", "v1alpha1", kind));
    match kind {
        "DnsRecord" => Api::namespaced_with(client.clone(), namespace, &resource),
        _ => Api::all_with(client.clone(), &resource),
    }
}

fn object(kind: &str, name: &str, spec: &str) -> DynamicObject {
    let spec: Value = serde_saphyr::from_str(spec).unwrap();
    let object = json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    serde_json::from_value(object).unwrap()
}

fn dry() -> PostParams {
    PostParams {
        dry_run: true,
        ..PostParams::default()
    }
}

#[tokio::test]
async fn the_api_server_refuses_what_one_object_can_tell_and_keeps_the_rest_as_written() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let client = control_plane.client().unwrap();
    let namespace = control_plane.namespace("dns-crd").await.unwrap();
    install_crds(&client).await;
    for (kind, spec) in TAKEN {
        let written = object(kind, "dry", spec);
        let kept = api(&client, kind, &namespace).create(&dry(), &written).await;
        let kept = kept.unwrap_or_else(|error| panic!("{kind} {spec}: {error}"));
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
    for (kind, spec, said) in REFUSED {
        let refused = api(&client, kind, &namespace)
            .create(&dry(), &object(kind, "dry", spec))
            .await;
        let error = refused.expect_err(spec).to_string();
        assert!(error.contains(said), "{kind} {spec}\n{error}");
    }
}

/// Kind, spec, the same object later, and what is said about the change.
const KEPT: [(&str, &str, &str, &str); 8] = [
    (
        "DnsRecord",
        "{name: a.example.org, targets: [192.0.2.1]}",
        "{name: b.example.org, targets: [192.0.2.1]}",
        "spec.name cannot be changed: make another DnsRecord",
    ),
    (
        "DnsZone",
        "{domain: kept.example.org, provider: {type: Request}}",
        "{domain: other.example.org, provider: {type: Request}}",
        "spec.domain cannot be changed: make another DnsZone",
    ),
    (
        "DnsZone",
        "{domain: deeper.example.org, provider: {type: Request}}",
        "{domain: deeper.example.org, provider: {type: Request}, claims: {depth: 2}}",
        DEPTH_RULE,
    ),
    (
        "DnsZone",
        "{domain: higher.example.org, provider: {type: Request}, claims: {depth: 2}}",
        "{domain: higher.example.org, provider: {type: Request}, claims: {releaseAfterSeconds: 5}}",
        DEPTH_RULE,
    ),
    (
        "DnsClaim",
        CLAIM,
        "{key: b.example.org, zone: example.org, holder: {namespace: blue}, claimedAt: '2026-01-01T00:00:00Z'}",
        CLAIM_RULE,
    ),
    (
        "DnsClaim",
        CLAIM,
        "{key: a.example.org, zone: example.net, holder: {namespace: blue}, claimedAt: '2026-01-01T00:00:00Z'}",
        CLAIM_RULE,
    ),
    (
        "DnsClaim",
        CLAIM,
        "{key: a.example.org, zone: example.org, holder: {namespace: red}, claimedAt: '2026-01-01T00:00:00Z'}",
        CLAIM_RULE,
    ),
    (
        "DnsClaim",
        CLAIM,
        "{key: a.example.org, zone: example.org, holder: {namespace: blue}, claimedAt: '2026-01-01T00:00:01Z'}",
        CLAIM_RULE,
    ),
];

const DEPTH_RULE: &str = "spec.claims.depth cannot be changed: names that are held would be free to others";
const CLAIM_RULE: &str =
    "a claim's key, zone, holder and time cannot be changed: to take a name away, delete the DnsClaim";

#[tokio::test]
async fn what_a_name_stands_for_cannot_be_changed_and_the_rest_can() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let client = control_plane.client().unwrap();
    let namespace = control_plane.namespace("dns-kept").await.unwrap();
    install_crds(&client).await;
    for (index, (kind, spec, later, said)) in KEPT.into_iter().enumerate() {
        let api = api(&client, kind, &namespace);
        let name = format!("kept-{index}");
        let mut live = api
            .create(&PostParams::default(), &object(kind, &name, spec))
            .await
            .unwrap();
        let written = live.data["spec"].clone();
        live.data["spec"] = object(kind, &name, later).data["spec"].clone();
        let error = api
            .replace(&name, &PostParams::default(), &live)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(said), "{error}");
        live.data["spec"] = written;
        let (field, value) = match kind {
            "DnsRecord" => ("ttlSeconds", json!(600)),
            "DnsZone" => ("paused", json!(true)),
            _ => ("withdrawals", json!([{"name": "a.example.org", "type": "A"}])),
        };
        live.data["spec"][field] = value;
        api.replace(&name, &PostParams::default(), &live).await.unwrap();
        api.delete(&name, &kube::api::DeleteParams::default()).await.unwrap();
    }
}

/// For each CEL rule that one object can break, by its message: kind, spec of an object that breaks it and no other rule,
/// and the field that `tremplin check` names. (The selector's rule stands in two places.)
const BREACHES: [(&str, &str, &str, &str); 19] = [
    (
        "spec needs exactly one of targets, values, appRef, mail and delegation: make one DnsRecord for each",
        "DnsRecord",
        "{name: a.example.org, targets: [192.0.2.1], appRef: {name: app}}",
        "spec",
    ),
    (
        "spec needs exactly one of targets, values, appRef, mail and delegation: make one DnsRecord for each",
        "DnsRecord",
        "{name: a.example.org}",
        "spec",
    ),
    (
        "spec.values is raw data: say in spec.type which type it is of",
        "DnsRecord",
        "{name: a.example.org, values: [x]}",
        "spec.type",
    ),
    (
        "spec.mail and spec.delegation choose their types themselves: remove spec.type",
        "DnsRecord",
        "{name: a.example.org, type: MX, mail: {preset: None}}",
        "spec.type",
    ),
    (
        "spec.targets are addresses and hosts (types A, AAAA, CNAME, ALIAS): write data of other types in spec.values",
        "DnsRecord",
        "{name: a.example.org, type: NS, targets: [ns1.example.net]}",
        "spec.type",
    ),
    (
        "spec.mail is empty: name a preset, or at least one of mx, spf, dkim and dmarc",
        "DnsRecord",
        "{name: a.example.org, mail: {}}",
        "spec.mail",
    ),
    (
        "the preset None says that no mail is sent or received: remove mx, spf, dkim and dmarc",
        "DnsRecord",
        "{name: a.example.org, mail: {preset: None, spf: 'v=spf1 -all'}}",
        "spec.mail",
    ),
    (
        "a DKIM key needs exactly one of record (the TXT record) and target (the host that has it)",
        "DnsRecord",
        "{name: a.example.org, mail: {dkim: [{selector: s}]}}",
        "spec.mail.dkim[0]",
    ),
    (
        "values are needed with In and NotIn, and meaningless with Exists and DoesNotExist",
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, admission: {namespaces: {matchExpressions: [{key: a, operator: In}]}}}",
        "spec.admission.namespaces.matchExpressions[0]",
    ),
    (
        "values are needed with In and NotIn, and meaningless with Exists and DoesNotExist",
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, adoptions: [{name: a.example.org, namespaceSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}]}",
        "spec.adoptions[0].namespaceSelector.matchExpressions[0]",
    ),
    (
        "provider.secretRef is missing, or given to a type that needs no credential (ExternalDNS, Request)",
        "DnsZone",
        "{domain: example.org, provider: {type: Gandi}}",
        "spec.provider.secretRef",
    ),
    (
        "provider has the settings of another type: remove them, or correct provider.type",
        "DnsZone",
        "{domain: example.org, provider: {type: Gandi, secretRef: {name: s}, scaleway: {}}}",
        "spec.provider.scaleway",
    ),
    (
        "provider.powerDNS is missing: write url there",
        "DnsZone",
        "{domain: example.org, provider: {type: PowerDNS, secretRef: {name: s}}}",
        "spec.provider.powerDNS",
    ),
    (
        "provider.rfc2136 is missing: write server there",
        "DnsZone",
        "{domain: example.org, provider: {type: RFC2136, secretRef: {name: s}}}",
        "spec.provider.rfc2136",
    ),
    (
        "provider.caSecretRef is for providers that are reached by HTTPS: remove it",
        "DnsZone",
        "{domain: example.org, provider: {type: RFC2136, secretRef: {name: s}, caSecretRef: {name: c}, rfc2136: {server: 192.0.2.1}}}",
        "spec.provider.caSecretRef",
    ),
    (
        "drift.policy: Warn is for zones that the operator writes: a desk is always asked again",
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, drift: {policy: Warn}}",
        "spec.drift.policy",
    ),
    (
        "ttl.min is more than ttl.max",
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, ttl: {min: 600, max: 60}}",
        "spec.ttl",
    ),
    (
        "admission.types are types of the DNS: write A, AAAA and CNAME instead of Auto",
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, admission: {types: [A, Auto]}}",
        "spec.admission.types",
    ),
    (
        "admission.approvalRequiredFor are types of the DNS: write A, AAAA and CNAME instead of Auto",
        "DnsZone",
        "{domain: example.org, provider: {type: Request}, admission: {approvalRequiredFor: [Auto]}}",
        "spec.admission.approvalRequiredFor",
    ),
];

/// The messages of the CEL rules below a schema that compare an object with what it was before.
const OF_CHANGES: [&str; 4] = [
    "spec.name cannot be changed: make another DnsRecord",
    "spec.domain cannot be changed: make another DnsZone",
    DEPTH_RULE,
    CLAIM_RULE,
];

fn messages(schema: &Value, found: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        found.push(rule["message"].as_str().unwrap().to_owned());
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.for_each(|(_, property)| messages(property, found));
    for below in ["items", "additionalProperties"] {
        if schema[below].is_object() {
            messages(&schema[below], found);
        }
    }
}

/// What `tremplin check -f` finds in the spec of the object, as fields.
fn checked(folder: &Path, object: &DynamicObject) -> Vec<String> {
    let file = folder.join("dns.yaml");
    fs::write(&file, serde_saphyr::to_string(object).unwrap()).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_tremplin"))
        .args(["check", "--output", "json", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
    let findings: Vec<Value> = serde_json::from_slice(&ran.stdout).unwrap();
    let fields = findings
        .iter()
        .map(|finding| finding["field"].as_str().unwrap().to_owned());
    fields.filter(|field| field.starts_with("spec")).collect()
}

#[tokio::test]
async fn what_a_cel_rule_refuses_check_refuses_too_at_the_same_place() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let client = control_plane.client().unwrap();
    let namespace = control_plane.namespace("dns-cel").await.unwrap();
    install_crds(&client).await;
    let mut found = Vec::new();
    for kind in ["dnsclaims", "dnsrecords", "dnszones"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("crds/tremplin.dev_{kind}.yaml"));
        let crd: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        messages(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut found);
    }
    let mut listed: Vec<_> = BREACHES
        .iter()
        .map(|(message, ..)| *message)
        .chain(OF_CHANGES)
        .collect();
    found.sort_unstable();
    found.dedup();
    listed.sort_unstable();
    listed.dedup();
    assert_eq!(found, listed, "each CEL rule has an object here that breaks it");

    for (message, kind, spec, field) in BREACHES {
        let bad = object(kind, "bad", spec);
        let refused = api(&client, kind, &namespace).create(&dry(), &bad).await;
        let refused = refused.expect_err(message).to_string();
        assert!(refused.contains(message), "{refused}");
        let others = listed
            .iter()
            .filter(|other| **other != message && refused.contains(**other));
        assert_eq!(others.count(), 0, "{refused}");
        assert_eq!(checked(control_plane.folder(), &bad), [field], "{message}");
    }
}
