//! What somebody else changes in the zone: put right, told, or left alone.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tremplin_core::api::{DnsRecord, DnsZone};
use tremplin_core::dns::RecordType as Kind;
use tremplin_e2e::dns::query::RecordType;

use crate::behind::set;
use crate::common::{eventually, start};
use crate::world::{Server, World, message};

const HOST: &str = "app.drift.example";

async fn opened(zone: &str, spec: &str) -> (World, Server, String) {
    let server = Server::bind(&format!("{zone}.example"), "www IN A 198.51.100.1").await;
    opened_at(server, zone, spec).await
}

async fn opened_at(server: Server, zone: &str, spec: &str) -> (World, Server, String) {
    let (control_plane, client) = start().await;
    let world = World { client };
    let domain = format!("{zone}.example");
    world.open(zone, &domain, &server, spec).await;
    let blue = world.team(control_plane, "blue").await;
    let record = format!("{{name: app.{domain}, targets: [192.0.2.1]}}");
    world.commit(&blue, "app", &record).await;
    world.record(&blue, "app", "Published").await;
    (world, server, blue)
}

/// Waits until so many corrections are told.
async fn corrected(world: &World, team: &str, times: i32) {
    eventually("it is put right, and told", async || {
        let record = world.of::<DnsRecord>(team).get("app").await.unwrap();
        (record.status?.drift?.corrections == times).then_some(())
    })
    .await;
    world.record(team, "app", "Published").await;
}

#[tokio::test]
async fn drift_is_put_right_three_times_and_then_left_until_a_human_resumes() {
    let (world, server, blue) = opened("drift", "").await;
    let wrong = || Some(set(HOST, "A", 300, &["203.0.113.6"]));
    for (times, after) in [(1, wrong()), (2, None), (3, wrong())] {
        server.tamper("drift.example", HOST, "A", after.clone()).await;
        world.audit("drift").await;
        corrected(&world, &blue, times).await;
        assert_eq!(server.ask(HOST, RecordType::A).await, ["192.0.2.1"]);
        let kind = world
            .record(&blue, "app", "Published")
            .await
            .status
            .unwrap()
            .drift
            .unwrap()
            .kind;
        assert_eq!(kind, if after.is_some() { "Changed" } else { "Missing" });
    }
    server.tamper("drift.example", HOST, "A", wrong()).await;
    world.audit("drift").await;
    let status = world.record(&blue, "app", "DriftLoop").await.status.unwrap();
    let told = message(&status.conditions, "Ready");
    assert!(told.contains("3 times within an hour"), "{told}");
    assert_eq!(server.ask(HOST, RecordType::A).await, ["203.0.113.6"]);
    world
        .annotate(&blue, "app", "tremplin.dev/resumed-at", &Timestamp::now().to_string())
        .await;
    world.record(&blue, "app", "Published").await;
    assert_eq!(server.ask(HOST, RecordType::A).await, ["192.0.2.1"]);
}

#[tokio::test]
async fn drift_is_found_by_the_interval_without_being_asked_for() {
    let (world, server, blue) = opened("interval", "{drift: {intervalSeconds: 10}}").await;
    let host = "app.interval.example";
    server
        .tamper(
            "interval.example",
            host,
            "A",
            Some(set(host, "A", 300, &["203.0.113.6"])),
        )
        .await;
    corrected(&world, &blue, 1).await;
    assert_eq!(server.ask(host, RecordType::A).await, ["192.0.2.1"]);
}

#[tokio::test]
async fn drift_is_found_where_the_serial_never_moves() {
    let server = Server::route53("still.example", "www IN A 198.51.100.1").await;
    let (world, server, blue) = opened_at(server, "still", "{drift: {intervalSeconds: 10}}").await;
    let host = "app.still.example";
    let wrong = set(host, "A", 300, &["203.0.113.6"]);
    server.tamper("still.example", host, "A", Some(wrong)).await;
    corrected(&world, &blue, 1).await;
    assert_eq!(server.ask(host, RecordType::A).await, ["192.0.2.1"]);
}

#[tokio::test]
async fn with_the_policy_warn_drift_is_told_and_left() {
    let (world, server, blue) = opened("warn", "{drift: {policy: Warn}}").await;
    let host = "app.warn.example";
    server
        .tamper("warn.example", host, "A", Some(set(host, "A", 300, &["203.0.113.6"])))
        .await;
    world.audit("warn").await;
    world.record(&blue, "app", "Drifted").await;
    assert_eq!(server.ask(host, RecordType::A).await, ["203.0.113.6"]);
    // The team means what it commits: that is no drift.
    world.change_zone("warn", "{drift: {policy: Repair}}").await;
    world.record(&blue, "app", "Published").await;
    assert_eq!(server.ask(host, RecordType::A).await, ["192.0.2.1"]);
}

#[tokio::test]
async fn what_was_taken_for_foreign_is_published_again_once_it_reads_as_ours() {
    let (world, server, blue) = opened("torn", "{drift: {intervalSeconds: 10}}").await;
    let marked = "_tremplin.app.torn.example";
    let mark = server.current("torn.example", marked, "TXT").await;
    server.tamper("torn.example", marked, "TXT", None).await;
    world.record(&blue, "app", "NotOurs").await;
    server.tamper("torn.example", marked, "TXT", mark).await;
    // Another operator has looked at the zone since: by its serial nothing is new.
    let client = server.client("torn.example");
    let all = client.read_all().await.unwrap();
    let soa = all.iter().find(|set| set.type_ == Kind::Soa).unwrap();
    let serial: i64 = soa.values.first().unwrap().split(' ').nth(2).unwrap().parse().unwrap();
    world
        .cluster::<DnsZone>()
        .patch_status(
            "torn",
            &PatchParams::default(),
            &Patch::Merge(json!({"status": {"auditedSerial": serial}})),
        )
        .await
        .unwrap();
    world.record(&blue, "app", "Published").await;
}

#[tokio::test]
async fn an_audit_is_made_whatever_the_clock_of_who_asks_for_it_says() {
    let (world, _server, _blue) = opened("clocks", "{}").await;
    world.audit("clocks").await;
    for ahead in [-300, 300, -299] {
        let last = async || {
            let zone = world.cluster::<DnsZone>().get("clocks").await.unwrap();
            zone.status.and_then(|status| status.last_audit_at)
        };
        let before = last().await;
        let second = before.as_ref().map(|at| at.0.as_second());
        eventually("a later second", async || {
            (Some(Timestamp::now().as_second()) > second).then_some(())
        })
        .await;
        let asked = Timestamp::now() + SignedDuration::from_secs(ahead);
        world
            .annotate_zone("clocks", "tremplin.dev/audit-requested-at", &asked.to_string())
            .await;
        eventually("the zone is audited", async || (last().await != before).then_some(())).await;
    }
}
