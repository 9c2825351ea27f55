//! The samples of `config/dns`: there is one for each provider, the API server takes each, `check` finds nothing, and
//! those for teams get along with each other.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::install_crds;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;
use tremplin::dns_provider;
use tremplin_core::api::startup_app::Environment;
use tremplin_core::api::{DnsRecord, DnsZone};
use tremplin_core::dns::claim::Key;
use tremplin_core::dns::facts::Facts;
use tremplin_core::dns::follow::Followed;
use tremplin_core::dns::judge::{self, Observed, Place};
use tremplin_core::dns::{Zone, mail};
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
        "ExternalDNS",
        "Request",
    ];
    assert_eq!(types.collect::<BTreeSet<_>>(), BTreeSet::from(expected));
}

/// The zone of the samples for teams, without the approvals that a human gives.
fn zone_of_teams() -> Zone {
    let samples = samples().into_iter().map(|(_, object)| object);
    let mut objects = samples.filter(|object| object["spec"]["domain"] == "incubateur.net");
    let mut zone: DnsZone = serde_json::from_value(objects.next().unwrap()).unwrap();
    zone.spec.admission.as_mut().unwrap().approval_required_for.clear();
    Zone::parse(&zone).unwrap()
}

#[test]
fn the_samples_for_teams_are_admitted_together_in_the_zone_of_the_samples() {
    let zone = zone_of_teams();
    let profile = dns_provider::profile(zone.provider);
    let labels = BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "dso-console".to_owned())]);
    let reached = Followed::At(vec!["ingress.incubateur.net".to_owned()]);
    let mut sets = Vec::new();
    let mut keys = BTreeSet::new();
    for (file, object) in samples() {
        if object["kind"] != "DnsRecord" {
            continue;
        }
        let record: DnsRecord = serde_json::from_value(object).unwrap();
        let name = judge::name(&record).unwrap();
        let key = Key::of(&name, &zone);
        keys.insert(key.name().to_string());
        let place = Place {
            name: name.clone(),
            key,
        };
        let observed = Observed {
            zone: &zone,
            profile: &profile,
            namespace: "team",
            labels: &labels,
            environment: Some(Environment::Staging),
            claim: None,
            contact: None,
            claims_held: keys.len() - 1,
            older: &sets,
            app: Some(&reached),
        };
        let judgement = judge::judge(&record, &place, &observed);
        assert_eq!(judgement.verdict, Ok(()), "{file}");
        sets.extend(judgement.sets);
        if let Some(mail) = &record.spec.mail {
            let missing = mail::lint(mail, &name, &[], &Facts::new()).missing;
            assert!(missing.is_empty(), "{file}: {missing:?}");
        }
    }
    assert!(sets.len() > 5, "{sets:?}");
}
