//! What AlwaysData alone has: few writes per minute, and records that are not the user's.

use std::time::Duration;

use tremplin::dns_provider::Failure;
use tremplin_core::dns::Change;
use tremplin_e2e::dns::fake::{AlwaysData, FakeOptions};

use super::server::{Server, ZONE};
use super::zone::{read, set};

#[tokio::test]
async fn as_many_writes_as_are_taken_at_once_are_made_at_once() {
    let server = Server::always_data_with(FakeOptions {
        limits: AlwaysData::LIMITS.to_vec(),
        ..FakeOptions::new(ZONE)
    })
    .await;
    let provider = server.provider();
    let changes: Vec<_> = (0..50)
        .map(|index| Change::create(set(&format!("app-{index}"), "A", 600, &["192.0.2.1"])))
        .collect();
    provider.write(&changes).await.unwrap();
    let calls = server.as_always_data().calls();
    assert!(calls.iter().all(|call| call.status < 400), "{calls:?}");
    // One more would have to wait for minutes, and is told so; what only reads has not.
    let one_more = [Change::create(set("one-more", "A", 600, &["192.0.2.1"]))];
    let busy = provider.write(&one_more).await.unwrap_err();
    assert!(
        matches!(busy, Failure::Busy { after: Some(after) } if after > Duration::from_mins(1)),
        "{busy:?}"
    );
    server.provider().verify().await.unwrap();
}

#[tokio::test]
async fn a_type_takes_the_place_of_another_only_where_there_is_room_for_all_of_it() {
    let server = Server::always_data().await;
    let provider = server.provider();
    let (address, mark) = (
        set("app", "A", 600, &["192.0.2.1"]),
        set("_tremplin.app", "TXT", 300, &["mine"]),
    );
    let mut changes = vec![Change::create(address.clone()), Change::create(mark.clone())];
    changes.extend((0..45).map(|index| Change::create(set(&format!("app-{index}"), "A", 600, &["192.0.2.1"]))));
    provider.write(&changes).await.unwrap();
    assert_eq!(provider.room(), Some(3));
    let more = set("_tremplin.app", "TXT", 300, &["mine, and more"]);
    let swap = [
        Change::replace(mark.clone(), more.clone()),
        Change::delete(address.clone()),
        Change::create(set("app", "CNAME", 600, &["lb.other.example"])),
        Change::replace(more, mark.clone()),
    ];
    let busy = provider.write(&swap).await.unwrap_err();
    assert!(matches!(busy, Failure::Busy { after: Some(_) }), "{busy:?}");
    assert_eq!(read(&*provider, &["app", "_tremplin.app"]).await, [mark, address]);
}

#[tokio::test]
async fn records_of_the_service_itself_are_refused() {
    let server = Server::always_data().await;
    let before = set("ns1", "A", 300, &["127.0.0.1"]);
    let after = set("ns1", "A", 300, &["192.0.2.1"]);
    let failure = server
        .provider()
        .write(&[Change::replace(before, after)])
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Refused(_)), "{failure:?}");
}
