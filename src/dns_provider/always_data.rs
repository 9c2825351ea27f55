//! AlwaysData's records, API v1.
//!
//! What it has of its own, from its public documentation: records and not sets; a text as it is, without quotes; the
//! priority of an MX or SRV is a field beside the value; few writes per minute; a write is served at once only when that is
//! asked for. Paths end with a slash. Domains are never written.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderName, Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tremplin_core::api::dns as api;
use tremplin_core::dns::profile::{Alias, Atomicity, Profile, Publication, Rate};
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet};

use super::by_record::{self, ByRecord, Entry};
use super::data::{Sets, from_presentation};
use super::http::{Answer, Call, Client, Settings};
use super::{Credential, Failure, Parts, Provider};

const URL: &str = "https://api.alwaysdata.com/v1";

pub(super) const PROFILE: Profile = Profile {
    name: "AlwaysData",
    min_ttl: 60,
    max_ttl: 0x7fff_ffff,
    atomicity: Atomicity::Record,
    alias: Alias::Never,
    without: &[],
    publication: Publication::Immediate,
    reads_by_name: 4,
    snapshots: false,
    serial_moves: true,
    // 10 writes a minute, of which 50 may come at once; of 250 reads a minute we take a fifth.
    rate: Some(Rate {
        requests: 250,
        writes: 50,
        per_seconds: 300,
    }),
};

