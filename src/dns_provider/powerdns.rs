//! The HTTP API of a PowerDNS Authoritative Server (4.3 and later).
//!
//! Seen on 4.7.3: a PATCH is all or nothing, also when a CNAME takes the place of an A; deleting what is not there
//! succeeds. `PUT` and `DELETE` of a zone are never called.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use http::{HeaderName, Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tremplin_core::api::dns as api;
use tremplin_core::dns::profile::{Alias, Atomicity, Profile, Publication};
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet};

use super::data::{Sets, from_presentation, presentation};
use super::http::{Answer, Call, Client, Settings};
use super::{Credential, Failure, Parts, Provider};

/// How many sets go into one PATCH: far from the 2 MB that the server reads at most.
const BATCH: usize = 500;

pub(super) const PROFILE: Profile = Profile {
    name: "PowerDNS",
    min_ttl: 1,
    max_ttl: 0x7fff_ffff,
    atomicity: Atomicity::Batch(BATCH),
    // The server has the type, but answers it only with a resolver (`expand-alias`), which few have.
    alias: Alias::Never,
    without: &[],
    publication: Publication::Immediate,
    reads_by_name: 20,
    snapshots: false,
    serial_moves: true,
    rate: None,
};

/// A zone.
pub(super) struct PowerDns {
    client: Client,
    server: String,
    domain: Fqdn,
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Zone {
    kind: String,
    #[serde(default)]
    rrsets: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    #[serde(rename = "type")]
    type_: String,
    ttl: u32,
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    content: String,
    #[serde(default)]
    disabled: bool,
}

#[derive(Deserialize)]
struct Error {
    error: String,
}

impl PowerDns {
    pub(super) fn new(settings: &api::PowerDns, parts: Parts<'_>) -> Result<Self, Failure> {
        let key = parts.secret.text("api-key")?;
        let client = Client::new(Settings {
            provider: PROFILE.name,
            url: &settings.url,
            ca: parts.ca,
            account: parts.shared.account(&PROFILE, &[&settings.url, &key]),
            headers: vec![(HeaderName::from_static("x-api-key"), key.clone())],
            secrets: vec![key],
        })?;
        Ok(Self {
            client,
            server: settings.server_id.clone().unwrap_or_else(|| "localhost".into()),
            domain: parts.domain.clone(),
            expires_at: parts.secret.expires_at()?,
        })
    }

    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let answer = self.client.send(call).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let words = serde_json::from_slice(&answer.body).map_or_else(
            |_| String::from_utf8_lossy(&answer.body).into_owned(),
            |Error { error }| error,
        );
        let message = || self.client.message(answer.status, &words);
        // Before 4.9 an unknown zone could be a 422.
        if answer.status == StatusCode::UNPROCESSABLE_ENTITY && words.contains("Could not find domain") {
            return Err(Failure::NoZone(message()));
        }
        if words.contains("Conflicts with pre-existing RRset") {
            return Err(Failure::Changed(message()));
        }
        Err(self.client.refusal(answer.status, &words))
    }

    async fn get(&self, query: &[(&str, &str)]) -> Result<Zone, Failure> {
        let zone = self.domain.absolute();
        let segments = ["api", "v1", "servers", &self.server, "zones", &zone];
        let answer = self.send(self.client.get(&segments, query)).await?;
        self.client.parse(&answer)
    }

    async fn patch(&self, changes: &[Change]) -> Result<(), Failure> {
        // What goes comes first: a type that takes another's place needs the name free.
        let (gone, there): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.after.is_none());
        let sets: Vec<_> = gone.into_iter().chain(there).filter_map(written).collect();
        let zone = self.domain.absolute();
        let segments = ["api", "v1", "servers", &self.server, "zones", &zone];
        let call = self.client.json(Method::PATCH, &segments, &json!({ "rrsets": sets }));
        self.send(call).await.map(drop)
    }
}

fn written(change: &Change) -> Option<Value> {
    let (name, type_) = (change.name()?.absolute(), change.type_()?);
    let Some(after) = &change.after else {
        return Some(json!({"name": name, "type": type_.as_str(), "changetype": "DELETE"}));
    };
    let records: Vec<_> = after
        .values
        .iter()
        .map(|value| json!({"content": presentation(type_, value), "disabled": false}))
        .collect();
    Some(json!({
        "name": name, "type": type_.as_str(), "ttl": after.ttl, "changetype": "REPLACE", "records": records,
    }))
}

fn sets(zones: impl IntoIterator<Item = Zone>) -> Vec<RrSet> {
    let mut sets = Sets::default();
    for set in zones.into_iter().flat_map(|zone| zone.rrsets) {
        let type_ = RecordType::of(&set.type_);
        for Record { content, disabled } in set.records {
            // In the way, but not served: it equals nothing that anybody wants.
            let value = if disabled {
                format!("disabled: {content}")
            } else {
                from_presentation(&type_, &content)
            };
            sets.add(&set.name, type_.clone(), set.ttl, value);
        }
    }
    sets.into_vec()
}

impl Provider for PowerDns {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn verify(&self) -> BoxFuture<'_, Result<Credential, Failure>> {
        Box::pin(async {
            let apex = self.domain.absolute();
            let zone = self.get(&[("rrset_name", &apex), ("rrset_type", "SOA")]).await?;
            if ["Slave", "Secondary", "Consumer"].contains(&zone.kind.as_str()) {
                return Err(Failure::Settings(format!(
                    "this server is a secondary of {} ({}): give the address of its primary",
                    self.domain, zone.kind
                )));
            }
            Ok(Credential {
                expires_at: self.expires_at,
            })
        })
    }

    fn read<'a>(&'a self, names: &'a BTreeSet<Fqdn>) -> BoxFuture<'a, Result<Vec<RrSet>, Failure>> {
        Box::pin(async move {
            if names.len() > PROFILE.reads_by_name {
                return self.read_all().await;
            }
            let mut zones = Vec::new();
            for name in names {
                zones.push(self.get(&[("rrset_name", &name.absolute())]).await?);
            }
            Ok(sets(zones))
        })
    }

    fn read_all(&self) -> BoxFuture<'_, Result<Vec<RrSet>, Failure>> {
        Box::pin(async { Ok(sets([self.get(&[]).await?])) })
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            for batch in changes.chunks(BATCH) {
                self.patch(batch).await?;
            }
            Ok(())
        })
    }
}
