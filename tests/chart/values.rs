//! The values file, its schema and the page about it name the same values.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::helm::chart;

#[test]
fn the_readme_lists_every_value_with_its_default() {
    let values = fs::read_to_string(chart("tremplin").join("values.yaml")).unwrap();
    let mut expected = BTreeMap::new();
    flatten("", &serde_saphyr::from_str(&values).unwrap(), &mut expected);
    let readme = fs::read_to_string(chart("tremplin").join("README.md")).unwrap();
    let rows = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"));
    let written: BTreeMap<_, _> = rows
        .map(|(name, rest)| {
            let default = rest.split_once('`').unwrap().0;
            (name.to_owned(), serde_saphyr::from_str::<Value>(default).unwrap())
        })
        .collect();
    assert_eq!(written, expected);
}

/// The leaves of the values: what is no map, or an empty one.
fn flatten(path: &str, value: &Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                flatten(&path, value, leaves);
            }
        }
        _ => {
            leaves.insert(path.to_owned(), value.clone());
        }
    }
}

#[test]
fn the_schema_knows_every_value() {
    let read = |name: &str| fs::read_to_string(chart("tremplin").join(name)).unwrap();
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let mut known: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    known.retain(|key| *key != "global");
    let mut given: Vec<_> = values.as_object().unwrap().keys().collect();
    known.sort();
    given.sort();
    assert_eq!(known, given);
}
