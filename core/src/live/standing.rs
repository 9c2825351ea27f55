//! Whose a live object is: decided once, for the operator that writes and the command line that foretells.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::Deserialize as _;
use serde_json::Value;

use super::{Digest, Kept, Live, STARTUP_APP_MANAGER, owned_by};
use crate::labels;

/// What applying needs to know of a live object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The controlling owner.
    pub owner: Option<Controller>,
    /// The digest of what our field manager owns.
    pub owned: Option<Digest>,
    /// The app that its label names.
    pub app: Option<String>,
    /// Whether our watches select it: of others, nobody would tell that they are gone.
    pub watched: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
}

/// The controlling owner of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// What a live object is to the app that wants its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The app's own child.
    Ours,
    /// The app's, or its predecessor's of the same name, and on its way out.
    Leaving,
    /// Somebody else's: left alone.
    Foreign,
}

impl Known {
    /// From the object as the API gives it.
    ///
    /// # Errors
    /// When the metadata is not that of an object.
    pub fn from_value(object: &Value) -> Result<Self, serde_json::Error> {
        let metadata = ObjectMeta::deserialize(object.get("metadata").unwrap_or(&Value::Null))?;
        let owned = owned_by(STARTUP_APP_MANAGER, object).map(|owned| Digest::of(&owned));
        Ok(Self::new(&metadata, owned))
    }

    fn new(metadata: &ObjectMeta, owned: Option<Digest>) -> Self {
        let owners = metadata.owner_references.iter().flatten();
        let controller = owners.into_iter().find(|owner| owner.controller == Some(true));
        let label = |key: &str| metadata.labels.as_ref()?.get(key).cloned();
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            owner: controller.map(|owner| Controller {
                kind: owner.kind.clone(),
                name: owner.name.clone(),
                uid: owner.uid.clone(),
            }),
            owned,
            app: label(labels::APP),
            watched: label(labels::MANAGED_BY).as_deref() == Some(labels::MANAGER),
            deleting: metadata.deletion_timestamp.is_some(),
        }
    }

    /// Whether the app of that UID controls it.
    pub fn is_controlled_by(&self, app: &OwnerReference) -> bool {
        self.owner.as_ref().is_some_and(|controller| controller.uid == app.uid)
    }

    /// What it is to an app.
    pub fn standing(&self, app: &OwnerReference) -> Standing {
        match &self.owner {
            _ if self.is_controlled_by(app) => {
                if self.deleting {
                    Standing::Leaving
                } else {
                    Standing::Ours
                }
            }
            // Of an app of the same name that is no more: collected soon.
            Some(controller) if controller.kind == app.kind && controller.name == app.name => Standing::Leaving,
            // Without an owner, but made by us for an app of this name: its owner was orphaned or edited away.
            None if self.owned.is_some() && self.app.as_deref() == Some(&app.name) => Standing::Ours,
            _ => Standing::Foreign,
        }
    }
}

impl<K: Kept> From<&Live<K>> for Known {
    fn from(live: &Live<K>) -> Self {
        Self::new(&live.metadata, live.owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// An object with these owners and labels; `written` by our manager or not.
    fn known(owner: Option<(&str, &str, &str)>, app: &str, written: bool, deleting: bool) -> Known {
        let owners: Vec<Value> = owner
            .into_iter()
            .map(|(kind, name, uid)| json!({"apiVersion": "x/v1", "kind": kind, "name": name, "uid": uid, "controller": true}))
            .collect();
        let managed =
            json!([{"manager": STARTUP_APP_MANAGER, "operation": "Apply", "fieldsV1": {"f:data": {"f:a": {}}}}]);
        let mut object = json!({
            "metadata": {"name": "x", "uid": "1", "labels": {labels::APP: app}, "ownerReferences": owners},
            "data": {"a": "b"},
        });
        if written {
            object["metadata"]["managedFields"] = managed;
        }
        if deleting {
            object["metadata"]["deletionTimestamp"] = json!("2026-11-22T10:00:00Z");
        }
        Known::from_value(&object).unwrap()
    }

    #[test]
    fn an_object_is_ours_leaving_or_foreign() {
        let app = OwnerReference {
            kind: "StartupApp".into(),
            name: "annuaire".into(),
            uid: "now".into(),
            ..OwnerReference::default()
        };
        let ours = ("StartupApp", "annuaire", "now");
        for (live, expected) in [
            (known(Some(ours), "annuaire", true, false), Standing::Ours),
            (known(Some(ours), "annuaire", true, true), Standing::Leaving),
            (
                known(Some(("StartupApp", "annuaire", "before")), "annuaire", true, false),
                Standing::Leaving,
            ),
            (
                known(Some(("StartupApp", "other", "2")), "annuaire", true, false),
                Standing::Foreign,
            ),
            (
                known(Some(("Helm", "annuaire", "2")), "annuaire", true, false),
                Standing::Foreign,
            ),
            (known(None, "annuaire", true, false), Standing::Ours),
            (known(None, "annuaire", false, false), Standing::Foreign),
            (known(None, "other", true, false), Standing::Foreign),
        ] {
            assert_eq!(live.standing(&app), expected, "{live:?}");
        }
    }
}
