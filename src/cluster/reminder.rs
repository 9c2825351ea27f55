//! Makes a Deployment's controllers look at it again.

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::request::Request;
use serde_json::json;
use tremplin_core::app::Due;
use tremplin_core::fault::{Fault, Refusal};
use tremplin_core::labels;
use tremplin_core::live::STARTUP_APP_MANAGER;

use super::Cluster;
use super::apply::{Owner, fault, unreadable};
use super::children::ChildKind;

impl Cluster {
    /// Notes on the Deployment of that UID that it was reminded, which is a change that its controllers look at.
    ///
    /// # Errors
    /// The refusal; `Conflict` when the Deployment of that UID is gone.
    pub async fn remind(&self, owner: &Owner, due: &Due, now: Timestamp) -> Result<(), Fault<Refusal>> {
        let store = self.children.store(ChildKind::Deployment);
        // Not an apply: what is applied is what is rendered, and no moment is rendered.
        let Due { name, uid, generation } = due;
        let annotations = json!({
            labels::REMINDED_AT: now.to_string(),
            labels::REMINDED_GENERATION: generation.to_string(),
        });
        let patch = Patch::Merge(json!({"metadata": {"uid": uid, "annotations": annotations}}));
        let params = PatchParams {
            field_manager: Some(STARTUP_APP_MANAGER.into()),
            ..PatchParams::default()
        };
        let request = Request::new(store.path(&owner.namespace)).patch(name, &params, &patch);
        let what = format!("Deployment {name}");
        let answer = self
            .send("patch", request.map_err(kube::Error::BuildRequest))
            .await
            .map_err(|error| fault(&error, &what))?;
        self.count(ChildKind::Deployment, "patch");
        store.keep(answer).map_err(|error| unreadable(&error, &what))?;
        Ok(())
    }
}
