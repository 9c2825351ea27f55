//! A zone that an external-dns of the cluster publishes: what is ours is in `DNSEndpoint`s, and what is free is what the
//! authoritative servers do not answer.
//!
//! A name of which nothing is asked for any more keeps an empty object until the servers answer nothing either: what they
//! answer meanwhile would look like somebody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _};
use tremplin_core::dns::external_dns::{DnsEndpoint, Entry, PROFILE, Place, TYPES, name_of, object_name};
use tremplin_core::dns::ownership::{self, mark_name, marked_name};
use tremplin_core::dns::{Change, Fqdn, Profile, RecordType, RrSet, Zone};
use tremplin_core::fault::{Fault, Refusal};

use super::MANAGER;
use crate::cluster::Cluster;
use crate::dns_provider::authority::discovery::Discovered;
use crate::dns_provider::authority::{self, Server};
use crate::dns_provider::{Credential, Failure, Provider};

/// Up to how many names are read one by one; for more, the objects of the zone are listed.
const ONE_BY_ONE: usize = 20;
/// How many names are asked about at the same time.
const AT_ONCE: usize = 16;
/// How many objects are looked at when it is asked whether they were taken up.
const LOOKED_AT: usize = 20;

/// A zone.
pub struct ExternalDns {
    cluster: Arc<Cluster>,
    discovered: Arc<Discovered>,
    place: Place,
    domain: Fqdn,
    authorities: Vec<(String, u16)>,
    /// Whether empty objects may be removed.
    is_written: bool,
    /// What was read last: a change is made to it alone.
    known: Mutex<BTreeMap<Fqdn, Known>>,
    /// What was written and not yet read by external-dns.
    handed_over: Mutex<BTreeSet<Fqdn>>,
}

/// What is known of a name.
#[derive(Clone)]
enum Known {
    /// Our object.
    Ours(Box<DnsEndpoint>),
    /// No object of ours; what the zone has there.
    Theirs(Vec<RrSet>),
}

impl ExternalDns {
    /// A zone whose objects are at that place.
    pub fn new(cluster: Arc<Cluster>, discovered: Arc<Discovered>, zone: &Zone, place: Place) -> Self {
        Self {
            cluster,
            discovered,
            place,
            domain: zone.domain.clone(),
            authorities: zone.authorities.clone(),
            is_written: zone.written,
            known: Mutex::default(),
            handed_over: Mutex::default(),
        }
    }

    async fn list(&self, most: Option<u32>) -> Result<Vec<DnsEndpoint>, Failure> {
        let (namespace, labels) = (&self.place.namespace, self.place.selector());
        let listed = self.cluster.list_objects::<DnsEndpoint>(namespace, &labels, most).await;
        let missing = || {
            let message = "the cluster does not serve DNSEndpoint of externaldns.k8s.io/v1alpha1";
            Failure::NoApi(message.to_owned())
        };
        listed.map_err(failure)?.ok_or_else(missing)
    }

