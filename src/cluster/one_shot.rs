//! Jobs that run once: made suspended, resumed when their UID is recorded, looked up when they are missing.

use serde_json::json;
use tremplin_core::fault::{Fault, Refusal};
use tremplin_core::live::Standing;

use super::Cluster;
use super::apply::{Child, Owner, Refused, leaving, name_taken};
use super::children::ChildKind;

impl Cluster {
    /// Makes an object that runs once, unless it is there already.
    ///
    /// # Errors
    /// The refusal, also when an object of that name is not ours.
    pub async fn create_once(&self, owner: &Owner, child: &Child) -> Result<(), Fault<Refusal>> {
        let live = match self.create(owner, child).await {
            Ok(_) => return Ok(()),
            Err(Refused::Conflict) => self.look_up(owner, child.kind, &child.name).await?,
            Err(Refused::Fault(fault)) => return Err(fault),
        };
        match live.map(|live| live.standing(&owner.reference)) {
            Some(Standing::Ours) => Ok(()),
            Some(Standing::Foreign) => Err(name_taken(child)),
            Some(Standing::Leaving) | None => Err(leaving(child)),
        }
    }

    /// Lets a suspended Job run, if it is still the one of that UID.
    ///
    /// # Errors
    /// The refusal; `Conflict` when the Job of that UID is gone.
    pub async fn resume_job(&self, owner: &Owner, name: &str, uid: &str) -> Result<(), Fault<Refusal>> {
        // Not an apply: that would drop the fields that the first apply owns.
        let change = json!({"metadata": {"uid": uid}, "spec": {"suspend": false}});
        self.merge(owner, ChildKind::Job, name, &change).await
    }

    /// Asks the API server itself whether the Job of that UID is gone.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn job_is_gone(&self, owner: &Owner, name: &str, uid: &str) -> Result<bool, Fault<Refusal>> {
        let live = self.look_up(owner, ChildKind::Job, name).await?;
        if live.as_ref().is_some_and(|live| live.uid == uid) {
            return Ok(false);
        }
        self.children.store(ChildKind::Job).forget(&owner.namespace, name, uid);
        Ok(true)
    }
}
