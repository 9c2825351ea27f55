//! The fields of a live object that one field manager owns, and their digest.
//!
//! Server-side apply records in `metadata.managedFields` which fields each manager owns. What our manager owns, read
//! back from the live object, is textually what we applied, as long as nobody changed it: another manager that
//! changes one of our fields takes its ownership away, so it is missing from the extract. So "nobody touched what we
//! rendered" is one comparison of digests, without remembering anything and without keeping the object.
//!
//! Format: <https://kubernetes.io/docs/reference/using-api/server-side-apply/>, `FieldsV1`: `f:<field>`,
//! `k:<keys of a list item as JSON>`, `v:<value of a set>`, `i:<index>`, and `.` for the container itself.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a canonical JSON text (keys sorted, no white space).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of any JSON value.
    pub fn of(value: &Value) -> Self {
        let mut text = Vec::new();
        canonical(value, &mut text);
        Self(Sha256::digest(&text).into())
    }

    /// Of a rendered object: what the API server will record as owned once it is applied.
    pub fn of_rendered(object: &Value) -> Self {
        Self::of(&without_identity(object.clone()))
    }

    /// The first 16 hexadecimal digits: enough to tell two renders apart in a log or an annotation.
    pub fn short(&self) -> String {
        self.0.iter().take(8).fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// What `manager` owns by apply in `object`, in the object's own order. `None` when it owns nothing.
pub fn owned_by(manager: &str, object: &Value) -> Option<Value> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let entry = entries.iter().find(|entry| {
        entry.get("manager").and_then(Value::as_str) == Some(manager)
            && entry.get("operation").and_then(Value::as_str) == Some("Apply")
            && entry
                .get("subresource")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .is_empty()
    })?;
    extract(object, entry.get("fieldsV1")?)
}

/// The API server never records these: they identify the object.
fn without_identity(mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
        if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in ["name", "namespace", "uid", "resourceVersion"] {
                metadata.remove(field);
            }
            if metadata.is_empty() {
                map.remove("metadata");
            }
        }
    }
    object
}

fn extract(value: &Value, fields: &Value) -> Option<Value> {
    let fields = fields.as_object()?;
    if fields.is_empty() {
        return Some(value.clone());
    }
    match value {
        Value::Object(map) => Some(Value::Object(extract_map(map, fields))),
        Value::Array(items) => Some(Value::Array(
            items.iter().filter_map(|item| extract_item(item, fields)).collect(),
        )),
        scalar => Some(scalar.clone()),
    }
}

fn extract_map(map: &Map<String, Value>, fields: &Map<String, Value>) -> Map<String, Value> {
    fields
        .iter()
        .filter_map(|(key, below)| {
            let name = key.strip_prefix("f:")?;
            Some((name.to_owned(), extract(map.get(name)?, below)?))
        })
        .collect()
}

/// An item of a list, if the set names it by its keys or its value.
fn extract_item(item: &Value, fields: &Map<String, Value>) -> Option<Value> {
    fields.iter().find_map(|(path, below)| {
        if let Some(keys) = path.strip_prefix("k:") {
            let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
            let named = keys.iter().all(|(name, wanted)| item.get(name) == Some(wanted));
            return if named { extract(item, below) } else { None };
        }
        let wanted: Value = serde_json::from_str(path.strip_prefix("v:")?).ok()?;
        (wanted == *item).then(|| item.clone())
    })
}

fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by(|a, b| a.0.cmp(b.0));
            out.push(b'{');
            for (key, below) in keys {
                text(key, out);
                out.push(b':');
                canonical(below, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                canonical(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        scalar => text(scalar, out),
    }
}

fn text(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    // Strings, numbers and memory: neither can fail.
    let _ = serde_json::to_writer(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn live(container_image: &str, fields: &Value) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "brigade-web", "namespace": "paris", "uid": "1", "labels": {"ours": "1", "theirs": "2"},
                "managedFields": [
                    {"manager": "someone", "operation": "Update", "fieldsV1": {"f:spec": {}}},
                    {"manager": "tremplin/startupapp", "operation": "Apply", "fieldsV1": fields},
                ],
            },
            "spec": {
                "replicas": 2,
                "paused": false,
                "template": {"containers": [
                    {"name": "sidecar", "image": "x"},
                    {"name": "web", "image": container_image, "terminationMessagePath": "/dev/termination-log",
                     "ports": [{"containerPort": 8080, "protocol": "TCP"}], "args": ["a", "b"]},
                ]},
            },
        })
    }

    fn fields() -> Value {
        json!({
            "f:metadata": {"f:labels": {"f:ours": {}}},
            "f:spec": {"f:replicas": {}, "f:template": {"f:containers": {"k:{\"name\":\"web\"}": {
                ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                "f:ports": {"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}, "f:protocol": {}}},
            }}}},
        })
    }

    fn rendered() -> Value {
        json!({
            "kind": "Deployment", "apiVersion": "apps/v1",
            "metadata": {"name": "brigade-web", "namespace": "paris", "labels": {"ours": "1"}},
            "spec": {"template": {"containers": [
                {"image": "i:1", "name": "web", "ports": [{"protocol": "TCP", "containerPort": 8080}], "args": ["a", "b"]},
            ]}, "replicas": 2},
        })
    }

    #[test]
    fn the_digest_is_that_of_the_text_with_sorted_keys() {
        let value: Value = serde_json::from_str(r#"{"b": [1, -2.5, null, true], "a\"é": {"": "x\ny"}}"#).unwrap();
        let text = r#"{"a\"é":{"":"x\ny",},"b":[1,-2.5,null,true,],}"#;
        assert_eq!(Digest::of(&value), Digest(Sha256::digest(text).into()));
    }

    #[test]
    fn what_nobody_touched_is_what_was_rendered() {
        let owned = owned_by("tremplin/startupapp", &live("i:1", &fields())).unwrap();
        assert_eq!(Digest::of(&owned), Digest::of_rendered(&rendered()));
    }

    #[test]
    fn a_changed_value_and_a_lost_field_are_both_drift() {
        let changed = owned_by("tremplin/startupapp", &live("i:2", &fields())).unwrap();
        assert_ne!(Digest::of(&changed), Digest::of_rendered(&rendered()));

        let mut lost = fields();
        lost["f:spec"].as_object_mut().unwrap().remove("f:replicas");
        let taken = owned_by("tremplin/startupapp", &live("i:1", &lost)).unwrap();
        assert_ne!(Digest::of(&taken), Digest::of_rendered(&rendered()));
    }

    #[test]
    fn sets_keep_our_values_only() {
        let object = json!({"metadata": {"finalizers": ["a", "b"], "managedFields": [
            {"manager": "m", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:finalizers": {"v:\"b\"": {}}}}},
        ]}});
        assert_eq!(owned_by("m", &object), Some(json!({"metadata": {"finalizers": ["b"]}})));
    }

    #[test]
    fn an_object_that_we_never_applied_owns_nothing() {
        assert_eq!(owned_by("tremplin/startupapp", &json!({"metadata": {}})), None);
    }
}
