//! Gandi's traps.

use serde_json::{Value, json};
use tremplin_e2e::dns::fake::{FakeOptions, Gandi};
use tremplin_e2e::dns::query::{RecordType, ResponseCode};

use crate::{Told, ZONE, call, served};

async fn start() -> Gandi {
    let mut options = FakeOptions::new(ZONE);
    options.world = vec![("far.example.net".to_owned(), "192.0.2.200".parse().unwrap())];
    Gandi::start(options).await.unwrap()
}

/// A call below the domain.
async fn domain(gandi: &Gandi, method: &str, path: &str, body: Value) -> Told {
    with(gandi, method, path, body, &[]).await
}

async fn with(gandi: &Gandi, method: &str, path: &str, body: Value, more: &[(&str, &str)]) -> Told {
    let url = format!("{}/domains/{ZONE}{path}", gandi.url());
    let mut headers = vec![("authorization", format!("Bearer {}", gandi.token()))];
    headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    call(method, &url, &headers, &body).await
}

fn set(values: &[&str]) -> Value {
    json!({"rrset_values": values, "rrset_ttl": 300})
}

#[tokio::test]
async fn a_set_is_written_as_a_whole_and_served_at_once() {
    let gandi = start().await;
    let made = domain(&gandi, "PUT", "/records/app/A", set(&["192.0.2.7", "192.0.2.8"])).await;
    assert_eq!(
        (made.status, &made.json()["message"]),
        (201, &json!("DNS Record Created"))
    );
    let app = async || served(gandi.dns(), "app.beta.example", RecordType::A).await;
    assert_eq!(app().await.1, ["192.0.2.7", "192.0.2.8"]);
    domain(&gandi, "PUT", "/records/app/A", set(&["192.0.2.9"])).await;
    assert_eq!(app().await.1, ["192.0.2.9"]);
    let read = domain(&gandi, "GET", "/records/app/A", Value::Null).await.json();
    assert_eq!(
        (&read["rrset_values"], &read["rrset_ttl"]),
        (&json!(["192.0.2.9"]), &json!(300))
    );
    assert_eq!(
        domain(&gandi, "DELETE", "/records/app/A", Value::Null).await.status,
        204
    );
    let gone = domain(&gandi, "GET", "/records/app/A", Value::Null).await;
    assert_eq!((gone.status, &gone.json()["object"]), (404, &json!("dns-record")));
    assert_eq!(app().await.0, ResponseCode::NXDomain);
}

#[tokio::test]
async fn a_path_that_lost_its_end_takes_the_neighbours_and_is_remembered() {
    let gandi = start().await;
    gandi
        .seed("app IN A 192.0.2.1\napp IN TXT \"mail\"\nother IN A 192.0.2.2")
        .unwrap();
    assert_eq!(domain(&gandi, "DELETE", "/records/app", Value::Null).await.status, 204);
    let text = served(gandi.dns(), "app.beta.example", RecordType::TXT).await;
    assert_eq!(text.0, ResponseCode::NXDomain);
    let all =
        json!({"items": [{"rrset_name": "new", "rrset_type": "A", "rrset_ttl": 300, "rrset_values": ["192.0.2.3"]}]});
    assert_eq!(domain(&gandi, "PUT", "/records", all).await.status, 201);
    let other = served(gandi.dns(), "other.beta.example", RecordType::A).await;
    assert_eq!(other.0, ResponseCode::NXDomain);
    assert_eq!(gandi.take_forbidden().len(), 2);
}

#[tokio::test]
async fn a_put_in_other_letters_makes_a_second_set_that_dns_cannot_tell_from_the_first() {
    let gandi = start().await;
    domain(&gandi, "PUT", "/records/App/A", set(&["192.0.2.7"])).await;
    domain(&gandi, "PUT", "/records/app/A", set(&["192.0.2.8"])).await;
    let both = served(gandi.dns(), "app.beta.example", RecordType::A).await;
    assert_eq!(both.1, ["192.0.2.7", "192.0.2.8"]);
}

#[tokio::test]
async fn the_second_to_post_a_set_is_refused() {
    let gandi = start().await;
    assert_eq!(
        domain(&gandi, "POST", "/records/app/TXT", set(&["\"mine\""]))
            .await
            .status,
        201
    );
    assert_eq!(
        domain(&gandi, "POST", "/records/app/TXT", set(&["\"theirs\""]))
            .await
            .status,
        409
    );
    let text = served(gandi.dns(), "app.beta.example", RecordType::TXT).await;
    assert_eq!(text.1, ["\"mine\""]);
}

