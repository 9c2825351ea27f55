//! The only writer of children.
//!
//! * Server-side apply, of the fields that were rendered and no others, by one field manager.
//! * A child that does not exist is made by an apply that is refused when an object of that name lives
//!   (`resourceVersion: "1"`); a child that exists is changed by an apply bound to its UID. So an object that is not
//!   ours is never taken over, and no request is spent on finding out.
//! * A child whose owned fields are what was rendered costs no request: compared by the digests of
//!   [`tremplin_core::live`], which need no memory of ours and so also hold after a restart.
//! * Children go in stages, each after the one it stands on; within a stage they go together.
//! * What is not rendered any more is deleted after everything else was applied: by owner, bound to its UID.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use futures::future::join_all;
use http::Request as HttpRequest;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use kube::api::{DeleteParams, GetParams, Patch, PatchParams, Preconditions};
use kube::core::request::Request;
use serde::Serialize;
use serde_json::{Value, json};
use tremplin_core::fault::{Class, Fault, Refusal};
use tremplin_core::live::{Digest, Known, STARTUP_APP_MANAGER, Standing};
use tremplin_core::refusal;

use super::Cluster;
use super::children::{ChildKind, PRUNED};
use crate::metrics::Write;

/// How often one child is tried in a round when the watch turns out to lag behind.
const ATTEMPTS: usize = 3;

/// Whose children are written.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The namespace of the owner and of all its children.
    pub namespace: String,
    /// What ties a child to the owner: name and UID are the owner's.
    pub reference: OwnerReference,
}

/// A child as it is to be.
#[derive(Clone, Debug)]
pub struct Child {
    pub(super) kind: ChildKind,
    pub(super) name: String,
    object: Value,
    digest: Digest,
}

/// What is there after a complete apply. Only [`Cluster::apply`] makes one, so nothing else is told to be there.
#[derive(Clone, Debug)]
pub struct Applied(Vec<(ChildKind, String)>);

impl Applied {
    /// Kind and name of every child.
    pub fn children(&self) -> impl Iterator<Item = (ChildKind, &str)> {
        self.0.iter().map(|(kind, name)| (*kind, name.as_str()))
    }
}

/// Webhooks of other teams may change what we rendered. What came back from our own apply is remembered, so that it is
/// not written again and again: by UID, what was asked and what came back.
#[derive(Default)]
pub(super) struct Altered(Mutex<HashMap<String, (Digest, Option<Digest>)>>);

impl Altered {
    fn note(&self, asked: Digest, answer: &Known) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answer.owned == Some(asked) {
            known.remove(&answer.uid);
        } else {
            tracing::debug!(
                name = answer.name,
                "the API server keeps other values than were rendered"
            );
            known.insert(answer.uid.clone(), (asked, answer.owned));
        }
    }

    fn explains(&self, asked: Digest, live: &Known) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&live.uid) == Some(&(asked, live.owned))
    }

    fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

impl Owner {
    /// # Errors
    /// When the object cannot be written as JSON, which no rendered object does.
    pub fn child<K: Resource<DynamicType = ()> + Serialize>(
        &self,
        kind: ChildKind,
        rendered: &K,
    ) -> Result<Child, serde_json::Error> {
        let mut object = serde_json::to_value(rendered)?;
        if let Some(object) = object.as_object_mut() {
            object.insert("apiVersion".into(), K::api_version(&()).into());
            object.insert("kind".into(), K::kind(&()).into());
        }
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("ownerReferences".into(), json!([self.reference]));
        }
        let name = rendered.meta().name.clone().unwrap_or_default();
        Ok(Child {
            kind,
            name,
            digest: Digest::of_rendered(&object),
            object,
        })
    }
}

impl Cluster {
    /// Brings every child to what was rendered: stage after stage, within a stage together. After a stage in which one
    /// was refused, the next does not begin.
    ///
    /// # Errors
    /// The gravest refusal of the stage.
    pub async fn apply(&self, owner: &Owner, stages: Vec<Vec<Child>>) -> Result<Applied, Fault<Refusal>> {
        let mut applied = Vec::new();
        for stage in stages {
            let results = join_all(stage.iter().map(|child| self.apply_child(owner, child))).await;
            let gravest = results
                .into_iter()
                .filter_map(Result::err)
                .max_by_key(|fault| fault.class);
            if let Some(fault) = gravest {
                return Err(fault);
            }
            applied.extend(stage.into_iter().map(|child| (child.kind, child.name)));
        }
        applied.sort();
        Ok(Applied(applied))
    }

