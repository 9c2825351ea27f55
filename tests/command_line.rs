//! The commands that ask a cluster, on a real API server: the program as people run it, with a kubeconfig.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;
#[path = "command_line/place.rs"]
mod place;

use std::path::Path;

use kube::runtime::wait::await_condition;
use place::{Place, documents, place, run_as, tempdir};
use serde_json::{Value, json};
use tremplin_core::api::StartupApp;
use tremplin_core::labels::RESTARTED_AT;
use tremplin_core::live::STARTUP_APP_MANAGER;
use tremplin_e2e::ControlPlane;

const APP: &str = "
apiVersion: tremplin.dev/v1alpha1
kind: StartupApp
metadata: {name: annuaire}
spec:
  image: ghcr.io/betagouv/annuaire:8f2c1e0
  crons: [{name: purge, schedule: '@daily'}]
";

#[tokio::test]
async fn diff_is_empty_when_the_cluster_is_as_rendered_and_tells_what_is_not() {
    let place = place().await;
    let nothing_there = place.run(&["diff", "-f", "-"], APP).await;
    assert_eq!(nothing_there.code, Some(1), "{}", nothing_there.errors);
    assert!(
        nothing_there.output.contains("+++ rendered/Deployment/annuaire-web"),
        "{}",
        nothing_there.output
    );

    let app = place.apply(&documents(APP)[0], "a-person").await;
    let rendered = place.run(&["render", "-f", "-"], APP).await;
    assert_eq!(rendered.code, Some(0), "{}", rendered.errors);
    place.apply_as_operator(&rendered.output, &app).await;
    let same = place.run(&["diff", "-f", "-"], APP).await;
    assert_eq!(
        (same.code, same.output.as_str(), same.errors.as_str()),
        (Some(0), "", "")
    );

    let changed = APP
        .replace("8f2c1e0", "9a0b1c2")
        .replace("  crons: [{name: purge, schedule: '@daily'}]\n", "");
    let different = place.run(&["diff", "-f", "-"], &changed).await;
    assert_eq!(different.code, Some(1), "{}", different.errors);
    assert!(
        different.output.contains(
            "-        image: ghcr.io/betagouv/annuaire:8f2c1e0\n+        image: ghcr.io/betagouv/annuaire:9a0b1c2\n"
        ),
        "{}",
        different.output
    );
    assert!(
        different.output.contains("--- live/CronJob/annuaire-purge\n"),
        "{}",
        different.output
    );
    let for_programs = place.run(&["diff", "-f", "-", "-o", "json"], &changed).await;
    let listed: Value = serde_json::from_str(&for_programs.output).unwrap();
    let cron = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["object"] == "CronJob/annuaire-purge");
    assert_eq!((for_programs.code, &cron.unwrap()["rendered"]), (Some(1), &Value::Null));
    assert!(
        !different.output.contains("Service/annuaire-web"),
        "{}",
        different.output
    );
}

#[tokio::test]
async fn diff_says_that_a_foreign_object_would_be_left_alone() {
    let place = place().await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "annuaire-web"}, "spec": {"ports": [{"port": 1}]}});
    place.apply(&service, "somebody").await;
    let ran = place.run(&["diff", "-f", "-"], APP).await;
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.errors.contains("Service/annuaire-web is there and not this app's"),
        "{}",
        ran.errors
    );
}

/// The operator takes it up again (`tests/ownership.rs`), so the name is not taken.
#[tokio::test]
async fn diff_knows_a_child_of_ours_whose_owner_was_edited_away() {
    let place = place().await;
    let rendered = place.run(&["render", "-f", "-"], APP).await;
    place.apply(&documents(APP)[0], "a-person").await;
    for object in documents(&rendered.output) {
        place.apply(&object, STARTUP_APP_MANAGER).await;
    }
    let same = place.run(&["diff", "-f", "-"], APP).await;
    assert_eq!(
        (same.code, same.output.as_str(), same.errors.as_str()),
        (Some(0), "", "")
    );
}

