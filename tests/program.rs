//! The program itself: what it ends with, and how it stops.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::faults::{self, Instead};
use common::{HOME, Operator, eventually, install, settings};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Config};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

fn controller() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tremplin"));
    command
        .args(["controller", "--namespace", HOME, "--admin-address=127.0.0.1:0"])
        .env_remove("KUBECONFIG");
    command
}

#[test]
fn a_platform_file_that_cannot_work_is_told_with_its_place() {
    let path = std::env::temp_dir().join(format!("tremplin-program-{}.yaml", std::process::id()));
    std::fs::write(&path, "security: {type: OpenShift}\nsizes: {}\n").unwrap();
    // No cluster is asked before the file is read.
    let kubeconfig = path.with_extension("kubeconfig");
    let cluster = "{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {}}]}";
    std::fs::write(&kubeconfig, cluster).unwrap();
    let output: Output = controller()
        .arg("--platform")
        .arg(&path)
        .env("KUBECONFIG", &kubeconfig)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&kubeconfig).unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains(".yaml:2:1: sizes: "), "{told}");
}

/// A rule of the tests themselves: what an operator died of is told at once, not after a minute.
#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "no-such-platform")]
async fn a_test_fails_as_soon_as_its_operator_has_ended() {
    let nowhere = Config::new("http://127.0.0.1:1".parse().unwrap());
    let operator = Operator::start(&nowhere, settings(&["--platform=/no-such-platform.yaml"]), |client| {
        client
    });
    let patience = Duration::from_secs(10);
    let never = eventually("it leads", async || operator.metric("tremplin_leader 1").await);
    tokio::time::timeout(patience, never).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_gives_the_lease_back_within_five_seconds() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let leases: Api<Lease> = Api::namespaced(client, HOME);
    let mut child = controller()
        .env("KUBECONFIG", control_plane.kubeconfig())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let holder = async || {
        leases
            .get_opt("tremplin-controller")
            .await
            .unwrap()?
            .spec?
            .holder_identity
    };
    eventually("it holds the lease", holder).await;

    let stopping = Instant::now();
    let signalled = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(signalled.success());
    let status = tokio::task::spawn_blocking(move || child.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success(), "{status}");
    assert!(stopping.elapsed() < Duration::from_secs(5), "{:?}", stopping.elapsed());
    assert_eq!(holder().await, None);
}

/// The API server hangs where the operator, leading already, reads its first object.
#[tokio::test(flavor = "multi_thread")]
async fn it_stops_within_five_seconds_also_before_it_works() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    install(&control_plane).await;
    let operator = Operator::start(&control_plane.admin_config(), settings(&[]), |client| {
        faults::keep_from(client, "/secrets/tremplin-content-key", Instead::Silence)
    });
    eventually("it leads", async || {
        (operator.metric("tremplin_leader").await == Some(1.0)).then_some(())
    })
    .await;
    let stopping = Instant::now();
    operator.stop().await.unwrap();
    assert!(stopping.elapsed() < Duration::from_secs(5), "{:?}", stopping.elapsed());
}
