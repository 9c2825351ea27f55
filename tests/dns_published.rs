//! A provider that serves what was written only later: the wait is told in its own words, and what was written without
//! being published is published all the same.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns/behind.rs"]
mod behind;
mod common;
#[path = "dns/world.rs"]
mod world;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{HOME, Operator, eventually, install, settings, start};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use tremplin_core::api::{DnsRecord, DnsZone};
use tremplin_e2e::dns::fake::{FakeOptions, Ovh};
use tremplin_e2e::dns::fault_proxy::{Fault, FaultProxy};
use tremplin_e2e::dns::query::{self, RecordType};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};
use world::{Server, World, message};

#[tokio::test]
async fn what_the_provider_has_not_deployed_is_told_as_such() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let options = FakeOptions {
        delay: Duration::from_secs(4),
        ..FakeOptions::new("slow.example")
    };
    let server = Server::Ovh(Ovh::start(options).await.unwrap());
    world.open("slow", "slow.example", &server, "").await;
    let blue = world.team(control_plane, "blue").await;
    world
        .commit(&blue, "app", "{name: app.slow.example, targets: [192.0.2.1]}")
        .await;
    let records = world.of::<DnsRecord>(&blue);
    eventually("the wait for the provider is told", async || {
        let status = records.get("app").await.unwrap().status?;
        let told = message(&status.conditions, "Ready");
        told.contains("not yet deployed by the provider").then_some(())
    })
    .await;
    let status = world.record(&blue, "app", "Published").await.status.unwrap();
    assert_eq!(server.ask("app.slow.example", RecordType::A).await, ["192.0.2.1"]);
    // Caches may have asked before: they hold for that long that there is nothing.
    let start = server.ask("slow.example", RecordType::SOA).await;
    let minimum = start[0].rsplit(' ').next().unwrap();
    let told = message(&status.conditions, "Propagated");
    assert!(
        told.contains(&format!("the SOA's negative TTL of {minimum} s")),
        "{told}"
    );
    assert!(status.visible_after.is_some());
    // A change of the TTL alone is published no sooner.
    let spec = "{name: app.slow.example, targets: [192.0.2.1], ttlSeconds: 900}";
    world.commit(&blue, "app", spec).await;
    let status = world.record(&blue, "app", "Published").await.status.unwrap();
    let answer = query::ask(server.dns(), "app.slow.example", RecordType::A)
        .await
        .unwrap();
    assert_eq!(answer.records.first().unwrap().ttl, 900);
    let told = message(&status.conditions, "Propagated");
    assert!(told.contains("the answer before (its TTL of 300 s)"), "{told}");
    let zone = world.cluster::<DnsZone>().get("slow").await.unwrap();
    assert_eq!(message(&zone.status.unwrap().conditions, "Ready"), "");
    let Server::Ovh(fake) = server else { unreachable!() };
    fake.assert_clean();
}

/// A call to the provider's API, as its console makes them.
async fn by_hand(fake: &Ovh, method: &str, path: &str, body: Value) -> Value {
    let request = ::http::Request::builder()
        .method(method)
        .uri(format!("{}/domain/zone/{}/{path}", fake.url(), fake.zone()))
        .header("Authorization", format!("Bearer {}", fake.token()))
        .header("Content-Type", "application/json")
        .body(body.to_string())
        .unwrap();
    let answer = tremplin_e2e::http::send(request).await.unwrap();
    assert!(answer.status().is_success(), "{:?}", answer.body());
    serde_json::from_str(answer.body()).unwrap_or_default()
}

#[tokio::test]
async fn a_zone_that_its_provider_does_not_serve_is_not_ready_until_it_does() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::Ovh(Ovh::start(FakeOptions::new("undeployed.example")).await.unwrap());
    let Server::Ovh(fake) = &server else { unreachable!() };
    world.open("undeployed", "undeployed.example", &server, "").await;
    let blue = world.team(control_plane, "blue").await;
    // Taken, and then no zone can be made of it.
    let mut made = Value::Null;
    for (type_, target) in [("A", "192.0.2.7"), ("CNAME", "a.example.")] {
        let record = json!({"fieldType": type_, "subDomain": "www", "target": target, "ttl": 60});
        made = by_hand(fake, "POST", "record", record).await;
    }
    let spec = "{name: app.undeployed.example, targets: [192.0.2.1]}";
    world.commit(&blue, "app", spec).await;
    let told = async || {
        let zone = world.zone("undeployed", "ProviderRefused").await;
        message(&zone.status.unwrap().conditions, "Ready")
    };
    assert!(told().await.contains("CNAME"), "{}", told().await);
    // Also after a round that does not ask the provider.
    world.audit("undeployed").await;
    let zone = world.cluster::<DnsZone>().get("undeployed").await.unwrap();
    let conditions = zone.status.unwrap().conditions;
    assert!(message(&conditions, "Ready").contains("CNAME"), "{conditions:?}");

    let path = format!("record/{}", made["id"]);
    by_hand(fake, "DELETE", &path, Value::Null).await;
    world.audit("undeployed").await;
    world.record(&blue, "app", "Published").await;
    world.zone("undeployed", "Synced").await;
}

