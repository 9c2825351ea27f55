//! Texts of several records of one team at one name: one set in the zone, of which each says its part.

use std::collections::BTreeSet;

use tremplin_core::api::DnsClaim;
use tremplin_e2e::dns::query::RecordType;

use crate::common::eventually;
use crate::world::{Server, World, message};

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
    struck_off(&world, "app.texts.example").await;
    assert_eq!(
        BTreeSet::from_iter(server.ask("app.texts.example", RecordType::TXT).await),
        all(&["one"])
    );
}

#[tokio::test]
async fn a_text_of_a_record_that_is_refused_at_the_moment_is_left_as_it_is() {
    let server = Server::bind("shared-text.example", "").await;
    let (world, blue) = World::opened("shared-text", &server, "{admission: {namespaces: {}, types: [TXT]}}").await;
    let mail = |spf: &str| format!("{{name: app.shared-text.example, mail: {{spf: '{spf}'}}}}");
    let text = |value: &str| format!("{{name: app.shared-text.example, type: TXT, values: ['{value}']}}");
    let answers = async || BTreeSet::from_iter(server.ask("app.shared-text.example", RecordType::TXT).await);
    world.commit(&blue, "mail", &mail("v=spf1 -all")).await;
    world.record(&blue, "mail", "Published").await;
    world.commit(&blue, "text", &text("two")).await;
    world.record(&blue, "text", "Published").await;
    assert_eq!(answers().await, all(&["v=spf1 -all", "two"]));

    world.commit(&blue, "mail", &mail("v=spf1 nonsense")).await;
    world.record(&blue, "mail", "InvalidMail").await;
    world.commit(&blue, "text", &text("three")).await;
    let waiting = world.record(&blue, "text", "WaitingForRecord").await;
    let told = message(&waiting.status.unwrap().conditions, "Ready");
    assert!(
        told.contains("DnsRecord mail") && told.contains("InvalidMail"),
        "{told}"
    );
    assert_eq!(answers().await, all(&["v=spf1 -all", "two"]), "nothing was changed");
    // Nor does it go with the one beside it: what is to be withdrawn waits.
    world.delete(&blue, "text").await;
    let claim = world.claim("app.shared-text.example", "Orphaned").await;
    assert_eq!(claim.spec.withdrawals.len(), 1);
    assert_eq!(answers().await, all(&["v=spf1 -all", "two"]), "nothing was taken away");

    world.commit(&blue, "text", &text("four")).await;
    world.record(&blue, "text", "WaitingForRecord").await;
    world.commit(&blue, "mail", &mail("v=spf1 ~all")).await;
    world.record(&blue, "mail", "Published").await;
    world.record(&blue, "text", "Published").await;
    struck_off(&world, "app.shared-text.example").await;
    assert_eq!(answers().await, all(&["v=spf1 ~all", "four"]));
}

async fn struck_off(world: &World, claim: &str) {
    eventually("the withdrawal is struck off", async || {
        let found = world.cluster::<DnsClaim>().get(claim).await.unwrap();
        found.spec.withdrawals.is_empty().then_some(())
    })
    .await;
}
