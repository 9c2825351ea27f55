//! What is kept of a zone before it is changed: how much, and only where that is asked for.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use tremplin_core::api::DnsZone;
use tremplin_e2e::dns::fake::{FakeOptions, Gandi};
use tremplin_e2e::dns::query::RecordType;

use crate::common::{HOME, eventually};
use crate::world::{Server, World};

/// The names of the exports of a zone.
async fn exports(world: &World, zone: &str) -> Vec<String> {
    let all = world.of::<ConfigMap>(HOME).list(&ListParams::default()).await.unwrap();
    let names = all.items.into_iter().filter_map(|found| found.metadata.name);
    names.filter(|name| name.starts_with(&format!("dns-{zone}-"))).collect()
}

/// A published name, changed.
async fn change(world: &World, team: &str, domain: &str) {
    for target in ["192.0.2.1", "192.0.2.2"] {
        let spec = format!("{{name: app.{domain}, targets: [{target}]}}");
        world.commit(team, "app", &spec).await;
        world.record(team, "app", "Published").await;
    }
}

#[tokio::test]
async fn a_zone_that_wants_no_snapshots_is_changed_without() {
    let server = Server::bind("unkept.example", "").await;
    let spec = "{safety: {snapshotBeforeChange: false}}";
    let (world, blue) = World::opened("unkept", &server, spec).await;
    change(&world, &blue, "unkept.example").await;
    assert_eq!(server.ask("app.unkept.example", RecordType::A).await, ["192.0.2.2"]);
    let status = world.zone("unkept", "Synced").await.status.unwrap();
    assert_eq!(status.snapshots, []);
    assert_eq!(exports(&world, "unkept").await, Vec::<String>::new());
    // Asked for, there is one before the next change.
    world
        .change_zone("unkept", "{safety: {snapshotBeforeChange: true}}")
        .await;
    change(&world, &blue, "unkept.example").await;
    assert_eq!(exports(&world, "unkept").await.len(), 1);
}

#[tokio::test]
async fn of_the_exports_of_a_zone_the_newest_five_are_kept() {
    let server = Server::bind("kept.example", "").await;
    let (world, blue) = World::opened("kept", &server, "").await;
    let spec = |target: &str| format!("{{name: app.kept.example, targets: [{target}]}}");
    world.commit(&blue, "app", &spec("192.0.2.1")).await;
    world.record(&blue, "app", "Published").await;
    world.zone("kept", "Synced").await;
    // Five exports of earlier days, of which the oldest is in two parts.
    let mut snapshots = Vec::new();
    let exported = world.of::<ConfigMap>(HOME);
    for day in 1..=5_i64 {
        let at = Timestamp::now() - SignedDuration::from_hours(24 * day);
        let id = format!("dns-kept-day{day}");
        let parts = if day == 5 {
            vec![id.clone(), format!("{id}.1")]
        } else {
            vec![id.clone()]
        };
        for name in parts {
            let export = ConfigMap {
                metadata: ObjectMeta {
                    name: Some(name),
                    ..ObjectMeta::default()
                },
                ..ConfigMap::default()
            };
            exported.create(&PostParams::default(), &export).await.unwrap();
        }
        snapshots.push(json!({"id": id, "at": format!("{at:.0}")}));
    }
    let patch = Patch::Merge(json!({"status": {"snapshots": snapshots}}));
    let zones = world.cluster::<DnsZone>();
    zones
        .patch_status("kept", &PatchParams::default(), &patch)
        .await
        .unwrap();
    // An audit is a round of the operator that has seen them.
    world.audit("kept").await;
    let told = || async { zones.get("kept").await.unwrap().status.unwrap().snapshots };
    assert_eq!(told().await.len(), 5);

    world.commit(&blue, "app", &spec("192.0.2.2")).await;
    world.record(&blue, "app", "Published").await;
    let ids = eventually("the new export is told", async || {
        let ids: Vec<_> = told().await.into_iter().map(|snapshot| snapshot.id).collect();
        (ids.first()? != "dns-kept-day1").then_some(ids)
    })
    .await;
    assert_eq!(
        ids.iter().skip(1).collect::<Vec<_>>(),
        ["dns-kept-day1", "dns-kept-day2", "dns-kept-day3", "dns-kept-day4"]
    );
    let mut expected = ids;
    expected.sort();
    assert_eq!(exports(&world, "kept").await, expected, "the oldest is gone, all of it");
}

#[tokio::test]
async fn where_the_provider_keeps_snapshots_one_is_made_there_before_the_first_change() {
    let fake = Gandi::start(FakeOptions::new("gandi.example")).await.unwrap();
    let server = Server::Gandi(fake);
    let (world, blue) = World::opened("gandi", &server, "").await;
    change(&world, &blue, "gandi.example").await;
    assert_eq!(server.ask("app.gandi.example", RecordType::A).await, ["192.0.2.2"]);
    let status = world.zone("gandi", "Synced").await.status.unwrap();
    assert_eq!(status.snapshots.len(), 1, "{:?}", status.snapshots);
    assert_eq!(exports(&world, "gandi").await, Vec::<String>::new());
    // One is enough for a while: a change that is tried again and again makes no more.
    change(&world, &blue, "gandi.example").await;
    let Server::Gandi(fake) = server else { unreachable!() };
    assert_eq!(fake.snapshots(), 1);
    let calls = fake.calls();
    let kept = calls.iter().position(|call| call.path.contains("/snapshots")).unwrap();
    let changed = calls.iter().position(|call| call.body.contains("192.0.2.2")).unwrap();
    assert!(kept < changed, "{calls:?}");
    fake.assert_clean();
}
