//! Zones that are open to every namespace, and names in them.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::{Value, json};
use tremplin_e2e::AuditLevel;

use crate::cluster::{Cluster, OPERATOR, namespace};
use crate::operator::Operator;
use crate::wait::until_looking;

/// How long a zone or a record may take to be as asked.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often one object is read, and how often all of a kind are.
const READ: Duration = Duration::from_millis(10);
const LIST: Duration = Duration::from_millis(500);
/// How many records are created at the same time.
const CREATORS: usize = 8;
/// No audit while changes are measured, in seconds.
const RARELY: u32 = 86_400;

/// A control plane with an operator.
pub struct World {
    pub cluster: Cluster,
    pub operator: Operator,
}

/// A name in the zone of a DnsZone, by number.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub zone: &'a str,
    pub domain: &'a str,
    pub number: usize,
}

impl Entry<'_> {
    /// Of the DnsRecord, and the first label.
    fn name(&self) -> String {
        format!("{}-{:05}", self.zone, self.number)
    }

    /// The whole name.
    pub fn fqdn(&self) -> String {
        format!("{}.{}", self.name(), self.domain)
    }
}

impl World {
    /// Starts both, with namespaces for so many records.
    pub async fn start(binary: &Path, records: usize) -> Result<Self> {
        let cluster = Cluster::start(AuditLevel::Metadata, records).await?;
        let operator = Operator::start(binary, &cluster)?;
        operator.ready().await?;
        Ok(Self { cluster, operator })
    }

    fn zones(&self) -> Api<DynamicObject> {
        Api::all_with(self.cluster.admin.clone(), &kind("DnsZone"))
    }

    fn records(&self, number: usize) -> Api<DynamicObject> {
        Api::namespaced_with(self.cluster.admin.clone(), &namespace(number), &kind("DnsRecord"))
    }

    /// Opens a zone and waits until the operator has read it.
    pub async fn open(
        &self,
        name: &str,
        domain: &str,
        (provider, secret): (Value, Vec<(&'static str, String)>),
        authorities: Value,
    ) -> Result<()> {
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..Default::default()
            },
            string_data: Some(secret.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
            ..Default::default()
        };
        let secrets: Api<Secret> = Api::namespaced(self.cluster.admin.clone(), OPERATOR);
        secrets.create(&PostParams::default(), &secret).await?;
        let spec = json!({
            "domain": domain, "mode": "Enforce", "provider": provider, "authorities": authorities,
            "admission": {"namespaces": {}, "targets": {"denyPrivate": false}, "maxClaimsPerNamespace": 100_000},
            "drift": {"intervalSeconds": RARELY},
        });
        let zone = DynamicObject::new(name, &kind("DnsZone")).data(json!({"spec": spec}));
        self.zones().create(&PostParams::default(), &zone).await?;
        self.audited(name, 0).await
    }

    /// Has a zone looked at by another interval, and waits until it was.
    pub async fn look_every(&self, name: &str, interval: Duration) -> Result<()> {
        let before = self.zones().get(name).await?;
        let change = json!({"spec": {"drift": {"intervalSeconds": interval.as_secs()}}});
        let changed = self
            .zones()
            .patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await?;
        if changed.metadata.generation == before.metadata.generation {
            bail!("the interval of {name} is that already");
        }
        self.audited(name, changed.metadata.generation.unwrap_or_default())
            .await
    }

    /// Waits until a zone was looked at, and its status is of this generation or a later one.
    async fn audited(&self, name: &str, generation: i64) -> Result<()> {
        until_looking(READ, &format!("the zone {name} was read"), PATIENCE, async || {
            self.operator.process.check()?;
            let zone = self.zones().get(name).await?.data;
            let observed = zone.pointer("/status/observedGeneration").and_then(Value::as_i64);
            let is_audited = zone.pointer("/status/lastAuditAt").is_some();
            Ok(is_audited && observed.unwrap_or(-1) >= generation)
        })
        .await
    }

    /// Asks for a name.
    pub async fn create(&self, entry: Entry<'_>, address: Ipv4Addr) -> Result<()> {
        let spec = json!({"name": entry.fqdn(), "targets": [address.to_string()]});
        let record = DynamicObject::new(&entry.name(), &kind("DnsRecord")).data(json!({"spec": spec}));
        let created = self.records(entry.number).create(&PostParams::default(), &record).await;
        created.with_context(|| format!("failed to create {}", entry.name()))?;
        Ok(())
    }

    /// Asks for many names as fast as the API server takes them.
    pub async fn create_all<'a>(&self, entries: impl Iterator<Item = Entry<'a>>, address: Ipv4Addr) -> Result<()> {
        let mut creations = futures::stream::iter(entries)
            .map(|entry| self.create(entry, address))
            .buffer_unordered(CREATORS);
        while let Some(created) = creations.next().await {
            created?;
        }
        Ok(())
    }

    /// Has a name lead elsewhere; the generation that says so.
    pub async fn change(&self, entry: Entry<'_>, address: Ipv4Addr) -> Result<i64> {
        let change = json!({"spec": {"targets": [address.to_string()]}});
        let changed = self
            .records(entry.number)
            .patch(&entry.name(), &PatchParams::default(), &Patch::Merge(change))
            .await?;
        changed.metadata.generation.context("a record without a generation")
    }

    /// Waits until the status of a record says that this generation is published.
    pub async fn published(&self, entry: Entry<'_>, generation: i64) -> Result<()> {
        let what = format!("{} is published", entry.fqdn());
        until_looking(READ, &what, PATIENCE, async || {
            self.operator.process.check()?;
            let record = self.records(entry.number).get(&entry.name()).await?;
            Ok(is_ready(&record, generation))
        })
        .await
    }

    /// Waits until all records are published, as many as there are to be.
    pub async fn all_published(&self, count: usize) -> Result<()> {
        let all: Api<DynamicObject> = Api::all_with(self.cluster.admin.clone(), &kind("DnsRecord"));
        let what = format!("{count} records are published");
        until_looking(LIST, &what, PATIENCE, async || {
            self.operator.process.check()?;
            let records = all.list(&ListParams::default()).await?.items;
            Ok(records.iter().filter(|record| is_ready(record, 0)).count() >= count)
        })
        .await
    }
}

fn is_ready(record: &DynamicObject, generation: i64) -> bool {
    let conditions = record.data.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        let text = |field: &str| condition.get(field).and_then(Value::as_str);
        let observed = condition.get("observedGeneration").and_then(Value::as_i64);
        text("type") == Some("Ready") && text("status") == Some("True") && observed.unwrap_or(-1) >= generation.max(1)
    })
}

fn kind(name: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("tremplin.dev", "v1alpha1", name))
}
