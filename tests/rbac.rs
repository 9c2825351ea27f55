//! Every right that the chart grants is used, and every right that is used is granted: the operator runs under the
//! chart's own roles, does everything it ever does, and the API server's audit log is compared with the roles.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and so may its helpers"
)]

#[path = "chart/helm.rs"]
mod helm;
#[path = "chart/install.rs"]
mod install;
#[path = "rbac/life.rs"]
mod life;
#[path = "rbac/names.rs"]
mod names;
#[path = "rbac/rights.rs"]
mod rights;
#[path = "rbac/team.rs"]
mod team;

use std::collections::BTreeSet;
use std::fs;

use helm::{chart, of_kind, template};
use install::{OPERATORS, install};
use kube::Client;
use kube::api::{Api, PostParams};
use life::{live_a_full_life, lose_a_release, meet_a_full_quota, meet_objects_of_others};
use names::live_with_names;
use rights::{Right, UNSEEN, granted, needed};
use serde_json::json;
use team::{Team, app};
use tremplin_e2e::process::{Lifetime, Process, Program};
use tremplin_e2e::{AuditLevel, ControlPlane, ControlPlaneOptions};

/// The hosts of apps get DnsRecords.
const GIVES_RECORDS: &str = r#"platform.overrides={"domains": [{"domain": "apps.example", "dnsRecords": true, "hostTemplate": "{app}-{namespace}.{domain}"}]}"#;

/// Starts the operator as the chart's Deployment would, under the chart's service account.
async fn start_operator(plane: &ControlPlane) -> Process {
    let objects = template(&chart("tremplin"), OPERATORS, &[GIVES_RECORDS]).await.unwrap();
    let container = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
    let platform = plane.folder().join("platform.yaml");
    fs::write(
        &platform,
        of_kind(&objects, "ConfigMap")[0]["data"]["platform.yaml"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    let kubeconfig = plane
        .kubeconfig_as_service_account(OPERATORS, "tremplin")
        .await
        .unwrap();
    let arguments = container["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap());
    let mut operator = Program::new("operator", env!("CARGO_BIN_EXE_tremplin")).args(arguments);
    for variable in container["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        let value = match name {
            "TREMPLIN_NAMESPACE" => OPERATORS,
            "TREMPLIN_PLATFORM" => platform.to_str().unwrap(),
            "TREMPLIN_ADMIN_ADDRESS" => "127.0.0.1:0",
            _ => variable["value"].as_str().unwrap(),
        };
        operator = operator.env(name, value);
    }
    let operator = operator.env("KUBECONFIG", kubeconfig.to_str().unwrap());
    operator.start(plane.folder(), Lifetime::Attached).unwrap()
}

#[tokio::test]
async fn every_right_is_used_and_nothing_more_is_needed() {
    let options = ControlPlaneOptions {
        controller_manager: true,
        audit: AuditLevel::Metadata,
        api_server_args: [
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
            // As before Kubernetes 1.34, so that the first state is listed and the rest watched.
            "--feature-gates=WatchList=false",
        ]
        .map(str::to_owned)
        .into(),
        ..Default::default()
    };
    let plane = ControlPlane::start(options).await.unwrap();
    install(&plane).await;
    let client = plane.client().unwrap();
    let [team, full] = [
        plane.namespace("team").await.unwrap(),
        plane.namespace("full").await.unwrap(),
    ]
    .map(|namespace| Team {
        client: client.clone(),
        namespace,
    });
    let operator = start_operator(&plane).await;

    meet_objects_of_others(&team).await;
    live_a_full_life(&team).await;
    lose_a_release(&team).await;
    meet_a_full_quota(&full).await;
    live_with_names(&team, &full).await;
    operator.check().unwrap();

    let _ = plane.audit_log().mark(&client).await.unwrap();
    let account = format!("system:serviceaccount:{OPERATORS}:tremplin");
    let events = plane.audit_log().all().unwrap().into_iter();
    let events: Vec<_> = events
        .filter(|event| event.user == account && !event.resource.is_empty())
        .collect();
    let refused: Vec<_> = events.iter().filter(|event| event.code == 403).collect();
    assert!(refused.is_empty(), "used without being granted: {refused:#?}");

    let used: BTreeSet<_> = events.iter().flat_map(needed).collect();
    let everywhere = |(_, group, resource, verb): &Right| ("", group.clone(), resource.clone(), verb.clone());
    let granted = granted().await;
    let unused: Vec<_> = granted
        .iter()
        .filter(|right| match right.0 {
            "" => !used.iter().any(|used| everywhere(used) == **right),
            _ => !used.contains(right),
        })
        .filter(|(_, group, resource, verb)| !UNSEEN.contains(&(group.as_str(), resource.as_str(), verb.as_str())))
        .collect();
    assert!(unused.is_empty(), "granted without being used: {unused:#?}");

    // And the right that no request shows is needed all the same.
    take_away_finalizers(&client).await;
    team.run(&app("late", json!({"image": "ghcr.io/team/late:1"}))).await;
    team.told("late", "Forbidden").await;
}

async fn take_away_finalizers(client: &Client) {
    let roles: Api<k8s_openapi::api::rbac::v1::ClusterRole> = Api::all(client.clone());
    let mut role = roles.get("tremplin-controller").await.unwrap();
    role.rules
        .as_mut()
        .unwrap()
        .retain(|rule| rule.resources != Some(vec!["startupapps/finalizers".to_owned()]));
    roles
        .replace("tremplin-controller", &PostParams::default(), &role)
        .await
        .unwrap();
}
