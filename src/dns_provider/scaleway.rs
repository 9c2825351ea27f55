//! Scaleway's Domains and DNS, API v2beta1.
//!
//! What it has of its own, from its public documentation: one PATCH is one version of the zone, made as a whole; names are
//! relative; the preference of an MX is a field beside its data; lists come in pages. A PATCH of a zone that is not
//! there would make that zone: every one forbids it. `clear`, `DELETE …/records` and `PUT …/nameservers` are never called.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use http::{HeaderName, Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tremplin_core::api::dns as api;
use tremplin_core::dns::profile::{Alias, Atomicity, Profile, Publication, Rate};
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet};

use super::data::{Sets, from_relative, presentation};
use super::http::{Call, Client, Settings};
use super::{Credential, Failure, Parts, Provider};

const URL: &str = "https://api.scaleway.com/domain/v2beta1";
/// Records on a page.
const PAGE: usize = 100;
/// How many sets go into one PATCH.
const BATCH: usize = 100;

pub(super) const PROFILE: Profile = Profile {
    name: "Scaleway",
    min_ttl: 60,
    max_ttl: 2_592_000,
    atomicity: Atomicity::Batch(BATCH),
    alias: Alias::Anywhere,
    without: &[],
    publication: Publication::Asynchronous,
    reads_by_name: 10,
    snapshots: false,
    serial_moves: true,
    // No figure is published.
    rate: Some(Rate {
        requests: 10,
        writes: 10,
        per_seconds: 1,
    }),
};

/// A zone.
pub(super) struct Scaleway {
    client: Client,
    domain: Fqdn,
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Page {
    total_count: usize,
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    name: String,
    #[serde(rename = "type")]
    type_: String,
    data: String,
    ttl: u32,
    #[serde(default)]
    priority: u32,
}

#[derive(Deserialize)]
struct Zones {
    dns_zones: Vec<Zone>,
}

#[derive(Deserialize)]
struct Zone {
    domain: String,
    #[serde(default)]
    subdomain: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Error {
    #[serde(rename = "type")]
    type_: String,
    message: String,
    resource: String,
}

impl Scaleway {
    pub(super) fn new(settings: &api::Scaleway, parts: Parts<'_>) -> Result<Self, Failure> {
        let key = parts.secret.text("secret-key")?;
        let url = settings.url.as_deref().unwrap_or(URL);
        let client = Client::new(Settings {
            provider: PROFILE.name,
            url,
            ca: parts.ca,
            account: parts.shared.account(&PROFILE, &[url, &key]),
            headers: vec![(HeaderName::from_static("x-auth-token"), key.clone())],
            secrets: vec![key],
        })?;
        Ok(Self {
            client,
            domain: parts.domain.clone(),
            expires_at: parts.secret.expires_at()?,
        })
    }

    async fn send<T: DeserializeOwned>(&self, call: Call) -> Result<T, Failure> {
        let answer = self.client.send(call).await?;
        if answer.status.is_success() {
            return self.client.parse(&answer);
        }
        let Error {
            type_,
            message,
            resource,
        } = serde_json::from_slice(&answer.body).unwrap_or_default();
        let words = self.client.message(answer.status, &format!("{message} ({type_})"));
        Err(match (answer.status, type_.as_str()) {
            (_, "denied_authentication" | "permissions_denied") => Failure::Unauthorized(words),
            (_, "transient_state" | "locked") => Failure::Unavailable(words),
            (_, "precondition_failed") => Failure::Changed(words),
            (StatusCode::NOT_FOUND, _) if message.contains("record") || resource.contains("record") => {
                Failure::Changed(words)
            }
            (status, _) => self.client.refusal(status, &format!("{message} ({type_})")),
        })
    }

    /// The records of the zone, or of one name below its apex.
    async fn records(&self, name: Option<&str>) -> Result<Vec<Record>, Failure> {
        let path = ["dns-zones", self.domain.as_str(), "records"];
        let (mut page, size, mut records, mut total) = (1, PAGE.to_string(), Vec::new(), 0);
        loop {
            let number = page.to_string();
            let mut query = vec![("page", number.as_str()), ("page_size", &size)];
            query.extend(name.map(|name| ("name", name)));
            let some: Page = self.send(self.client.get(&path, &query)).await?;
            if page > 1 && some.total_count != total {
                return Err(Failure::Changed(format!("{} changed while it was read", self.domain)));
            }
            total = some.total_count;
            let empty = some.records.is_empty();
            records.extend(some.records);
            if empty || records.len() >= total {
                return Ok(records);
            }
            page += 1;
        }
    }

