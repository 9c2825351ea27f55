//! From a valid app to the objects that make it run. What the controller applies and what `tremplin render` prints are
//! the same: this.
//!
//! Only fields that we mean to own are rendered, in the form in which the API server keeps them (see
//! [`crate::live::owned_by`]): list keys in full, quantities canonical, nothing empty.

mod cron_job;
mod deployment;
mod dns_record;
mod ingress;
mod pod;
mod release;
mod service;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource as _;
use serde::Serialize;
use serde_json::Value;

use super::observed::ContentDigest;
use super::valid::{ContentRef, ValidApp};
use crate::api::dns::DnsRecord;
use crate::api::startup_app::{StartupApp, Tier};
use crate::platform::{LabelKey, LabelKeys, Platform};
use crate::{labels, names};

pub use cron_job::cron_job_name;
pub use cron_job::cron_run;
pub use deployment::{Change, change};
pub use dns_record::record_name as dns_record_name;
pub use release::{RECORD, record as release_record, record_name, release_job};

/// What the rendered objects remember of the world: values that only a cluster can give. Without a cluster, nothing.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// The newest restart asked for.
    pub restarted_at: Option<String>,
    /// The content of the Secrets and ConfigMaps that the app uses.
    pub contents: BTreeMap<ContentRef, ContentDigest>,
    /// The marks that the live Deployments carry, by process: kept while content cannot be read.
    pub live_contents: BTreeMap<String, String>,
    /// The release that the templates were released under.
    pub release_key: Option<String>,
    /// The `run-cron` requests handled, by cron.
    pub runs: BTreeMap<String, String>,
}

/// Every child of an app that is applied as a whole, in the order of application. The release's Job and the Jobs of
/// `run-cron` are not among them: they run once, and `app::release` and `app::run_cron` say when.
#[derive(Clone, Debug, Default)]
pub struct DesiredApp {
    /// The identity of the pods.
    pub service_account: ServiceAccount,
    /// What the release machine remembers. Not printed by `tremplin render`.
    pub release_record: Option<ConfigMap>,
    /// One per process with a port.
    pub services: Vec<Service>,
    /// One per process with several instances.
    pub disruption_budgets: Vec<PodDisruptionBudget>,
    /// One per process.
    pub deployments: Vec<Deployment>,
    /// One per cron.
    pub cron_jobs: Vec<CronJob>,
    /// The public names.
    pub ingress: Option<Ingress>,
    /// One per host that the platform gives one.
    pub dns_records: Vec<DnsRecord>,
}

impl DesiredApp {
    /// The children as JSON, in the order of application, without the release record: what `tremplin render` prints and
    /// the platform's rules are checked on.
    pub fn objects(&self) -> Vec<Value> {
        let Self {
            service_account,
            // The release machine's memory is not for people.
            release_record: _,
            services,
            disruption_budgets,
            deployments,
            cron_jobs,
            ingress,
            dns_records,
        } = self;
        let mut objects = Vec::new();
        add(&mut objects, [service_account]);
        add(&mut objects, services);
        add(&mut objects, disruption_budgets);
        add(&mut objects, deployments);
        add(&mut objects, cron_jobs);
        add(&mut objects, ingress);
        add(&mut objects, dns_records);
        objects
    }
}

/// An object of our own making is always JSON: none is lost here.
fn add<'a, T: Serialize + 'a>(objects: &mut Vec<Value>, more: impl IntoIterator<Item = &'a T>) {
    objects.extend(more.into_iter().filter_map(|object| serde_json::to_value(object).ok()));
}

