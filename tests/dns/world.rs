//! A zone on a real server, opened to teams on the real API server.
#![allow(dead_code)] // each test file uses its part

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::core::{ClusterResourceScope, NamespaceResourceScope};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tremplin_core::api::{DnsClaim, DnsRecord, DnsZone};
use tremplin_e2e::ControlPlane;
use tremplin_e2e::dns::fake::{FakeOptions, Gandi, Ovh, Route53};
use tremplin_e2e::dns::fault_proxy::FaultProxy;
use tremplin_e2e::dns::query::{self, RecordType};
use tremplin_e2e::dns::{Bind, BindOptions, KEY_NAME, PowerDns, PowerDnsOptions, ZoneText};

use crate::common::{HOME, PATIENCE, eventually, start, yaml};

/// A real server of one zone.
pub enum Server {
    Bind(Bind),
    PowerDns(PowerDns),
    /// A fake of the service, which keeps snapshots.
    Gandi(Gandi),
    /// A fake of the service, which serves what it was told to publish.
    Ovh(Ovh),
    /// A fake of the service, whose serial never moves.
    Route53(Route53),
}

impl Server {
    pub async fn bind(zone: &str, records: &str) -> Self {
        Self::bind_with(zone, records, None).await
    }

    /// The same, which takes from the operator's key what this grants alone.
    pub async fn bind_with(zone: &str, records: &str, update_policy: Option<&str>) -> Self {
        let options = BindOptions {
            zones: vec![ZoneText::with(zone, records)],
            update_policy: update_policy.map(str::to_owned),
        };
        Self::Bind(Bind::start(options).await.unwrap())
    }

    pub async fn power_dns(zone: &str, records: &str) -> Self {
        let zones = vec![ZoneText::with(zone, records)];
        Self::PowerDns(PowerDns::start(PowerDnsOptions { zones }).await.unwrap())
    }

    pub async fn route53(zone: &str, records: &str) -> Self {
        let options = FakeOptions {
            zone: ZoneText::with(zone, records),
            ..FakeOptions::new(zone)
        };
        Self::Route53(Route53::start(options).await.unwrap())
    }

    /// Where it answers questions.
    pub fn dns(&self) -> SocketAddr {
        match self {
            Self::Bind(bind) => bind.address(),
            Self::PowerDns(server) => server.dns(),
            Self::Gandi(fake) => fake.dns(),
            Self::Ovh(fake) => fake.dns(),
            Self::Route53(fake) => fake.dns(),
        }
    }

    /// The provider of a DnsZone, with its credential in that Secret.
    pub fn provider(&self, secret: &str) -> Value {
        match self {
            Self::Bind(bind) => {
                json!({"type": "RFC2136", "secretRef": {"name": secret}, "rfc2136": {"server": bind.address().to_string()}})
            }
            Self::PowerDns(server) => {
                json!({"type": "PowerDNS", "secretRef": {"name": secret}, "powerDNS": {"url": server.url()}})
            }
            Self::Gandi(fake) => json!({"type": "Gandi", "secretRef": {"name": secret}, "gandi": {"url": fake.url()}}),
            Self::Ovh(fake) => json!({"type": "OVH", "secretRef": {"name": secret}, "ovh": {"url": fake.url()}}),
            Self::Route53(fake) => {
                json!({"type": "Route53", "secretRef": {"name": secret}, "route53": {"url": fake.url()}})
            }
        }
    }

    /// The credential.
    pub fn secret(&self) -> BTreeMap<&'static str, String> {
        match self {
            Self::Bind(bind) => BTreeMap::from([
                ("tsig-key-name", KEY_NAME.to_owned()),
                ("tsig-secret", bind.key_secret().to_owned()),
            ]),
            Self::PowerDns(server) => BTreeMap::from([("api-key", server.api_key().to_owned())]),
            Self::Gandi(fake) => BTreeMap::from([("token", fake.token())]),
            Self::Ovh(fake) => BTreeMap::from([
                ("application-key", fake.application_key()),
                ("application-secret", fake.application_secret()),
                ("consumer-key", fake.consumer_key()),
            ]),
            Self::Route53(fake) => BTreeMap::from([
                ("access-key-id", fake.access_key_id()),
                ("secret-access-key", fake.secret_access_key()),
            ]),
        }
    }

    /// What is answered for a name, sorted.
    pub async fn ask(&self, name: &str, kind: RecordType) -> Vec<String> {
        query::ask(self.dns(), name, kind).await.unwrap().data(kind)
    }
}

/// The cluster in the eyes of a platform team and of teams.
#[derive(Clone)]
pub struct World {
    pub client: Client,
}

impl World {
    /// The zone `NAME.example` opened on the API server, and a team that it admits.
    pub async fn opened(name: &str, server: &Server, spec: &str) -> (Self, String) {
        let (control_plane, client) = start().await;
        let world = Self { client };
        world.open(name, &format!("{name}.example"), server, spec).await;
        let team = world.team(control_plane, "blue").await;
        (world, team)
    }

    pub fn cluster<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope>,
    {
        Api::all(self.client.clone())
    }

