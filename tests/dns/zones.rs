//! Which of several DnsZones decides about a name, and what becomes of it when they come and go.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use tremplin_core::api::DnsZone;
use tremplin_e2e::dns::query::RecordType;

use crate::common::{eventually, start};
use crate::world::{Server, World, message};

#[tokio::test]
async fn the_longest_zone_that_covers_a_name_decides() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let (outer, inner) = (
        Server::bind("long.example", "").await,
        Server::bind("in.long.example", "").await,
    );
    world.open("outer", "long.example", &outer, "").await;
    world.open("inner", "in.long.example", &inner, "").await;
    let blue = world.team(control_plane, "blue").await;
    world
        .commit(&blue, "app", "{name: app.in.long.example, targets: [192.0.2.7]}")
        .await;
    let status = world.record(&blue, "app", "Published").await.status.unwrap();
    assert_eq!(status.zone.as_deref(), Some("in.long.example"));
    assert_eq!(inner.ask("app.in.long.example", RecordType::A).await, ["192.0.2.7"]);
    assert_eq!(
        outer.ask("app.in.long.example", RecordType::A).await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_name_that_another_zone_covers_now_is_served_there() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let (outer, inner) = (
        Server::bind("opens.example", "").await,
        Server::bind("in.opens.example", "").await,
    );
    world.open("opens", "opens.example", &outer, "").await;
    let blue = world.team(control_plane, "blue").await;
    world
        .commit(&blue, "app", "{name: app.in.opens.example, targets: [192.0.2.7]}")
        .await;
    let served_by = async |zone: &str, server: &Server| {
        eventually("the record is in its zone", async || {
            let status = world.record(&blue, "app", "Published").await.status?;
            (status.zone.as_deref() == Some(zone)).then_some(())
        })
        .await;
        assert_eq!(server.ask("app.in.opens.example", RecordType::A).await, ["192.0.2.7"]);
    };
    served_by("opens.example", &outer).await;
    world.open("opens-in", "in.opens.example", &inner, "").await;
    served_by("in.opens.example", &inner).await;

    // What the outer zone had of it went meanwhile, and it covers the name again.
    world.change_zone("opens", "{paused: true}").await;
    outer.tamper("opens.example", "app.in.opens.example", "A", None).await;
    let zones = world.cluster::<DnsZone>();
    zones.delete("opens-in", &DeleteParams::default()).await.unwrap();
    world.record(&blue, "app", "ZoneNotWritten").await;
    world.change_zone("opens", "{paused: false}").await;
    served_by("opens.example", &outer).await;
}

#[tokio::test]
async fn of_two_zones_of_one_domain_the_older_counts_and_the_other_says_so() {
    let (first, second) = (
        Server::bind("twice.example", "").await,
        Server::bind("twice.example", "").await,
    );
    let (world, blue) = World::opened("twice", &first, "").await;
    let zones = world.cluster::<DnsZone>();
    let older = zones.get("twice").await.unwrap().metadata.creation_timestamp.unwrap().0;
    // Ages are told in whole seconds, and names decide between two of the same.
    eventually("a later second", async || {
        (Timestamp::now() >= older + SignedDuration::from_secs(1)).then_some(())
    })
    .await;
    world.open("again", "Twice.Example", &second, "").await;
    let told = world.zone("again", "DuplicateZone").await.status.unwrap();
    let told = message(&told.conditions, "Ready");
    assert!(told.contains("the older DnsZone twice"), "{told}");
    let spec = "{name: app.twice.example, targets: [192.0.2.7]}";
    world.commit(&blue, "app", spec).await;
    world.record(&blue, "app", "Published").await;
    assert_eq!(first.ask("app.twice.example", RecordType::A).await, ["192.0.2.7"]);
    assert_eq!(
        second.ask("app.twice.example", RecordType::A).await,
        Vec::<String>::new()
    );
    // Without the older one it is the zone.
    zones.delete("twice", &DeleteParams::default()).await.unwrap();
    world.zone("again", "Synced").await;
    eventually("the other server has the name", async || {
        (second.ask("app.twice.example", RecordType::A).await == ["192.0.2.7"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_deleted_zone_withdraws_nothing_and_tells_both_sides() {
    let server = Server::bind("closed.example", "").await;
    let (world, blue) = World::opened("closed", &server, "").await;
    world
        .commit(&blue, "app", "{name: app.closed.example, targets: [192.0.2.1]}")
        .await;
    world.record(&blue, "app", "Published").await;
    let answer = async || server.ask("app.closed.example", RecordType::A).await;

    let zones = world.cluster::<DnsZone>();
    let zone = zones.get("closed").await.unwrap();
    zones.delete("closed", &DeleteParams::default()).await.unwrap();
    let status = world.record(&blue, "app", "NoLongerAllowed").await.status.unwrap();
    let told = message(&status.conditions, "Ready");
    assert!(told.contains("no DnsZone covers app.closed.example"), "{told}");
    assert!(
        world
            .left("app.closed.example", true)
            .await
            .contains("no DnsZone covers")
    );
    // What was never published has no zone, and nothing more.
    world
        .commit(&blue, "new", "{name: new.closed.example, targets: [192.0.2.1]}")
        .await;
    world.record(&blue, "new", "NoZone").await;
    assert_eq!(answer().await, ["192.0.2.1"]);

    let again = DnsZone {
        metadata: ObjectMeta {
            name: Some("closed".to_owned()),
            ..ObjectMeta::default()
        },
        spec: zone.spec,
        status: None,
    };
    zones.create(&PostParams::default(), &again).await.unwrap();
    world.record(&blue, "app", "Published").await;
    world.left("app.closed.example", false).await;
    world.record(&blue, "new", "Published").await;
}
