//! The platform's environment and policies: each policy accepts a good manifest and refuses a bad one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Error};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tremplin_e2e::environment::{ClusterType, Environment, install_policies};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

/// No controller manager: nothing but the manifests themselves is judged.
async fn client() -> Client {
    static PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
    let plane = PLANE.get_or_init(async || {
        let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
        install_policies(&plane.client().unwrap()).await.unwrap();
        plane
    });
    plane.await.client().unwrap()
}

async fn environment(client: &Client, namespace: &str, cluster_type: ClusterType) -> Environment {
    let environment = Environment {
        cluster_type,
        ..Environment::new(namespace)
    };
    environment.apply(client).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let account = serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
    environment
}

fn pod_template() -> Value {
    json!({
        "metadata": {"labels": {"app": "blue", "env": "dev", "tier": "frontend"}},
        "spec": {
            "automountServiceAccountToken": false,
            "restartPolicy": "Always",
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "web",
                "image": "ghcr.io/example/blue:1.2",
                "imagePullPolicy": "IfNotPresent",
                "ports": [{"containerPort": 8080}],
                "readinessProbe": {"tcpSocket": {"port": 8080}},
                "resources": {
                    "requests": {"cpu": "100m", "memory": "64Mi"},
                    "limits": {"cpu": "100m", "memory": "64Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    })
}

/// A good manifest of each kind that the policies look at.
fn good(kind: &str) -> Value {
    let labels = json!({"app": "blue", "env": "dev", "tier": "frontend"});
    let mut once = pod_template();
    once["spec"]["restartPolicy"] = json!("Never");
    let job = json!({"template": once, "ttlSecondsAfterFinished": 3600});
    let (version, content) = match kind {
        "Pod" => ("v1", json!({"spec": pod_template()["spec"]})),
        "Deployment" => (
            "apps/v1",
            json!({"spec": {"selector": {"matchLabels": {"app": "blue"}}, "template": pod_template()}}),
        ),
        "Job" => ("batch/v1", json!({"spec": job})),
        "CronJob" => {
            let template = json!({"metadata": {"labels": labels}, "spec": job});
            (
                "batch/v1",
                json!({"spec": {"schedule": "@daily", "jobTemplate": template}}),
            )
        }
        "Service" => ("v1", json!({"spec": {"ports": [{"port": 80}]}})),
        "ConfigMap" => ("v1", json!({"data": {"keyboard": "bépo", "password_min_length": "12"}})),
        "PersistentVolumeClaim" => (
            "v1",
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Ti"}}}}),
        ),
        other => unreachable!("{other}"),
    };
    let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "blue", "labels": labels}});
    object
        .as_object_mut()
        .unwrap()
        .extend(content.as_object().unwrap().clone());
    object
}

const TEMPLATES: [(&str, &str); 4] = [
    ("Pod", ""),
    ("Deployment", "/spec/template"),
    ("Job", "/spec/template"),
    ("CronJob", "/spec/jobTemplate/spec/template"),
];

/// Tries to create it; the refusal's message.
async fn refusal(client: &Client, namespace: &str, object: &Value) -> Option<String> {
    let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let types = object.types.clone().unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let dry = PostParams {
        dry_run: true,
        ..Default::default()
    };
    match api.create(&dry, &object).await {
        Ok(_) => None,
        Err(Error::Api(status)) => Some(status.message),
        Err(other) => unreachable!("{other}"),
    }
}

#[tokio::test]
async fn good_manifests_of_every_kind_are_accepted() {
    let client = client().await;
    for (namespace, cluster_type) in [("good", ClusterType::Restricted), ("good-os", ClusterType::OpenShift)] {
        environment(&client, namespace, cluster_type).await;
        for kind in [
            "Pod",
            "Deployment",
            "Job",
            "CronJob",
            "Service",
            "ConfigMap",
            "PersistentVolumeClaim",
        ] {
            assert_eq!(
                refusal(&client, namespace, &good(kind)).await,
                None,
                "{kind} in {namespace}"
            );
        }
    }
}

/// What makes a pod bad in the eyes of each policy: where, what instead (null: taken away).
fn bad_pods() -> Vec<(&'static str, &'static str, Value)> {
    let container = "/spec/containers/0";
    let in_container = |policy, field: &str, value| (policy, &*format!("{container}/{field}").leak(), value);
    vec![
        ("check-labels", "/metadata/labels/tier", Value::Null),
        ("check-labels", "/metadata/labels/env", json!("")),
        in_container(
            "all-containers-need-requests-and-limits",
            "resources/limits/cpu",
            Value::Null,
        ),
        in_container("all-containers-need-requests-and-limits", "resources", Value::Null),
        in_container("require-pod-probes", "readinessProbe", Value::Null),
        in_container("disallow-latest-tag", "image", json!("ghcr.io/example/blue")),
        in_container("disallow-latest-tag", "image", json!("ghcr.io/example/blue:latest")),
        in_container("restrict-image-registries", "image", json!("blue:1.2")),
        in_container(
            "restrict-image-registries",
            "image",
            json!("registry.example.org/blue:1.2"),
        ),
        in_container("image-pull-policy", "imagePullPolicy", json!("Always")),
        in_container("ports-above-1024", "ports/0/containerPort", json!(80)),
        (
            "disallow-host-path",
            "/spec/volumes",
            json!([{"name": "etc", "hostPath": {"path": "/etc"}}]),
        ),
        in_container("security-context", "securityContext", Value::Null),
        in_container(
            "security-context",
            "securityContext/allowPrivilegeEscalation",
            Value::Null,
        ),
        in_container(
            "security-context",
            "securityContext/capabilities/add",
            json!(["NET_BIND_SERVICE"]),
        ),
        ("security-context", "/spec/securityContext/runAsNonRoot", Value::Null),
        ("security-context", "/spec/securityContext/seccompProfile", Value::Null),
        ("security-context", "/spec/hostNetwork", json!(true)),
    ]
}

/// Sets, adds or takes away what a JSON pointer names.
fn change(object: &mut Value, pointer: &str, value: &Value) {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(field)
    } else {
        parent.insert(field.to_owned(), value.clone())
    };
}

#[tokio::test]
async fn each_policy_refuses_a_bad_pod_wherever_it_is_written() {
    let client = client().await;
    environment(&client, "bad-pods", ClusterType::Restricted).await;
    for (policy, pointer, value) in bad_pods() {
        for (kind, template) in TEMPLATES {
            let mut object = good(kind);
            change(&mut object, &format!("{template}{pointer}"), &value);
            let message = refusal(&client, "bad-pods", &object)
                .await
                .unwrap_or_else(|| "accepted".to_owned());
            // A pod may be refused by Pod Security too: whoever comes first is named.
            let named = message.contains(policy) || kind == "Pod" && message.contains("violates PodSecurity");
            assert!(named, "{policy}, {kind} with {pointer} = {value}: {message}");
        }
    }
}

#[tokio::test]
async fn the_other_policies_refuse_what_they_speak_of() {
    let client = client().await;
    environment(&client, "bad-others", ClusterType::Restricted).await;
    let cases = [
        (
            "check-labels",
            "CronJob",
            "/spec/jobTemplate/metadata/labels/app",
            Value::Null,
        ),
        ("check-labels", "Deployment", "/metadata/labels/app", Value::Null),
        ("restrict-nodeport", "Service", "/spec/type", json!("NodePort")),
        ("check-configmap-credentials", "ConfigMap", "/data/PASSWORD", json!("x")),
        (
            "check-configmap-credentials",
            "ConfigMap",
            "/data/secretKey",
            json!("x"),
        ),
        ("check-configmap-credentials", "ConfigMap", "/data/key", json!("x")),
        (
            "limit-pvc-size",
            "PersistentVolumeClaim",
            "/spec/resources/requests/storage",
            json!("1025Gi"),
        ),
    ];
    for (policy, kind, pointer, value) in cases {
        let mut object = good(kind);
        change(&mut object, pointer, &value);
        let message = refusal(&client, "bad-others", &object)
            .await
            .unwrap_or_else(|| "accepted".to_owned());
        assert!(
            message.contains(policy),
            "{policy}, {kind} with {pointer} = {value}: {message}"
        );
    }
}

#[tokio::test]
async fn openshift_refuses_given_ids_and_chooses_its_own_and_other_clusters_take_them() {
    let client = client().await;
    environment(&client, "ids-openshift", ClusterType::OpenShift).await;
    environment(&client, "ids-vanilla", ClusterType::Restricted).await;
    for (kind, template) in TEMPLATES.into_iter().skip(1) {
        for pointer in [
            "/spec/securityContext/runAsUser",
            "/spec/containers/0/securityContext/runAsGroup",
        ] {
            let mut object = good(kind);
            change(&mut object, &format!("{template}{pointer}"), &json!(10001));
            let message = refusal(&client, "ids-openshift", &object)
                .await
                .unwrap_or_else(|| "accepted".to_owned());
            assert!(message.contains("openshift-ids"), "{kind}: {message}");
            assert_eq!(refusal(&client, "ids-vanilla", &object).await, None, "{kind}");
        }
    }
    let pods: Api<Pod> = Api::namespaced(client, "ids-openshift");
    let pod = serde_json::from_value(good("Pod")).unwrap();
    let pod = pods
        .create(
            &PostParams {
                dry_run: true,
                ..Default::default()
            },
            &pod,
        )
        .await;
    assert_eq!(
        pod.unwrap().spec.unwrap().security_context.unwrap().run_as_user,
        Some(1_000_660_000)
    );
}

#[tokio::test]
async fn jobs_get_the_platforms_limits_unless_they_name_their_own() {
    let client = client().await;
    environment(&client, "limits", ClusterType::Restricted).await;
    let dry = PostParams {
        dry_run: true,
        ..Default::default()
    };
    let jobs: Api<Job> = Api::namespaced(client.clone(), "limits");
    let mut job = good("Job");
    for (given, expected) in [(json!(3600), 3600), (Value::Null, 900)] {
        change(&mut job, "/spec/ttlSecondsAfterFinished", &given);
        let made = jobs
            .create(&dry, &serde_json::from_value(job.clone()).unwrap())
            .await
            .unwrap();
        assert_eq!(made.spec.unwrap().ttl_seconds_after_finished, Some(expected));
    }
    let crons: Api<CronJob> = Api::namespaced(client, "limits");
    for (given, expected) in [(json!(2), 2), (Value::Null, 5)] {
        let mut cron = good("CronJob");
        change(&mut cron, "/spec/successfulJobsHistoryLimit", &given);
        let made = crons
            .create(&dry, &serde_json::from_value(cron).unwrap())
            .await
            .unwrap();
        assert_eq!(made.spec.successful_jobs_history_limit, Some(expected));
    }
}

#[tokio::test]
async fn an_environment_has_the_platforms_labels_quota_secret_and_network_policies() {
    let client = client().await;
    let mut environment = environment(&client, "b4qjvd14--22dxmhpu", ClusterType::Restricted).await;
    environment.cpu = "200m".to_owned();
    environment.apply(&client).await.unwrap();

    let namespaces: Api<Namespace> = Api::all(client.clone());
    let labels = namespaces
        .get(&environment.namespace)
        .await
        .unwrap()
        .metadata
        .labels
        .unwrap();
    assert_eq!(labels["dso/environment"], "dev");
    assert_eq!(labels["dso/project.slug"], "demo");
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), &environment.namespace);
    let hard = quotas.get("dso-quota").await.unwrap().spec.unwrap().hard.unwrap();
    assert_eq!(
        (hard["limits.cpu"].0.as_str(), hard["requests.memory"].0.as_str()),
        ("200m", "4Gi")
    );
    let policies: Api<NetworkPolicy> = Api::namespaced(client, &environment.namespace);
    assert_eq!(policies.list(&ListParams::default()).await.unwrap().items.len(), 7);
}
