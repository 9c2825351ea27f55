//! OVHcloud's traps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tremplin_e2e::dns::fake::{FakeOptions, Ovh};
use tremplin_e2e::dns::query::{RecordType, ResponseCode};

use crate::{Told, ZONE, call, eventually, served};

async fn start() -> Ovh {
    Ovh::start(FakeOptions::new(ZONE)).await.unwrap()
}

/// A call below the zone, with a token.
async fn zone(ovh: &Ovh, method: &str, path: &str, body: Value) -> Told {
    let url = format!("{}/domain/zone/{ZONE}{path}", ovh.url());
    let token = format!("Bearer {}", ovh.token());
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    call(method, &url, &[("authorization", token)], &body).await
}

/// Makes a record, and gives its id.
async fn create(ovh: &Ovh, field_type: &str, sub_domain: &str, target: &str) -> u64 {
    let record = json!({"fieldType": field_type, "subDomain": sub_domain, "target": target, "ttl": 60});
    let told = zone(ovh, "POST", "/record", record).await;
    assert_eq!(told.status, 200, "{}", told.text);
    told.json()["id"].as_u64().unwrap()
}

async fn read(ovh: &Ovh, id: u64) -> Value {
    zone(ovh, "GET", &format!("/record/{id}"), Value::Null).await.json()
}

/// Publishes, and waits until the service says that it did.
async fn refresh(ovh: &Ovh) {
    assert_eq!(zone(ovh, "POST", "/refresh", Value::Null).await.status, 204);
    let deployed = async || zone(ovh, "GET", "/status", Value::Null).await.json()["isDeployed"] == true;
    eventually("deployed", deployed).await;
}

#[tokio::test]
async fn nothing_is_served_before_a_refresh_and_its_end() {
    let ovh = start().await;
    create(&ovh, "A", "app", "192.0.2.7").await;
    let status = zone(&ovh, "GET", "/status", Value::Null).await.json();
    assert_eq!(status["isDeployed"], true, "it speaks of the last refresh");
    let app = async || served(ovh.dns(), "app.beta.example", RecordType::A).await;
    assert_eq!(app().await.0, ResponseCode::NXDomain);
    refresh(&ovh).await;
    assert_eq!(app().await.1, ["192.0.2.7"]);
}

#[tokio::test]
async fn a_second_refresh_is_refused_while_one_runs_and_what_came_late_is_not_served() {
    let mut options = FakeOptions::new(ZONE);
    options.delay = Duration::from_secs(1);
    let ovh = Ovh::start(options).await.unwrap();
    create(&ovh, "A", "early", "192.0.2.7").await;
    let first = zone(&ovh, "POST", "/refresh", Value::Null).await;
    assert_eq!((first.status, first.text.as_str()), (204, ""), "no JSON");
    create(&ovh, "A", "late", "192.0.2.8").await;
    assert_eq!(zone(&ovh, "POST", "/refresh", Value::Null).await.status, 409);
    let deployed = async || zone(&ovh, "GET", "/status", Value::Null).await.json()["isDeployed"] == true;
    assert!(!deployed().await);
    eventually("deployed", deployed).await;
    let early = served(ovh.dns(), "early.beta.example", RecordType::A).await;
    assert_eq!(early.1, ["192.0.2.7"]);
    let late = served(ovh.dns(), "late.beta.example", RecordType::A).await;
    assert_eq!(late.0, ResponseCode::NXDomain, "it waits for a refresh of its own");
}

/// The signature of a call at this time of the server.
fn signature(ovh: &Ovh, url: &str, at: u64) -> Vec<(&'static str, String)> {
    let (secret, consumer) = (ovh.application_secret(), ovh.consumer_key());
    let digest = Sha1::digest(format!("{secret}+{consumer}+GET+{url}++{at}"));
    let hex: Vec<_> = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    vec![
        ("x-ovh-application", ovh.application_key()),
        ("x-ovh-consumer", consumer),
        ("x-ovh-timestamp", at.to_string()),
        ("x-ovh-signature", format!("$1${}", hex.concat())),
    ]
}

#[tokio::test]
async fn a_signature_is_made_with_the_clock_of_the_server_and_of_the_whole_url() {
    let ovh = start().await;
    let url = format!("{}/domain/zone/{ZONE}/record?subDomain=", ovh.url());
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let late = call("GET", &url, &signature(&ovh, &url, ours), "").await;
    assert_eq!(
        (late.status, late.json()["errorCode"].as_str()),
        (400, Some("QUERY_TIME_OUT"))
    );

    let time = call("GET", &format!("{}/auth/time", ovh.url()), &[], "").await.json();
    let theirs = time.as_u64().unwrap();
    let other = url.replace("?subDomain=", "");
    let wrong = call("GET", &url, &signature(&ovh, &other, theirs), "").await;
    assert_eq!(
        (wrong.status, wrong.json()["errorCode"].as_str()),
        (400, Some("INVALID_SIGNATURE"))
    );
    assert_eq!(call("GET", &url, &signature(&ovh, &url, theirs), "").await.status, 200);
}

