//! The charts on a real API server: who may do what once they are installed, and what stays when they are gone.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and so may its helpers"
)]

#[path = "chart/helm.rs"]
mod helm;
#[path = "chart/install.rs"]
mod install;

use std::fs;
use std::path::Path;

use helm::{chart, of_kind, template};
use install::{cluster_objects_of, eventually, install, object, objects_of, run_helm, startup_apps};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::rbac::v1::RoleBinding;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use serde_json::json;
use tokio::process::Command;
use tremplin_core::labels::DNS_FINALIZER;
use tremplin_e2e::tools::{self, Tool};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

const RECORDS: &str = "tremplin.dev/v1alpha1/DnsRecord/dnsrecords";
const CLAIMS: &str = "tremplin.dev/v1alpha1/DnsClaim/dnsclaims";
const ZONES: &str = "tremplin.dev/v1alpha1/DnsZone/dnszones";

/// A control plane of its own: the charts' objects are the cluster's, and one test removes them.
async fn cluster() -> ControlPlane {
    let options = ControlPlaneOptions {
        controller_manager: true,
        ..Default::default()
    };
    ControlPlane::start(options).await.unwrap()
}

fn app(name: &str) -> DynamicObject {
    object(json!({
        "apiVersion": "tremplin.dev/v1alpha1",
        "kind": "StartupApp",
        "metadata": {"name": name},
        "spec": {"image": "ghcr.io/team/shop:1"},
    }))
}

/// Whether a user may do something, as `verb group/resource[/subresource]`.
async fn may(client: &Client, namespace: Option<&str>, what: &str) -> bool {
    let (verb, rest) = what.split_once(' ').unwrap();
    let mut parts = rest.split('/').map(str::to_owned);
    let attributes = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: parts.next(),
        resource: parts.next(),
        subresource: parts.next(),
        namespace: namespace.map(str::to_owned),
        ..Default::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..Default::default()
        },
        ..Default::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    reviews
        .create(&PostParams::default(), &review)
        .await
        .unwrap()
        .status
        .unwrap()
        .allowed
}

#[tokio::test]
async fn teams_get_what_their_role_says_and_the_operator_no_more_than_it_needs() {
    let plane = cluster().await;
    install(&plane).await;
    let namespace = plane.namespace("team").await.unwrap();
    let admin = plane.client().unwrap();
    let bindings: Api<RoleBinding> = Api::namespaced(admin.clone(), &namespace);
    for role in ["view", "edit", "admin"] {
        let binding = object(json!({
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role}],
        }));
        bindings.create(&PostParams::default(), &binding).await.unwrap();
    }
    let apps = "tremplin.dev/startupapps";
    for (user, verb, allowed) in [
        ("view", "watch", true),
        ("view", "patch", false),
        ("edit", "list", true),
        ("edit", "create", true),
        ("edit", "delete", true),
        ("edit", "deletecollection", false),
        ("admin", "patch", true),
        ("admin", "deletecollection", true),
    ] {
        let client = plane.client_as(user, &[]).await.unwrap();
        let what = format!("{verb} {apps}");
        // The roles are put together by a controller, a moment after they are created.
        eventually(&format!("{user}: {what} is {allowed}"), async || {
            may(&client, Some(&namespace), &what).await == allowed
        })
        .await;
        assert!(
            !may(&client, Some("operators"), &what).await,
            "{user} in a namespace of others"
        );
        assert!(
            !may(&client, Some(&namespace), &format!("patch {apps}/status")).await,
            "status is the operator's"
        );
    }

    everybody_reads_zones_and_claims(&plane).await;

    let operator = plane.client_as_service_account("operators", "tremplin").await.unwrap();
    for granted in [
        "patch tremplin.dev/startupapps/status",
        "create apps/deployments",
        "get /secrets",
    ] {
        assert!(may(&operator, Some(&namespace), granted).await, "{granted}");
    }
    for denied in [
        "patch tremplin.dev/startupapps",
        "delete tremplin.dev/startupapps",
        "create /secrets",
        "patch /secrets",
        "delete /secrets",
        "create /pods",
        "create /pods/exec",
        "get /pods/log",
        "delete /namespaces",
        "patch /namespaces",
        "create rbac.authorization.k8s.io/rolebindings",
        "get coordination.k8s.io/leases",
        "create /serviceaccounts/token",
    ] {
        assert!(!may(&operator, Some(&namespace), denied).await, "{denied}");
    }
    for denied in ["patch apiextensions.k8s.io/customresourcedefinitions", "list /nodes"] {
        assert!(!may(&operator, None, denied).await, "{denied}");
    }
}

