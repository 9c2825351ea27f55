//! A release goes before its rollout, once per version.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::team::Team;
use crate::world::{World, image};

/// What the release says when it fails: a secret is in it.
const LAST_WORDS: &str = "no table users in postgres://shop:hunter2@db.internal/shop";

pub async fn a_failed_release_keeps_the_old_version_and_each_version_is_released_once(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    let path = format!("/{}", team.namespace);
    let spec = |version: &str| -> Value {
        // The fault is in one image, as a fault is: the manifests of all versions are the same but for the image.
        let args = json!(["release", "--fail", LAST_WORDS, "--fail-in", "1.1.0"]);
        json!({
            "image": image(version),
            "env": {"COUNT_URL": world.counter.url(&path)},
            "release": {"command": ["/sample-app"], "args": args},
        })
    };
    let released = || world.counter.posted(&path);

    team.put("shop", spec("1.0.0")).await;
    let app = team.ready("shop").await;
    assert_eq!(app.condition("Released", "status"), "True");
    assert_eq!(released(), ["release 1.0.0"]);
    let answers = async |version: &str| {
        let words = format!("sample-app {version} ");
        team.answers(app.host(), "/", |answer| answer.body.starts_with(&words))
            .await;
    };
    answers("1.0.0").await;

    team.put("shop", spec("1.1.0")).await;
    let words = ["no table users in postgres://***@db.internal/shop", "exit code 1"];
    let failed = team.told("shop", "ReleaseFailed", &words).await;
    assert_eq!(failed.condition("Stalled", "status"), "True");
    assert_eq!(
        failed.condition("Available", "status"),
        "True",
        "the old version serves"
    );
    assert_eq!(failed.text("/status/image"), image("1.0.0"));
    assert!(
        !failed.0["status"].to_string().contains("hunter2"),
        "the status tells a secret"
    );
    answers("1.0.0").await;
    team.rolled("shop-web", 1).await;

    team.put("shop", spec("1.2.0")).await;
    let fixed = team.ready("shop").await;
    assert_eq!(fixed.text("/status/image"), image("1.2.0"));
    answers("1.2.0").await;
    assert_eq!(released(), ["release 1.0.0", "release 1.1.0", "release 1.2.0"]);

    // A version that comes back was released.
    team.put("shop", spec("1.0.0")).await;
    team.until("shop", "rolled back", |app| {
        app.is_ready() && app.text("/status/image") == image("1.0.0")
    })
    .await;
    answers("1.0.0").await;
    assert_eq!(released(), ["release 1.0.0", "release 1.1.0", "release 1.2.0"]);
    team.leave().await;
}
