//! What a DnsZone and its Secret say beside address and credential, as it goes over the wire.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tremplin::dns_provider::{Failure, Provider, Shared, build};

use super::server::ZONE;
use super::zone::name;

/// A server that hangs up, and what it was sent, as text.
fn listening() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let kept = Arc::new(Mutex::new(String::new()));
    let sent = kept.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut some = [0; 8192];
            let length = stream.read(&mut some).unwrap_or_default();
            sent.lock().unwrap().push_str(&String::from_utf8_lossy(&some[..length]));
            let _ = stream.write_all(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (address, kept)
}

fn provider(settings: Value, secret: &[(&str, &str)]) -> Result<Box<dyn Provider>, Failure> {
    let settings = serde_json::from_value(settings).unwrap();
    let secret = secret
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
    build(
        &settings,
        &name(ZONE),
        &secret.collect::<BTreeMap<_, _>>(),
        None,
        &Shared::default(),
    )
}

/// What is sent when the whole zone is read.
async fn sent(settings: impl FnOnce(&str) -> Value, secret: &[(&str, &str)]) -> String {
    let (address, kept) = listening();
    let provider = provider(settings(&address), secret).unwrap();
    let failure = provider.read_all().await.unwrap_err();
    assert!(matches!(failure, Failure::Unavailable(_)), "{failure:?}");
    kept.lock().unwrap().clone()
}

#[tokio::test]
async fn an_organisation_of_gandi_is_named_in_every_call() {
    let of = |id: Option<&'static str>| move |address: &str| json!({"type": "Gandi", "gandi": {"url": format!("http://{address}"), "sharingID": id}});
    let text = sent(of(Some("0b7c-11ee")), &[("token", "secret")]).await;
    assert!(text.lines().next().unwrap().contains("sharing_id=0b7c-11ee"), "{text}");
    assert!(!sent(of(None), &[("token", "secret")]).await.contains("sharing_id"));
}

#[tokio::test]
async fn a_server_of_powerdns_may_have_another_name() {
    let of = |id: Option<&'static str>| move |address: &str| json!({"type": "PowerDNS", "powerDNS": {"url": format!("http://{address}"), "serverID": id}});
    for (id, expected) in [
        (Some("main"), "GET /api/v1/servers/main/zones/beta.example. "),
        (None, "GET /api/v1/servers/localhost/zones/beta.example. "),
    ] {
        let text = sent(of(id), &[("api-key", "secret")]).await;
        assert!(text.starts_with(expected), "{text}");
    }
}

#[tokio::test]
async fn a_hosted_zone_that_is_named_is_not_looked_up_and_a_session_is_signed() {
    let of = |id: Option<&'static str>| move |address: &str| json!({"type": "Route53", "route53": {"url": format!("http://{address}"), "hostedZoneID": id}});
    let keys = [("access-key-id", "AKIA"), ("secret-access-key", "secret")];
    let session = [keys.as_slice(), &[("session-token", "for-an-hour")]].concat();
    for id in ["Z0123ABC", "/hostedzone/Z0123ABC"] {
        let text = sent(of(Some(id)), &session).await;
        assert!(text.starts_with("GET /2013-04-01/hostedzone/Z0123ABC/rrset"), "{text}");
        let lower = text.to_lowercase();
        assert!(lower.contains("x-amz-security-token: for-an-hour"), "{text}");
        let signed = lower.lines().find_map(|line| line.split_once("signedheaders="));
        assert!(signed.unwrap().1.contains("x-amz-security-token"), "{text}");
    }
    let text = sent(of(None), &keys).await;
    assert!(text.starts_with("GET /2013-04-01/hostedzonesbyname"), "{text}");
    assert!(!text.to_lowercase().contains("security-token"), "{text}");
}

#[tokio::test]
async fn a_key_of_another_algorithm_signs_with_it() {
    let secret = |algorithm| {
        [
            ("tsig-key-name", "tremplin"),
            ("tsig-secret", "c2VjcmV0"),
            ("tsig-algorithm", algorithm),
        ]
    };
    let of = |address: &str| json!({"type": "RFC2136", "rfc2136": {"server": address}});
    for (written, sent_as) in [
        ("hmac-sha256", "hmac-sha256"),
        ("HMAC-SHA384.", "hmac-sha384"),
        ("hmac-sha512", "hmac-sha512"),
    ] {
        let text = sent(of, &secret(written)).await;
        assert!(text.to_lowercase().contains(sent_as), "{text:?}");
    }
    // RFC 8945, 10: not to be used.
    let refused = provider(of("192.0.2.1"), &secret("hmac-md5.sig-alg.reg.int")).err();
    assert!(
        matches!(&refused, Some(Failure::Settings(why)) if why.contains("tsig-algorithm")),
        "{refused:?}"
    );
}
