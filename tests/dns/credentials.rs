//! Credentials that end: by the provider's hand while the operator runs, or by a date that comes near.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tremplin_core::api::DnsZone;
use tremplin_core::api::dns::DnsZoneStatus;
use tremplin_e2e::dns::fake::{FakeOptions, Ovh};
use tremplin_e2e::dns::query::RecordType;

use crate::common::{HOME, eventually, start};
use crate::tls;
use crate::world::{Server, World, message};

fn valid(status: &DnsZoneStatus) -> &Condition {
    let mut conditions = status.conditions.iter();
    conditions.find(|found| found.type_ == "CredentialsValid").unwrap()
}

#[tokio::test]
async fn a_credential_that_is_revoked_while_the_operator_runs_is_told_and_taken_again_once_renewed() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::Ovh(Ovh::start(FakeOptions::new("revoked.example")).await.unwrap());
    let Server::Ovh(fake) = &server else { unreachable!() };
    world.open("revoked", "revoked.example", &server, "").await;
    let blue = world.team(control_plane, "blue").await;
    let commit = async |name: &str| {
        let spec = format!("{{name: {name}.revoked.example, targets: [192.0.2.1]}}");
        world.commit(&blue, name, &spec).await;
    };
    commit("before").await;
    world.record(&blue, "before", "Published").await;
    let status = world.zone("revoked", "Synced").await.status.unwrap();
    assert_eq!(
        (valid(&status).status.as_str(), valid(&status).reason.as_str()),
        ("True", "CredentialValid")
    );
    let stored = fake.stored();

    fake.expire_credentials();
    commit("during").await;
    world.record(&blue, "during", "CredentialInvalid").await;
    let status = world.zone("revoked", "CredentialInvalid").await.status.unwrap();
    assert_eq!(
        (valid(&status).status.as_str(), valid(&status).reason.as_str()),
        ("False", "CredentialInvalid")
    );
    assert!(
        valid(&status).message.contains("This credential is not valid"),
        "{}",
        valid(&status).message
    );
    assert_eq!(fake.stored(), stored, "nothing is written");
    // What was published before is still true.
    assert_eq!(server.ask("before.revoked.example", RecordType::A).await, ["192.0.2.1"]);

    fake.renew_credentials();
    commit("after").await;
    for name in ["after", "during", "before"] {
        world.record(&blue, name, "Published").await;
    }
    let status = world.zone("revoked", "Synced").await.status.unwrap();
    assert_eq!(valid(&status).status, "True");
    fake.assert_clean();
}

#[tokio::test]
async fn a_revoked_credential_is_tried_rarely_while_something_is_to_be_withdrawn() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::Ovh(Ovh::start(FakeOptions::new("leaver.example")).await.unwrap());
    let Server::Ovh(fake) = &server else { unreachable!() };
    let spec = "{claims: {releaseAfterSeconds: 3600}}";
    world.open("leaver", "leaver.example", &server, spec).await;
    let blue = world.team(control_plane, "blue").await;
    let commit = async |name: &str, domain: &str| {
        let spec = format!("{{name: {name}.{domain}, targets: [192.0.2.1]}}");
        world.commit(&blue, name, &spec).await;
        world.record(&blue, name, "Published").await;
    };
    commit("left", "leaver.example").await;
    fake.expire_credentials();
    world.delete(&blue, "left").await;
    world.claim("left.leaver.example", "Orphaned").await;
    world.zone("leaver", "CredentialInvalid").await;

    let elsewhere = Server::bind("elsewhere.example", "").await;
    // Every zone is looked at when there is another one.
    world.open("elsewhere", "elsewhere.example", &elsewhere, "").await;
    commit("first", "elsewhere.example").await;
    fake.forget_calls();
    for n in 0..5 {
        commit(&format!("n{n}"), "elsewhere.example").await;
    }
    assert!(fake.count() <= 4, "nothing changed: {:?}", fake.calls());

    fake.renew_credentials();
    commit("after", "leaver.example").await;
    world.claim("left.leaver.example", "Releasing").await;
}

