//! The Lua that Argo CD runs for the kinds of Tremplin, under Argo CD's limits: its base and table libraries, an `os` that can
//! tell the time and nothing else, one second.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and so may its helpers"
)]

use std::time::{Duration, Instant};

use mlua::{HookTriggers, Lua, LuaOptions, LuaSerdeExt, StdLib, Table, VmState};
use serde_json::{Value, json};
use tremplin_core::{app, dns, labels};

const CONFIG: &str = include_str!("../config/argo-cd/argocd-cm.yaml");
const HEALTH_CASES: &str = include_str!("../config/argo-cd/testdata/health.yaml");
const LIMIT: Duration = Duration::from_secs(1);
const NOW: &str = "2026-11-22T10:00:00Z";

const KINDS: [&str; 4] = ["StartupApp", "DnsRecord", "DnsZone", "DnsClaim"];

/// The text under one key of the `ConfigMap`, for a kind.
fn customization(key: &str, kind: &str) -> String {
    let config: Value = serde_saphyr::from_str(CONFIG).unwrap();
    text(&config["data"][format!("resource.customizations.{key}.tremplin.dev_{kind}")])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The actions of an object's kind.
fn actions(obj: &Value) -> Value {
    serde_saphyr::from_str(&customization("actions", obj["kind"].as_str().unwrap())).unwrap()
}

fn discover(obj: &Value) -> Value {
    run(&text(&actions(obj)["discovery.lua"]), obj, &json!({})).unwrap()
}

fn act(name: &str, obj: &Value, params: &Value) -> mlua::Result<Value> {
    let actions = actions(obj);
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
    let mut app = of("StartupApp", &json!({}));
    app["spec"] = spec.clone();
    app
}

/// An object of a kind with that status.
fn of(kind: &str, status: &Value) -> Value {
    json!({
        "apiVersion": "tremplin.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "shop", "generation": 2, "annotations": {"kept": "yes"}},
        "spec": {},
        "status": status,
    })
}

/// The kind that a case speaks of.
fn kind_of(case: &Value) -> &str {
    case["kind"].as_str().unwrap_or("StartupApp")
}

#[test]
fn health_says_what_the_conditions_say() {
    let cases: Vec<Value> = serde_saphyr::from_str(HEALTH_CASES).unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let mut obj = of(kind_of(&case), &case["status"]);
        obj["metadata"]["generation"] = case["generation"].clone();
        if case.get("status").is_none() {
            obj.as_object_mut().unwrap().remove("status");
        }
        let health = run(&customization("health", kind_of(&case)), &obj, &json!({})).unwrap();
        assert_eq!(health, case["expect"], "{}", case["name"]);
    }
}

#[test]
fn every_kind_is_judged_alike() {
    for kind in KINDS {
        assert_eq!(
            customization("health", kind),
            customization("health", "StartupApp"),
            "{kind}"
        );
    }
}

#[test]
fn the_cases_use_reasons_that_the_operator_gives() {
    let cases: Vec<Value> = serde_saphyr::from_str(HEALTH_CASES).unwrap();
    for case in &cases {
        let known: Vec<&str> = match kind_of(case) {
            "StartupApp" => app::Reason::ALL.iter().map(|reason| reason.as_str()).collect(),
            _ => dns::Reason::ALL.iter().map(|reason| reason.as_str()).collect(),
        };
        for condition in case["status"]["conditions"].as_array().into_iter().flatten() {
            let reason = text(&condition["reason"]);
            assert!(known.contains(&reason.as_str()), "{reason}");
        }
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
    for obj in [
        app(&json!({"crons": [{"name": "digest"}]})),
        of("DnsZone", &tripped()),
        of("DnsRecord", &undone()),
    ] {
        let offered = discover(&obj);
        let actions = actions(&obj);
        let definitions = actions["definitions"].as_array().unwrap();
        let mut defined: Vec<_> = definitions.iter().map(|one| text(&one["name"])).collect();
        defined.sort();
        let offered: Vec<_> = offered.as_object().unwrap().keys().cloned().collect();
        assert_eq!(offered, defined);
    }
}

/// The status of a zone whose breaker tripped.
fn tripped() -> Value {
    json!({"breaker": {"trippedAt": "2026-11-22T09:59:58Z", "message": "21 deletions"}})
}

/// The status of a record that somebody else undid.
fn undone() -> Value {
    json!({"conditions": [{"type": "Ready", "status": "False", "reason": "DriftLoop"}]})
}

#[test]
fn acknowledging_the_breaker_names_the_time_at_which_it_tripped() {
    let mut zone = of("DnsZone", &tripped());
    let after = act("acknowledge-breaker", &zone, &json!({})).unwrap();
    zone["metadata"]["annotations"][labels::BREAKER_ACKNOWLEDGED] = json!("2026-11-22T09:59:58Z");
    assert_eq!(after, zone);
    assert!(
        discover(&zone).get("acknowledge-breaker").is_none(),
        "it is acknowledged"
    );
    let closed = of("DnsZone", &json!({}));
    assert!(discover(&closed).get("acknowledge-breaker").is_none());
    let error = act("acknowledge-breaker", &closed, &json!({})).unwrap_err().to_string();
    assert!(error.contains("the breaker is closed"), "{error}");
}

#[test]
fn an_audit_and_a_resumption_are_asked_for_by_their_time() {
    let mut zone = of("DnsZone", &json!({}));
    zone.as_object_mut().unwrap().remove("status");
    assert!(discover(&zone).get("audit").is_some());
    let after = act("audit", &zone, &json!({})).unwrap();
    zone["metadata"]["annotations"][labels::AUDIT_REQUESTED_AT] = json!(NOW);
    assert_eq!(after, zone);

    let mut record = of("DnsRecord", &undone());
    let after = act("resume", &record, &json!({})).unwrap();
    record["metadata"]["annotations"][labels::RESUMED_AT] = json!(NOW);
    assert_eq!(after, record);
    let published = json!({"conditions": [{"type": "Ready", "status": "True", "reason": "Published"}]});
    assert_eq!(
        discover(&of("DnsRecord", &published)),
        json!({}),
        "there is nothing to resume"
    );
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
