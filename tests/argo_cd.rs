//! The Lua that Argo CD runs for a `StartupApp`, under Argo CD's limits: its base and table libraries, an `os` that can
//! tell the time and nothing else, one second.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and so may its helpers"
)]

use std::time::{Duration, Instant};

use mlua::{HookTriggers, Lua, LuaOptions, LuaSerdeExt, StdLib, Table, VmState};
use serde_json::{Value, json};
use tremplin_core::app::Reason;
use tremplin_core::labels;

const CONFIG: &str = include_str!("../config/argo-cd/argocd-cm.yaml");
const HEALTH_CASES: &str = include_str!("../config/argo-cd/testdata/health.yaml");
const LIMIT: Duration = Duration::from_secs(1);
const NOW: &str = "2026-11-22T10:00:00Z";

/// The text under one key of the `ConfigMap`.
fn customization(key: &str) -> String {
    let config: Value = serde_saphyr::from_str(CONFIG).unwrap();
    text(&config["data"][format!("resource.customizations.{key}.tremplin.dev_StartupApp")])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn actions() -> Value {
    serde_saphyr::from_str(&customization("actions")).unwrap()
}

fn discover(obj: &Value) -> Value {
    run(&text(&actions()["discovery.lua"]), obj, &json!({})).unwrap()
}

fn act(name: &str, obj: &Value, params: &Value) -> mlua::Result<Value> {
    let actions = actions();
    let definitions = actions["definitions"].as_array().unwrap();
    let action = definitions
        .iter()
        .find(|definition| definition["name"] == name)
        .unwrap();
    run(&text(&action["action.lua"]), obj, params)
}

/// Runs a script as Argo CD does, with the object as `obj` and the parameters as `actionParams`.
fn run(script: &str, obj: &Value, params: &Value) -> mlua::Result<Value> {
    let lua = Lua::new_with(StdLib::TABLE | StdLib::PACKAGE, LuaOptions::default())?;
    let os = lua.create_table()?;
    os.set("date", lua.create_function(|_, format: String| date(&format))?)?;
    let preload: Table = lua.globals().get::<Table>("package")?.get("preload")?;
    preload.set("os", lua.create_function(move |_, ()| Ok(os.clone()))?)?;
    lua.globals().set("obj", lua.to_value(obj)?)?;
    lua.globals().set("actionParams", lua.to_value(params)?)?;
    let started = Instant::now();
    lua.set_hook(HookTriggers::new().every_nth_instruction(1000), move |_, _| {
        if started.elapsed() < LIMIT {
            Ok(VmState::Continue)
        } else {
            Err(mlua::Error::runtime("over a second"))
        }
    })?;
    lua.from_value(lua.load(script).eval()?)
}

/// Go's `strftime` of the safe `os`, for the one format that is used.
fn date(format: &str) -> mlua::Result<&'static str> {
    match format {
        "!%Y-%m-%dT%XZ" => Ok(NOW),
        _ => Err(mlua::Error::runtime(format!("this test knows no date format {format}"))),
    }
}

fn app(spec: &Value) -> Value {
    json!({
        "apiVersion": "tremplin.dev/v1alpha1",
        "kind": "StartupApp",
        "metadata": {"name": "shop", "generation": 2, "annotations": {"kept": "yes"}},
        "spec": spec,
    })
}

#[test]
fn health_says_what_the_conditions_say() {
    let cases: Vec<Value> = serde_saphyr::from_str(HEALTH_CASES).unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let mut obj = app(&json!({"image": "ghcr.io/team/shop:1"}));
        obj["metadata"]["generation"] = case["generation"].clone();
        if let Some(status) = case.get("status") {
            obj["status"] = status.clone();
        }
        let health = run(&customization("health"), &obj, &json!({})).unwrap();
        assert_eq!(health, case["expect"], "{}", case["name"]);
    }
}

#[test]
fn the_cases_use_reasons_that_the_operator_gives() {
    let cases: Vec<Value> = serde_saphyr::from_str(HEALTH_CASES).unwrap();
    let conditions = cases.iter().filter_map(|case| case["status"]["conditions"].as_array());
    for condition in conditions.flatten() {
        let reason = text(&condition["reason"]);
        assert!(Reason::ALL.iter().any(|known| known.as_str() == reason), "{reason}");
    }
}

#[test]
fn restart_writes_the_time_and_nothing_else() {
    let before = app(&json!({"image": "ghcr.io/team/shop:1"}));
    let mut expected = before.clone();
    expected["metadata"]["annotations"][labels::RESTARTED_AT] = json!(NOW);
    assert_eq!(act("restart", &before, &json!({})).unwrap(), expected);
}

#[test]
fn run_cron_names_the_cron_and_the_time() {
    let before = app(&json!({"crons": [{"name": "digest"}, {"name": "purge"}]}));
    let after = act("run-cron", &before, &json!({"cron": "purge"})).unwrap();
    let mut expected = before;
    expected["metadata"]["annotations"][labels::RUN_CRON] = json!(format!("purge@{NOW}"));
    assert_eq!(after, expected);
}

#[test]
fn run_cron_without_a_name_runs_the_only_cron() {
    let mut before = app(&json!({"crons": [{"name": "digest"}]}));
    before["metadata"].as_object_mut().unwrap().remove("annotations");
    let after = act("run-cron", &before, &json!({})).unwrap();
    assert_eq!(
        after["metadata"]["annotations"],
        json!({labels::RUN_CRON: format!("digest@{NOW}")})
    );
}

#[test]
fn run_cron_of_an_unknown_cron_says_which_there_are() {
    let app = app(&json!({"crons": [{"name": "digest"}, {"name": "purge"}]}));
    for params in [json!({"cron": "nightly"}), json!({})] {
        let error = act("run-cron", &app, &params).unwrap_err().to_string();
        assert!(error.contains("one of: digest, purge"), "{error}");
    }
}

#[test]
fn actions_are_offered_when_they_can_be_done() {
    let plain = discover(&app(&json!({"image": "ghcr.io/team/shop:1"})));
    assert_eq!(plain["restart"]["disabled"], false);
    assert!(plain.get("run-cron").is_none(), "an app without crons has none to run");
    let suspended = discover(&app(&json!({"suspend": true, "crons": [{"name": "digest"}]})));
    assert_eq!(suspended["restart"]["disabled"], true);
    assert_eq!(suspended["run-cron"]["disabled"], true);
    assert_eq!(
        suspended["run-cron"]["params"],
        json!([{"name": "cron", "default": "digest"}])
    );
}

#[test]
fn every_action_that_is_offered_is_defined() {
    let offered = discover(&app(&json!({"crons": [{"name": "digest"}]})));
    let actions = actions();
    let defined: Vec<_> = actions["definitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(&one["name"]))
        .collect();
    let offered: Vec<_> = offered.as_object().unwrap().keys().cloned().collect();
    assert_eq!(offered, defined);
}

#[test]
fn the_limits_are_real() {
    let obj = app(&json!({}));
    for (script, refused) in [
        ("return string.lower('A')", "nil value"),
        ("return os.getenv('HOME')", "nil value"),
        ("while true do end", "over a second"),
    ] {
        let error = run(script, &obj, &json!({})).unwrap_err().to_string();
        assert!(error.contains(refused), "{script}: {error}");
    }
}
