//! The samples of `config/dns`: there is one for each provider, the API server takes each, and `check` finds nothing.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::install_crds;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;
use tremplin_core::yaml;
use tremplin_e2e::ControlPlane;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/dns")
}

/// Every object, with the file that it is in.
fn samples() -> Vec<(String, Value)> {
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut samples = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for document in yaml::parse(&fs::read_to_string(&file).unwrap()).unwrap() {
            samples.push((name.clone(), document.value));
        }
    }
    samples
}

#[tokio::test]
async fn the_api_server_takes_every_sample() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let client = control_plane.client().unwrap();
    install_crds(&client).await;
    let namespace = control_plane.namespace("samples").await.unwrap();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    for (file, object) in samples() {
        let kind = object["kind"].as_str().unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tremplin.dev", "v1alpha1", kind));
        let api: Api<DynamicObject> = match kind {
            "DnsZone" => Api::all_with(client.clone(), &resource),
            _ => Api::namespaced_with(client.clone(), &namespace, &resource),
        };
        let taken = api
            .create(&dry, &serde_json::from_value(object.clone()).unwrap())
            .await
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(taken.data["spec"], object["spec"], "{file}: something was dropped");
    }
}

#[test]
fn check_finds_nothing_in_any_sample() {
    let mut check = Command::new(env!("CARGO_BIN_EXE_tremplin"));
    let output = check.arg("check").arg("-f").arg(folder()).output().unwrap();
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{}", said.concat());
}

#[test]
fn every_provider_that_is_written_has_a_sample() {
    let samples = samples();
    let types = samples
        .iter()
        .filter_map(|(_, object)| object["spec"]["provider"]["type"].as_str());
    let expected = [
        "OVH",
        "Gandi",
        "Scaleway",
        "Route53",
        "AlwaysData",
        "PointDNS",
        "PowerDNS",
        "RFC2136",
        "Request",
    ];
    assert_eq!(types.collect::<BTreeSet<_>>(), BTreeSet::from(expected));
}
