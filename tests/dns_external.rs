//! A zone that an external-dns publishes: names become `DNSEndpoint`s, and the authoritative servers tell when it is done.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;
#[path = "dns_external/controller.rs"]
mod controller;
#[path = "dns/world.rs"]
mod world;

use common::{HOME, eventually, start, yaml};
use controller::{Controller, endpoints};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tremplin_core::api::DnsRecord;
use tremplin_e2e::ControlPlane;
use tremplin_e2e::dns::query::RecordType;
use world::{Server, World, message};

const DOMAIN: &str = "external.example";
const OPEN: &str = "{provider: {type: ExternalDNS, externalDNS: {labels: {publish: 'yes'}}}, claims: {releaseAfterSeconds: 3600}, drift: {intervalSeconds: 10}}";

async fn install_crd(client: &Client) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let crd = yaml(include_str!("dns_external/dnsendpoints.yaml"));
    let (name, params) = ("dnsendpoints.externaldns.k8s.io", PatchParams::apply("test"));
    crds.patch(name, &params, &Patch::Apply(crd)).await.unwrap();
    let established = kube::runtime::conditions::is_crd_established();
    kube::runtime::wait::await_condition(crds, name, established)
        .await
        .unwrap();
}

fn told(record: &DnsRecord) -> String {
    message(&record.status.as_ref().unwrap().conditions, "Ready")
}

struct Test {
    world: World,
    server: Server,
    team: String,
}

impl Test {
    async fn published(&self, name: &str, spec: &str) {
        self.world.commit(&self.team, name, spec).await;
        self.world.record(&self.team, name, "Published").await;
    }

    async fn answers(&self, name: &str, kind: RecordType) -> Vec<String> {
        self.server.ask(name, kind).await
    }

    /// What our object says of a name: types and targets.
    async fn said(&self, name: &str) -> Vec<(String, Vec<String>)> {
        let object = endpoints(&self.world.client, HOME).get(name).await.unwrap();
        assert_eq!(object.metadata.labels.unwrap()["publish"], "yes");
        serde_json::from_value::<Vec<serde_json::Value>>(object.data["spec"]["endpoints"].clone())
            .unwrap()
            .into_iter()
            .map(|endpoint| serde_json::from_value(json!([endpoint["recordType"], endpoint["targets"]])).unwrap())
            .collect()
    }
}

/// One life, in which the API comes late.
#[tokio::test]
async fn a_name_lives_by_way_of_external_dns() {
    let (control_plane, client) = start().await;
    let world = World { client: client.clone() };
    let server = Server::bind(DOMAIN, "www IN A 198.51.100.1\n* IN TXT \"anything\"").await;
    world.open("external", DOMAIN, &server, OPEN).await;
    let team = world.team(control_plane, "blue").await;
    let test = Test { world, server, team };
    let (world, team) = (&test.world, &test.team);

    // Without the API the zone and its records say so; when it comes, they go on by themselves.
    world.zone("external", "ApiMissing").await;
    world
        .commit(team, "app", "{name: app.external.example, targets: [192.0.2.1]}")
        .await;
    world.record(team, "app", "ApiMissing").await;
    install_crd(&client).await;
    let waiting = world.record(team, "app", "Publishing").await;
    assert!(
        told(&waiting).contains("written as a DNSEndpoint, not yet published by external-dns"),
        "{}",
        told(&waiting)
    );
    world.zone("external", "Synced").await;
    let controller = Controller::start(&client, HOME, "publish=yes", &test.server, DOMAIN);
    world.record(team, "app", "Published").await;
    assert_eq!(test.answers("app.external.example", RecordType::A).await, ["192.0.2.1"]);

    // Changed in place; then another type takes its place, in one object.
    test.published(
        "app",
        "{name: app.external.example, targets: [192.0.2.2, '2001:db8::2']}",
    )
    .await;
    assert_eq!(test.answers("app.external.example", RecordType::A).await, ["192.0.2.2"]);
    test.published("app", "{name: app.external.example, targets: [elsewhere.example.org]}")
        .await;
    assert_eq!(
        test.said("app.external.example").await,
        [("CNAME".to_owned(), vec!["elsewhere.example.org".to_owned()])]
    );
    assert_eq!(
        test.answers("app.external.example", RecordType::CNAME).await,
        ["elsewhere.example.org."]
    );

    // Every type that it takes; texts with what needs quotes.
    test.published(
        "txt",
        r#"{name: txt.external.example, type: TXT, values: ['v=spf1 -all', 'say "a;b"']}"#,
    )
    .await;
    test.published(
        "srv",
        "{name: _sip._tcp.srv.external.example, type: SRV, values: ['0 5 5060 sip.example.org']}",
    )
    .await;
    test.published(
        "mx",
        "{name: mx.external.example, type: MX, values: ['10 mail.example.org']}",
    )
    .await;
    test.published("wild", "{name: '*.mx.external.example', targets: [192.0.2.9]}")
        .await;
    world
        .commit(
            team,
            "caa",
            "{name: caa.external.example, type: CAA, values: ['0 issue \"ca.example\"']}",
        )
        .await;
    let refused = world.record(team, "caa", "TypeNotAllowed").await;
    assert!(
        told(&refused).contains("external-dns takes no records of type CAA"),
        "{}",
        told(&refused)
    );

    // What external-dns did not write is somebody else's.
    world
        .commit(team, "www", "{name: www.external.example, targets: [192.0.2.3]}")
        .await;
    world.record(team, "www", "NotOurs").await;
    assert_eq!(
        test.answers("www.external.example", RecordType::A).await,
        ["198.51.100.1"]
    );

    given_up_and_taken_again(&test, &controller).await;
    objects_of_others_are_left_alone(&test).await;
    objects_stand_where_the_platform_team_says(&test, control_plane).await;
}

