//! `dns verify` asks every authoritative server itself.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tremplin_e2e::dns::{PowerDns, PowerDnsOptions, ZoneText, free_address};

use super::common::is_root;
use super::place::tempdir;
use super::{PROGRAM, Ran, bind, ran, tremplin};

/// The same where this server is the system's resolver: in a mount namespace of its own.
async fn behind(resolver: IpAddr, arguments: &[&str]) -> Ran {
    let conf = tempdir().join(format!("resolv-{resolver}.conf"));
    std::fs::write(&conf, format!("nameserver {resolver}\n")).unwrap();
    let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script])
        .arg(conf)
        .arg(PROGRAM)
        .args(arguments);
    tokio::task::spawn_blocking(move || ran(&mut command)).await.unwrap()
}

fn record(folder: &Path, spec: &str) -> String {
    let file = folder.join("record.yaml");
    let text = format!("apiVersion: tremplin.dev/v1alpha1\nkind: DnsRecord\nmetadata: {{name: app}}\nspec: {spec}\n");
    std::fs::write(&file, text).unwrap();
    file.to_string_lossy().into_owned()
}

#[tokio::test]
async fn the_servers_of_a_zone_are_found_on_port_53_and_each_is_asked() {
    // Port 53 is root's, unless the machine says otherwise.
    let (Ok(first), Ok(second)) = (free_address(), free_address()) else {
        assert!(!is_root(), "root has no port 53");
        return;
    };
    let zone = |address: &str| {
        let records = format!(
            "@ IN NS ns2\nns2 IN A {}\napp IN A {address}\n*.wild IN TXT free",
            second.ip()
        );
        let IpAddr::V4(ip) = first.ip() else { panic!() };
        PowerDnsOptions {
            zones: vec![ZoneText::served_at("found.example", ip, &records)],
        }
    };
    let _first = PowerDns::start_at(first, &zone("192.0.2.1")).await.unwrap();
    let behind_first = PowerDns::start_at(second, &zone("192.0.2.9")).await.unwrap();

    let (code, output, errors) = behind(first.ip(), &["dns", "verify", "App.found.example", "--type", "a"]).await;
    assert_eq!(code, Some(1), "{output}{errors}");
    assert!(
        output.starts_with("app.found.example, in the zone found.example\n"),
        "{output}"
    );
    for server in ["ns1.found.example", "ns2.found.example"] {
        let lines = output.lines().filter(|line| line.starts_with(server));
        let address = if server.starts_with("ns1") {
            "192.0.2.1"
        } else {
            "192.0.2.9"
        };
        assert!(
            lines.clone().count() == 1 && lines.clone().all(|line| line.ends_with(address)),
            "{output}"
        );
    }
    assert!(output.ends_with("The servers do not agree.\n"), "{output}");

    // What both have; and below the name that nobody holds, the zone is the same.
    let (code, output, errors) = behind(first.ip(), &["dns", "verify", "a.wild.found.example", "--type", "txt"]).await;
    assert_eq!(code, Some(0), "{output}{errors}");
    let (code, output, errors) = behind(first.ip(), &["dns", "verify", "no.such.found.example"]).await;
    assert_eq!(code, Some(1), "{output}{errors}");
    assert!(
        output.contains("no such name") && output.ends_with("The servers agree: there is nothing.\n"),
        "{output}"
    );

    // A server that is silent is no agreement.
    behind_first.kill();
    let (code, output, errors) = behind(
        first.ip(),
        &["dns", "verify", "a.wild.found.example", "--type", "txt", "-o", "json"],
    )
    .await;
    assert_eq!(code, Some(1), "{output}{errors}");
    let told: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(
        (told["agree"].as_bool(), told["zone"].as_str()),
        (Some(false), Some("found.example"))
    );
    let failures = told["answers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["failure"].is_string());
    assert_eq!(
        failures.map(|row| row["server"].as_str().unwrap()).collect::<Vec<_>>(),
        ["ns2.found.example"]
    );

    let (code, _, errors) = behind(first.ip(), &["dns", "verify", "app.elsewhere.invalid"]).await;
    assert_eq!(code, Some(2));
    assert!(
        errors.contains("no zone was found for app.elsewhere.invalid"),
        "{errors}"
    );
}

#[tokio::test]
async fn what_a_record_asks_for_is_compared_with_what_is_answered() {
    let (_bind, address) = bind(
        "verify.example",
        "app IN A 192.0.2.1\napp IN A 192.0.2.2\nalias IN CNAME app\ntext IN TXT one\ntext IN TXT two",
    )
    .await;
    let (folder, server) = (tempdir(), address.to_string());
    let verify = async |name: &str, more: &[&str]| {
        let arguments = [&["dns", "verify", name, "--server", &server], more].concat();
        tremplin(&arguments).await
    };
    let file = record(&folder, "{name: app.verify.example, targets: [192.0.2.2, 192.0.2.1]}");
    let (code, output, errors) = verify("app.verify.example", &["-f", &file]).await;
    assert_eq!(code, Some(0), "{output}{errors}");
    assert!(output.ends_with("it is what the DnsRecord asks for.\n"), "{output}");

    let file = record(&folder, "{name: app.verify.example, targets: [192.0.2.7]}");
    let (code, output, errors) = verify("app.verify.example", &["-f", &file]).await;
    assert_eq!(code, Some(1), "{output}{errors}");
    assert!(
        output.contains("app.verify.example A: answers 192.0.2.1, 192.0.2.2")
            && output.ends_with("asks for something else.\n"),
        "{output}"
    );
    let (code, _, errors) = verify("other.verify.example", &["-f", &file]).await;
    assert_eq!(code, Some(2));
    assert!(errors.contains("has no DnsRecord of other.verify.example"), "{errors}");

    // What another record says beside it is none of this one's business.
    for (text, expected) in [("one", 0), ("three", 1)] {
        let spec = format!("{{name: text.verify.example, type: TXT, values: [{text}]}}");
        let (code, output, errors) = verify("text.verify.example", &["-f", &record(&folder, &spec)]).await;
        assert_eq!(code, Some(expected), "{output}{errors}");
    }

    let (code, output, _) = verify("alias.verify.example", &[]).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("192.0.2.1, 192.0.2.2, CNAME app.verify.example"),
        "{output}"
    );

    // A server that does not serve the zone answers for nobody.
    let (code, _, errors) = verify("app.elsewhere.example", &[]).await;
    assert_eq!((code, errors.as_str()), (Some(2), "error: no server answers\n"));
}
