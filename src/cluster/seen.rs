//! A custom resource as the watch shows it, also one that cannot be read: it must disturb no other.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::Resource;
use kube::core::PartialObjectMeta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::store::{Group, Item};
use crate::key::Key;

/// A kind of custom resource that is watched.
pub trait Watched: Resource<DynamicType = ()> + DeserializeOwned + Clone + Send + Sync + 'static {
    /// What is true of it.
    type Status: Serialize + PartialEq;

    /// Its status.
    fn status(&self) -> Option<&Self::Status>;

    /// The conditions of a status.
    fn conditions(status: &Self::Status) -> &[Condition];

    /// What it is found by, beside its name.
    fn groups(&self) -> Vec<Group>;
}

/// A watched custom resource.
#[derive(Clone, Debug)]
pub enum Seen<K> {
    /// One that can be read.
    Object(Box<K>),
    /// One that cannot.
    Malformed(Box<Malformed>),
}

/// A custom resource that cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Malformed {
    /// What identifies it.
    pub metadata: ObjectMeta,
    /// Its status as it is.
    pub status: Value,
    /// Which field, and what is wrong with it.
    pub error: String,
}

impl<K: Watched> Seen<K> {
    /// From the object as the API gives it.
    ///
    /// # Errors
    /// When not even the metadata is that of an object.
    pub fn from_value(mut object: Value) -> Result<Self, serde_json::Error> {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            // Most of an app's size, and nobody reads it.
            metadata.remove("managedFields");
        }
        match serde_path_to_error::deserialize::<_, K>(&object) {
            Ok(read) => Ok(Self::Object(Box::new(read))),
            Err(error) => {
                let status = object.get_mut("status").map(Value::take).unwrap_or_default();
                let PartialObjectMeta::<K> { metadata, .. } = PartialObjectMeta::deserialize(object)?;
                Ok(Self::Malformed(Box::new(Malformed {
                    metadata,
                    status,
                    error: error.to_string(),
                })))
            }
        }
    }

    /// Its conditions, as far as they can be read.
    pub fn conditions(&self) -> Cow<'_, [Condition]> {
        match self {
            Self::Object(object) => Cow::Borrowed(object.status().map_or(&[], K::conditions)),
            Self::Malformed(malformed) => Cow::Owned(malformed.conditions()),
        }
    }

    fn status_differs(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(one), Self::Object(other)) => one.status() != other.status(),
            (Self::Malformed(one), Self::Malformed(other)) => one.status != other.status || one.error != other.error,
            _ => true,
        }
    }

    /// The reference that an Event carries.
    pub fn reference(&self) -> ObjectReference {
        self.object_ref(&())
    }
}

impl Malformed {
    /// Its conditions, as far as they can be read.
    pub fn conditions(&self) -> Vec<Condition> {
        let conditions = self.status.get("conditions").cloned().unwrap_or(Value::Null);
        serde_json::from_value(conditions).unwrap_or_default()
    }
}

impl<'de, K: Watched> Deserialize<'de> for Seen<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Value::deserialize(deserializer)?;
        Self::from_value(object).map_err(de::Error::custom)
    }
}

impl<K: Watched> Resource for Seen<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Object(object) => object.meta(),
            Self::Malformed(malformed) => &malformed.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Object(object) => object.meta_mut(),
            Self::Malformed(malformed) => &mut malformed.metadata,
        }
    }
}

impl<K: Watched> Item for Seen<K> {
    fn key(&self) -> Key {
        let metadata = self.meta();
        Key {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }

    fn uid(&self) -> &str {
        self.meta().uid.as_deref().unwrap_or_default()
    }

    fn version(&self) -> &str {
        self.meta().resource_version.as_deref().unwrap_or_default()
    }

    fn groups(&self) -> Vec<Group> {
        let namespace = self.meta().namespace.clone().unwrap_or_default();
        let own = match self {
            Self::Object(object) => object.groups(),
            Self::Malformed(_) => Vec::new(),
        };
        own.into_iter().chain([Group::Namespace(namespace)]).collect()
    }

    fn differs(&self, other: &Self) -> bool {
        self.is_rewritten(other) || self.status_differs(other)
    }

    /// Whether it changed itself, not only its status.
    fn is_rewritten(&self, other: &Self) -> bool {
        let written = |seen: &Self| {
            let ObjectMeta {
                uid,
                generation,
                annotations,
                deletion_timestamp,
                ..
            } = seen.meta().clone();
            (uid, generation, annotations, deletion_timestamp)
        };
        written(self) != written(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tremplin_core::api::StartupApp;

    fn app(spec: &Value) -> Seen<StartupApp> {
        let metadata = json!({"name": "brigade", "namespace": "paris", "uid": "u", "generation": 3, "managedFields": [{"manager": "x"}]});
        let status = json!({"observedGeneration": 2, "url": "https://x", "conditions": "nonsense"});
        Seen::from_value(json!({"metadata": metadata, "spec": spec, "status": if spec.get("image").is_some() { Value::Null } else { status }})).unwrap()
    }

    #[test]
    fn an_app_that_cannot_be_read_says_which_field() {
        let Seen::Malformed(malformed) = app(&json!({"processes": [{"name": "web", "port": "eighty"}]})) else {
            panic!("it was read")
        };
        assert!(
            malformed.error.contains("spec.processes[0].port"),
            "{}",
            malformed.error
        );
        assert_eq!(malformed.metadata.name.as_deref(), Some("brigade"));
        assert_eq!(malformed.status["url"], "https://x");
        assert_eq!(malformed.conditions(), []);
    }

    #[test]
    fn an_unknown_field_is_told_too() {
        let Seen::Malformed(malformed) = app(&json!({"imagee": "x"})) else {
            panic!("it was read")
        };
        assert!(malformed.error.contains("imagee"), "{}", malformed.error);
    }

    #[test]
    fn the_history_of_fields_is_not_kept() {
        assert_eq!(app(&json!({"image": "ghcr.io/a/b:1"})).meta().managed_fields, None);
        assert_eq!(app(&json!({"imagee": "x"})).meta().managed_fields, None);
    }
}