/// A name is given up, and taken again while external-dns has not yet withdrawn what was there; then it is given up for
/// good, and nothing of it stays.
async fn given_up_and_taken_again(test: &Test, controller: &Controller) {
    let (world, team, name) = (&test.world, &test.team, "app.external.example");
    controller.work(false);
    world.delete(team, "app").await;
    world.claim(name, "Releasing").await;
    assert_eq!(test.said(name).await, []);
    let spec = "{name: app.external.example, targets: [192.0.2.4]}";
    world.commit(team, "again", spec).await;
    world.record(team, "again", "Publishing").await;
    controller.work(true);
    world.record(team, "again", "Published").await;
    assert_eq!(test.answers(name, RecordType::A).await, ["192.0.2.4"]);
    world.delete(team, "again").await;
    eventually("nothing of it stays", async || {
        let objects = endpoints(&world.client, HOME);
        let is_gone = objects.get_opt(name).await.unwrap().is_none();
        (is_gone && test.answers(name, RecordType::A).await.is_empty()).then_some(())
    })
    .await;
}

async fn objects_of_others_are_left_alone(test: &Test) {
    let (world, team) = (&test.world, &test.team);
    let object = json!({
        "apiVersion": "externaldns.k8s.io/v1alpha1", "kind": "DNSEndpoint",
        "metadata": {"name": "taken.external.example"},
        "spec": {"endpoints": [{"dnsName": "taken.external.example", "recordType": "A", "targets": ["198.51.100.7"]}]},
    });
    let objects = endpoints(&world.client, HOME);
    let theirs = objects
        .create(&PostParams::default(), &serde_json::from_value(object).unwrap())
        .await
        .unwrap();
    world
        .commit(team, "taken", "{name: taken.external.example, targets: [192.0.2.1]}")
        .await;
    let refused = world.record(team, "taken", "ProviderRefused").await;
    assert!(told(&refused).contains("is not Tremplin's"), "{}", told(&refused));
    let now = objects.get("taken.external.example").await.unwrap();
    assert_eq!(now.metadata.resource_version, theirs.metadata.resource_version);
}

async fn objects_stand_where_the_platform_team_says(test: &Test, control_plane: &ControlPlane) {
    let (world, team) = (&test.world, &test.team);
    let (name, namespace) = (
        "app.placed.example",
        control_plane.namespace("publishers").await.unwrap(),
    );
    let server = Server::bind("placed.example", "").await;
    let spec = format!("{{provider: {{type: ExternalDNS, externalDNS: {{namespace: {namespace}}}}}}}");
    world.open("placed", "placed.example", &server, &spec).await;
    let spec = format!("{{name: {name}, targets: [192.0.2.1]}}");
    world.commit(team, "placed", &spec).await;
    let waiting = world.record(team, "placed", "Publishing").await;
    assert!(
        told(&waiting).contains("written as a DNSEndpoint"),
        "{}",
        told(&waiting)
    );
    let there = endpoints(&world.client, &namespace).get_opt(name).await.unwrap();
    assert!(there.is_some());
    let here = endpoints(&world.client, HOME).get_opt(name).await.unwrap();
    assert!(here.is_none());
}
