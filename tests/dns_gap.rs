//! A name that is published stays answered: whoever asks while it is changed gets the old data or the new, never that
//! there is none.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;
#[path = "dns/world.rs"]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinSet;
use tremplin_e2e::dns::query::{self, RecordType, ResponseCode};
use tremplin_e2e::dns::{PowerDns, PowerDnsOptions, ZoneText};
use world::{Server, World};

const OTHERS: &str = "www IN A 198.51.100.1";
/// How often the name is changed.
const CHANGES: usize = 12;
/// How many ask at the same time.
const RESOLVERS: usize = 2;

/// Asks for the name all the time.
struct Resolvers {
    ends: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    gaps: JoinSet<Vec<String>>,
}

impl Resolvers {
    fn start(server: &Server, name: &str) -> Self {
        let (ends, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut gaps = JoinSet::new();
        for _ in 0..RESOLVERS {
            let (address, name) = (server.dns(), name.to_owned());
            let (ends, asked) = (ends.clone(), asked.clone());
            gaps.spawn(async move {
                let mut gaps = Vec::new();
                while !ends.load(Ordering::SeqCst) {
                    let answer = query::ask(address, &name, RecordType::A).await.unwrap();
                    asked.fetch_add(1, Ordering::SeqCst);
                    if answer.code != ResponseCode::NoError || answer.records.is_empty() {
                        gaps.push(format!("{answer:?}"));
                    }
                }
                gaps
            });
        }
        Self { ends, asked, gaps }
    }

    /// The answers without data.
    async fn end(self) -> Vec<String> {
        self.ends.store(true, Ordering::SeqCst);
        self.gaps.join_all().await.concat()
    }
}

/// `zone` is the name of the DnsZone, and `zone.example` the domain.
async fn nobody_is_told_that_there_is_none(zone: &str, server: Server) {
    let (world, team) = World::opened(zone, &server, "").await;
    let host = format!("app.{zone}.example");
    let commit = async |target: &str| {
        world
            .commit(&team, "app", &format!("{{name: {host}, targets: [{target}]}}"))
            .await;
        world.record(&team, "app", "Published").await;
    };
    commit("192.0.2.1").await;
    let resolvers = Resolvers::start(&server, &host);
    for number in 0..CHANGES {
        let before = resolvers.asked.load(Ordering::SeqCst);
        if number % 3 == 2 {
            commit(&format!("www.{zone}.example")).await;
            assert_eq!(
                server.ask(&host, RecordType::CNAME).await,
                [format!("www.{zone}.example.")]
            );
        } else {
            commit(&format!("192.0.2.{}", 10 + number)).await;
            assert_eq!(
                server.ask(&host, RecordType::A).await,
                [format!("192.0.2.{}", 10 + number)]
            );
        }
        assert!(
            resolvers.asked.load(Ordering::SeqCst) > before,
            "nobody asked meanwhile"
        );
    }
    assert_eq!(resolvers.end().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_on_bind_is_answered_while_it_changes() {
    nobody_is_told_that_there_is_none("gap-bind", Server::bind("gap-bind.example", OTHERS).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_on_powerdns_is_answered_while_it_changes() {
    let zones = vec![ZoneText::with("gap-powerdns.example", OTHERS)];
    // What it keeps in memory, it would answer for 20 seconds more when somebody asks at the moment of a change.
    let server = PowerDns::start_without_memory(PowerDnsOptions { zones }).await.unwrap();
    nobody_is_told_that_there_is_none("gap-powerdns", Server::PowerDns(server)).await;
}
