//! OVHcloud's `/domain/zone` (API 1.0).
//!
//! What bites, and is here: **nothing is served before `refresh`**, and what is written after it waits for the next;
//! only one refresh runs at a time (another gets 409), and `status.isDeployed` speaks of the last refresh, not of
//! what was written since; its answer has no body (204, not JSON). The signature is made with the server's clock, and
//! that clock is not ours. A sent TTL of 0 means the zone's (3600) and is read back as 0. Data of a TXT comes
//! back quoted, and split beyond 255 octets. SPF, DKIM and DMARC are types of their own, served as TXT, which a filter
//! on TXT does not list. A target without a dot at its end is relative to the zone. `fieldType` cannot be changed, and
//! is ignored in a PUT. The same record can be made twice. Ids change when somebody edits the zone as text
//! ([`Ovh::renumber`]). An alias beside other data is taken, and then the zone does not deploy. The credential is
//! limited to the rules that a zone's operator needs ([`Ovh::grant`] gives more).

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Calls, Fake, FakeOptions, Incoming, Limit, Outcome, Published, Reply, Row, Service, answer_id, txt, zone};
use crate::dns::query::Record;

mod access;

use access::Access;

/// What a TTL of 0 stands for, in seconds.
const DEFAULT_TTL: u32 = 3600;
const TYPES: [&str; 19] = [
    "A", "AAAA", "CAA", "CNAME", "DKIM", "DMARC", "DNAME", "HTTPS", "LOC", "MX", "NAPTR", "NS", "PTR", "SPF", "SRV",
    "SSHFP", "SVCB", "TLSA", "TXT",
];

/// A running fake of OVHcloud.
pub type Ovh = Fake<OvhService>;

/// The service behind [`Ovh`].
pub struct OvhService {
    access: Access,
    published: Published,
    delay: Duration,
    entries: Vec<Entry>,
    next_id: u64,
    /// A refresh is running.
    deploying: bool,
    /// Why the last one failed.
    errors: Option<Vec<String>>,
}

#[derive(Clone)]
struct Entry {
    id: u64,
    sub_domain: String,
    field_type: String,
    target: String,
    ttl: u32,
}

impl Ovh {
    /// What the service takes: 20 calls a second: what public clients keep to, the service names no number.
    pub const LIMITS: [Limit; 1] = [Limit {
        calls: Calls::All,
        burst: 20,
        every: Duration::from_millis(50),
    }];

    /// Starts it. `delay` is how long a refresh takes.
    ///
    /// # Errors
    /// If the zone does not parse, or no port is free.
    pub async fn start(options: FakeOptions) -> Result<Self> {
        let delay = options.delay;
        Self::start_with(&options, "/1.0", |published| {
            Ok(OvhService {
                access: Access::new(published.origin())?,
                published,
                delay,
                entries: Vec::new(),
                next_id: 5_000_000_001,
                deploying: false,
                errors: None,
            })
        })
        .await
    }

    /// The application's key.
    pub fn application_key(&self) -> String {
        self.service().access.application_key.clone()
    }

    /// The application's secret.
    pub fn application_secret(&self) -> String {
        self.service().access.application_secret.clone()
    }

    /// The consumer's key.
    pub fn consumer_key(&self) -> String {
        self.service().access.consumer_key.clone()
    }

    /// A token that does without keys and signatures (`Authorization: Bearer`).
    pub fn token(&self) -> String {
        self.service().access.token.clone()
    }

    /// Lets the credential make these calls too. A `*` stands for anything.
    pub fn grant(&self, method: &str, path: &str) {
        self.service().access.rules.push((method.to_owned(), path.to_owned()));
    }

    /// When the credential's time is over, as the service tells it (RFC 3339). Absent: never.
    pub fn set_expiration(&self, when: Option<&str>) {
        self.service().access.expiration = when.map(str::to_owned);
    }

    /// Gives every record another id, as when somebody edits the zone as text.
    pub fn renumber(&self) {
        let mut service = self.service();
        let OvhService { entries, next_id, .. } = &mut *service;
        for entry in entries {
            entry.id = *next_id;
            *next_id += 1;
        }
    }
}

impl Service for OvhService {
    fn answer(&mut self, request: &Incoming) -> Outcome<Self> {
        let route = request.route();
        let route: Vec<&str> = route.iter().map(String::as_str).collect();
        let (method, path) = match route.as_slice() {
            [method, "1.0" | "v1", path @ ..] => (*method, path),
            _ => return not_found("Got an invalid (or empty) URL").into(),
        };
        if (method, path) == ("GET", &["auth", "time"]) {
            return Reply::json(200, &json!(Access::now())).into();
        }
        if let Err(refusal) = self.access.check(request, path) {
            return refusal.into();
        }
        match (method, path) {
            ("GET", ["auth", "currentCredential"]) => Reply::json(200, &self.access.credential()).into(),
            ("GET", ["domain", "zone"]) => Reply::json(200, &json!([self.published.origin()])).into(),
            (_, ["domain", "zone", zone, ..]) if *zone != self.published.origin() => {
                not_found("This service does not exist").into()
            }
            (_, ["domain", "zone", _, rest @ ..]) => self.zone(method, rest, request),
            _ => not_found("Got an invalid (or empty) URL").into(),
        }
    }

