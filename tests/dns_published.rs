//! A provider that serves what was written only later: the wait is told in its own words.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;
#[path = "dns/world.rs"]
mod world;

use std::time::Duration;

use common::{eventually, start};
use tremplin_core::api::{DnsRecord, DnsZone};
use tremplin_e2e::dns::fake::{FakeOptions, Ovh};
use tremplin_e2e::dns::query::RecordType;
use world::{Server, World, message};

#[tokio::test]
async fn what_the_provider_has_not_deployed_is_told_as_such() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let options = FakeOptions {
        delay: Duration::from_secs(4),
        ..FakeOptions::new("slow.example")
    };
    let server = Server::Ovh(Ovh::start(options).await.unwrap());
    world.open("slow", "slow.example", &server, "").await;
    let blue = world.team(control_plane, "blue").await;
    world
        .commit(&blue, "app", "{name: app.slow.example, targets: [192.0.2.1]}")
        .await;
    let records = world.of::<DnsRecord>(&blue);
    eventually("the wait for the provider is told", async || {
        let status = records.get("app").await.unwrap().status?;
        let told = message(&status.conditions, "Ready");
        told.contains("not yet deployed by the provider").then_some(())
    })
    .await;
    world.record(&blue, "app", "Published").await;
    assert_eq!(server.ask("app.slow.example", RecordType::A).await, ["192.0.2.1"]);
    let zone = world.cluster::<DnsZone>().get("slow").await.unwrap();
    assert_eq!(message(&zone.status.unwrap().conditions, "Ready"), "");
    let Server::Ovh(fake) = server else { unreachable!() };
    fake.assert_clean();
}
