//! Namespaces, as far as their labels tell.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::PartialObjectMeta;

use tremplin_core::labels;

use super::store::{Group, Item};
use crate::key::Key;

/// A namespace's name and labels.
#[derive(Clone, Debug, Default)]
pub struct NamespaceLabels {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whom to ask about what it holds: its annotation.
    pub contact: Option<String>,
    uid: String,
    version: String,
}

impl NamespaceLabels {
    /// From watched metadata; the rest is forgotten.
    pub fn of(namespace: PartialObjectMeta<Namespace>) -> Self {
        let metadata = namespace.metadata;
        Self {
            name: metadata.name.unwrap_or_default(),
            contact: metadata
                .annotations
                .and_then(|mut annotations| annotations.remove(labels::CONTACT)),
            labels: metadata.labels.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default(),
            version: metadata.resource_version.unwrap_or_default(),
        }
    }
}

impl Item for NamespaceLabels {
    fn key(&self) -> Key {
        Key {
            namespace: String::new(),
            name: self.name.clone(),
        }
    }

    fn uid(&self) -> &str {
        &self.uid
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn groups(&self) -> Vec<Group> {
        Vec::new()
    }

    fn differs(&self, other: &Self) -> bool {
        self.labels != other.labels || self.contact != other.contact
    }
}
