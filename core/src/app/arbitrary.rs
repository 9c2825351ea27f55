//! Any valid app, for property tests. Names are drawn from `a`, `b` and `-`, so that they come close to each other.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a part of tests, wherever they are"
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::platform::{NamespaceContext, Platform};

/// A name and a spec. Its hosts are first labels only: what the domain is depends on the platform.
#[derive(Clone, Debug)]
pub struct App {
    /// What the app is called.
    pub name: String,
    /// All of it but the domain of its hosts.
    pub spec: Value,
}

impl App {
    /// The app in a namespace, its hosts below a domain that the platform gives to that namespace.
    pub fn manifest(&self, namespace: &NamespaceContext, platform: &Platform) -> Value {
        let domain = platform
            .domains_for(namespace)
            .find_map(|domain| domain.name.clone())
            .unwrap();
        let mut manifest = json!({
            "apiVersion": "tremplin.dev/v1alpha1",
            "kind": "StartupApp",
            "metadata": {"name": self.name, "namespace": namespace.name},
            "spec": self.spec,
        });
        let hosts = manifest.pointer_mut("/spec/hosts").and_then(Value::as_array_mut);
        for host in hosts.into_iter().flatten() {
            *host = json!(format!("{}.{domain}", host.as_str().unwrap()));
        }
        manifest
    }
}

const NAME: &str = "[ab]([ab-]{0,4}[ab])?";
const IMAGE: &str = "ghcr\\.io/[a-z]{1,6}(/[a-z]{1,6}){0,2}(:[a-z0-9]{1,8}[1-9]|@sha256:[0-9a-f]{64})";
const SCHEDULES: [&str; 4] = ["@daily", "*/5 * * * *", "30 8 * * MON-FRI", "0 4 29 2 *"];

