//! Names that lead to apps: a record follows its app's address, and where the platform gives records, the app alone is
//! enough. On the real API server and BIND.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;
#[path = "dns/world.rs"]
mod world;

use std::fs;
use std::process::Command;

use common::{Operator, Team, condition, eventually, install};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tremplin_core::api::DnsRecord;
use tremplin_e2e::ControlPlane;
use tremplin_e2e::dns::query::RecordType;
use world::{Server, World, message};

const PLATFORM: &str = "
domains:
- {domain: one.example, dnsRecords: true, hostTemplate: '{app}.{domain}'}
- {domain: '*'}
exposures:
- {name: public, default: true, scheme: http, type: Ingress}
- {name: fixed, scheme: http, type: Ingress, targets: [lb.platform.example]}
sizes: {M: {cpu: 100m, memory: 128Mi, default: true}}
security: {type: OpenShift}
";
const OPEN: &str = "{claims: {releaseAfterSeconds: 3600}}";
const IMAGE: &str = "image: 'ghcr.io/brigade/site:one'";

/// One operator with that platform, for all tests of this file.
async fn start() -> (&'static ControlPlane, World) {
    static OPERATOR: OnceCell<Operator> = OnceCell::const_new();
    let control_plane = ControlPlane::shared().await.unwrap();
    OPERATOR
        .get_or_init(async || {
            install(control_plane).await;
            let file = control_plane.folder().join("platform.yaml");
            fs::write(&file, PLATFORM).unwrap();
            Operator::plain(control_plane, &["--platform", file.to_str().unwrap()])
        })
        .await;
    let client = control_plane.client().unwrap();
    (control_plane, World { client })
}

async fn team(world: &World, control_plane: &ControlPlane, prefix: &str) -> Team {
    Team {
        namespace: world.team(control_plane, prefix).await,
        client: world.client.clone(),
    }
}

async fn is_routed(team: &Team, app: &str, host: &str) {
    eventually(&format!("{app} is routed at {host}"), async || {
        let ingress = team.api::<Ingress>().get_opt(app).await.unwrap()?;
        let rules = ingress.spec?.rules?;
        rules
            .iter()
            .any(|rule| rule.host.as_deref() == Some(host))
            .then_some(())
    })
    .await;
}