    fn forbids(&self, request: &Incoming) -> bool {
        let last = request.path.rsplit('/').next().unwrap_or_default();
        request.method == "POST" && ["import", "reset", "terminate", "confirmTermination"].contains(&last)
    }

    fn throttle(&self, wait: Duration) -> Reply {
        refused(429, "Client::TooManyRequests", "Too many requests").retry_after(wait)
    }

    fn seed(&mut self, records: &[Record]) -> Result<()> {
        let origin = self.published.origin().to_owned();
        for record in records {
            let entry = Entry {
                id: self.next_id,
                sub_domain: zone::relative(&record.name, &origin),
                field_type: record.kind.to_string(),
                target: record.data.clone(),
                ttl: record.ttl,
            };
            self.next_id += 1;
            self.entries.push(entry);
        }
        self.published.publish(&self.rows())
    }

    fn stored(&self) -> Vec<Record> {
        zone::readable(self.published.origin(), &self.rows())
    }

    fn expire(&mut self, expired: bool) {
        self.access.expired = expired;
    }
}

impl OvhService {
    /// A call below `/domain/zone/{zone}`.
    fn zone(&mut self, method: &str, path: &[&str], request: &Incoming) -> Outcome<Self> {
        let body = request.json();
        match (method, path) {
            ("GET", []) => Reply::json(200, &self.describe()).into(),
            ("GET", ["status"]) => {
                let deployed = !self.deploying && self.errors.is_none();
                let status = json!({"isDeployed": deployed, "errors": self.errors, "warnings": null});
                Reply::json(200, &status).into()
            }
            ("GET", ["soa"]) => {
                let server = format!("ns1.{}.", self.published.origin());
                Reply::json(200, &json!({"server": server, "serial": self.published.serial()})).into()
            }
            ("GET", ["export"]) => {
                let rows = self.rows();
                let lines = rows.iter().map(|Row { name, kind, ttl, data }| {
                    let name = if name.is_empty() { "@" } else { name };
                    format!("{name}\t{ttl}\tIN\t{kind}\t{data}\n")
                });
                let lines = lines.collect::<Vec<_>>().concat();
                let text = format!("$TTL {DEFAULT_TTL}\n@\tIN SOA {}\n{lines}", self.published.soa());
                Reply::json(200, &json!(text)).into()
            }
            ("GET", ["record"]) => self.list(request).into(),
            ("POST", ["record"]) => self.create(&body).into(),
            ("GET" | "PUT" | "DELETE", ["record", id]) => self.record(method, id, &body).into(),
            ("POST", ["refresh"]) => self.refresh(),
            ("POST", ["import" | "reset" | "terminate"]) => self.replace(&body).into(),
            _ => not_found("Got an invalid (or empty) URL").into(),
        }
    }

    fn describe(&self) -> Value {
        json!({
            "name": self.published.origin(),
            "nameServers": [format!("ns1.{}", self.published.origin())],
            "lastUpdate": "2026-11-23T06:00:00+01:00",
            "hasDnsAnycast": false,
            "dnssecSupported": true,
        })
    }

    fn list(&self, request: &Incoming) -> Reply {
        let (wanted_type, wanted_sub) = (request.parameter("fieldType"), request.parameter("subDomain"));
        let entries = self.entries.iter().filter(|entry| {
            let type_fits = wanted_type.as_ref().is_none_or(|wanted| *wanted == entry.field_type);
            type_fits && wanted_sub.as_ref().is_none_or(|wanted| *wanted == entry.sub_domain)
        });
        Reply::json(200, &entries.map(|entry| entry.id).collect())
    }

    fn create(&mut self, body: &Value) -> Reply {
        let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
        let (Some(field_type), Some(target)) = (text("fieldType"), text("target")) else {
            return refused(400, "Client::BadRequest", "Missing fieldType or target");
        };
        let entry = Entry {
            id: self.next_id,
            sub_domain: text("subDomain").unwrap_or_default().to_lowercase(),
            field_type,
            target,
            ttl: ttl(body).unwrap_or_default(),
        };
        let entry = match self.accepted(entry) {
            Ok(entry) => entry,
            Err(refusal) => return refusal,
        };
        self.next_id += 1;
        let answer = self.told(&entry);
        self.entries.push(entry);
        Reply::json(200, &answer)
    }

