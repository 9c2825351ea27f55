//! A name that is handed to other name servers, which must answer for it first. The child's server is a real one on
//! port 53, which root alone may bind.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;
#[path = "dns/world.rs"]
mod world;

use common::{eventually, start};
use tremplin_e2e::dns::query::{self, RecordType};
use tremplin_e2e::dns::{PowerDns, PowerDnsOptions, ZoneText, free_address};
use world::{Server, World, message};

#[tokio::test]
async fn a_delegation_is_published_only_once_the_child_servers_answer() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let address = free_address().unwrap();
    let server = Server::bind(
        "cut.example",
        &format!("child1 IN A {0}\nchild2 IN A {0}", address.ip()),
    )
    .await;
    world
        .open(
            "cut",
            "cut.example",
            &server,
            "{admission: {namespaces: {}, types: [A, NS], targets: {allowCIDRs: [192.0.2.0/24]}}}",
        )
        .await;
    let team = world.team(control_plane, "blue").await;
    let spec = "{name: app.cut.example, delegation: {nameservers: [child1.cut.example, child2.cut.example]}}";
    world.commit(&team, "app", spec).await;
    eventually("both silent servers are told", async || {
        let waiting = world.record(&team, "app", "ChildServersSilent").await;
        let told = message(&waiting.status?.conditions, "Ready");
        (told.contains("child1.cut.example") && told.contains("child2.cut.example")).then_some(())
    })
    .await;
    let answer = query::ask(server.dns(), "app.cut.example", RecordType::NS)
        .await
        .unwrap();
    assert_eq!(
        (
            answer.records.len(),
            answer
                .authority
                .iter()
                .filter(|record| record.kind == RecordType::NS)
                .count()
        ),
        (0, 0)
    );

    let options = PowerDnsOptions {
        zones: vec![ZoneText::empty("app.cut.example")],
    };
    let child = PowerDns::start_at(address, &options).await.unwrap();
    let published = world.record(&team, "app", "Published").await;
    let conditions = published.status.unwrap().conditions;
    assert!(
        conditions
            .iter()
            .any(|condition| condition.type_ == "Delegated" && condition.status == "True")
    );
    let answer = query::ask(server.dns(), "app.cut.example", RecordType::NS)
        .await
        .unwrap();
    assert_eq!(
        answer
            .authority
            .iter()
            .filter(|record| record.kind == RecordType::NS)
            .count(),
        2
    );
    // The mark stands beside the cut: below it, everything is the child's.
    assert_eq!(server.ask("app._tremplin.cut.example", RecordType::TXT).await.len(), 1);
    // The name may cease to be a delegation and become one again: the mark goes along.
    for (spec, beside, below) in [("{name: app.cut.example, targets: [192.0.2.7]}", 0, 1), (spec, 1, 0)] {
        world.commit(&team, "app", spec).await;
        world.record(&team, "app", "Published").await;
        eventually("the mark is where it belongs", async || {
            let marks = [
                server.ask("app._tremplin.cut.example", RecordType::TXT).await.len(),
                server.ask("_tremplin.app.cut.example", RecordType::TXT).await.len(),
            ];
            (marks == [beside, below]).then_some(())
        })
        .await;
    }
    drop(child);
}
