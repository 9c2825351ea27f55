//! What a plan is made from: what the person may see of the cluster, and what the servers answer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use tremplin_core::api::{DnsClaim, DnsRecord, StartupApp};
use tremplin_core::app::records;
use tremplin_core::dns::claim::Key;
use tremplin_core::dns::follow::Followed;
use tremplin_core::dns::opened::Opened;
use tremplin_core::platform::Platform;

use crate::cli::dns::Place;

/// What is known.
#[derive(Debug)]
pub struct View {
    pub platform: Platform,
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    pub opened: Opened,
    pub claims: Vec<DnsClaim>,
    /// Those of the namespace, as they will be once the files are in the cluster.
    pub records: Vec<DnsRecord>,
    /// The namespace's apps.
    pub apps: Vec<StartupApp>,
    /// Where the Ingresses of apps are reached, by the app's name; `None`: nobody can see whether there is an app.
    pub addresses: Option<BTreeMap<String, Vec<String>>>,
    /// What is not known, and why.
    pub notes: Vec<String>,
}

impl View {
    /// Of a namespace of which nothing is known yet.
    pub fn of(platform: Platform, namespace: String) -> Self {
        Self {
            platform,
            namespace,
            labels: BTreeMap::new(),
            opened: Opened::default(),
            claims: Vec::new(),
            records: Vec::new(),
            apps: Vec::new(),
            addresses: None,
            notes: Vec::new(),
        }
    }

    /// Without a cluster.
    pub fn offline(platform: Platform, place: &Place) -> Self {
        let namespace = place.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let note = "who holds which name, and where apps are reached, is not known without a cluster";
        Self {
            notes: vec![note.into()],
            ..Self::of(platform, namespace)
        }
    }

    /// The namespace that holds a name now.
    pub fn holder(&self, key: &Key) -> Option<String> {
        let name = key.object_name();
        let is_it = |claim: &&DnsClaim| claim.metadata.name.as_deref() == Some(&name);
        let claim = self.claims.iter().find(is_it)?;
        Some(claim.spec.holder.namespace.clone())
    }

    /// The app that a record follows, as far as it is seen.
    pub fn followed(&self, record: &DnsRecord) -> Option<Followed> {
        let name = &record.spec.app_ref.as_ref()?.name;
        let app = self.apps.iter().find(|app| app.metadata.name.as_ref() == Some(name));
        let Some(app) = app else {
            return self.addresses.as_ref().map(|_| Followed::Gone);
        };
        let addresses = self.addresses.as_ref().and_then(|known| known.get(name));
        let context = self.platform.namespace(&self.namespace, &self.labels);
        Some(records::followed(
            app,
            &self.platform,
            &context,
            addresses.cloned().unwrap_or_default(),
        ))
    }
}

/// What the API keeps of an object when it is applied again: how old it is, and which it is. One that is not there yet is
/// younger than all that are, and of two of them the one that comes first is the older.
pub fn keep_age(new: &mut ObjectMeta, known: Option<&ObjectMeta>, index: usize, now: Timestamp) {
    new.creation_timestamp = match known {
        Some(known) => known.creation_timestamp.clone(),
        None => Some(Time(now)),
    };
    new.uid = match known {
        Some(known) => known.uid.clone(),
        None => Some(format!("{index:08}")),
    };
}
