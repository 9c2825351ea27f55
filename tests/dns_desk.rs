//! A zone that humans at a desk write: they are asked in words, and the authoritative servers tell when it is done.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns/behind.rs"]
mod behind;
mod common;
#[path = "dns/world.rs"]
mod world;

use behind::set;
use common::{eventually, start};
use k8s_openapi::api::core::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tokio::net::UdpSocket;
use tremplin_core::api::{DnsClaim, DnsZone};
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet};
use world::{Server, World, message};

/// Of a zone that humans write.
const DESK: &str =
    "provider: {type: Request, request: {contact: 'dns@example.org'}}, claims: {releaseAfterSeconds: 3600}";

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

    has_event(&world, &team, "DnsRecord", "app", "Create app.desk.example A").await;
    let asked_on_claim = async |words: &str| has_event(&world, "default", "DnsClaim", "app.desk.example", words).await;
    asked_on_claim("Merci de créer :\napp.desk.example. 300 IN A 192.0.2.1").await;

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
    server
        .client("desk.example")
        .write(&[Change::create(set.clone())])
        .await
        .unwrap();
    say(&world, "tremplin.dev/done-at", "2026-11-23T10:00:00Z").await;
    world.record(&team, "app", "Published").await;

    world.delete(&team, "app").await;
    asked(&world, "Delete").await;
    asked_on_claim("Merci de supprimer").await;
    server
        .client("desk.example")
        .write(&[Change::delete(set)])
        .await
        .unwrap();
    say(&world, "tremplin.dev/done-at", "2026-11-23T11:00:00Z").await;
    world.claim("app.desk.example", "Releasing").await;
}

/// What is told in Events of an object, beside the team or, of what is the whole cluster's, in `default`.
async fn has_event(world: &World, namespace: &str, kind: &str, name: &str, words: &str) {
    eventually(&format!("an Event on {kind} {name} tells {words:?}"), async || {
        let events = world.of::<Event>(namespace).list(&ListParams::default()).await.unwrap();
        let is_it = |event: &Event| {
            let about = &event.involved_object;
            let is_about = about.kind.as_deref() == Some(kind) && about.name.as_deref() == Some(name);
            is_about && event.message.as_deref().is_some_and(|message| message.contains(words))
        };
        events.items.iter().any(is_it).then_some(())
    })
    .await;
}

/// What the desk is asked about a claim: action, type and values.
async fn requests(world: &World, claim: &str) -> Vec<(String, String, Vec<String>)> {
    let claim = world.cluster::<DnsClaim>().get_opt(claim).await.unwrap();
    let status = claim.and_then(|claim| claim.status).unwrap_or_default();
    let requests = status.requests.into_iter();
    requests
        .map(|request| (request.action, request.type_, request.values))
        .collect()
}

