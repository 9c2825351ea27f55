//! The commands about names and zones, with real name servers and on the real API server.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;
#[path = "command_line/place.rs"]
#[allow(dead_code)]
mod place;
#[path = "dns_command_line/plan.rs"]
mod plan;
#[path = "dns/world.rs"]
mod world;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use common::start;
use place::tempdir;
use serde_json::Value;
use tremplin_e2e::dns::query::{self, RecordType};
use tremplin_e2e::dns::{Bind, BindOptions, PowerDns, PowerDnsOptions, ZoneText, free_address};
use world::{Server, World};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tremplin");

/// Exit code, output and errors.
type Ran = (Option<i32>, String, String);

fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Runs the program; it waits on name servers of this process's children alone.
async fn tremplin(arguments: &[&str]) -> Ran {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    tokio::task::spawn_blocking(move || ran(Command::new(PROGRAM).args(arguments)))
        .await
        .unwrap()
}

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
        assert!(!rustix_is_root(), "root has no port 53");
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

fn rustix_is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|this| std::os::unix::fs::MetadataExt::uid(&this) == 0)
}

async fn bind(domain: &str, records: &str) -> (Bind, SocketAddr) {
    let options = BindOptions {
        zones: vec![ZoneText::with(domain, records)],
        update_policy: None,
    };
    let bind = Bind::start(options).await.unwrap();
    let address = bind.address();
    (bind, address)
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

const RECORDS: &str = "
apiVersion: tremplin.dev/v1alpha1
kind: DnsRecord
metadata: {name: new}
spec: {name: new.plan.example, targets: [192.0.2.7]}
---
apiVersion: tremplin.dev/v1alpha1
kind: DnsRecord
metadata: {name: taken}
spec: {name: taken.plan.example, targets: [192.0.2.7]}
---
apiVersion: tremplin.dev/v1alpha1
kind: DnsRecord
metadata: {name: reserved}
spec: {name: www.plan.example, targets: [192.0.2.7]}
---
apiVersion: tremplin.dev/v1alpha1
kind: DnsRecord
metadata: {name: elsewhere}
spec: {name: app.elsewhere.example, targets: [192.0.2.7]}
";

/// The DnsZone of a server, as a platform team has it in Git.
fn zone_manifest(domain: &str, server: SocketAddr) -> String {
    let (ip, port) = (server.ip(), server.port());
    format!(
        "---\napiVersion: tremplin.dev/v1alpha1\nkind: DnsZone\nmetadata: {{name: plan}}\nspec:\n  domain: {domain}\n  mode: Enforce\n  \
         provider: {{type: RFC2136, secretRef: {{name: s}}, rfc2136: {{server: '{server}'}}}}\n  authorities: [{{address: {ip}, port: {port}}}]\n  \
         admission: {{namespaces: {{}}, namePolicy: {{reserved: [www]}}, targets: {{denyPrivate: false}}}}\n"
    )
}

#[tokio::test]
async fn a_plan_tells_what_would_be_written_and_what_would_be_refused() {
    let (bind, address) = bind("plan.example", "taken IN A 198.51.100.1").await;
    let folder = tempdir();
    let file = folder.join("plan.yaml");
    std::fs::write(&file, format!("{RECORDS}{}", zone_manifest("plan.example", address))).unwrap();
    let plan = async || tremplin(&["dns", "plan", "--offline", "-o", "json", "-f", file.to_str().unwrap()]).await;
    let (code, output, errors) = plan().await;
    assert_eq!(code, Some(1), "{output}{errors}");
    let told: Value = serde_json::from_str(&output).unwrap();
    let actions = |index: usize| -> Vec<String> {
        let sets = told["records"][index]["sets"].as_array().unwrap().iter();
        sets.map(|set| format!("{} {} {}", set["action"], set["name"], set["type"]).replace('"', ""))
            .collect()
    };
    assert_eq!(
        actions(0),
        ["Create new.plan.example A", "Create _tremplin.new.plan.example TXT"]
    );
    assert_eq!(actions(1), ["Foreign taken.plan.example A"]);
    assert_eq!(actions(2), ["Refused www.plan.example A"]);
    assert_eq!(actions(3), Vec::<String>::new());
    let refused = |index: usize| told["records"][index]["refused"]["reason"].as_str();
    assert_eq!(
        [refused(0), refused(1), refused(2), refused(3)],
        [None, Some("NotOurs"), Some("NameReserved"), Some("NoZone")]
    );
    // Who does not answer is not taken for somebody who has nothing.
    bind.kill();
    let (code, output, _) = plan().await;
    let told: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(
        (code, told["records"][0]["sets"][0]["action"].as_str()),
        (Some(1), Some("Unknown"))
    );
}

#[tokio::test]
async fn what_lives_in_a_cluster_is_told_with_the_rights_of_who_asks() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("cli.example", "").await;
    world
        .open("cli", "cli.example", &server, "{contact: desk@example.org}")
        .await;
    let (blue, red) = (
        world.team(control_plane, "blue").await,
        world.team(control_plane, "red").await,
    );
    let spec = "{name: app.cli.example, targets: [192.0.2.1]}";
    world.commit(&blue, "app", spec).await;
    world.record(&blue, "app", "Published").await;
    world.commit(&red, "theirs", spec).await;
    world.record(&red, "theirs", "NameHeld").await;
    let kubeconfig = control_plane.kubeconfig();
    let kubeconfig = kubeconfig.to_str().unwrap();
    let run = async |arguments: &[&str]| tremplin(&[arguments, &["--kubeconfig", kubeconfig]].concat()).await;

    let (code, output, errors) = run(&["dns", "plan", "-n", &blue]).await;
    assert_eq!(code, Some(0), "{output}{errors}");
    assert!(
        output.contains("Same") && output.contains(&format!("held by {blue}")),
        "{output}"
    );
    let (code, output, errors) = run(&["dns", "plan", "-n", &red]).await;
    assert_eq!(code, Some(1), "{output}{errors}");
    assert!(output.contains("refused (NameHeld)"), "{output}");

    let address = server.dns().to_string();
    let verify = [
        "dns",
        "verify",
        "app.cli.example",
        "--record",
        "app",
        "--server",
        &address,
        "-n",
        &blue,
    ];
    let (code, output, errors) = run(&verify).await;
    assert_eq!(code, Some(0), "{output}{errors}");

    let (code, output, errors) = run(&["dns", "zone-report", "cli.example", "-o", "json"]).await;
    assert_eq!(code, Some(1), "{output}{errors}");
    let told: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(told["claims"][&blue], serde_json::json!(["app.cli.example"]));
    assert_eq!(told["troubled"][0]["namespace"], Value::from(red.as_str()));
    assert_eq!(
        told["findings"],
        serde_json::json!(["1 DnsRecord(s) ask for a name that somebody else has"])
    );

    let (code, output, errors) = run(&["why", "dnsrecord/app", "-n", &blue]).await;
    assert_eq!(code, Some(0), "{output}{errors}");
    assert!(
        output.starts_with(&format!("DnsRecord app in {blue}: well (Published)")),
        "{output}"
    );
    assert!(output.contains("answers as asked"), "{output}");
    let (code, output, errors) = run(&["why", "tdns/theirs", "-n", &red]).await;
    assert_eq!(code, Some(1), "{output}{errors}");
    assert!(
        output.contains(&format!("held by the namespace {blue}")) && output.contains("ask blue@example.org"),
        "{output}"
    );
    let (code, output, errors) = run(&["why", "dnsclaim/app.cli.example"]).await;
    assert_eq!(code, Some(0), "{output}{errors}");
    let (code, output, errors) = run(&["why", "dnszone/cli"]).await;
    assert_eq!(code, Some(0), "{output}{errors}");
    let (code, _, errors) = run(&["why", "dnszone/none"]).await;
    assert_eq!((code, errors.as_str()), (Some(2), "error: there is no DnsZone none\n"));
}

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
