//! Makes a Deployment's controllers look at it again.

use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tremplin_core::app::Due;
use tremplin_core::fault::{Fault, Refusal};
use tremplin_core::labels;

use super::Cluster;
use super::apply::Owner;
use super::children::ChildKind;

impl Cluster {
    /// Notes on the Deployment of that UID that it was reminded, which is a change that its controllers look at.
    ///
    /// # Errors
    /// The refusal; `Conflict` when the Deployment of that UID is gone.
    pub async fn remind(&self, owner: &Owner, due: &Due, now: Timestamp) -> Result<(), Fault<Refusal>> {
        // Not an apply: what is applied is what is rendered, and no moment is rendered.
        let Due { name, uid, generation } = due;
        let annotations = json!({
            labels::REMINDED_AT: now.to_string(),
            labels::REMINDED_GENERATION: generation.to_string(),
        });
        let change = json!({"metadata": {"uid": uid, "annotations": annotations}});
        self.merge(owner, ChildKind::Deployment, name, &change).await
    }
}
