//! Servers that are away, and credentials that are wrong.

use std::time::{Duration, Instant};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tremplin_core::api::{DnsRecord, DnsZone};
use tremplin_e2e::dns::fake::{FakeOptions, Ovh};
use tremplin_e2e::dns::fault_proxy::Fault;
use tremplin_e2e::dns::query::RecordType;

use crate::common::{HOME, eventually, start};
use crate::world::{Server, World, message};

/// Records are made, changed and deleted, and a namespace goes, while nobody answers.
async fn outage(server: Server, zone: &str, domain: &str) {
    let (control_plane, client) = start().await;
    let world = World { client };
    world
        .open(zone, domain, &server, "{claims: {releaseAfterSeconds: 3600}}")
        .await;
    let (blue, red) = (
        world.team(control_plane, "blue").await,
        world.team(control_plane, "red").await,
    );
    for name in ["changed", "deleted"] {
        world
            .commit(&blue, name, &format!("{{name: {name}.{domain}, targets: [192.0.2.1]}}"))
            .await;
    }
    world
        .commit(&red, "left", &format!("{{name: left.{domain}, targets: [192.0.2.1]}}"))
        .await;
    for (team, name) in [(&blue, "changed"), (&blue, "deleted"), (&red, "left")] {
        world.record(team, name, "Published").await;
    }
    server.kill();
    world
        .commit(
            &blue,
            "created",
            &format!("{{name: created.{domain}, targets: [192.0.2.2]}}"),
        )
        .await;
    world.record(&blue, "created", "ProviderUnavailable").await;
    world
        .commit(
            &blue,
            "changed",
            &format!("{{name: changed.{domain}, targets: ['2001:db8::2']}}"),
        )
        .await;
    let begin = Instant::now();
    world.delete(&blue, "deleted").await;
    // Nobody plays the namespace controller: what keeps a namespace are the finalizers in it.
    world
        .of::<DnsRecord>(&red)
        .delete_collection(&DeleteParams::default(), &kube::api::ListParams::default())
        .await
        .unwrap();
    eventually("nothing is left in the namespace", async || {
        let left = world
            .of::<DnsRecord>(&red)
            .list(&kube::api::ListParams::default())
            .await
            .unwrap();
        left.items.is_empty().then_some(())
    })
    .await;
    let namespaces: Api<Namespace> = world.cluster();
    namespaces.delete(&red, &DeleteParams::default()).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(20), "took {:?}", begin.elapsed());
    world.claim(&format!("left.{domain}"), "Withdrawing").await;

    server.restart().await;
    world.record(&blue, "created", "Published").await;
    world.record(&blue, "changed", "Published").await;
    for name in ["deleted", "left"] {
        world.claim(&format!("{name}.{domain}"), "Releasing").await;
        assert_eq!(server.current(domain, &format!("{name}.{domain}"), "A").await, None);
    }
    let changed = format!("changed.{domain}");
    assert_eq!(server.ask(&changed, RecordType::AAAA).await, ["2001:db8::2"]);
    eventually("the type that is no longer asked for is gone", async || {
        server.current(domain, &changed, "A").await.is_none().then_some(())
    })
    .await;
    assert_eq!(
        server.ask(&format!("created.{domain}"), RecordType::A).await,
        ["192.0.2.2"]
    );
}

#[tokio::test]
async fn what_is_asked_while_bind_is_away_is_done_when_it_is_back() {
    let server = Server::bind("away.example", "www IN A 198.51.100.1").await;
    outage(server, "away", "away.example").await;
}

#[tokio::test]
async fn what_is_asked_while_powerdns_is_away_is_done_when_it_is_back() {
    let server = Server::power_dns("afar.example", "www IN A 198.51.100.1").await;
    outage(server, "afar", "afar.example").await;
}

async fn write_secret(world: &World, name: &str, key: &str, value: &str) {
    let secret = json!({"data": {key: ByteString(value.as_bytes().to_vec())}});
    world
        .of::<Secret>(HOME)
        .patch(name, &PatchParams::default(), &Patch::Merge(secret))
        .await
        .unwrap();
}

