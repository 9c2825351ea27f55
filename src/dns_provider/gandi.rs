//! Gandi's LiveDNS, API v5.
//!
//! What it has of its own, from its public documentation: sets, each replaced in place by `PUT` and made by `POST`, which
//! refuses when it is there; **labels are compared as they were written first**, so that a `PUT` in other letters
//! would make a second set beside the first. `PUT` and `DELETE` of the whole zone (`…/records`) and of all
//! types of a name (`…/records/{name}`) are never called.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use tremplin_core::api::dns as api;
use tremplin_core::dns::profile::{Alias, Atomicity, Profile, Publication, Rate};
use tremplin_core::dns::{Change, Fqdn, RecordType, RrSet};

use super::data::{Sets, from_relative, presentation};
use super::http::{Answer, Call, Client, Settings};
use super::{Credential, Failure, Parts, Provider};

const URL: &str = "https://api.gandi.net/v5/livedns";
/// Sets on a page.
const PAGE: usize = 100;

pub(super) const PROFILE: Profile = Profile {
    name: "Gandi",
    min_ttl: 300,
    max_ttl: 2_592_000,
    atomicity: Atomicity::Set,
    alias: Alias::Apex,
    without: &[],
    publication: Publication::Immediate,
    reads_by_name: 10,
    snapshots: true,
    serial_moves: true,
    rate: Some(Rate {
        requests: 1_000,
        writes: 1_000,
        per_seconds: 60,
    }),
};

/// A zone.
pub(super) struct Gandi {
    client: Client,
    domain: Fqdn,
    sharing_id: Option<String>,
    expires_at: Option<Timestamp>,
    /// How names are written that are not written as we write them, each way once. `None`: the zone was not yet read.
    spellings: Mutex<Option<Spellings>>,
}

type Spellings = BTreeMap<Fqdn, BTreeSet<String>>;

#[derive(Deserialize)]
struct Set {
    #[serde(rename = "rrset_name")]
    label: String,
    #[serde(rename = "rrset_type")]
    type_: String,
    #[serde(rename = "rrset_ttl")]
    ttl: u32,
    #[serde(rename = "rrset_values")]
    values: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Error {
    message: String,
    object: String,
    errors: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
}

impl Gandi {
    pub(super) fn new(settings: &api::Gandi, parts: Parts<'_>) -> Result<Self, Failure> {
        let token = parts.secret.text("token")?;
        let url = settings.url.as_deref().unwrap_or(URL);
        let client = Client::new(Settings {
            provider: PROFILE.name,
            url,
            ca: parts.ca,
            account: parts.shared.account(&PROFILE, &[url, &token]),
            headers: vec![(AUTHORIZATION, format!("Bearer {token}"))],
            secrets: vec![token],
        })?;
        Ok(Self {
            client,
            domain: parts.domain.clone(),
            sharing_id: settings.sharing_id.clone(),
            expires_at: parts.secret.expires_at()?,
            spellings: Mutex::new(None),
        })
    }

