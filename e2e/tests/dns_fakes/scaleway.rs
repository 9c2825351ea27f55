//! Scaleway's traps.

use serde_json::{Value, json};
use tremplin_e2e::dns::fake::{FakeOptions, Scaleway};
use tremplin_e2e::dns::query::{RecordType, ResponseCode, ask};

use crate::{Told, ZONE, call, eventually, served};

async fn start() -> Scaleway {
    Scaleway::start(FakeOptions::new(ZONE)).await.unwrap()
}

/// A call below the zone.
async fn zone(scaleway: &Scaleway, method: &str, path: &str, body: Value) -> Told {
    below(scaleway, ZONE, method, path, body).await
}

async fn below(scaleway: &Scaleway, zone: &str, method: &str, path: &str, body: Value) -> Told {
    let url = format!("{}/dns-zones/{zone}{path}", scaleway.url());
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    call(method, &url, &[("x-auth-token", scaleway.token())], &body).await
}

async fn patch(scaleway: &Scaleway, changes: Value) -> Told {
    zone(
        scaleway,
        "PATCH",
        "/records",
        json!({"changes": changes, "disallow_new_zone_creation": true}),
    )
    .await
}

fn record(name: &str, kind: &str, data: &str) -> Value {
    json!({"name": name, "type": kind, "data": data, "ttl": 60})
}

fn set(name: &str, kind: &str, data: &str) -> Value {
    json!({"set": {"id_fields": {"name": name, "type": kind}, "records": [record(name, kind, data)]}})
}

async fn is_served(scaleway: &Scaleway, name: &str, kind: RecordType, data: &str) {
    let arrived = async || served(scaleway.dns(), name, kind).await.1 == [data];
    eventually(&format!("{name} {kind} {data}"), arrived).await;
}

#[tokio::test]
async fn a_set_takes_the_place_of_the_old_one_and_is_served_in_a_moment() {
    let mut options = FakeOptions::new(ZONE);
    options.delay = std::time::Duration::from_secs(1);
    let scaleway = Scaleway::start(options).await.unwrap();
    let before = scaleway.versions();
    for data in ["192.0.2.7", "192.0.2.8"] {
        let told = patch(&scaleway, json!([set("app", "A", data)])).await;
        assert_eq!(
            (told.status, told.json()["records"].as_array().unwrap().len()),
            (200, 1)
        );
    }
    let early = served(scaleway.dns(), "app.beta.example", RecordType::A).await;
    assert_eq!(early.0, ResponseCode::NXDomain);
    is_served(&scaleway, "app.beta.example", RecordType::A, "192.0.2.8").await;
    assert_eq!(scaleway.versions(), before + 2);
}

#[tokio::test]
async fn a_patch_is_done_as_a_whole_or_not_at_all() {
    let scaleway = start().await;
    scaleway.seed("www IN A 192.0.2.1").unwrap();
    let gone = json!({"delete": {"id_fields": {"name": "www", "type": "A"}}});
    let alias = set("www", "CNAME", "elsewhere.example.");
    let half = patch(&scaleway, json!([set("app", "A", "192.0.2.7"), alias])).await;
    assert_eq!((half.status, &half.json()["type"]), (400, &json!("invalid_arguments")));
    assert!(scaleway.stored().iter().all(|record| record.name != "app.beta.example"));
    assert_eq!(patch(&scaleway, json!([gone, alias])).await.status, 200);
    is_served(&scaleway, "www.beta.example", RecordType::CNAME, "elsewhere.example.").await;
    assert_eq!(patch(&scaleway, json!([gone])).await.status, 404);
}

