//! The samples of `config/samples`, run: with the sample app in the place of images and commands that nobody has here.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tremplin_e2e::progress::seconds;

use crate::team::Team;
use crate::world::{World, image};

/// None is left out: a new sample runs here, or this fails.
pub async fn every_sample_is_ready_and_reachable(world: Arc<World>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name("config")
        .join("samples");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    // One after the other: together they would take the room of the trials beside.
    for file in files {
        let started = Instant::now();
        let sample = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        run(&world, &sample, serde_saphyr::from_multiple(&text).unwrap()).await;
        eprintln!("  the sample {sample}: {}", seconds(started.elapsed()));
    }
}

async fn run(world: &Arc<World>, sample: &str, objects: Vec<Value>) {
    // The rehearsal asks for hosts of that environment alone.
    let team = Team::new(world, if sample == "staging" { "staging" } else { "dev" }).await;
    // What the samples name and Git does not hold.
    team.put_secret("carte-secrets", &[("token", "t")]).await;
    team.put_secret("demarches-db", &[("url", "postgres://here")]).await;
    let mut apps = Vec::new();
    for mut object in objects {
        if object["kind"] == "StartupApp" {
            play(&mut object["spec"]);
            apps.push(object["metadata"]["name"].as_str().unwrap().to_owned());
        }
        apply(&team, object).await;
    }
    assert!(!apps.is_empty(), "{sample} has no app");
    for name in apps {
        let app = team.ready(&name).await;
        let host = app.url().split('/').nth(2).unwrap().split(':').next().unwrap();
        let answer = team.answers(host, "/", |answer| answer.status == 200).await;
        assert!(
            answer.body.starts_with("sample-app 1.0.0 "),
            "{sample}: {}",
            answer.body
        );
    }
    team.leave().await;
}

/// The sample app's images and commands in the place of the team's own.
fn play(spec: &mut Value) {
    let replace = |place: Option<&mut Value>, by: Value| {
        if let Some(place) = place {
            *place = by;
        }
    };
    replace(spec.get_mut("image"), json!(image("1.0.0")));
    replace(spec.pointer_mut("/release/command"), json!(["/sample-app", "release"]));
    let list = |spec: &mut Value, name: &str, change: &dyn Fn(&mut Value)| {
        let entries = spec.get_mut(name).and_then(Value::as_array_mut);
        entries.into_iter().flatten().for_each(change);
    };
    list(spec, "crons", &|cron| {
        replace(cron.get_mut("command"), json!(["/sample-app", "cron"]));
    });
    list(spec, "processes", &|process| {
        replace(process.get_mut("image"), json!(image("1.0.0")));
        replace(process.get_mut("command"), json!(["/sample-app", "worker"]));
        // It is asked as the sample's own command would be, and ends well.
        replace(process.pointer_mut("/health/command"), json!(["/sample-app", "cron"]));
    });
}

async fn apply(team: &Team, object: Value) {
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    let params = PatchParams::apply("team");
    let name = object.name_any();
    match object.types.as_ref().unwrap().kind.as_str() {
        "StartupApp" => team
            .apps()
            .patch(&name, &params, &Patch::Apply(&object))
            .await
            .map(drop),
        "ConfigMap" => {
            let maps = team.api::<k8s_openapi::api::core::v1::ConfigMap>();
            maps.patch(&name, &params, &Patch::Apply(&object)).await.map(drop)
        }
        other => panic!("no sample had a {other} until now: say here how it is applied"),
    }
    .unwrap();
}
