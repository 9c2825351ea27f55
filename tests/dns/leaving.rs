//! Records that go, come back and go again.

use tremplin_core::api::DnsClaim;

use crate::common::eventually;
use crate::world::{Server, World};

/// The claim once it has so many withdrawals.
async fn claim_with(world: &World, name: &str, withdrawals: usize) -> DnsClaim {
    eventually("the withdrawal is noted", async || {
        let claim = world.cluster::<DnsClaim>().get(name).await.unwrap();
        (claim.spec.withdrawals.len() == withdrawals).then_some(claim)
    })
    .await
}

#[tokio::test]
async fn a_withdrawal_that_is_asked_for_twice_is_asked_for_anew() {
    let server = Server::bind("twice.example", "").await;
    let (world, blue) = World::opened("twice", &server, "").await;
    let spec = "{name: app.twice.example, targets: [192.0.2.1]}";
    world.commit(&blue, "app", spec).await;
    world.record(&blue, "app", "Published").await;
    world.change_zone("twice", "{paused: true}").await;
    world.delete(&blue, "app").await;
    let once = claim_with(&world, "app.twice.example", 1).await;
    world.commit(&blue, "app", spec).await;
    world.record(&blue, "app", "ZoneNotWritten").await;
    world.delete(&blue, "app").await;
    // A writer that saw the name in use strikes it off as it was before, and must fail.
    let twice = claim_with(&world, "app.twice.example", 1).await;
    assert!(twice.metadata.generation > once.metadata.generation);
    assert!(
        twice.spec.departures > once.spec.departures,
        "{:?}",
        twice.spec.departures
    );
    world.change_zone("twice", "{paused: false}").await;
    world.claim("app.twice.example", "Releasing").await;
    assert_eq!(server.current("twice.example", "app.twice.example", "A").await, None);
}
