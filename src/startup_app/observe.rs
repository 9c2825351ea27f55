//! The only reads of an app's round. All but two come from what the watches show; the two exceptions cost a request
//! only for apps that name Secrets or ConfigMaps, or that are in trouble nobody explains.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::jiff::Timestamp;
use tremplin_core::api::StartupApp;
use tremplin_core::api::startup_app::StartupAppSpec;
use tremplin_core::app::hosts::{Carrier, HostFacts};
use tremplin_core::app::names::{Applicant, Claimed, Name};
use tremplin_core::app::observed::{Content, Observed};
use tremplin_core::app::valid::ContentRef;
use tremplin_core::app::{Reason, ReleaseRecord, content_refs, records, render, unexplained, validate};
use tremplin_core::dns::claim;
use tremplin_core::fault::Fault;
use tremplin_core::labels;
use tremplin_core::live::{Kept, Live};
use tremplin_core::platform::{NamespaceContext, Platform};

use super::StartupApps;
use crate::cluster::{self, EVIDENCE_FRESH, Group};
use crate::key::Key;

/// How many pods and Jobs of one app are asked after in a round.
const ASKED: usize = 3;

/// What a round knows, and when it should know more.
pub struct View {
    /// What decisions read.
    pub observed: Observed,
    /// Something is in trouble and nobody says why: ask again then.
    pub ask_again: Option<Duration>,
}

