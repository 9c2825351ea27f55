//! What is watched, and whom a change concerns.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use kube::Resource as _;
use tokio::task::JoinSet;
use tremplin_core::api::{DnsClaim, DnsRecord, DnsZone};
use tremplin_core::app::valid::{ContentKind, ContentRef};
use tremplin_core::dns::{Fqdn, judge, neighbours};

use super::{Dns, claim_key, record_key};
use crate::cluster::{Change, Group, Item as _, NamespaceLabels, Seen, Selection, Store, Watched};
use crate::driver::Cause;
use crate::key::Key;

/// What the watches need.
#[derive(Clone, Debug)]
pub struct Watching {
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
}

impl Dns {
    /// Starts every watch, in tasks of their own, for as long as the set lives.
    pub fn watch(self: &Arc<Self>, watching: &Watching) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        self.follow(&mut tasks, watching, |dns| &dns.records, Self::record_changed);
        self.follow(&mut tasks, watching, |dns| &dns.claims, Self::claim_changed);
        self.follow(&mut tasks, watching, |dns| &dns.zones, Self::zone_changed);
        let (dns, to) = (self.clone(), watching.clone());
        tasks.spawn(async move {
            let changed = |change: Change<NamespaceLabels>| {
                for namespace in change.sides().take(1) {
                    dns.reconsider(&dns.records.group(&Group::Namespace(namespace.name.clone())));
                }
            };
            let (keep, store) = (NamespaceLabels::of, &dns.namespaces);
            dns.cluster.follow(to.everything(), keep, store, changed).await;
        });
        let dns = self.clone();
        tasks.spawn(async move {
            let mut platform = dns.platform.clone();
            while platform.changed().await.is_ok() {
                dns.wake_records(&dns.records.all());
            }
            // The sender lives as long as the program.
            std::future::pending::<()>().await;
        });
        tasks
    }

    /// Waits until every first list is complete.
    pub async fn ready(&self) {
        self.namespaces.ready().await;
        self.zones.ready().await;
        self.claims.ready().await;
        self.records.ready().await;
        self.cluster.children.ready().await;
        self.cluster.sources.secrets.ready().await;
        // Zones may have come after the records. Every record is looked at anyway.
        self.cluster.resources.reopen();
    }

    /// The objects of the three kinds that are there, for counting: kind and conditions.
    pub fn counted(
        &self,
    ) -> Vec<(
        &'static str,
        Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>,
    )> {
        let records = self.records.all();
        let claims = self.claims.all();
        let zones = self.zones.all();
        let records = records.iter().map(|seen| ("DnsRecord", seen.conditions().into_owned()));
        let claims = claims.iter().map(|seen| ("DnsClaim", seen.conditions().into_owned()));
        let zones = zones.iter().map(|seen| ("DnsZone", seen.conditions().into_owned()));
        records.chain(claims).chain(zones).collect()
    }

    fn follow<K>(
        self: &Arc<Self>,
        tasks: &mut JoinSet<()>,
        watching: &Watching,
        store: fn(&Self) -> &Store<Seen<K>>,
        changed: fn(&Self, &Change<Seen<K>>),
    ) where
        K: Watched + Debug,
    {
        let (dns, to) = (self.clone(), watching.clone());
        tasks.spawn(async move {
            let told = |change| changed(&dns, &change);
            let keep = |seen: Seen<K>| seen;
            dns.cluster.follow(to.everything(), keep, store(&dns), told).await;
        });
    }

    fn record_changed(&self, change: &Change<Seen<DnsRecord>>) {
        let Some(seen) = change.sides().next() else { return };
        let rewritten = is_rewritten(change);
        let cause = if rewritten { Cause::Itself } else { Cause::Related };
        let _ = self.wake.records.send((seen.key(), cause));
        if !rewritten {
            self.tell_mail(change);
            return;
        }
        // Others of the namespace may say something at the same name, and the claim counts its users.
        for side in change.sides() {
            let Seen::Object(record) = side else { continue };
            let Ok(name) = judge::name(record) else {
                continue;
            };
            self.tell_beside(name.as_str());
            self.wake_records(&self.near(&seen.key(), &name));
            // Not only the claim that its status names: a new one has no status yet.
            self.wake_claims_above(name);
        }
    }

    /// The other records of the namespace that may say something at the names of one: mail does at `_dmarc` below its
    /// name, and at keys.
    fn near(&self, key: &Key, name: &Fqdn) -> Vec<Arc<Seen<DnsRecord>>> {
        let is_near = |other: &Seen<DnsRecord>| match other {
            Seen::Object(other) => {
                judge::name(other).is_ok_and(|other| other.is_within(name) || other.host() == name.host())
            }
            Seen::Malformed(_) => false,
        };
        let all = self.records.group(&Group::Name(name.host().to_string())).into_iter();
        all.filter(|other| other.key().namespace == key.namespace && other.key() != *key && is_near(other))
            .collect()
    }

    /// What a record has in the zone is perhaps what mail there was waiting for.
    fn tell_mail(&self, change: &Change<Seen<DnsRecord>>) {
        let (Some(Seen::Object(old)), Some(Seen::Object(new))) = (change.old.as_deref(), change.new.as_deref()) else {
            return;
        };
        let Ok(name) = judge::name(new) else { return };
        if neighbours::written(old) == neighbours::written(new) {
            return;
        }
        let mut mail = self.near(&record_key(new), &name);
        mail.retain(|other| matches!(&**other, Seen::Object(other) if other.spec.mail.is_some()));
        self.wake_records(&mail);
    }

    pub(super) fn claim_changed(&self, change: &Change<Seen<DnsClaim>>) {
        let Some(seen) = change.sides().next() else { return };
        let cause = if is_rewritten(change) {
            Cause::Itself
        } else {
            Cause::Related
        };
        let _ = self.wake.claims.send((seen.key(), cause));
        if cause == Cause::Itself
            && let Seen::Object(claim) = seen
        {
            self.wake_records(&self.records.group(&Group::Name(claim.spec.key.clone())));
            self.tell_beside(&claim.spec.key);
            if change.new.is_none() {
                self.wake_claimless(&claim.spec.holder.namespace);
            }
        }
    }

    /// A namespace has a name less, or will have: what was one too many may be taken now, or is told so.
    pub(super) fn wake_claimless(&self, holder: &str) {
        let mut records = self.records.group(&Group::Namespace(holder.to_owned()));
        records.retain(|seen| match &**seen {
            Seen::Object(record) => record.status.as_ref().is_none_or(|status| status.claim.is_none()),
            Seen::Malformed(_) => false,
        });
        self.wake_records(&records);
    }

    fn zone_changed(&self, change: &Change<Seen<DnsZone>>) {
        let Some(seen) = change.sides().next() else { return };
        let rewritten = is_rewritten(change);
        if rewritten {
            self.cluster.resources.reopen();
            for side in change.sides() {
                let Seen::Object(zone) = side else { continue };
                let Ok(domain) = tremplin_core::dns::zone::domain(zone) else {
                    continue;
                };
                let below = Group::Name(domain.to_string());
                self.reconsider(&self.records.group(&below));
                self.tell_beside(domain.as_str());
                for claim in self.claims.group(&below) {
                    let _ = self.wake.claims.send((claim.key(), Cause::Itself));
                }
            }
            // Of two of one domain, the other may count now.
            for other in self.zones.all() {
                let _ = self.wake.zones.send((other.key(), Cause::Related));
            }
        }
        let cause = if rewritten { Cause::Itself } else { Cause::Related };
        let _ = self.wake.zones.send((seen.key(), cause));
    }

    /// Whom else names concern; to be said once, before anything is watched.
    pub fn also_tell(&self, beside: impl Fn(&str) + Send + Sync + 'static) {
        drop(self.beside.set(Box::new(beside)));
    }

    /// A name may be somebody else's now.
    pub(super) fn tell_beside(&self, name: &str) {
        if let Some(beside) = self.beside.get() {
            beside(name);
        }
    }

    /// A host is carried by an Ingress of an app, or no longer is: the claim that covers it counts its uses.
    pub fn host_moved(&self, host: &str) {
        if let Ok(name) = Fqdn::parse(host) {
            self.wake_claims_above(name);
        }
    }

    /// The claims of a name and of every name above it.
    fn wake_claims_above(&self, name: Fqdn) {
        for at in std::iter::successors(Some(name), Fqdn::parent) {
            let key = claim_key(&at);
            if self.claims.get(&key).is_some() {
                let _ = self.wake.claims.send((key, Cause::Related));
            }
        }
    }

    /// An app's Ingress changed: what follows the app may be elsewhere now.
    pub fn app_moved(&self, app: &Key) {
        self.wake_records(&self.records.group(&Group::Follows(app.clone())));
    }

    /// A Secret changed: it may hold the credential of a zone.
    pub fn secret_changed(&self, secret: &Key) {
        if secret.namespace != self.cluster.home.namespace {
            return;
        }
        let content = ContentRef {
            kind: ContentKind::Secret,
            name: secret.name.clone(),
        };
        for seen in self.zones.all() {
            if let Seen::Object(zone) = &*seen
                && Self::uses_secret(zone, &content)
            {
                let _ = self.wake.zones.send((seen.key(), Cause::Itself));
            }
        }
    }

    /// Other rules: what was refused is tried again.
    fn reconsider(&self, records: &[Arc<Seen<DnsRecord>>]) {
        for seen in records {
            self.board.reconsider(&seen.key());
        }
        self.wake_records(records);
    }

    fn wake_records(&self, records: &[Arc<Seen<DnsRecord>>]) {
        for seen in records {
            let _ = self.wake.records.send((seen.key(), Cause::Itself));
        }
    }
}

fn is_rewritten<K: Watched>(change: &Change<Seen<K>>) -> bool {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => {
            new.is_rewritten(old)
                || new.meta().finalizers != old.meta().finalizers && new.meta().deletion_timestamp.is_some()
        }
        _ => true,
    }
}
