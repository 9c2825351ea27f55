//! What OVH alone has: types beside TXT, ids that change, a step before anything is served.

use std::time::Duration;

use serde_json::{Value, json};
use tremplin::dns_provider::Failure;
use tremplin_core::dns::{Change, RecordType};
use tremplin_e2e::dns::fake::{Calls, FakeOptions, Limit};
use tremplin_e2e::http;

use super::server::{Server, ZONE, fake};
use super::zone::{apply, name, read, set};

/// A record as the console makes it.
async fn by_hand(server: &Server, record: Value) {
    let fake = server.as_ovh();
    let request = ::http::Request::post(format!("{}/domain/zone/{ZONE}/record", fake.url()))
        .header("Authorization", format!("Bearer {}", fake.token()))
        .header("Content-Type", "application/json")
        .body(record.to_string())
        .unwrap();
    let answer = http::send(request).await.unwrap();
    assert_eq!(answer.status(), 200, "{:?}", answer.body());
}

#[tokio::test]
async fn special_types_are_texts() {
    let server = Server::ovh().await;
    let provider = server.provider();
    for (type_, sub, target) in [
        ("SPF", "mailer", "v=spf1 -all"),
        ("TXT", "mailer", "\"other\""),
        ("DKIM", "s1._domainkey.mailer", "v=DKIM1; p=abc"),
        ("DMARC", "_dmarc.mailer", "v=DMARC1; p=none"),
    ] {
        by_hand(
            &server,
            json!({"fieldType": type_, "subDomain": sub, "target": target, "ttl": 600}),
        )
        .await;
    }
    let before = [
        set("_dmarc.mailer", "TXT", 600, &["v=DMARC1; p=none"]),
        set("s1._domainkey.mailer", "TXT", 600, &["v=DKIM1; p=abc"]),
        set("mailer", "TXT", 600, &["v=spf1 -all", "other"]),
    ];
    let names = ["mailer", "s1._domainkey.mailer", "_dmarc.mailer"];
    let mut sorted = before.to_vec();
    sorted.sort();
    assert_eq!(read(&*provider, &names).await, sorted);
    let after = set("mailer", "TXT", 900, &["v=spf1 include:mail.example -all", "other"]);
    let [dmarc, dkim, spf] = before;
    let changes = [
        Change::replace(spf, after.clone()),
        Change::delete(dmarc),
        Change::delete(dkim),
    ];
    apply(&*provider, &changes).await.unwrap();
    assert_eq!(read(&*provider, &names).await, std::slice::from_ref(&after));
    server.wait_for(&after).await;
}

#[tokio::test]
async fn ids_that_changed_since_lead_to_no_other_record() {
    let server = Server::ovh().await;
    let provider = server.provider();
    let before = set("www", "A", 300, &["192.0.2.1", "192.0.2.2"]);
    assert!(read(&*provider, &["www"]).await.contains(&before));
    server.as_ovh().renumber();
    let after = set("www", "A", 300, &["192.0.2.1", "192.0.2.7"]);
    apply(&*provider, &[Change::replace(before.clone(), after.clone())])
        .await
        .unwrap();
    server.wait_for(&after).await;
    // And what somebody else changed since it was read is not overwritten.
    let failure = provider.write(&[Change::delete(before)]).await.unwrap_err();
    assert!(matches!(failure, Failure::Changed(_)), "{failure:?}");
    assert!(read(&*provider, &["www"]).await.contains(&after));
}