    /// Deletes the owner's children that are not among those applied.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn prune(&self, owner: &Owner, applied: &Applied) -> Result<(), Fault<Refusal>> {
        let wanted: HashSet<(ChildKind, &str)> = applied.children().collect();
        for kind in PRUNED {
            for live in self
                .children
                .store(kind)
                .of_app(&owner.namespace, &owner.reference.name)
            {
                if live.is_controlled_by(&owner.reference)
                    && !live.deleting
                    && !wanted.contains(&(kind, live.name.as_str()))
                {
                    self.delete(owner, kind, &live).await?;
                }
            }
        }
        Ok(())
    }

    async fn apply_child(&self, owner: &Owner, child: &Child) -> Result<(), Fault<Refusal>> {
        let mut live = self.children.store(child.kind).find(&owner.namespace, &child.name);
        for _ in 0..ATTEMPTS {
            let written = match &live {
                None => self.create(owner, child).await,
                Some(live) => match live.standing(&owner.reference) {
                    Standing::Ours if live.owned == Some(child.digest) || self.altered.explains(child.digest, live) => {
                        return Ok(());
                    }
                    Standing::Ours => self.update(owner, child, live).await,
                    Standing::Leaving => return Err(leaving(child)),
                    Standing::Foreign => return Err(name_taken(child)),
                },
            };
            match written {
                Ok(answer) => {
                    self.altered.note(child.digest, &answer);
                    return Ok(());
                }
                Err(Refused::Fault(fault)) => return Err(fault),
                Err(Refused::Conflict) => live = self.look_up(owner, child.kind, &child.name).await?,
            }
        }
        Err(Fault::transient(
            Refusal::Conflict,
            format!("{} changes faster than it can be read", child.what()),
        ))
    }

    /// Refused with a conflict when an object of that name lives, whoever's.
    pub(super) async fn create(&self, owner: &Owner, child: &Child) -> Result<Known, Refused> {
        self.write(owner, child, "create", ("resourceVersion", "1")).await
    }

    /// Refused with a conflict when the object of that UID is gone.
    async fn update(&self, owner: &Owner, child: &Child, live: &Known) -> Result<Known, Refused> {
        self.write(owner, child, "patch", ("uid", &live.uid)).await
    }

    async fn write(
        &self,
        owner: &Owner,
        child: &Child,
        action: &'static str,
        (field, value): (&str, &str),
    ) -> Result<Known, Refused> {
        let store = self.children.store(child.kind);
        let mut object = child.object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert(field.into(), value.into());
        }
        let params = PatchParams::apply(STARTUP_APP_MANAGER).force();
        let request = Request::new(store.path(&owner.namespace)).patch(&child.name, &params, &Patch::Apply(object));
        let answer = self
            .send("patch", request.map_err(kube::Error::BuildRequest))
            .await
            .map_err(|error| refused(&error, child))?;
        self.count(child.kind, action);
        tracing::info!(kind = child.kind.as_str(), child = child.name, action, "child written");
        store
            .keep(answer)
            .map_err(|error| Refused::Fault(unreadable(&error, &child.what())))
    }

    pub(super) async fn look_up(
        &self,
        owner: &Owner,
        kind: ChildKind,
        name: &str,
    ) -> Result<Option<Known>, Fault<Refusal>> {
        let store = self.children.store(kind);
        let what = format!("{} {name}", kind.as_str());
        let request = Request::new(store.path(&owner.namespace)).get(name, &GetParams::default());
        match self.send("get", request.map_err(kube::Error::BuildRequest)).await {
            Ok(answer) => store.keep(answer).map(Some).map_err(|error| unreadable(&error, &what)),
            Err(kube::Error::Api(status)) if status.code == 404 => {
                if let Some(stale) = store.find(&owner.namespace, name) {
                    store.forget(&owner.namespace, name, &stale.uid);
                }
                Ok(None)
            }
            Err(error) => Err(fault(&error, &what)),
        }
    }

    async fn delete(&self, owner: &Owner, kind: ChildKind, live: &Known) -> Result<(), Fault<Refusal>> {
        let store = self.children.store(kind);
        let preconditions = Preconditions {
            uid: Some(live.uid.clone()),
            resource_version: None,
        };
        let params = DeleteParams::background().preconditions(preconditions);
        let request = Request::new(store.path(&owner.namespace)).delete(&live.name, &params);
        match self.send("delete", request.map_err(kube::Error::BuildRequest)).await {
            Ok(_) => {
                self.count(kind, "delete");
                tracing::info!(
                    kind = kind.as_str(),
                    child = live.name,
                    action = "delete",
                    "child written"
                );
            }
            // Gone already, or another one took the name.
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {}
            Err(error) => return Err(fault(&error, &format!("{} {}", kind.as_str(), live.name))),
        }
        self.altered.forget(&live.uid);
        store.forget(&owner.namespace, &live.name, &live.uid);
        Ok(())
    }

    /// Changes a few fields of a child beside what is applied. `change` names the UID: it is refused for another object.
    pub(super) async fn merge(
        &self,
        owner: &Owner,
        kind: ChildKind,
        name: &str,
        change: &Value,
    ) -> Result<(), Fault<Refusal>> {
        let store = self.children.store(kind);
        let params = PatchParams {
            field_manager: Some(STARTUP_APP_MANAGER.into()),
            ..PatchParams::default()
        };
        let request = Request::new(store.path(&owner.namespace)).patch(name, &params, &Patch::Merge(change));
        let what = format!("{} {name}", kind.as_str());
        let answer = self
            .send("patch", request.map_err(kube::Error::BuildRequest))
            .await
            .map_err(|error| fault(&error, &what))?;
        self.count(kind, "patch");
        store.keep(answer).map_err(|error| unreadable(&error, &what))?;
        Ok(())
    }

    /// Drops what is remembered of a child that is gone.
    pub fn forget(&self, uid: &str) {
        self.altered.forget(uid);
    }

    pub(super) async fn send(
        &self,
        verb: &'static str,
        request: Result<HttpRequest<Vec<u8>>, kube::Error>,
    ) -> Result<Value, kube::Error> {
        let mut request = request?;
        request.extensions_mut().insert(verb);
        self.client.request(request).await
    }

    pub(super) fn count(&self, kind: ChildKind, action: &'static str) {
        self.metrics
            .writes
            .get_or_create(&Write {
                kind: kind.as_str().to_owned(),
                action,
            })
            .inc();
    }
}

