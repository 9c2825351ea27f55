//! Those who serve zones: one file each, behind one trait. What each can do is data: [`Profile`].
//!
//! No call here touches more than the record sets that it names: the clients do not contain the calls that replace or
//! remove a whole zone, or all types of a name.

mod account;
mod always_data;
pub mod authority;
mod by_record;
mod data;
mod gandi;
mod http;
mod ovh;
mod point_dns;
mod powerdns;
mod resolver;
mod rfc2136;
mod route53;
mod scaleway;
mod secret;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::jiff::Timestamp;
use tremplin_core::api::dns as api;
use tremplin_core::dns::profile::{Alias, Atomicity, Publication};
use tremplin_core::dns::{Change, Fqdn, Profile, RrSet, external_dns};

pub use self::account::Shared;
use self::secret::Secret;

/// One zone at one provider.
pub trait Provider: Send + Sync {
    /// What the provider can do.
    fn profile(&self) -> &Profile;

    /// Asks whether the credential is good for this zone.
    fn verify(&self) -> BoxFuture<'_, Result<Credential, Failure>>;

    /// Every record set at these names, of whatever type, as written (served or not). The answer may hold more names.
    fn read<'a>(&'a self, names: &'a BTreeSet<Fqdn>) -> BoxFuture<'a, Result<Vec<RrSet>, Failure>>;

    /// The same of names of which it is known how they were left, and which are read to see that they still are so. What
    /// a wildcard stands for may be told as if it were there: a change that goes by it is refused.
    fn look_again<'a>(&'a self, names: &'a BTreeSet<Fqdn>) -> BoxFuture<'a, Result<Vec<RrSet>, Failure>> {
        self.read(names)
    }

    /// Every record set of the zone.
    fn read_all(&self) -> BoxFuture<'_, Result<Vec<RrSet>, Failure>>;

    /// How many writes may be made within about a minute, after all that the account was used for; `None`: as many as
    /// there is time for.
    fn room(&self) -> Option<usize> {
        None
    }

    /// Makes these changes, in this order where they are not made at once. After an error nobody knows which were
    /// made: what is there is read before anything else is written.
    fn write<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Failure>>;

    /// Publishes what was written, where that is a step of its own. Safe to repeat.
    fn publish(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    /// Whether the provider says that everything written is served. `None` where it does not tell.
    fn is_published(&self) -> BoxFuture<'_, Result<Option<bool>, Failure>> {
        Box::pin(async { Ok(None) })
    }

    /// Keeps the zone as it is, at the provider; gives the snapshot's name. `None` where it cannot.
    fn snapshot(&self) -> BoxFuture<'_, Result<Option<String>, Failure>> {
        Box::pin(async { Ok(None) })
    }
}

/// A credential that is good for a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credential {
    /// When it ends, where the provider tells.
    pub expires_at: Option<Timestamp>,
}

/// Why a provider did not do what it was asked. No message holds a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It did not answer, or with a fault of its own. What was written, if anything, is not known.
    #[error("{0}")]
    Unavailable(String),
    /// It is asked too often.
    #[error("the provider is asked too often{}", after.map(|after| format!("; again after {} s", after.as_secs())).unwrap_or_default())]
    Busy {
        /// When it wants to be asked again.
        after: Option<Duration>,
    },
    /// The credential is not, or no longer, good for this.
    #[error("{0}")]
    Unauthorized(String),
    /// The account has no such zone.
    #[error("{0}")]
    NoZone(String),
    /// The cluster does not serve what the zone is written by.
    #[error("{0}")]
    NoApi(String),
    /// Somebody else changed the zone since it was read: it is read again.
    #[error("{0}")]
    Changed(String),
    /// It does not take this, however often it is asked.
    #[error("{0}")]
    Refused(String),
    /// The settings of the zone or of its Secret cannot work.
    #[error("{0}")]
    Settings(String),
}

