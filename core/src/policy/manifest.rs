//! Objects of any kind, seen as the rules see them: where their pods are, which containers those hold.

use std::collections::BTreeMap;

use serde_json::Value;

pub(super) use crate::json::{items, text};

/// One object.
pub(super) struct Manifest<'a> {
    /// Its position in what was checked.
    pub index: usize,
    pub kind: &'a str,
    pub api_group: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub value: &'a Value,
}

/// Everything that is checked together.
pub(super) struct Manifests<'a>(Vec<Manifest<'a>>);

impl<'a> Manifests<'a> {
    pub fn new(objects: &'a [Value]) -> Self {
        Self(
            objects
                .iter()
                .enumerate()
                .map(|(index, value)| Manifest::new(index, value))
                .collect(),
        )
    }

    pub fn iter(&self) -> impl Iterator<Item = &Manifest<'a>> {
        self.0.iter()
    }

    /// The objects beside `manifest`: of its namespace, and of that kind.
    pub fn beside(&self, manifest: &Manifest<'_>, kind: &str) -> impl Iterator<Item = &Manifest<'a>> {
        self.0
            .iter()
            .filter(move |other| other.kind == kind && other.namespace == manifest.namespace)
    }
}

impl<'a> Manifest<'a> {
    fn new(index: usize, value: &'a Value) -> Self {
        let api_version = text(value, "/apiVersion");
        Self {
            index,
            kind: text(value, "/kind"),
            api_group: api_version.split_once('/').map_or("", |(group, _)| group),
            namespace: text(value, "/metadata/namespace"),
            name: text(value, "/metadata/name"),
            value,
        }
    }

    /// The value at a JSON pointer.
    pub fn at(&self, pointer: &str) -> Option<&'a Value> {
        self.value.pointer(pointer)
    }

    /// Where the object describes pods, if it does.
    pub fn pods(&self) -> Option<PodTemplate<'a>> {
        let (pointer, path) = match self.kind {
            "Pod" => ("", ""),
            "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => ("/spec/template", "spec.template."),
            "CronJob" => ("/spec/jobTemplate/spec/template", "spec.jobTemplate.spec.template."),
            _ => return None,
        };
        Some(PodTemplate {
            path,
            value: self.at(pointer).unwrap_or(&Value::Null),
        })
    }

    /// The Job that the object is, or makes.
    pub fn job(&self) -> Option<(&'static str, &'a Value)> {
        let (pointer, path) = match self.kind {
            "Job" => ("/spec", "spec"),
            "CronJob" => ("/spec/jobTemplate/spec", "spec.jobTemplate.spec"),
            _ => return None,
        };
        Some((path, self.at(pointer).unwrap_or(&Value::Null)))
    }
}

/// Pods as an object describes them.
pub(super) struct PodTemplate<'a> {
    /// What stands before a field's path: empty, or ends with a dot.
    pub path: &'static str,
    pub value: &'a Value,
}

impl<'a> PodTemplate<'a> {
    /// The value at a JSON pointer below the pod's `spec`.
    pub fn spec(&self, pointer: &str) -> Option<&'a Value> {
        self.value.pointer(&format!("/spec{pointer}"))
    }

    /// The path of a field of the pod.
    pub fn field(&self, field: &str) -> String {
        format!("{}{field}", self.path)
    }

    pub fn labels(&self) -> BTreeMap<&'a str, &'a str> {
        labels(self.value.pointer("/metadata/labels"))
    }

    /// Containers of the list `containers`, which run as long as the pod.
    pub fn containers(&self) -> impl Iterator<Item = Container<'a>> {
        self.list("containers")
    }

    /// Containers of every list.
    pub fn all_containers(&self) -> impl Iterator<Item = Container<'a>> {
        ["initContainers", "containers", "ephemeralContainers"]
            .into_iter()
            .flat_map(|list| self.list(list))
    }

    pub fn list(&self, list: &'static str) -> impl Iterator<Item = Container<'a>> + use<'a> {
        let path = self.path;
        items(self.value, &format!("/spec/{list}"))
            .enumerate()
            .map(move |(index, value)| Container {
                path: format!("{path}spec.{list}[{index}]"),
                value,
            })
    }
}

/// One container.
pub(super) struct Container<'a> {
    pub path: String,
    pub value: &'a Value,
}

impl<'a> Container<'a> {
    pub fn name(&self) -> &'a str {
        text(self.value, "/name")
    }

    pub fn at(&self, pointer: &str) -> Option<&'a Value> {
        self.value.pointer(pointer)
    }

    pub fn field(&self, field: &str) -> String {
        format!("{}.{field}", self.path)
    }

    /// Whether a port, by number or by name, is one that the container declares.
    pub fn declares(&self, port: &Value) -> bool {
        items(self.value, "/ports")
            .any(|declared| declared.pointer("/containerPort") == Some(port) || declared.pointer("/name") == Some(port))
    }
}

/// A map of labels.
pub(super) fn labels(value: Option<&Value>) -> BTreeMap<&str, &str> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
        .collect()
}

/// Whether a selector of equalities fits the labels. An empty one fits nothing: it was not meant.
pub(super) fn selects(selector: &BTreeMap<&str, &str>, labels: &BTreeMap<&str, &str>) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}
