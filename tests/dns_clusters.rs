//! Two clusters that write one zone: a name is the older claim's, and the other cluster is told whose it is.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns/behind.rs"]
mod behind;
mod common;
#[path = "dns/world.rs"]
mod world;

use behind::set;
use common::{Operator, eventually, install};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::api::PostParams;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tremplin_core::api::{DnsClaim, DnsRecord};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};
use world::{Server, World, message};

/// A cluster with an operator and a team, to which the zone is open.
struct Cluster {
    world: World,
    team: String,
    operator: Operator,
    _control_plane: ControlPlane,
}

impl Cluster {
    async fn start(name: &str, server: &Server) -> Self {
        let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
        let world = World {
            client: install(&control_plane).await,
        };
        world.open("two", "two.example", server, "").await;
        let team = world.team(&control_plane, name).await;
        let operator = Operator::plain(&control_plane, &[&format!("--cluster={name}")]);
        Self {
            world,
            team,
            operator,
            _control_plane: control_plane,
        }
    }

    async fn ask(&self, name: &str, target: &str) {
        let spec = format!("{{name: {name}.two.example, targets: [{target}]}}");
        self.world.commit(&self.team, name, &spec).await;
    }

    async fn is_published(&self, name: &str) {
        self.world.record(&self.team, name, "Published").await;
    }

    /// Its team is told that the name is that of the other cluster's team.
    async fn is_told(&self, name: &str, other: &Self, cluster: &str) {
        let record = self.world.record(&self.team, name, "NotOurs").await;
        let told = message(&record.status.unwrap().conditions, "Ready");
        let holder = format!("the namespace {} of the cluster {cluster}", other.team);
        assert!(told.contains(&holder), "{told}");
    }
}

async fn the_older_claim_has_the_name(server: Server) {
    let paris = Cluster::start("paris", &server).await;
    let lyon = Cluster::start("lyon", &server).await;
    let data = async || server.data("two.example").await;
    let [app_of_paris, old_of_paris, old_of_lyon] = [("app", 1), ("old", 1), ("old", 2)].map(|(name, number)| {
        set(
            &format!("{name}.two.example"),
            "A",
            300,
            &[&format!("192.0.2.{number}")],
        )
    });

    paris.ask("app", "192.0.2.1").await;
    paris.is_published("app").await;
    let before = server.all("two.example").await;
    lyon.ask("app", "192.0.2.2").await;
    lyon.is_told("app", &paris, "paris").await;
    assert_eq!(server.all("two.example").await, before, "nothing was written");

    // Claimed first, and written last.
    lyon.world.change_zone("two", "{paused: true}").await;
    lyon.ask("old", "192.0.2.2").await;
    lyon.world.record(&lyon.team, "old", "ZoneNotWritten").await;
    let claim = lyon.world.cluster::<DnsClaim>().get("old.two.example").await.unwrap();
    eventually("another second begins", async || {
        let now = Timestamp::now().as_second();
        (now > claim.spec.claimed_at.0.as_second()).then_some(())
    })
    .await;
    paris.ask("old", "192.0.2.1").await;
    paris.is_published("old").await;
    assert!(data().await.contains(&old_of_paris));
    lyon.world.change_zone("two", "{paused: false}").await;
    lyon.is_published("old").await;
    paris.world.audit("two").await;
    paris.is_told("old", &lyon, "lyon").await;
    // It stays so, whoever looks at it.
    lyon.world.audit("two").await;
    paris.world.audit("two").await;
    paris.is_told("old", &lyon, "lyon").await;
    lyon.is_published("old").await;
    let data = data().await;
    assert!(data.contains(&old_of_lyon) && !data.contains(&old_of_paris), "{data:?}");
    assert!(data.contains(&app_of_paris), "{data:?}");
    paris.operator.stop().await.unwrap();
    lyon.operator.stop().await.unwrap();
}

/// What a backup of the whole cluster has of an object: neither what the API server adds, nor a status.
fn backed_up<K: Resource + Serialize + DeserializeOwned>(object: &K) -> K {
    let mut copy = serde_json::to_value(object).unwrap();
    let meta = object.meta();
    copy["metadata"] = json!({"name": meta.name, "namespace": meta.namespace, "finalizers": meta.finalizers});
    copy.as_object_mut().unwrap().remove("status");
    serde_json::from_value(copy).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_restored_keeps_its_names_also_under_another_name() {
    let server = Server::bind("two.example", "www IN A 198.51.100.1").await;
    let lost = Box::pin(Cluster::start("paris", &server)).await;
    lost.ask("app", "192.0.2.1").await;
    lost.is_published("app").await;
    let before = server.data("two.example").await;
    let claim = lost.world.cluster::<DnsClaim>().get("app.two.example").await.unwrap();
    let record = lost.world.of::<DnsRecord>(&lost.team).get("app").await.unwrap();
    let team = lost.team.clone();
    lost.operator.stop().await.unwrap();

    for name in ["paris", "lyon"] {
        let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
        let world = World {
            client: install(&control_plane).await,
        };
        let created = PostParams::default();
        let namespace = json!({"metadata": {"name": team, "labels": {"dns": "yes"}}});
        let namespace: Namespace = serde_json::from_value(namespace).unwrap();
        world.cluster::<Namespace>().create(&created, &namespace).await.unwrap();
        world
            .cluster::<DnsClaim>()
            .create(&created, &backed_up(&claim))
            .await
            .unwrap();
        world
            .of::<DnsRecord>(&team)
            .create(&created, &backed_up(&record))
            .await
            .unwrap();
        world.open("two", "two.example", &server, "").await;
        let operator = Operator::plain(&control_plane, &[&format!("--cluster={name}")]);

        world.record(&team, "app", "Published").await;
        let restored = world.cluster::<DnsClaim>().get("app.two.example").await.unwrap();
        assert_eq!(restored.spec, claim.spec);
        assert_eq!(server.data("two.example").await, before);
        // What is asked for is written by the one that was restored, and by nobody else.
        let other = world.team(&control_plane, "other").await;
        let spec = "{name: app.two.example, targets: [192.0.2.9]}";
        world.commit(&other, "app", spec).await;
        world.record(&other, "app", "NameHeld").await;
        world
            .commit(&team, "text", "{name: app.two.example, type: TXT, values: [restored]}")
            .await;
        world.record(&team, "text", "Published").await;
        world.delete(&team, "text").await;
        eventually("it is as it was", async || {
            (server.data("two.example").await == before).then_some(())
        })
        .await;
        operator.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_clusters_the_older_claim_has_a_name_on_bind() {
    let server = Server::bind("two.example", "www IN A 198.51.100.1").await;
    Box::pin(the_older_claim_has_the_name(server)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_clusters_the_older_claim_has_a_name_on_powerdns() {
    let server = Server::power_dns("two.example", "www IN A 198.51.100.1").await;
    Box::pin(the_older_claim_has_the_name(server)).await;
}
