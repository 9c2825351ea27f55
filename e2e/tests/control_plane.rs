//! The control plane profile: what it gives to other tests, and that nothing of it stays behind.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tremplin_e2e::state::Folder;
use tremplin_e2e::{Cluster, ControlPlane, ControlPlaneOptions, Profile};

const DEADLINE: Duration = Duration::from_mins(1);

fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn is_refused(client: Client, namespace: &str) -> bool {
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    matches!(pods.list(&ListParams::default()).await, Err(kube::Error::Api(status)) if status.code == 403)
}

#[tokio::test]
async fn the_controller_manager_makes_pods_of_a_deployment_and_collects_them() {
    let plane = ControlPlane::shared().await.unwrap();
    let namespace = plane.namespace("garbage").await.unwrap();
    let client = plane.client().unwrap();
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
    let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), &namespace);
    let deployment = object(json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "ghcr.io/example/web:1"}]},
            },
        },
    }));
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
    let count = async || sets.list(&ListParams::default()).await.unwrap().items.len();
    eventually("a ReplicaSet", async || count().await == 1).await;
    deployments.delete("web", &DeleteParams::background()).await.unwrap();
    eventually("no ReplicaSet", async || count().await == 0).await;
}

#[tokio::test]
async fn users_and_service_accounts_have_the_rights_that_rbac_gives_them() {
    let plane = ControlPlane::shared().await.unwrap();
    let namespace = plane.namespace("rights").await.unwrap();
    assert!(is_refused(plane.client_as("alice", &["developers"]).await.unwrap(), &namespace).await);
    assert!(!is_refused(plane.client_as("alice", &["system:masters"]).await.unwrap(), &namespace).await);

    let accounts: Api<ServiceAccount> = Api::namespaced(plane.client().unwrap(), &namespace);
    let account = object(json!({"metadata": {"name": "robot"}}));
    accounts.create(&PostParams::default(), &account).await.unwrap();
    let robot = plane.client_as_service_account(&namespace, "robot").await.unwrap();
    assert!(is_refused(robot, &namespace).await);
    let mark = plane.audit_log().mark(&plane.client().unwrap()).await.unwrap();
    let events = plane.audit_log().between(tremplin_e2e::audit::BEGINNING, mark).unwrap();
    let robot = format!("system:serviceaccount:{namespace}:robot");
    assert!(events.iter().any(|event| event.user == robot && event.code == 403));
}

#[tokio::test]
async fn the_audit_log_holds_what_was_sent_and_nothing_of_the_marks() {
    let plane = ControlPlane::shared().await.unwrap();
    let namespace = plane.namespace("audit").await.unwrap();
    let client = plane.client().unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let before = plane.audit_log().mark(&client).await.unwrap();
    let map = object(json!({"metadata": {"name": "blue"}, "data": {"shade": "navy"}}));
    maps.create(&PostParams::default(), &map).await.unwrap();
    maps.get("blue").await.unwrap();
    let after = plane.audit_log().mark(&client).await.unwrap();
    let mut events = plane.audit_log().between(before, after).unwrap();
    events.retain(|event| event.namespace == namespace && event.user == "admin");
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.verb.as_str(), event.name.as_str(), event.code))
        .collect();
    assert_eq!(told, [("create", "blue", 201), ("get", "blue", 200)]);
    assert_eq!(events[0].request_object.as_ref().unwrap()["data"]["shade"], "navy");
}

#[tokio::test]
async fn a_frozen_or_killed_api_server_comes_back_with_its_objects_and_all_ends_on_drop() {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let namespace = plane.namespace("faults").await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(plane.client().unwrap(), &namespace);
    let map = object(json!({"metadata": {"name": "kept"}}));
    maps.create(&PostParams::default(), &map).await.unwrap();

    plane.pause_api_server();
    let answer = tokio::time::timeout(Duration::from_millis(300), maps.get("kept")).await;
    assert!(answer.is_err(), "a frozen server answered");
    plane.resume_api_server();
    maps.get("kept").await.unwrap();

    plane.kill_api_server();
    let refused = std::net::TcpStream::connect(plane.url().trim_start_matches("https://"));
    assert!(refused.is_err(), "a dead server listens");
    plane.start_api_server().await.unwrap();
    maps.get("kept").await.unwrap();

    let (folder, url) = (plane.folder().to_owned(), plane.url().to_owned());
    drop(plane);
    assert!(!folder.exists());
    assert!(std::net::TcpStream::connect(url.trim_start_matches("https://")).is_err());
}

#[tokio::test]
async fn an_api_server_that_ends_early_says_why() {
    let api_server_args = vec!["--no-such-flag".to_owned()];
    let options = ControlPlaneOptions {
        api_server_args,
        ..Default::default()
    };
    let error = format!("{:#}", ControlPlane::start(options).await.err().unwrap());
    assert!(
        error.contains("kube-apiserver ended") && error.contains("no-such-flag"),
        "{error}"
    );
}

/// Takes a named cluster down when its test ends, also when it fails.
struct TakenDown<'a>(&'a str);

impl Drop for TakenDown<'_> {
    fn drop(&mut self) {
        let program = env!("CARGO_BIN_EXE_tremplin-e2e");
        Command::new(program).args(["down", "--name", self.0]).status().unwrap();
    }
}

#[tokio::test]
async fn a_named_one_is_safe_to_begin_and_end_twice_and_after_kill_nine() {
    let name = format!("named-{}", std::process::id());
    let _guard = TakenDown(&name);
    let cluster = Cluster::up(&name, Profile::ControlPlane).await.unwrap();
    let first = cluster.programs();
    Cluster::up(&name, Profile::ControlPlane).await.unwrap();
    assert_eq!(cluster.programs(), first, "a second up leaves everything as it is");

    for (_, process) in first {
        process.unwrap().kill();
    }
    assert!(!cluster.is_well().await);
    let cluster = Cluster::up(&name, Profile::ControlPlane).await.unwrap();
    assert!(cluster.is_well().await);
    let programs = cluster.programs();

    assert!(Cluster::down(&name).await.unwrap());
    assert!(!Cluster::down(&name).await.unwrap());
    assert!(programs.into_iter().all(|(_, process)| !process.unwrap().is_alive()));
    assert!(!cluster.folder().exists());
}

#[tokio::test]
async fn a_port_that_another_program_took_first_is_tried_again_with_others() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    // The last word on the port is this argument's: so every attempt meets the same program.
    let api_server_args = vec![format!("--secure-port={}", taken.local_addr().unwrap().port())];
    let options = ControlPlaneOptions {
        api_server_args,
        ..Default::default()
    };
    let error = format!("{:#}", ControlPlane::start(options).await.err().unwrap());
    assert!(
        error.contains("attempt 3") && error.contains("address already in use"),
        "{error}"
    );
}

/// Not a test by itself: it is killed by the next one, in a process of its own.
#[tokio::test]
#[ignore = "started by another test"]
async fn holder() {
    let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    println!("folder: {}", plane.folder().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_test_that_is_killed_takes_its_control_plane_with_it() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "holder", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(holder.stdout.take().unwrap());
    let folder = output
        .lines()
        .find_map(|line| Some(line.unwrap().split_once("folder: ")?.1.to_owned()));
    let folder = folder.unwrap();
    let running = || {
        let processes = Command::new("ps").args(["-eo", "args"]).output().unwrap().stdout;
        String::from_utf8_lossy(&processes).contains(&folder)
    };
    assert!(running());
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("its programs are gone", async || !running()).await;
    drop(Folder::temporary().unwrap());
    assert!(
        !std::path::Path::new(&folder).exists(),
        "the next one removes what it left"
    );
}
