//! AlwaysData's `/v1/record/`.
//!
//! What bites, and is here: the user of the Basic authentication is the API key, **a space, and `account=NAME`**.
//! Paths end with a slash: without it a read is sent elsewhere, and anything else finds nothing. A record that was made
//! is told by `Location` alone, in no body. `PUT` also takes away what it does not name; `PATCH` does not. The value of a TXT
//! is the text itself: quotes become part of it. Other values are absolute, with or without a dot. The priority is a field
//! of its own. **What was written is served later**, unless `alwaysdata-synchronous: yes` asks to wait for it. Few writes
//! are taken, and more reads ([`AlwaysData::LIMITS`]). The records that came with the domain are not the user's.

use std::time::Duration;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{Calls, Fake, FakeOptions, Incoming, Limit, Outcome, Published, Reply, Row, Service, txt, zone};
use crate::dns::daemon::{hex, random};
use crate::dns::query::{Record, quoted};

/// The account that the key is good for.
const ACCOUNT: &str = "beta";
/// The id of the domain.
const DOMAIN: u64 = 132;
/// The TTL of a record that has none, in seconds.
const DEFAULT_TTL: u64 = 300;

/// A running fake of AlwaysData.
pub type AlwaysData = Fake<AlwaysDataService>;

/// The service behind [`AlwaysData`].
pub struct AlwaysDataService {
    key: String,
    expired: bool,
    published: Published,
    delay: Duration,
    entries: Vec<Entry>,
    next_id: u64,
}

#[derive(Clone)]
struct Entry {
    id: u64,
    name: String,
    kind: String,
    value: String,
    priority: Option<u64>,
    ttl: u64,
    annotation: String,
    is_user_defined: bool,
}

impl AlwaysData {
    /// What the service takes: 10 writes a minute after the first 50, and 250 reads a minute.
    pub const LIMITS: [Limit; 2] = [
        Limit {
            calls: Calls::Writes,
            burst: 50,
            every: Duration::from_secs(6),
        },
        Limit {
            calls: Calls::Reads,
            burst: 250,
            every: Duration::from_millis(240),
        },
    ];

    /// Starts it. `delay` is how long it takes until a write is served that was not asked to wait.
    ///
    /// # Errors
    /// If the zone does not parse, or no port is free.
    pub async fn start(options: FakeOptions) -> Result<Self> {
        let key = hex(&random::<16>()?);
        let delay = options.delay;
        Self::start_with(&options, "/v1", |published| {
            Ok(AlwaysDataService {
                key,
                expired: false,
                published,
                delay,
                entries: Vec::new(),
                next_id: 1000,
            })
        })
        .await
    }

    /// The API key.
    pub fn api_key(&self) -> String {
        self.service().key.clone()
    }

    /// The account.
    pub fn account(&self) -> &'static str {
        ACCOUNT
    }
}

impl Service for AlwaysDataService {
    fn answer(&mut self, request: &Incoming) -> Outcome<Self> {
        if !self.is_known(request) {
            return refused(401, "Invalid credentials")
                .header("www-authenticate", "Basic")
                .into();
        }
        if !request.path.ends_with('/') {
            let elsewhere = Reply::empty(301).header("location", format!("{}/", request.path));
            let found = request.method == "GET";
            return if found { elsewhere } else { refused(404, "Not found") }.into();
        }
        let route = request.route();
        let route: Vec<&str> = route.iter().map(String::as_str).collect();
        match route.as_slice() {
            ["GET", "v1", "domain"] => self.domains(request).into(),
            ["GET", "v1", "domain", id] if *id == DOMAIN.to_string() => Reply::json(200, &self.domain()).into(),
            ["DELETE", "v1", "domain", id] if *id == DOMAIN.to_string() => {
                self.entries.clear();
                self.written(request, Reply::empty(204))
            }
            ["GET", "v1", "record"] => self.list(request).into(),
            ["POST", "v1", "record"] => self.create(request),
            [_, "v1", "record", id] => self.record(id, request),
            _ => refused(404, "Not found").into(),
        }
    }

