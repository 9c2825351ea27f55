//! The data path follows the Ingress objects of a real API server. That it reaches pods is seen on a node.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may panic, and so may its helpers"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use kube::Client;
use kube::api::{Api, DeleteParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tremplin_e2e::http::{self, Answer};
use tremplin_e2e::ingress::{self, DataPath};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

const DEADLINE: Duration = Duration::from_mins(1);

/// A control plane of its own: the data path serves the Ingresses of all namespaces.
struct Served {
    // Before the plane: it ends first.
    path: DataPath,
    plane: ControlPlane,
}

impl Served {
    async fn start(first: &[Ingress]) -> Self {
        let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
        let ingresses: Api<Ingress> = Api::namespaced(plane.client().unwrap(), "default");
        for ingress in first {
            ingresses.create(&PostParams::default(), ingress).await.unwrap();
        }
        let path = DataPath::start(plane.folder()).await.unwrap();
        Self { path, plane }
    }

    fn client(&self) -> Client {
        self.plane.client().unwrap()
    }

    /// Waits until a request is answered like this.
    async fn answers(&self, host: &str, path: &str, wanted: impl Fn(&Answer) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = http::get(self.path.address(), host, path).await;
            if answer.as_ref().is_ok_and(&wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "{host}{path} still answers {answer:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn app(host: &str) -> Ingress {
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    object(json!({
        "metadata": {"name": host.replace('.', "-")},
        "spec": {"ingressClassName": ingress::CLASS, "rules": [
            {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}},
        ]},
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_follow_the_ingresses_and_services_and_the_address_is_told_in_the_status() {
    let served = Served::start(&[]).await;
    served
        .answers("app.localhost", "/", |answer| answer.status == 404)
        .await;

    let ingresses: Api<Ingress> = Api::namespaced(served.client(), "default");
    let other_class = {
        let mut other = app("other.localhost");
        other.spec.as_mut().unwrap().ingress_class_name = Some("somebody-elses".to_owned());
        other
    };
    ingresses.create(&PostParams::default(), &other_class).await.unwrap();
    ingresses
        .create(&PostParams::default(), &app("app.localhost"))
        .await
        .unwrap();
    let missing =
        |answer: &Answer| answer.status == 503 && answer.body.contains("default/web: there is no such Service");
    served.answers("app.localhost", "/x", missing).await;
    served
        .answers("other.localhost", "/", |answer| answer.status == 404)
        .await;

    let services: Api<Service> = Api::namespaced(served.client(), "default");
    let headless = object(json!({"metadata": {"name": "web"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}));
    services.create(&PostParams::default(), &headless).await.unwrap();
    served
        .answers("app.localhost", "/", |answer| {
            answer.body.contains("no cluster address")
        })
        .await;

    let status = ingresses
        .get_status("app-localhost")
        .await
        .unwrap()
        .status
        .unwrap()
        .load_balancer
        .unwrap();
    let address = serde_json::to_value(status.ingress.unwrap()).unwrap();
    let port = json!({"port": served.path.address().port(), "protocol": "TCP"});
    assert_eq!(address, json!([{"ip": "127.0.0.1", "ports": [port]}]));

    ingresses
        .delete("app-localhost", &DeleteParams::default())
        .await
        .unwrap();
    served
        .answers("app.localhost", "/", |answer| answer.status == 404)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_the_rules_change() {
    let served = Served::start(&[app("steady.localhost")]).await;
    let ingresses: Api<Ingress> = Api::namespaced(served.client(), "default");
    served
        .answers("steady.localhost", "/", |answer| answer.status == 503)
        .await;

    let (stop, listen) = (Arc::new(AtomicBool::new(false)), served.path.address());
    let asking = tokio::spawn({
        let stop = stop.clone();
        async move {
            let mut answers = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                answers.push(
                    http::get(listen, "steady.localhost", "/")
                        .await
                        .map(|answer| answer.status),
                );
            }
            answers
        }
    });
    for round in 0..10 {
        let host = format!("round-{round}.localhost");
        ingresses.create(&PostParams::default(), &app(&host)).await.unwrap();
        served.answers(&host, "/", |answer| answer.status == 503).await;
    }
    stop.store(true, Ordering::Relaxed);
    let answers = asking.await.unwrap();
    let wrong: Vec<_> = answers.iter().filter(|answer| !matches!(answer, Ok(503))).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} requests failed: {:?}",
        wrong.len(),
        answers.len(),
        wrong.first()
    );
    assert!(answers.len() > 100, "only {} requests", answers.len());
}
