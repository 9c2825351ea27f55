//! The breaker: what trips it, what it counts when writes fail and when the operator ends in the middle of one, and what a
//! human's word does.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::DeleteParams;
use tokio::net::UdpSocket;
use tremplin_core::api::DnsZone;
use tremplin_core::api::dns::Breaker;
use tremplin_core::dns::RrSet;
use tremplin_e2e::dns::fault_proxy::{Fault, FaultProxy};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

use crate::behind::set;
use crate::common::{HOME, Operator, eventually, install, settings, start};
use crate::world::{Server, World, message};
use crate::{FOREIGN, commit, is_foreign, publish};

const ACKNOWLEDGED: &str = "tremplin.dev/breaker-acknowledged";

/// PowerDNS behind a proxy, with three published names.
async fn opened(name: &str, most: usize) -> (World, String, Server, FaultProxy) {
    let domain = format!("{name}.example");
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::power_dns(&domain, FOREIGN).await;
    let proxy = world.open_behind_proxy(name, &domain, &server, &spec(most)).await;
    let blue = world.team(control_plane, "blue").await;
    publish(&world, &blue, &domain, 3).await;
    (world, blue, server, proxy)
}

fn spec(most: usize) -> String {
    format!("{{safety: {{maxDeletesPerHour: {most}, maxChangedPercent: 100}}, claims: {{releaseAfterSeconds: 3600}}}}")
}

async fn breaker(world: &World, zone: &str) -> Option<Breaker> {
    world.cluster::<DnsZone>().get(zone).await.unwrap().status?.breaker
}

/// Waits until so many deletions count, and none is open.
async fn counted(world: &World, zone: &str, expected: i32) {
    eventually("the deletions are counted", async || {
        let deletions = breaker(world, zone).await?.deletions;
        let counted: i32 = deletions.iter().map(|deletions| deletions.count).sum();
        (counted == expected && deletions.iter().all(|deletions| deletions.open.is_empty())).then_some(())
    })
    .await;
}

async fn released(world: &World, domain: &str, numbers: std::ops::Range<usize>) {
    for n in numbers {
        world.claim(&format!("n{n}.{domain}"), "Releasing").await;
    }
}

/// Deletes what was published, all at once for the zone's writer.
async fn delete_at_once(world: &World, team: &str, zone: &str, count: usize) {
    world.change_zone(zone, "{paused: true}").await;
    for n in 0..count {
        world.delete(team, &format!("n{n}")).await;
    }
    eventually("the plan tells of every deletion", async || {
        let zone = world.cluster::<DnsZone>().get(zone).await.unwrap();
        let plan = zone.status?.plan;
        let deleted = plan
            .iter()
            .filter(|change| change.action == "Delete" && change.type_ == "A");
        (deleted.count() == count).then_some(())
    })
    .await;
    world.change_zone(zone, "{paused: false}").await;
}

#[tokio::test]
async fn many_deletions_at_once_stop_the_zone_until_a_human_has_looked() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("breaker.example", FOREIGN).await;
    let spec = "{safety: {maxDeletesPerHour: 3, maxChangedPercent: 100}, claims: {releaseAfterSeconds: 3600}}";
    world.open("breaker", "breaker.example", &server, spec).await;
    let (blue, red) = (
        world.team(control_plane, "blue").await,
        world.team(control_plane, "red").await,
    );
    publish(&world, &blue, "breaker.example", 5).await;
    let kept = "{name: kept.breaker.example, targets: [192.0.2.98]}";
    world.commit(&red, "kept", kept).await;
    world.record(&red, "kept", "Published").await;
    let before = server.all("breaker.example").await;

    delete_at_once(&world, &blue, "breaker", 5).await;
    let zone = world.zone("breaker", "BreakerOpen").await.status.unwrap();
    let tripped_at = zone.breaker.unwrap().tripped_at.unwrap().0.to_string();
    let told = message(&zone.conditions, "BreakerClosed");
    assert!(
        told.contains("5 record set(s) would be deleted") && told.contains(&format!("{ACKNOWLEDGED}={tripped_at}")),
        "{told}"
    );
    assert_eq!(zone.plan.iter().filter(|change| change.type_ == "A").count(), 5);
    assert_eq!(server.all("breaker.example").await, before, "nothing was deleted");
    world.claim("n0.breaker.example", "Withdrawing").await;
    // Nothing else is written either, by whomever.
    world
        .commit(&red, "new", "{name: new.breaker.example, targets: [192.0.2.99]}")
        .await;
    world.record(&red, "new", "BreakerOpen").await;
    // What is served and stays is true whatever waits, also once the zone is another.
    world.change_zone("breaker", "{safety: {maxDeletesPerHour: 4}}").await;
    world.zone("breaker", "BreakerOpen").await;
    world.audit("breaker").await;
    world.record(&red, "kept", "Published").await;
    world.record(&red, "new", "BreakerOpen").await;
    // Another time is no acknowledgement of this one.
    world
        .annotate_zone("breaker", ACKNOWLEDGED, "2026-01-01T00:00:00Z")
        .await;
    world.audit("breaker").await;
    assert_eq!(server.all("breaker.example").await, before);

    world.annotate_zone("breaker", ACKNOWLEDGED, &tripped_at).await;
    world.record(&red, "new", "Published").await;
    world.zone("breaker", "Synced").await;
    for n in 0..5 {
        world.claim(&format!("n{n}.breaker.example"), "Releasing").await;
    }
    let own = [("kept", "192.0.2.98"), ("new", "192.0.2.99")]
        .map(|(name, address)| set(&format!("{name}.breaker.example"), "A", 300, &[address]));
    let mut expected = before;
    expected.retain(|set| !set.name.as_str().contains(".breaker.example") || is_foreign(set));
    expected.extend(own);
    assert_eq!(server.data("breaker.example").await, expected);
    // What was acknowledged is not counted against what comes after.
    world.delete(&red, "new").await;
    world.claim("new.breaker.example", "Releasing").await;
}

