//! OVHcloud's API 1.0, below `/domain/zone/{zone}`.
//!
//! What it has of its own, from its public documentation: records and not sets; nothing is served before `refresh`; SPF,
//! DKIM and DMARC are types beside TXT and are read here as TXT; a TTL of 0 is the zone's; a target without a dot at its
//! end is relative; ids change when somebody edits the zone as text, so that they are looked up at each use. `import`,
//! `reset` and `terminate` are never called.

mod access;
mod record;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tremplin_core::api::dns as api;
use tremplin_core::dns::profile::{Alias, Atomicity, Profile, Publication, Rate};
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet};

use self::access::Access;
use self::record::Record;
use super::by_record::{self, ByRecord, Entry};
use super::data::{Sets, presentation};
use super::http::{Answer, Call};
use super::{Credential, Failure, Parts, Provider};

const URL: &str = "https://eu.api.ovh.com/1.0";
/// How often a refresh is asked for while another runs, and the time between.
const REFRESHES: u32 = 20;
const REFRESH_AGAIN: Duration = Duration::from_secs(1);

pub(super) const PROFILE: Profile = Profile {
    name: "OVHcloud",
    min_ttl: 60,
    max_ttl: 0x7fff_ffff,
    atomicity: Atomicity::Record,
    alias: Alias::Never,
    without: &[RecordType::Ds],
    publication: Publication::Explicit,
    // One call per name and one per record there; the export is one call.
    reads_by_name: 4,
    snapshots: false,
    serial_moves: true,
    // No figure is published; external-dns keeps to this.
    rate: Some(Rate {
        requests: 20,
        writes: 20,
        per_seconds: 1,
    }),
};

/// A zone.
pub(super) struct Ovh {
    access: Access,
    domain: Fqdn,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    is_deployed: bool,
    #[serde(default)]
    errors: Option<Vec<String>>,
}

impl Ovh {
    pub(super) fn new(settings: &api::Ovh, parts: Parts<'_>) -> Result<Self, Failure> {
        Ok(Self {
            access: Access::new(settings.url.as_deref().unwrap_or(URL), parts)?,
            domain: parts.domain.clone(),
        })
    }

    fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        [&["domain", "zone", self.domain.as_str()], rest].concat()
    }

    async fn get<T: DeserializeOwned>(&self, rest: &[&str], query: &[(&str, &str)]) -> Result<T, Failure> {
        let client = &self.access.client;
        let answer = self.send(client.get(&self.path(rest), query)).await?;
        client.parse(&answer)
    }

    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let answer = self.access.send(call).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(self.access.refusal(&answer))
    }

    /// The records at a name, of whatever type or of one. The filter of the API may find more than the name itself.
    async fn records(&self, name: &Fqdn, type_: Option<&RecordType>) -> Result<Vec<Record>, Failure> {
        let Some(sub_domain) = name.relative_to(&self.domain) else {
            return Ok(Vec::new());
        };
        let mut query = vec![("subDomain", sub_domain)];
        // Texts may be of several types there.
        if let Some(type_) = type_.filter(|type_| **type_ != RecordType::Txt) {
            query.push(("fieldType", type_.as_str()));
        }
        let mut records = Vec::new();
        for id in self.get::<Vec<u64>>(&["record"], &query).await? {
            let record: Record = self.get(&["record", &id.to_string()], &[]).await?;
            if record.is_at(sub_domain) && type_.is_none_or(|type_| record.type_() == *type_) {
                records.push(record);
            }
        }
        Ok(records)
    }

    fn sub_domain<'a>(&self, name: &'a Fqdn) -> Result<&'a str, Failure> {
        name.relative_to(&self.domain)
            .ok_or_else(|| Failure::Refused(format!("{name} is not in the zone {}", self.domain)))
    }
}