/// Plays the ingress controller: the app is reached there.
async fn reach(team: &Team, app: &str, point: Value) {
    let status = json!({"status": {"loadBalancer": {"ingress": [point]}}});
    let ingresses = team.api::<Ingress>();
    ingresses
        .patch_status(app, &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
}

async fn is_answered(server: &Server, name: &str, kind: RecordType, data: &[&str]) {
    eventually(&format!("{name} is answered with {data:?}"), async || {
        (server.ask(name, kind).await == data).then_some(())
    })
    .await;
}

/// The records that apps own, by the name that they ask for.
async fn given(team: &Team) -> Vec<(String, String)> {
    let all = team.api::<DnsRecord>().list(&ListParams::default()).await.unwrap();
    let own = all.items.into_iter().filter(|record| {
        let owners = record.metadata.owner_references.iter().flatten();
        owners
            .into_iter()
            .any(|owner| owner.kind == "StartupApp" && owner.controller == Some(true))
    });
    own.map(|record| (record.spec.name, record.metadata.name.unwrap()))
        .collect()
}

/// What `dns plan` tells of that spec, as the team's record `site`.
async fn plan(control_plane: &ControlPlane, team: &Team, spec: &str) -> Value {
    let file = control_plane.folder().join("site.yaml");
    let record = "apiVersion: tremplin.dev/v1alpha1\nkind: DnsRecord\nmetadata: {name: site}\nspec:";
    fs::write(&file, format!("{record} {spec}\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tremplin"));
    command
        .args(["dns", "plan", "-o", "json", "-n", &team.namespace, "-f"])
        .arg(file);
    command
        .arg("--platform")
        .arg(control_plane.folder().join("platform.yaml"));
    command.arg("--kubeconfig").arg(control_plane.kubeconfig());
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    told["records"][0].clone()
}

#[tokio::test]
async fn one_app_alone_claims_publishes_and_withdraws_its_name() {
    let (control_plane, world) = start().await;
    let server = Server::bind("one.example", "").await;
    world.open("one", "one.example", &server, OPEN).await;
    let blue = team(&world, control_plane, "blue").await;
    let host = "site.one.example";

    // The record makes the claim, the claim lets the host be routed, the Ingress has an address, the record tells it.
    blue.commit("site", &format!("{{{IMAGE}}}")).await;
    world.claim(host, "Held").await;
    is_routed(&blue, "site", host).await;
    blue.told("site", "HostsClaimed", "True", "NamesHeld").await;
    let (app, told) = blue.told("site", "NamesPublished", "False", "AppHasNoAddress").await;
    assert!(told.message.starts_with(host), "{told:?}");
    let inventory = app.status.unwrap().inventory;
    assert!(inventory.iter().any(|item| item.kind == "DnsRecord"), "{inventory:?}");
    reach(&blue, "site", json!({"ip": "192.0.2.7"})).await;
    is_answered(&server, host, RecordType::A, &["192.0.2.7"]).await;
    blue.told("site", "NamesPublished", "True", "NamesPublished").await;
    reach(&blue, "site", json!({"ip": "192.0.2.8"})).await;
    is_answered(&server, host, RecordType::A, &["192.0.2.8"]).await;

    // Somebody else's app has no such luck, and says whose it is.
    let red = team(&world, control_plane, "red").await;
    red.commit("other", &format!("{{{IMAGE}, hosts: [deep.site.one.example]}}"))
        .await;
    red.told("other", "NamesPublished", "False", "NameHeld").await;
    red.told("other", "HostsClaimed", "False", "NameHeld").await;

    // Not asked for any more: withdrawn.
    blue.commit("site", &format!("{{{IMAGE}, exposure: None}}")).await;
    world.claim(host, "Releasing").await;
    is_answered(&server, host, RecordType::A, &[]).await;
    assert_eq!(given(&blue).await, []);
    let (app, _) = blue.told("site", "Ready", "False", "Deploying").await;
    assert!(condition(&app, "NamesPublished").is_none());
}

#[tokio::test]
async fn a_record_of_the_team_is_left_to_speak_for_the_host() {
    let (control_plane, world) = start().await;
    let blue = team(&world, control_plane, "blue").await;
    let host = "own.one.example";
    let own = format!("{{name: {host}, targets: [192.0.2.9]}}");
    world.commit(&blue.namespace, "mine", &own).await;
    eventually("the record is looked at", async || {
        let record = blue.api::<DnsRecord>().get("mine").await.unwrap();
        record.status.filter(|status| !status.conditions.is_empty())
    })
    .await;
    blue.commit("own", &format!("{{{IMAGE}, hosts: [{host}, second.one.example]}}"))
        .await;
    let names = async || given(&blue).await.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    eventually("the other host has a record", async || {
        (names().await == ["second.one.example"]).then_some(())
    })
    .await;
    // Without it, the app's own speaks.
    world.delete(&blue.namespace, "mine").await;
    eventually("both hosts have a record", async || {
        let mut names = names().await;
        names.sort();
        (names == [host, "second.one.example"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_record_follows_its_app_and_outlives_it() {
    let (control_plane, world) = start().await;
    let server = Server::bind("follow.example", "").await;
    world.open("follow", "follow.example", &server, OPEN).await;
    let blue = team(&world, control_plane, "blue").await;
    let host = "app.follow.example";
    let spec = |more: &str| format!("{{{IMAGE}, hosts: [{host}]{more}}}");
    let record = format!("{{name: {host}, appRef: {{name: site}}}}");

    world.commit(&blue.namespace, "site", &record).await;
    world.record(&blue.namespace, "site", "AppGone").await;
    blue.commit("site", &spec("")).await;
    world.record(&blue.namespace, "site", "AppHasNoAddress").await;
    is_routed(&blue, "site", host).await;
    reach(&blue, "site", json!({"ip": "192.0.2.7"})).await;
    world.record(&blue.namespace, "site", "Published").await;
    is_answered(&server, host, RecordType::A, &["192.0.2.7"]).await;
    reach(&blue, "site", json!({"hostname": "lb.cloud.example"})).await;
    is_answered(&server, host, RecordType::CNAME, &["lb.cloud.example."]).await;

    let planned = plan(control_plane, &blue, &record).await;
    assert_eq!(planned["sets"][0]["action"], "Same", "{planned}");
    assert_eq!(planned["sets"][0]["values"], json!(["lb.cloud.example"]));

    // Where the platform says where its ingress is, that counts.
    blue.commit("site", &spec(", exposure: fixed")).await;
    is_answered(&server, host, RecordType::CNAME, &["lb.platform.example."]).await;
    world.record(&blue.namespace, "site", "Published").await;
    let planned = plan(control_plane, &blue, &record).await;
    assert_eq!(
        planned["sets"][0]["values"],
        json!(["lb.platform.example"]),
        "{planned}"
    );

    // Neither an app that is not reached nor one that is gone takes anything away.
    blue.commit("site", &format!("{{{IMAGE}, exposure: None}}")).await;
    world.record(&blue.namespace, "site", "AppNotExposed").await;
    blue.apps().delete("site", &DeleteParams::default()).await.unwrap();
    let gone = world.record(&blue.namespace, "site", "AppGone").await.status.unwrap();
    let planned = plan(control_plane, &blue, &record).await;
    assert_eq!(planned["refused"]["reason"], "AppGone", "{planned}");
    let told = message(&gone.conditions, "TargetResolves");
    assert!(told.contains("there is no StartupApp site"), "{:?}", gone.conditions);
    assert_eq!(server.ask(host, RecordType::CNAME).await, ["lb.platform.example."]);
    blue.commit("site", &spec("")).await;
    is_routed(&blue, "site", host).await;
    reach(&blue, "site", json!({"ip": "192.0.2.10"})).await;
    is_answered(&server, host, RecordType::A, &["192.0.2.10"]).await;
    world.record(&blue.namespace, "site", "Published").await;
}