#[tokio::test]
async fn the_credential_reaches_its_zone_alone_until_its_time_is_over() {
    let ovh = start().await;
    let token = [("authorization", format!("Bearer {}", ovh.token()))];
    let all = call("GET", &format!("{}/domain/zone", ovh.url()), &token, "").await;
    assert_eq!(
        (all.status, all.json()["errorCode"].as_str()),
        (403, Some("NOT_GRANTED_CALL"))
    );
    assert!(all.headers.contains_key("x-ovh-queryid"));

    ovh.set_expiration(Some("2026-12-01T00:00:00Z"));
    let own = format!("{}/auth/currentCredential", ovh.url());
    let credential = call("GET", &own, &token, "").await.json();
    assert_eq!(credential["expiration"], "2026-12-01T00:00:00Z");
    assert!(credential["rules"].as_array().unwrap().contains(&json!({
        "method": "POST", "path": "/domain/zone/beta.example/refresh",
    })));

    ovh.expire_credentials();
    assert_eq!(zone(&ovh, "GET", "/record", Value::Null).await.status, 403);
    ovh.renew_credentials();
    assert_eq!(zone(&ovh, "GET", "/record", Value::Null).await.status, 200);
}

#[tokio::test]
async fn ids_are_others_after_somebody_edited_the_zone_as_text() {
    let ovh = start().await;
    let id = create(&ovh, "A", "app", "192.0.2.7").await;
    ovh.renumber();
    let change = zone(&ovh, "PUT", &format!("/record/{id}"), json!({"target": "192.0.2.8"})).await;
    assert_eq!(
        (change.status, change.json()["class"].as_str()),
        (404, Some("Client::NotFound"))
    );
    let found = zone(&ovh, "GET", "/record?fieldType=A&subDomain=app", Value::Null)
        .await
        .json();
    assert_ne!(found[0], id);
    assert_eq!(read(&ovh, found[0].as_u64().unwrap()).await["target"], "192.0.2.7");
}

#[tokio::test]
async fn what_is_read_is_not_what_was_written() {
    let ovh = start().await;
    let record = json!({"fieldType": "TXT", "subDomain": "App", "target": "x".repeat(300), "ttl": 0});
    let made = zone(&ovh, "POST", "/record", record).await.json();
    let expected = format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45));
    assert_eq!(
        (&made["target"], &made["ttl"], &made["subDomain"]),
        (&json!(expected), &json!(0), &json!("app"))
    );
    refresh(&ovh).await;
    let answer = tremplin_e2e::dns::query::ask(ovh.dns(), "app.beta.example", RecordType::TXT).await;
    let records = answer.unwrap().records;
    assert_eq!((records[0].ttl, &records[0].data), (3600, &expected));
}

#[tokio::test]
async fn a_target_without_a_dot_at_its_end_leads_into_the_zone() {
    let ovh = start().await;
    create(&ovh, "CNAME", "wrong", "mon-app.example.net").await;
    create(&ovh, "CNAME", "right", "mon-app.example.net.").await;
    refresh(&ovh).await;
    let wrong = served(ovh.dns(), "wrong.beta.example", RecordType::CNAME).await;
    assert_eq!(wrong.1, ["mon-app.example.net.beta.example."]);
    let right = served(ovh.dns(), "right.beta.example", RecordType::CNAME).await;
    assert_eq!(right.1, ["mon-app.example.net."]);
}

#[tokio::test]
async fn spf_dkim_and_dmarc_are_texts_that_a_search_for_texts_does_not_find() {
    let ovh = start().await;
    create(&ovh, "SPF", "", "v=spf1 -all").await;
    create(&ovh, "DMARC", "_dmarc", "v=DMARC1;p=reject;").await;
    let texts = zone(&ovh, "GET", "/record?fieldType=TXT", Value::Null).await.json();
    assert_eq!(texts, json!([]));
    refresh(&ovh).await;
    assert_eq!(served(ovh.dns(), ZONE, RecordType::TXT).await.1, ["\"v=spf1 -all\""]);
    let dmarc = served(ovh.dns(), "_dmarc.beta.example", RecordType::TXT).await;
    assert_eq!(dmarc.1, ["\"v=DMARC1;p=reject;\""]);
}

#[tokio::test]
async fn the_type_of_a_record_stays_whatever_is_asked() {
    let ovh = start().await;
    let id = create(&ovh, "A", "app", "192.0.2.7").await;
    let change = json!({"fieldType": "TXT", "target": "192.0.2.8"});
    let told = zone(&ovh, "PUT", &format!("/record/{id}"), change).await;
    assert_eq!((told.status, told.text.as_str()), (200, "null"));
    let now = read(&ovh, id).await;
    assert_eq!((&now["fieldType"], &now["target"]), (&json!("A"), &json!("192.0.2.8")));
}

