//! A name that is handed to other name servers, which must answer for it first. The child's server is a real one on
//! port 53, which root alone may bind.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns/behind.rs"]
mod behind;
mod common;
#[path = "dns/world.rs"]
mod world;

use common::faults::{Instead, keep_from};
use common::{HOME, Operator, eventually, install, settings, start};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams};
use tokio::net::UdpSocket;
use tremplin_core::api::DnsRecord;
use tremplin_e2e::dns::query::{self, RecordType};
use tremplin_e2e::dns::{PowerDns, PowerDnsOptions, ZoneText, free_address};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};
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
    assert_eq!(handed_over(&server, "app.cut.example").await, 0);

    let options = PowerDnsOptions {
        zones: vec![ZoneText::empty("app.cut.example")],
    };
    let child = PowerDns::start_at(address, &options).await.unwrap();
    world.record(&team, "app", "Published").await;
    delegated(&world, &team, "ChildServersAnswer").await;
    assert_eq!(handed_over(&server, "app.cut.example").await, 2);
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

    // What was there before stays until the new servers answer.
    world
        .commit(&team, "other", "{name: other.cut.example, targets: [192.0.2.8]}")
        .await;
    world.record(&team, "other", "Published").await;
    let waits = "{name: other.cut.example, type: NS, values: [child1.cut.example]}";
    world.commit(&team, "other", waits).await;
    world.record(&team, "other", "ChildServersSilent").await;
    world.audit("cut").await;
    assert_eq!(server.ask("other.cut.example", RecordType::A).await, ["192.0.2.8"]);

    // A server that stops answering is told with the next look at what depends on others, and nothing is taken away.
    child.kill();
    world.audit("cut").await;
    let lame = delegated(&world, &team, "LameDelegation").await;
    assert!(lame.message.contains("child1.cut.example"), "{}", lame.message);
    eventually("an Event tells it", async || {
        let events = world.of::<Event>(&team).list(&ListParams::default()).await.unwrap();
        let lame = |event: &&Event| event.reason.as_deref() == Some("LameDelegation");
        events.iter().find(lame)?;
        Some(())
    })
    .await;
    assert_eq!(handed_over(&server, "app.cut.example").await, 2);
    child.restart().await.unwrap();
    delegated(&world, &team, "ChildServersAnswer").await;
}

/// The condition about the name servers of the record `app`, once it has that reason.
async fn delegated(world: &World, team: &str, reason: &str) -> Condition {
    eventually(&format!("the delegation is {reason}"), async || {
        let record = world.of::<DnsRecord>(team).get("app").await.unwrap();
        let mut conditions = record.status?.conditions.into_iter();
        conditions.find(|condition| condition.type_ == "Delegated" && condition.reason == reason)
    })
    .await
}

/// To how many name servers a name is handed over.
async fn handed_over(server: &Server, name: &str) -> usize {
    let answer = query::ask(server.dns(), name, RecordType::NS).await.unwrap();
    let servers = answer.authority.iter().filter(|record| record.kind == RecordType::NS);
    servers.count() + answer.data(RecordType::NS).len()
}