    /// The objects with the names that ours have, whoever's.
    async fn objects(&self, names: &BTreeSet<Fqdn>) -> Result<BTreeMap<Fqdn, DnsEndpoint>, Failure> {
        if names.len() > ONE_BY_ONE {
            let listed = self.list(None).await?.into_iter();
            return Ok(listed.filter_map(|object| Some((name_of(&object)?, object))).collect());
        }
        let read = async |name: &Fqdn| {
            let (namespace, object) = (&self.place.namespace, object_name(name));
            let read = self.cluster.read_object(namespace, &object).await;
            read.map(|object| Some((name.clone(), object?)))
        };
        let found: Vec<_> = futures::stream::iter(names)
            .map(read)
            .buffered(AT_ONCE)
            .try_collect()
            .await
            .map_err(failure)?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn look_up(&self, name: &Fqdn, object: Option<DnsEndpoint>) -> Result<Known, Failure> {
        match object {
            Some(object) if self.place.is_ours(&object) => Ok(Known::Ours(Box::new(object))),
            _ => Ok(Known::Theirs(self.answered(name).await?)),
        }
    }

    /// What the first authoritative server that answers has at a name.
    async fn answered(&self, name: &Fqdn) -> Result<Vec<RrSet>, Failure> {
        let mut why = "no authoritative server is known".to_owned();
        // What external-dns may have written, or would stand in the way.
        let types = [&TYPES[..], &[RecordType::Caa]].concat();
        for server in self.servers().await? {
            match authority::at(server.address, name, &self.domain, &types).await {
                Ok(sets) => return Ok(sets),
                Err(error) => why = format!("{}: {error}", server.name),
            }
        }
        let message = format!("whether something is at {name} could not be found out: {why}");
        Err(Failure::Unavailable(message))
    }

    async fn servers(&self) -> Result<Vec<Server>, Failure> {
        let found = if self.authorities.is_empty() {
            self.discovered.of(&self.domain).await
        } else {
            authority::servers(&self.authorities).await
        };
        found.map_err(Failure::Unavailable)
    }

    async fn change(&self, name: &Fqdn, changes: &[&Change]) -> Result<(), Failure> {
        let known = locked(&self.known).get(name).cloned();
        let mut entry = match &known {
            Some(Known::Ours(object)) => Entry::of(object, name),
            _ => Entry::default(),
        };
        for change in changes {
            entry.apply(change);
        }
        let written = match known {
            Some(Known::Ours(object)) if entry == Entry::default() && self.is_gone(name).await => {
                locked(&self.known).remove(name);
                return self.cluster.remove_object(&*object).await.map_err(failure);
            }
            Some(Known::Ours(object)) => {
                let change = self.place.change(name, &entry);
                self.cluster.change_object(&*object, &change, MANAGER).await
            }
            Some(Known::Theirs(there)) => {
                entry.take_over(&there);
                let object = self.place.object(name, &entry);
                self.cluster.create_object(&object, MANAGER).await
            }
            None => return Err(Failure::Changed(format!("{name} was not read"))),
        };
        let Some(object) = written.map_err(failure)? else {
            return Err(self.not_written(name).await);
        };
        locked(&self.known).insert(name.clone(), Known::Ours(Box::new(object)));
        locked(&self.handed_over).insert(name.clone());
        Ok(())
    }

    /// Why an object was neither made nor changed.
    async fn not_written(&self, name: &Fqdn) -> Failure {
        let (namespace, object) = (&self.place.namespace, object_name(name));
        match self.cluster.read_object::<DnsEndpoint>(namespace, &object).await {
            Ok(Some(found)) if !self.place.is_ours(&found) => Failure::Refused(format!(
                "the DNSEndpoint {namespace}/{object} is not Tremplin's and is left alone: rename it, or remove it"
            )),
            Ok(_) => Failure::Changed(format!("the DNSEndpoint {namespace}/{object} changed meanwhile")),
            Err(fault) => failure(fault),
        }
    }

    /// Whether the servers answer nothing at a name any more, as far as they tell.
    async fn is_gone(&self, name: &Fqdn) -> bool {
        self.answered(name).await.is_ok_and(|there| there.is_empty())
    }
}

/// What an object says, with its mark where it would be in a zone.
fn sets(entry: Entry, name: &Fqdn, domain: &Fqdn) -> Vec<RrSet> {
    let delegated = entry.sets.contains_key(&RecordType::Ns);
    let mark = entry.mark.zip(mark_name(name, domain, delegated).ok());
    let mark = mark.map(|(text, name)| RrSet {
        name,
        type_: RecordType::Txt,
        ttl: ownership::TTL,
        values: [text].into(),
    });
    entry.sets.into_values().chain(mark).collect()
}

fn failure(fault: Fault<Refusal>) -> Failure {
    match fault.reason {
        Refusal::Conflict => Failure::Changed(fault.message),
        Refusal::ApiUnavailable | Refusal::NamespaceTerminating => Failure::Unavailable(fault.message),
        _ => Failure::Refused(fault.message),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in it is whole, whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Provider for ExternalDns {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn verify(&self) -> BoxFuture<'_, Result<Credential, Failure>> {
        Box::pin(async {
            self.list(Some(1)).await?;
            Ok(Credential::default())
        })
    }

    fn read<'a>(&'a self, names: &'a BTreeSet<Fqdn>) -> BoxFuture<'a, Result<Vec<RrSet>, Failure>> {
        Box::pin(async move {
            let about = |name: &Fqdn| marked_name(name, &self.domain).unwrap_or_else(|| name.clone());
            let names: BTreeSet<Fqdn> = names.iter().map(about).collect();
            let mut objects = self.objects(&names).await?;
            let looked_up: BTreeMap<Fqdn, Known> = futures::stream::iter(names)
                .map(|name| {
                    let object = objects.remove(&name);
                    async move { self.look_up(&name, object).await.map(|known| (name, known)) }
                })
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            let mut found = Vec::new();
            for (name, known) in &looked_up {
                match known {
                    Known::Ours(object) => found.extend(sets(Entry::of(object, name), name, &self.domain)),
                    Known::Theirs(there) => found.extend(there.iter().cloned()),
                }
            }
            *locked(&self.known) = looked_up;
            Ok(found)
        })
    }

    fn read_all(&self) -> BoxFuture<'_, Result<Vec<RrSet>, Failure>> {
        Box::pin(async {
            let mut found = Vec::new();
            for object in self.list(None).await? {
                let Some(name) = name_of(&object).filter(|name| name.is_within(&self.domain)) else {
                    continue;
                };
                let entry = Entry::of(&object, &name);
                if entry == Entry::default() && self.is_written && self.is_gone(&name).await {
                    // One that changed meanwhile is in use again.
                    let _ = self.cluster.remove_object(&object).await;
                    continue;
                }
                found.extend(sets(entry, &name, &self.domain));
            }
            Ok(found)
        })
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let mut names: BTreeMap<Fqdn, Vec<&Change>> = BTreeMap::new();
            for change in changes {
                let Some(name) = change.name() else { continue };
                let about = marked_name(name, &self.domain).unwrap_or_else(|| name.clone());
                names.entry(about).or_default().push(change);
            }
            for (name, changes) in &names {
                self.change(name, changes).await?;
            }
            Ok(())
        })
    }

    /// Whether external-dns has read what was written. Nothing tells when it has written it itself, but the servers.
    fn is_published(&self) -> BoxFuture<'_, Result<Option<bool>, Failure>> {
        Box::pin(async {
            let waiting: BTreeSet<Fqdn> = locked(&self.handed_over).iter().take(LOOKED_AT).cloned().collect();
            let objects = self.objects(&waiting).await?;
            let is_read = |name: &Fqdn| {
                // Gone: it was empty.
                objects.get(name).is_none_or(|object| {
                    let read = object.status.as_ref().and_then(|status| status.observed_generation);
                    read >= object.metadata.generation
                })
            };
            let mut handed_over = locked(&self.handed_over);
            handed_over.retain(|name| !waiting.contains(name) || !is_read(name));
            Ok(Some(handed_over.is_empty()))
        })
    }
}
