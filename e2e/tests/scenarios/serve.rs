//! An app is reachable, and says so.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{ListParams, PostParams, ResourceExt};
use serde_json::json;
use tokio::process::Command;
use tremplin_e2e::packages::{self, Package};

use crate::team::Team;
use crate::world::{World, image};

/// A team's first day, in production: what is applied is what the documentation shows.
pub async fn six_lines_are_reachable_and_told_in_columns(world: Arc<World>) {
    let team = Team::new(&world, "prod").await;
    assert_restricted(&team).await;
    let manifest = format!(
        "apiVersion: tremplin.dev/v1alpha1\n\
         kind: StartupApp\n\
         metadata:\n  name: shop\n\
         spec:\n  image: {}\n",
        image("1.0.0")
    );
    let file = world.cluster.folder().join("six-lines.yaml");
    std::fs::write(&file, manifest).unwrap();
    team.kubectl(&["apply", "--filename", file.to_str().unwrap()]).await;
    let app = team.ready("shop").await;

    let row = row(&team.kubectl(&["get", "startupapps"]).await);
    let column = |name: &str| {
        row.iter()
            .find(|(title, _)| title == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(column("NAME"), Some("shop"));
    assert_eq!(
        (column("READY"), column("STATUS")),
        (Some("True"), Some("Running")),
        "{row:?}"
    );
    assert_eq!(column("IMAGE"), Some(image("1.0.0").as_str()));
    assert_eq!(
        (column("REPLICAS"), column("RESTARTS")),
        (Some("2/2"), Some("0")),
        "{row:?}"
    );
    assert_eq!(column("URL"), Some(app.url()));
    // As printed, by a program that knows nothing of us.
    packages::ensure(&[Package::new("curl", "curl")]).await.unwrap();
    team.answers(app.host(), "/", |answer| answer.status == 200).await;
    let curl = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", app.url()])
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&curl.stdout);
    assert!(said.starts_with("sample-app 1.0.0 web on shop-web-"), "{said} {curl:?}");
    team.leave().await;
}

/// Without this, that our pods are accepted would show nothing.
async fn assert_restricted(team: &Team) {
    let pod = json!({
        "metadata": {"name": "intruder", "labels": {"app": "a", "env": "prod", "tier": "backend"}},
        "spec": {"containers": [{
            "name": "root",
            "image": image("1.0.0"),
            "readinessProbe": {"tcpSocket": {"port": 8080}},
            "resources": {"limits": {"cpu": "10m", "memory": "16Mi"}, "requests": {"cpu": "10m", "memory": "16Mi"}},
        }]},
    });
    let dry = PostParams {
        dry_run: true,
        ..Default::default()
    };
    let refused = team
        .api::<Pod>()
        .create(&dry, &serde_json::from_value(pod).unwrap())
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("violates PodSecurity \"restricted"),
        "{refused}"
    );
}

/// The titles and values of a table with one row. No value holds a space.
fn row(table: &str) -> Vec<(String, String)> {
    let lines: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    let [titles, values] = lines.as_slice() else {
        panic!("not one row:\n{table}")
    };
    assert_eq!(titles.len(), values.len(), "a column is empty:\n{table}");
    titles
        .iter()
        .zip(values)
        .map(|(title, value)| ((*title).to_owned(), (*value).to_owned()))
        .collect()
}

pub async fn front_and_back_stand_behind_one_host(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    let back = json!({"name": "api", "port": 9000, "args": ["serve", "--name", "back"]});
    team.put(
        "shop",
        json!({
            "image": image("1.0.0"),
            "processes": [{"name": "web", "args": ["serve", "--name", "front"]}, back],
            "routes": [{"path": "/api", "process": "api"}, {"path": "/", "process": "web"}],
        }),
    )
    .await;
    let app = team.ready("shop").await;
    for (path, who) in [
        ("/", "front"),
        ("/pricing", "front"),
        ("/api", "back"),
        ("/api/v1/cart", "back"),
    ] {
        let words = format!("sample-app 1.0.0 {who} on shop-");
        let answer = team.answers(app.host(), path, |answer| answer.status == 200).await;
        assert!(answer.body.starts_with(&words), "{path}: {}", answer.body);
        assert!(
            answer.body.ends_with(&format!("says hello at {path}\n")),
            "{path}: {}",
            answer.body
        );
    }
    let ingresses = team.api::<Ingress>().list(&ListParams::default()).await.unwrap();
    let names: Vec<_> = ingresses.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["shop"], "one host, one Ingress");
    team.leave().await;
}
