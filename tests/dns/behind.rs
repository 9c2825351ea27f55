//! The zone itself, past the operator: all of it, changed behind its back, and its server gone for a while.
#![allow(dead_code)] // each test file uses its part

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::ClusterResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tremplin::dns_provider::{Provider, Shared, build};
use tremplin_core::api::{DnsRecord, DnsZone};
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet};

use crate::common::{eventually, yaml};
use crate::world::{Server, World};

/// A name that is one.
pub fn fqdn(text: &str) -> Fqdn {
    Fqdn::parse(text).unwrap()
}

/// A record set as it would be written.
pub fn set(name: &str, type_: &str, ttl: u32, values: &[&str]) -> RrSet {
    RrSet {
        name: fqdn(name),
        type_: RecordType::of(type_),
        ttl,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    }
}

impl Server {
    /// A client of its zone, which is not the operator's.
    pub fn client(&self, domain: &str) -> Box<dyn Provider> {
        let settings = serde_json::from_value(self.provider("unused")).unwrap();
        let secret = self.secret().into_iter();
        let secret = secret
            .map(|(key, value)| (key.to_owned(), value.into_bytes()))
            .collect();
        build(&settings, &fqdn(domain), &secret, None, &Shared::default()).unwrap()
    }

    /// Every record set of its zone, save the SOA, which counts changes.
    pub async fn all(&self, domain: &str) -> BTreeSet<RrSet> {
        let sets = self.client(domain).read_all().await.unwrap();
        sets.into_iter().filter(|set| set.type_ != RecordType::Soa).collect()
    }

    /// The record sets of its zone that are no marks.
    pub async fn data(&self, domain: &str) -> BTreeSet<RrSet> {
        let mut all = self.all(domain).await;
        all.retain(|set| !set.name.as_str().contains("_tremplin"));
        all
    }

    /// The set of that name and type.
    pub async fn current(&self, domain: &str, name: &str, type_: &str) -> Option<RrSet> {
        let all = self.all(domain).await;
        let type_ = RecordType::of(type_);
        all.into_iter()
            .find(|set| set.name.as_str() == name && set.type_ == type_)
    }

    /// Writes behind the operator's back: `None` takes away what is there.
    pub async fn tamper(&self, domain: &str, name: &str, type_: &str, after: Option<RrSet>) {
        let before = self.current(domain, name, type_).await;
        let client = self.client(domain);
        client.write(&[Change { before, after }]).await.unwrap();
    }

    /// Ends it now.
    pub fn kill(&self) {
        match self {
            Self::Bind(bind) => bind.kill(),
            Self::PowerDns(server) => server.kill(),
            Self::Gandi(_) | Self::Ovh(_) | Self::Route53(_) => unreachable!("no test ends a fake"),
        }
    }

    /// Starts it again, with all that it accepted.
    pub async fn restart(&self) {
        match self {
            Self::Bind(bind) => bind.restart().await.unwrap(),
            Self::PowerDns(server) => server.restart().await.unwrap(),
            Self::Gandi(_) | Self::Ovh(_) | Self::Route53(_) => unreachable!("no test ends a fake"),
        }
    }
}

impl World {
    /// Changes fields of a DnsZone's spec, as the platform team would.
    pub async fn change_zone(&self, name: &str, spec: &str) {
        self.merge::<DnsZone>(name, &json!({"spec": yaml(spec)})).await;
    }

    /// Sets an annotation on a DnsZone.
    pub async fn annotate_zone(&self, name: &str, key: &str, value: &str) {
        self.merge::<DnsZone>(name, &json!({"metadata": {"annotations": {key: value}}}))
            .await;
    }

    /// Changes an object of the whole cluster.
    pub async fn merge<K>(&self, name: &str, change: &Value)
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<K> = self.cluster();
        api.patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .unwrap();
    }

    /// Sets an annotation on a record.
    pub async fn annotate(&self, namespace: &str, name: &str, key: &str, value: &str) {
        let change = json!({"metadata": {"annotations": {key: value}}});
        self.of::<DnsRecord>(namespace)
            .patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .unwrap();
    }

    /// Asks for an audit of a zone at once, and waits for it.
    pub async fn audit(&self, zone: &str) {
        let last = async || {
            let found = self.cluster::<DnsZone>().get(zone).await.unwrap();
            found
                .status
                .and_then(|status| status.last_audit_at)
                .map(|at| at.0.as_second())
        };
        // A status keeps whole seconds: another one tells that it is another audit.
        eventually("a second begins", async || {
            let now = Timestamp::now().as_second();
            last().await.is_none_or(|last| now > last).then_some(())
        })
        .await;
        let asked = Timestamp::now();
        self.annotate_zone(zone, "tremplin.dev/audit-requested-at", &asked.to_string())
            .await;
        eventually("the zone is audited", async || {
            (last().await? >= asked.as_second()).then_some(())
        })
        .await;
    }

    /// The labels that make a namespace one of the admitted, or not.
    pub async fn relabel(&self, namespace: &str, dns: Option<&str>) {
        self.merge::<k8s_openapi::api::core::v1::Namespace>(namespace, &json!({"metadata": {"labels": {"dns": dns}}}))
            .await;
    }
}

/// The cluster that these clients speak to.
pub fn world(client: Client) -> World {
    World { client }
}
