//! What our field manager owns of a live object, read back, is what we rendered: on the real API server, for every kind
//! of child. On this stands that an untouched child costs no request.

#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use std::collections::BTreeMap;

use common::install_crds;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use serde::Serialize;
use serde_json::{Value, json};
use tremplin_core::api::StartupApp;
use tremplin_core::app::{Decision, Observed, decide};
use tremplin_core::live::{Digest, STARTUP_APP_MANAGER, owned_by};
use tremplin_core::platform::Platform;
use tremplin_e2e::ControlPlane;

const FULL: &str = include_str!("common/rich.yaml");

/// A platform whose apps get DnsRecords.
const GIVES_RECORDS: &str = "
domains: [{domain: '*', dnsRecords: true}]
exposures: [{name: public, default: true, scheme: http, type: Ingress}]
sizes: {M: {cpu: 250m, memory: 256Mi, default: true}, L: {cpu: 500m, memory: 512Mi}}
security: {type: OpenShift}
";

/// Every object of the app as JSON.
fn rendered(platform: &Platform, namespace: &str, spec: &str) -> Vec<Value> {
    let spec: Value = serde_saphyr::from_str(spec).unwrap();
    let app: StartupApp = serde_json::from_value(json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "StartupApp",
        "metadata": {"name": "brigade", "namespace": namespace, "uid": "11111111-1111-1111-1111-111111111111"},
        "spec": spec,
    }))
    .unwrap();
    let observed = Observed::nothing(
        platform.namespace(namespace, &BTreeMap::new()),
        k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
    );
    let Decision::Go(plan) = decide(&app, &observed, platform) else {
        panic!("not valid")
    };
    let desired = plan.desired;
    let mut all = Vec::new();
    let mut add = |object: Value| all.push(object);
    add(to_value(&desired.service_account));
    desired.services.iter().for_each(|object| add(to_value(object)));
    desired
        .disruption_budgets
        .iter()
        .for_each(|object| add(to_value(object)));
    desired.deployments.iter().for_each(|object| add(to_value(object)));
    desired.cron_jobs.iter().for_each(|object| add(to_value(object)));
    desired.ingress.iter().for_each(|object| add(to_value(object)));
    desired.dns_records.iter().for_each(|object| add(to_value(object)));
    for object in &mut all {
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "11111111-1111-1111-1111-111111111111",
            "controller": true, "blockOwnerDeletion": false,
        }]);
    }
    all
}

fn to_value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap()
}

#[tokio::test]
async fn what_we_own_is_what_we_rendered_for_every_kind_of_child() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let client = control_plane.client().unwrap();
    install_crds(&client).await;
    for profile in ["generic", "cpin-pax", "cpin-mi", GIVES_RECORDS] {
        let platform = Platform::bundled(profile).unwrap_or_else(|| Platform::parse(profile).unwrap());
        let namespace = control_plane.namespace("owned").await.unwrap();
        let spec = if ["generic", GIVES_RECORDS].contains(&profile) {
            FULL.to_owned()
        } else {
            FULL.replace("hosts: [brigade.example.org, www.example.org]", "exposure: None")
                .replace("routes:", "#")
        };
        for mut object in rendered(&platform, &namespace, &spec) {
            let types: TypeMeta = serde_json::from_value(object.clone()).unwrap();
            let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            object["metadata"]["resourceVersion"] = json!("1");
            let params = PatchParams::apply(STARTUP_APP_MANAGER).force();
            let live = api.patch(&name, &params, &Patch::Apply(&object)).await.unwrap();
            let owned = owned_by(STARTUP_APP_MANAGER, &to_value(&live)).unwrap();
            let what = format!("{profile} {} {name}", types.kind);
            assert_eq!(
                Digest::of(&owned),
                Digest::of_rendered(&object),
                "{what}\nowned    {owned}\nrendered {object}"
            );
        }
    }
}
