//! What a plan is made from: what the person may see of the cluster, and what the servers answer.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tremplin_core::api::{DnsClaim, DnsRecord, DnsZone, StartupApp};
use tremplin_core::app::records;
use tremplin_core::dns::claim::{self, Key};
use tremplin_core::dns::follow::Followed;
use tremplin_core::dns::judge::{self, Judgement, Observed};
use tremplin_core::dns::ownership::Owner;
use tremplin_core::dns::plan::{Sets, Want, by_name};
use tremplin_core::dns::{Fqdn, RecordType, RrSet, Zone, wanted, zone};
use tremplin_core::platform::Platform;

use crate::cli::dns::Place;
use crate::dns_provider;
use crate::dns_provider::authority::{self, discovery};

/// The types that may stand at a name beside or in the way of what is asked for.
const TYPES: [RecordType; 9] = [
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Cname,
    RecordType::Txt,
    RecordType::Mx,
    RecordType::Caa,
    RecordType::Srv,
    RecordType::Ns,
    RecordType::Ds,
];

/// What is known.
#[derive(Debug)]
pub struct View {
    pub platform: Platform,
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    pub zones: Vec<DnsZone>,
    pub claims: Vec<DnsClaim>,
    /// Those of the namespace.
    pub records: Vec<DnsRecord>,
    /// The namespace's apps.
    pub apps: Vec<StartupApp>,
    /// Where the Ingresses of apps are reached, by the app's name; `None`: nobody can see whether there is an app.
    pub addresses: Option<BTreeMap<String, Vec<String>>>,
    /// What is not known, and why.
    pub notes: Vec<String>,
}

impl View {
    /// Of a namespace of which nothing is known yet.
    pub fn of(platform: Platform, namespace: String) -> Self {
        Self {
            platform,
            namespace,
            labels: BTreeMap::new(),
            zones: Vec::new(),
            claims: Vec::new(),
            records: Vec::new(),
            apps: Vec::new(),
            addresses: None,
            notes: Vec::new(),
        }
    }

    /// Without a cluster.
    pub fn offline(platform: Platform, place: &Place) -> Self {
        let namespace = place.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let note = "who holds which name, and where apps are reached, is not known without a cluster";
        Self {
            notes: vec![note.into()],
            ..Self::of(platform, namespace)
        }
    }

    /// The DnsZone that a name is in.
    pub fn zone_of(&self, name: &Fqdn) -> Option<&DnsZone> {
        let domains: Vec<(Fqdn, &DnsZone)> = self
            .zones
            .iter()
            .filter_map(|object| Some((zone::domain(object).ok()?, object)))
            .collect();
        zone::longest(domains.iter().map(|(domain, object)| (domain, *object)), name)
    }

    /// The domains of the zones.
    pub fn domains(&self) -> Vec<Fqdn> {
        self.zones
            .iter()
            .filter_map(|object| zone::domain(object).ok())
            .collect()
    }

    pub fn claim(&self, key: &Key) -> Option<&DnsClaim> {
        let name = key.object_name();
        self.claims
            .iter()
            .find(|claim| claim.metadata.name.as_deref() == Some(&name))
    }

    /// What the operator would say of a record in that zone.
    pub fn judge(&self, record: &DnsRecord, name: &Fqdn, zone: &Zone) -> Judgement {
        let profile = dns_provider::profile(zone.provider);
        let key = Key::of(name, zone);
        let held = self.claims.iter().filter(|claim| {
            claim.spec.holder.namespace == self.namespace
                && claim.spec.zone == zone.domain.as_str()
                && claim.spec.key != key.name().as_str()
        });
        let older = self.older(record, &key, zone);
        let place = judge::Place {
            name: name.clone(),
            key: key.clone(),
        };
        let context = self.platform.namespace(&self.namespace, &self.labels);
        judge::judge(
            record,
            &place,
            &Observed {
                zone,
                profile: &profile,
                namespace: &self.namespace,
                labels: &self.labels,
                environment: (!context.environment_assumed).then_some(context.environment),
                claim: self.claim(&key),
                contact: None,
                claims_held: held.count(),
                older: &older,
                app: self.followed(record).as_ref(),
            },
        )
    }

