//! Whether a manifest is one that the API server would take, told without one: the structural part of a CRD's schema.
//!
//! The rules across fields (CEL) are not evaluated here: [`crate::app::validate`] refuses what they refuse.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use regex::Regex;
use serde_json::{Map, Value};

use super::crd;
use super::patterns;

/// A field that the API server would refuse, or drop without a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The field's path, such as `spec.crons[2].schedule`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// The schema of a kind of ours.
pub fn schema(kind: &str) -> Option<JSONSchemaProps> {
    let definition = crd::all()
        .into_iter()
        .find(|definition| definition.spec.names.kind == kind)?;
    let version = definition.spec.versions.into_iter().next()?;
    version.schema?.open_api_v3_schema
}

/// Checks a manifest of a kind of ours. Its `status` is not looked at: it is the operator's.
pub fn breaches(kind: &str, manifest: &Value) -> Vec<Breach> {
    breaches_of(schema(kind).as_ref(), manifest)
}

/// The same, where the schema of the kind is at hand: it takes long to make.
pub fn breaches_of(schema: Option<&JSONSchemaProps>, manifest: &Value) -> Vec<Breach> {
    const NAME: &str = "write the name there, as in metadata: {name: my-app}";
    let mut found = Vec::new();
    if let Some(schema) = schema {
        check("", schema, manifest, &mut found);
    }
    match manifest.get("metadata") {
        Some(Value::Object(metadata)) => unknown("metadata", metadata, &METADATA, &mut found),
        Some(Value::Null) => tell("metadata", format!("has no value: {NAME}"), &mut found),
        Some(other) => {
            let what = kind_of(other);
            tell("metadata", format!("is {} {what}: {NAME}", article(what)), &mut found);
        }
        None => tell("", format!("the field metadata is missing: {NAME}"), &mut found),
    }
    found
}

/// The fields of `metav1.ObjectMeta`. A CRD's schema does not name them, and the API server drops others silently.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// What every object has, whatever a CRD's schema names.
const EVERYWHERE: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// What belongs to the operator: not for a manifest to get right.
const NOT_WRITTEN: &str = "status";

fn check(path: &str, schema: &JSONSchemaProps, value: &Value, found: &mut Vec<Breach>) {
    let expected = schema.type_.as_deref().unwrap_or_default();
    match (expected, value) {
        ("object", Value::Object(map)) => object(path, schema, map, found),
        ("array", Value::Array(items)) => array(path, schema, items, found),
        ("string", Value::String(text)) => string(path, schema, text, found),
        ("integer" | "number", Value::Number(number)) => {
            if expected == "integer" && !(number.is_i64() || number.is_u64()) {
                tell(path, format!("{number} is not a whole number"), found);
            }
            range(path, schema, number.as_f64().unwrap_or_default(), found);
        }
        ("boolean", Value::Bool(_)) | ("", _) => {}
        (expected, Value::Null) => {
            tell(
                path,
                format!(
                    "has no value: remove the key, or write {} {expected}",
                    article(expected)
                ),
                found,
            );
        }
        (expected, value) => {
            let hint = match (expected, value) {
                ("string", Value::Bool(_) | Value::Number(_)) => ": put it in quotes",
                _ => "",
            };
            let what = kind_of(value);
            tell(
                path,
                format!(
                    "is {} {what}, not {} {expected}{hint}",
                    article(what),
                    article(expected)
                ),
                found,
            );
        }
    }
}

fn object(path: &str, schema: &JSONSchemaProps, map: &Map<String, Value>, found: &mut Vec<Breach>) {
    for name in schema.required.iter().flatten().filter(|name| !map.contains_key(*name)) {
        tell(path, format!("the field {name} is missing"), found);
    }
    if schema
        .max_properties
        .is_some_and(|most| map.len() as u64 > most.unsigned_abs())
    {
        let most = schema.max_properties.unwrap_or_default();
        tell(path, format!("has {} entries, {most} are possible", map.len()), found);
    }
    if let Some(properties) = &schema.properties {
        let everywhere: &[&str] = if path.is_empty() { &EVERYWHERE } else { &[] };
        let known: Vec<&str> = everywhere
            .iter()
            .copied()
            .chain(properties.keys().map(String::as_str))
            .collect();
        unknown(path, map, &known, found);
        for (name, property) in properties {
            match map.get(name) {
                Some(value) if !(path.is_empty() && name == NOT_WRITTEN) => {
                    check(&join(path, name), property, value, found);
                }
                _ => {}
            }
        }
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        for (name, value) in map {
            check(&join(path, name), values, value, found);
        }
    }
}

