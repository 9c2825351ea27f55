//! The commands about names and zones, with real name servers and on the real API server.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;
#[path = "dns_command_line/from_provider.rs"]
mod from_provider;
#[path = "command_line/place.rs"]
#[allow(dead_code)]
mod place;
#[path = "dns_command_line/plan.rs"]
mod plan;
#[path = "dns_command_line/verify.rs"]
mod verify;
#[path = "dns/world.rs"]
mod world;

use std::net::SocketAddr;
use std::process::Command;

use common::start;
use place::tempdir;
use serde_json::Value;
use tremplin_e2e::dns::{Bind, BindOptions, ZoneText};
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

async fn bind(domain: &str, records: &str) -> (Bind, SocketAddr) {
    let options = BindOptions {
        zones: vec![ZoneText::with(domain, records)],
        update_policy: None,
    };
    let bind = Bind::start(options).await.unwrap();
    let address = bind.address();
    (bind, address)
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