/// A zone.
pub(super) struct AlwaysData {
    client: Client,
    domain: Fqdn,
    id: OnceCell<u64>,
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Domain {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct Record {
    id: u64,
    #[serde(rename = "type")]
    type_: String,
    #[serde(default)]
    name: String,
    value: String,
    priority: Option<u32>,
    ttl: Option<u32>,
    #[serde(default = "yes")]
    is_active: bool,
}

fn yes() -> bool {
    true
}

impl Record {
    fn value(&self) -> String {
        let type_ = RecordType::of(&self.type_);
        let priority = self.priority.unwrap_or_default();
        let value = match type_ {
            RecordType::Txt => self.value.clone(),
            RecordType::Mx | RecordType::Srv => from_presentation(&type_, &format!("{priority} {}", self.value)),
            _ => from_presentation(&type_, &self.value),
        };
        // In the way, but not served: it equals nothing that anybody wants.
        if self.is_active {
            value
        } else {
            format!("not active: {value}")
        }
    }

    /// In seconds.
    fn ttl(&self) -> u32 {
        self.ttl.unwrap_or(300)
    }
}

impl AlwaysData {
    pub(super) fn new(settings: &api::AlwaysData, parts: Parts<'_>) -> Result<Self, Failure> {
        let key = parts.secret.text("api-key")?;
        // As their documentation has it: the account stands behind the key, after a space.
        let user = match &settings.account {
            Some(account) => format!("{key} account={account}"),
            None => key.clone(),
        };
        let basic = BASE64.encode(format!("{user}:"));
        let url = settings.url.as_deref().unwrap_or(URL);
        let client = Client::new(Settings {
            provider: PROFILE.name,
            url,
            ca: parts.ca,
            account: parts.shared.account(&PROFILE, &[url, &key]),
            headers: vec![
                (AUTHORIZATION, format!("Basic {basic}")),
                (HeaderName::from_static("alwaysdata-synchronous"), "yes".into()),
            ],
            secrets: vec![key, basic],
        })?;
        Ok(Self {
            client,
            domain: parts.domain.clone(),
            id: OnceCell::new(),
            expires_at: parts.secret.expires_at()?,
        })
    }

    fn call(&self, method: Method, path: &[&str], query: &[(&str, &str)], body: Option<&Value>) -> Call {
        // The last segment is empty, which is the slash at the end.
        let url = self.client.url(&[path, &[""]].concat(), query);
        Call::new(method, url, body.map(ToString::to_string))
    }

    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let is_record = call.url.path().contains("/record/");
        let answer = self.client.send(call).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        // `{"detail": "…"}`, or the faults of each field.
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let words = match body.get("detail").and_then(Value::as_str) {
            Some(detail) => detail.to_owned(),
            None if body.is_object() => body.to_string(),
            None => String::new(),
        };
        let message = || self.client.message(answer.status, &words);
        Err(match answer.status {
            StatusCode::NOT_FOUND if is_record => Failure::Changed(message()),
            StatusCode::FORBIDDEN if is_record => Failure::Refused(message()),
            StatusCode::BAD_REQUEST if words.contains("coexist") => Failure::Changed(message()),
            status => self.client.refusal(status, &words),
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, Failure> {
        let answer = self.send(self.call(Method::GET, path, query, None)).await?;
        self.client.parse(&answer)
    }

    async fn id(&self) -> Result<u64, Failure> {
        let find = || async {
            let query = [("name", self.domain.as_str())];
            let domains: Vec<Domain> = self.get(&["domain"], &query).await?;
            let found = domains
                .into_iter()
                .find(|domain| domain.name.eq_ignore_ascii_case(self.domain.as_str()));
            found
                .map(|domain| domain.id)
                .ok_or_else(|| Failure::NoZone(format!("the account at AlwaysData has no domain {}", self.domain)))
        };
        self.id.get_or_try_init(find).await.copied()
    }

    /// The records at a name, or all.
    async fn records(&self, name: Option<&str>) -> Result<Vec<Record>, Failure> {
        let id = self.id().await?.to_string();
        let mut query = vec![("domain", id.as_str())];
        query.extend(name.map(|name| ("name", name)));
        let mut records: Vec<Record> = self.get(&["record"], &query).await?;
        records.retain(|record| name.is_none_or(|name| record.name.eq_ignore_ascii_case(name)));
        Ok(records)
    }

    fn sets(&self, records: &[Record]) -> Vec<RrSet> {
        let mut sets = Sets::default();
        for record in records {
            let name = match record.name.as_str() {
                "" | "@" => self.domain.to_string(),
                name => format!("{name}.{}", self.domain),
            };
            sets.add(&name, RecordType::of(&record.type_), record.ttl(), record.value());
        }
        sets.into_vec()
    }
}

/// The fields of a value.
fn fields(set: &RrSet, value: &str) -> Value {
    let (priority, value) = match (&set.type_, value.split_once(' ')) {
        (RecordType::Mx | RecordType::Srv, Some((priority, rest))) => (priority.parse::<u16>().ok(), rest),
        _ => (None, value),
    };
    json!({"type": set.type_.as_str(), "value": value, "priority": priority, "ttl": set.ttl})
}

impl ByRecord for AlwaysData {
    async fn find(&self, name: &Fqdn, type_: &RecordType) -> Result<Vec<Entry>, Failure> {
        let relative = name.relative_to(&self.domain).unwrap_or_default();
        let mut records = self.records(Some(relative)).await?;
        records.retain(|record| RecordType::of(&record.type_) == *type_);
        let entry = |record: &Record| Entry {
            id: record.id,
            value: record.value(),
            ttl: record.ttl(),
            can_change: true,
        };
        Ok(records.iter().map(entry).collect())
    }

    async fn create(&self, set: &RrSet, value: &str) -> Result<(), Failure> {
        let mut body = fields(set, value);
        if let Some(object) = body.as_object_mut() {
            let name = set.name.relative_to(&self.domain).unwrap_or_default();
            object.insert("domain".into(), self.id().await?.into());
            object.insert("name".into(), name.into());
        }
        self.send(self.call(Method::POST, &["record"], &[], Some(&body)))
            .await
            .map(drop)
    }

    async fn update(&self, id: u64, set: &RrSet, value: &str) -> Result<(), Failure> {
        let path = ["record", &id.to_string()];
        // PATCH: a PUT would take away what it does not name.
        self.send(self.call(Method::PATCH, &path, &[], Some(&fields(set, value))))
            .await
            .map(drop)
    }

    async fn delete(&self, id: u64) -> Result<(), Failure> {
        self.send(self.call(Method::DELETE, &["record", &id.to_string()], &[], None))
            .await
            .map(drop)
    }
}

impl Provider for AlwaysData {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn verify(&self) -> BoxFuture<'_, Result<Credential, Failure>> {
        Box::pin(async {
            self.id().await?;
            // The API does not tell when a key ends.
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
            let mut records = Vec::new();
            for name in names.iter().filter_map(|name| name.relative_to(&self.domain)) {
                records.extend(self.records(Some(name)).await?);
            }
            Ok(self.sets(&records))
        })
    }

    fn read_all(&self) -> BoxFuture<'_, Result<Vec<RrSet>, Failure>> {
        Box::pin(async { Ok(self.sets(&self.records(None).await?)) })
    }

    fn room(&self) -> Option<usize> {
        self.client.room()
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            // With so few writes a name would be without data for minutes if they ended in the middle.
            let calls = changes.iter().map(Change::calls).sum();
            let _together = self.client.together(calls).await?;
            by_record::write(self, changes).await
        })
    }
}