impl Child {
    fn what(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.name)
    }
}

/// Why a write did not go through.
pub(super) enum Refused {
    /// What the watch showed is not what is there: look, and try again.
    Conflict,
    Fault(Fault<Refusal>),
}

fn refused(error: &kube::Error, child: &Child) -> Refused {
    match error {
        kube::Error::Api(status) if status.code == 409 => Refused::Conflict,
        // Bound to a UID, and another object took the name.
        kube::Error::Api(status) if status.code == 422 && status.message.contains("metadata.uid") => Refused::Conflict,
        error => Refused::Fault(fault(error, &child.what())),
    }
}

/// The refusal of a request about `what`.
pub(super) fn fault(error: &kube::Error, what: &str) -> Fault<Refusal> {
    let kube::Error::Api(status) = error else {
        return Fault::transient(Refusal::ApiUnavailable, format!("{what}: {error}"));
    };
    let refusal = refusal::of(status.code, &status.reason, &status.message);
    let told = refusal::explain(&status.message).unwrap_or_else(|| status.message.clone());
    let message = format!("{what}: {told}");
    match refusal.class() {
        Class::Stalled => Fault::stalled(refusal, message, ""),
        Class::Waiting => Fault::waiting(refusal, message, ""),
        Class::Transient => Fault::transient(refusal, message),
    }
}

pub(super) fn name_taken(child: &Child) -> Fault<Refusal> {
    let message = format!("the {} exists and is not this app's; it is left alone", child.what());
    Fault::stalled(
        Refusal::NameTaken,
        message,
        "rename the app, or remove that object if nobody needs it",
    )
}

pub(super) fn leaving(child: &Child) -> Fault<Refusal> {
    Fault::waiting(
        Refusal::Conflict,
        format!("the {} of before is still being deleted", child.what()),
        "",
    )
}

pub(super) fn unreadable(error: &serde_json::Error, what: &str) -> Fault<Refusal> {
    Fault::transient(
        Refusal::ApiUnavailable,
        format!("{what}: the API server's answer cannot be read: {error}"),
    )
}
