//! `dns plan` says what the operator does.

use std::fmt::Write as _;

use k8s_openapi::jiff::Timestamp;
use kube::api::DeleteParams;
use serde_json::Value;
use tremplin_core::api::DnsClaim;

use super::common::{eventually, start};
use super::place::tempdir;
use super::world::{Server, World};
use super::{bind, tremplin, zone_manifest};

fn record(name: &str, spec: &str) -> String {
    format!("---\napiVersion: tremplin.dev/v1alpha1\nkind: DnsRecord\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

/// What is planned for each record: its actions, and the reason of a refusal.
fn told(output: &str) -> Vec<String> {
    let told: Value = serde_json::from_str(output).unwrap();
    let plans = told["records"].as_array().unwrap().iter();
    plans
        .map(|plan| {
            let mut line = plan["record"].as_str().unwrap().to_owned();
            for set in plan["sets"].as_array().unwrap() {
                let [action, name, type_] = ["action", "name", "type"].map(|key| set[key].as_str().unwrap());
                let name = name.split(".plan.example").next().unwrap();
                write!(line, ", {action} {name} {type_}").unwrap();
            }
            if let Some(reason) = plan["refused"]["reason"].as_str() {
                write!(line, ", refused {reason}").unwrap();
            }
            line
        })
        .collect()
}

/// What is planned without a cluster for these records, in a zone with these data.
async fn planned(data: &str, records: &[(&str, &str)], change: impl Fn(String) -> String) -> Vec<String> {
    let (_bind, address) = bind("plan.example", data).await;
    let mut text = change(zone_manifest("plan.example", address));
    for (name, spec) in records {
        text += &record(name, spec);
    }
    let folder = tempdir();
    let file = folder.join("plan.yaml");
    std::fs::write(&file, text).unwrap();
    let arguments = ["dns", "plan", "--offline", "-o", "json", "-f", file.to_str().unwrap()];
    let (code, output, errors) = tremplin(&arguments).await;
    assert_eq!(code, Some(1), "{output}{errors}");
    told(&output)
}

#[tokio::test]
async fn records_of_one_commit_are_judged_together() {
    let records = [
        ("alias", "{name: a.plan.example, targets: [host.example.org]}"),
        ("text", "{name: a.plan.example, type: TXT, values: [x]}"),
        ("there", "{name: b.plan.example, targets: [c.plan.example]}"),
        ("back", "{name: c.plan.example, targets: [b.plan.example]}"),
        ("one", "{name: t.plan.example, type: TXT, values: [one]}"),
        ("two", "{name: t.plan.example, type: TXT, values: [two]}"),
        ("much", "{name: d.plan.example, targets: [192.0.2.1]}"),
    ];
    let quota = |zone: String| zone.replace("namePolicy:", "maxClaimsPerNamespace: 4, namePolicy:");
    let told = planned("", &records, quota).await;
    let expected = [
        "alias, Create a CNAME, Create _tremplin.a TXT",
        "text, Refused a TXT, refused DuplicateRecord",
        "there, Create b CNAME, Create _tremplin.b TXT",
        "back, Refused c CNAME, refused InvalidSpec",
        "one, Create t TXT, Create _tremplin.t TXT",
        "two, Create t TXT",
        "much, Create d A, Create _tremplin.d TXT",
    ];
    assert_eq!(told, expected);
    let quota = |zone: String| zone.replace("namePolicy:", "maxClaimsPerNamespace: 3, namePolicy:");
    let told = planned("", &records, quota).await;
    assert_eq!(told[6], "much, Refused d A, refused TooManyClaims");
    // As the operator says it of a zone that it cannot use.
    let broken = |zone: String| zone.replace("denyPrivate: false", "denyPrivate: false, allowCIDRs: [192.0.2.0/99]");
    assert_eq!(planned("", &records[..1], broken).await, ["alias, refused InvalidZone"]);
}

#[tokio::test]
async fn what_a_wildcard_or_the_owner_has_there_is_not_in_the_way() {
    let data = "*.wild IN A 192.0.2.9\n*.team IN A 192.0.2.7\nchild IN NS ns.example.org.\nmine IN NS ns1.example.org.\nmine IN NS ns2.example.org.\n\
        mine._tremplin IN TXT \"heritage=tremplin,cluster=c,namespace=old,since=2026-01-01T00:00:00Z,types=NS\"\n\
        moved IN A 192.0.2.7\nhost IN A 192.0.2.9\n\
        _tremplin.moved IN TXT \"heritage=tremplin,cluster=c,namespace=old,since=2026-01-01T00:00:00Z,types=A\"";
    let delegation = "delegation: {nameservers: [ns1.example.org, ns2.example.org]}";
    let (child, mine) = (
        format!("{{name: child.plan.example, {delegation}}}"),
        format!("{{name: mine.plan.example, {delegation}}}"),
    );
    let records = [
        ("new", "{name: new.wild.plan.example, targets: [192.0.2.7]}"),
        ("same", "{name: same.team.plan.example, targets: [192.0.2.7]}"),
        ("taken", "{name: '*.team.plan.example', targets: [192.0.2.8]}"),
        ("child", child.as_str()),
        ("mine", mine.as_str()),
        ("moved", "{name: moved.plan.example, targets: [192.0.2.7]}"),
        ("proof", "{name: _dmarc.host.plan.example, type: TXT, values: [x]}"),
    ];
    let given = |name: &str| {
        format!(
            "{{name: {name}.plan.example, namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: default}}}}}}"
        )
    };
    let adopted = |zone: String| {
        let zone = zone.replace("namePolicy:", "types: [A, NS, TXT], namePolicy:");
        format!("{zone}  adoptions: [{}, {}]\n", given("mine"), given("moved"))
    };
    let expected = [
        "new, Create new.wild A, Create _tremplin.new.wild TXT",
        "same, Create same.team A, Create _tremplin.same.team TXT",
        "taken, Foreign *.team A, refused NotOurs",
        "child, Foreign child NS, refused NotOurs",
        "mine, Same mine NS, Replace mine._tremplin TXT",
        "moved, Same moved A, Replace _tremplin.moved TXT",
        "proof, Foreign _dmarc.host TXT, refused NotOurs",
    ];
    assert_eq!(planned(data, &records, adopted).await, expected);
}

#[tokio::test]
async fn a_zone_without_marks_is_planned_without_them() {
    let data = "there IN A 192.0.2.7\nother IN A 192.0.2.9";
    let records = [
        ("new", "{name: new.plan.example, targets: [192.0.2.7]}"),
        ("there", "{name: there.plan.example, targets: [192.0.2.7]}"),
        ("other", "{name: other.plan.example, targets: [192.0.2.7]}"),
    ];
    let provider = |type_: &'static str| {
        move |zone: String| {
            let lines = zone.lines().map(|line| {
                let is_provider = line.trim_start().starts_with("provider:");
                if is_provider {
                    format!("  provider: {{type: {type_}}}\n")
                } else {
                    format!("{line}\n")
                }
            });
            lines.collect::<String>()
        }
    };
    let desk = [
        "new, Create new A",
        "there, Same there A",
        "other, Foreign other A, refused NotOurs",
    ];
    assert_eq!(planned(data, &records, provider("Request")).await, desk);
    let foreign = [
        "new, Create new A",
        "there, Foreign there A, refused NotOurs",
        "other, Foreign other A, refused NotOurs",
    ];
    assert_eq!(planned(data, &records, provider("ExternalDNS")).await, foreign);
}

const KEPT: &str = "{name: kept.plan.example, targets: [192.0.2.9], deletionPolicy: Retain}";

#[tokio::test]
async fn at_rest_nothing_is_planned_and_what_would_go_is_told() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("plan.example", "*.w IN A 192.0.2.9").await;
    // As people write it.
    world.open("plan", "Plan.example", &server, "").await;
    let desk = Server::bind("desk.example", "app IN A 192.0.2.1").await;
    world
        .open("desk", "desk.example", &desk, "{provider: {type: Request}}")
        .await;
    let blue = world.team(control_plane, "blue").await;
    for (name, spec) in [
        ("one", "{name: t.plan.example, type: TXT, values: [one]}"),
        ("two", "{name: t.plan.example, type: TXT, values: [two]}"),
        ("same", "{name: a.w.plan.example, targets: [192.0.2.9]}"),
        ("solo", "{name: solo.plan.example, type: TXT, values: [x]}"),
        ("asked", "{name: app.desk.example, targets: [192.0.2.1]}"),
        ("kept", KEPT),
    ] {
        world.commit(&blue, name, spec).await;
        world.record(&blue, name, "Published").await;
    }
    world.record(&blue, "one", "Published").await;
    let kubeconfig = control_plane.kubeconfig();
    let with_cluster = ["--kubeconfig", kubeconfig.to_str().unwrap()];
    let run = async |arguments: &[&str]| tremplin(&[arguments, &with_cluster].concat()).await;
    let (code, output, errors) = run(&["dns", "plan", "-n", &blue, "-o", "json"]).await;
    assert_eq!(code, Some(0), "{output}{errors}");

    let folder = tempdir();
    let file = folder.join("plan.yaml");
    let text = record(
        "solo",
        "{name: solo.plan.example, type: MX, values: ['10 mx.example.org']}",
    ) + &record("three", "{name: t.plan.example, type: TXT, values: [three]}");
    std::fs::write(&file, text).unwrap();
    let arguments = ["dns", "plan", "-n", &blue, "-o", "json", "-f", file.to_str().unwrap()];
    let (code, output, errors) = run(&arguments).await;
    assert_eq!(code, Some(1), "{output}{errors}");
    let expected = [
        "solo, Create solo MX, Replace _tremplin.solo TXT, Delete solo TXT",
        "three, Replace t TXT",
    ];
    assert_eq!(told(&output), expected);

    // What a team left behind and asks for again is its own, although the claim is another one.
    world.delete(&blue, "kept").await;
    let claims = world.cluster::<DnsClaim>();
    let since = claims.get("kept.plan.example").await.unwrap().spec.claimed_at.0;
    // A claim of the same second would have the same mark.
    eventually("a later second", async || {
        (Timestamp::now().as_second() > since.as_second()).then_some(())
    })
    .await;
    claims
        .delete("kept.plan.example", &DeleteParams::default())
        .await
        .unwrap();
    std::fs::write(&file, record("kept", KEPT)).unwrap();
    let (code, output, errors) = run(&arguments).await;
    assert_eq!(code, Some(1), "{output}{errors}");
    assert_eq!(told(&output), ["kept, Same kept A, Replace _tremplin.kept TXT"]);
}