/// What can be asked of humans.
const BY_HAND: Profile = Profile {
    name: "the desk",
    min_ttl: 1,
    max_ttl: 86_400 * 7,
    atomicity: Atomicity::Set,
    alias: Alias::Never,
    without: &[],
    publication: Publication::Asynchronous,
    reads_by_name: 0,
    snapshots: false,
    serial_moves: true,
    rate: None,
};

/// What a provider can do, known without a credential.
pub fn profile(type_: api::ProviderType) -> Profile {
    match type_ {
        api::ProviderType::Ovh => ovh::PROFILE,
        api::ProviderType::Gandi => gandi::PROFILE,
        api::ProviderType::Scaleway => scaleway::PROFILE,
        api::ProviderType::Route53 => route53::PROFILE,
        api::ProviderType::AlwaysData => always_data::PROFILE,
        api::ProviderType::PointDns => point_dns::PROFILE,
        api::ProviderType::PowerDns => powerdns::PROFILE,
        api::ProviderType::Rfc2136 => rfc2136::PROFILE,
        api::ProviderType::ExternalDns => external_dns::PROFILE,
        api::ProviderType::Request => BY_HAND,
    }
}

/// What every provider is made of, beside its own settings.
#[derive(Clone, Copy)]
struct Parts<'a> {
    domain: &'a Fqdn,
    secret: Secret<'a>,
    ca: Option<&'a [u8]>,
    shared: &'a Shared,
}

/// The zone `domain` at the provider of these settings. `secret` has the keys of the provider's page, `ca` certificates
/// in PEM that are trusted beside the public authorities. Asks nobody.
///
/// # Errors
/// [`Failure::Settings`] when these cannot work, and for types that no client writes (`ExternalDNS`, `Request`).
pub fn build(
    settings: &api::Provider,
    domain: &Fqdn,
    secret: &BTreeMap<String, Vec<u8>>,
    ca: Option<&[u8]>,
    shared: &Shared,
) -> Result<Box<dyn Provider>, Failure> {
    let parts = Parts {
        domain,
        secret: Secret(secret),
        ca,
        shared,
    };
    let missing = |field: &str| Failure::Settings(format!("provider.{field} is missing"));
    Ok(match settings.type_ {
        api::ProviderType::Ovh => {
            let settings = settings.ovh.clone().unwrap_or_default();
            Box::new(ovh::Ovh::new(&settings, parts)?)
        }
        api::ProviderType::Gandi => {
            let settings = settings.gandi.clone().unwrap_or_default();
            Box::new(gandi::Gandi::new(&settings, parts)?)
        }
        api::ProviderType::Scaleway => {
            let settings = settings.scaleway.clone().unwrap_or_default();
            Box::new(scaleway::Scaleway::new(&settings, parts)?)
        }
        api::ProviderType::Route53 => {
            let settings = settings.route53.clone().unwrap_or_default();
            Box::new(route53::Route53::new(&settings, parts)?)
        }
        api::ProviderType::AlwaysData => {
            let settings = settings.always_data.clone().unwrap_or_default();
            Box::new(always_data::AlwaysData::new(&settings, parts)?)
        }
        api::ProviderType::PointDns => {
            let settings = settings.point_dns.clone().unwrap_or_default();
            Box::new(point_dns::PointDns::new(&settings, parts)?)
        }
        api::ProviderType::PowerDns => {
            let settings = settings.power_dns.as_ref().ok_or_else(|| missing("powerDNS"))?;
            Box::new(powerdns::PowerDns::new(settings, parts)?)
        }
        api::ProviderType::Rfc2136 => {
            let settings = settings.rfc2136.as_ref().ok_or_else(|| missing("rfc2136"))?;
            Box::new(rfc2136::Rfc2136::new(settings, parts)?)
        }
        other => {
            return Err(Failure::Settings(format!(
                "zones of type {} are not written by a client of a provider",
                other.as_str()
            )));
        }
    })
}
