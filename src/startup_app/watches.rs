//! What is watched for apps, and whom a change concerns.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tremplin_core::app::hosts::Wanting;
use tremplin_core::app::render::record_name;
use tremplin_core::app::valid::{ContentKind, ContentRef};
use tremplin_core::app::validate::wanted_hosts;
use tremplin_core::app::{ReleaseRecord, content_refs};
use tremplin_core::labels;
use tremplin_core::live::{Kept, Live};
use tremplin_core::platform::Platform;

use super::{Hosts, Related, Seen, StartupApps, Turns};
use crate::cluster::{Change, Cluster, Group, Item as _, NamespaceLabels, Selection, Source, Store};
use crate::driver::{Cause, Reconcile as _};
use crate::key::Key;
use crate::metrics::Metrics;

/// Where changes are sent.
pub type Events = UnboundedSender<(Key, Cause)>;

/// What the watches need beside the apps.
#[derive(Clone)]
pub struct Watching {
    /// Who is told.
    pub events: Events,
    /// After how long a watch is opened anew.
    pub timeout: Duration,
}

impl Watching {
    fn everything(&self) -> Selection {
        Selection {
            labels: None,
            timeout: self.timeout,
        }
    }

    fn ours(&self) -> Selection {
        Selection {
            labels: Some(format!("{}={}", labels::MANAGED_BY, labels::MANAGER)),
            timeout: self.timeout,
        }
    }
}

impl StartupApps {
    /// With nothing watched yet. `roll_interval` lies between two rolls that no team asked for.
    pub fn new(
        cluster: Arc<Cluster>,
        platform: watch::Receiver<Arc<Platform>>,
        roll_interval: Duration,
        now: fn() -> Timestamp,
    ) -> Self {
        Self {
            apps: cluster.resources.apps.clone(),
            cluster,
            namespaces: Store::default(),
            hosts: Hosts::default(),
            turns: Turns::new(roll_interval),
            beside: OnceLock::new(),
            events: OnceLock::new(),
            platform,
            now,
        }
    }

