//! What Route 53 alone has: batches that compare and swap, changes that are served later, texts in octal.

use std::time::Duration;

use tremplin::dns_provider::Failure;
use tremplin_core::dns::{Change, RecordType};

use super::server::Server;
use super::zone::{apply, read, set};

#[tokio::test]
async fn a_stale_change_takes_the_whole_batch_with_it() {
    let server = Server::route53().await;
    let provider = server.provider();
    let mine = set("www", "A", 300, &["192.0.2.9"]);
    let stale = set("www", "A", 300, &["192.0.2.1"]);
    let other_ttl = set("www", "A", 60, &["192.0.2.1", "192.0.2.2"]);
    let fine = Change::create(set("app", "A", 300, &["192.0.2.9"]));
    for change in [
        Change::create(mine.clone()),
        Change::replace(stale.clone(), mine.clone()),
        Change::replace(other_ttl, mine),
        Change::delete(stale),
        Change::delete(set("gone", "A", 300, &["192.0.2.1"])),
    ] {
        let failure = provider.write(&[fine.clone(), change.clone()]).await.unwrap_err();
        assert!(matches!(failure, Failure::Changed(_)), "{change:?}: {failure:?}");
    }
    assert_eq!(read(&*provider, &["app"]).await, []);
}

#[tokio::test]
async fn a_replacement_is_one_call_also_of_what_others_wrote() {
    let server = Server::route53().await;
    let provider = server.provider();
    let before = set("www", "A", 300, &["192.0.2.1", "192.0.2.2"]);
    let after = set("www", "A", 600, &["192.0.2.3"]);
    read(&*provider, &["www"]).await;
    let calls = server.as_route53().count();
    provider.write(&[Change::replace(before, after.clone())]).await.unwrap();
    assert_eq!(server.as_route53().count(), calls + 1);
    // In strings as nobody here would write them: refused, looked up, and written.
    let before = set("www", "TXT", 300, &["of others"]);
    let text = set("www", "TXT", 600, &["déjà \"vu\" \\ *"]);
    apply(&*provider, &[Change::replace(before, text.clone())])
        .await
        .unwrap();
    assert_eq!(read(&*provider, &["www"]).await, [after, text.clone()]);
    server.wait_for(&text).await;
    apply(&*provider, &[Change::delete(text.clone())]).await.unwrap();
    server.wait_for_none(&text.name, &RecordType::Txt).await;
}

#[tokio::test]
async fn a_change_is_served_when_it_is_in_sync() {
    let server = Server::route53().await;
    let provider = server.provider();
    let one = set("*.one", "A", 300, &["192.0.2.1"]);
    provider.write(&[Change::create(one.clone())]).await.unwrap();
    assert_eq!(provider.is_published().await, Ok(Some(false)));
    apply(&*provider, &[]).await.unwrap();
    assert_eq!(server.served(&one.name, &RecordType::A).await, one);
    // Nothing is asked about what is known to be served.
    let calls = server.as_route53().count();
    assert_eq!(provider.is_published().await, Ok(Some(true)));
    assert_eq!(server.as_route53().count(), calls);
}

#[tokio::test]
async fn a_zone_that_is_at_work_is_busy_for_a_moment() {
    let server = Server::route53().await;
    let provider = server.provider();
    let one = set("one", "A", 300, &["192.0.2.1"]);
    server.as_route53().be_busy(1);
    let failure = provider.write(&[Change::create(one.clone())]).await.unwrap_err();
    let after = Some(Duration::from_secs(1));
    assert_eq!(failure, Failure::Busy { after });
    apply(&*provider, &[Change::create(one.clone())]).await.unwrap();
    server.wait_for(&one).await;
}