#[tokio::test]
async fn an_acknowledged_zone_is_closed_again_although_nothing_is_left_to_write() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("undone.example", FOREIGN).await;
    let spec = "{safety: {maxDeletesPerHour: 1, maxChangedPercent: 100}}";
    world.open("undone", "undone.example", &server, spec).await;
    let blue = world.team(control_plane, "blue").await;
    publish(&world, &blue, "undone.example", 3).await;
    delete_at_once(&world, &blue, "undone", 3).await;
    let zone = world.zone("undone", "BreakerOpen").await.status.unwrap();
    // The team takes its mistake back.
    commit(&world, &blue, "undone.example", 3).await;
    let tripped_at = zone.breaker.unwrap().tripped_at.unwrap().0.to_string();
    world.annotate_zone("undone", ACKNOWLEDGED, &tripped_at).await;
    world.zone("undone", "Synced").await;
    for n in 0..3 {
        world.record(&blue, &format!("n{n}"), "Published").await;
    }
}

#[tokio::test]
async fn an_acknowledged_zone_is_closed_again_while_a_server_is_behind() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("lagging.example", FOREIGN).await;
    let spec = "{safety: {maxDeletesPerHour: 1, maxChangedPercent: 100}}";
    world.open("lagging", "lagging.example", &server, spec).await;
    let blue = world.team(control_plane, "blue").await;
    publish(&world, &blue, "lagging.example", 3).await;
    delete_at_once(&world, &blue, "lagging", 3).await;
    let zone = world.zone("lagging", "BreakerOpen").await.status.unwrap();
    let deaf = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ports = [server.dns(), deaf.local_addr().unwrap()].map(|address| address.port());
    let [real, deaf] = ports.map(|port| format!("{{address: 127.0.0.1, port: {port}}}"));
    world
        .change_zone("lagging", &format!("{{authorities: [{real}, {deaf}]}}"))
        .await;
    commit(&world, &blue, "lagging.example", 3).await;
    for n in 0..3 {
        world.record(&blue, &format!("n{n}"), "Publishing").await;
        world.claim(&format!("n{n}.lagging.example"), "Held").await;
    }
    let tripped_at = zone.breaker.unwrap().tripped_at.unwrap().0.to_string();
    world.annotate_zone("lagging", ACKNOWLEDGED, &tripped_at).await;
    world.zone("lagging", "Synced").await;
}

#[tokio::test]
async fn a_deletion_that_fails_counts_once() {
    let (world, blue, server, proxy) = opened("tried", 2).await;
    for _ in 0..3 {
        proxy.like("PATCH", "", Fault::Status(500, None));
    }
    for n in 0..2 {
        world.delete(&blue, &format!("n{n}")).await;
    }
    released(&world, "tried.example", 0..2).await;
    assert_eq!(proxy.planned(), 0);
    counted(&world, "tried", 2).await;
    world.delete(&blue, "n2").await;
    world.zone("tried", "BreakerOpen").await;
    assert!(server.current("tried.example", "n2.tried.example", "A").await.is_some());
}