/// A zone of OVHcloud, reached through a proxy.
async fn behind_proxy(world: &World, name: &str) -> (Server, FaultProxy) {
    let domain = format!("{name}.example");
    let fake = Ovh::start(FakeOptions::new(&domain)).await.unwrap();
    let server = Server::Ovh(fake);
    let spec = "{claims: {releaseAfterSeconds: 3600}, drift: {intervalSeconds: 10}}";
    let proxy = world.open_behind_proxy(name, &domain, &server, spec).await;
    (server, proxy)
}

#[tokio::test]
async fn what_a_failed_refresh_left_unpublished_is_published_before_anything_is_said_of_it() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let (server, proxy) = behind_proxy(&world, "fails").await;
    let blue = world.team(control_plane, "blue").await;
    for fault in [Fault::Status(500, None), Fault::Reset] {
        proxy.like("POST", "refresh", fault);
    }
    let spec = "{name: app.fails.example, targets: [192.0.2.1]}";
    world.commit(&blue, "app", spec).await;
    world.record(&blue, "app", "Published").await;
    assert_eq!(proxy.planned(), 0);
    assert_eq!(server.ask("app.fails.example", RecordType::A).await, ["192.0.2.1"]);

    proxy.like("POST", "refresh", Fault::Status(500, None));
    world.delete(&blue, "app").await;
    world.claim("app.fails.example", "Releasing").await;
    assert_eq!(proxy.planned(), 0);
    eventually("a name that was let go is no longer served", async || {
        let answers = server.ask("app.fails.example", RecordType::A).await;
        answers.is_empty().then_some(())
    })
    .await;
    eventually("the zone's status tells that nothing is left to publish", async || {
        let status = world.zone("fails", "Synced").await.status.unwrap();
        status.unpublished.is_none().then_some(())
    })
    .await;
    // At rest nothing is published again.
    let Server::Ovh(fake) = server else { unreachable!() };
    fake.forget_calls();
    world
        .commit(&blue, "other", "{name: other.fails.example, targets: [192.0.2.1]}")
        .await;
    world.record(&blue, "other", "Published").await;
    let refreshes = fake
        .calls()
        .iter()
        .filter(|call| call.path.ends_with("/refresh"))
        .count();
    assert_eq!(refreshes, 1);
    fake.assert_clean();
}

/// A server's address before which every question about one name is counted.
async fn counted(server: SocketAddr, label: &'static str) -> (SocketAddr, Arc<Mutex<Vec<Instant>>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let asked: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let seen = asked.clone();
    tokio::spawn(async move {
        let mut packet = [0; 4096];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut packet).await else {
                continue;
            };
            let question = &packet[..length];
            if question.windows(label.len()).any(|part| part == label.as_bytes()) {
                seen.lock().unwrap().push(Instant::now());
            }
            let onward = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            onward.send_to(question, server).await.unwrap();
            let mut answer = [0; 4096];
            let answered = timeout(Duration::from_secs(1), onward.recv(&mut answer)).await;
            if let Ok(Ok(length)) = answered {
                let _ = socket.send_to(&answer[..length], from).await;
            }
        }
    });
    (address, asked)
}

