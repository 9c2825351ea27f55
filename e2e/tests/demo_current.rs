//! `make demo CLUSTER=current`, on a cluster that is there already: its kubeconfig is all that is known of it.
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::path::Path;
use std::process::{Command, Output};

use tremplin_e2e::state::Folder;
use tremplin_e2e::{Cluster, Profile, image};

/// Runs a command of the demo as make does, with the cluster as the current context.
fn run(cluster: &Cluster, state: &Path, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tremplin-e2e"));
    program
        .args(arguments)
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("TREMPLIN_STATE", state);
    program.output().unwrap()
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}\n{err}")
}

#[tokio::test]
async fn it_installs_what_the_cluster_can_pull_and_tells_what_it_cannot() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: a node needs root");
        return;
    }
    let state = Folder::temporary().unwrap();
    let binary = image::operator_binary().await.unwrap();
    let operator = image::operator(&binary, "local").await.unwrap();
    let cluster = Cluster::start(Profile::Node).await.unwrap();

    let absent = run(&cluster, state.path(), &["demo", "--current"]);
    let told = said(&absent);
    assert_eq!(absent.status.code(), Some(2), "{told}");
    for words in [
        "this step failed",
        "asking the cluster to pull the images",
        "this cluster cannot pull ghcr.io/tremplin-dev/",
        "make demo CLUSTER=current OPERATOR_IMAGE=",
    ] {
        assert!(told.contains(words), "{words:?} is not told:\n{told}");
    }

    cluster.import_image(&operator.archive).await.unwrap();
    for version in ["1.0.0", "1.1.0"] {
        let app = image::sample_app(version).await.unwrap();
        cluster.import_image(&app.archive).await.unwrap();
    }
    let up = ["demo", "--current", "--operator-image", &operator.reference];
    let done = run(&cluster, state.path(), &up);
    let told = said(&done);
    assert!(done.status.success(), "{told}");
    assert!(told.contains("hello   True    Running"), "{told}");
    assert!(told.contains("make demo-down CLUSTER=current"), "{told}");

    let down = run(&cluster, state.path(), &["demo-down", "--current"]);
    assert!(down.status.success(), "{}", said(&down));
    let left = run(&cluster, state.path(), &["status"]);
    assert!(said(&left).contains("no cluster"), "{}", said(&left));
}