impl ByRecord for Ovh {
    async fn find(&self, name: &Fqdn, type_: &RecordType) -> Result<Vec<Entry>, Failure> {
        let entry = |record: Record| Entry {
            id: record.id,
            value: record.value(&self.domain),
            ttl: record.ttl(),
            // The type of a record cannot be changed: an SPF stays one.
            can_change: record.field_type == type_.as_str(),
        };
        Ok(self.records(name, Some(type_)).await?.into_iter().map(entry).collect())
    }

    async fn create(&self, set: &RrSet, value: &str) -> Result<(), Failure> {
        let body = json!({
            "fieldType": set.type_.as_str(),
            "subDomain": self.sub_domain(&set.name)?,
            "target": presentation(&set.type_, value),
            "ttl": set.ttl,
        });
        let call = self.access.client.json(Method::POST, &self.path(&["record"]), &body);
        self.send(call).await.map(drop)
    }

    async fn update(&self, id: u64, set: &RrSet, value: &str) -> Result<(), Failure> {
        let target = presentation(&set.type_, value);
        let body = json!({"subDomain": self.sub_domain(&set.name)?, "target": target, "ttl": set.ttl});
        let path = ["record", &id.to_string()];
        let call = self.access.client.json(Method::PUT, &self.path(&path), &body);
        self.send(call).await.map(drop)
    }

    async fn delete(&self, id: u64) -> Result<(), Failure> {
        let url = self.access.client.url(&self.path(&["record", &id.to_string()]), &[]);
        self.send(Call::new(Method::DELETE, url, None)).await.map(drop)
    }
}

impl Provider for Ovh {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn verify(&self) -> BoxFuture<'_, Result<Credential, Failure>> {
        Box::pin(async {
            let credential = self.access.verify(&self.domain).await?;
            self.get::<serde::de::IgnoredAny>(&[], &[]).await?;
            Ok(credential)
        })
    }

    fn read<'a>(&'a self, names: &'a BTreeSet<Fqdn>) -> BoxFuture<'a, Result<Vec<RrSet>, Failure>> {
        Box::pin(async move {
            if names.len() > PROFILE.reads_by_name {
                return self.read_all().await;
            }
            let mut sets = Sets::default();
            for name in names {
                for record in self.records(name, None).await? {
                    let value = record.value(&self.domain);
                    sets.add(name.as_str(), record.type_(), record.ttl(), value);
                }
            }
            Ok(sets.into_vec())
        })
    }

    fn read_all(&self) -> BoxFuture<'_, Result<Vec<RrSet>, Failure>> {
        Box::pin(async {
            let text: String = self.get(&["export"], &[]).await?;
            record::of_export(&text, &self.domain)
        })
    }

    fn room(&self) -> Option<usize> {
        self.access.client.room()
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(by_record::write(self, changes))
    }

    fn publish(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async {
            for _ in 0..REFRESHES {
                let url = self.access.client.url(&self.path(&["refresh"]), &[]);
                let answer = self.access.send(Call::new(Method::POST, url, None)).await?;
                if answer.status.is_success() {
                    return Ok(());
                }
                // One at a time, and what runs may have begun before our last write.
                if answer.status != StatusCode::CONFLICT {
                    return Err(self.access.refusal(&answer));
                }
                tokio::time::sleep(REFRESH_AGAIN).await;
            }
            Err(Failure::Unavailable(format!(
                "OVHcloud has been refreshing {} for {} s already",
                self.domain,
                u64::from(REFRESHES) * REFRESH_AGAIN.as_secs()
            )))
        })
    }

    fn is_published(&self) -> BoxFuture<'_, Result<Option<bool>, Failure>> {
        Box::pin(async {
            let status: Status = self.get(&["status"], &[]).await?;
            match status.errors.filter(|errors| !errors.is_empty()) {
                Some(errors) => Err(Failure::Refused(format!(
                    "OVHcloud does not serve {} as written: {}",
                    self.domain,
                    errors.join("; ")
                ))),
                None => Ok(Some(status.is_deployed)),
            }
        })
    }
}
