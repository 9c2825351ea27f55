//! What Gandi and Scaleway have of their own.

use serde_json::json;
use tremplin::dns_provider::Failure;
use tremplin_core::dns::Change;
use tremplin_e2e::http;

use super::server::{Server, ZONE};
use super::zone::{apply, name, read, set};

/// A set as the console makes it, in any letters.
async fn by_hand(server: &Server, label: &str, type_: &str, value: &str) {
    let fake = server.as_gandi();
    let body = json!({"rrset_values": [value], "rrset_ttl": 600}).to_string();
    let request = ::http::Request::put(format!("{}/domains/{ZONE}/records/{label}/{type_}", fake.url()))
        .header("Authorization", format!("Bearer {}", fake.token()))
        .header("Content-Type", "application/json")
        .body(body)
        .unwrap();
    assert_eq!(http::send(request).await.unwrap().status(), 201);
}

#[tokio::test]
async fn a_label_in_other_letters_is_the_same_name() {
    let server = Server::gandi().await;
    let provider = server.provider();
    by_hand(&server, "App", "A", "192.0.2.1").await;
    by_hand(&server, "App", "TXT", "\"kept\"").await;
    let before = set("app", "A", 600, &["192.0.2.1"]);
    let text = set("app", "TXT", 600, &["kept"]);
    assert_eq!(read(&*provider, &["app"]).await, [before.clone(), text.clone()]);
    let after = set("app", "A", 900, &["192.0.2.7"]);
    apply(&*provider, &[Change::replace(before, after.clone())])
        .await
        .unwrap();
    // Also without the zone having been read before, as another operator would.
    for provider in [provider, server.provider()] {
        assert_eq!(read(&*provider, &["app"]).await, [after.clone(), text.clone()]);
    }
    server.wait_for(&after).await;
    // Two spellings at once are one set, and leave together.
    by_hand(&server, "app", "A", "192.0.2.8").await;
    let provider = server.provider();
    let both = set("app", "A", 600, &["192.0.2.7", "192.0.2.8"]);
    assert_eq!(read(&*provider, &["app"]).await, [both.clone(), text.clone()]);
    apply(&*provider, &[Change::delete(both)]).await.unwrap();
    assert_eq!(read(&*provider, &["app"]).await, [text]);
}

#[tokio::test]
async fn what_somebody_made_meanwhile_is_not_replaced() {
    let server = Server::gandi().await;
    let provider = server.provider();
    read(&*provider, &["app"]).await;
    by_hand(&server, "app", "A", "192.0.2.1").await;
    let mine = set("app", "A", 600, &["192.0.2.9"]);
    let failure = provider.write(&[Change::create(mine)]).await.unwrap_err();
    assert!(matches!(failure, Failure::Changed(_)), "{failure:?}");
    assert_eq!(read(&*provider, &["app"]).await, [set("app", "A", 600, &["192.0.2.1"])]);
}

#[tokio::test]
async fn a_snapshot_has_a_name() {
    let server = Server::gandi().await;
    assert_eq!(server.provider().snapshot().await, Ok(Some("1".into())));
    assert_eq!(server.as_gandi().snapshots(), 1);
}

#[tokio::test]
async fn the_end_of_a_token_is_told_where_the_provider_does_not() {
    for server in [
        Server::gandi().await,
        Server::scaleway().await,
        Server::powerdns().await,
        Server::bind().await,
        Server::always_data().await,
        Server::point_dns().await,
        Server::route53().await,
    ] {
        assert_eq!(server.provider().verify().await.unwrap().expires_at, None);
        let credential = server.until("2027-01-31T00:00:00Z").verify().await.unwrap();
        assert_eq!(credential.expires_at.unwrap().to_string(), "2027-01-31T00:00:00Z");
    }
}

#[tokio::test]
async fn a_token_that_ended_is_unauthorized() {
    let server = Server::gandi().await;
    let provider = server.provider();
    provider.verify().await.unwrap();
    server.as_gandi().expire_credentials();
    let failure = provider.read(&[name("app")].into()).await.unwrap_err();
    assert!(matches!(failure, Failure::Unauthorized(_)), "{failure:?}");
}

#[tokio::test]
async fn no_zone_comes_to_be_by_itself() {
    let server = Server::scaleway().await;
    let wanted = set("app", "A", 600, &["192.0.2.1"]);
    let child = server.of_zone("child.beta.example");
    let change = Change::create(set("x.child", "A", 600, &["192.0.2.1"]));
    let failure = child.write(&[change]).await.unwrap_err();
    assert!(matches!(failure, Failure::NoZone(_)), "{failure:?}");
    apply(&*server.provider(), &[Change::create(wanted.clone())])
        .await
        .unwrap();
    server.wait_for(&wanted).await;
    assert!(server.as_scaleway().children().is_empty());
    server.as_scaleway().assert_clean();
}

#[tokio::test]
async fn many_changes_are_one_version() {
    let server = Server::scaleway().await;
    let provider = server.provider();
    let before = server.as_scaleway().versions();
    let sets: Vec<_> = (0..50)
        .map(|index| {
            set(
                &format!("app-{index:02}"),
                "MX",
                600,
                &["10 mx1.example.org", "20 mx2.example.org"],
            )
        })
        .collect();
    let changes: Vec<_> = sets.iter().cloned().map(Change::create).collect();
    provider.write(&changes).await.unwrap();
    assert_eq!(server.as_scaleway().versions(), before + 1);
    // One change that cannot be made, and none is.
    let wrong = set("app-00", "A", 600, &["192.0.2.1"]);
    let fine = set("new", "A", 600, &["192.0.2.1"]);
    let failure = provider
        .write(&[Change::create(fine), Change::delete(wrong)])
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Changed(_)), "{failure:?}");
    assert_eq!(server.as_scaleway().versions(), before + 1);
}
