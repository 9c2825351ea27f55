//! What dynamic updates alone can do: compare and swap, and what BIND leaves out without a word.

use tremplin::dns_provider::{Failure, Provider};
use tremplin_core::dns::{Change, RrSet};

use super::server::Server;
use super::zone::{read, set};

async fn refused_as_changed(provider: &dyn Provider, changes: &[Change]) {
    let failure = provider.write(changes).await.unwrap_err();
    assert!(matches!(failure, Failure::Changed(_)), "{failure:?}");
}

fn www() -> [RrSet; 2] {
    [
        set("www", "A", 300, &["192.0.2.1", "192.0.2.2"]),
        set("www", "TXT", 300, &["of others"]),
    ]
}

#[tokio::test]
async fn what_changed_since_it_was_read_is_not_written() {
    let server = Server::bind().await;
    let provider = server.provider();
    let mine = set("www", "A", 600, &["192.0.2.9"]);
    let stale = set("www", "A", 300, &["192.0.2.1"]);
    let stale_text = set("www", "TXT", 300, &["of another"]);
    let innocent = set("app", "A", 600, &["192.0.2.9"]);
    for change in [
        Change::create(mine.clone()),
        Change::replace(stale.clone(), mine.clone()),
        Change::delete(stale),
        Change::delete(stale_text),
    ] {
        // All of the message or nothing.
        refused_as_changed(&*provider, &[Change::create(innocent.clone()), change]).await;
    }
    assert_eq!(read(&*provider, &["app", "www"]).await, www());
    let [before, _] = www();
    provider.write(&[Change::replace(before, mine.clone())]).await.unwrap();
    assert_eq!(read(&*provider, &["www"]).await, [mine, www()[1].clone()]);
}

#[tokio::test]
async fn a_cname_beside_other_data_is_refused_and_not_left_out() {
    let server = Server::bind().await;
    let provider = server.provider();
    let cname = set("www", "CNAME", 600, &["a.other.example"]);
    let [a, text] = www();
    refused_as_changed(&*provider, &[Change::create(cname.clone())]).await;
    // The text is still there.
    refused_as_changed(&*provider, &[Change::create(cname.clone()), Change::delete(a.clone())]).await;
    // Data beside a CNAME.
    refused_as_changed(&*provider, &[Change::create(set("alias", "A", 600, &["192.0.2.9"]))]).await;
    assert_eq!(read(&*provider, &["www"]).await, www());
    let all = [Change::create(cname.clone()), Change::delete(a), Change::delete(text)];
    provider.write(&all).await.unwrap();
    assert_eq!(read(&*provider, &["www"]).await, [cname]);
}

#[tokio::test]
async fn more_than_fits_into_a_message_is_written_in_several() {
    let server = Server::bind().await;
    let provider = server.provider();
    let long = "y".repeat(20_000);
    let sets: Vec<_> = (0..10)
        .map(|index| set(&format!("long-{index}"), "TXT", 600, &[&long]))
        .collect();
    let changes: Vec<_> = sets.iter().cloned().map(Change::create).collect();
    provider.write(&changes).await.unwrap();
    let names: Vec<_> = sets.iter().map(|set| set.name.as_str()).collect();
    assert_eq!(read(&*provider, &names).await, sets);
}

#[tokio::test]
async fn what_the_policy_does_not_grant_is_unauthorized() {
    let server = Server::bind_with_policy("grant tremplin subdomain app.beta.example. A;").await;
    let provider = server.provider();
    provider.verify().await.unwrap();
    let granted = set("app", "A", 600, &["192.0.2.9"]);
    provider.write(&[Change::create(granted)]).await.unwrap();
    for other in [set("app", "TXT", 600, &["x"]), set("other", "A", 600, &["192.0.2.9"])] {
        let failure = provider.write(&[Change::create(other)]).await.unwrap_err();
        assert!(matches!(failure, Failure::Unauthorized(_)), "{failure:?}");
    }
}
