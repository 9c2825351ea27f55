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
#[path = "chart/names.rs"]
mod names;

use helm::{chart, of_kind, template};
use install::{eventually, install, object, run_helm, startup_apps};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::rbac::v1::RoleBinding;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use serde_json::json;
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

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
    for role in ["view", "edit", "admin"] {
        bind(&admin, &namespace, role).await;
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

    names::everybody_reads_zones_and_claims(&plane).await;

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

/// Gives the user of that name the role of that name in a namespace, as a platform does.
async fn bind(client: &Client, namespace: &str, role: &str) {
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
    let binding = object(json!({
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role}],
    }));
    bindings.create(&PostParams::default(), &binding).await.unwrap();
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
