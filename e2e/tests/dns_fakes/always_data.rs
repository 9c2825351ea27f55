//! AlwaysData's traps.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tremplin_e2e::dns::fake::{AlwaysData, FakeOptions};
use tremplin_e2e::dns::query::{RecordType, ResponseCode};

use crate::{Told, ZONE, call, eventually, served};

const SYNCHRONOUS: (&str, &str) = ("alwaysdata-synchronous", "yes");

async fn start() -> AlwaysData {
    AlwaysData::start(FakeOptions::new(ZONE)).await.unwrap()
}

async fn send(fake: &AlwaysData, method: &str, path: &str, body: Value, more: &[(&str, &str)]) -> Told {
    let user = format!("{} account={}:", fake.api_key(), fake.account());
    let mut headers = vec![("authorization", format!("Basic {}", BASE64.encode(user)))];
    headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    call(method, &format!("{}{path}", fake.url()), &headers, &body).await
}

/// Makes a record, waits until it is served, and gives the path that leads to it.
async fn create(fake: &AlwaysData, name: &str, kind: &str, value: &str) -> String {
    let record = json!({"domain": 132, "name": name, "type": kind, "value": value, "ttl": 60, "annotation": "ours"});
    let told = send(fake, "POST", "/record/", record, &[SYNCHRONOUS]).await;
    assert_eq!((told.status, told.text.as_str()), (201, ""), "no body");
    told.headers["location"]
        .to_str()
        .unwrap()
        .trim_start_matches("/v1")
        .to_owned()
}

#[tokio::test]
async fn a_write_is_served_later_unless_one_asks_to_wait() {
    let mut options = FakeOptions::new(ZONE);
    options.delay = Duration::from_secs(1);
    let fake = AlwaysData::start(options).await.unwrap();
    let record = json!({"domain": 132, "name": "late", "type": "A", "value": "192.0.2.7"});
    assert_eq!(send(&fake, "POST", "/record/", record, &[]).await.status, 201);
    let late = async || served(fake.dns(), "late.beta.example", RecordType::A).await;
    assert_eq!(late().await.0, ResponseCode::NXDomain);
    eventually("it is served", async || late().await.1 == ["192.0.2.7"]).await;
    create(&fake, "now", "A", "192.0.2.8").await;
    assert_eq!(
        served(fake.dns(), "now.beta.example", RecordType::A).await.1,
        ["192.0.2.8"]
    );
}

#[tokio::test]
async fn the_user_is_the_key_a_space_and_the_account() {
    let fake = start().await;
    let status = async |user: String| {
        let header = [("authorization", format!("Basic {}", BASE64.encode(user)))];
        call("GET", &format!("{}/record/", fake.url()), &header, "")
            .await
            .status
    };
    let (key, account) = (fake.api_key(), fake.account());
    assert_eq!(status(format!("{key}account={account}:")).await, 401, "no space");
    assert_eq!(status(format!("{key} account=other:")).await, 401);
    assert_eq!(status(format!("{key} account={account}:")).await, 200);
    assert_eq!(status(format!("{key}:")).await, 200);
    fake.expire_credentials();
    assert_eq!(status(format!("{key}:")).await, 401);
}

#[tokio::test]
async fn a_path_without_its_slash_leads_elsewhere_or_nowhere() {
    let fake = start().await;
    assert_eq!(send(&fake, "GET", "/record", Value::Null, &[]).await.status, 301);
    assert_eq!(
        send(&fake, "POST", "/record", json!({"domain": 132}), &[]).await.status,
        404
    );
}

#[tokio::test]
async fn a_domain_is_found_by_its_name_and_a_record_by_its_domain() {
    let fake = start().await;
    create(&fake, "app", "A", "192.0.2.7").await;
    let all = send(&fake, "GET", "/domain/", Value::Null, &[]).await.json();
    assert_eq!(all.as_array().unwrap().len(), 2, "the account has others");
    let domain = send(&fake, "GET", &format!("/domain/?name={ZONE}"), Value::Null, &[])
        .await
        .json();
    let id = &domain[0]["id"];
    let found = send(
        &fake,
        "GET",
        &format!("/record/?domain={id}&name=app&type=A"),
        Value::Null,
        &[],
    )
    .await
    .json();
    assert_eq!(
        (&found[0]["value"], &found[0]["annotation"]),
        (&json!("192.0.2.7"), &json!("ours"))
    );
}