    /// The app that a record follows, as far as it is seen.
    fn followed(&self, record: &DnsRecord) -> Option<Followed> {
        let name = &record.spec.app_ref.as_ref()?.name;
        let app = self.apps.iter().find(|app| app.metadata.name.as_ref() == Some(name));
        let Some(app) = app else {
            return self.addresses.as_ref().map(|_| Followed::Gone);
        };
        let addresses = self.addresses.as_ref().and_then(|known| known.get(name));
        let context = self.platform.namespace(&self.namespace, &self.labels);
        Some(records::followed(
            app,
            &self.platform,
            &context,
            addresses.cloned().unwrap_or_default(),
        ))
    }

    /// What the namespace's other records below the claim ask for, as far as they are older: a record that is not in the
    /// cluster yet is the youngest.
    fn older(&self, record: &DnsRecord, key: &Key, zone: &Zone) -> Vec<RrSet> {
        let profile = dns_provider::profile(zone.provider);
        let created = |record: &DnsRecord| record.metadata.creation_timestamp.as_ref().map(|at| at.0);
        let own = self
            .records
            .iter()
            .find(|known| known.metadata.name == record.metadata.name);
        let own = own.and_then(created);
        let others = self.records.iter().filter(|other| {
            other.metadata.name != record.metadata.name
                && own.is_none_or(|own| created(other).is_some_and(|at| at < own))
        });
        let sets = others.filter_map(|other| {
            let name = judge::name(other).ok().filter(|name| Key::of(name, zone) == *key)?;
            let app = self.followed(other);
            wanted::wanted(&other.spec, &name, zone, &profile, app.as_ref()).ok()
        });
        sets.flatten().collect()
    }

    /// What is to be at one name, with the other records of the namespace.
    pub fn want(&self, name: &Fqdn, sets: &[RrSet], record: &DnsRecord, zone: &Zone, now: Timestamp) -> Want {
        let key = Key::of(name, zone);
        let older = self.older(record, &key, zone);
        let sets = judge::join(name, older.iter().chain(sets));
        let programmed = record.status.iter().flat_map(|status| &status.programmed);
        let gone = programmed
            .filter(|set| set.name == name.as_str())
            .map(|set| RecordType::of(&set.type_));
        let withdraw = gone.filter(|type_| !sets.contains_key(type_)).collect();
        let claim = self
            .claim(&key)
            .filter(|claim| claim.spec.holder.namespace == self.namespace);
        Want {
            name: name.clone(),
            owner: Owner {
                // Not known here: marks of the same claim are known by its time.
                cluster: "this".into(),
                namespace: self.namespace.clone(),
                since: claim.map_or(now, |claim| claim.spec.claimed_at.0),
            },
            sets,
            withdraw,
            adopted: claim::is_adopted(name, zone, &self.labels),
        }
    }
}

/// What a zone's servers answer at these names; asked of the first that serves the zone.
///
/// # Errors
/// Why nobody answers.
pub async fn served(zone: &Zone, names: &BTreeSet<Fqdn>) -> Result<Sets, String> {
    let servers = if zone.authorities.is_empty() {
        discovery::discover(&zone.domain).await?
    } else {
        authority::servers(&zone.authorities).await?
    };
    let mut why = format!("{} has no name server", zone.domain);
    for server in servers {
        if let Err(error) = authority::start(server.address, &zone.domain).await {
            why = format!("{} {error}", server.name);
            continue;
        }
        let asked = names
            .iter()
            .flat_map(|name| TYPES.iter().map(move |type_| (name, type_)));
        let asked = asked.map(async |(name, type_)| {
            let answer = authority::answer(server.address, name, type_).await?;
            let here = answer.sets.into_iter();
            let own = here.filter(|set| set.name == *name && set.type_ == *type_);
            Ok::<_, String>(own.collect::<Vec<_>>())
        });
        let found = futures::future::try_join_all(asked).await;
        let found = found.map_err(|error| format!("{} {error}", server.name))?;
        return Ok(by_name(found.into_iter().flatten()));
    }
    Err(why)
}