#[tokio::test]
async fn a_write_that_is_tried_again_is_there_twice() {
    let ovh = start().await;
    let first = create(&ovh, "A", "app", "192.0.2.7").await;
    let second = create(&ovh, "A", "app", "192.0.2.7").await;
    assert_ne!(first, second);
    refresh(&ovh).await;
    assert_eq!(
        served(ovh.dns(), "app.beta.example", RecordType::A).await.1,
        ["192.0.2.7"]
    );
    assert_eq!(
        ovh.stored()
            .iter()
            .filter(|record| record.name == "app.beta.example")
            .count(),
        2
    );
    let gone = zone(&ovh, "DELETE", &format!("/record/{first}"), Value::Null).await;
    assert_eq!((gone.status, gone.text.as_str()), (200, "null"));
    refresh(&ovh).await;
    assert_eq!(
        served(ovh.dns(), "app.beta.example", RecordType::A).await.1,
        ["192.0.2.7"]
    );
}

#[tokio::test]
async fn an_alias_beside_other_data_is_taken_and_keeps_the_whole_zone_from_being_deployed() {
    let ovh = start().await;
    create(&ovh, "A", "app", "192.0.2.7").await;
    let alias = create(&ovh, "CNAME", "app", "elsewhere.example.").await;
    create(&ovh, "A", "innocent", "192.0.2.8").await;
    assert_eq!(zone(&ovh, "POST", "/refresh", Value::Null).await.status, 204);
    let told = async || zone(&ovh, "GET", "/status", Value::Null).await.json();
    eventually("an error", async || told().await["errors"].is_array()).await;
    assert_eq!(told().await["isDeployed"], false);
    let innocent = async || served(ovh.dns(), "innocent.beta.example", RecordType::A).await;
    assert_eq!(innocent().await.0, ResponseCode::NXDomain);
    zone(&ovh, "DELETE", &format!("/record/{alias}"), Value::Null).await;
    refresh(&ovh).await;
    assert_eq!(innocent().await.1, ["192.0.2.8"]);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_class() {
    let ovh = start().await;
    let record = |field_type: &str, sub_domain: &str, target: &str, ttl: u32| json!({"fieldType": field_type, "subDomain": sub_domain, "target": target, "ttl": ttl});
    for (body, why) in [
        (record("A", "_app", "192.0.2.7", 60), "underscore not allowed"),
        (record("A", "app", "not-an-address", 60), "Invalid target"),
        (record("A", "app", "192.0.2.7", 30), "Invalid ttl"),
        (record("ALIAS", "", "x.example.", 60), "not a valid type"),
    ] {
        let told = zone(&ovh, "POST", "/record", body).await;
        assert_eq!(
            (told.status, told.json()["class"].as_str()),
            (400, Some("Client::BadRequest"))
        );
        assert!(told.text.contains(why), "{}", told.text);
    }
    let url = format!("{}/domain/zone/other.example/record", ovh.url());
    ovh.grant("GET", "/domain/zone/other.example/*");
    let told = call("GET", &url, &[("authorization", format!("Bearer {}", ovh.token()))], "").await;
    assert_eq!(
        (told.status, told.json()["message"].as_str()),
        (404, Some("This service does not exist"))
    );
}

/// `import` takes what it is given in the place of what was there; the others leave nothing.
#[tokio::test]
async fn a_call_that_replaces_the_zone_takes_everything_away_and_is_remembered() {
    for (path, body) in [
        ("/reset", Value::Null),
        ("/terminate", Value::Null),
        ("/import", json!({"zoneFile": "new IN A 192.0.2.9"})),
    ] {
        let ovh = start().await;
        ovh.seed("www IN A 192.0.2.1").unwrap();
        ovh.grant("POST", "/domain/zone/*");
        assert_eq!(zone(&ovh, "POST", path, body).await.status, 200, "{path}");
        assert_eq!(
            served(ovh.dns(), "www.beta.example", RecordType::A).await.0,
            ResponseCode::NXDomain,
            "{path}"
        );
        let forbidden = ovh.take_forbidden();
        assert_eq!(forbidden.len(), 1, "{path}");
        assert!(forbidden[0].path.ends_with(path), "{forbidden:?}");
    }
}

#[tokio::test]
async fn the_whole_zone_is_had_in_one_call() {
    let ovh = start().await;
    ovh.seed("www IN A 192.0.2.1").unwrap();
    let text = zone(&ovh, "GET", "/export", Value::Null).await.json();
    let text = text.as_str().unwrap();
    assert!(text.contains("\nwww\t3600\tIN\tA\t192.0.2.1\n"), "{text}");
    assert!(text.contains("\n@\tIN SOA "), "{text}");
    let soa = zone(&ovh, "GET", "/soa", Value::Null).await.json();
    let answer = served(ovh.dns(), ZONE, RecordType::SOA).await.1;
    assert!(answer[0].contains(&format!(" {} ", soa["serial"])), "{answer:?} {soa}");
}