/// A team may see its objects and not its namespace: the labels then come from the command line, which is told.
#[tokio::test]
async fn diff_goes_on_where_the_namespace_may_not_be_read() {
    let place = place().await;
    let rules = json!([
        {"apiGroups": ["tremplin.dev"], "resources": ["startupapps"], "verbs": ["get"]},
        {"apiGroups": ["tremplin.dev"], "resources": ["dnsrecords"], "verbs": ["get", "list", "patch", "create"]},
        {"apiGroups": ["", "apps", "batch", "networking.k8s.io", "policy"], "verbs": ["get", "list", "patch", "create"],
         "resources": ["serviceaccounts", "services", "configmaps", "deployments", "cronjobs", "jobs", "ingresses", "poddisruptionbudgets"]},
    ]);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "team"}, "rules": rules});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "team"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "team"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "marianne"}],
    });
    for object in [&role, &binding] {
        place.apply(object, "platform-team").await;
    }
    let labels = "--namespace-labels=dso/project.slug=brigade";
    let app = place.apply(&documents(APP)[0], "a-person").await;
    let rendered = place.run(&["render", labels, "-f", "-"], APP).await;
    place.apply_as_operator(&rendered.output, &app).await;

    let kubeconfig = ControlPlane::shared()
        .await
        .unwrap()
        .kubeconfig_as("marianne", &[])
        .unwrap();
    let theirs = Place { kubeconfig, ..place };
    let same = theirs.run(&["diff", labels, "-f", "-"], APP).await;
    assert_eq!((same.code, same.output.as_str()), (Some(0), ""), "{}", same.errors);
    let note = format!(
        "note: you may not read the namespace {}: its labels are those of",
        theirs.namespace
    );
    assert!(same.errors.contains(&note), "{}", same.errors);
    let other = theirs
        .run(&["diff", labels, "-f", "-"], &APP.replace("8f2c1e0", "9a0b1c2"))
        .await;
    assert_eq!(other.code, Some(1), "{}", other.errors);
}

#[tokio::test]
async fn restart_follows_the_rollout_to_its_end() {
    let place = place().await;
    let app = place.apply(&documents(APP)[0], "a-person").await;
    let rendered = place.run(&["render", "-f", "-"], APP).await;
    let operate = async {
        let asked = |app: Option<&StartupApp>| {
            app.is_some_and(|app| {
                app.metadata
                    .annotations
                    .as_ref()
                    .is_some_and(|all| all.contains_key(RESTARTED_AT))
            })
        };
        let marked = await_condition(place.apps(), "annuaire", asked).await.unwrap().unwrap();
        let at = marked.metadata.annotations.unwrap()[RESTARTED_AT].clone();
        // The Deployment controller rolls no instances at once; others would need a node.
        let deployments = documents(&rendered.output)
            .into_iter()
            .filter(|object| object["kind"] == "Deployment")
            .map(|mut deployment| {
                deployment["spec"]["replicas"] = json!(0);
                deployment["spec"]["template"]["metadata"]["annotations"] = json!({RESTARTED_AT: at});
                deployment
            });
        for deployment in deployments {
            place.apply_as_operator(&deployment.to_string(), &app).await;
        }
    };
    let (ran, ()) = tokio::join!(
        place.run(&["restart", "annuaire", "--wait", "--timeout", "50s"], ""),
        operate
    );
    assert_eq!(ran.code, Some(0), "{}", ran.errors);
    assert!(ran.errors.ends_with("annuaire is restarted\n"), "{}", ran.errors);
}

#[tokio::test]
async fn nothing_is_asked_of_a_suspended_app() {
    let place = place().await;
    place
        .apply(&documents(&format!("{APP}  suspend: true\n"))[0], "a-person")
        .await;
    for arguments in [
        &["restart", "annuaire", "--wait"][..],
        &["run-cron", "annuaire", "purge"],
    ] {
        let ran = place.run(arguments, "").await;
        assert_eq!(ran.code, Some(2));
        assert!(ran.errors.contains("the app annuaire is suspended"), "{}", ran.errors);
    }
    assert_eq!(place.apps().get("annuaire").await.unwrap().metadata.annotations, None);
}

#[tokio::test]
async fn restart_annotates_the_app_and_says_when_it_takes_too_long() {
    let place = place().await;
    place.apply(&documents(APP)[0], "a-person").await;
    let ran = place.run(&["restart", "startupapp/annuaire"], "").await;
    assert_eq!((ran.code, ran.output.as_str()), (Some(0), ""), "{}", ran.errors);
    let app = place.apps().get("annuaire").await.unwrap();
    let at = app.metadata.annotations.unwrap()["tremplin.dev/restarted-at"].clone();
    assert!(ran.errors.contains(&at), "{}", ran.errors);
    at.parse::<jiff::Timestamp>().unwrap();

    let late = place
        .run(&["restart", "annuaire", "--wait", "--timeout", "1s"], "")
        .await;
    assert_eq!(late.code, Some(1));
    assert!(
        late.errors.contains("waiting for the operator") && late.errors.contains("not done in time"),
        "{}",
        late.errors
    );

    let nobody = place.run(&["restart", "portail"], "").await;
    assert_eq!(nobody.code, Some(2));
    assert!(
        nobody
            .errors
            .contains("there is no StartupApp portail in the namespace"),
        "{}",
        nobody.errors
    );
}

