//! Two clusters that write one zone: a name is the older claim's, and the other cluster is told whose it is.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns/behind.rs"]
mod behind;
mod common;
#[path = "dns/world.rs"]
mod world;

use behind::set;
use common::{Operator, eventually, install};
use k8s_openapi::jiff::Timestamp;
use tremplin_core::api::DnsClaim;
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