/// Renders every child.
pub fn render(app: &ValidApp, platform: &Platform, marks: &Marks) -> DesiredApp {
    let frame = Frame { app, platform };
    DesiredApp {
        service_account: ServiceAccount {
            metadata: frame.metadata(app.identity.name.clone(), Part::App),
            automount_service_account_token: Some(false),
            ..ServiceAccount::default()
        },
        release_record: None,
        services: app
            .processes
            .iter()
            .filter_map(|process| service::service(frame, process))
            .collect(),
        disruption_budgets: app
            .processes
            .iter()
            .filter_map(|process| deployment::disruption_budget(frame, process))
            .collect(),
        deployments: app
            .processes
            .iter()
            .map(|process| deployment::deployment(frame, process, marks))
            .collect(),
        cron_jobs: app
            .crons
            .iter()
            .map(|cron| cron_job::cron_job(frame, cron, marks))
            .collect(),
        ingress: app.exposure.as_ref().map(|exposure| ingress::ingress(frame, exposure)),
        dns_records: app
            .names
            .records
            .iter()
            .map(|host| dns_record::dns_record(frame, host))
            .collect(),
    }
}

/// The ownerReference that ties a child to its app: the API server deletes the child when the app is gone. A deletion in
/// the foreground, which is Argo CD's, waits for the child: then the app is gone when nothing of it runs any more.
pub fn owner_reference(app: &StartupApp) -> Option<OwnerReference> {
    Some(OwnerReference {
        block_owner_deletion: Some(true),
        ..app.controller_owner_ref(&())?
    })
}

/// What every renderer needs.
#[derive(Clone, Copy)]
struct Frame<'a> {
    app: &'a ValidApp,
    platform: &'a Platform,
}

/// Which part of the app a child serves.
#[derive(Clone, Copy)]
enum Part<'a> {
    /// All of it.
    App,
    /// One process.
    Process {
        name: &'a str,
        tier: Tier,
        component: Option<&'a str>,
    },
    /// One cron.
    Cron {
        name: &'a str,
        tier: Tier,
        component: Option<&'a str>,
    },
    /// The release.
    Release { tier: Tier, component: Option<&'a str> },
}

impl Frame<'_> {
    fn metadata(self, name: String, part: Part<'_>) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.app.identity.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            labels: Some(self.labels(part)),
            ..ObjectMeta::default()
        }
    }

    /// Ours, the standard ones, and those that the platform's policies ask for.
    fn labels(self, part: Part<'_>) -> BTreeMap<String, String> {
        let app = &self.app.identity.name;
        let (component_name, own, tier, component) = match part {
            Part::App => ("app", None, Tier::Frontend, None),
            Part::Process { name, tier, component } => (name, Some((labels::PROCESS, name)), tier, component),
            Part::Cron { name, tier, component } => (name, Some((labels::CRON, name)), tier, component),
            Part::Release { tier, component } => ("release", Some((labels::RELEASE, "true")), tier, component),
        };
        let mut all = self.app.labels.clone();
        for (key, value) in [
            (labels::NAME, app.as_str()),
            (labels::COMPONENT, component_name),
            (labels::PART_OF, app.as_str()),
            (labels::MANAGED_BY, labels::MANAGER),
            (labels::APP, app.as_str()),
        ] {
            all.insert(key.to_owned(), value.to_owned());
        }
        all.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let LabelKeys {
            tier: tier_key,
            component: component_key,
            app: _,
            env: _,
            criticality: _,
        } = self.platform.label_keys();
        let tier_key = match (tier_key, part) {
            (Some(key), _) => Some(key.as_str()),
            // Only a platform asks what all of an app is.
            (None, Part::App) => None,
            (None, _) => Some(labels::TIER),
        };
        let component_key = component_key.as_ref().map_or(labels::TECHNOLOGY, LabelKey::as_str);
        let pairs = [(tier_key, Some(tier.as_str())), (Some(component_key), component)];
        all.extend(
            pairs
                .into_iter()
                .filter_map(|(key, value)| Some((key?.to_owned(), value?.to_owned()))),
        );
        all
    }

    /// The two labels of every selector: frozen for ever.
    fn selector(self, process: &str) -> BTreeMap<String, String> {
        BTreeMap::from([
            (labels::APP.to_owned(), self.app.identity.name.clone()),
            (labels::PROCESS.to_owned(), process.to_owned()),
        ])
    }

    fn child_name(self, part: &str) -> String {
        names::child(&self.app.identity.name, part, names::LABEL)
    }
}
