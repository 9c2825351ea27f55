//! PointDNS (PointHQ).
//!
//! What bites, and is here: every record travels in a wrapper, `zone_record`, and without it is refused. Names come back
//! absolute, with a dot at their end; one that is sent without that dot is relative. The data of a CNAME, MX or NS, to the
//! contrary, is absolute without a dot, and gets one. The text of a TXT comes back quoted. The priority of an MX is `aux`. What is wrong is a 422 whose body is a list of
//! pairs, and what is missing a 404 in plain text. `Accept: application/json` has to be asked for. A write is served after a moment.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{Fake, FakeOptions, Incoming, Outcome, Published, Reply, Row, Service, txt, zone};
use crate::dns::daemon::{hex, random};
use crate::dns::query::Record;

/// Who has the zone.
const USER: &str = "dns@beta.example";
/// The id of the zone.
const ZONE: u64 = 4242;
/// The TTL of a record that has none, in seconds.
const DEFAULT_TTL: u32 = 3600;

/// A running fake of PointDNS.
pub type PointDns = Fake<PointDnsService>;

/// The service behind [`PointDns`].
pub struct PointDnsService {
    token: String,
    expired: bool,
    published: Published,
    world: Vec<(String, IpAddr)>,
    delay: Duration,
    entries: Vec<Entry>,
    next_id: u64,
}

#[derive(Clone)]
struct Entry {
    id: u64,
    /// Absolute, with a dot at its end.
    name: String,
    kind: String,
    data: String,
    aux: Option<u64>,
    ttl: u32,
}

impl PointDns {
    /// Starts it. `delay` is the moment until a write is served.
    ///
    /// # Errors
    /// If the zone does not parse, or no port is free.
    pub async fn start(options: FakeOptions) -> Result<Self> {
        let token = hex(&random::<16>()?);
        let (delay, world) = (options.delay, options.world.clone());
        Self::start_with(&options, "", |published| {
            Ok(PointDnsService {
                token,
                expired: false,
                published,
                world,
                delay,
                entries: Vec::new(),
                next_id: 141,
            })
        })
        .await
    }

    /// The user's e-mail address.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The API token.
    pub fn token(&self) -> String {
        self.service().token.clone()
    }
}

impl Service for PointDnsService {
    fn answer(&mut self, request: &Incoming) -> Outcome<Self> {
        let known = format!("Basic {}", BASE64.encode(format!("{USER}:{}", self.token)));
        if self.expired || request.header("authorization") != known {
            return refused(403, "Access denied").into();
        }
        if !request.header("accept").contains("application/json") {
            return Reply::text(406, "text/html", "<h1>Not Acceptable</h1>".to_owned()).into();
        }
        let route = request.route();
        let route: Vec<&str> = route.iter().map(String::as_str).collect();
        let is_ours = |zone: &str| zone == ZONE.to_string() || zone == self.published.origin();
        match route.as_slice() {
            ["GET", "zones"] => Reply::json(200, &json!([self.zone()])).into(),
            [_, "zones", zone, ..] if !is_ours(zone) => not_found().into(),
            ["GET", "zones", _] => Reply::json(200, &self.zone()).into(),
            ["DELETE", "zones", _] => {
                self.entries.clear();
                self.written(Reply::json(200, &json!({"zone": {"status": "OK"}})))
            }
            ["GET", "zones", _, "records"] => self.list(request).into(),
            ["POST", "zones", _, "records"] => self.create(&request.json()),
            [method, "zones", _, "records", id] => self.record(method, id, &request.json()),
            _ => not_found().into(),
        }
    }

    fn forbids(&self, request: &Incoming) -> bool {
        let route = request.route();
        matches!(
            route.iter().map(String::as_str).collect::<Vec<_>>().as_slice(),
            ["DELETE" | "PUT", "zones", _] | ["POST", "zones"]
        )
    }

    fn throttle(&self, wait: Duration) -> Reply {
        refused(429, "Too many requests").retry_after(wait)
    }

    fn seed(&mut self, records: &[Record]) -> Result<()> {
        for record in records {
            let kind = record.kind.to_string();
            let (aux, data) = match record.data.split_once(' ') {
                Some((aux, rest)) if kind == "MX" => (aux.parse().ok(), rest),
                _ => (None, record.data.as_str()),
            };
            let (id, name, data, ttl) = (self.new_id(), format!("{}.", record.name), data.to_owned(), record.ttl);
            self.entries.push(Entry {
                id,
                name,
                kind,
                data,
                aux,
                ttl,
            });
        }
        self.published.publish(&self.rows())
    }

    /// An ALIAS is told as what it is served as.
    fn stored(&self) -> Vec<Record> {
        zone::readable(self.published.origin(), &self.rows())
    }

    fn expire(&mut self, expired: bool) {
        self.expired = expired;
    }
}

impl PointDnsService {
    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn zone(&self) -> Value {
        json!({"zone": {"id": ZONE, "name": self.published.origin(), "group": "", "user-id": 1, "ttl": DEFAULT_TTL}})
    }