/// An object without the fields that are absent.
fn object(fields: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let given = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

fn names(most: usize) -> impl Strategy<Value = Vec<String>> {
    btree_set(NAME, 0..=most).prop_map(|names| names.into_iter().collect())
}

fn command() -> impl Strategy<Value = Option<Value>> {
    of(vec("[ -~]{1,8}", 1..3).prop_map(|words| json!(words)))
}

fn demand() -> impl Strategy<Value = (Option<Value>, Option<Value>)> {
    let size = select(vec!["XS", "S", "M", "L", "XL"]).prop_map(|size| (Some(json!(size)), None));
    let cpu = prop_oneof!["[1-9][0-9]{0,3}m", "[1-9](\\.[1-9])?"];
    let memory = prop_oneof!["[1-9][0-9]{1,3}(Mi|M)", "[1-9](\\.5)?Gi"];
    let resources = (cpu, memory).prop_map(|(cpu, memory)| (None, Some(json!({"cpu": cpu, "memory": memory}))));
    prop_oneof![Just((None, None)), size, resources]
}

fn health(port: Option<i32>) -> impl Strategy<Value = Option<Value>> {
    let start = of(1..=3600_i32);
    let asks = prop_oneof![
        Just(None),
        Just(Some(("path", json!("/up")))),
        Just(Some(("command", json!(["check", "it"]))))
    ];
    of((start, asks)).prop_map(move |health| {
        let (start, asks) = health?;
        // Without a port there is nobody to ask over the network.
        let asks = asks.filter(|(how, _)| *how == "command" || port.is_some());
        let mut fields = vec![(
            "startSeconds",
            start.filter(|_| asks.is_some() || port.is_some()).map(|s| json!(s)),
        )];
        fields.extend(asks.map(|(how, what)| (how, Some(what))));
        Some(object(fields)).filter(|health| health.as_object().is_some_and(|fields| !fields.is_empty()))
    })
}

fn process(name: String) -> impl Strategy<Value = Value> {
    of(1024..=65535_i32).prop_flat_map(move |port| {
        let name = name.clone();
        let tier = of(select(vec!["Frontend", "Backend", "Db", "Cache", "Auth"]));
        let parts = (
            of(IMAGE),
            command(),
            command(),
            of(0..=5_i32),
            demand(),
            health(port),
            tier,
            of("[a-z]{1,8}"),
        );
        parts.prop_map(
            move |(image, command, args, replicas, (size, resources), health, tier, component)| {
                object([
                    ("name", Some(json!(name))),
                    ("image", image.map(|image| json!(image))),
                    ("command", command),
                    ("args", args),
                    ("port", port.map(|port| json!(port))),
                    ("replicas", replicas.map(|replicas| json!(replicas))),
                    ("size", size),
                    ("resources", resources),
                    ("health", health),
                    ("tier", tier.map(|tier| json!(tier))),
                    ("component", component.map(|component| json!(component))),
                ])
            },
        )
    })
}

fn cron(name: String, processes: Vec<String>) -> impl Strategy<Value = Value> {
    let process = if processes.is_empty() {
        Just(None).boxed()
    } else {
        of(select(processes)).boxed()
    };
    let zone = of(select(vec!["Europe/Paris", "America/Cayenne"]));
    let policy = of(select(vec!["Allow", "Forbid", "Replace"]));
    let parts = (
        select(SCHEDULES.to_vec()),
        zone,
        process,
        command(),
        of(1..=86_400_i32),
        policy,
        of(0..=10_i32),
        any::<bool>(),
    );
    parts.prop_map(
        move |(schedule, zone, process, command, timeout, policy, retries, suspend)| {
            object([
                ("name", Some(json!(name))),
                ("schedule", Some(json!(schedule))),
                ("timeZone", zone.map(|zone| json!(zone))),
                ("process", process.map(|process| json!(process))),
                ("command", command),
                ("timeoutSeconds", timeout.map(|timeout| json!(timeout))),
                ("concurrencyPolicy", policy.map(|policy| json!(policy))),
                ("retries", retries.map(|retries| json!(retries))),
                ("suspend", suspend.then_some(json!(true))),
            ])
        },
    )
}

fn volume(name: String, processes: Vec<String>) -> impl Strategy<Value = Value> {
    let process = if processes.is_empty() {
        Just(None).boxed()
    } else {
        of(select(processes)).boxed()
    };
    let source = prop_oneof![
        Just(("temporary", json!({}))),
        Just(("temporary", json!({"size": "1024Mi"}))),
        Just(("secretRef", json!({"name": "certificates"}))),
        Just(("configMapRef", json!({"name": "settings"}))),
    ];
    (process, source).prop_map(move |(process, (kind, source))| {
        object([
            ("name", Some(json!(name))),
            ("mountPath", Some(json!(format!("/mnt/{name}")))),
            ("process", process.map(|process| json!(process))),
            (kind, Some(source)),
        ])
    })
}

/// Values may refer to the variable `Z`, which refers to none: no circle.
fn env() -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = prop_oneof!["[ -#%-~]{0,12}", Just("x$(Z)y".to_owned()), Just("$$(Z)".to_owned())];
    btree_map("[A-M]{1,3}", value, 0..4).prop_map(|mut env| {
        env.insert("Z".into(), "z".into());
        env
    })
}

/// Processes, with their names and which of them have a port.
fn processes() -> impl Strategy<Value = Vec<Value>> {
    let with_web = (names(3), any::<bool>()).prop_map(|(names, web)| {
        let mut names: BTreeSet<String> = names.into_iter().collect();
        names.extend(web.then(|| "web".to_owned()));
        names
    });
    with_web.prop_flat_map(|names| names.into_iter().map(process).collect::<Vec<_>>())
}

