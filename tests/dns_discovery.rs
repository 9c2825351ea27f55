//! The operator finds the authoritative servers of a zone by itself: by its NS records, on port 53, in a network
//! namespace of its own, where nothing is but the servers of this test.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;
#[path = "command_line/place.rs"]
#[allow(dead_code)]
mod place;
#[path = "dns/world.rs"]
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use common::{eventually, is_root};
use place::tempdir;
use tremplin_e2e::dns::query::{self, RecordType};
use tremplin_e2e::dns::{Bind, BindOptions, ZoneText};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};
use world::{Server, World};

/// Says that this process is inside.
const INSIDE: &str = "TREMPLIN_TEST_INSIDE";
const TEST: &str = "the_servers_of_a_zone_are_found_by_its_ns_records_and_each_is_asked";

/// The resolver of the namespace, which also has the zone above; and the two servers of the zone.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
const FIRST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SECOND: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const ZONE: &str = "found.example";

/// What gives a process a network of its own: as root, or to whoever is not and becomes it there.
const WAYS: [&[&str]; 2] = [
    &["--net", "--mount"],
    &["--user", "--map-root-user", "--net", "--mount"],
];

fn unshare(way: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(way);
    command
}

/// Runs this test again in a network namespace with these addresses alone. What has to come from a network is there.
async fn run_inside(way: &[&str], folder: &Path) {
    drop(Bind::start(BindOptions::default()).await.unwrap());
    drop(ControlPlane::start(ControlPlaneOptions::default()).await.unwrap());
    let conf = folder.join("resolv.conf");
    std::fs::write(&conf, format!("nameserver {RESOLVER}\n")).unwrap();
    let script = format!(
        "ip link set lo up && for address in {RESOLVER} {FIRST} {SECOND}; do ip address add $address/32 dev lo || exit; done && \
         mount --bind \"$0\" /etc/resolv.conf && exec \"$@\""
    );
    let mut command = unshare(way);
    command.args(["sh", "-c", &script]).arg(conf);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", TEST, "--nocapture"]).env(INSIDE, "1");
    let status = tokio::task::spawn_blocking(move || command.status().unwrap()).await;
    assert!(status.unwrap().success(), "inside the network namespace, as told above");
}

fn port_53(ip: Ipv4Addr) -> SocketAddr {
    (ip, 53).into()
}

/// Who answers in the namespace: the zone above with its delegation, and the zone on two servers.
async fn servers() -> (Bind, Bind, Bind) {
    let delegation =
        format!("found IN NS ns1.found\nfound IN NS ns2.found\nns1.found IN A {FIRST}\nns2.found IN A {SECOND}");
    let above = vec![ZoneText::served_at("example", RESOLVER, &delegation)];
    let resolver = Bind::start_resolver(port_53(RESOLVER), above).await.unwrap();
    // There is no way to the second address of ns2 from here.
    let records = format!("@ IN NS ns2\nns2 IN A {SECOND}\nns2 IN AAAA 2001:db8::53");
    let options = BindOptions {
        zones: vec![ZoneText::served_at(ZONE, FIRST, &records)],
        update_policy: None,
    };
    let first = Bind::start_at(port_53(FIRST), options).await.unwrap();
    let second = Bind::start_secondary_at(port_53(SECOND), &first).await.unwrap();
    (resolver, first, second)
}

#[tokio::test]
async fn the_servers_of_a_zone_are_found_by_its_ns_records_and_each_is_asked() {
    if std::env::var_os(INSIDE).is_none() {
        let works = |way: &&&[&str]| unshare(way).arg("true").status().is_ok_and(|status| status.success());
        match WAYS.iter().find(works) {
            Some(way) => run_inside(way, &tempdir()).await,
            None => assert!(!is_root(), "this machine gives root no network namespace"),
        }
        return;
    }
    let (_resolver, first, second) = servers().await;
    let first = Server::Bind(first);
    let (control_plane, client) = common::start().await;
    let world = World { client };
    world.open("found", ZONE, &first, "{authorities: []}").await;
    world.zone("found", "Synced").await;
    let team = world.team(control_plane, "blue").await;

    // The second one lags: it is asked as well, and named.
    let name = "app.found.example";
    world
        .commit(&team, "app", "{name: app.found.example, targets: [192.0.2.80]}")
        .await;
    let answers = async || {
        let record = world
            .of::<tremplin_core::api::DnsRecord>(&team)
            .get("app")
            .await
            .unwrap();
        let answers = record.status.map(|status| status.authoritative).unwrap_or_default();
        let told = answers.iter().map(|answer| (answer.server.clone(), answer.matches));
        told.collect::<Vec<_>>()
    };
    let expected = |second: bool| {
        vec![
            ("ns1.found.example".to_owned(), true),
            ("ns2.found.example".to_owned(), second),
        ]
    };
    eventually("the first alone answers as asked", async || {
        (answers().await == expected(false)).then_some(())
    })
    .await;
    assert_eq!(
        query::ask(port_53(SECOND), name, RecordType::A)
            .await
            .unwrap()
            .data(RecordType::A),
        [""; 0]
    );
    second.catch_up(ZONE).await.unwrap();
    world.record(&team, "app", "Published").await;
    assert_eq!(answers().await, expected(true));
}