    fn list(&self, request: &Incoming) -> Reply {
        let fits = |name: &str, value: &str| request.parameter(name).is_none_or(|wanted| wanted == value);
        let wanted = request.parameter("name").map(|name| self.absolute(&name));
        let entries = self.entries.iter().filter(|entry| {
            wanted.as_ref().is_none_or(|wanted| *wanted == entry.name) && fits("record_type", &entry.kind)
        });
        Reply::json(200, &entries.map(told).collect())
    }

    fn create(&mut self, body: &Value) -> Outcome<Self> {
        let entry = Entry {
            id: self.new_id(),
            name: self.absolute(""),
            kind: String::new(),
            data: String::new(),
            aux: None,
            ttl: DEFAULT_TTL,
        };
        match self.accepted(entry, body, None) {
            Ok(entry) => {
                let reply = Reply::json(201, &told(&entry));
                self.entries.push(entry);
                self.written(reply)
            }
            Err(refusal) => refusal.into(),
        }
    }

    fn record(&mut self, method: &str, id: &str, body: &Value) -> Outcome<Self> {
        let position = self.entries.iter().position(|entry| entry.id.to_string() == id);
        let found = position.and_then(|position| Some((position, self.entries.get(position)?.clone())));
        let Some((position, entry)) = found else {
            return not_found().into();
        };
        match method {
            "GET" => Reply::json(200, &told(&entry)).into(),
            "DELETE" => {
                self.entries.remove(position);
                self.written(Reply::json(202, &json!({"zone_record": {"status": "OK"}})))
            }
            "PUT" => match self.accepted(entry, body, Some(position)) {
                Ok(entry) => {
                    let reply = Reply::json(202, &told(&entry));
                    if let Some(place) = self.entries.get_mut(position) {
                        *place = entry;
                    }
                    self.written(reply)
                }
                Err(refusal) => refusal.into(),
            },
            _ => not_found().into(),
        }
    }

    /// The entry with what the body names, in the place of the one at `position`; or why it is refused.
    fn accepted(&self, mut entry: Entry, body: &Value, position: Option<usize>) -> Result<Entry, Reply> {
        let Some(told) = body.get("zone_record") else {
            return Err(wrong("zone_record", "is missing"));
        };
        let text = |field: &str| told.get(field).and_then(Value::as_str).map(str::to_owned);
        entry.name = text("name").map_or(entry.name, |name| self.absolute(&name));
        entry.kind = text("record_type").unwrap_or(entry.kind);
        entry.data = text("data").unwrap_or(entry.data);
        if ["CNAME", "MX", "NS", "PTR", "ALIAS"].contains(&entry.kind.as_str()) {
            entry.data = format!("{}.", entry.data.trim_end_matches('.'));
        }
        entry.aux = told.get("aux").and_then(Value::as_u64).or(entry.aux);
        let ttl = told
            .get("ttl")
            .and_then(Value::as_u64)
            .and_then(|ttl| ttl.try_into().ok());
        entry.ttl = ttl.unwrap_or(entry.ttl);
        if entry.kind == "TXT" {
            entry.data = txt::split(&entry.data);
        }
        if entry.kind != "ALIAS" && row(&entry).read(self.published.origin()).is_err() {
            return Err(wrong("data", "is invalid"));
        }
        let others = self.entries.iter().enumerate().filter(|(at, _)| Some(*at) != position);
        let mut rows: Vec<_> = others.map(|(_, other)| row(other)).collect();
        rows.push(row(&entry));
        match self.published.check(&zone::resolved(rows, &self.world)) {
            Ok(()) => Ok(entry),
            Err(_) => Err(wrong("name", "conflicts with another record")),
        }
    }

    fn absolute(&self, name: &str) -> String {
        let origin = self.published.origin();
        match name.to_lowercase() {
            name if name.ends_with('.') => name,
            name if name.is_empty() => format!("{origin}."),
            name => format!("{name}.{origin}."),
        }
    }

    fn written(&self, reply: Reply) -> Outcome<Self> {
        let rows = self.rows();
        let turn = self.published.turn();
        Outcome::from(reply).then(self.delay, move |service: &mut Self| {
            // It was checked.
            let _ = service.published.publish_in_turn(turn, &rows);
        })
    }

    fn rows(&self) -> Vec<Row> {
        zone::resolved(self.entries.iter().map(row).collect(), &self.world)
    }
}

fn told(entry: &Entry) -> Value {
    json!({"zone_record": {
        "id": entry.id,
        "name": entry.name,
        "record_type": entry.kind,
        "data": entry.data,
        "aux": entry.aux,
        "ttl": entry.ttl,
        "zone_id": ZONE,
    }})
}

fn row(entry: &Entry) -> Row {
    let data = match (entry.kind.as_str(), entry.aux) {
        ("MX", aux) => format!("{} {}", aux.unwrap_or_default(), entry.data),
        _ => entry.data.clone(),
    };
    Row {
        name: entry.name.clone(),
        kind: entry.kind.clone(),
        ttl: entry.ttl,
        data,
    }
}

/// Not even JSON.
fn not_found() -> Reply {
    Reply::text(404, "text/plain", "Not found".to_owned())
}

fn wrong(field: &str, message: &str) -> Reply {
    Reply::json(422, &json!([[field, message]]))
}

fn refused(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"error": message}))
}
