//! What an app names and does not hold itself: Secrets and ConfigMaps.

use std::sync::Arc;

use serde_json::json;

use crate::team::{Team, revision};
use crate::world::{World, image};

pub async fn a_missing_secret_is_named_and_the_app_goes_on_when_it_is_there(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    let spec = json!({"image": image("1.0.0"), "secretEnv": {"DATABASE_URL": {"name": "shop-db", "key": "url"}}});
    team.put("shop", spec).await;
    let app = team
        .told("shop", "ReferenceMissing", &["the Secret shop-db does not exist"])
        .await;
    assert_eq!(
        app.condition("Reconciling", "status"),
        "True",
        "nobody must touch the app"
    );
    team.put_secret("shop-db", &[("uri", "postgres://elsewhere")]).await;
    team.told("shop", "ReferenceMissing", &["the Secret shop-db has no key url"])
        .await;
    team.put_secret("shop-db", &[("url", "postgres://here")]).await;
    let app = team.ready("shop").await;
    let here = |answer: &tremplin_e2e::http::Answer| answer.body == "postgres://here\n";
    team.answers(app.host(), "/env?name=DATABASE_URL", here).await;
    team.leave().await;
}

pub async fn a_changed_secret_rolls_the_processes_that_use_it_once(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    team.put_secret("key", &[("token", "first")]).await;
    team.put_secret("certificate", &[("pem", "first")]).await;
    team.put_config_map("settings", &[("CURRENCY", "euro")]).await;
    let spec = |greeting: &str| {
        json!({
            "image": image("1.0.0"),
            "env": {"GREETING": greeting},
            "secretEnv": {"TOKEN": {"name": "key", "key": "token"}},
            "envFrom": [{"configMapRef": {"name": "settings"}}],
            "processes": [{"name": "web"}, {"name": "worker", "args": ["worker"]}],
            "volumes": [{
                "name": "certificate", "process": "worker", "mountPath": "/certificate",
                "secretRef": {"name": "certificate"},
            }],
        })
    };
    team.put("shop", spec("hello")).await;
    let app = team.ready("shop").await;
    let variable = async |name: &str, value: &str| {
        let (path, value) = (format!("/env?name={name}"), format!("{value}\n"));
        team.answers(app.host(), &path, |answer| answer.body == value).await;
    };
    variable("TOKEN", "first").await;

    // Both use it.
    team.put_secret("key", &[("token", "second")]).await;
    team.rolled("shop-web", 2).await;
    team.rolled("shop-worker", 2).await;
    variable("TOKEN", "second").await;
    // One uses it.
    team.put_secret("certificate", &[("pem", "second")]).await;
    let worker = team.rolled("shop-worker", 3).await;
    assert_eq!(revision(&worker), 3);
    // Both use it again.
    team.put_config_map("settings", &[("CURRENCY", "franc")]).await;
    team.rolled("shop-web", 3).await;
    team.rolled("shop-worker", 4).await;
    variable("CURRENCY", "franc").await;
    // What no process sees rolls none: another key.
    team.put_secret("key", &[("token", "second"), ("unused", "new")]).await;
    // The next change of the app comes after all of that, and is the next version of each.
    team.put("shop", spec("good evening")).await;
    team.rolled("shop-web", 4).await;
    team.rolled("shop-worker", 5).await;
    variable("GREETING", "good evening").await;
    team.leave().await;
}
