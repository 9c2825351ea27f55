//! What the platform team changes reaches the apps that it concerns, without a restart of the operator: one patch per
//! child concerned, and pods roll one app after the other.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use common::{Operator, Team, eventually, install, requests};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tremplin_e2e::audit::Mark;
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

const FILE: &str = "
domains: [{domain: first.example.org, hostTemplate: '{app}.{domain}'}]
exposures: [{name: public, default: true, scheme: http, type: Ingress, ingress: {className: first}}]
sizes: {M: {cpu: 100m, memory: 128Mi, default: true}, L: {cpu: 200m, memory: 256Mi}}
security: {type: OpenShift}
";
const IMAGE: &str = "image: 'ghcr.io/brigade/site:one'";
const ERRORS: &str = "tremplin_platform_errors_total";

/// The platform file of one operator.
struct File(PathBuf);

impl File {
    fn new(control_plane: &ControlPlane) -> Self {
        let file = Self(control_plane.folder().join("platform.yaml"));
        fs::write(&file.0, FILE).unwrap();
        file
    }

    fn operator(&self, control_plane: &ControlPlane, flags: &[&str]) -> Operator {
        let flags = [
            flags,
            &["--platform", self.0.to_str().unwrap(), "--platform-poll=100ms"],
        ]
        .concat();
        Operator::plain(control_plane, &flags)
    }

    /// Replaces it whole, as Kubernetes does with a mounted ConfigMap.
    fn write(&self, text: &str) {
        let beside = self.0.with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, &self.0).unwrap();
    }
}

/// What this process has logged so far.
fn log() -> &'static Mutex<Vec<u8>> {
    static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    LOG.get_or_init(|| {
        let lines = Arc::new(Mutex::default());
        let writer = lines.clone();
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || Lines(writer.clone()))
            .init();
        lines
    })
}

async fn settle(team: &Team, apps: &[(&str, String)]) {
    for (name, spec) in apps {
        team.commit(name, spec).await;
    }
    for (name, _) in apps {
        team.told(name, "Ready", "False", "Deploying").await;
    }
    team.run_deployments().await;
    for (name, _) in apps {
        team.told(name, "Ready", "True", "Running").await;
    }
}

/// The children that were written since, but for statuses.
async fn written(control_plane: &ControlPlane, client: &Client, since: Mark) -> Vec<String> {
    let log = control_plane.audit_log();
    let now = log.mark(client).await.unwrap();
    let mut asked = requests(&log.between(since, now).unwrap());
    asked.retain(|request| !request.contains("/status ") && !request.contains("events/"));
    asked.sort();
    asked
}

/// How often apps were looked at.
async fn rounds(operator: &Operator) -> f64 {
    let name = "tremplin_reconciles_total{kind=\"StartupApp\",result=\"settled\"}";
    operator.metric(name).await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_costs_one_patch_per_child_concerned_and_a_broken_one_changes_nothing() {
    let log = log();
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "paris").await;
    let file = File::new(&control_plane);
    let operator = file.operator(&control_plane, &["--resync=300ms"]);
    let apps = [
        ("shown", format!("{{{IMAGE}}}")),
        ("named", format!("{{{IMAGE}, hosts: [x.first.example.org]}}")),
        ("hidden", format!("{{{IMAGE}, exposure: None}}")),
    ];
    settle(&team, &apps).await;
    let ingress = async |name: &str| team.api::<Ingress>().get(name).await.unwrap().spec.unwrap();
    let host = async |name: &str| ingress(name).await.rules.unwrap()[0].host.clone().unwrap();
    let class = async |name: &str| ingress(name).await.ingress_class_name.unwrap();

    // The template of hosts concerns the app that names none.
    let start = control_plane.audit_log().mark(&client).await.unwrap();
    let renamed = FILE.replace("'{app}.{domain}'", "'{app}-new.{domain}'");
    file.write(&renamed);
    eventually("the new host", async || {
        (host("shown").await == "shown-new.first.example.org").then_some(())
    })
    .await;
    eventually("the new URL is told", async || {
        let url = team.apps().get("shown").await.unwrap().status?.url?;
        url.contains("shown-new").then_some(())
    })
    .await;
    assert_eq!(
        written(&control_plane, &client, start).await,
        ["patch ingresses/shown 200"]
    );
    assert_eq!(host("named").await, "x.first.example.org");

    // The class of Ingresses concerns both that have one.
    let start = control_plane.audit_log().mark(&client).await.unwrap();
    let classed = renamed.replace("className: first", "className: second");
    file.write(&classed);
    eventually("the new class", async || {
        (class("shown").await == "second" && class("named").await == "second").then_some(())
    })
    .await;
    assert_eq!(
        written(&control_plane, &client, start).await,
        ["patch ingresses/named 200", "patch ingresses/shown 200"]
    );

    // A file that cannot work is told, once, and the one before stays in force: over many rounds, against drift, and
    // for new apps.
    let start = control_plane.audit_log().mark(&client).await.unwrap();
    assert_eq!(operator.metric(ERRORS).await, Some(0.0));
    file.write(
        &classed
            .replace("className: second", "className: third")
            .replace("cpu: 200m", "cpu: much"),
    );
    eventually("the broken file is told", async || {
        operator.metric(ERRORS).await.filter(|errors| *errors > 0.0)
    })
    .await;
    let text = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let told = text
        .lines()
        .find(|line| line.contains("the last good one is kept"))
        .unwrap();
    assert!(
        told.contains("ERROR") && told.contains("platform.yaml") && told.contains("sizes.L.cpu"),
        "{told}"
    );
    let before = rounds(&operator).await;
    eventually("every app was looked at twice", async || {
        (rounds(&operator).await >= before + 6.0).then_some(())
    })
    .await;
    assert_eq!(written(&control_plane, &client, start).await, Vec::<String>::new());
    let drift = json!({"spec": {"ingressClassName": "somebodys"}});
    team.api::<Ingress>()
        .patch("named", &PatchParams::default(), &Patch::Merge(drift))
        .await
        .unwrap();
    eventually("the drift is mended", async || {
        (class("named").await != "somebodys").then_some(())
    })
    .await;
    team.commit("late", &format!("{{{IMAGE}}}")).await;
    team.told("late", "Ready", "False", "Deploying").await;
    assert_eq!(
        (class("named").await, class("late").await),
        ("second".into(), "second".into())
    );
    assert_eq!(operator.metric(ERRORS).await, Some(1.0), "it is told once");

    // Corrected, it counts.
    file.write(&classed.replace("className: second", "className: third"));
    eventually("the corrected file counts", async || {
        (class("shown").await == "third" && class("late").await == "third").then_some(())
    })
    .await;
    operator.stop().await.unwrap();
}