    /// Whom else what is watched here concerns; to be said once, before anything is watched.
    pub fn also_tell(&self, beside: impl Fn(Related<'_>) + Send + Sync + 'static) {
        drop(self.beside.set(Box::new(beside)));
    }

    pub(super) fn tell_beside(&self, related: Related<'_>) {
        if let Some(beside) = self.beside.get() {
            beside(related);
        }
    }

    /// The apps that are there.
    pub fn apps(&self) -> Vec<Arc<Seen>> {
        self.apps.all()
    }

    /// Counts the apps by condition anew.
    pub fn measure(&self, metrics: &Metrics) {
        metrics.objects.clear();
        for seen in self.apps.all() {
            metrics.count_conditions(Self::KIND, &seen.conditions());
        }
    }

    /// Starts every watch, in tasks of their own, for as long as the set lives.
    pub fn watch(self: &Arc<Self>, watching: &Watching) -> JoinSet<()> {
        drop(self.events.set(watching.events.clone()));
        let mut tasks = JoinSet::new();
        self.watch_apps(&mut tasks, watching);
        let (secret, config_map) = (ContentKind::Secret, ContentKind::ConfigMap);
        self.watch_content::<Secret>(&mut tasks, watching, secret, |apps| &apps.cluster.sources.secrets);
        self.watch_content::<ConfigMap>(&mut tasks, watching, config_map, |apps| {
            &apps.cluster.sources.config_maps
        });
        self.watch_children(&mut tasks, watching, |apps| &apps.cluster.children.service_accounts);
        self.watch_children(&mut tasks, watching, |apps| &apps.cluster.children.config_maps);
        self.watch_children(&mut tasks, watching, |apps| &apps.cluster.children.services);
        self.watch_children(&mut tasks, watching, |apps| &apps.cluster.children.disruption_budgets);
        self.watch_children(&mut tasks, watching, |apps| &apps.cluster.children.deployments);
        self.watch_children(&mut tasks, watching, |apps| &apps.cluster.children.cron_jobs);
        self.watch_children(&mut tasks, watching, |apps| &apps.cluster.children.dns_records);
        self.watch_children(&mut tasks, watching, |apps| &apps.cluster.children.jobs);
        self.watch_children(&mut tasks, watching, |apps| &apps.cluster.children.pods);
        self.watch_ingresses(&mut tasks, watching);
        let (apps, events) = (self.clone(), watching.events.clone());
        tasks.spawn(async move { apps.follow_platform(&events).await });
        tasks
    }

    /// Waits until every first list is complete.
    pub async fn ready(&self) {
        self.namespaces.ready().await;
        self.apps.ready().await;
        self.cluster.children.ready().await;
        self.cluster.sources.secrets.ready().await;
        self.cluster.sources.config_maps.ready().await;
        // The namespaces' labels may have come after the apps. Every app is looked at anyway.
        let _ = self.recount(&self.apps.all());
    }

    fn watch_apps(self: &Arc<Self>, tasks: &mut JoinSet<()>, watching: &Watching) {
        let (apps, to) = (self.clone(), watching.clone());
        tasks.spawn(async move {
            let changed = |change| apps.app_changed(&change, &to.events);
            let keep = |seen: Seen| seen;
            apps.cluster.follow(to.everything(), keep, &apps.apps, changed).await;
        });
        let (apps, to) = (self.clone(), watching.clone());
        tasks.spawn(async move {
            let changed = |change: Change<NamespaceLabels>| {
                for name in change.sides().take(1).map(|namespace| namespace.name.clone()) {
                    apps.redecide(&apps.apps.group(&Group::Namespace(name)), &to.events);
                }
            };
            let (keep, store) = (NamespaceLabels::of, &apps.namespaces);
            apps.cluster.follow(to.everything(), keep, store, changed).await;
        });
    }

    fn watch_content<K>(
        self: &Arc<Self>,
        tasks: &mut JoinSet<()>,
        watching: &Watching,
        kind: ContentKind,
        store: fn(&Self) -> &Store<Source>,
    ) where
        K: Resource<DynamicType = ()> + Clone + Debug + Send + 'static,
    {
        let (apps, to) = (self.clone(), watching.clone());
        tasks.spawn(async move {
            let changed = |change| apps.content_changed(kind, &change, &to.events);
            let keep = Source::of::<K>;
            apps.cluster.follow(to.everything(), keep, store(&apps), changed).await;
        });
    }

    fn watch_children<K>(
        self: &Arc<Self>,
        tasks: &mut JoinSet<()>,
        watching: &Watching,
        store: fn(&Self) -> &Store<Live<K>>,
    ) where
        K: Kept + Resource<Scope = NamespaceResourceScope>,
    {
        let (apps, to) = (self.clone(), watching.clone());
        tasks.spawn(async move {
            let changed = |change| apps.child_changed(&change, &to.events);
            let keep = |live: Live<K>| live;
            apps.cluster.follow(to.ours(), keep, store(&apps), changed).await;
        });
    }

    fn watch_ingresses(self: &Arc<Self>, tasks: &mut JoinSet<()>, watching: &Watching) {
        let (apps, to) = (self.clone(), watching.clone());
        tasks.spawn(async move {
            let changed = |change: Change<Live<Ingress>>| {
                apps.child_changed(&change, &to.events);
                for ingress in change.sides() {
                    if let Some(name) = ingress.label(labels::APP) {
                        let (namespace, name) = (ingress.namespace().to_owned(), name.to_owned());
                        apps.tell_beside(Related::App(&Key { namespace, name }));
                    }
                }
                apps.hosts_moved(change.sides().flat_map(|ingress| &ingress.facts.hosts));
            };
            let (keep, store) = (|live: Live<Ingress>| live, &apps.cluster.children.ingresses);
            apps.cluster.follow(to.everything(), keep, store, changed).await;
        });
    }

    /// Hosts are carried, or no longer are. (What our own writes change, no watch tells.)
    pub(super) fn hosts_moved<'a>(&self, hosts: impl IntoIterator<Item = &'a String>) {
        for host in hosts {
            self.tell_own(self.hosts.wanters(host));
            self.tell_beside(Related::Host(host));
        }
    }

    /// Somebody else holds that name or something below it now, or other rules are in force there.
    pub fn names_changed(&self, name: &str) {
        self.tell_own(self.hosts.wanters_within(name));
    }

    fn tell_own(&self, keys: impl IntoIterator<Item = Key>) {
        if let Some(events) = self.events.get() {
            tell(keys.into_iter(), events);
        }
    }

