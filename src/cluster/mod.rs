//! Every read from and write to the Kubernetes API.
//!
//! Nothing here decides what should be: it reads what is, and writes what it is given, no more often than needed.
//! No slice names a client. Outside this module only the lease does, the program's start that makes it, and the command
//! line's own room, which asks with a person's rights.

mod apply;
mod children;
mod content;
mod events;
mod evidence;
mod namespace;
mod object;
mod one_shot;
mod reminder;
mod report;
mod resources;
mod seen;
mod status;
mod store;
mod transport;
mod watch;

use std::sync::Arc;

use kube::Client;
use kube::runtime::events::{Recorder, Reporter};

pub use apply::{Applied, Child, Owner};
pub use children::{ChildKind, Children, PRUNED};
pub use content::{ContentKey, ContentKeyError, KEY_SECRET, Source, Sources};
pub use events::Notice;
pub use evidence::FRESH as EVIDENCE_FRESH;
pub use namespace::NamespaceLabels;
pub use report::{Progress, Told};
pub use resources::Resources;
pub use seen::{Malformed, Seen, Watched};
pub use status::status_manager;
pub use store::{Change, Group, Item, Store};
pub use transport::{NotLeader, counted, fenced};
pub use watch::Selection;

use crate::leader::Leadership;
use crate::metrics::Metrics;

/// The cluster, as the operator sees and writes it.
pub struct Cluster {
    /// The custom resources.
    pub resources: Resources,
    /// The children of every app.
    pub children: Children,
    /// The Secrets and ConfigMaps that apps may name.
    pub sources: Sources,
    /// Where the operator is.
    pub home: Home,
    client: Client,
    leadership: Leadership,
    metrics: Arc<Metrics>,
    content_key: ContentKey,
    recorder: Recorder,
    altered: apply::Altered,
    evidence: evidence::Evidence,
}

impl Cluster {
    /// Over a client that reaches the API server. Its writes are sent while `leadership` holds.
    ///
    /// # Errors
    /// When the key of the content hashes can be neither read nor made.
    pub async fn new(
        client: Client,
        leadership: Leadership,
        metrics: Arc<Metrics>,
        settings: &Place,
    ) -> Result<Self, ContentKeyError> {
        let client = fenced(client, leadership.clone(), metrics.clone());
        let content_key = ContentKey::ensure(&client, &settings.namespace).await?;
        let home = Home {
            namespace: settings.namespace.clone(),
            cluster: settings.cluster.clone().unwrap_or_else(|| content_key.cluster()),
        };
        let reporter = Reporter {
            controller: "tremplin".into(),
            instance: Some(settings.identity.clone()),
        };
        Ok(Self {
            resources: Resources::default(),
            children: Children::default(),
            sources: Sources::default(),
            recorder: Recorder::new(client.clone(), reporter),
            client,
            leadership,
            metrics,
            content_key,
            home,
            altered: apply::Altered::default(),
            evidence: evidence::Evidence::default(),
        })
    }

    /// Whether this replica may write now. Writes to the API server ask by themselves; those to others are to ask here.
    pub fn may_write(&self) -> bool {
        self.leadership.holds()
    }
}

/// Where the operator is, as others are told.
#[derive(Clone, Debug)]
pub struct Home {
    /// The operator's own namespace.
    pub namespace: String,
    /// What tells this cluster from others that serve the same zones. It is kept with the content key, so that a
    /// cluster that is restored is the same.
    pub cluster: String,
}

/// Where this replica runs, and who it is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The operator's own namespace.
    pub namespace: String,
    /// This run's name among the replicas.
    pub identity: String,
    /// The cluster's name, where the one who installs gave it one.
    pub cluster: Option<String>,
}