async fn credential(server: Server, zone: &str, domain: &str, key: &str) {
    let (control_plane, client) = start().await;
    let world = World { client };
    let right = server.secret()[key].clone();
    world.open(zone, domain, &server, "").await;
    world.zone(zone, "Synced").await;
    write_secret(&world, zone, key, "d3Jvbmc=").await;
    let status = world.zone(zone, "CredentialInvalid").await.status.unwrap();
    let valid = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "CredentialsValid")
        .unwrap();
    assert_eq!(
        valid.status,
        "False",
        "{}",
        message(&status.conditions, "CredentialsValid")
    );
    let blue = world.team(control_plane, "blue").await;
    world
        .commit(&blue, "app", &format!("{{name: app.{domain}, targets: [192.0.2.1]}}"))
        .await;
    world.record(&blue, "app", "CredentialInvalid").await;
    // Corrected: nobody has to touch anything else.
    write_secret(&world, zone, key, &right).await;
    world.record(&blue, "app", "Published").await;
    let status = world.zone(zone, "Synced").await.status.unwrap();
    let valid = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "CredentialsValid")
        .unwrap();
    assert_eq!(valid.status, "True");
}

#[tokio::test]
async fn a_corrected_key_of_bind_is_read_again_by_itself() {
    let server = Server::bind("key.example", "").await;
    credential(server, "key", "key.example", "tsig-secret").await;
}

#[tokio::test]
async fn a_corrected_key_of_powerdns_is_read_again_by_itself() {
    let server = Server::power_dns("apikey.example", "").await;
    credential(server, "apikey", "apikey.example", "api-key").await;
}

#[tokio::test]
async fn a_corrected_credential_that_cannot_be_checked_at_once_is_checked_later() {
    let (_, client) = start().await;
    let world = World { client };
    let server = Server::Ovh(Ovh::start(FakeOptions::new("later.example")).await.unwrap());
    let proxy = world.open_behind_proxy("later", "later.example", &server, "").await;
    world.zone("later", "Synced").await;
    write_secret(&world, "later", "consumer-key", "wrong").await;
    world.zone("later", "CredentialInvalid").await;
    proxy.like("GET", "currentCredential", Fault::Status(500, None));
    write_secret(&world, "later", "consumer-key", &server.secret()["consumer-key"]).await;
    eventually("the credential is told to be good", async || {
        let status = world.cluster::<DnsZone>().get("later").await.unwrap().status?;
        let told = status.conditions.iter();
        let valid = told.filter(|condition| condition.type_ == "CredentialsValid" && condition.status == "True");
        (valid.count() == 1).then_some(())
    })
    .await;
    assert_eq!(proxy.planned(), 0, "the first check failed");
    world.zone("later", "Synced").await;
}

#[tokio::test]
async fn what_is_served_is_published_although_its_provider_cannot_be_read() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::power_dns("unread.example", "").await;
    let proxy = world.open_behind_proxy("unread", "unread.example", &server, "").await;
    let blue = world.team(control_plane, "blue").await;
    let commit = async |name: &str, reason: &str| {
        let spec = format!("{{name: {name}.unread.example, targets: [192.0.2.1]}}");
        world.commit(&blue, name, &spec).await;
        world.record(&blue, name, reason).await;
    };
    commit("served", "Published").await;
    proxy.always(Some(Fault::Status(500, None)));
    commit("new", "ProviderUnavailable").await;
    // Every record is asked about now.
    world.change_zone("unread", "{drift: {intervalSeconds: 400}}").await;
    world.zone("unread", "ProviderUnavailable").await;
    commit("newer", "ProviderUnavailable").await;
    let record = world.of::<DnsRecord>(&blue).get("served").await.unwrap();
    let conditions = record.status.unwrap().conditions;
    let ready = conditions.iter().find(|found| found.type_ == "Ready").unwrap();
    assert_eq!(ready.reason, "Published", "{}", ready.message);
    proxy.always(None);
    commit("new", "Published").await;
}
