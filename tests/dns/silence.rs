//! Authoritative servers that do not answer, or are not found.

use tokio::net::UdpSocket;
use tremplin_e2e::dns::query::{self, RecordType};

use crate::common::eventually;
use crate::world::{Server, World, message};

/// The message of a record's Ready, once it has these words.
async fn told(world: &World, team: &str, words: &[&str]) {
    eventually(&format!("{words:?} is told"), async || {
        let record = world.record(team, "app", "Publishing").await;
        let told = message(&record.status?.conditions, "Ready");
        words.iter().all(|words| told.contains(words)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_zone_of_which_no_server_answers_is_not_ready_and_its_records_say_why() {
    let server = Server::bind("mute.example", "").await;
    let deaf = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = deaf.local_addr().unwrap().port();
    let silent = format!("{{authorities: [{{address: 127.0.0.1, port: {port}}}]}}");
    let (world, blue) = World::opened("mute", &server, &silent).await;
    let zone = world.zone("mute", "AuthoritiesSilent").await;
    assert!(message(&zone.status.unwrap().conditions, "Ready").contains("spec.authorities"));
    world
        .commit(&blue, "app", "{name: app.mute.example, targets: [192.0.2.1]}")
        .await;
    told(&world, &blue, &["written at", "no answer"]).await;

    world
        .change_zone("mute", "{authorities: [{address: nobody.invalid, port: 53}]}")
        .await;
    let words = ["nobody.invalid does not resolve", "port 53", "spec.authorities"];
    told(&world, &blue, &words).await;
    world.zone("mute", "AuthoritiesSilent").await;

    let dns = server.dns();
    let real = format!("{{authorities: [{{address: {}, port: {}}}]}}", dns.ip(), dns.port());
    world.change_zone("mute", &real).await;
    let published = world.record(&blue, "app", "Published").await;
    world.zone("mute", "Synced").await;
    // The proof names the serial at which the server answered so.
    let proof = published.status.unwrap().authoritative;
    let soa = query::ask(dns, "mute.example", RecordType::SOA)
        .await
        .unwrap()
        .data(RecordType::SOA);
    let serial = soa[0].split(' ').nth(2).unwrap().parse().ok();
    assert_eq!((proof.len(), proof[0].matches, proof[0].serial), (1, true, serial));
}

#[tokio::test]
async fn servers_that_a_zone_names_anew_are_asked_about_what_is_published_already() {
    let server = Server::bind("anew.example", "").await;
    let (world, blue) = World::opened("anew", &server, "").await;
    world
        .commit(&blue, "app", "{name: app.anew.example, targets: [192.0.2.1]}")
        .await;
    world.record(&blue, "app", "Published").await;
    let authorities = |servers: &[&Server]| {
        let address = |server: &&Server| format!("{{address: {}, port: {}}}", server.dns().ip(), server.dns().port());
        let all: Vec<_> = servers.iter().map(address).collect();
        format!("{{authorities: [{}]}}", all.join(", "))
    };
    // Nothing changes in the zone, so its serial tells nothing.
    let other = Server::bind("anew.example", "").await;
    world.change_zone("anew", &authorities(&[&server, &other])).await;
    world.record(&blue, "app", "Publishing").await;
    world.change_zone("anew", &authorities(&[&server])).await;
    world.record(&blue, "app", "Published").await;
}