    fn record(&mut self, method: &str, id: &str, body: &Value) -> Reply {
        let position = self.entries.iter().position(|entry| entry.id.to_string() == id);
        let found = position.and_then(|position| Some((position, self.entries.get(position)?.clone())));
        let Some((position, mut entry)) = found else {
            return not_found(&format!("The requested object (id = {id}) does not exist"));
        };
        match method {
            "GET" => return Reply::json(200, &self.told(&entry)),
            "DELETE" => {
                self.entries.remove(position);
                return Reply::json(200, &Value::Null);
            }
            _ => {}
        }
        let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
        entry.sub_domain = text("subDomain").unwrap_or(entry.sub_domain).to_lowercase();
        entry.target = text("target").unwrap_or(entry.target);
        entry.ttl = ttl(body).unwrap_or(entry.ttl);
        match self.accepted(entry) {
            Ok(entry) => {
                if let Some(place) = self.entries.get_mut(position) {
                    *place = entry;
                }
                Reply::json(200, &Value::Null)
            }
            Err(refusal) => refusal,
        }
    }

    /// The entry as it is stored, or why it is not.
    fn accepted(&self, mut entry: Entry) -> Result<Entry, Reply> {
        let refuse = |why: &str| Err(refused(400, "Client::BadRequest", why));
        if !TYPES.contains(&entry.field_type.as_str()) {
            return refuse(&format!("[fieldType] {:?} is not a valid type", entry.field_type));
        }
        if matches!(entry.field_type.as_str(), "A" | "AAAA") && entry.sub_domain.contains('_') {
            return refuse("Invalid domain name, underscore not allowed");
        }
        if entry.field_type == "DMARC" && entry.sub_domain.split('.').next() != Some("_dmarc") {
            return refuse("Invalid subdomain: a DMARC is at _dmarc");
        }
        if (1..60).contains(&entry.ttl) {
            return refuse("Invalid ttl: at least 60, or 0 for the zone's");
        }
        if entry.field_type == "TXT" {
            entry.target = txt::split(&entry.target);
        }
        if row(&entry).read(self.published.origin()).is_err() {
            return refuse(&format!("Invalid target {:?}", entry.target));
        }
        Ok(entry)
    }

    fn told(&self, entry: &Entry) -> Value {
        json!({
            "id": entry.id,
            "zone": self.published.origin(),
            "fieldType": entry.field_type,
            "subDomain": entry.sub_domain,
            "target": entry.target,
            "ttl": entry.ttl,
        })
    }

    fn refresh(&mut self) -> Outcome<Self> {
        if self.deploying {
            return refused(409, "Client::Conflict", "A refresh of this zone is already running").into();
        }
        self.deploying = true;
        let rows = self.rows();
        let turn = self.published.turn();
        Outcome::from(Reply::empty(204)).then(self.delay, move |service: &mut Self| {
            service.deploying = false;
            let published = service.published.publish_in_turn(turn, &rows);
            service.errors = published.err().map(|error| vec![format!("{error:#}")]);
        })
    }

    /// What no client of ours may do: all that was there goes.
    fn replace(&mut self, body: &Value) -> Reply {
        let text = body.get("zoneFile").and_then(Value::as_str).unwrap_or_default();
        let records = zone::records(self.published.origin(), text).unwrap_or_default();
        self.entries.clear();
        match self.seed(&records) {
            Ok(()) => Reply::json(200, &json!({"id": 1, "function": "DnsImport", "status": "done"})),
            Err(error) => refused(400, "Client::BadRequest", &error.to_string()),
        }
    }

    fn rows(&self) -> Vec<Row> {
        self.entries.iter().map(row).collect()
    }
}

/// The entry as its name servers read it.
fn row(entry: &Entry) -> Row {
    let (kind, data) = match entry.field_type.as_str() {
        "SPF" | "DKIM" | "DMARC" => ("TXT", txt::split(&entry.target)),
        kind => (kind, entry.target.clone()),
    };
    Row {
        name: entry.sub_domain.clone(),
        kind: kind.to_owned(),
        ttl: if entry.ttl == 0 { DEFAULT_TTL } else { entry.ttl },
        data,
    }
}

fn ttl(body: &Value) -> Option<u32> {
    body.get("ttl").and_then(Value::as_u64)?.try_into().ok()
}

fn not_found(message: &str) -> Reply {
    refused(404, "Client::NotFound", message)
}

fn refused(status: u16, class: &str, message: &str) -> Reply {
    let body = json!({"class": class, "message": message, "details": {}});
    Reply::json(status, &body).header("x-ovh-queryid", answer_id())
}
