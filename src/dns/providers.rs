//! The client of each zone, made from its settings and its Secret, and made again when either changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Secret;
use tremplin_core::api::DnsZone;
use tremplin_core::api::dns::{self as api, ProviderType};
use tremplin_core::app::valid::{ContentKind, ContentRef};
use tremplin_core::dns::external_dns::Place;
use tremplin_core::dns::{Fqdn, Reason, Zone};
use tremplin_core::fault::Fault;

use super::Dns;
use super::external_dns::ExternalDns;
use super::reading::Memory;
use crate::cluster::{Cluster, Item as _};
use crate::dns_provider::{self, Failure, Provider, Shared};
use crate::key::Key;

/// The clients, by the DnsZone's name.
pub struct Providers {
    shared: Shared,
    clients: Mutex<HashMap<String, Client>>,
}

impl Providers {
    /// Whose writes are sent while this replica may write.
    pub fn of(cluster: Arc<Cluster>) -> Self {
        Self {
            shared: Shared::fenced(move || cluster.may_write()),
            clients: Mutex::default(),
        }
    }
}

#[derive(Clone)]
struct Client {
    /// `None`: it is made again at the next round. It lives until then, and with it the pace of its account.
    made_from: Option<MadeFrom>,
    provider: Arc<dyn Provider>,
    memory: Arc<Memory>,
    /// Whether its credential was found good, and the zone's status says so.
    is_verified: bool,
}

/// What a client was made from: it is made again when one of these differs.
#[derive(Clone, PartialEq, Eq)]
struct MadeFrom {
    generation: Option<i64>,
    uid: Option<String>,
    secret: Option<String>,
    ca: Option<String>,
}

/// A client, and whether its credential is still to be checked.
pub struct Ready {
    /// The client.
    pub provider: Arc<dyn Provider>,
    /// How the names of the zone were left through it.
    pub memory: Arc<Memory>,
    /// Whether its credential was found good, and the zone's status says so.
    pub is_verified: bool,
}

impl Dns {
    /// The client of a zone.
    ///
    /// # Errors
    /// When a Secret is missing or cannot work.
    pub(super) async fn provider(&self, object: &DnsZone, zone: &Zone) -> Result<Ready, Fault<Reason>> {
        let name = zone.name.clone();
        let settings = &object.spec.provider;
        let secret_name = settings.secret_ref.as_ref().map(|secret| secret.name.clone());
        let ca_name = settings.ca_secret_ref.as_ref().map(|secret| secret.name.clone());
        let made_from = Some(MadeFrom {
            generation: object.metadata.generation,
            uid: object.metadata.uid.clone(),
            secret: secret_name.as_ref().and_then(|name| self.secret_version(name)),
            ca: ca_name.as_ref().and_then(|name| self.secret_version(name)),
        });
        if let Some(known) = self.clients().get(&name).filter(|known| known.made_from == made_from) {
            return Ok(Ready {
                provider: known.provider.clone(),
                memory: known.memory.clone(),
                is_verified: known.is_verified,
            });
        }
        let provider: Arc<dyn Provider> = match settings.type_ {
            ProviderType::ExternalDns => Arc::new(self.external_dns(settings, zone)),
            _ => self.remote(settings, &zone.domain).await?,
        };
        let memory = Arc::<Memory>::default();
        let client = Client {
            made_from,
            provider: provider.clone(),
            memory: memory.clone(),
            is_verified: false,
        };
        self.clients().insert(name, client);
        Ok(Ready {
            provider,
            memory,
            is_verified: false,
        })
    }

    /// The client of a zone that somebody outside of the cluster serves.
    async fn remote(&self, settings: &api::Provider, domain: &Fqdn) -> Result<Arc<dyn Provider>, Fault<Reason>> {
        let secret = match &settings.secret_ref {
            Some(secret) => self.secret("spec.provider.secretRef", &secret.name).await?,
            None => BTreeMap::new(),
        };
        let ca = match &settings.ca_secret_ref {
            Some(secret) => {
                let field = "spec.provider.caSecretRef";
                let mut found = self.secret(field, &secret.name).await?;
                let missing = || missing(field, format!("the Secret {} has no key ca.crt", secret.name));
                Some(found.remove("ca.crt").ok_or_else(missing)?)
            }
            None => None,
        };
        let built = dns_provider::build(settings, domain, &secret, ca.as_deref(), &self.providers.shared);
        built.map(Arc::from).map_err(|failure| fault(&failure))
    }

