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