    fn app_changed(&self, change: &Change<Seen>, events: &Events) {
        let Some(seen) = change.sides().next() else { return };
        let rewritten = match (&change.old, &change.new) {
            (Some(old), Some(new)) => new.is_rewritten(old),
            _ => true,
        };
        if rewritten {
            let gone = change.new.is_none();
            tell(self.count(seen, gone).into_iter(), events);
            self.tell_beside(Related::App(&seen.key()));
        }
        // Somebody else wrote the status: it is put right.
        let cause = if rewritten { Cause::Itself } else { Cause::Related };
        let _ = events.send((seen.key(), cause));
    }

    fn content_changed(&self, kind: ContentKind, change: &Change<Source>, events: &Events) {
        let Some(key) = change.sides().next().map(crate::cluster::Item::key) else {
            return;
        };
        if kind == ContentKind::Secret {
            self.tell_beside(Related::Secret(&key));
        }
        let content = ContentRef { kind, name: key.name };
        if change.new.is_none() {
            self.cluster.sources.forget(&key.namespace, &content);
        }
        let in_namespace = self.apps.group(&Group::Namespace(key.namespace.clone()));
        let still_run = in_namespace.iter().filter(|seen| self.released_names(seen, &content));
        let named = self.apps.group(&Group::Content(key.namespace, content.clone()));
        let concerned: BTreeSet<Key> = named.iter().chain(still_run).map(|seen| seen.key()).collect();
        tell(concerned.into_iter(), events);
    }

    /// A child concerns the app that its label names, before or after the change.
    fn child_changed<K: Kept>(&self, change: &Change<Live<K>>, events: &Events) {
        if let Some(old) = &change.old
            && change.new.as_ref().is_none_or(|new| new.uid() != old.uid())
        {
            self.cluster.forget(old.uid());
        }
        let apps = change.sides().filter_map(|live| {
            let name = live.label(labels::APP)?.to_owned();
            let namespace = live.namespace().to_owned();
            Some(Key { namespace, name })
        });
        tell(apps, events);
    }

    /// Whether the version that is released, and may still run, names that content.
    fn released_names(&self, seen: &Seen, content: &ContentRef) -> bool {
        let key = seen.key();
        let name = record_name(&key.name);
        let record = self.cluster.children.config_maps.get(&Key { name, ..key });
        let record = record.and_then(|live| ReleaseRecord::read(&live).ok());
        let released = record.and_then(|record| record.released);
        released.is_some_and(|released| content_refs(&released.spec).contains(content))
    }

    /// Every app is decided anew when the platform file changed.
    async fn follow_platform(&self, events: &Events) {
        let mut platform = self.platform.clone();
        while platform.changed().await.is_ok() {
            self.redecide(&self.apps.all(), events);
        }
    }

    fn redecide(&self, apps: &[Arc<Seen>], events: &Events) {
        let keys: Vec<Key> = apps.iter().map(|seen| seen.key()).collect();
        tell(self.recount(apps).into_iter(), events);
        for key in keys {
            let _ = events.send((key, Cause::Itself));
        }
    }

    /// Notes which hosts these apps want; gives the others that this concerns.
    fn recount(&self, apps: &[Arc<Seen>]) -> BTreeSet<Key> {
        apps.iter().flat_map(|seen| self.count(seen, false)).collect()
    }

    /// Notes which hosts an app wants; gives the others that this concerns.
    fn count(&self, seen: &Seen, gone: bool) -> BTreeSet<Key> {
        let platform = self.platform.borrow().clone();
        let key = seen.key();
        let wanting = Wanting {
            uid: seen.uid().to_owned(),
            created_at: Resource::meta(seen).creation_timestamp.as_ref().map(|time| time.0),
            namespace: key.namespace.clone(),
            name: key.name,
        };
        let hosts = match seen {
            Seen::Object(app) if !gone => wanted_hosts(app, &platform, &self.context(&key.namespace, &platform)),
            _ => Vec::new(),
        };
        self.hosts.wants(&wanting, hosts)
    }
}

/// The driver may have stopped: then nobody needs to know.
fn tell(keys: impl Iterator<Item = Key>, events: &Events) {
    for key in keys {
        let _ = events.send((key, Cause::Related));
    }
}
