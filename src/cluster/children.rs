//! The kinds of children, declared once: what is watched, what is applied in which kind's store, what is pruned.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Resource as _;
use serde_json::Value;
use tremplin_core::api::DnsRecord;
use tremplin_core::labels;
use tremplin_core::live::{Kept, Known, Live};

use super::store::{Group, Item, Store};
use crate::key::Key;

/// The kinds that the operator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChildKind {
    /// The identity of the pods.
    ServiceAccount,
    /// The release record.
    ConfigMap,
    /// Where a process answers.
    Service,
    /// How many instances an eviction may take.
    PodDisruptionBudget,
    /// A process.
    Deployment,
    /// A cron.
    CronJob,
    /// The public names.
    Ingress,
    /// What leads to a public name.
    DnsRecord,
    /// A release, or a run asked for by hand.
    Job,
}

/// The kinds whose objects go when they are not rendered any more, in the order of their removal. A release record and
/// the Jobs remember what ran: they go with their app.
pub const PRUNED: [ChildKind; 7] = [
    ChildKind::DnsRecord,
    ChildKind::Ingress,
    ChildKind::PodDisruptionBudget,
    ChildKind::CronJob,
    ChildKind::Deployment,
    ChildKind::Service,
    ChildKind::ServiceAccount,
];

/// The children of every app, and their pods, as the watches show them.
#[derive(Default)]
pub struct Children {
    /// Identities of pods.
    pub service_accounts: Store<Live<ServiceAccount>>,
    /// Release records.
    pub config_maps: Store<Live<ConfigMap>>,
    /// Services.
    pub services: Store<Live<Service>>,
    /// Disruption budgets.
    pub disruption_budgets: Store<Live<PodDisruptionBudget>>,
    /// Processes.
    pub deployments: Store<Live<Deployment>>,
    /// Crons.
    pub cron_jobs: Store<Live<CronJob>>,
    /// Ingresses, foreign ones included: a host may be held by one.
    pub ingresses: Store<Live<Ingress>>,
    /// What leads to public names: those that apps own, among [`super::Resources::records`].
    pub dns_records: Store<Live<DnsRecord>>,
    /// Jobs, those that CronJobs made included.
    pub jobs: Store<Live<Job>>,
    /// Pods: read, never written.
    pub pods: Store<Live<Pod>>,
}

impl Children {
    /// Waits until every first list is complete.
    pub async fn ready(&self) {
        self.service_accounts.ready().await;
        self.config_maps.ready().await;
        self.services.ready().await;
        self.disruption_budgets.ready().await;
        self.deployments.ready().await;
        self.cron_jobs.ready().await;
        self.ingresses.ready().await;
        self.dns_records.ready().await;
        self.jobs.ready().await;
        self.pods.ready().await;
    }

    /// The store of a kind.
    pub(super) fn store(&self, kind: ChildKind) -> &dyn KindStore {
        match kind {
            ChildKind::ServiceAccount => &self.service_accounts,
            ChildKind::ConfigMap => &self.config_maps,
            ChildKind::Service => &self.services,
            ChildKind::PodDisruptionBudget => &self.disruption_budgets,
            ChildKind::Deployment => &self.deployments,
            ChildKind::CronJob => &self.cron_jobs,
            ChildKind::Ingress => &self.ingresses,
            ChildKind::DnsRecord => &self.dns_records,
            ChildKind::Job => &self.jobs,
        }
    }
}

impl ChildKind {
    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::ConfigMap => "ConfigMap",
            Self::Service => "Service",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::Deployment => "Deployment",
            Self::CronJob => "CronJob",
            Self::Ingress => "Ingress",
            Self::DnsRecord => "DnsRecord",
            Self::Job => "Job",
        }
    }
}

/// A store of children, whatever their kind.
pub(super) trait KindStore: Send + Sync {
    /// The path of the kind's objects in a namespace.
    fn path(&self, namespace: &str) -> String;
    fn find(&self, namespace: &str, name: &str) -> Option<Known>;
    fn of_app(&self, namespace: &str, app: &str) -> Vec<Known>;
    /// Keeps the API server's answer, if the watch will tell when it is gone.
    fn keep(&self, answer: Value) -> Result<Known, serde_json::Error>;
    fn forget(&self, namespace: &str, name: &str, uid: &str);
}

impl<K: Kept> KindStore for Store<Live<K>> {
    fn path(&self, namespace: &str) -> String {
        Live::<K>::url_path(&(), Some(namespace))
    }

    fn find(&self, namespace: &str, name: &str) -> Option<Known> {
        self.get(&key(namespace, name)).map(|live| Known::from(&*live))
    }

    fn of_app(&self, namespace: &str, app: &str) -> Vec<Known> {
        self.group(&Group::App(key(namespace, app)))
            .iter()
            .map(|live| Known::from(&**live))
            .collect()
    }

    fn keep(&self, answer: Value) -> Result<Known, serde_json::Error> {
        let live = Live::<K>::from_value(answer)?;
        let known = Known::from(&live);
        if known.watched {
            // The round that wrote it looks at it itself: nobody else needs to be told.
            let _ = self.put(live);
        }
        Ok(known)
    }

    fn forget(&self, namespace: &str, name: &str, uid: &str) {
        let _ = self.remove(&key(namespace, name), uid);
    }
}

fn key(namespace: &str, name: &str) -> Key {
    Key {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// A host and every name above it.
fn names_above(host: &str) -> impl Iterator<Item = String> + '_ {
    let dots = host.match_indices('.').map(|(at, _)| at + 1);
    [0].into_iter()
        .chain(dots)
        .filter_map(|from| host.get(from..).map(str::to_owned))
}

impl<K: Kept> Item for Live<K> {
    fn key(&self) -> Key {
        Key {
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
        }
    }

    fn uid(&self) -> &str {
        self.uid()
    }

    fn version(&self) -> &str {
        self.metadata.resource_version.as_deref().unwrap_or_default()
    }

    fn groups(&self) -> Vec<Group> {
        let app = self
            .label(labels::APP)
            .map(|app| Group::App(key(self.namespace(), app)));
        let hosts = K::hosts(&self.facts).iter();
        let at = hosts.clone().cloned().map(Group::Host);
        let below = hosts.flat_map(|host| names_above(host)).map(Group::Name);
        app.into_iter().chain(at).chain(below).collect()
    }

    fn differs(&self, other: &Self) -> bool {
        self.differs(other)
    }
}
