//! `dns import` from a provider, with its credential.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tremplin_e2e::dns::query::{self, RecordType};

use super::common;
use super::place::tempdir;
use super::world::Server;
use super::{PROGRAM, ran, tremplin};

/// The DnsZone and the credential of a server, as files; `url` in the place of the server's own.
fn provider_files(server: &Server, domain: &str, url: Option<&str>) -> (String, String) {
    let folder = tempdir();
    let mut provider = server.provider("zone");
    if let Some(url) = url {
        provider["powerDNS"]["url"] = url.into();
    }
    let zone = serde_json::json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "zone"},
        "spec": {"domain": domain, "provider": provider},
    });
    let lines = server
        .secret()
        .into_iter()
        .map(|(key, value)| format!("{key}={value}\n"));
    let (zone_file, secret_file) = (
        folder.join(format!("{domain}.yaml")),
        folder.join(format!("{domain}.secret")),
    );
    std::fs::write(&zone_file, zone.to_string()).unwrap();
    std::fs::write(&secret_file, lines.collect::<String>()).unwrap();
    let text = |path: &Path| path.to_string_lossy().into_owned();
    (text(&zone_file), text(&secret_file))
}

const TO_IMPORT: &str = "app IN A 192.0.2.1\napp IN A 192.0.2.2\nold IN CNAME app\nsub IN NS ns1.other.example.\nsub IN NS ns2.other.example.";

#[tokio::test]
async fn a_zone_is_imported_from_its_provider() {
    for (domain, server) in [
        ("from.example", Server::power_dns("from.example", TO_IMPORT).await),
        ("of.example", Server::bind("of.example", TO_IMPORT).await),
    ] {
        let before = query::ask(server.dns(), domain, RecordType::SOA)
            .await
            .unwrap()
            .data(RecordType::SOA);
        let (zone, secret) = provider_files(&server, domain, None);
        let import = [
            "dns",
            "import",
            "--zone",
            domain,
            "--provider-file",
            &zone,
            "--secret-file",
            &secret,
        ];
        let (code, output, errors) = tremplin(&import).await;
        assert_eq!(code, Some(0), "{output}{errors}");
        let documents = output.split("---\n").skip(1);
        let found: Vec<Value> = documents.map(|text| serde_saphyr::from_str(text).unwrap()).collect();
        let specs: Vec<_> = found.iter().map(|record| record["spec"].clone()).collect();
        let spec = |text: &str| common::yaml(&text.replace("ZONE", domain));
        for expected in [
            spec("{name: app.ZONE, targets: [192.0.2.1, 192.0.2.2]}"),
            spec("{name: old.ZONE, targets: [app.ZONE]}"),
            spec("{name: sub.ZONE, delegation: {nameservers: [ns1.other.example, ns2.other.example]}}"),
        ] {
            let is_it = |found: &Value| {
                let parts = expected.as_object().unwrap().iter();
                parts.clone().all(|(key, value)| found[key] == *value)
            };
            assert!(specs.iter().any(is_it), "{expected} is not in {output}");
        }
        assert!(
            errors.contains(&format!("left out: {domain} NS")) && errors.contains(&format!("left out: {domain} SOA")),
            "{errors}"
        );
        assert!(output.contains(&format!("#   - name: app.{domain}")), "{output}");
        let (code, output, errors) = tremplin(&[import.as_slice(), &["--adoptions"]].concat()).await;
        assert_eq!(code, Some(0), "{output}{errors}");
        let given: Value = serde_saphyr::from_str(&output).unwrap();
        assert_eq!(given["spec"]["adoptions"].as_array().unwrap().len(), 4, "{output}");
        // Read, and no more.
        let after = query::ask(server.dns(), domain, RecordType::SOA)
            .await
            .unwrap()
            .data(RecordType::SOA);
        assert_eq!(after, before);
        // With another's credential it says so.
        std::fs::write(&secret, "api-key=wrong\ntsig-key-name=tremplin\ntsig-secret=d3Jvbmc=\n").unwrap();
        let (code, output, errors) = tremplin(&import).await;
        assert_eq!((code, output.as_str()), (Some(2), ""), "{errors}");
    }
}

/// A proxy that refuses everything, and the first line of each request.
fn refusing_proxy() -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = lines.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .map_while(Result::ok);
            if let Some(first) = head.next() {
                kept.lock().unwrap().push(first);
            }
            // All of the request: a connection that is closed before is reset.
            head.take_while(|line| !line.is_empty()).for_each(drop);
            let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (url, lines)
}

/// No name of these is known: only a proxy could reach them.
#[tokio::test]
async fn providers_are_reached_by_the_proxy_that_the_environment_names() {
    let server = Server::power_dns("proxied.example", "app IN A 192.0.2.1").await;
    let direct = server.provider("zone")["powerDNS"]["url"].as_str().unwrap().to_owned();
    for (url, variable, not_for, expected) in [
        (
            "https://dns.invalid",
            "HTTPS_PROXY",
            "",
            Some("CONNECT dns.invalid:443 HTTP/1.1"),
        ),
        ("https://dns.invalid", "HTTPS_PROXY", "dns.invalid", None),
        ("https://dns.invalid", "HTTPS_PROXY", ".invalid,10.0.0.0/8", None),
        (
            "http://dns.invalid",
            "HTTP_PROXY",
            "",
            Some("GET http://dns.invalid/api/v1/servers/localhost/zones/"),
        ),
        ("http://dns.invalid", "HTTP_PROXY", "invalid", None),
        (direct.as_str(), "HTTP_PROXY", "127.0.0.0/8", None),
    ] {
        let (proxy, lines) = refusing_proxy();
        let (zone, secret) = provider_files(&server, "proxied.example", Some(url));
        let mut command = Command::new(PROGRAM);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "REQUEST_METHOD"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.env(variable, &proxy).env("NO_PROXY", not_for);
        command.args(["dns", "import", "--zone", "proxied.example"]);
        command.args(["--provider-file", &zone, "--secret-file", &secret]);
        let (code, output, errors) = tokio::task::spawn_blocking(move || ran(&mut command)).await.unwrap();
        let asked = lines.lock().unwrap().clone();
        let what = format!("{url} {variable} not for {not_for:?}: {asked:?} {output}{errors}");
        match expected {
            Some(line) => assert!(asked.first().is_some_and(|first| first.starts_with(line)), "{what}"),
            None => assert_eq!(asked, Vec::<String>::new(), "{what}"),
        }
        // The server itself is reached where nothing is between.
        assert_eq!(code, Some(if url == direct { 0 } else { 2 }), "{what}");
    }
}