    fn call(&self, method: Method, rest: &[&str], query: &[(&str, &str)], body: Option<String>) -> Call {
        let mut query = query.to_vec();
        query.extend(self.sharing_id.as_deref().map(|id| ("sharing_id", id)));
        let path = [&["domains", self.domain.as_str()], rest].concat();
        Call::new(method, self.client.url(&path, &query), body)
    }

    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let answer = self.client.send(call).await?;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(self.refusal(&answer))
        }
    }

    fn refusal(&self, answer: &Answer) -> Failure {
        let Error {
            message,
            object,
            errors,
        } = error(answer);
        let details = errors
            .iter()
            .map(|error| format!("{} {}", error.name, error.description));
        let words: Vec<_> = std::iter::once(message).chain(details).collect();
        let words = words.join("; ");
        match answer.status {
            // Of a domain that is not theirs they say no more.
            StatusCode::FORBIDDEN if object == "domain" => Failure::NoZone(format!(
                "{} (or the token may not see it)",
                self.client.message(answer.status, &words)
            )),
            status => self.client.refusal(status, &words),
        }
    }

    /// The sets of the zone, or of one label as it is written.
    async fn list(&self, label: Option<&str>) -> Result<Vec<Set>, Failure> {
        let path: Vec<&str> = std::iter::once("records").chain(label).collect();
        let (size, mut page, mut sets) = (PAGE.to_string(), 1, Vec::new());
        let mut total = None;
        loop {
            let query = [("page", page.to_string()), ("per_page", size.clone())];
            let query = query.each_ref().map(|(key, value)| (*key, value.as_str()));
            let answer = self.client.send(self.call(Method::GET, &path, &query, None)).await?;
            if answer.status == StatusCode::NOT_FOUND && error(&answer).object == "dns-record" {
                return Ok(sets);
            }
            if !answer.status.is_success() {
                return Err(self.refusal(&answer));
            }
            let some: Vec<Set> = self.client.parse(&answer)?;
            let count = answer.headers.get("total-count").and_then(|count| count.to_str().ok());
            let count: Option<usize> = count.and_then(|count| count.parse().ok());
            if page > 1 && count != total {
                return Err(Failure::Changed(format!("{} changed while it was read", self.domain)));
            }
            total = count;
            let last = some.is_empty() || count.is_none() && some.len() < PAGE;
            sets.extend(some);
            if last || count.is_some_and(|count| sets.len() >= count) {
                return Ok(sets);
            }
            page += 1;
        }
    }

    async fn all(&self) -> Result<Vec<Set>, Failure> {
        let sets = self.list(None).await?;
        let mut spellings = Spellings::new();
        for set in &sets {
            if let Ok(name) = Fqdn::parse(&self.absolute(&set.label))
                && set.label != self.label(&name)
            {
                spellings.entry(name).or_default().insert(set.label.clone());
            }
        }
        *self.spellings.lock().await = Some(spellings);
        Ok(sets)
    }

    /// The ways in which a name is written there, that of ours first.
    async fn labels(&self, name: &Fqdn) -> Result<Vec<String>, Failure> {
        if self.spellings.lock().await.is_none() {
            self.all().await?;
        }
        let spellings = self.spellings.lock().await;
        let others = spellings.as_ref().and_then(|spellings| spellings.get(name));
        Ok(std::iter::once(self.label(name).to_owned())
            .chain(others.into_iter().flatten().cloned())
            .collect())
    }

    fn label<'a>(&self, name: &'a Fqdn) -> &'a str {
        match name.relative_to(&self.domain) {
            Some("") => "@",
            Some(label) => label,
            None => name.as_str(),
        }
    }

    fn absolute(&self, label: &str) -> String {
        if label == "@" {
            self.domain.to_string()
        } else {
            format!("{label}.{}", self.domain)
        }
    }

    fn sets(&self, sets: Vec<Set>) -> Vec<RrSet> {
        let mut found = Sets::default();
        for set in sets {
            let type_ = RecordType::of(&set.type_);
            let name = self.absolute(&set.label);
            for value in &set.values {
                let value = from_relative(&type_, value, &self.domain);
                found.add(&name, type_.clone(), set.ttl, value);
            }
        }
        found.into_vec()
    }

    async fn change(&self, change: &Change) -> Result<(), Failure> {
        let (Some(name), Some(type_)) = (change.name(), change.type_()) else {
            return Ok(());
        };
        let mut labels = vec![self.label(name).to_owned()];
        if change.before.is_some() {
            labels = self.written(name, type_).await?;
        }
        let mut labels = labels.into_iter();
        if let Some(after) = &change.after
            && let Some(label) = labels.next()
        {
            let method = if change.before.is_some() {
                Method::PUT
            } else {
                Method::POST
            };
            let values: Vec<_> = after.values.iter().map(|value| presentation(type_, value)).collect();
            let body = json!({"rrset_values": values, "rrset_ttl": after.ttl});
            let path = ["records", &label, type_.as_str()];
            self.send(self.call(method, &path, &[], Some(body.to_string()))).await?;
        }
        for label in labels {
            let path = ["records", &label, type_.as_str()];
            let answer = self.client.send(self.call(Method::DELETE, &path, &[], None)).await?;
            let gone = answer.status == StatusCode::NOT_FOUND && error(&answer).object == "dns-record";
            if !answer.status.is_success() && !gone {
                return Err(self.refusal(&answer));
            }
        }
        Ok(())
    }

    /// The labels under which there is a set of this type, when the name is written in more than one way.
    async fn written(&self, name: &Fqdn, type_: &RecordType) -> Result<Vec<String>, Failure> {
        let labels = self.labels(name).await?;
        if labels.len() == 1 {
            return Ok(labels);
        }
        let mut written = Vec::new();
        for label in labels {
            let sets = self.list(Some(&label)).await?;
            if sets.iter().any(|set| set.type_ == type_.as_str()) {
                written.push(label);
            }
        }
        if written.is_empty() {
            return Err(Failure::Changed(format!("the set {name} {type_} is no longer there")));
        }
        Ok(written)
    }
}

fn error(answer: &Answer) -> Error {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

impl Provider for Gandi {
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
            if names.len() > PROFILE.reads_by_name || self.spellings.lock().await.is_none() {
                return self.read_all().await;
            }
            let mut found = Vec::new();
            for name in names {
                for label in self.labels(name).await? {
                    found.extend(self.list(Some(&label)).await?);
                }
            }
            Ok(self.sets(found))
        })
    }

    fn read_all(&self) -> BoxFuture<'_, Result<Vec<RrSet>, Failure>> {
        Box::pin(async { Ok(self.sets(self.all().await?)) })
    }

    fn room(&self) -> Option<usize> {
        self.client.room()
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            for change in changes {
                self.change(change).await?;
            }
            Ok(())
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Option<String>, Failure>> {
        #[derive(Deserialize)]
        struct Made {
            id: Option<String>,
        }
        Box::pin(async {
            let body = json!({"name": "before Tremplin"}).to_string();
            let answer = self
                .send(self.call(Method::POST, &["snapshots"], &[], Some(body)))
                .await?;
            let made: Made = self.client.parse(&answer)?;
            Ok(Some(made.id.unwrap_or_else(|| "latest".into())))
        })
    }
}