const APPS: usize = 6;
const INTERVAL: Duration = Duration::from_secs(2);

/// When the Deployments of the namespace were first patched since, by name.
async fn rolls(control_plane: &ControlPlane, client: &Client, since: Mark) -> BTreeMap<String, Timestamp> {
    let log = control_plane.audit_log();
    let now = log.mark(client).await.unwrap();
    let mut rolls = BTreeMap::new();
    for event in log.between(since, now).unwrap() {
        let is_ours = event.user_agent.starts_with("tremplin") && event.resource == "deployments" && event.is_write();
        if is_ours {
            assert_eq!(event.code, 200, "{event:?}");
            let at = event.received_at.parse().unwrap();
            let before = rolls.insert(event.name.clone(), at);
            assert_eq!(before, None, "{} was patched twice", event.name);
        }
    }
    rolls
}

/// Rolls that came at the bounded rate: none earlier than its turn, as seen by a server that may be late with the first.
fn assert_one_after_the_other(mut at: Vec<Timestamp>) {
    at.sort();
    let (first, last) = (at[0], at[at.len() - 1]);
    let took = Duration::try_from(last.duration_since(first)).unwrap();
    let turns = u32::try_from(at.len() - 1).unwrap();
    assert!(
        took + INTERVAL / 2 >= INTERVAL * turns,
        "{turns} turns took {took:?}: {at:?}"
    );
    for pair in at.windows(2) {
        let gap = Duration::try_from(pair[1].duration_since(pair[0])).unwrap();
        assert!(gap >= INTERVAL / 2, "two rolls at once: {at:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rolls_that_no_team_asked_for_go_one_after_the_other_and_a_teams_own_does_not_wait() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "lyon").await;
    let file = File::new(&control_plane);
    let operator = file.operator(&control_plane, &["--roll-interval=2s"]);
    let spec = |version: &str| {
        format!("{{image: 'ghcr.io/brigade/site:{version}', crons: [{{name: mails, schedule: '@yearly'}}]}}")
    };
    let apps: Vec<_> = (0..APPS).map(|index| (format!("app{index}"), spec("one"))).collect();
    let apps: Vec<_> = apps.iter().map(|(name, spec)| (name.as_str(), spec.clone())).collect();
    settle(&team, &apps).await;

    // The default size changes: every pod is rendered otherwise, and so is every CronJob, for which nothing rolls.
    let start = control_plane.audit_log().mark(&client).await.unwrap();
    file.write(&FILE.replace("cpu: 100m", "cpu: 150m"));
    let first = eventually("the first roll", async || {
        rolls(&control_plane, &client, start).await.into_keys().next()
    })
    .await;
    let waiting = (0..APPS)
        .map(|index| format!("app{index}"))
        .find(|app| format!("{app}-web") != first)
        .unwrap();
    let asked = Instant::now();
    team.commit(&waiting, &spec("two")).await;
    let image = async || {
        let live = team.deployments().get(&format!("{waiting}-web")).await.unwrap();
        live.spec.template.spec.unwrap().containers[0].image.clone().unwrap()
    };
    eventually("the team's own version", async || {
        image().await.ends_with(":two").then_some(())
    })
    .await;
    let still_waiting = APPS - rolls(&control_plane, &client, start).await.len();
    assert!(
        still_waiting >= 1,
        "it waited for all the others, {:?}",
        asked.elapsed()
    );
    let mut all = eventually("every app has rolled", async || {
        let rolls = rolls(&control_plane, &client, start).await;
        (rolls.len() == APPS).then_some(rolls)
    })
    .await;
    all.remove(&format!("{waiting}-web"));
    assert_one_after_the_other(all.into_values().collect());
    operator.stop().await.unwrap();

    // An upgrade of the operator: the live templates are what an older one rendered of the same specs.
    for index in 0..APPS {
        let name = format!("app{index}-web");
        let live = team.deployments().get(&name).await.unwrap();
        let made_from = live.metadata.annotations.unwrap()["tremplin.dev/template"].clone();
        let older = format!("{}/older", made_from.split_once('/').unwrap().0);
        let older = json!({"metadata": {"annotations": {"tremplin.dev/template": older}}});
        let params = PatchParams::default();
        team.deployments()
            .patch(&name, &params, &Patch::Merge(older))
            .await
            .unwrap();
    }
    let start = control_plane.audit_log().mark(&client).await.unwrap();
    let operator = file.operator(&control_plane, &["--roll-interval=2s"]);
    let all = eventually("every app has rolled", async || {
        let rolls = rolls(&control_plane, &client, start).await;
        (rolls.len() == APPS).then_some(rolls)
    })
    .await;
    assert_one_after_the_other(all.into_values().collect());
    operator.stop().await.unwrap();
}