    fn forbids(&self, request: &Incoming) -> bool {
        request.method != "GET" && request.path.starts_with("/v1/domain")
    }

    fn throttle(&self, wait: Duration) -> Reply {
        refused(429, "Request was throttled.").retry_after(wait)
    }

    fn seed(&mut self, records: &[Record]) -> Result<()> {
        let origin = self.published.origin().to_owned();
        // What the zone begins with is not the user's.
        let is_user_defined = !self.entries.is_empty();
        for record in records {
            let kind = record.kind.to_string();
            let (priority, value) = match record.data.split_once(' ') {
                Some((priority, rest)) if kind == "MX" || kind == "SRV" => (priority.parse().ok(), rest.to_owned()),
                _ if kind == "TXT" => (None, txt::joined(&record.data)),
                _ => (None, record.data.clone()),
            };
            let name = zone::relative(&record.name, &origin);
            let ttl = record.ttl.into();
            let (id, annotation) = (self.new_id(), String::new());
            self.entries.push(Entry {
                id,
                name,
                kind,
                value,
                priority,
                ttl,
                annotation,
                is_user_defined,
            });
        }
        self.published.publish(&self.rows())
    }

    fn stored(&self) -> Vec<Record> {
        zone::readable(self.published.origin(), &self.rows())
    }

    fn expire(&mut self, expired: bool) {
        self.expired = expired;
    }
}

