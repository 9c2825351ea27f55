//! Watched objects, kept lean.
//!
//! The operator watches every child of every app. Kept whole, a thousand apps would cost hundreds of megabytes, nearly
//! all of it fields that no decision reads. [`Live`] keeps an identity, our own labels and annotations, the digest of
//! what our field manager owns, and the few facts of its kind. It decodes from the API's JSON and forgets the rest.

mod facts;
mod owned;
mod standing;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

pub use facts::{
    ConditionFact, ConfigMapFacts, ContainerFact, CronJobFacts, DeploymentFacts, DnsRecordFacts, Ended, IngressFacts,
    JobFacts, Nothing, PodFacts,
};
pub use owned::{Digest, owned_by};
pub use standing::{Controller, Known, Standing};

use crate::labels;

/// The field manager of the children of a `StartupApp`. It is API: the ownership of every live field hangs on it.
pub const STARTUP_APP_MANAGER: &str = "tremplin/startupapp";

/// A kind of which the operator keeps a few facts.
pub trait Kept: Resource<DynamicType = ()> + Send + Sync + 'static {
    /// What decisions read, beyond the identity.
    type Facts: Clone + fmt::Debug + Default + PartialEq + Send + Sync + 'static;

    /// Reads the facts from the object as the API gives it. Missing fields are absent facts, never errors.
    fn facts(object: &Value) -> Self::Facts;

    /// The public names that it carries: objects are found by them across namespaces.
    fn hosts(_: &Self::Facts) -> &[String] {
        &[]
    }
}

/// A watched object of kind `K`: its identity, its owned fields' digest, its facts.
pub struct Live<K: Kept> {
    /// Name, namespace, uid, versions, times, the controlling owner, and the labels and annotations of ours.
    pub metadata: ObjectMeta,
    /// The digest of the fields that [`STARTUP_APP_MANAGER`] owns; `None` when it owns none.
    pub owned: Option<Digest>,
    /// What decisions read.
    pub facts: K::Facts,
}

impl<K: Kept> Live<K> {
    /// The object's name; empty only for an object that the API server never sends.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The object's namespace.
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The object's UID.
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The UID of the controlling owner.
    pub fn owner_uid(&self) -> Option<&str> {
        self.metadata
            .owner_references
            .iter()
            .flatten()
            .find(|owner| owner.controller == Some(true))
            .map(|owner| owner.uid.as_str())
    }

    /// A label of ours.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// An annotation of ours.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// When it was made.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.metadata.creation_timestamp.as_ref().map(|time| time.0)
    }

    /// Whether it is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether something that decisions read differs; a new version alone does not count.
    pub fn differs(&self, other: &Self) -> bool {
        let identity = |live: &Self| ObjectMeta {
            resource_version: None,
            ..live.metadata.clone()
        };
        self.owned != other.owned || self.facts != other.facts || identity(self) != identity(other)
    }

    /// From the object as the API gives it.
    ///
    /// # Errors
    /// When the metadata is not that of an object.
    pub fn from_value(mut object: Value) -> Result<Self, serde_json::Error> {
        let owned = owned_by(STARTUP_APP_MANAGER, &object).map(|owned| Digest::of(&owned));
        let facts = K::facts(&object);
        let mut metadata = object.get_mut("metadata").map(Value::take).unwrap_or_default();
        if let Some(metadata) = metadata.as_object_mut() {
            // Most of an object's size, and nobody reads it from here on.
            metadata.remove("managedFields");
        }
        Ok(Self {
            metadata: lean(ObjectMeta::deserialize(metadata)?),
            owned,
            facts,
        })
    }
}

fn lean(full: ObjectMeta) -> ObjectMeta {
    let ours = |map: Option<BTreeMap<String, String>>| {
        let kept: BTreeMap<_, _> = map?
            .into_iter()
            .filter(|(key, _)| key.starts_with(labels::PREFIX) || key == labels::MANAGED_BY)
            .collect();
        (!kept.is_empty()).then_some(kept)
    };
    let owners = full.owner_references.map(|owners| {
        let lean = |owner: OwnerReference| OwnerReference {
            block_owner_deletion: None,
            ..owner
        };
        owners
            .into_iter()
            .filter(|owner| owner.controller == Some(true))
            .map(lean)
            .collect()
    });
    ObjectMeta {
        name: full.name,
        namespace: full.namespace,
        uid: full.uid,
        resource_version: full.resource_version,
        generation: full.generation,
        creation_timestamp: full.creation_timestamp,
        deletion_timestamp: full.deletion_timestamp,
        labels: ours(full.labels),
        annotations: ours(full.annotations),
        owner_references: owners,
        ..ObjectMeta::default()
    }
}

impl<'de, K: Kept> Deserialize<'de> for Live<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Value::deserialize(deserializer)?;
        Self::from_value(object).map_err(de::Error::custom)
    }
}

impl<K: Kept> Clone for Live<K> {
    fn clone(&self) -> Self {
        Self {
            metadata: self.metadata.clone(),
            owned: self.owned,
            facts: self.facts.clone(),
        }
    }
}

impl<K: Kept> fmt::Debug for Live<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("kind", &K::kind(&()))
            .field("namespace", &self.namespace())
            .field("name", &self.name())
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl<K: Kept> Resource for Live<K> {
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
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A time of the API's JSON.
pub(crate) fn time(value: Option<&Value>) -> Option<Timestamp> {
    serde_json::from_value::<Time>(value?.clone()).ok().map(|time| time.0)
}
