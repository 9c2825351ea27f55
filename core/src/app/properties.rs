//! What holds of every app, not only of those that somebody thought of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::arbitrary::{App, app, unchecked};
use super::offline;
use crate::api::{StartupApp, conform};
use crate::json::text;
use crate::labels;
use crate::platform::{NamespaceContext, Platform, Rule};
use crate::policy;

const NAMESPACE: &str = "b4qjvd14--22dxmh";

fn platforms() -> &'static [Platform; 3] {
    static ALL: OnceLock<[Platform; 3]> = OnceLock::new();
    ALL.get_or_init(|| ["generic", "cpin-pax", "cpin-mi"].map(|name| Platform::bundled(name).unwrap()))
}

fn open_shift() -> &'static Platform {
    &platforms()[2]
}

fn namespace(platform: &Platform) -> NamespaceContext {
    let labels = [
        ("app.kubernetes.io/managed-by", "dso-console"),
        ("dso/environment", "prod"),
        ("dso/project.slug", "brigade"),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    platform.namespace(NAMESPACE, &labels)
}

fn objects(app: &App, platform: &Platform) -> Vec<Value> {
    let manifest: StartupApp = serde_json::from_value(app.manifest(&namespace(platform), platform)).unwrap();
    let rendered = offline(&manifest, &namespace(platform), platform);
    rendered
        .unwrap_or_else(|faults| panic!("refused: {faults:?}\n{}", app.spec))
        .objects
}

fn map(value: Option<&Value>) -> BTreeMap<&str, &str> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap()))
        .collect()
}

/// Selectors of Services, Deployments and PodDisruptionBudgets, with the object's kind and name.
fn selectors(objects: &[Value]) -> Vec<(String, BTreeMap<&str, &str>)> {
    let found = objects.iter().filter_map(|object| {
        let pointer = if text(object, "/kind") == "Service" {
            "/spec/selector"
        } else {
            "/spec/selector/matchLabels"
        };
        let selector = map(object.pointer(pointer));
        let name = format!("{}/{}", text(object, "/kind"), text(object, "/metadata/name"));
        (!selector.is_empty()).then_some((name, selector))
    });
    found.collect()
}

/// The labels of every pod that an object makes, with the process it belongs to, if any.
fn pods(objects: &[Value]) -> Vec<BTreeMap<&str, &str>> {
    let templates = [
        "/spec/template/metadata/labels",
        "/spec/jobTemplate/spec/template/metadata/labels",
    ];
    let found = objects
        .iter()
        .flat_map(|object| templates.map(|pointer| map(object.pointer(pointer))));
    found.filter(|labels| !labels.is_empty()).collect()
}

fn selects(selector: &BTreeMap<&str, &str>, labels: &BTreeMap<&str, &str>) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// What the API server asks of annotation keys and of the paths of an Ingress, written down a second time.
fn takes(object: &Value) -> Result<(), TestCaseError> {
    let legal = regex::Regex::new("^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$").unwrap();
    let keys = ["/metadata/annotations", "/spec/template/metadata/annotations"];
    for (key, _) in keys.into_iter().flat_map(|pointer| map(object.pointer(pointer))) {
        let name = key.split_once('/').map_or(key, |(_, name)| name);
        prop_assert!(legal.is_match(name) && name.len() <= 63, "annotation {key}");
    }
    let paths = object
        .pointer("/spec/rules")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let paths = paths.flat_map(|rule| rule["http"]["paths"].as_array().unwrap());
    let mut seen = BTreeSet::new();
    for path in paths.map(|path| text(path, "/path")) {
        let refused = ["//", "/./", "/../", "%2f", "%2F", "?", "#"];
        prop_assert!(
            path.starts_with('/') && !refused.iter().any(|part| path.contains(part)),
            "path {path}"
        );
        prop_assert!(!path.ends_with("/.") && !path.ends_with("/.."), "path {path}");
        seen.insert(path);
    }
    prop_assert!(text(object, "/kind") != "Ingress" || seen.contains("/"));
    Ok(())
}