#[tokio::test]
async fn servers_that_never_answer_hold_up_nobody_else() {
    let address = free_address().unwrap();
    let silent = UdpSocket::bind(address).await.unwrap();
    let server = Server::bind("silent.example", &format!("child IN A {}", address.ip())).await;
    let spec = "{admission: {namespaces: {}, types: [A, NS], targets: {denyPrivate: false}}}";
    let (world, team) = World::opened("silent", &server, spec).await;
    for n in 0..12 {
        let spec = format!("{{name: n{n}.silent.example, type: NS, values: [child.silent.example]}}");
        world.commit(&team, &format!("n{n}"), &spec).await;
    }
    for n in 0..12 {
        world.record(&team, &format!("n{n}"), "ChildServersSilent").await;
    }
    world
        .commit(&team, "app", "{name: app.silent.example, targets: [192.0.2.1]}")
        .await;
    world.record(&team, "app", "Published").await;
    for n in 0..12 {
        let record = world.of::<DnsRecord>(&team).get(&format!("n{n}")).await.unwrap();
        let told = message(&record.status.unwrap().conditions, "Ready");
        assert!(
            told.contains("not every name server") || told.contains("are being asked"),
            "{told}"
        );
        assert_eq!(handed_over(&server, &format!("n{n}.silent.example")).await, 0);
    }
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_begins_anew_hands_over_no_name_before_the_child_servers_answer() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let world = World {
        client: install(&control_plane).await,
    };
    let address = free_address().unwrap();
    let server = Server::bind("anew.example", &format!("child IN A {}", address.ip())).await;
    let spec = "{admission: {namespaces: {}, types: [A, NS], targets: {allowCIDRs: [192.0.2.0/24]}}}";
    world.open("anew", "anew.example", &server, spec).await;
    let team = world.team(&control_plane, "blue").await;
    let first = Operator::plain(&control_plane, &[]);
    world
        .commit(&team, "app", "{name: app.anew.example, targets: [192.0.2.1]}")
        .await;
    world.record(&team, "app", "Published").await;
    let waits = "{name: app.anew.example, type: NS, values: [child.anew.example]}";
    world.commit(&team, "app", waits).await;
    world.record(&team, "app", "ChildServersSilent").await;
    world.audit("anew").await;
    first.stop().await.unwrap();

    // The zone's first round knows of the withdrawal by the claim, and hears nothing from the record's own round.
    let leases = world.of::<Lease>(HOME);
    let _ = leases.delete("tremplin-controller", &DeleteParams::default()).await;
    let _second = Operator::start(&control_plane.admin_config(), settings(&[]), |client| {
        keep_from(client, "/dnsrecords/app/status", Instead::Refusal(403))
    });
    world
        .commit(&team, "more", "{name: more.anew.example, targets: [192.0.2.2]}")
        .await;
    world.record(&team, "more", "Published").await;
    assert_eq!(server.ask("app.anew.example", RecordType::A).await, ["192.0.2.1"]);
    assert_eq!(handed_over(&server, "app.anew.example").await, 0);
}

/// The key of a signed child zone, in short (RFC 4034, 5).
const DIGEST: &str = "60485 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn the_key_of_a_signed_child_zone_is_published_with_its_name_servers_and_not_before_them() {
    let address = free_address().unwrap();
    let server = Server::power_dns(
        "signed.example",
        &format!("child1 IN A {0}\nchild2 IN A {0}", address.ip()),
    )
    .await;
    let spec = "{admission: {namespaces: {}, types: [NS], targets: {denyPrivate: false}}}";
    let (world, team) = World::opened("signed", &server, spec).await;
    let spec = format!(
        "{{name: app.signed.example, delegation: {{nameservers: [child1.signed.example, child2.signed.example], ds: ['{DIGEST}']}}}}"
    );
    world.commit(&team, "app", &spec).await;
    world.record(&team, "app", "ChildServersSilent").await;
    world.audit("signed").await;
    let current = async |type_: &str| {
        let found = server.current("signed.example", "app.signed.example", type_).await;
        found.map(|set| set.values.into_iter().collect::<Vec<_>>())
    };
    assert_eq!((current("NS").await, current("DS").await), (None, None));

    let options = PowerDnsOptions {
        zones: vec![ZoneText::empty("app.signed.example")],
    };
    let child = PowerDns::start_at(address, &options).await.unwrap();
    world.record(&team, "app", "Published").await;
    let servers = ["child1.signed.example", "child2.signed.example"].map(str::to_owned);
    assert_eq!(current("NS").await, Some(servers.to_vec()));
    assert_eq!(current("DS").await, Some(vec![DIGEST.to_owned()]));
    // The servers of the zone above answer for the key (RFC 4035, 3.1.4.1).
    let answer = server.ask("app.signed.example", RecordType::DS).await;
    assert_eq!(answer.len(), 1, "{answer:?}");
    assert!(
        answer[0].to_lowercase().starts_with("60485 13 2 0123456789abcdef"),
        "{answer:?}"
    );

    // Without it, the name servers stay.
    let unsigned =
        "{name: app.signed.example, delegation: {nameservers: [child1.signed.example, child2.signed.example]}}";
    world.commit(&team, "app", unsigned).await;
    eventually("the key is gone", async || current("DS").await.is_none().then_some(())).await;
    world.record(&team, "app", "Published").await;
    assert_eq!(current("NS").await, Some(servers.to_vec()));
    drop(child);
}