    pub fn of<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// A namespace that every zone of the tests admits.
    pub async fn team(&self, control_plane: &ControlPlane, prefix: &str) -> String {
        let name = control_plane.namespace(prefix).await.unwrap();
        let patch = json!({"metadata": {"labels": {"dns": "yes"}, "annotations": {"tremplin.dev/contact": format!("{prefix}@example.org")}}});
        self.label(&name, &patch).await;
        name
    }

    /// Merges into a namespace.
    pub async fn label(&self, namespace: &str, patch: &Value) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces
            .patch(namespace, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Opens a zone; `spec` is YAML beside domain, provider and authorities.
    pub async fn open(&self, name: &str, domain: &str, server: &Server, spec: &str) {
        let data = server.secret().into_iter();
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            data: Some(
                data.map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes())))
                    .collect(),
            ),
            ..Secret::default()
        };
        let params = PatchParams::apply("platform").force();
        self.of::<Secret>(HOME)
            .patch(name, &params, &Patch::Apply(&secret))
            .await
            .unwrap();
        let mut object = json!({
            "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": name},
            "spec": {
                "domain": domain, "mode": "Enforce", "provider": server.provider(name),
                "authorities": [{"address": server.dns().ip().to_string(), "port": server.dns().port()}],
                "admission": {"namespaces": {"matchLabels": {"dns": "yes"}}, "targets": {"denyPrivate": false}},
            },
        });
        let given = if spec.is_empty() { json!({}) } else { yaml(spec) };
        for (key, value) in given.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        self.cluster::<DnsZone>()
            .patch(name, &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    /// The same, with a proxy between the operator and the provider.
    pub async fn open_behind_proxy(&self, name: &str, domain: &str, server: &Server, spec: &str) -> FaultProxy {
        let mut provider = server.provider(name);
        let settings = ["powerDNS", "ovh", "route53"]
            .into_iter()
            .find(|field| provider.get(field).is_some());
        let url = &mut provider[settings.unwrap()]["url"];
        let proxy = FaultProxy::start(url.as_str().unwrap()).await.unwrap();
        *url = json!(proxy.url());
        let mut given = if spec.is_empty() { json!({}) } else { yaml(spec) };
        given["provider"] = provider;
        self.open(name, domain, server, &given.to_string()).await;
        proxy
    }

    /// Commits a record as a team's GitOps would; `spec` is YAML.
    pub async fn commit(&self, namespace: &str, name: &str, spec: &str) {
        let object = json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsRecord", "metadata": {"name": name}, "spec": yaml(spec)});
        let params = PatchParams::apply("gitops").force();
        self.of::<DnsRecord>(namespace)
            .patch(name, &params, &Patch::Apply(object))
            .await
            .unwrap();
    }

    /// What a claim tells of what would no longer be admitted, once it does or no longer does.
    pub async fn left(&self, claim: &str, is_told: bool) -> String {
        eventually(
            "the claim tells what would no longer be admitted, or no longer",
            async || {
                let conditions = self.cluster::<DnsClaim>().get(claim).await.unwrap().status?.conditions;
                let told = conditions.iter().find(|condition| condition.type_ == "Admitted");
                (told.is_some() == is_told).then(|| told.map(|told| told.message.clone()).unwrap_or_default())
            },
        )
        .await
    }

    pub async fn delete(&self, namespace: &str, name: &str) {
        let records = self.of::<DnsRecord>(namespace);
        records.delete(name, &DeleteParams::default()).await.unwrap();
        eventually("the record is gone", async || {
            records.get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    /// The record, once its Ready has that reason for the newest generation.
    pub async fn record(&self, namespace: &str, name: &str, reason: &str) -> DnsRecord {
        told(&self.of::<DnsRecord>(namespace), name, reason, |record| {
            record
                .status
                .as_ref()
                .map(|status| status.conditions.as_slice())
                .unwrap_or_default()
        })
        .await
    }

    /// The claim, once its Ready has that reason.
    pub async fn claim(&self, name: &str, reason: &str) -> DnsClaim {
        told(&self.cluster::<DnsClaim>(), name, reason, |claim| {
            claim
                .status
                .as_ref()
                .map(|status| status.conditions.as_slice())
                .unwrap_or_default()
        })
        .await
    }

    /// The zone, once its Ready has that reason for the newest generation.
    pub async fn zone(&self, name: &str, reason: &str) -> DnsZone {
        told(&self.cluster::<DnsZone>(), name, reason, |zone| {
            zone.status
                .as_ref()
                .map(|status| status.conditions.as_slice())
                .unwrap_or_default()
        })
        .await
    }
}

async fn told<K>(api: &Api<K>, name: &str, reason: &str, conditions: fn(&K) -> &[Condition]) -> K
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = api.get_opt(name).await.unwrap();
        let ready = found
            .as_ref()
            .map(|found| conditions(found).to_vec())
            .unwrap_or_default();
        let ready = ready.into_iter().find(|condition| condition.type_ == "Ready");
        if let (Some(object), Some(ready)) = (&found, &ready)
            && ready.reason == reason
            && ready.observed_generation == object.meta().generation
        {
            return object.clone();
        }
        assert!(Instant::now() < deadline, "{name} is never {reason}, but {ready:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

pub fn message(conditions: &[Condition], type_: &str) -> String {
    let found = conditions.iter().find(|condition| condition.type_ == type_);
    found.map(|condition| condition.message.clone()).unwrap_or_default()
}
