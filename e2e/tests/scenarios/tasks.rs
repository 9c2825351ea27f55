//! What runs by the clock or is asked for by hand.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use crate::team::Team;
use crate::world::{World, image};

const RUN_CRON: &str = "tremplin.dev/run-cron";
const RESTARTED_AT: &str = "tremplin.dev/restarted-at";

/// An app whose only process does nothing, with one cron.
fn with_cron(cron: &Value) -> Value {
    json!({
        "image": image("1.0.0"),
        "exposure": "None",
        "processes": [{"name": "worker", "args": ["worker"]}],
        "crons": [cron],
    })
}

pub async fn a_cron_runs_by_the_clock_and_its_result_is_told(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    let path = format!("/{}", team.namespace);
    let args = json!(["cron", "--count-url", world.counter.url(&path)]);
    team.put(
        "shop",
        with_cron(&json!({"name": "reminders", "schedule": "* * * * *", "args": args})),
    )
    .await;
    let applied_at = Timestamp::now();
    let app = team.until("shop", "telling of a run", |app| {
        app.entry("crons", "reminders")["lastResult"] == "Succeeded"
    });
    let app = app.await;
    let cron = app.entry("crons", "reminders");
    let time = |field: &str| cron[field].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(
        time("lastRunAt") > applied_at - k8s_openapi::jiff::SignedDuration::from_secs(60),
        "{cron}"
    );
    assert!(time("nextRunAt") > time("lastRunAt"), "{cron}");
    assert_eq!(app.condition("CronsHealthy", "status"), "True");
    assert_eq!(world.counter.posted(&path)[0], "cron 1.0.0");
    team.leave().await;
}

pub async fn a_cron_asked_for_by_hand_runs_once_and_its_failure_is_told(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    let path = format!("/{}", team.namespace);
    let yearly = |fail: &str| {
        let args = json!(["cron", "--count-url", world.counter.url(&path), "--fail", fail]);
        with_cron(&json!({"name": "invoices", "schedule": "0 0 1 1 *", "args": args}))
    };
    let told = async |result: &str| {
        let told = |app: &crate::app::App| {
            app.is_current()
                && app.entry("crons", "invoices")["lastResult"]
                    .as_str()
                    .is_some_and(|last| last.starts_with(result))
        };
        team.until("shop", &format!("telling of a run that {result}"), told)
            .await
    };
    team.put("shop", yearly("")).await;
    team.ready("shop").await;
    let request = |at: Timestamp| format!("invoices@{at}");
    let first = request(Timestamp::now());
    team.annotate("shop", RUN_CRON, &first).await;
    told("Succeeded").await;
    assert_eq!(world.counter.posted(&path), ["cron 1.0.0"]);

    // Every write of the app makes the operator read the same request again.
    team.put("shop", yearly("no more paper")).await;
    let app = team.until("shop", "seen", crate::app::App::is_ready).await;
    assert_eq!(app.text("/metadata/annotations/tremplin.dev~1run-cron"), first);
    team.annotate("shop", RUN_CRON, &request(Timestamp::now())).await;
    let app = told("Failed: exit code 1: ").await;
    assert_eq!(app.condition("CronsHealthy", "status"), "False");
    let message = app.condition("CronsHealthy", "message");
    assert!(
        message.contains("invoices (exit code 1: ") && message.contains("no more paper"),
        "{message}"
    );
    assert!(app.is_ready(), "a failed cron leaves the app as it is");
    assert_eq!(world.counter.posted(&path).len(), 2);
    let jobs: Api<Job> = team.api();
    assert_eq!(
        jobs.list(&ListParams::default()).await.unwrap().items.len(),
        2,
        "one Job per request"
    );
    team.leave().await;
}

pub async fn a_restart_rolls_once(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    let spec = |greeting: &str| json!({"image": image("1.0.0"), "env": {"GREETING": greeting}});
    team.put("shop", spec("hello")).await;
    team.ready("shop").await;
    team.rolled("shop-web", 1).await;
    team.annotate("shop", RESTARTED_AT, &Timestamp::now().to_string()).await;
    team.rolled("shop-web", 2).await;
    // The next change comes after that, and is the next version.
    team.put("shop", spec("good evening")).await;
    team.rolled("shop-web", 3).await;
    team.leave().await;
}