#[tokio::test]
async fn the_zones_ttl_and_relative_targets_are_read_as_they_are_served() {
    let server = Server::ovh().await;
    let provider = server.provider();
    by_hand(
        &server,
        json!({"fieldType": "A", "subDomain": "app", "target": "192.0.2.1", "ttl": 0}),
    )
    .await;
    by_hand(
        &server,
        json!({"fieldType": "CNAME", "subDomain": "rel", "target": "www", "ttl": 60}),
    )
    .await;
    by_hand(
        &server,
        json!({"fieldType": "MX", "subDomain": "app", "target": "10 mail", "ttl": 60}),
    )
    .await;
    let expected = [
        set("app", "A", 3600, &["192.0.2.1"]),
        set("app", "MX", 60, &["10 mail.beta.example"]),
        set("rel", "CNAME", 60, &["www.beta.example"]),
    ];
    assert_eq!(read(&*provider, &["app", "rel"]).await, expected);
    let all = provider.read_all().await.unwrap();
    apply(&*provider, &[]).await.unwrap();
    for set in &expected {
        assert!(all.contains(set), "{set:?} is not in {all:?}");
        server.wait_for(set).await;
    }
    // Nothing to do, nothing done.
    let [a, ..] = expected;
    let writes = server.as_ovh().writes();
    provider.write(&[Change::replace(a.clone(), a)]).await.unwrap();
    assert_eq!(server.as_ovh().writes(), writes);
}

#[tokio::test]
async fn nothing_is_served_before_it_is_published_and_a_running_refresh_is_waited_for() {
    let server = Server::ovh_with(FakeOptions {
        delay: Duration::from_millis(1_500),
        ..fake()
    })
    .await;
    let provider = server.provider();
    let (one, two) = (
        set("one", "A", 600, &["192.0.2.1"]),
        set("two", "A", 600, &["192.0.2.2"]),
    );
    provider.write(&[Change::create(one.clone())]).await.unwrap();
    server.wait_for_none(&one.name, &RecordType::A).await;
    provider.publish().await.unwrap();
    assert_eq!(provider.is_published().await, Ok(Some(false)));
    provider.write(&[Change::create(two.clone())]).await.unwrap();
    provider.publish().await.unwrap();
    server.wait_for(&one).await;
    server.wait_for(&two).await;
}

#[tokio::test]
async fn a_zone_that_does_not_deploy_says_why() {
    let server = Server::ovh().await;
    let provider = server.provider();
    by_hand(
        &server,
        json!({"fieldType": "CNAME", "subDomain": "www", "target": "a.example.", "ttl": 60}),
    )
    .await;
    let failure = apply(&*provider, &[]).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Refused(why) if why.contains("CNAME")),
        "{failure:?}"
    );
}

#[tokio::test]
async fn the_credential_tells_its_end_and_the_rule_that_it_lacks() {
    let server = Server::ovh().await;
    let fake = server.as_ovh();
    assert_eq!(server.provider().verify().await.unwrap().expires_at, None);
    fake.set_expiration(Some("2027-01-31T12:00:00+01:00"));
    let expires_at = server.provider().verify().await.unwrap().expires_at;
    assert_eq!(expires_at.unwrap().to_string(), "2027-01-31T11:00:00Z");
    fake.grant("GET", "/domain/zone/other.example*");
    let failure = server.of_zone("other.example").verify().await.unwrap_err();
    let expected = "the consumer key has no access rule for POST /domain/zone/other.example/record";
    assert_eq!(failure, Failure::Unauthorized(expected.into()));
}

#[tokio::test]
async fn new_names_cost_one_call_per_record_at_the_pace_that_is_allowed() {
    let server = Server::ovh_with(FakeOptions {
        limits: vec![Limit {
            calls: Calls::All,
            burst: 20,
            every: Duration::from_millis(50),
        }],
        ..fake()
    })
    .await;
    let provider = server.provider();
    let sets: Vec<_> = (0..60)
        .flat_map(|index| {
            let data = set(&format!("app-{index}"), "A", 600, &["192.0.2.1"]);
            let mark = set(&format!("_tremplin.app-{index}"), "TXT", 600, &["mark"]);
            [data, mark]
        })
        .collect();
    let names = sets.iter().map(|set| set.name.clone()).collect();
    let found = provider.read(&names).await.unwrap();
    assert!(!found.iter().any(|set| set.name == name("app-0")));
    let changes: Vec<_> = sets.iter().cloned().map(Change::create).collect();
    provider.write(&changes).await.unwrap();
    provider.publish().await.unwrap();
    let calls = server.as_ovh().calls();
    assert!(calls.iter().all(|call| call.status != 429));
    assert!(calls.len() * 10 <= (sets.len() + 1) * 11, "{} calls", calls.len());
    server.wait_for(sets.last().unwrap()).await;
}
