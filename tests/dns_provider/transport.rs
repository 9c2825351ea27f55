//! What is between us and any provider: certificates of a private authority, answers without an end, echoes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;

use serde_json::json;
use tremplin::dns_provider::{Failure, Provider, Shared, build};
use tremplin_core::dns::Change;

use super::server::ZONE;
use super::tls;
use super::zone::{name, set};

const KEY: &str = "s3cret-key";
const ZONE_JSON: &str = r#"{"kind": "Native", "rrsets": []}"#;

/// A zone at a PowerDNS of this address.
fn powerdns(url: &str, ca: Option<&str>) -> Box<dyn Provider> {
    let settings = json!({"type": "PowerDNS", "secretRef": {"name": "zone"}, "powerDNS": {"url": url}});
    let secret = BTreeMap::from([("api-key".to_owned(), KEY.as_bytes().to_vec())]);
    let settings = serde_json::from_value(settings).unwrap();
    build(
        &settings,
        &name(ZONE),
        &secret,
        ca.map(str::as_bytes),
        &Shared::default(),
    )
    .unwrap()
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// A server that answers every request of a connection of its own like this; it ends with the test.
fn plain(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // What goes wrong is the client's to tell.
            if tls::request(&mut stream).is_some() {
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    url
}

/// The same with TLS, and the certificate of its authority.
fn encrypted(answer: String) -> (String, String) {
    tls::encrypted(move |_| answer.clone().into_bytes())
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_given() {
    let (url, ca) = encrypted(answer("200 OK", ZONE_JSON));
    powerdns(&url, Some(&ca)).verify().await.unwrap();
    let failure = powerdns(&url, None).verify().await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Unavailable(why) if why.contains("certificate")),
        "{failure:?}"
    );
    let (_, other) = encrypted(String::new());
    let failure = powerdns(&url, Some(&other)).verify().await.unwrap_err();
    assert!(matches!(failure, Failure::Unavailable(_)), "{failure:?}");
}

#[tokio::test]
async fn what_is_no_certificate_is_a_fault_of_the_settings() {
    let settings = json!({"type": "PowerDNS", "secretRef": {"name": "zone"}, "powerDNS": {"url": "https://a.example"}});
    let secret = BTreeMap::from([("api-key".to_owned(), KEY.as_bytes().to_vec())]);
    let settings = serde_json::from_value(settings).unwrap();
    for (secret, ca, word) in [
        (&secret, Some(b"nothing".as_slice()), "ca.crt"),
        (&BTreeMap::new(), None, "api-key"),
    ] {
        let built = build(&settings, &name(ZONE), secret, ca, &Shared::default());
        assert!(
            matches!(&built, Err(Failure::Settings(why)) if why.contains(word)),
            "{:?}",
            built.err()
        );
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_given_up() {
    let body = format!("{{\"kind\": \"{}\"}}", "x".repeat(17 * 1024 * 1024));
    let failure = powerdns(&plain(answer("200 OK", &body)), None)
        .verify()
        .await
        .unwrap_err();
    assert!(
        matches!(&failure, Failure::Unavailable(why) if why.contains("more than")),
        "{failure:?}"
    );
}

#[tokio::test]
async fn an_answer_without_a_body_is_no_page_for_people() {
    let written = async |body: &str| {
        let length = body.len();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close";
        let url = plain(format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}"));
        let change = Change::create(set("app", "A", 600, &["192.0.2.1"]));
        powerdns(&url, None).write(&[change]).await
    };
    for blank in ["", "\r\n"] {
        assert_eq!(written(blank).await, Ok(()), "{blank:?}");
    }
    let failure = written("<h1>Sign in</h1>").await.unwrap_err();
    assert!(matches!(failure, Failure::Unavailable(_)), "{failure:?}");
}

#[tokio::test]
async fn a_credential_that_is_echoed_goes_no_further() {
    let body = format!("{{\"error\": \"the key {KEY} may not\\nwrite\"}}");
    let failure = powerdns(&plain(answer("403 Forbidden", &body)), None)
        .verify()
        .await
        .unwrap_err();
    assert_eq!(
        failure,
        Failure::Unauthorized("PowerDNS answered 403: the key *** may not write".into())
    );
}
