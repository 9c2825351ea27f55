//! Each way to fail is told as what it is, with what a person needs to act.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::team::Team;
use crate::world::{World, image};

/// An app whose only process is this one.
fn only(process: &Value) -> Value {
    json!({"image": image("1.0.0"), "processes": [process]})
}

fn worker(args: &Value) -> Value {
    json!({"name": "worker", "args": args})
}

pub async fn a_crash_is_told_with_its_exit_code_and_last_words(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    let mut spec = only(&worker(&json!(["crash", "--code", "3"])));
    spec["exposure"] = json!("None");
    team.put("shop", spec).await;
    let words = ["worker", "exit code 3", "crash: told to exit with code 3"];
    team.told("shop", "CrashLooping", &words).await;
    let app = team
        .until("shop", "restarted", |app| {
            app.entry("processes", "worker")["restarts"].as_i64() > Some(0)
        })
        .await;
    let process = app.entry("processes", "worker");
    assert_eq!(
        (&process["lastExit"]["exitCode"], &process["lastExit"]["reason"]),
        (&json!(3), &json!("Error"))
    );
    team.leave().await;
}

pub async fn a_process_out_of_memory_is_told(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    let mut spec = only(&worker(&json!(["oom"])));
    spec["exposure"] = json!("None");
    team.put("shop", spec).await;
    let app = team
        .told("shop", "CrashLooping", &["worker", "OOMKilled", "larger size"])
        .await;
    assert_eq!(app.entry("processes", "worker")["lastExit"]["reason"], "OOMKilled");
    team.leave().await;
}

pub async fn an_image_that_cannot_be_pulled_is_told(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    team.put("shop", json!({"image": image("9.9.9")})).await;
    team.told("shop", "ImagePullFailed", &["web", &image("9.9.9")]).await;
    // The next version is not held up by it.
    team.put("shop", json!({"image": image("1.0.0")})).await;
    team.ready("shop").await;
    team.leave().await;
}

pub async fn a_failing_probe_is_told_with_its_port_and_the_answer(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    let health = json!({"path": "/healthz", "startSeconds": 30});
    let mut spec = only(&json!({"name": "web", "health": health}));
    spec["env"] = json!({"HEALTH_STATUS": "503"});
    team.put("ill", spec).await;
    let health = json!({"port": 9090, "startSeconds": 30});
    team.put("deaf", only(&json!({"name": "web", "health": health}))).await;
    // It has its time to start, and what it answers meanwhile is told.
    team.told("ill", "Deploying", &["is starting", "port 8080, path /healthz", "503"])
        .await;
    team.told("ill", "ProbeFailing", &["port 8080, path /healthz", "503"])
        .await;
    let app = team.told("deaf", "ProbeFailing", &["port 9090", "refused"]).await;
    assert_eq!(
        app.condition("PolicyCompliant", "status"),
        "True",
        "{}",
        app.condition("PolicyCompliant", "message")
    );
    // The kubelet ends what does not start in time: still it is the probe that fails, not the program.
    let restarted = |app: &crate::app::App| app.entry("processes", "web")["restarts"].as_i64() > Some(0);
    let app = team.until("ill", "restarted", restarted).await;
    assert!(
        app.tells("ProbeFailing", &["port 8080, path /healthz", "503"]),
        "{}",
        app.condition("Ready", "message")
    );
    team.leave().await;
}

pub async fn an_instance_that_no_node_takes_is_told(world: Arc<World>) {
    let mut team = Team::new(&world, "dev").await;
    team.give_quota("200", "64Gi").await;
    team.put(
        "shop",
        only(&json!({"name": "web", "resources": {"cpu": "100", "memory": "64Mi"}})),
    )
    .await;
    team.told("shop", "Unschedulable", &["web", "Insufficient cpu"]).await;
    team.leave().await;
}
