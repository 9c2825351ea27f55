//! Plays external-dns (`--source=crd --provider=rfc2136 --policy=sync`): what the `DNSEndpoint`s say is put into a real
//! server, what it put there and they no longer say is taken away, and what it did not put there is left alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tremplin::dns_provider::{Provider, Shared, build};
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet, rrset};
use tremplin_e2e::dns::KEY_NAME;

use crate::world::Server;

type Registry = BTreeMap<(Fqdn, RecordType), RrSet>;

/// A running external-dns. It ends with this value.
pub struct Controller {
    works: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Controller {
    pub fn start(client: &Client, namespace: &str, labels: &str, server: &Server, zone: &str) -> Self {
        let works = Arc::new(AtomicBool::new(true));
        let (api, labels, at_work) = (
            endpoints(client, namespace),
            ListParams::default().labels(labels),
            works.clone(),
        );
        let provider = provider(server, zone);
        let task = tokio::spawn(async move {
            let mut registry = Registry::new();
            loop {
                if at_work.load(Ordering::Relaxed) {
                    synchronize(&api, &labels, &*provider, &mut registry).await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { works, task }
    }

    pub fn work(&self, works: bool) {
        self.works.store(works, Ordering::Relaxed);
    }
}

/// The `DNSEndpoint`s of a namespace.
pub fn endpoints(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("externaldns.k8s.io", "v1alpha1", "DNSEndpoint");
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&kind))
}

fn provider(server: &Server, zone: &str) -> Box<dyn Provider> {
    let Server::Bind(bind) = server else { unreachable!() };
    let settings =
        json!({"type": "RFC2136", "secretRef": {"name": "x"}, "rfc2136": {"server": bind.address().to_string()}});
    let secret = [("tsig-key-name", KEY_NAME), ("tsig-secret", bind.key_secret())];
    let secret = secret.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()));
    let (settings, domain) = (serde_json::from_value(settings).unwrap(), Fqdn::parse(zone).unwrap());
    build(&settings, &domain, &secret.into(), None, &Shared::default()).unwrap()
}

async fn synchronize(
    api: &Api<DynamicObject>,
    selected: &ListParams,
    provider: &dyn Provider,
    registry: &mut Registry,
) {
    let Ok(found) = api.list(selected).await else { return };
    let mut wanted = Registry::new();
    for object in &found {
        for endpoint in object.data["spec"]["endpoints"].as_array().into_iter().flatten() {
            let set = set(endpoint);
            wanted.insert((set.name.clone(), set.type_.clone()), set);
        }
    }
    let gone = registry.iter().filter(|(key, _)| !wanted.contains_key(*key));
    let mut changes: Vec<Change> = gone.map(|(_, set)| Change::delete(set.clone())).collect();
    for (key, set) in &wanted {
        match registry.get(key) {
            Some(before) if before == set => {}
            Some(before) => changes.push(Change::replace(before.clone(), set.clone())),
            None => changes.push(Change::create(set.clone())),
        }
    }
    for change in changes {
        // What is somebody else's in the zone is refused, and left alone.
        let _ = provider.write(std::slice::from_ref(&change)).await;
    }
    *registry = wanted;
    for object in found {
        if object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation {
            continue;
        }
        let status = json!({"status": {"observedGeneration": object.metadata.generation}});
        let name = object.metadata.name.unwrap();
        // Gone meanwhile.
        let _ = api
            .patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
            .await;
    }
}

/// As its source takes targets: it refuses those of hosts that end in a dot, and wants the one of SRV.
fn set(endpoint: &Value) -> RrSet {
    let type_ = RecordType::of(endpoint["recordType"].as_str().unwrap());
    let target = |target: &Value| {
        let text = target.as_str().unwrap();
        match type_ {
            RecordType::Txt => {
                assert!(text.starts_with('"') && text.ends_with('"'), "{text}");
                return rrset::unquoted(text);
            }
            RecordType::Srv => assert!(text.ends_with('.'), "{text}"),
            _ => assert!(!text.ends_with('.'), "{text}"),
        }
        rrset::canonical(&type_, text).unwrap()
    };
    RrSet {
        name: Fqdn::parse(endpoint["dnsName"].as_str().unwrap()).unwrap(),
        ttl: endpoint["recordTTL"].as_u64().unwrap().try_into().unwrap(),
        values: endpoint["targets"].as_array().unwrap().iter().map(target).collect(),
        type_,
    }
}