#[tokio::test]
async fn quotes_become_part_of_a_text() {
    let fake = start().await;
    create(&fake, "right", "TXT", "v=1").await;
    create(&fake, "wrong", "TXT", "\"v=1\"").await;
    assert_eq!(
        served(fake.dns(), "right.beta.example", RecordType::TXT).await.1,
        ["\"v=1\""]
    );
    assert_eq!(
        served(fake.dns(), "wrong.beta.example", RecordType::TXT).await.1,
        ["\"\\\"v=1\\\"\""]
    );
}

#[tokio::test]
async fn a_put_takes_away_what_it_does_not_name() {
    let fake = start().await;
    let path = create(&fake, "app", "A", "192.0.2.7").await;
    let record = json!({"name": "app", "type": "A", "value": "192.0.2.8"});
    assert_eq!(
        send(&fake, "PATCH", &path, record.clone(), &[SYNCHRONOUS]).await.status,
        204
    );
    let read = async || send(&fake, "GET", &path, Value::Null, &[]).await.json();
    assert_eq!(
        (&read().await["annotation"], &read().await["ttl"]),
        (&json!("ours"), &json!(60))
    );
    assert_eq!(send(&fake, "PUT", &path, record, &[SYNCHRONOUS]).await.status, 204);
    assert_eq!(
        (&read().await["annotation"], &read().await["ttl"]),
        (&json!(""), &json!(300))
    );
    assert_eq!(
        send(&fake, "DELETE", &path, Value::Null, &[SYNCHRONOUS]).await.status,
        204
    );
    assert_eq!(
        served(fake.dns(), "app.beta.example", RecordType::A).await.0,
        ResponseCode::NXDomain
    );
}

#[tokio::test]
async fn what_cannot_be_is_told_by_field() {
    let fake = start().await;
    create(&fake, "app", "A", "192.0.2.7").await;
    for (record, field) in [
        (
            json!({"domain": 1, "name": "x", "type": "A", "value": "192.0.2.7"}),
            "domain",
        ),
        (
            json!({"domain": 132, "name": "x", "type": "A", "value": "here"}),
            "value",
        ),
        (
            json!({"domain": 132, "name": "", "type": "MX", "value": "mail.example"}),
            "priority",
        ),
        (
            json!({"domain": 132, "name": "app", "type": "CNAME", "value": "far.example"}),
            "__all__",
        ),
    ] {
        let told = send(&fake, "POST", "/record/", record, &[]).await;
        assert_eq!(told.status, 400);
        assert!(told.json()[field].is_array(), "{field}: {}", told.text);
    }
    let own = send(&fake, "GET", "/record/?type=NS", Value::Null, &[]).await.json();
    let path = format!("/record/{}/", own[0]["id"]);
    assert_eq!(send(&fake, "DELETE", &path, Value::Null, &[]).await.status, 403);
}

#[tokio::test]
async fn few_writes_are_taken_and_more_reads() {
    let mut options = FakeOptions::new(ZONE);
    options.limits = AlwaysData::LIMITS.to_vec();
    let fake = AlwaysData::start(options).await.unwrap();
    for number in 0..50 {
        create(&fake, &format!("n{number}"), "A", "192.0.2.7").await;
    }
    let record = json!({"domain": 132, "name": "more", "type": "A", "value": "192.0.2.7"});
    let told = send(&fake, "POST", "/record/", record, &[]).await;
    assert_eq!(told.status, 429);
    let wait: u64 = told.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    assert_eq!(send(&fake, "GET", "/record/", Value::Null, &[]).await.status, 200);
}

#[tokio::test]
async fn taking_the_domain_away_is_remembered() {
    let fake = start().await;
    assert_eq!(
        send(&fake, "DELETE", "/domain/132/", Value::Null, &[]).await.status,
        204
    );
    assert!(fake.stored().is_empty());
    assert_eq!(fake.take_forbidden().len(), 1);
}