#[tokio::test]
async fn what_gandi_cannot_hold_is_refused() {
    let gandi = start().await;
    gandi.seed("www IN A 192.0.2.1").unwrap();
    let long = "x".repeat(256);
    for (path, body, status) in [
        (
            "/records/app/A",
            json!({"rrset_values": ["192.0.2.7"], "rrset_ttl": 60}),
            400,
        ),
        (
            "/records/app/A",
            json!({"rrset_values": ["192.0.2.7"], "rrset_ttl": 2_592_001}),
            400,
        ),
        (
            "/records/app/A",
            json!({"rrset_values": ["here"], "rrset_ttl": 300}),
            400,
        ),
        ("/records/app/A", json!({"rrset_values": [], "rrset_ttl": 300}), 400),
        ("/records/app/TXT", set(&[&long]), 400),
        ("/records/app/ALIAS", set(&["far.example.net."]), 400),
        ("/records/@/NS", set(&["ns.elsewhere.example."]), 403),
        ("/records/www/CNAME", set(&["far.example.net."]), 409),
    ] {
        let told = domain(&gandi, "PUT", path, body).await;
        assert_eq!(told.status, status, "{path}: {}", told.text);
    }
    let split = format!("\"{}\" \"x\"", "x".repeat(255));
    assert_eq!(
        domain(&gandi, "PUT", "/records/app/TXT", set(&[&split])).await.status,
        201
    );
}

#[tokio::test]
async fn a_target_without_a_dot_at_its_end_leads_into_the_zone() {
    let gandi = start().await;
    domain(&gandi, "PUT", "/records/app/CNAME", set(&["far.example.net"])).await;
    let app = served(gandi.dns(), "app.beta.example", RecordType::CNAME).await;
    assert_eq!(app.1, ["far.example.net.beta.example."]);
}

#[tokio::test]
async fn a_bare_text_comes_back_quoted() {
    let gandi = start().await;
    assert_eq!(
        domain(&gandi, "PUT", "/records/app/TXT", set(&["say \"v=1\""]))
            .await
            .status,
        201
    );
    let read = domain(&gandi, "GET", "/records/app/TXT", Value::Null).await.json();
    assert_eq!(read["rrset_values"], json!([r#""say \"v=1\"""#]));
}

#[tokio::test]
async fn an_alias_at_the_apex_is_served_as_addresses() {
    let gandi = start().await;
    assert_eq!(
        domain(&gandi, "PUT", "/records/@/ALIAS", set(&["far.example.net."]))
            .await
            .status,
        201
    );
    assert_eq!(served(gandi.dns(), ZONE, RecordType::A).await.1, ["192.0.2.200"]);
}

#[tokio::test]
async fn a_signed_zone_has_no_alias() {
    let gandi = start().await;
    gandi.sign();
    let alias = set(&["far.example.net."]);
    let told = domain(&gandi, "PUT", "/records/@/ALIAS", alias).await;
    assert_eq!(told.status, 400, "{}", told.text);
    assert!(told.text.contains("DNSSEC"), "{}", told.text);
}

#[tokio::test]
async fn a_list_without_its_pages_is_half_the_truth() {
    let gandi = start().await;
    let records: Vec<_> = (0..150).map(|number| format!("n{number} IN A 192.0.2.1\n")).collect();
    gandi.seed(&records.concat()).unwrap();
    let first = domain(&gandi, "GET", "/records", Value::Null).await;
    assert_eq!(first.json().as_array().unwrap().len(), 100);
    assert_eq!(first.headers["total-count"], "152");
    let next = first.headers["link"].to_str().unwrap();
    let next = next.trim_start_matches('<').split('>').next().unwrap();
    let token = [("authorization", format!("Bearer {}", gandi.token()))];
    let rest = call("GET", next, &token, "").await;
    assert_eq!(rest.json().as_array().unwrap().len(), 52);
    assert!(!rest.headers.contains_key("link"));
    let text = with(&gandi, "GET", "/records", Value::Null, &[("accept", "text/plain")])
        .await
        .text;
    assert_eq!(text.lines().count(), 152);
}

#[tokio::test]
async fn a_dry_run_says_yes_and_writes_nothing() {
    let gandi = start().await;
    let told = with(
        &gandi,
        "PUT",
        "/records/app/A",
        set(&["192.0.2.7"]),
        &[("dry-run", "1")],
    )
    .await;
    assert_eq!(told.status, 200);
    let app = served(gandi.dns(), "app.beta.example", RecordType::A).await;
    assert_eq!(app.0, ResponseCode::NXDomain);
}

#[tokio::test]
async fn a_token_ends_one_day() {
    let gandi = start().await;
    gandi.expire_credentials();
    assert_eq!(domain(&gandi, "GET", "/records", Value::Null).await.status, 401);
    gandi.renew_credentials();
    assert_eq!(domain(&gandi, "GET", "/records", Value::Null).await.status, 200);
}

#[tokio::test]
async fn a_snapshot_has_what_was_there_before() {
    let gandi = start().await;
    gandi.seed("www IN A 192.0.2.1").unwrap();
    let made = domain(&gandi, "POST", "/snapshots", Value::Null).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    domain(&gandi, "DELETE", "/records/www/A", Value::Null).await;
    let snapshot = domain(&gandi, "GET", &format!("/snapshots/{id}"), Value::Null)
        .await
        .json();
    let sets = snapshot["zone_data"].as_array().unwrap();
    assert!(sets.iter().any(|set| set["rrset_name"] == "www"));
    assert_eq!(gandi.snapshots(), 1);
}
