//! Texts of several records of one team at one name: one set in the zone, of which each says its part.

use std::collections::BTreeSet;

use tremplin_e2e::dns::query::RecordType;

use crate::common::eventually;
use crate::world::{Server, World};

fn all(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| format!("\"{text}\"")).collect()
}

#[tokio::test]
async fn a_withdrawn_text_leaves_those_beside_it_and_goes_itself() {
    let server = Server::bind("texts.example", "").await;
    let (world, blue) = World::opened("texts", &server, "").await;
    for name in ["one", "two"] {
        let spec = format!("{{name: app.texts.example, type: TXT, values: ['{name}']}}");
        world.commit(&blue, name, &spec).await;
        world.record(&blue, name, "Published").await;
    }
    assert_eq!(
        BTreeSet::from_iter(server.ask("app.texts.example", RecordType::TXT).await),
        all(&["one", "two"])
    );
    world.delete(&blue, "two").await;
    eventually("the withdrawal is struck off", async || {
        let claim = world.cluster::<tremplin_core::api::DnsClaim>();
        let claim = claim.get("app.texts.example").await.unwrap();
        claim.spec.withdrawals.is_empty().then_some(())
    })
    .await;
    assert_eq!(
        BTreeSet::from_iter(server.ask("app.texts.example", RecordType::TXT).await),
        all(&["one"])
    );
}