#[tokio::test]
async fn run_cron_asks_for_a_run_and_tells_how_it_ended() {
    let place = place().await;
    place.apply(&documents(APP)[0], "a-person").await;
    let unknown = place.run(&["run-cron", "annuaire", "mails"], "").await;
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.errors.contains("has no cron mails; it has: purge"),
        "{}",
        unknown.errors
    );

    let act = async {
        // The operator's part: the Job that the annotation asks for. The Job controller ends it at its deadline.
        let apps = place.apps();
        let asked = |app: Option<&StartupApp>| {
            app.is_some_and(|app| {
                app.metadata
                    .annotations
                    .as_ref()
                    .is_some_and(|all| all.contains_key("tremplin.dev/run-cron"))
            })
        };
        let app = await_condition(apps, "annuaire", asked).await.unwrap().unwrap();
        let request = app.metadata.annotations.unwrap()["tremplin.dev/run-cron"].clone();
        assert!(request.starts_with("purge@"), "{request}");
        let name = tremplin_core::names::one_shot("annuaire", "purge", &request);
        let container = json!({"name": "purge", "image": "ghcr.io/betagouv/annuaire:8f2c1e0"});
        let template = json!({"spec": {"restartPolicy": "Never", "containers": [container]}});
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"activeDeadlineSeconds": 1, "template": template}});
        place.apply(&job, STARTUP_APP_MANAGER).await;
    };
    let (ran, ()) = tokio::join!(
        place.run(&["run-cron", "annuaire", "purge", "--wait", "--timeout", "30s"], ""),
        act
    );
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    assert!(
        ran.errors
            .contains("it failed: Job was active longer than specified deadline"),
        "{}",
        ran.errors
    );
}

#[tokio::test]
async fn why_tells_the_reason_and_the_next_step() {
    let place = place().await;
    place.apply(&documents(APP)[0], "a-person").await;
    let unseen = place.run(&["why", "annuaire"], "").await;
    assert_eq!(unseen.code, Some(1));
    assert!(
        unseen.output.contains("the operator has not looked at it yet"),
        "{}",
        unseen.output
    );
    let ready = json!({"type": "Ready", "status": "False", "reason": "HostTaken", "message": "the host is taken", "lastTransitionTime": "2026-11-22T10:00:00Z"});
    place
        .status_of_app(json!({"observedGeneration": 1, "conditions": [ready]}))
        .await;
    let for_programs = place.run(&["why", "annuaire", "-o", "yaml"], "").await;
    assert_eq!(documents(&for_programs.output)[0]["reason"], "HostTaken");
    let ran = place.run(&["why", "sapp/annuaire"], "").await;
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    assert!(
        ran.output.contains("(HostTaken) since 2026-11-22T10:00:00Z"),
        "{}",
        ran.output
    );
    assert!(ran.output.contains("  Next: Choose another host"), "{}", ran.output);
}

#[tokio::test]
async fn an_unreachable_cluster_is_told_not_waited_for() {
    let folder = tempdir();
    let kubeconfig = folder.join("config");
    let nowhere = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}], "users": [{"name": "x", "user": {}}],
    });
    std::fs::write(&kubeconfig, nowhere.to_string()).unwrap();
    let ran = run_as(
        Path::new(env!("CARGO_BIN_EXE_tremplin")),
        &kubeconfig,
        &["why", "annuaire", "-n", "x"],
        "",
    )
    .await;
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.errors.contains("failed to read the StartupApp annuaire of x"),
        "{}",
        ran.errors
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn as_kubectl_finds_it_by_a_link_it_calls_itself_kubectl_tremplin() {
    let folder = tempdir();
    let link = folder.join("kubectl-tremplin");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tremplin"), &link).unwrap();
    let ran = run_as(&link, Path::new("/nonexistent"), &["why", "--help"], "").await;
    assert_eq!(ran.code, Some(0));
    assert!(ran.output.contains("Usage: kubectl tremplin why"), "{}", ran.output);
    std::fs::remove_dir_all(folder).unwrap();
}