#[tokio::test]
async fn a_server_that_stays_behind_is_asked_ever_more_rarely() {
    let server = Server::bind("lags.example", "").await;
    // Its transfers are broken: it answers for the zone, and never learns of a change.
    let stale = Server::bind("lags.example", "").await;
    let (lagging, asked) = counted(stale.dns(), "slowly").await;
    let authorities: Vec<String> = [server.dns(), lagging]
        .iter()
        .map(|address| format!("{{address: {}, port: {}}}", address.ip(), address.port()))
        .collect();
    let spec = format!("{{authorities: [{}]}}", authorities.join(", "));
    let (world, blue) = World::opened("lags", &server, &spec).await;
    world
        .commit(&blue, "slowly", "{name: slowly.lags.example, targets: [192.0.2.1]}")
        .await;
    let times = eventually("it is asked again and again", async || {
        let times = asked.lock().unwrap().clone();
        (times.len() >= 12).then_some(times)
    })
    .await;
    // Five times by the round that wrote, and then at most once a second.
    let lasted = times[11] - times[4];
    assert!(lasted > Duration::from_secs(6), "{lasted:?}");
    world.record(&blue, "slowly", "Publishing").await;
    // Found out by the next look, at the latest.
    stale
        .tamper(
            "lags.example",
            "slowly.lags.example",
            "A",
            Some(behind::set("slowly.lags.example", "A", 300, &["192.0.2.1"])),
        )
        .await;
    world.record(&blue, "slowly", "Published").await;
}

/// The provider says that it publishes, and does not.
#[tokio::test]
async fn what_is_not_served_is_published_again_with_an_audit() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let (server, proxy) = behind_proxy(&world, "unheard").await;
    let blue = world.team(control_plane, "blue").await;
    proxy.like("POST", "refresh", Fault::Status(200, None));
    let spec = "{name: app.unheard.example, targets: [192.0.2.1]}";
    world.commit(&blue, "app", spec).await;
    world.record(&blue, "app", "Published").await;
    assert_eq!(proxy.planned(), 0);
    assert_eq!(server.ask("app.unheard.example", RecordType::A).await, ["192.0.2.1"]);
}

/// A zone on a control plane of its own, whose operator is killed and followed by another.
struct Mortal {
    control_plane: ControlPlane,
    world: World,
    server: Server,
    proxy: FaultProxy,
    team: String,
}

impl Mortal {
    async fn of(name: &str) -> Self {
        let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
        let world = World {
            client: install(&control_plane).await,
        };
        let (server, proxy) = behind_proxy(&world, name).await;
        let team = world.team(&control_plane, "blue").await;
        Self {
            control_plane,
            world,
            server,
            proxy,
            team,
        }
    }

    fn operator(&self) -> Operator {
        Operator::start(&self.control_plane.admin_config(), settings(&[]), |client| client)
    }

    /// Kills it once all that was planned to happen has; gives the one that follows.
    async fn killed(&self, operator: Operator) -> Operator {
        eventually("what is never answered is under way", async || {
            (self.proxy.planned() == 0).then_some(())
        })
        .await;
        operator.kill();
        let leases = self.world.of::<Lease>(HOME);
        let _ = leases.delete("tremplin-controller", &DeleteParams::default()).await;
        self.operator()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_refresh_what_was_written_is_published() {
    let mortal = Mortal::of("killed").await;
    let Mortal { world, team, .. } = &mortal;
    let first = mortal.operator();
    mortal.proxy.like("POST", "refresh", Fault::Hang);
    let spec = "{name: app.killed.example, targets: [192.0.2.1]}";
    world.commit(team, "app", spec).await;
    let second = mortal.killed(first).await;
    world.record(team, "app", "Published").await;
    assert_eq!(
        mortal.server.ask("app.killed.example", RecordType::A).await,
        ["192.0.2.1"]
    );
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_writes_the_zone_is_kept_once() {
    let mortal = Mortal::of("kept").await;
    let Mortal { world, team, .. } = &mortal;
    let first = mortal.operator();
    let commit = async |target: &str| {
        let spec = format!("{{name: app.kept.example, targets: [{target}]}}");
        world.commit(team, "app", &spec).await;
    };
    commit("192.0.2.1").await;
    world.record(team, "app", "Published").await;
    mortal.proxy.like("PUT", "", Fault::Hang);
    commit("192.0.2.2").await;
    let second = mortal.killed(first).await;
    world.record(team, "app", "Published").await;
    let exports = world.of::<ConfigMap>(HOME).list(&ListParams::default()).await.unwrap();
    let mut exports: Vec<String> = exports.items.iter().map(ResourceExt::name_any).collect();
    exports.retain(|name| name.starts_with("dns-kept"));
    let told = world.cluster::<DnsZone>().get("kept").await.unwrap().status.unwrap();
    let told: Vec<String> = told.snapshots.into_iter().map(|snapshot| snapshot.id).collect();
    assert_eq!((exports.len(), &exports), (1, &told));
    second.stop().await.unwrap();
}