impl AlwaysDataService {
    fn is_known(&self, request: &Incoming) -> bool {
        let users = [self.key.clone(), format!("{} account={ACCOUNT}", self.key)];
        let mut headers = users
            .iter()
            .map(|user| format!("Basic {}", BASE64.encode(format!("{user}:"))));
        !self.expired && headers.any(|header| header == request.header("authorization"))
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn domain(&self) -> Value {
        json!({"id": DOMAIN, "name": self.published.origin(), "href": format!("/v1/domain/{DOMAIN}/")})
    }

    fn domains(&self, request: &Incoming) -> Reply {
        let wanted = request.parameter("name");
        let other = json!({"id": DOMAIN + 1, "name": "another.example", "href": "/v1/domain/133/"});
        let mut domains = vec![other, self.domain()];
        domains.retain(|domain| {
            wanted
                .as_ref()
                .is_none_or(|wanted| domain.get("name") == Some(&json!(wanted)))
        });
        Reply::json(200, &Value::Array(domains))
    }

    fn list(&self, request: &Incoming) -> Reply {
        let fits = |name: &str, value: &str| request.parameter(name).is_none_or(|wanted| wanted == value);
        let entries = self.entries.iter().filter(|entry| {
            fits("domain", &DOMAIN.to_string()) && fits("name", &entry.name) && fits("type", &entry.kind)
        });
        Reply::json(200, &entries.map(told).collect())
    }

    fn create(&mut self, request: &Incoming) -> Outcome<Self> {
        let body = request.json();
        if body.get("domain") != Some(&json!(DOMAIN)) {
            return wrong("domain", "Invalid pk - object does not exist.").into();
        }
        let entry = Entry {
            id: self.new_id(),
            name: String::new(),
            kind: String::new(),
            value: String::new(),
            priority: None,
            ttl: DEFAULT_TTL,
            annotation: String::new(),
            is_user_defined: true,
        };
        let location = format!("/v1/record/{}/", entry.id);
        match self.accepted(entry, &body, None) {
            Ok(entry) => {
                self.entries.push(entry);
                self.written(request, Reply::empty(201).header("location", location))
            }
            Err(refusal) => refusal.into(),
        }
    }

    fn record(&mut self, id: &str, request: &Incoming) -> Outcome<Self> {
        let position = self.entries.iter().position(|entry| entry.id.to_string() == id);
        let found = position.and_then(|position| Some((position, self.entries.get(position)?.clone())));
        let Some((position, mut entry)) = found else {
            return refused(404, "Not found").into();
        };
        let method = request.method.as_str();
        if method == "GET" {
            return Reply::json(200, &told(&entry)).into();
        }
        if !entry.is_user_defined {
            return refused(403, "You do not have permission to perform this action.").into();
        }
        if method == "DELETE" {
            self.entries.remove(position);
            return self.written(request, Reply::empty(204));
        }
        if method == "PUT" {
            (entry.priority, entry.ttl, entry.annotation) = (None, DEFAULT_TTL, String::new());
        } else if method != "PATCH" {
            return refused(405, "Method not allowed").into();
        }
        match self.accepted(entry, &request.json(), Some(position)) {
            Ok(entry) => {
                if let Some(place) = self.entries.get_mut(position) {
                    *place = entry;
                }
                self.written(request, Reply::empty(204))
            }
            Err(refusal) => refusal.into(),
        }
    }

    /// The entry with what the body names, in the place of the one at `position`; or why it is refused.
    fn accepted(&self, mut entry: Entry, body: &Value, position: Option<usize>) -> Result<Entry, Reply> {
        let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
        let number = |field: &str| body.get(field).and_then(Value::as_u64);
        entry.name = text("name").unwrap_or(entry.name);
        entry.kind = text("type").unwrap_or(entry.kind);
        entry.value = text("value").unwrap_or(entry.value);
        entry.annotation = text("annotation").unwrap_or(entry.annotation);
        entry.priority = number("priority").or(entry.priority);
        entry.ttl = number("ttl").unwrap_or(entry.ttl);
        if entry.kind == "MX" && entry.priority.is_none() {
            return Err(wrong("priority", "This field is required."));
        }
        if row(&entry).read(self.published.origin()).is_err() {
            return Err(wrong("value", "Enter a valid value."));
        }
        let others = self.entries.iter().enumerate().filter(|(at, _)| Some(*at) != position);
        let mut rows: Vec<_> = others.map(|(_, other)| row(other)).collect();
        rows.push(row(&entry));
        match self.published.check(&rows) {
            Ok(()) => Ok(entry),
            Err(_) => Err(wrong(
                "__all__",
                "A CNAME record cannot coexist with another record for the same name.",
            )),
        }
    }

    /// Serves what is stored, at once if that was asked, or later.
    fn written(&self, request: &Incoming, reply: Reply) -> Outcome<Self> {
        let rows = self.rows();
        if request.header("alwaysdata-synchronous") == "yes" {
            // It was checked.
            let _ = self.published.publish(&rows);
            return reply.into();
        }
        let turn = self.published.turn();
        Outcome::from(reply).then(self.delay, move |service: &mut Self| {
            let _ = service.published.publish_in_turn(turn, &rows);
        })
    }

    fn rows(&self) -> Vec<Row> {
        self.entries.iter().map(row).collect()
    }
}

fn told(entry: &Entry) -> Value {
    json!({
        "id": entry.id,
        "domain": {"href": format!("/v1/domain/{DOMAIN}/")},
        "type": entry.kind,
        "name": entry.name,
        "value": entry.value,
        "priority": entry.priority,
        "ttl": entry.ttl,
        "annotation": entry.annotation,
        "is_user_defined": entry.is_user_defined,
        "is_active": true,
        "href": format!("/v1/record/{}/", entry.id),
    })
}

fn row(entry: &Entry) -> Row {
    let Entry { kind, value, .. } = entry;
    let absolute = || format!("{}.", value.trim_end_matches('.'));
    let priority = entry.priority.unwrap_or_default();
    let data = match kind.as_str() {
        "TXT" => {
            let strings: Vec<_> = value.as_bytes().chunks(txt::MOST).map(quoted).collect();
            strings.join(" ")
        }
        "CNAME" | "NS" | "PTR" => absolute(),
        "MX" | "SRV" => format!("{priority} {}", absolute()),
        _ => value.clone(),
    };
    Row {
        name: entry.name.clone(),
        kind: kind.clone(),
        ttl: u32::try_from(entry.ttl).unwrap_or_default(),
        data,
    }
}

fn wrong(field: &str, message: &str) -> Reply {
    Reply::json(400, &json!({field: [message]}))
}

fn refused(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"detail": message}))
}
