use super::*;
use serde_json::json;

fn of_spec(spec: &Value) -> Vec<(String, String)> {
    let manifest = json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "StartupApp", "metadata": {"name": "annuaire"}, "spec": spec,
    });
    breaches("StartupApp", &manifest)
        .into_iter()
        .map(|breach| (breach.path, breach.message))
        .collect()
}

#[test]
fn what_the_schema_takes_has_no_breach() {
    let spec = json!({
        "image": "ghcr.io/a/b:1", "environment": "Staging", "env": {"A": "b"}, "hosts": ["a.fr"],
        "processes": [{"name": "web", "port": 3000, "health": {"path": "/up"}, "resources": {"cpu": "1", "memory": "1Gi"}}],
        "crons": [{"name": "purge", "schedule": "@daily", "suspend": true}],
    });
    assert_eq!(of_spec(&spec), []);
}

#[test]
fn each_kind_of_breach_is_told_at_its_field() {
    for (spec, path, message) in [
        (json!({"imagee": "x"}), "spec.imagee", "did you mean image?"),
        (json!({"colour": "x"}), "spec.colour", "known are criticality, crons"),
        (
            json!({"image": 5}),
            "spec.image",
            "is a number, not a string: put it in quotes",
        ),
        (
            json!({"image": null}),
            "spec.image",
            "has no value: remove the key, or write a string",
        ),
        (json!({"image": ""}), "spec.image", "is empty"),
        (
            json!({"env": {"DEBUG": true}}),
            "spec.env.DEBUG",
            "is a boolean, not a string: put it in quotes",
        ),
        (
            json!({"environment": "Prod"}),
            "spec.environment",
            "is none of Production, Staging, Development",
        ),
        (
            json!({"crons": [{"name": "a"}]}),
            "spec.crons[0]",
            "the field schedule is missing",
        ),
        (
            json!({"crons": [{"name": "A", "schedule": "x"}]}),
            "spec.crons[0].name",
            "\"A\" is not a name: a-z, 0-9 and -, with a letter",
        ),
        (json!({"crons": {}}), "spec.crons", "is an object, not an array"),
        (
            json!({"processes": [{"name": "web", "port": 80}]}),
            "spec.processes[0].port",
            "80 is less than 1024",
        ),
        (
            json!({"processes": [{"name": "web", "port": 2000.5}]}),
            "spec.processes[0].port",
            "not a whole number",
        ),
        (
            json!({"processes": [{"name": "web", "replicas": 101}]}),
            "spec.processes[0].replicas",
            "101 is more than 100",
        ),
        (
            json!({"processes": [{"name": "a"}, {"name": "a"}]}),
            "spec.processes[1]",
            "\"a\" is there already",
        ),
        (
            json!({"hosts": ["a.fr", "a.fr"]}),
            "spec.hosts[1]",
            "\"a.fr\" is there already",
        ),
        (
            json!({"hosts": vec!["a.fr"; 21]}),
            "spec.hosts",
            "has 21 items, 20 are possible",
        ),
        (
            json!({"criticality": "x".repeat(5)}),
            "spec.criticality",
            "none of High, Medium, Low",
        ),
        (
            json!({"volumes": [{"name": "x".repeat(41), "mountPath": "/x"}]}),
            "spec.volumes[0].name",
            "41 characters, 40",
        ),
    ] {
        let found = of_spec(&spec);
        assert!(
            found.iter().any(|(at, told)| at == path && told.contains(message)),
            "{spec}: {found:?}"
        );
    }
}

#[test]
fn metadata_that_holds_no_name_is_told() {
    for (manifest, path, message) in [
        (
            json!({"metadata": null, "spec": {}}),
            "metadata",
            "has no value: write the name",
        ),
        (
            json!({"metadata": [], "spec": {}}),
            "metadata",
            "is an array: write the name",
        ),
        (json!({"spec": {}}), "", "the field metadata is missing"),
    ] {
        let found = breaches("StartupApp", &manifest);
        assert!(
            found.len() == 1 && found[0].path == path && found[0].message.starts_with(message),
            "{found:?}"
        );
    }
}

#[test]
fn a_field_of_the_metadata_that_would_be_dropped_is_told() {
    let manifest =
        json!({"metadata": {"name": "a", "label": {"x": "y"}}, "spec": {}, "sepc": {}, "status": {"any": 1}});
    let found = breaches("StartupApp", &manifest);
    let paths: Vec<_> = found
        .iter()
        .map(|breach| format!("{}: {}", breach.path, breach.message))
        .collect();
    assert_eq!(
        paths,
        [
            "sepc: unknown field: did you mean spec?",
            "metadata.label: unknown field: did you mean labels?"
        ]
    );
}