impl StartupApps {
    /// What the cluster shows of an app. `gone_jobs` are Jobs that a read of their own did not find.
    pub(super) async fn observe(
        &self,
        app: &StartupApp,
        platform: &Platform,
        gone_jobs: &[String],
    ) -> Result<View, Fault<Reason>> {
        let (namespace, name, uid) = identity(app);
        let context = self.context(namespace, platform);
        let children = &self.cluster.children;
        // CronJobs own the Jobs that they make; an app of the same name that is no more owned other CronJobs.
        let key = Key {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let app_group = Group::App(key.clone());
        let cron_jobs = owned_by(uid, children.cron_jobs.group(&app_group));
        let makers: Vec<&str> = cron_jobs.iter().map(|cron_job| cron_job.uid()).chain([uid]).collect();
        let jobs = children.jobs.group(&app_group).into_iter();
        let jobs = jobs
            .filter(|job| job.owner_uid().is_some_and(|owner| makers.contains(&owner)))
            .collect();
        let record = children.config_maps.get(&Key {
            name: render::record_name(name),
            ..key
        });
        let mut observed = Observed {
            now: (self.now)(),
            hosts: BTreeMap::new(),
            deployments: owned_by(uid, children.deployments.group(&app_group)),
            pods: children.pods.group(&app_group),
            dns_records: owned_by(uid, children.dns_records.group(&app_group)),
            release_record: record.filter(|record| record.owner_uid() == Some(uid)),
            contents: BTreeMap::new(),
            events: BTreeMap::new(),
            gone_jobs: gone_jobs.to_vec(),
            namespace: context,
            cron_jobs,
            jobs,
        };
        let released = ReleaseRecord::of(&observed).unwrap_or_default().released;
        let specs: Vec<_> = released
            .iter()
            .map(|released| &released.spec)
            .chain([&app.spec])
            .collect();
        let hosts = |spec: &&StartupAppSpec| validate::hosts_of(app, spec, platform, &observed.namespace);
        observed.hosts = self.host_facts(specs.iter().flat_map(hosts).collect(), uid, &observed.namespace);
        observed.contents = self.contents(namespace, &specs).await?;
        let ask_again = self.ask(&mut observed).await;
        Ok(View { observed, ask_again })
    }

    /// What the labels of a namespace tell. Re-triggered by a change of the labels, and of the platform file.
    pub(super) fn context(&self, namespace: &str, platform: &Platform) -> NamespaceContext {
        let known = self.namespaces.get(&cluster_key(namespace));
        platform.namespace(
            namespace,
            known.as_ref().map_or(&BTreeMap::new(), |known| &known.labels),
        )
    }

    /// Who has or wants each host, of the spec and of the version that is released and may still be what is rendered.
    /// Re-triggered by every Ingress and app with such a host, and by the claims and zones that cover it.
    fn host_facts(
        &self,
        hosts: BTreeSet<String>,
        uid: &str,
        namespace: &NamespaceContext,
    ) -> BTreeMap<String, HostFacts> {
        let facts = |host: &str| {
            let carriers = self.cluster.children.ingresses.group(&Group::Host(host.to_owned()));
            HostFacts {
                carriers: carriers.iter().map(|ingress| carrier(ingress)).collect(),
                wanting: self.hosts.wanting(host),
                name: self.name_of(host, namespace),
                record: self.record_of(host, uid, &namespace.name),
            }
        };
        hosts.into_iter().map(|host| (host.clone(), facts(&host))).collect()
    }

    /// Whose the name of a host is.
    fn name_of(&self, host: &str, namespace: &NamespaceContext) -> Name {
        let resources = &self.cluster.resources;
        let applicant = Applicant {
            namespace: &namespace.name,
            labels: &namespace.labels,
        };
        applicant.judge(host, &resources.opened(), |key| {
            let seen = resources.claims.get(&cluster_key(&claim::object_name(key)))?;
            let cluster::Seen::Object(claim) = &*seen else {
                return None;
            };
            let holder = self.namespaces.get(&cluster_key(&claim.spec.holder.namespace));
            Some(Claimed {
                claim: claim.spec.clone(),
                contact: holder.and_then(|holder| holder.contact.clone()),
            })
        })
    }

    /// The DnsRecord of that namespace that leads from a host somewhere and is not the app's of that UID.
    fn record_of(&self, host: &str, uid: &str, namespace: &str) -> Option<String> {
        let records = self.cluster.resources.records.group(&Group::Name(host.to_owned()));
        let mut others = records.iter().filter_map(|seen| match &**seen {
            cluster::Seen::Object(record) => Some(record),
            cluster::Seen::Malformed(_) => None,
        });
        let other = others.find(|record| {
            let mut owners = record.metadata.owner_references.iter().flatten();
            record.metadata.namespace.as_deref() == Some(namespace)
                && record.metadata.deletion_timestamp.is_none()
                && records::leads_from(record, host)
                && !owners.any(|owner| owner.uid == uid)
        });
        other.and_then(|record| record.metadata.name.clone())
    }

    /// One GET for each version of a Secret or ConfigMap that was not read before: of those that these specs name. (A
    /// release record that cannot be read is decided on later.)
    async fn contents(
        &self,
        namespace: &str,
        specs: &[&StartupAppSpec],
    ) -> Result<BTreeMap<ContentRef, Content>, Fault<Reason>> {
        let wanted: BTreeSet<ContentRef> = specs.iter().copied().flat_map(content_refs).collect();
        let reads = wanted.into_iter().map(async |content| {
            let state = self
                .cluster
                .content(namespace, &content)
                .await
                .map_err(|fault| fault.map(Reason::from))?;
            Ok((content, state))
        });
        Ok(try_join_all(reads).await?.into_iter().collect())
    }

    /// One LIST of Events for each pod or Job that is in trouble for a while and does not say why.
    async fn ask(&self, observed: &mut Observed) -> Option<Duration> {
        let unexplained = unexplained(observed);
        let mut ask_again = None;
        for uid in unexplained.iter().take(ASKED) {
            let age = age(observed, uid, (self.now)());
            if age < EVIDENCE_FRESH {
                ask_again = Some(EVIDENCE_FRESH.saturating_sub(age));
                continue;
            }
            ask_again = Some(EVIDENCE_FRESH);
            let own = observed
                .pods
                .iter()
                .find(|pod| pod.uid() == uid)
                .and_then(|pod| pod.facts.own.as_ref());
            let container = own.map_or("", |own| own.name.as_str());
            if let Some(message) = self.cluster.trouble_of(&observed.namespace.name, uid, container).await {
                observed.events.insert(uid.clone(), message);
            }
        }
        ask_again
    }
}

/// Namespace, name and UID.
pub fn identity(app: &StartupApp) -> (&str, &str, &str) {
    let metadata = &app.metadata;
    (
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
        metadata.uid.as_deref().unwrap_or_default(),
    )
}

fn cluster_key(name: &str) -> Key {
    Key {
        namespace: String::new(),
        name: name.to_owned(),
    }
}

fn carrier(ingress: &Live<Ingress>) -> Carrier {
    let is_ours = ingress.label(labels::MANAGED_BY) == Some(labels::MANAGER);
    Carrier {
        namespace: ingress.namespace().to_owned(),
        name: ingress.name().to_owned(),
        app_uid: ingress.owner_uid().filter(|_| is_ours).map(str::to_owned),
    }
}

fn owned_by<K: Kept>(uid: &str, live: Vec<Arc<Live<K>>>) -> Vec<Arc<Live<K>>> {
    live.into_iter().filter(|live| live.owner_uid() == Some(uid)).collect()
}

fn age(observed: &Observed, uid: &str, now: Timestamp) -> Duration {
    let pods = observed
        .pods
        .iter()
        .filter(|pod| pod.uid() == uid)
        .find_map(|pod| pod.created_at());
    let jobs = observed
        .jobs
        .iter()
        .filter(|job| job.uid() == uid)
        .find_map(|job| job.created_at());
    let since = pods.or(jobs).map(|created| now.duration_since(created));
    since.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default()
}
