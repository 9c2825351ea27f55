//! A host that lies in a zone of ours is routed for the namespace that holds its name, on the real API server and BIND.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;
#[path = "dns/world.rs"]
mod world;

use common::{Team, condition, eventually, start};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::DeleteParams;
use tremplin_core::api::{DnsClaim, DnsZone};
use tremplin_e2e::dns::query::RecordType;
use world::{Server, World};

const OPEN: &str = "{claims: {releaseAfterSeconds: 3600}}";

/// A team that the zones of the tests admit.
async fn team(world: &World, control_plane: &tremplin_e2e::ControlPlane, prefix: &str) -> Team {
    Team {
        namespace: world.team(control_plane, prefix).await,
        client: world.client.clone(),
    }
}

fn spec(host: &str) -> String {
    format!("{{image: 'ghcr.io/brigade/site:one', hosts: [{host}]}}")
}

/// The hosts that the app's Ingress carries; none when there is no Ingress.
async fn routed(team: &Team, app: &str) -> Vec<String> {
    let ingress = team.api::<Ingress>().get_opt(app).await.unwrap();
    let rules = ingress.and_then(|ingress| ingress.spec?.rules).unwrap_or_default();
    rules.into_iter().filter_map(|rule| rule.host).collect()
}

async fn is_routed(team: &Team, app: &str, hosts: &[&str]) {
    eventually(&format!("{app} is routed at {hosts:?}"), async || {
        (routed(team, app).await == hosts).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_host_is_routed_once_its_namespace_holds_the_name() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("routed.example", "").await;
    world.open("routed", "routed.example", &server, OPEN).await;
    let (blue, red) = (
        team(&world, control_plane, "blue").await,
        team(&world, control_plane, "red").await,
    );
    let host = "app.routed.example";

    // Nobody holds the name: the app runs, and is not routed there.
    let two = "{image: 'ghcr.io/brigade/site:one', hosts: [www.elsewhere.example, app.routed.example]}";
    blue.commit("site", two).await;
    is_routed(&blue, "site", &["www.elsewhere.example"]).await;
    let (_, told) = blue.told("site", "HostsClaimed", "False", "NameNotClaimed").await;
    assert!(
        told.message.contains("commit a DnsRecord for app.routed.example"),
        "{told:?}"
    );
    blue.run_deployments().await;
    blue.told("site", "Stalled", "True", "NameNotClaimed").await;

    // Who asks first but does not hold it keeps nobody from it.
    red.commit("site", &spec(host)).await;
    red.told("site", "HostsClaimed", "False", "NameNotClaimed").await;

    world
        .commit(
            &blue.namespace,
            "site",
            "{name: app.routed.example, targets: [192.0.2.1]}",
        )
        .await;
    is_routed(&blue, "site", &["www.elsewhere.example", host]).await;
    blue.told("site", "HostsClaimed", "True", "NamesHeld").await;
    blue.run_deployments().await;
    blue.told("site", "Ready", "True", "Running").await;
    let (_, told) = red.told("site", "HostsClaimed", "False", "NameHeld").await;
    let holder = format!("held by the namespace {} since", blue.namespace);
    assert!(
        told.message.contains(&holder) && told.message.contains("blue@example.org"),
        "{told:?}"
    );
    assert!(routed(&red, "site").await.is_empty());

    // The app uses the name when no record does any more: it is not given up.
    world.delete(&blue.namespace, "site").await;
    eventually("the record's data is withdrawn", async || {
        server.ask(host, RecordType::A).await.is_empty().then_some(())
    })
    .await;
    let claim = world.claim(host, "Held").await;
    assert_eq!(
        (claim.spec.release_at, claim.spec.holder.namespace.as_str()),
        (None, blue.namespace.as_str())
    );
    blue.apps().delete("site", &DeleteParams::default()).await.unwrap();
    blue.api::<Ingress>()
        .delete("site", &DeleteParams::default())
        .await
        .unwrap();
    world.claim(host, "Releasing").await;
}

#[tokio::test]
async fn opening_a_zone_cuts_nobody_off_and_a_claim_of_others_decides() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let (blue, red) = (
        team(&world, control_plane, "blue").await,
        team(&world, control_plane, "red").await,
    );
    let host = "app.late.example";
    blue.commit("site", &spec(host)).await;
    is_routed(&blue, "site", &[host]).await;
    let before = blue.api::<Ingress>().get("site").await.unwrap();

    let server = Server::bind("late.example", "").await;
    world.open("late", "late.example", &server, OPEN).await;
    let (_, told) = blue.told("site", "HostsClaimed", "False", "NameNotClaimed").await;
    assert!(told.message.contains("is routed as it was before"), "{told:?}");
    blue.run_deployments().await;
    let (app, _) = blue.told("site", "Ready", "True", "Running").await;
    assert_eq!(app.status.unwrap().url.as_deref(), Some("http://app.late.example"));
    let after = blue.api::<Ingress>().get("site").await.unwrap();
    assert_eq!(
        before.metadata.resource_version, after.metadata.resource_version,
        "nothing was written"
    );

    // Another namespace holds the name now: it is routed there, and not here any more.
    red.commit("site", &spec(host)).await;
    red.told("site", "HostsClaimed", "False", "NameNotClaimed").await;
    world
        .commit(&red.namespace, "site", "{name: app.late.example, targets: [192.0.2.1]}")
        .await;
    is_routed(&blue, "site", &[]).await;
    blue.told("site", "HostsClaimed", "False", "NameHeld").await;
    is_routed(&red, "site", &[host]).await;

    // A zone that is gone takes nothing away, and gives nothing away: its claims go on guarding their names.
    world
        .cluster::<DnsZone>()
        .delete("late", &DeleteParams::default())
        .await
        .unwrap();
    let told = eventually("the zone is known to be gone", async || {
        let app = blue.apps().get("site").await.unwrap();
        let told = condition(&app, "HostsClaimed")?.message;
        told.contains("though its DnsZone is gone").then_some(told)
    })
    .await;
    assert!(told.contains("is not routed"), "{told}");
    blue.commit("deeper", &spec("deep.app.late.example")).await;
    blue.told("deeper", "HostsClaimed", "False", "NameHeld").await;
    assert_eq!(routed(&red, "site").await, [host]);
    red.told("site", "HostsClaimed", "True", "NamesHeld").await;

    // With the claim that ends.
    world
        .cluster::<DnsClaim>()
        .delete(host, &DeleteParams::default())
        .await
        .unwrap();
    is_routed(&blue, "deeper", &["deep.app.late.example"]).await;
}
