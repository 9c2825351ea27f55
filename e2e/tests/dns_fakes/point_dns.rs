//! PointDNS's traps.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tremplin_e2e::dns::fake::{FakeOptions, PointDns};
use tremplin_e2e::dns::query::{RecordType, ResponseCode};

use crate::{Told, ZONE, call, eventually, served};

async fn start() -> PointDns {
    PointDns::start(FakeOptions::new(ZONE)).await.unwrap()
}

async fn send(fake: &PointDns, method: &str, path: &str, body: Value) -> Told {
    let user = BASE64.encode(format!("{}:{}", fake.user(), fake.token()));
    let headers = [
        ("authorization", format!("Basic {user}")),
        ("accept", "application/json".to_owned()),
    ];
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    call(method, &format!("{}/zones/{ZONE}{path}", fake.url()), &headers, &body).await
}

fn record(name: &str, kind: &str, data: &str) -> Value {
    json!({"zone_record": {"name": name, "record_type": kind, "data": data, "ttl": 60}})
}

async fn create(fake: &PointDns, name: &str, kind: &str, data: &str) -> Value {
    let told = send(fake, "POST", "/records", record(name, kind, data)).await;
    assert_eq!(told.status, 201, "{}", told.text);
    told.json()["zone_record"].clone()
}

async fn is_served(fake: &PointDns, name: &str, kind: RecordType, data: &str) {
    let arrived = async || served(fake.dns(), name, kind).await.1 == [data];
    eventually(&format!("{name} {kind} {data}"), arrived).await;
}

#[tokio::test]
async fn a_record_without_its_wrapper_is_refused_with_a_list() {
    let fake = start().await;
    let bare = json!({"name": "app", "record_type": "A", "data": "192.0.2.7"});
    let told = send(&fake, "POST", "/records", bare).await;
    assert_eq!(
        (told.status, told.json()),
        (422, json!([["zone_record", "is missing"]]))
    );
}

#[tokio::test]
async fn a_record_lives_and_comes_back_absolute() {
    let fake = start().await;
    let made = create(&fake, "app.beta.example.", "A", "192.0.2.7").await;
    assert_eq!(made["name"], "app.beta.example.");
    is_served(&fake, "app.beta.example", RecordType::A, "192.0.2.7").await;
    let path = format!("/records/{}", made["id"]);
    let change = json!({"zone_record": {"data": "192.0.2.8"}});
    assert_eq!(send(&fake, "PUT", &path, change).await.status, 202);
    is_served(&fake, "app.beta.example", RecordType::A, "192.0.2.8").await;
    let found = send(&fake, "GET", "/records?record_type=A&name=app", Value::Null)
        .await
        .json();
    assert_eq!(
        (&found[0]["zone_record"]["data"], &found[0]["zone_record"]["ttl"]),
        (&json!("192.0.2.8"), &json!(60))
    );
    assert_eq!(send(&fake, "DELETE", &path, Value::Null).await.status, 202);
    let gone = send(&fake, "DELETE", &path, Value::Null).await;
    assert_eq!((gone.status, gone.text.as_str()), (404, "Not found"), "no JSON");
    let gone = async || served(fake.dns(), "app.beta.example", RecordType::A).await.0 == ResponseCode::NXDomain;
    eventually("it is gone", gone).await;
}

#[tokio::test]
async fn a_name_without_a_dot_at_its_end_is_relative_and_a_target_is_not() {
    let fake = start().await;
    let made = create(&fake, "app.beta.example", "CNAME", "far.example.net").await;
    assert_eq!(made["data"], "far.example.net.");
    let name = "app.beta.example.beta.example";
    is_served(&fake, name, RecordType::CNAME, "far.example.net.").await;
}

#[tokio::test]
async fn a_text_comes_back_quoted_and_the_priority_is_apart() {
    let fake = start().await;
    let text = create(&fake, "app", "TXT", "v=1").await;
    assert_eq!(text["data"], "\"v=1\"");
    let mut mail = record("", "MX", "mail.example.");
    mail["zone_record"]["aux"] = json!(10);
    assert_eq!(send(&fake, "POST", "/records", mail).await.status, 201);
    is_served(&fake, ZONE, RecordType::MX, "10 mail.example.").await;
}

#[tokio::test]
async fn what_cannot_be_is_a_422_and_who_is_not_known_a_403() {
    let fake = start().await;
    create(&fake, "app", "A", "192.0.2.7").await;
    for (body, field) in [
        (record("x", "A", "here"), "data"),
        (record("app", "CNAME", "far.example."), "name"),
        (record("app.other.example.", "A", "192.0.2.7"), "name"),
    ] {
        let told = send(&fake, "POST", "/records", body).await;
        assert_eq!(
            (told.status, told.json()[0][0].as_str()),
            (422, Some(field)),
            "{}",
            told.text
        );
    }
    let url = format!("{}/zones", fake.url());
    assert_eq!(call("GET", &url, &[], "").await.status, 403);
    let user = BASE64.encode(format!("{}:{}", fake.user(), fake.token()));
    let told = call("GET", &url, &[("authorization", format!("Basic {user}"))], "").await;
    assert_eq!(told.status, 406, "a page for people");
    fake.expire_credentials();
    assert_eq!(send(&fake, "GET", "/records", Value::Null).await.status, 403);
}

#[tokio::test]
async fn an_alias_is_served_as_addresses() {
    let mut options = FakeOptions::new(ZONE);
    options.world = vec![("far.example.net".to_owned(), "2001:db8::7".parse().unwrap())];
    let fake = PointDns::start(options).await.unwrap();
    create(&fake, "", "ALIAS", "far.example.net.").await;
    is_served(&fake, ZONE, RecordType::AAAA, "2001:db8::7").await;
}

#[tokio::test]
async fn taking_the_zone_away_is_remembered() {
    let fake = start().await;
    assert_eq!(send(&fake, "DELETE", "", Value::Null).await.status, 200);
    assert!(fake.stored().is_empty());
    assert_eq!(fake.take_forbidden().len(), 1);
}