#[tokio::test]
async fn what_was_acknowledged_may_be_tried_again() {
    let (world, blue, server, proxy) = opened("again", 1).await;
    delete_at_once(&world, &blue, "again", 3).await;
    let status = world.zone("again", "BreakerOpen").await.status.unwrap();
    let tripped_at = status.breaker.unwrap().tripped_at.unwrap().0.to_string();
    for _ in 0..2 {
        proxy.like("PATCH", "", Fault::Status(500, None));
    }
    world.annotate_zone("again", ACKNOWLEDGED, &tripped_at).await;
    released(&world, "again.example", 0..3).await;
    assert_eq!(proxy.planned(), 0);
    world.zone("again", "Synced").await;
    assert_eq!(
        breaker(&world, "again").await,
        None,
        "nothing of it is counted, and it is over"
    );
    let is_ours = |set: &RrSet| set.name.as_str().starts_with('n') && set.type_.as_str() == "A";
    let left = server.data("again.example").await;
    assert!(
        !left
            .iter()
            .any(|set| is_ours(set) && set.name.as_str() != "ns1.again.example"),
        "{left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_deletions_the_breaker_counts_them_once() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let world = World {
        client: install(&control_plane).await,
    };
    let server = Server::power_dns("middle.example", FOREIGN).await;
    let proxy = world
        .open_behind_proxy("middle", "middle.example", &server, &spec(2))
        .await;
    let blue = world.team(&control_plane, "blue").await;
    let operator = || Operator::start(&control_plane.admin_config(), settings(&[]), |client| client);
    let killed = async |operator: Operator| {
        eventually("a write is under way", async || (proxy.planned() == 0).then_some(())).await;
        operator.kill();
        let leases = world.of::<Lease>(HOME);
        let _ = leases.delete("tremplin-controller", &DeleteParams::default()).await;
    };
    let first = operator();
    publish(&world, &blue, "middle.example", 3).await;
    // Made, and nobody hears of it.
    proxy.like("PATCH", "", Fault::HangAfter);
    world.delete(&blue, "n0").await;
    killed(first).await;
    let second = operator();
    released(&world, "middle.example", 0..1).await;
    // Not made, and made when it is tried again.
    proxy.like("PATCH", "", Fault::Hang);
    world.delete(&blue, "n1").await;
    killed(second).await;
    let third = operator();
    released(&world, "middle.example", 1..2).await;
    world.delete(&blue, "n2").await;
    world.zone("middle", "BreakerOpen").await;
    assert!(
        server
            .current("middle.example", "n2.middle.example", "A")
            .await
            .is_some()
    );
    third.stop().await.unwrap();
}

#[tokio::test]
async fn a_change_of_most_of_what_is_ours_stops_the_zone_until_a_human_has_looked() {
    let server = Server::bind("mostly.example", FOREIGN).await;
    let spec = "{safety: {maxDeletesPerHour: 100, maxChangedPercent: 50}}";
    let (world, blue) = World::opened("mostly", &server, spec).await;
    publish(&world, &blue, "mostly.example", 12).await;
    world.zone("mostly", "Synced").await;
    let before = server.data("mostly.example").await;

    // All at once for the zone's writer.
    world.change_zone("mostly", "{paused: true, ttl: {default: 600}}").await;
    eventually("the plan tells of every change", async || {
        let plan = world.cluster::<DnsZone>().get("mostly").await.unwrap().status?.plan;
        let replaced = plan
            .iter()
            .filter(|change| change.action == "Replace" && change.type_ == "A");
        (replaced.count() == 12).then_some(())
    })
    .await;
    world.change_zone("mostly", "{paused: false}").await;
    let status = world.zone("mostly", "BreakerOpen").await.status.unwrap();
    let breaker = status.breaker.unwrap();
    assert_eq!(
        breaker.message.as_deref(),
        Some(
            "12 of 12 record sets would be changed or deleted within 10 minutes, and spec.safety.maxChangedPercent is 50"
        )
    );
    assert_eq!(server.data("mostly.example").await, before);

    let tripped_at = breaker.tripped_at.unwrap().0.to_string();
    world.annotate_zone("mostly", ACKNOWLEDGED, &tripped_at).await;
    world.zone("mostly", "Synced").await;
    eventually("what was acknowledged is written", async || {
        let ours = server.data("mostly.example").await;
        let slower = ours
            .iter()
            .filter(|set| set.ttl == 600 && set.name.as_str().starts_with('n'));
        (slower.filter(|set| set.type_.as_str() == "A").count() == 12).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_changes_one_by_one_stops_the_zone_like_what_changes_at_once() {
    let server = Server::bind("trickle.example", FOREIGN).await;
    let spec = "{safety: {maxDeletesPerHour: 100, maxChangedPercent: 50}}";
    let (world, blue) = World::opened("trickle", &server, spec).await;
    publish(&world, &blue, "trickle.example", 12).await;
    let change = async |n: usize, reason: &str| {
        let spec = format!("{{name: n{n}.trickle.example, targets: [198.51.100.{n}]}}");
        world.commit(&blue, &format!("n{n}"), &spec).await;
        world.record(&blue, &format!("n{n}"), reason).await;
    };
    for n in 0..10 {
        change(n, "Published").await;
    }
    change(10, "BreakerOpen").await;
    let left = server
        .current("trickle.example", "n10.trickle.example", "A")
        .await
        .unwrap();
    assert_eq!(left.values, ["192.0.2.10".to_owned()].into());
}
