//! What the charts mean for names: what teams see of zones and claims, and how records go without the operator.

use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use tokio::process::Command;
use tremplin_core::labels::DNS_FINALIZER;
use tremplin_e2e::ControlPlane;
use tremplin_e2e::tools::{self, Tool};

use crate::install::{cluster_objects_of, eventually, install, object, objects_of, run_helm};
use crate::{bind, cluster, may, served};

const RECORDS: &str = "tremplin.dev/v1alpha1/DnsRecord/dnsrecords";
const CLAIMS: &str = "tremplin.dev/v1alpha1/DnsClaim/dnsclaims";
const ZONES: &str = "tremplin.dev/v1alpha1/DnsZone/dnszones";

/// They are cluster-scoped, so no role bound in a namespace reaches them.
pub async fn everybody_reads_zones_and_claims(plane: &ControlPlane) {
    for user in ["view", "a-stranger"] {
        let client = plane.client_as(user, &[]).await.unwrap();
        for kind in [ZONES, CLAIMS] {
            eventually(&format!("{user} lists {kind}"), async || {
                cluster_objects_of(&client, kind)
                    .list(&ListParams::default())
                    .await
                    .is_ok()
            })
            .await;
        }
        for kind in ["dnszones", "dnsclaims"] {
            for verb in ["get", "watch"] {
                let what = format!("{verb} tremplin.dev/{kind}");
                assert!(may(&client, None, &what).await, "{user}: {what}");
            }
            for verb in ["create", "update", "patch", "delete"] {
                let what = format!("{verb} tremplin.dev/{kind}");
                assert!(!may(&client, None, &what).await, "{user}: {what}");
            }
        }
    }
}

#[tokio::test]
async fn a_team_sees_its_zone_by_the_commands_of_the_page() {
    let plane = cluster().await;
    let client = plane.client().unwrap();
    install(&plane).await;
    for name in [
        "dnsrecords.tremplin.dev",
        "dnszones.tremplin.dev",
        "dnsclaims.tremplin.dev",
    ] {
        served(&client, name).await;
    }
    let namespace = plane.namespace("team").await.unwrap();
    bind(&client, &namespace, "edit").await;
    let zone = object(json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "shared"},
        "spec": {"domain": "shared.example", "provider": {"type": "Request"}},
    }));
    let zones = cluster_objects_of(&client, ZONES);
    zones.create(&PostParams::default(), &zone).await.unwrap();
    let ready = json!([{"type": "Ready", "status": "False", "reason": "BreakerOpen", "message": "too many deletions",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    tell(&zones, "shared", json!({"conditions": ready})).await;

    let team = plane.client_as("edit", &[]).await.unwrap();
    let records = objects_of(&team, &namespace, RECORDS);
    let record = object(json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsRecord", "metadata": {"name": "app"},
        "spec": {"name": "app.elsewhere.example", "targets": ["192.0.2.1"]},
    }));
    eventually("the team may write a record", async || {
        records.create(&PostParams::default(), &record).await.is_ok()
    })
    .await;
    let of_operator = objects_of(&client, &namespace, RECORDS);
    tell(
        &of_operator,
        "app",
        json!({"zone": "shared.example", "conditions": ready}),
    )
    .await;

    let kubeconfig = plane.kubeconfig_as("edit", &[]).unwrap();
    let typed = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tremplin"));
        command
            .args(arguments)
            .args(["-n", &namespace])
            .env("KUBECONFIG", &kubeconfig);
        let output = command.output().await.unwrap();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let [plan, notes] = typed(&["dns", "plan"]).await;
    assert!(plan.contains("use a name below shared.example"), "{plan}{notes}");
    assert_eq!(notes, "", "nothing that the plan needs is hidden from the team");
    let [why, notes] = typed(&["why", "dnsrecord/app"]).await;
    assert!(why.contains("DnsZone shared"), "{why}{notes}");
}

/// Writes into a status, as the operator does.
async fn tell(api: &Api<DynamicObject>, name: &str, status: Value) {
    let change = Patch::Merge(json!({"status": status}));
    api.patch_status(name, &PatchParams::default(), &change).await.unwrap();
}

#[tokio::test]
async fn without_the_operator_the_pages_command_lets_records_go() {
    let plane = cluster().await;
    let client = plane.client().unwrap();
    install(&plane).await;
    served(&client, "dnsrecords.tremplin.dev").await;
    let [team, leaving] = [
        plane.namespace("team").await.unwrap(),
        plane.namespace("leaving").await.unwrap(),
    ];
    for (namespace, finalizers) in [
        (&team, json!([DNS_FINALIZER, "example.org/another"])),
        (&leaving, json!([DNS_FINALIZER])),
    ] {
        let record = object(json!({
            "apiVersion": "tremplin.dev/v1alpha1",
            "kind": "DnsRecord",
            "metadata": {"name": "app", "finalizers": finalizers},
            "spec": {"name": "app.example.org", "targets": ["192.0.2.1"]},
        }));
        let records = objects_of(&client, namespace, RECORDS);
        records.create(&PostParams::default(), &record).await.unwrap();
    }
    run_helm(&plane, &["uninstall", "tremplin"]).await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.delete(&leaving, &DeleteParams::default()).await.unwrap();
    let records = objects_of(&client, &leaving, RECORDS);
    eventually("the namespace waits for its record", async || {
        records.get("app").await.unwrap().metadata.deletion_timestamp.is_some()
    })
    .await;

    type_on_the_page(&plane, "docs/installing.md", DNS_FINALIZER).await;

    eventually("the namespace is gone", async || {
        namespaces.get_opt(&leaving).await.unwrap().is_none()
    })
    .await;
    let left = objects_of(&client, &team, RECORDS).get("app").await.unwrap();
    assert_eq!(
        left.metadata.finalizers.unwrap_or_default(),
        ["example.org/another"],
        "ours is gone, and nobody else's"
    );
    assert!(left.metadata.deletion_timestamp.is_none(), "nothing is deleted by it");
}

/// Types, as whoever reads it would, the one block of commands of a page that names something.
async fn type_on_the_page(plane: &ControlPlane, page: &str, names: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = fs::read_to_string(page).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    let mut blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let commands = blocks.find(|block| block.contains(names)).unwrap();

    let tools = tools::ensure(&[Tool::Kubectl]).await.unwrap();
    let kubectl = tools.path(Tool::Kubectl).unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", commands])
        .env("PATH", format!("{}:{path}", kubectl.parent().unwrap().display()))
        .env("KUBECONFIG", plane.kubeconfig());
    let output = shell.output().await.unwrap();
    assert!(
        output.status.success(),
        "{commands}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