#[tokio::test]
async fn nobody_is_asked_while_a_zone_is_not_written() {
    let server = Server::bind("shut.example", "").await;
    let (world, team) = World::opened("shut", &server, &format!("{{{DESK}, mode: Report}}")).await;
    let spec = "{name: app.shut.example, targets: [192.0.2.1]}";
    world.commit(&team, "app", spec).await;
    world.record(&team, "app", "ZoneNotWritten").await;
    eventually("the plan tells what would be asked", async || {
        let zone = world.cluster::<DnsZone>().get("shut").await.unwrap();
        let plan = zone.status?.plan;
        let told = plan
            .iter()
            .map(|change| (change.action.as_str(), change.type_.as_str()));
        told.eq([("Create", "A")]).then_some(())
    })
    .await;
    assert_eq!(requests(&world, "app.shut.example").await, []);
    world.change_zone("shut", "{mode: Enforce}").await;
    world.record(&team, "app", "WaitingForDesk").await;
    server
        .tamper(
            "shut.example",
            "app.shut.example",
            "A",
            Some(set("app.shut.example", "A", 300, &["192.0.2.1"])),
        )
        .await;
    world.record(&team, "app", "Published").await;

    // What was deleted and made again is asked of nobody: it is as it is to be.
    world.change_zone("shut", "{paused: true}").await;
    world.delete(&team, "app").await;
    world.commit(&team, "app", spec).await;
    world.record(&team, "app", "ZoneNotWritten").await;
    world.change_zone("shut", "{paused: false}").await;
    world.record(&team, "app", "Published").await;
    eventually("the withdrawal is struck off", async || {
        let claim = world.cluster::<DnsClaim>().get("app.shut.example").await.unwrap();
        assert_eq!(claim.status?.requests, []);
        claim.spec.withdrawals.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn two_texts_at_one_name_make_one_request_also_while_no_server_answers() {
    let server = Server::bind("mute.example", "").await;
    let deaf = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = deaf.local_addr().unwrap().port();
    let silent = format!("{{{DESK}, authorities: [{{address: 127.0.0.1, port: {port}}}]}}");
    let (world, team) = World::opened("mute", &server, &silent).await;
    for name in ["one", "two"] {
        let spec = format!("{{name: app.mute.example, type: TXT, values: ['{name}']}}");
        world.commit(&team, name, &spec).await;
    }
    let both = [(
        "Create".to_owned(),
        "TXT".to_owned(),
        vec!["one".to_owned(), "two".to_owned()],
    )];
    eventually("one thing is asked", async || {
        (requests(&world, "app.mute.example").await == both).then_some(())
    })
    .await;
    for name in ["one", "two"] {
        let waiting = world.record(&team, name, "WaitingForDesk").await;
        let programmed = message(&waiting.status.unwrap().conditions, "Programmed");
        assert!(programmed.contains("desk is asked"), "{programmed}");
    }
    let dns = server.dns();
    let real = format!("{{authorities: [{{address: {}, port: {}}}]}}", dns.ip(), dns.port());
    world.change_zone("mute", &real).await;
    let texts = set("app.mute.example", "TXT", 300, &["one", "two"]);
    server
        .tamper("mute.example", "app.mute.example", "TXT", Some(texts))
        .await;
    for name in ["one", "two"] {
        world.record(&team, name, "Published").await;
    }
    eventually("nothing is asked any more", async || {
        requests(&world, "app.mute.example").await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_desk_is_asked_to_change_what_others_have_only_when_that_was_given_away() {
    let server = Server::bind("theirs.example", "www 7200 IN A 198.51.100.1").await;
    let (world, team) = World::opened("theirs", &server, &format!("{{{DESK}}}")).await;
    let (name, spec) = ("www.theirs.example", "{name: www.theirs.example, targets: [192.0.2.1]}");
    world.commit(&team, "www", spec).await;
    let refused = world.record(&team, "www", "NotOurs").await.status.unwrap();
    let told = message(&refused.conditions, "Ready");
    assert!(
        told.contains("198.51.100.1") && told.contains("spec.adoptions"),
        "{told}"
    );
    assert_eq!(requests(&world, name).await, []);
    // Nor is it asked to take it away.
    world.delete(&team, "www").await;
    world.claim(name, "Releasing").await;
    assert_eq!(requests(&world, name).await, []);

    let given = "{adoptions: [{name: www.theirs.example, namespaceSelector: {}}]}";
    world.change_zone("theirs", given).await;
    world.commit(&team, "www", spec).await;
    world.record(&team, "www", "WaitingForDesk").await;
    let replace = ("Replace".to_owned(), "A".to_owned(), vec!["192.0.2.1".to_owned()]);
    assert_eq!(requests(&world, name).await, [replace]);
    let taken = json!({"metadata": {"annotations": {"tremplin.dev/taken-by": "Camille"}}});
    world.merge::<DnsClaim>(name, &taken).await;
    let ours = set(name, "A", 300, &["192.0.2.1"]);
    server.tamper("theirs.example", name, "A", Some(ours)).await;
    let status = world.record(&team, "www", "Published").await.status.unwrap();
    let told = message(&status.conditions, "Propagated");
    assert!(told.contains("the answer before (its TTL of 7200 s)"), "{told}");
    eventually("who took it has taken nothing else", async || {
        let claim = world.cluster::<DnsClaim>().get(name).await.unwrap();
        let said = claim.metadata.annotations.unwrap_or_default();
        (!said.contains_key("tremplin.dev/taken-by")).then_some(())
    })
    .await;

    // What the desk changed by itself is found when somebody asks, and is asked for again.
    let other = set(name, "A", 300, &["192.0.2.2"]);
    server.tamper("theirs.example", name, "A", Some(other)).await;
    world.audit("theirs").await;
    world.record(&team, "www", "WaitingForDesk").await;
}

#[tokio::test]
async fn each_request_is_an_event_of_its_own() {
    let server = Server::bind("each.example", "").await;
    let (world, team) = World::opened("each", &server, &format!("{{{DESK}}}")).await;
    let spec = "{name: app.each.example, mail: {preset: None}}";
    world.commit(&team, "mail", spec).await;
    for words in [
        "app.each.example. 300 IN TXT \"v=spf1 -all\"",
        "_dmarc.app.each.example. 300 IN TXT \"v=DMARC1",
    ] {
        has_event(&world, "default", "DnsClaim", "app.each.example", words).await;
    }
}
