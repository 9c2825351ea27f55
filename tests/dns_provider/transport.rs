//! What is between us and any provider: certificates of a private authority, answers without an end, echoes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use tremplin::dns_provider::{Failure, Provider, Shared, build};

use super::server::ZONE;
use super::zone::name;

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

/// Reads one request and answers it. What goes wrong is the client's to tell.
fn serve(mut stream: impl Read + Write, answer: &str) {
    let mut request = Vec::new();
    let mut some = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut some) {
            Ok(length) if length > 0 => request.extend_from_slice(&some[..length]),
            _ => return,
        }
    }
    let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
}

/// A server that answers every request of a connection of its own like this; it ends with the test.
fn plain(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            serve(stream, &answer);
        }
    });
    url
}

/// The same with TLS, and the certificate of its authority.
fn encrypted(answer: String) -> (String, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
    let certificate = params.signed_by(&key, &authority).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(StreamOwned::new(connection, stream), &answer);
        }
    });
    (url, authority.pem())
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
