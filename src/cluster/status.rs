//! The only writer of `status`: one patch, bound to the object's UID, and none when nothing differs.

use kube::api::{Patch, PatchParams};
use kube::core::request::Request;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde_json::{Value, json};
use tremplin_core::fault::{Fault, Refusal};

use super::Cluster;
use super::apply::fault;

/// The field manager of the statuses of a kind. It is API, as that of children.
pub fn status_manager(kind: &str) -> String {
    format!("tremplin/{}-status", kind.to_ascii_lowercase())
}

impl Cluster {
    /// Writes a status; gives the object as the API server then has it, or `None` when it is gone.
    ///
    /// # Errors
    /// The refusal; `Conflict` when another object took the name.
    pub async fn write_status<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        status: &impl Serialize,
    ) -> Result<Option<Value>, Fault<Refusal>> {
        let metadata = object.meta();
        let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
        let what = format!("status of {} {name}", K::kind(&()));
        let scope = (!namespace.is_empty()).then_some(namespace.as_str());
        let body = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": name, "namespace": scope, "uid": metadata.uid},
            "status": status,
        });
        let params = PatchParams::apply(&status_manager(&K::kind(&()))).force();
        let request =
            Request::new(K::url_path(&(), scope)).patch_subresource("status", &name, &params, &Patch::Apply(body));
        match self
            .send("patch_status", request.map_err(kube::Error::BuildRequest))
            .await
        {
            Ok(answer) => Ok(Some(answer)),
            Err(kube::Error::Api(refused)) if refused.code == 404 => Ok(None),
            Err(error) => Err(fault(&error, &what)),
        }
    }
}