#[tokio::test]
async fn a_list_ends_after_twenty() {
    let scaleway = start().await;
    let records: Vec<_> = (0..30).map(|number| format!("n{number} IN A 192.0.2.1\n")).collect();
    scaleway.seed(&records.concat()).unwrap();
    let count = async |query: &str| {
        let list = zone(&scaleway, "GET", &format!("/records{query}"), Value::Null)
            .await
            .json();
        assert_eq!(list["total_count"], 32);
        list["records"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 20);
    assert_eq!(count("?page=2").await, 12);
    assert_eq!(count("?page_size=100").await, 32);
    let one = zone(&scaleway, "GET", "/records?name=n7&type=A", Value::Null)
        .await
        .json();
    assert_eq!(
        (&one["total_count"], &one["records"][0]["data"]),
        (&json!(1), &json!("192.0.2.1"))
    );
}

#[tokio::test]
async fn types_are_told_in_capitals_whatever_was_sent() {
    let scaleway = start().await;
    assert_eq!(
        patch(&scaleway, json!([set("app", "a", "192.0.2.7")])).await.status,
        200
    );
    let found = zone(&scaleway, "GET", "/records?type=a&name=app", Value::Null)
        .await
        .json();
    assert_eq!(found["records"][0]["type"], "A");
    let gone = json!({"delete": {"id_fields": {"name": "app", "type": "a"}}});
    assert_eq!(patch(&scaleway, json!([gone])).await.status, 200);
}

#[tokio::test]
async fn a_page_after_the_last_is_empty_in_every_list() {
    let scaleway = start().await;
    let token = [("x-auth-token", scaleway.token())];
    for (path, list) in [
        (String::new(), "dns_zones"),
        (format!("/{ZONE}/records"), "records"),
        (format!("/{ZONE}/versions"), "versions"),
        ("/version/1/show".to_owned(), "records"),
    ] {
        let url = format!("{}/dns-zones{path}", scaleway.url());
        let first = call("GET", &url, &token, "").await.json();
        assert!(!first[list].as_array().unwrap().is_empty(), "{url}");
        let second = call("GET", &format!("{url}?page=2"), &token, "").await.json();
        assert!(second[list].as_array().unwrap().is_empty(), "{url}");
        assert_eq!(first["total_count"], second["total_count"]);
    }
}

#[tokio::test]
async fn a_zone_that_is_not_there_comes_to_be_and_takes_its_names_away() {
    let scaleway = start().await;
    scaleway.seed("www.dev IN A 192.0.2.1").unwrap();
    let child = format!("dev.{ZONE}");
    let careful = json!({"changes": [set("app", "A", "192.0.2.7")], "disallow_new_zone_creation": true});
    assert_eq!(below(&scaleway, &child, "PATCH", "/records", careful).await.status, 404);
    assert!(scaleway.children().is_empty());
    scaleway.assert_clean();
    let naive = json!({"changes": [set("app", "A", "192.0.2.7")]});
    assert_eq!(below(&scaleway, &child, "PATCH", "/records", naive).await.status, 200);
    assert_eq!(scaleway.children(), [child.as_str()]);
    let answer = ask(scaleway.dns(), "www.dev.beta.example", RecordType::A)
        .await
        .unwrap();
    assert_eq!(
        (answer.authoritative, answer.records.len()),
        (false, 0),
        "others answer for it now"
    );
    assert_eq!(scaleway.take_forbidden().len(), 1);
}

#[tokio::test]
async fn an_absolute_name_without_its_dot_ends_up_below_the_zone_twice() {
    let scaleway = start().await;
    for name in ["right.beta.example.", "wrong.beta.example"] {
        assert_eq!(patch(&scaleway, json!([set(name, "A", "192.0.2.7")])).await.status, 200);
    }
    is_served(&scaleway, "right.beta.example", RecordType::A, "192.0.2.7").await;
    is_served(&scaleway, "wrong.beta.example.beta.example", RecordType::A, "192.0.2.7").await;
    let found = zone(&scaleway, "GET", "/records?name=right&type=A", Value::Null)
        .await
        .json();
    assert_eq!(found["records"][0]["name"], "right");
}

#[tokio::test]
async fn the_priority_of_an_mx_is_sent_apart_or_in_the_data_and_comes_back_in_both() {
    let scaleway = start().await;
    let mut apart = set("", "MX", "mail.example.");
    apart["set"]["records"][0]["priority"] = json!(10);
    for change in [apart, set("@", "MX", "20 mail.example.")] {
        assert_eq!(patch(&scaleway, json!([change])).await.status, 200);
        let found = zone(&scaleway, "GET", "/records?type=MX", Value::Null).await.json();
        let (priority, data) = (&found["records"][0]["priority"], &found["records"][0]["data"]);
        assert_eq!(*data, format!("{priority} mail.example."));
        is_served(&scaleway, ZONE, RecordType::MX, data.as_str().unwrap()).await;
    }
}

#[tokio::test]
async fn a_zone_is_pending_until_its_version_is_served() {
    let mut options = FakeOptions::new(ZONE);
    options.delay = std::time::Duration::from_secs(1);
    let scaleway = Scaleway::start(options).await.unwrap();
    let zones = format!("{}/dns-zones?dns_zones={ZONE}", scaleway.url());
    let status = async || {
        let told = call("GET", &zones, &[("x-auth-token", scaleway.token())], "")
            .await
            .json();
        told["dns_zones"][0]["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status().await, "active");
    patch(&scaleway, json!([set("app", "A", "192.0.2.7")])).await;
    assert_eq!(status().await, "pending");
    eventually("active", async || status().await == "active").await;
    assert_eq!(
        served(scaleway.dns(), "app.beta.example", RecordType::A).await.1,
        ["192.0.2.7"]
    );
}

#[tokio::test]
async fn a_text_comes_back_quoted() {
    let scaleway = start().await;
    patch(&scaleway, json!([set("app", "TXT", "v=1")])).await;
    let found = zone(&scaleway, "GET", "/records?name=app&type=TXT", Value::Null)
        .await
        .json();
    assert_eq!(found["records"][0]["data"], "\"v=1\"");
}

#[tokio::test]
async fn clear_empties_the_zone_and_is_remembered() {
    let scaleway = start().await;
    scaleway.seed("www IN A 192.0.2.1").unwrap();
    assert_eq!(patch(&scaleway, json!([{"clear": {}}])).await.status, 200);
    assert!(scaleway.stored().is_empty());
    assert_eq!(zone(&scaleway, "DELETE", "/records", Value::Null).await.status, 200);
    assert_eq!(scaleway.take_forbidden().len(), 2);
    let before = scaleway.versions() - 2;
    let shown = below(&scaleway, "version", "GET", &format!("/{before}/show"), Value::Null)
        .await
        .json();
    assert_eq!(shown["total_count"], 3, "what was lost is in the version before");
}

#[tokio::test]
async fn calls_about_the_whole_zone_are_remembered() {
    for (method, path) in [("PUT", "/nameservers"), ("DELETE", "")] {
        let scaleway = start().await;
        zone(&scaleway, method, path, json!({"ns": []})).await;
        assert_eq!(scaleway.take_forbidden().len(), 1, "{method} {path}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_refused_by_type() {
    let scaleway = start().await;
    scaleway.expire_credentials();
    let told = zone(&scaleway, "GET", "/records", Value::Null).await;
    assert_eq!(
        (told.status, &told.json()["type"]),
        (401, &json!("denied_authentication"))
    );
    scaleway.renew_credentials();
    let export = zone(&scaleway, "GET", "/export?format=bind", Value::Null).await;
    assert!(export.text.contains("\tIN\tSOA\t"), "{}", export.text);
    let zones = format!("{}/dns-zones?dns_zone={ZONE}", scaleway.url());
    let zones = call("GET", &zones, &[("x-auth-token", scaleway.token())], "")
        .await
        .json();
    assert_eq!(
        (&zones["total_count"], &zones["dns_zones"][0]["subdomain"]),
        (&json!(1), &json!(""))
    );
}