/// No name in common, and no selector of one that takes a pod of the other.
fn keep_apart(one: &App, other: &App) -> Result<(), TestCaseError> {
    let (one, other) = (objects(one, open_shift()), objects(other, open_shift()));
    let name = |object: &Value| format!("{}/{}", text(object, "/kind"), text(object, "/metadata/name"));
    let names = |objects: &[Value]| -> BTreeSet<String> { objects.iter().map(name).collect() };
    let both: Vec<String> = names(&one).intersection(&names(&other)).cloned().collect();
    prop_assert_eq!(both, Vec::<String>::new());
    for (mine, theirs) in [(&one, &other), (&other, &one)] {
        for (name, selector) in selectors(mine) {
            for labels in pods(theirs) {
                prop_assert!(!selects(&selector, &labels), "{name} selects {labels:?}");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_app_renders_only_objects_that_keep_the_rules(app in app()) {
        for platform in platforms() {
            let context = namespace(platform);
            let objects = objects(&app, platform);
            let findings = policy::check(&objects, platform, &[(NAMESPACE.to_owned(), context)].into());
            let asked_for = app.spec["writableRoot"] == json!(true);
            let findings: Vec<_> =
                findings.into_iter().filter(|finding| !(asked_for && finding.rule == Rule::ReadOnlyRoot)).collect();
            prop_assert_eq!(findings, [], "{}", app.spec);
        }
    }

    #[test]
    fn any_app_renders_only_legal_names_and_labels(app in app()) {
        let legal = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.ends_with(|c: char| c.is_ascii_alphanumeric());
        for platform in platforms() {
            for object in objects(&app, platform) {
                takes(&object)?;
                let name = text(&object, "/metadata/name");
                let longest = if text(&object, "/kind") == "CronJob" { 52 } else { 63 };
                prop_assert!(legal(name) && name.len() <= longest, "{name}");
                for (key, value) in map(object.pointer("/metadata/labels")) {
                    prop_assert!(value.len() <= 63 && !value.is_empty(), "{key}: {value}");
                }
                prop_assert_eq!(object.pointer("/metadata/ownerReferences"), None);
            }
        }
    }

    #[test]
    fn whatever_is_written_is_refused_with_a_fix_or_renders_what_the_api_server_takes(app in unchecked()) {
        for platform in platforms() {
            let parsed: StartupApp = serde_json::from_value(app.manifest(&namespace(platform), platform)).unwrap();
            match offline(&parsed, &namespace(platform), platform) {
                Ok(rendered) => {
                    for object in &rendered.objects {
                        takes(object)?;
                    }
                }
                Err(faults) => for fault in faults {
                    prop_assert!(fault.field.is_some() && !fault.fix.is_empty(), "{fault}");
                },
            }
        }
    }

    /// Not one field is accepted and ignored: what an app calls itself stands on its Deployments on every platform.
    #[test]
    fn what_a_team_writes_for_the_platform_stands_on_its_children(app in app()) {
        let written = |value: &Value| value.as_str().map(str::to_lowercase);
        for platform in platforms() {
            let objects = objects(&app, platform);
            let deployments = objects.iter().filter(|object| text(object, "/kind") == "Deployment");
            for deployment in deployments {
                let name = text(deployment, "/metadata/labels/tremplin.dev~1process");
                let processes = app.spec.get("processes").and_then(Value::as_array).into_iter().flatten();
                let process = processes.clone().find(|process| process["name"] == name).cloned().unwrap_or_default();
                let values: BTreeSet<_> = map(deployment.pointer("/metadata/labels")).into_values().collect();
                for value in [&app.spec["criticality"], &process["tier"], &process["component"]] {
                    if let Some(value) = written(value) {
                        prop_assert!(values.contains(value.as_str()), "{value} not in {values:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn any_app_is_one_that_the_api_server_takes(app in app()) {
        prop_assert_eq!(conform::breaches("StartupApp", &app.manifest(&namespace(open_shift()), open_shift())), []);
    }

    #[test]
    fn a_broken_app_keeps_no_node_from_being_drained(app in app()) {
        for budget in objects(&app, open_shift()).iter().filter(|object| text(object, "/kind") == "PodDisruptionBudget") {
            prop_assert_eq!(text(budget, "/spec/unhealthyPodEvictionPolicy"), "AlwaysAllow");
        }
    }

    #[test]
    fn the_same_app_renders_the_same_bytes(app in app()) {
        for platform in platforms() {
            let bytes = || serde_json::to_string(&objects(&app, platform)).unwrap();
            prop_assert_eq!(bytes(), bytes());
        }
    }

    #[test]
    fn two_apps_never_meet(one in app(), other in app()) {
        prop_assume!(one.name != other.name);
        keep_apart(&one, &other)?;
    }

    /// The hardest pair: app `a` with part `b-c` beside app `a-b` with part `c`.
    #[test]
    fn two_apps_never_meet_where_their_names_run_together(a in "[ab]{1,3}(-[ab]{1,3})?", b in "[ab]{1,3}", c in "[ab]{1,3}") {
        let app = |name: String, part: String| App {
            name,
            spec: json!({
                "image": "ghcr.io/a/b:1",
                "processes": [{"name": part, "port": 3000, "replicas": 2}],
                "crons": [{"name": part, "schedule": "@daily"}],
                "release": {"command": ["migrate"]},
            }),
        };
        keep_apart(&app(a.clone(), format!("{b}-{c}")), &app(format!("{a}-{b}"), c))?;
    }

    #[test]
    fn a_selector_takes_the_pods_of_its_own_process_alone(app in app()) {
        let platform = open_shift();
        let objects = objects(&app, platform);
        for (name, selector) in selectors(&objects) {
            let taken: Vec<_> = pods(&objects).into_iter().filter(|labels| selects(&selector, labels)).collect();
            prop_assert_eq!(taken.len(), 1, "{} takes {:?}", name, taken);
            prop_assert_eq!(taken[0].get(labels::PROCESS), selector.get(labels::PROCESS));
        }
    }
}
