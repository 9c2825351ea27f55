//! The records of a mail set-up stand or fall together.

use tremplin_e2e::dns::query::RecordType;

use crate::world::{Server, World, message};

#[tokio::test]
async fn of_mail_nothing_is_written_while_one_of_its_names_is_somebody_elses() {
    let server = Server::bind("unit.example", "_dmarc.app IN TXT \"v=DMARC1; p=none\"").await;
    let (world, blue) = World::opened("unit", &server, "").await;
    let before = server.all("unit.example").await;
    world
        .commit(&blue, "mail", "{name: app.unit.example, mail: {preset: None}}")
        .await;
    let refused = world.record(&blue, "mail", "NotOurs").await.status.unwrap();
    let told = message(&refused.conditions, "Ready");
    assert!(told.contains("_dmarc.app.unit.example"), "{told}");
    // Another name of the zone is written with the same round or a later one: the unit had its chance.
    world
        .commit(&blue, "other", "{name: other.unit.example, targets: [192.0.2.1]}")
        .await;
    world.record(&blue, "other", "Published").await;
    world.audit("unit").await;
    let mut after = server.all("unit.example").await;
    after.retain(|set| !set.name.as_str().ends_with("other.unit.example"));
    assert_eq!(after, before, "neither MX nor SPF nor a mark");

    // Once the other has gone, all of it is written.
    server
        .tamper("unit.example", "_dmarc.app.unit.example", "TXT", None)
        .await;
    world.audit("unit").await;
    world.record(&blue, "mail", "Published").await;
    let ask = async |name: &str, kind| server.ask(&format!("{name}.unit.example"), kind).await;
    assert_eq!(ask("app", RecordType::MX).await, ["0 ."]);
    assert_eq!(ask("app", RecordType::TXT).await, ["\"v=spf1 -all\""]);
    assert_eq!(ask("_dmarc.app", RecordType::TXT).await, ["\"v=DMARC1; p=reject\""]);
    assert_eq!(ask("_tremplin._dmarc.app", RecordType::TXT).await.len(), 1);
}

/// At an apex each of these names is a claim of its own.
#[tokio::test]
async fn at_an_apex_one_record_has_the_policy_of_mail() {
    let server = Server::bind("policy-of.example", "").await;
    let given = "{adoptions: [{name: policy-of.example, namespaceSelector: {}}, {name: _dmarc.policy-of.example, namespaceSelector: {}}]}";
    let (world, blue) = World::opened("policy-of", &server, given).await;
    let dmarc = async || server.ask("_dmarc.policy-of.example", RecordType::TXT).await;
    let own = "{name: _dmarc.policy-of.example, type: TXT, values: ['v=DMARC1; p=none']}";
    world.commit(&blue, "own", own).await;
    world.record(&blue, "own", "Published").await;
    let unit = "{name: policy-of.example, mail: {preset: None}}";
    world.commit(&blue, "mail", unit).await;
    let refused = world.record(&blue, "mail", "DuplicateRecord").await.status.unwrap();
    let told = message(&refused.conditions, "Ready");
    assert!(told.contains("_dmarc.policy-of.example"), "{told}");
    assert_eq!(dmarc().await, ["\"v=DMARC1; p=none\""]);

    world.delete(&blue, "own").await;
    world.record(&blue, "mail", "Published").await;
    assert_eq!(dmarc().await, ["\"v=DMARC1; p=reject\""]);
    // The other way round the record that comes later is refused, and what it has nothing to do with is left when it goes.
    world.commit(&blue, "own", own).await;
    world.record(&blue, "own", "DuplicateRecord").await;
    world.delete(&blue, "own").await;
    world.audit("policy-of").await;
    assert_eq!(dmarc().await, ["\"v=DMARC1; p=reject\""]);
    let spf = "{name: policy-of.example, mail: {spf: 'v=spf1 -all'}}";
    world.commit(&blue, "mail", spf).await;
    world.record(&blue, "mail", "Published").await;
    crate::common::eventually("its policy is withdrawn", async || {
        dmarc().await.is_empty().then_some(())
    })
    .await;
}
