//! A name's life, from the commit to the authoritative server and back, on the real API server and real name servers.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;
#[path = "dns/world.rs"]
mod world;

use common::{HOME, eventually, start};
use k8s_openapi::api::core::v1::ConfigMap;
use tremplin_core::api::{DnsClaim, DnsRecord, DnsZone};
use tremplin_e2e::dns::query::RecordType;
use world::{Server, World, message};

/// The zone as it was before its first change is kept: it holds what others wrote, and what was there of ours.
async fn assert_kept(world: &World, zone: &str, foreign: &str, ours: &str) {
    let kept = world
        .cluster::<DnsZone>()
        .get(zone)
        .await
        .unwrap()
        .status
        .unwrap()
        .snapshots;
    let export = world
        .of::<ConfigMap>(HOME)
        .get(&kept[0].id)
        .await
        .unwrap()
        .data
        .unwrap();
    assert!(
        export["zone"].contains(foreign) && export["zone"].contains(ours),
        "{export:?}"
    );
}

/// One life, on whatever server.
async fn life(server: Server, zone: &str, domain: &str) {
    let (control_plane, client) = start().await;
    let world = World { client };
    world
        .open(zone, domain, &server, "{claims: {releaseAfterSeconds: 3600}}")
        .await;
    let (blue, red) = (
        world.team(control_plane, "blue").await,
        world.team(control_plane, "red").await,
    );
    let host = format!("app.{domain}");

    world
        .commit(&blue, "app", &format!("{{name: App.{domain}, targets: [192.0.2.10]}}"))
        .await;
    let record = world.record(&blue, "app", "Published").await;
    let status = record.status.unwrap();
    assert_eq!(server.ask(&host, RecordType::A).await, ["192.0.2.10"]);
    assert_eq!(
        (status.fqdn.as_deref(), status.effective_type.as_deref()),
        (Some(host.as_str()), Some("A"))
    );
    assert_eq!(
        (status.effective_ttl_seconds, status.zone.as_deref()),
        (Some(300), Some(domain))
    );
    let mark = server.ask(&format!("_tremplin.{host}"), RecordType::TXT).await;
    assert!(
        mark[0].contains("heritage=tremplin") && mark[0].contains(&format!("namespace={blue}")),
        "{mark:?}"
    );

    // A second team is told who holds it, since when, and whom to ask; for the first nothing changes.
    world
        .commit(&red, "theirs", &format!("{{name: x.{host}, targets: [192.0.2.66]}}"))
        .await;
    let refused = world.record(&red, "theirs", "NameHeld").await.status.unwrap();
    let told = message(&refused.conditions, "Ready");
    assert!(
        told.contains(&format!("held by the namespace {blue} since")) && told.contains("blue@example.org"),
        "{told}"
    );
    assert_eq!(refused.conflict.unwrap().since, status.claim.map(|claim| claim.since));
    assert_eq!(
        server.ask(&format!("x.{host}"), RecordType::A).await,
        Vec::<String>::new()
    );

    // Changed in place; then another type.
    world
        .commit(
            &blue,
            "app",
            &format!("{{name: App.{domain}, targets: [192.0.2.11, '2001:db8::1'], ttlSeconds: 120}}"),
        )
        .await;
    let status = world.record(&blue, "app", "Published").await.status.unwrap();
    assert_eq!(status.effective_type.as_deref(), Some("A,AAAA"));
    assert_eq!(server.ask(&host, RecordType::A).await, ["192.0.2.11"]);
    world
        .commit(
            &blue,
            "app",
            &format!("{{name: App.{domain}, targets: [elsewhere.example.org]}}"),
        )
        .await;
    world.record(&blue, "app", "Published").await;
    assert_eq!(server.ask(&host, RecordType::CNAME).await, ["elsewhere.example.org."]);
    assert_eq!(
        world
            .of::<DnsRecord>(&blue)
            .get("app")
            .await
            .unwrap()
            .status
            .unwrap()
            .programmed
            .len(),
        1
    );

    assert_kept(&world, zone, "198.51.100.1", "192.0.2.10").await;

    // Deleted: withdrawn, and kept from others for the quarantine.
    world.delete(&blue, "app").await;
    let claim = world.claim(&host, "Releasing").await;
    assert_eq!(claim.spec.withdrawals, []);
    assert_eq!(server.ask(&host, RecordType::CNAME).await, Vec::<String>::new());
    assert_eq!(
        server.ask(&format!("_tremplin.{host}"), RecordType::TXT).await,
        Vec::<String>::new()
    );
    world.record(&red, "theirs", "NameHeld").await;
    // The same team takes it again at once.
    world
        .commit(&blue, "again", &format!("{{name: {host}, targets: [192.0.2.12]}}"))
        .await;
    world.record(&blue, "again", "Published").await;
    let claim = world.claim(&host, "Held").await;
    assert_eq!(claim.spec.release_at, None);
}

#[tokio::test]
async fn a_name_lives_on_bind() {
    let server = Server::bind("bind.example", "www IN A 198.51.100.1").await;
    life(server, "bind", "bind.example").await;
}

#[tokio::test]
async fn a_name_lives_on_powerdns() {
    let server = Server::power_dns("power.example", "www IN A 198.51.100.1").await;
    life(server, "power", "power.example").await;
}

#[tokio::test]
async fn a_name_given_up_is_free_after_its_quarantine() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("short.example", "").await;
    world
        .open("short", "short.example", &server, "{claims: {releaseAfterSeconds: 0}}")
        .await;
    let (blue, red) = (
        world.team(control_plane, "blue").await,
        world.team(control_plane, "red").await,
    );
    world
        .commit(&blue, "app", "{name: app.short.example, targets: [192.0.2.1]}")
        .await;
    world.record(&blue, "app", "Published").await;
    world
        .commit(&red, "app", "{name: app.short.example, targets: [192.0.2.2]}")
        .await;
    world.record(&red, "app", "NameHeld").await;
    world.delete(&blue, "app").await;
    world.record(&red, "app", "Published").await;
    eventually("the other's address is served", async || {
        (server.ask("app.short.example", RecordType::A).await == ["192.0.2.2"]).then_some(())
    })
    .await;
    let claim = world.cluster::<DnsClaim>().get("app.short.example").await.unwrap();
    assert_eq!(claim.spec.holder.namespace, red);
}