/// Any valid app.
pub fn app() -> impl Strategy<Value = App> {
    (NAME, processes()).prop_flat_map(|(name, processes)| {
        let named: Vec<String> = match processes.as_slice() {
            [] => vec!["web".into()],
            some => some
                .iter()
                .map(|process| process["name"].as_str().unwrap().to_owned())
                .collect(),
        };
        let answers = |process: &Value| process.get("port").is_some() || process["name"] == "web";
        let answering: Vec<String> = match processes.as_slice() {
            [] => vec!["web".into()],
            some => some
                .iter()
                .filter(|process| answers(process))
                .map(|process| process["name"].as_str().unwrap().to_owned())
                .collect(),
        };
        let crons = {
            let named = named.clone();
            names(3).prop_flat_map(move |names| {
                names
                    .into_iter()
                    .map(|name| cron(name, named.clone()))
                    .collect::<Vec<_>>()
            })
        };
        let volumes = names(3).prop_flat_map(move |names| {
            names
                .into_iter()
                .map(|name| volume(name, named.clone()))
                .collect::<Vec<_>>()
        });
        let rest = (
            crons,
            volumes,
            env(),
            exposure(answering),
            of(vec("[a-z]{1,6}", 1..3)),
            any::<bool>(),
            of(select(vec!["Production", "Staging", "Development"])),
            of(select(vec!["High", "Medium", "Low"])),
            btree_map("[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[a-z0-9])?", "https://[a-z]{1,9}", 0..3),
        );
        (Just(name), Just(processes), IMAGE, rest).prop_map(|(name, processes, image, rest)| {
            let (crons, volumes, env, exposure, release, writable, environment, criticality, links) = rest;
            let mut spec = object([
                ("image", Some(json!(image))),
                ("processes", Some(json!(processes)).filter(|_| !processes.is_empty())),
                ("crons", Some(json!(crons))),
                ("volumes", Some(json!(volumes))),
                ("env", Some(json!(env))),
                (
                    "secretEnv",
                    Some(json!({"SECRET": {"name": "secrets", "key": "token"}})),
                ),
                ("envFrom", Some(json!([{"configMapRef": {"name": "settings"}}]))),
                ("release", release.map(|command| json!({"command": command}))),
                ("writableRoot", writable.then_some(json!(true))),
                ("environment", environment.map(|environment| json!(environment))),
                ("criticality", criticality.map(|criticality| json!(criticality))),
                ("links", Some(json!(links)).filter(|_| !links.is_empty())),
            ]);
            spec.as_object_mut().unwrap().extend(exposure);
            App { name, spec }
        })
    })
}

/// Any valid app, with names of links and paths of routes that nobody looked at: what a person may write.
pub fn unchecked() -> impl Strategy<Value = App> {
    let link = prop_oneof![
        "[A-Za-z0-9._ /é-]{0,6}",
        "[a-z]{60,66}",
        "[A-Za-z][a-z0-9._-]{0,5}[a-z]"
    ];
    let path = prop_oneof!["/[ab./%2f?#é ]{0,6}", "[/a]{0,3}", "/([a-z.]{1,3}/){0,3}[a-z.]{0,2}"];
    (app(), of(link), of(path)).prop_map(|(mut app, link, path)| {
        let spec = app.spec.as_object_mut().unwrap();
        if let Some(link) = link {
            spec.insert("links".into(), json!({link: "https://example.org"}));
        }
        let answers = |process: &&Value| process.get("port").is_some() || process["name"] == "web";
        let processes = spec.get("processes").and_then(Value::as_array).into_iter().flatten();
        let process = processes
            .clone()
            .find(answers)
            .map_or(json!("web"), |process| process["name"].clone());
        if let Some(path) = path.filter(|_| spec.get("exposure").is_none()) {
            spec.insert("routes".into(), json!([{"path": path, "process": process}]));
        }
        app
    })
}

/// Hosts and routes, where a process answers; else no exposure.
fn exposure(answering: Vec<String>) -> impl Strategy<Value = Map<String, Value>> {
    if answering.is_empty() {
        return Just(Map::from_iter([("exposure".to_owned(), json!("None"))])).boxed();
    }
    let hosts = btree_set(NAME, 0..3);
    let path = prop_oneof!["/[ab]{1,3}", "/[ab]{1,3}/[a-z0-9._~-]{1,2}[a-z]/?", "/[ab]:@%C3%A9[ab]"];
    let routes = btree_map(path, select(answering), 0..3);
    (hosts, routes, any::<bool>())
        .prop_map(|(hosts, routes, exposed)| {
            if !exposed {
                return Map::from_iter([("exposure".to_owned(), json!("None"))]);
            }
            let routes: Vec<Value> = routes
                .into_iter()
                .map(|(path, process)| json!({"path": path, "process": process}))
                .collect();
            Map::from_iter([("hosts".to_owned(), json!(hosts)), ("routes".to_owned(), json!(routes))])
        })
        .boxed()
}
