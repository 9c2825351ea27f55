//! The node profile: real pods, reached from this machine, two clusters side by side, and nothing left
//! behind whatever ends them. Needs root; without it these tests say so and pass.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use kube::api::{Api, LogParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tremplin_e2e::state::Folder;
use tremplin_e2e::tools::{self, Tool};
use tremplin_e2e::{Cluster, Profile, image};

const DEADLINE: Duration = Duration::from_mins(1);

fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What a cluster could leave behind on this machine.
#[derive(Debug, PartialEq)]
struct Traces {
    links: BTreeSet<String>,
    routes: BTreeSet<String>,
    mounts: BTreeSet<String>,
    filter: BTreeSet<String>,
    network_namespaces: BTreeSet<String>,
    control_groups: BTreeSet<String>,
    processes: BTreeSet<String>,
}

fn lines(program: &str, arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The traces of anything that `mentions` a word of ours: other clusters may come and go meanwhile.
fn traces(word: &str) -> Traces {
    let of = |program: &str, arguments: &[&str]| -> BTreeSet<String> {
        lines(program, arguments)
            .into_iter()
            .filter(|line| line.contains(word))
            .collect()
    };
    Traces {
        links: of("ip", &["-o", "link"]),
        routes: of("ip", &["route"]),
        mounts: of("cat", &["/proc/self/mountinfo"]),
        filter: lines("iptables-save", &[])
            .into_iter()
            .filter(|line| !line.starts_with('#'))
            .collect(),
        network_namespaces: lines("ip", &["netns", "list"]),
        control_groups: of("find", &["/sys/fs/cgroup", "-type", "d", "-path", "*/tremplin/*"]),
        processes: of("ps", &["-eo", "args"]),
    }
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: a node needs root");
    }
    root
}

/// GET over one new connection; the body.
async fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = tokio::time::timeout(Duration::from_secs(2), TcpStream::connect(address))
        .await
        .ok()?
        .ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}

async fn run_pod(cluster: &Cluster, name: &str, image: &str) {
    let client = cluster.client().await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let pod = object(json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{
            "name": "web",
            "image": image,
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
        }]},
    }));
    // The service account of a new namespace is made by the controller manager.
    eventually("a pod is accepted", async || {
        pods.create(&PostParams::default(), &pod).await.is_ok()
    })
    .await;
    let services: Api<Service> = Api::namespaced(client, "default");
    let service = object(json!({
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
    }));
    services.create(&PostParams::default(), &service).await.unwrap();
}

async fn is_ready(pods: &Api<Pod>, name: &str) -> bool {
    let status = pods.get(name).await.unwrap().status.unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    conditions
        .iter()
        .any(|one| one.type_ == "Ready" && one.status == "True")
}

async fn exec(cluster: &Cluster, name: &str, command: &[&str]) -> String {
    let tools = tools::ensure(&[Tool::Kubectl]).await.unwrap();
    let mut kubectl = Command::new(tools.path(Tool::Kubectl).unwrap());
    kubectl
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .args(["exec", name, "--"])
        .args(command);
    let output = kubectl.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn pods_run_answer_log_and_are_entered_and_two_clusters_stand_side_by_side() {
    if !is_root() {
        return;
    }
    let image = image::sample_app("1.0.0").await.unwrap();
    let one = Cluster::start(Profile::Node).await.unwrap();
    let two = Cluster::start(Profile::Node).await.unwrap();
    for cluster in [&one, &two] {
        cluster.import_image(&image.archive).await.unwrap();
        run_pod(cluster, "blue", &image.reference).await;
    }
    for cluster in [&one, &two] {
        let client = cluster.client().await.unwrap();
        let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
        eventually("the pod is ready", async || is_ready(&pods, "blue").await).await;
        let services: Api<Service> = Api::namespaced(client, "default");
        let address = services.get("blue").await.unwrap().spec.unwrap().cluster_ip.unwrap();
        let address = format!("{address}:80");
        eventually("the Service answers this machine", async || {
            get(&address, "/").await.is_some_and(|body| body.contains("1.0.0"))
        })
        .await;
        let log = pods.logs("blue", &LogParams::default()).await.unwrap();
        assert!(!log.is_empty());
        let said = exec(cluster, "blue", &["/sample-app", "cron"]).await;
        assert!(!said.is_empty());
    }
    let networks = [one.network().unwrap(), two.network().unwrap()];
    assert_ne!(networks[0], networks[1]);

    // A cluster that died long ago, noted with the number that is another's now.
    let dead = format!("dead-{}", std::process::id());
    let folder = Folder::named(&dead).unwrap();
    std::fs::create_dir_all(folder.path()).unwrap();
    let facts = "cluster.json";
    std::fs::copy(two.folder().join(facts), folder.path().join(facts)).unwrap();
    assert!(Cluster::down(&dead).await.unwrap());
    assert!(two.is_well().await, "the living cluster keeps its link");

    let (path, link) = (one.folder().display().to_string(), networks[0].node().to_string());
    let cgroups = traces("/tremplin/").control_groups;
    assert!(!cgroups.is_empty());
    drop(one);
    let left = traces(&path);
    assert!(left.mounts.is_empty() && left.processes.is_empty(), "{left:?}");
    assert!(traces(&link).routes.is_empty());
    assert!(traces("/tremplin/").control_groups.len() < cgroups.len());
    let pods: Api<Pod> = Api::namespaced(two.client().await.unwrap(), "default");
    assert!(is_ready(&pods, "blue").await, "the other cluster goes on");
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
async fn up_and_down_are_safe_twice_and_after_kill_nine_of_everything() {
    if !is_root() {
        return;
    }
    let name = format!("twice-{}", std::process::id());
    let _guard = TakenDown(&name);
    let before = traces(&name);
    let cluster = Cluster::up(&name, Profile::Node).await.unwrap();
    let first = cluster.programs();
    Cluster::up(&name, Profile::Node).await.unwrap();
    assert_eq!(cluster.programs(), first, "a second up leaves everything as it is");
    assert!(
        Cluster::up(&name, Profile::ControlPlane).await.is_err(),
        "it has another profile"
    );

    for (_, process) in cluster.programs() {
        process.unwrap().kill();
    }
    assert!(!cluster.is_well().await);
    let cluster = Cluster::up(&name, Profile::Node).await.unwrap();
    assert!(cluster.is_well().await);
    let namespaces: Api<Namespace> = Api::all(cluster.client().await.unwrap());
    namespaces.get("default").await.unwrap();

    assert!(Cluster::down(&name).await.unwrap());
    assert!(!Cluster::down(&name).await.unwrap());
    assert!(Cluster::open(&name).is_err());
    assert_eq!(traces(&name), before);
}

/// Not a test by itself: it is killed by the next one, in a process of its own.
#[tokio::test]
#[ignore = "started by another test"]
async fn holder() {
    let cluster = Cluster::start(Profile::Node).await.unwrap();
    println!("folder: {}", cluster.folder().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_test_that_is_killed_takes_its_node_with_it() {
    if !is_root() {
        return;
    }
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "holder", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(holder.stdout.take().unwrap());
    let folder = output
        .lines()
        .find_map(|line| Some(line.unwrap().split_once("folder: ")?.1.to_owned()))
        .unwrap();
    assert!(!traces(&folder).processes.is_empty());
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("its programs are gone", async || traces(&folder).processes.is_empty()).await;
    drop(Folder::temporary().unwrap());
    assert!(!Path::new(&folder).exists(), "the next run removes what it left");
}