fn unknown(path: &str, map: &Map<String, Value>, known: &[&str], found: &mut Vec<Breach>) {
    for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
        let same = known
            .iter()
            .find(|known| known.eq_ignore_ascii_case(name) || alike(known, name));
        let hint = match same {
            Some(known) => format!("did you mean {known}?"),
            None => format!("known are {}", known.join(", ")),
        };
        tell(&join(path, name), format!("unknown field: {hint}"), found);
    }
}

/// Whether one character more, less or other makes one the other, or two neighbours change places.
fn alike(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let rest = |skip_a: usize, skip_b: usize| a.get(same + skip_a..) == b.get(same + skip_b..);
    let swapped = a.get(same) == b.get(same + 1) && a.get(same + 1) == b.get(same) && rest(2, 2);
    a.len().min(b.len()) > 2 && (rest(1, 1) || rest(1, 0) || rest(0, 1) || swapped)
}

fn array(path: &str, schema: &JSONSchemaProps, items: &[Value], found: &mut Vec<Breach>) {
    let count = items.len() as u64;
    if let Some(most) = schema.max_items.filter(|most| count > most.unsigned_abs()) {
        tell(path, format!("has {count} items, {most} are possible"), found);
    }
    if let Some(least) = schema.min_items.filter(|least| count < least.unsigned_abs()) {
        tell(path, format!("has {count} items, at least {least} are needed"), found);
    }
    let keys = schema.x_kubernetes_list_map_keys.clone().unwrap_or_default();
    let is_set = schema.x_kubernetes_list_type.as_deref() == Some("set");
    let identity = |item: &Value| -> Option<Value> {
        if is_set {
            return Some(item.clone());
        }
        (!keys.is_empty()).then(|| {
            keys.iter()
                .map(|key| item.get(key).cloned().unwrap_or_default())
                .collect()
        })
    };
    for (index, item) in items.iter().enumerate() {
        let at = format!("{path}[{index}]");
        if let Some(own) = identity(item)
            && items
                .iter()
                .take(index)
                .any(|earlier| identity(earlier).as_ref() == Some(&own))
        {
            let name = match &own {
                Value::Array(parts) => parts.iter().map(Value::to_string).collect::<Vec<_>>().join(", "),
                other => other.to_string(),
            };
            tell(&at, format!("{name} is there already"), found);
        }
        if let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items {
            check(&at, schema, item, found);
        }
    }
}

fn string(path: &str, schema: &JSONSchemaProps, text: &str, found: &mut Vec<Breach>) {
    let count = text.chars().count() as u64;
    if let Some(most) = schema.max_length.filter(|most| count > most.unsigned_abs()) {
        tell(path, format!("has {count} characters, {most} are possible"), found);
    }
    if schema.min_length.is_some_and(|least| count < least.unsigned_abs()) {
        tell(path, "is empty", found);
        return;
    }
    if let Some(words) = &schema.enum_
        && !words.iter().any(|word| word.0.as_str() == Some(text))
    {
        let words: Vec<&str> = words.iter().filter_map(|word| word.0.as_str()).collect();
        tell(path, format!("{text:?} is none of {}", words.join(", ")), found);
    }
    if let Some(pattern) = &schema.pattern
        && Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
    {
        tell(path, format!("{text:?} is not {}", patterns::in_words(pattern)), found);
    }
}

fn range(path: &str, schema: &JSONSchemaProps, number: f64, found: &mut Vec<Breach>) {
    if let Some(least) = schema.minimum.filter(|least| number < *least) {
        tell(path, format!("{number} is less than {least}"), found);
    }
    if let Some(most) = schema.maximum.filter(|most| number > *most) {
        tell(path, format!("{number} is more than {most}"), found);
    }
}

fn tell(path: &str, message: impl Into<String>, found: &mut Vec<Breach>) {
    found.push(Breach {
        path: path.to_owned(),
        message: message.into(),
    });
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}

#[cfg(test)]
#[path = "conform_tests.rs"]
mod tests;