    async fn zone(&self) -> Result<Zone, Failure> {
        let query = [("dns_zone", self.domain.as_str())];
        let zones: Zones = self.send(self.client.get(&["dns-zones"], &query)).await?;
        let same = |zone: &Zone| {
            let name = [zone.subdomain.as_str(), &zone.domain];
            let name: Vec<_> = name.into_iter().filter(|part| !part.is_empty()).collect();
            name.join(".").eq_ignore_ascii_case(self.domain.as_str())
        };
        zones
            .dns_zones
            .into_iter()
            .find(same)
            .ok_or_else(|| Failure::NoZone(format!("Scaleway has no zone {} that this key sees", self.domain)))
    }

    fn sets(&self, records: &[Record]) -> Vec<RrSet> {
        let mut sets = Sets::default();
        for record in records {
            let type_ = RecordType::of(&record.type_);
            let data = match (&type_, record.data.split_ascii_whitespace().count()) {
                (RecordType::Mx, 1) | (RecordType::Srv, 3) => format!("{} {}", record.priority, record.data),
                _ => record.data.clone(),
            };
            let name = if record.name.is_empty() || record.name == "@" {
                self.domain.to_string()
            } else {
                format!("{}.{}", record.name, self.domain)
            };
            let value = from_relative(&type_, &data, &self.domain);
            sets.add(&name, type_, record.ttl, value);
        }
        sets.into_vec()
    }

    fn written(&self, change: &Change) -> Option<Value> {
        let name = change.name()?.relative_to(&self.domain)?;
        let type_ = change.type_()?;
        let id_fields = json!({"name": name, "type": type_.as_str()});
        let Some(after) = &change.after else {
            return Some(json!({"delete": {"id_fields": id_fields}}));
        };
        let records: Vec<_> = after
            .values
            .iter()
            .map(|value| {
                let mut data = presentation(type_, value);
                let mut priority = 0;
                if *type_ == RecordType::Mx
                    && let Some((first, rest)) = value.split_once(' ')
                {
                    priority = first.parse().unwrap_or_default();
                    data = presentation(type_, rest);
                }
                json!({"name": name, "type": type_.as_str(), "data": data, "ttl": after.ttl, "priority": priority})
            })
            .collect();
        Some(match change.before {
            // What somebody made meanwhile is not replaced.
            None => json!({"add": {"records": records}}),
            Some(_) => json!({"set": {"id_fields": id_fields, "records": records}}),
        })
    }
}

impl Provider for Scaleway {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn verify(&self) -> BoxFuture<'_, Result<Credential, Failure>> {
        Box::pin(async {
            self.zone().await?;
            // The API does not tell when this key ends.
            Ok(Credential {
                expires_at: self.expires_at,
            })
        })
    }

    fn read<'a>(&'a self, names: &'a BTreeSet<Fqdn>) -> BoxFuture<'a, Result<Vec<RrSet>, Failure>> {
        Box::pin(async move {
            let mut relative = names.iter().filter_map(|name| name.relative_to(&self.domain));
            // An empty name is no filter: the apex is found in the whole.
            if names.len() > PROFILE.reads_by_name || relative.clone().any(str::is_empty) {
                return self.read_all().await;
            }
            let mut records = Vec::new();
            for name in &mut relative {
                records.extend(self.records(Some(name)).await?);
            }
            Ok(self.sets(&records))
        })
    }

    fn read_all(&self) -> BoxFuture<'_, Result<Vec<RrSet>, Failure>> {
        Box::pin(async { Ok(self.sets(&self.records(None).await?)) })
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            for batch in changes.chunks(BATCH) {
                // What goes comes first: a type that takes another's place needs the name free.
                let (gone, there): (Vec<_>, Vec<_>) = batch.iter().partition(|change| change.after.is_none());
                let changes = gone.into_iter().chain(there).filter_map(|change| self.written(change));
                let body = json!({
                    "changes": changes.collect::<Vec<_>>(),
                    "return_all_records": false,
                    "disallow_new_zone_creation": true,
                });
                let path = ["dns-zones", self.domain.as_str(), "records"];
                let call = self.client.json(Method::PATCH, &path, &body);
                self.send::<serde::de::IgnoredAny>(call).await?;
            }
            Ok(())
        })
    }

    fn is_published(&self) -> BoxFuture<'_, Result<Option<bool>, Failure>> {
        Box::pin(async {
            let zone = self.zone().await?;
            if zone.status == "error" {
                return Err(Failure::Refused(format!(
                    "Scaleway does not serve {}: {}",
                    self.domain,
                    zone.message.unwrap_or_else(|| "it does not say why".into())
                )));
            }
            Ok(Some(zone.status != "pending"))
        })
    }
}
