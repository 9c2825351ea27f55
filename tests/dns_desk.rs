//! A zone that humans at a desk write: they are asked in words, and the authoritative servers tell when it is done.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;
#[path = "dns/world.rs"]
mod world;

use std::collections::BTreeMap;

use common::{eventually, start};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tremplin::dns_provider::{Provider, Shared, build};
use tremplin_core::api::DnsClaim;
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet};
use world::{Server, World, message};

/// The human at the desk has a key of the server.
fn human(server: &Server) -> Box<dyn Provider> {
    let Server::Bind(bind) = server else { unreachable!() };
    let settings =
        json!({"type": "RFC2136", "secretRef": {"name": "x"}, "rfc2136": {"server": bind.address().to_string()}});
    let secret = BTreeMap::from([
        (
            "tsig-key-name".to_owned(),
            tremplin_e2e::dns::KEY_NAME.as_bytes().to_vec(),
        ),
        ("tsig-secret".to_owned(), bind.key_secret().as_bytes().to_vec()),
    ]);
    let domain = Fqdn::parse("desk.example").unwrap();
    build(
        &serde_json::from_value(settings).unwrap(),
        &domain,
        &secret,
        None,
        &Shared::default(),
    )
    .unwrap()
}

async fn say(world: &World, key: &str, value: &str) {
    let patch = json!({"metadata": {"annotations": {key: value}}});
    world
        .cluster::<DnsClaim>()
        .patch("app.desk.example", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

async fn asked(world: &World, action: &str) -> DnsClaim {
    eventually(&format!("the desk is asked to {action}"), async || {
        let claim = world.cluster::<DnsClaim>().get("app.desk.example").await.ok()?;
        let requests = &claim.status.as_ref()?.requests;
        (requests.len() == 1 && requests[0].action == action).then_some(claim)
    })
    .await
}

#[tokio::test]
async fn a_desk_is_asked_and_its_answer_is_what_the_servers_say() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("desk.example", "").await;
    let spec = "{provider: {type: Request, request: {contact: 'dns@example.org'}}, claims: {releaseAfterSeconds: 60}}";
    world.open("desk", "desk.example", &server, spec).await;
    let team = world.team(control_plane, "blue").await;
    world
        .commit(&team, "app", "{name: app.desk.example, targets: [192.0.2.1]}")
        .await;
    let waiting = world.record(&team, "app", "WaitingForDesk").await;
    let told = message(&waiting.status.unwrap().conditions, "Ready");
    assert!(
        told.contains("Create app.desk.example A") && told.contains("dns@example.org"),
        "{told}"
    );
    let claim = asked(&world, "Create").await;
    let request = &claim.status.unwrap().requests[0];
    assert!(
        request
            .text
            .contains("Merci de créer :\napp.desk.example. 300 IN A 192.0.2.1"),
        "{}",
        request.text
    );

    say(&world, "tremplin.dev/taken-by", "Camille").await;
    eventually("who took it is told", async || {
        let record = world.record(&team, "app", "WaitingForDesk").await;
        message(&record.status?.conditions, "Ready")
            .contains("taken by Camille")
            .then_some(())
    })
    .await;

    let set = RrSet {
        name: Fqdn::parse("app.desk.example").unwrap(),
        type_: RecordType::A,
        ttl: 300,
        values: ["192.0.2.1".to_owned()].into(),
    };
    human(&server).write(&[Change::create(set.clone())]).await.unwrap();
    say(&world, "tremplin.dev/done-at", "2026-11-23T10:00:00Z").await;
    world.record(&team, "app", "Published").await;

    world.delete(&team, "app").await;
    asked(&world, "Delete").await;
    human(&server).write(&[Change::delete(set)]).await.unwrap();
    say(&world, "tremplin.dev/done-at", "2026-11-23T11:00:00Z").await;
    world.claim("app.desk.example", "Releasing").await;
}
