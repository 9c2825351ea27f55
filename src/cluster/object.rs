//! Writes of whole objects that are nobody's children: made once, changed only as they were read, removed only if they
//! are still the ones that were meant.

use kube::api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::request::Request;
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tremplin_core::fault::{Fault, Refusal};

use super::Cluster;
use super::apply::{fault, unreadable};

/// An object of a type that is known here.
pub trait Object: Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone {}

impl<K: Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone> Object for K {}

impl Cluster {
    /// Makes an object. `None`: one of that name is there already. Of several that try at once, one makes it.
    ///
    /// # Errors
    /// Any other refusal.
    pub async fn create_object<K: Object>(&self, object: &K, manager: &str) -> Result<Option<K>, Fault<Refusal>> {
        let what = what(object);
        let params = PostParams {
            field_manager: Some(manager.to_owned()),
            ..PostParams::default()
        };
        let body = serde_json::to_vec(object).map_err(|error| unreadable(&error, &what))?;
        let request = Request::new(path(object)).create(&params, body);
        match self.send("create", request.map_err(kube::Error::BuildRequest)).await {
            Ok(answer) => serde_json::from_value(answer)
                .map(Some)
                .map_err(|error| unreadable(&error, &what)),
            Err(kube::Error::Api(status)) if status.code == 409 && status.reason == "AlreadyExists" => Ok(None),
            Err(error) => Err(fault(&error, &what)),
        }
    }

    /// Merges `change` into an object as it was read. `None`: it is gone.
    ///
    /// # Errors
    /// The refusal; `Conflict` when it was changed since it was read.
    pub async fn change_object<K: Object>(
        &self,
        object: &K,
        change: &Value,
        manager: &str,
    ) -> Result<Option<K>, Fault<Refusal>> {
        let what = what(object);
        let change = bound(change.clone(), object);
        let params = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        let request = Request::new(path(object)).patch(&object.name_any(), &params, &Patch::Merge(&change));
        match self.send("patch", request.map_err(kube::Error::BuildRequest)).await {
            Ok(answer) => serde_json::from_value(answer)
                .map(Some)
                .map_err(|error| unreadable(&error, &what)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(fault(&error, &what)),
        }
    }

    /// Removes an object as it was read. Gone already is removed.
    ///
    /// # Errors
    /// The refusal; `Conflict` when it was changed since it was read.
    pub async fn remove_object<K: Object>(&self, object: &K) -> Result<(), Fault<Refusal>> {
        let preconditions = Preconditions {
            uid: object.uid(),
            resource_version: object.resource_version(),
        };
        let params = DeleteParams::default().preconditions(preconditions);
        let request = Request::new(path(object)).delete(&object.name_any(), &params);
        match self.send("delete", request.map_err(kube::Error::BuildRequest)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(fault(&error, &what(object))),
        }
    }

    /// The objects of a namespace with these labels. `None`: the cluster does not serve the kind at all.
    ///
    /// # Errors
    /// When the API server does not answer, or refuses.
    pub async fn list_objects<K: Object>(
        &self,
        namespace: &str,
        labels: &str,
        most: Option<u32>,
    ) -> Result<Option<Vec<K>>, Fault<Refusal>> {
        #[derive(Deserialize)]
        struct List<K> {
            items: Vec<K>,
        }
        let what = K::plural(&());
        let params = ListParams {
            label_selector: Some(labels.to_owned()),
            limit: most,
            ..ListParams::default()
        };
        let request = Request::new(K::url_path(&(), Some(namespace))).list(&params);
        match self.send("list", request.map_err(kube::Error::BuildRequest)).await {
            Ok(answer) => serde_json::from_value(answer)
                .map(|List { items }| Some(items))
                .map_err(|error| unreadable(&error, &what)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(fault(&error, &what)),
        }
    }

    /// Reads an object of a namespace, or of the whole cluster where `namespace` is empty.
    ///
    /// # Errors
    /// When the API server does not answer, or refuses.
    pub async fn read_object<K: Object>(&self, namespace: &str, name: &str) -> Result<Option<K>, Fault<Refusal>> {
        let what = format!("{} {name}", K::kind(&()));
        let scope = (!namespace.is_empty()).then_some(namespace);
        let request = Request::new(K::url_path(&(), scope)).get(name, &GetParams::default());
        match self.send("get", request.map_err(kube::Error::BuildRequest)).await {
            Ok(answer) => serde_json::from_value(answer)
                .map(Some)
                .map_err(|error| unreadable(&error, &what)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(fault(&error, &what)),
        }
    }
}

/// A merge patch that is refused unless the object is as it was read.
fn bound<K: Object>(mut change: Value, object: &K) -> Value {
    if let Some(fields) = change.as_object_mut() {
        let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("resourceVersion".into(), json!(object.resource_version()));
            metadata.insert("uid".into(), json!(object.uid()));
        }
    }
    change
}

fn path<K: Object>(object: &K) -> String {
    K::url_path(&(), object.namespace().as_deref())
}

fn what<K: Object>(object: &K) -> String {
    format!("{} {}", K::kind(&()), object.name_any())
}