/// They are cluster-scoped, so no role bound in a namespace reaches them.
async fn everybody_reads_zones_and_claims(plane: &ControlPlane) {
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
async fn pod_security_restricted_takes_the_pod() {
    let plane = ControlPlane::shared().await.unwrap();
    let client = plane.client().unwrap();
    let namespace = plane.namespace("restricted").await.unwrap();
    let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces
        .patch(&namespace, &PatchParams::default(), &Patch::Merge(label))
        .await
        .unwrap();
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    let dry_run = PostParams {
        dry_run: true,
        ..Default::default()
    };

    let objects = template(&chart("tremplin"), "operators", &[]).await.unwrap();
    let mut pod = of_kind(&objects, "Deployment")[0]["spec"]["template"].clone();
    pod["metadata"]["name"] = json!("controller");
    pod["spec"]["serviceAccountName"] = json!("default");
    eventually("the namespace's own service account", async || {
        !matches!(pods.create(&dry_run, &object(pod.clone())).await, Err(kube::Error::Api(status)) if status.message.contains("serviceaccount"))
    })
    .await;
    pods.create(&dry_run, &object(pod.clone())).await.unwrap();

    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
    let refusal = pods.create(&dry_run, &object(pod)).await.unwrap_err().to_string();
    assert!(
        refusal.contains("PodSecurity"),
        "the namespace must really enforce: {refusal}"
    );
}

#[tokio::test]
async fn uninstalling_both_charts_keeps_the_apps() {
    let plane = cluster().await;
    let client = plane.client().unwrap();
    install(&plane).await;
    let namespace = plane.namespace("team").await.unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    served(&client, "startupapps.tremplin.dev").await;
    let apps = startup_apps(&client, &namespace);
    let before = apps.create(&PostParams::default(), &app("shop")).await.unwrap();

    run_helm(&plane, &["uninstall", "tremplin"]).await;
    run_helm(&plane, &["uninstall", "tremplin-crds"]).await;

    assert!(
        definitions
            .get("startupapps.tremplin.dev")
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_none()
    );
    let after = apps.get("shop").await.unwrap();
    assert_eq!(after.metadata.uid, before.metadata.uid);
    assert!(after.metadata.deletion_timestamp.is_none());

    // And an install after it takes up what was left.
    install(&plane).await;
    assert_eq!(apps.get("shop").await.unwrap().metadata.uid, before.metadata.uid);
    apps.delete("shop", &DeleteParams::default()).await.unwrap();
}

/// Waits until the API server takes objects of a custom resource.
async fn served(client: &Client, name: &str) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    eventually("the custom resource is served", async || {
        let definition = definitions.get_opt(name).await.unwrap();
        let conditions = definition.and_then(|definition| definition.status?.conditions);
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|condition| condition.type_ == "Established" && condition.status == "True")
    })
    .await;
}

#[tokio::test]
async fn without_the_operator_the_pages_command_lets_records_go() {
    let plane = cluster().await;
    let client = plane.client().unwrap();
    install(&plane).await;
    served(&client, "dnsrecords.tremplin.dev").await;
    let namespaces = [
        plane.namespace("team").await.unwrap(),
        plane.namespace("other").await.unwrap(),
    ];
    for namespace in &namespaces {
        let record = object(json!({
            "apiVersion": "tremplin.dev/v1alpha1",
            "kind": "DnsRecord",
            "metadata": {"name": "app", "finalizers": [DNS_FINALIZER, "example.org/another"]},
            "spec": {"name": "app.example.org", "targets": ["192.0.2.1"]},
        }));
        let records = objects_of(&client, namespace, RECORDS);
        records.create(&PostParams::default(), &record).await.unwrap();
    }
    run_helm(&plane, &["uninstall", "tremplin"]).await;
    for namespace in &namespaces {
        let records = objects_of(&client, namespace, RECORDS);
        records.delete("app", &DeleteParams::default()).await.unwrap();
        assert!(records.get("app").await.unwrap().metadata.deletion_timestamp.is_some());
    }

    type_on_the_page(&plane, "docs/installing.md", DNS_FINALIZER).await;

    for namespace in &namespaces {
        let left = objects_of(&client, namespace, RECORDS).get("app").await.unwrap();
        assert_eq!(
            left.metadata.finalizers.unwrap_or_default(),
            ["example.org/another"],
            "ours is gone, and nobody else's"
        );
    }
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
