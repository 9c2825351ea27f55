//! PointDNS (PointHQ).
//!
//! What it has of its own, from its public documentation and public clients: records and not sets, each in a wrapper
//! (`zone_record`); names absolute, with a dot at their end; the preference of an MX is `aux`. Zones are never written.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tremplin_core::api::dns as api;
use tremplin_core::dns::profile::{Alias, Atomicity, Profile, Publication, Rate};
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet};

use super::by_record::{self, ByRecord, Entry};
use super::data::{Sets, from_presentation, presentation};
use super::http::{Answer, Call, Client, Settings};
use super::{Credential, Failure, Parts, Provider};

const URL: &str = "https://api.pointhq.com";

pub(super) const PROFILE: Profile = Profile {
    name: "PointDNS",
    min_ttl: 60,
    max_ttl: 0x7fff_ffff,
    atomicity: Atomicity::Record,
    alias: Alias::Anywhere,
    without: &[],
    publication: Publication::Immediate,
    reads_by_name: 4,
    snapshots: false,
    serial_moves: true,
    // No figure is published.
    rate: Some(Rate {
        requests: 5,
        writes: 5,
        per_seconds: 1,
    }),
};

/// A zone.
pub(super) struct PointDns {
    client: Client,
    domain: Fqdn,
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Wrapped {
    zone_record: Record,
}

#[derive(Deserialize)]
struct Record {
    id: u64,
    name: String,
    #[serde(rename = "record_type")]
    type_: String,
    data: String,
    /// A number, or one as text.
    aux: Option<Value>,
    ttl: Option<u32>,
}

impl Record {
    fn name(&self, domain: &Fqdn) -> String {
        match self.name.strip_suffix('.') {
            Some(absolute) => absolute.to_owned(),
            None if self.name.is_empty() => domain.to_string(),
            None => format!("{}.{domain}", self.name),
        }
    }

    fn value(&self) -> String {
        let type_ = RecordType::of(&self.type_);
        let aux = match &self.aux {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => "0".into(),
        };
        match type_ {
            RecordType::Txt if !self.data.trim().starts_with('"') => self.data.clone(),
            // Targets are absolute, also without a dot at their end.
            RecordType::Mx => from_presentation(&type_, &format!("{aux} {}", self.data)),
            _ => from_presentation(&type_, &self.data),
        }
    }

    /// In seconds.
    fn ttl(&self) -> u32 {
        self.ttl.unwrap_or(3600)
    }
}

impl PointDns {
    pub(super) fn new(settings: &api::PointDns, parts: Parts<'_>) -> Result<Self, Failure> {
        let (user, token) = (parts.secret.text("email")?, parts.secret.text("api-token")?);
        let basic = BASE64.encode(format!("{user}:{token}"));
        let url = settings.url.as_deref().unwrap_or(URL);
        let client = Client::new(Settings {
            provider: PROFILE.name,
            url,
            ca: parts.ca,
            account: parts.shared.account(&PROFILE, &[url, &user, &token]),
            headers: vec![(AUTHORIZATION, format!("Basic {basic}"))],
            secrets: vec![token, basic],
        })?;
        Ok(Self {
            client,
            domain: parts.domain.clone(),
            expires_at: parts.secret.expires_at()?,
        })
    }

    fn call(&self, method: Method, rest: &[&str], query: &[(&str, &str)], body: Option<&Value>) -> Call {
        let url = self
            .client
            .url(&[&["zones", self.domain.as_str()], rest].concat(), query);
        Call::new(method, url, body.map(ToString::to_string))
    }

    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let is_record = call.url.path().contains("/records/");
        let answer = self.client.send(call).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        // `{"error": "…"}`, for a 422 pairs of a field and what is wrong with it, for a 404 a text.
        let text = String::from_utf8_lossy(&answer.body);
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let error = body.get("error").and_then(Value::as_str);
        let words = error.unwrap_or(&text);
        let message = || self.client.message(answer.status, words);
        Err(match answer.status {
            StatusCode::NOT_FOUND if is_record => Failure::Changed(message()),
            StatusCode::UNPROCESSABLE_ENTITY if words.contains("conflict") => Failure::Changed(message()),
            status => self.client.refusal(status, words),
        })
    }

    /// The records at a name, or all.
    async fn records(&self, name: Option<&Fqdn>) -> Result<Vec<Record>, Failure> {
        let absolute = name.map(Fqdn::absolute);
        let query: Vec<_> = absolute.iter().map(|name| ("name", name.as_str())).collect();
        let answer = self.send(self.call(Method::GET, &["records"], &query, None)).await?;
        let wrapped: Vec<Wrapped> = self.client.parse(&answer)?;
        let mut records: Vec<_> = wrapped.into_iter().map(|wrapped| wrapped.zone_record).collect();
        records.retain(|record| name.is_none_or(|name| record.name(&self.domain).eq_ignore_ascii_case(name.as_str())));
        Ok(records)
    }

    fn sets(&self, records: &[Record]) -> Vec<RrSet> {
        let mut sets = Sets::default();
        for record in records {
            let type_ = RecordType::of(&record.type_);
            sets.add(&record.name(&self.domain), type_, record.ttl(), record.value());
        }
        sets.into_vec()
    }
}

fn body(set: &RrSet, value: &str) -> Value {
    let (aux, data) = match (&set.type_, value.split_once(' ')) {
        (RecordType::Mx, Some((preference, host))) => (preference.parse::<u16>().ok(), presentation(&set.type_, host)),
        _ => (None, presentation(&set.type_, value)),
    };
    json!({"zone_record": {
        "name": set.name.absolute(),
        "record_type": set.type_.as_str(),
        "data": data,
        "ttl": set.ttl,
        "aux": aux,
    }})
}

impl ByRecord for PointDns {
    async fn find(&self, name: &Fqdn, type_: &RecordType) -> Result<Vec<Entry>, Failure> {
        let mut records = self.records(Some(name)).await?;
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
        self.send(self.call(Method::POST, &["records"], &[], Some(&body(set, value))))
            .await
            .map(drop)
    }

    async fn update(&self, id: u64, set: &RrSet, value: &str) -> Result<(), Failure> {
        let path = ["records", &id.to_string()];
        self.send(self.call(Method::PUT, &path, &[], Some(&body(set, value))))
            .await
            .map(drop)
    }

    async fn delete(&self, id: u64) -> Result<(), Failure> {
        self.send(self.call(Method::DELETE, &["records", &id.to_string()], &[], None))
            .await
            .map(drop)
    }
}

impl Provider for PointDns {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn verify(&self) -> BoxFuture<'_, Result<Credential, Failure>> {
        Box::pin(async {
            self.send(self.call(Method::GET, &[], &[], None)).await?;
            // The API does not tell when a token ends.
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
            for name in names {
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
        Box::pin(by_record::write(self, changes))
    }
}