    fn external_dns(&self, settings: &api::Provider, zone: &Zone) -> ExternalDns {
        let api::ExternalDns { namespace, labels } = settings.external_dns.clone().unwrap_or_default();
        let place = Place {
            zone: zone.name.clone(),
            namespace: namespace.unwrap_or_else(|| self.cluster.home.namespace.clone()),
            labels,
        };
        ExternalDns::new(self.cluster.clone(), self.discovered.clone(), zone, place)
    }

    /// That the credential of a zone is good is told: it is not checked again as long as its client lives.
    pub(super) fn note_verified(&self, name: &str) {
        if let Some(client) = self.clients().get_mut(name) {
            client.is_verified = true;
        }
    }

    /// The zone is gone, and its client with it, and its credential.
    pub(super) fn forget_provider(&self, name: &str) {
        self.clients().remove(name);
    }

    /// The client of a zone is made anew at the next round, and its credential checked.
    pub(super) fn renew_provider(&self, name: &str) {
        if let Some(client) = self.clients().get_mut(name) {
            client.made_from = None;
            client.is_verified = false;
        }
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, HashMap<String, Client>> {
        self.providers.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a watched Secret of the operator's namespace changes with.
    fn secret_version(&self, name: &str) -> Option<String> {
        let key = Key {
            namespace: self.cluster.home.namespace.clone(),
            name: name.to_owned(),
        };
        let known = self.cluster.sources.secrets.get(&key)?;
        Some(known.version().to_owned())
    }

    async fn secret(&self, field: &str, name: &str) -> Result<BTreeMap<String, Vec<u8>>, Fault<Reason>> {
        let home = &self.cluster.home.namespace;
        let read = self.cluster.read_object::<Secret>(home, name).await;
        let found = read.map_err(|fault| fault.map(Reason::from))?;
        let message = || format!("there is no Secret {name} in the operator's namespace {home}");
        let data = found.ok_or_else(|| missing(field, message()))?.data.unwrap_or_default();
        Ok(data.into_iter().map(|(key, value)| (key, value.0)).collect())
    }

    /// Whether a zone uses that Secret of the operator's namespace.
    pub(super) fn uses_secret(zone: &DnsZone, content: &ContentRef) -> bool {
        let provider = &zone.spec.provider;
        let named = provider.secret_ref.iter().chain(&provider.ca_secret_ref);
        content.kind == ContentKind::Secret && named.into_iter().any(|secret| secret.name == content.name)
    }
}

fn missing(field: &str, message: String) -> Fault<Reason> {
    Fault::stalled(
        Reason::CredentialMissing,
        message,
        "create it with the keys that the provider's page names",
    )
    .at(field)
}

/// A provider's failure, in the words of conditions.
pub fn fault(failure: &Failure) -> Fault<Reason> {
    let message = failure.to_string();
    match failure {
        Failure::Unavailable(_) => Fault::transient(Reason::ProviderUnavailable, message),
        // Not for how long: what changes with every second would be news with every second.
        Failure::Busy { .. } => Fault::waiting(Reason::ProviderBusy, "the provider is asked too often", ""),
        Failure::Unauthorized(_) => Fault::stalled(Reason::CredentialInvalid, message, ""),
        Failure::NoZone(_) => Fault::stalled(Reason::ZoneUnknown, message, ""),
        Failure::NoApi(_) => Fault::stalled(Reason::ApiMissing, message, ""),
        Failure::Changed(_) => Fault::transient(Reason::Conflict, message),
        Failure::Refused(_) => Fault::stalled(Reason::ProviderRefused, message, ""),
        Failure::Settings(_) => Fault::stalled(Reason::CredentialMissing, message, ""),
    }
}