/// The zone of OVHcloud whose credential ends in so many days, once its credential was tried.
async fn ends_in(days: i64, name: &str) -> (DnsZoneStatus, Timestamp) {
    let (_, client) = start().await;
    let world = World { client };
    let domain = format!("{name}.example");
    let fake = Ovh::start(FakeOptions::new(&domain)).await.unwrap();
    let at = Timestamp::now() + SignedDuration::from_hours(24 * days);
    let at = Timestamp::from_second(at.as_second()).unwrap();
    fake.set_expiration(Some(&at.to_string()));
    let server = Server::Ovh(fake);
    world.open(name, &domain, &server, "").await;
    let status = eventually("the credential was tried", async || {
        let zone = world.cluster::<DnsZone>().get(name).await.unwrap();
        zone.status.filter(|status| status.credentials_expire_at.is_some())
    })
    .await;
    world.zone(name, "Synced").await;
    (status, at)
}

#[tokio::test]
async fn a_credential_that_ends_within_a_month_is_told_with_its_day() {
    let (status, at) = ends_in(20, "ending").await;
    assert_eq!(status.credentials_expire_at.as_ref().map(|found| found.0), Some(at));
    let valid = valid(&status);
    assert_eq!(
        (valid.status.as_str(), valid.reason.as_str()),
        ("True", "CredentialExpiring")
    );
    assert!(valid.message.contains(&at.to_string()), "{}", valid.message);
}

#[tokio::test]
async fn a_credential_that_lasts_longer_is_no_news() {
    let (status, at) = ends_in(40, "lasting").await;
    assert_eq!(status.credentials_expire_at.as_ref().map(|found| found.0), Some(at));
    assert_eq!(valid(&status).reason, "CredentialValid");
}

/// What the server at this address answers.
fn passed_on(request: &[u8], server: SocketAddr) -> std::io::Result<Vec<u8>> {
    let head = request.iter().position(|octet| *octet == b'\n').unwrap() + 1;
    let mut stream = TcpStream::connect(server)?;
    stream.write_all(&[&request[..head], b"Connection: close\r\n", &request[head..]].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

#[tokio::test]
async fn a_provider_with_a_private_authority_is_trusted_once_the_zone_names_it() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::power_dns("private.example", "").await;
    let mut provider = server.provider("private");
    let url = provider["powerDNS"]["url"].as_str().unwrap();
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let (url, ca) = tls::encrypted(move |request| passed_on(request, address).unwrap_or_default());
    provider["powerDNS"]["url"] = url.into();
    let spec = json!({"provider": provider}).to_string();
    world.open("private", "private.example", &server, &spec).await;
    let told = async |reason: &str| {
        let status = world.zone("private", reason).await.status.unwrap();
        message(&status.conditions, "Ready")
    };
    let why = told("ProviderUnavailable").await;
    assert!(why.contains("certificate"), "{why}");

    let named = "{provider: {caSecretRef: {name: private-ca}}}";
    world.change_zone("private", named).await;
    let why = told("CredentialMissing").await;
    assert!(why.contains("there is no Secret private-ca"), "{why}");
    let write = async |key: &str| {
        let data = json!({key: ByteString(ca.clone().into_bytes())});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "private-ca"}, "data": data});
        world
            .of::<Secret>(HOME)
            .patch(
                "private-ca",
                &PatchParams::apply("platform").force(),
                &Patch::Apply(secret),
            )
            .await
            .unwrap();
    };
    write("tls.crt").await;
    eventually("the missing key is told", async || {
        told("CredentialMissing").await.contains("no key ca.crt").then_some(())
    })
    .await;
    write("ca.crt").await;
    told("Synced").await;
    let blue = world.team(control_plane, "blue").await;
    let spec = "{name: app.private.example, targets: [192.0.2.1]}";
    world.commit(&blue, "app", spec).await;
    world.record(&blue, "app", "Published").await;
    assert_eq!(server.ask("app.private.example", RecordType::A).await, ["192.0.2.1"]);
}
