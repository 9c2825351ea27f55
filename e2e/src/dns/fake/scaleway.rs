//! Scaleway's Domains and DNS (API v2beta1).
//!
//! What bites, and is here: lists have 20 records a page unless one asks for more. One PATCH is one version of the
//! zone, all of it or nothing, so that an A becomes a CNAME in one call; **it also knows `clear`, which empties the
//! zone**. A PATCH of a zone that is not there **makes that zone**, and takes its names out of the one above, unless
//! `disallow_new_zone_creation` says no. Names are relative, the apex being empty; an absolute one is understood by the
//! dot at its end, and without that dot it ends up below the zone twice. The priority of an MX is taken from a
//! field of its own or from the data, and comes back in both. Strings of a TXT come back quoted. A new version is served
//! after a moment, until which the zone's status is `pending`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Fake, FakeOptions, Incoming, Outcome, Published, Reply, Row, Service, txt, zone};
use crate::dns::daemon::{hex, random};
use crate::dns::query::Record;

mod change;

/// Records on a page, unless the caller asks for another number, and the most that it gets.
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 1000;

/// A running fake of Scaleway.
pub type Scaleway = Fake<ScalewayService>;

/// The service behind [`Scaleway`].
pub struct ScalewayService {
    token: String,
    expired: bool,
    published: Published,
    world: Vec<(String, IpAddr)>,
    delay: Duration,
    entries: Vec<Entry>,
    next_id: u64,
    versions: Vec<Vec<Entry>>,
    /// How many versions are not served yet.
    pending: usize,
    /// The zones that came to be by themselves, and what was put there.
    children: BTreeMap<String, Vec<Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    id: String,
    name: String,
    kind: String,
    data: String,
    ttl: u32,
    priority: u64,
    comment: Value,
}

impl Scaleway {
    /// Starts it. `delay` is the moment until a version is served.
    ///
    /// # Errors
    /// If the zone does not parse, or no port is free.
    pub async fn start(options: FakeOptions) -> Result<Self> {
        let token = hex(&random::<16>()?);
        let (delay, world) = (options.delay, options.world.clone());
        Self::start_with(&options, "/domain/v2beta1", |published| {
            Ok(ScalewayService {
                token,
                expired: false,
                published,
                world,
                delay,
                entries: Vec::new(),
                next_id: 1,
                versions: Vec::new(),
                pending: 0,
                children: BTreeMap::new(),
            })
        })
        .await
    }

    /// The secret key (`X-Auth-Token`).
    pub fn token(&self) -> String {
        self.service().token.clone()
    }

    /// The zones that came to be by themselves.
    pub fn children(&self) -> Vec<String> {
        self.service().children.keys().cloned().collect()
    }

    /// How many versions the zone had.
    pub fn versions(&self) -> usize {
        self.service().versions.len()
    }
}

impl Service for ScalewayService {
    fn answer(&mut self, request: &Incoming) -> Outcome<Self> {
        let route = request.route();
        let route: Vec<&str> = route.iter().map(String::as_str).collect();
        let [method, "domain", "v2beta1", "dns-zones", path @ ..] = route.as_slice() else {
            return refused(404, "not_found", "no such resource").into();
        };
        if self.expired || request.header("x-auth-token") != self.token {
            return refused(401, "denied_authentication", "authentication is denied").into();
        }
        let origin = self.published.origin();
        match (*method, path) {
            ("GET", []) => self.zones(request).into(),
            ("PATCH", [zone, "records"]) if *zone != origin => self.patch_other(zone, &request.json()).into(),
            ("GET", ["version", id, "show"]) => self.version(id, request).into(),
            (_, [zone, ..]) if *zone != origin => refused(404, "not_found", "zone is not found").into(),
            ("GET", [_, "records"]) => self.list(request).into(),
            ("PATCH", [_, "records"]) => self.patch(&request.json()),
            ("GET", [_, "versions"]) => self.list_versions(request).into(),
            ("GET", [_, "export"]) => self.export().into(),
            ("DELETE", [_] | [_, "records"]) => self.commit(Vec::new(), Reply::json(200, &json!({}))),
            ("PUT", [_, "nameservers"]) => Reply::json(200, &json!({"ns": []})).into(),
            _ => refused(404, "not_found", "no such resource").into(),
        }
    }

    fn forbids(&self, request: &Incoming) -> bool {
        let route = request.route();
        let route: Vec<&str> = route.iter().map(String::as_str).collect();
        match route.as_slice() {
            ["DELETE", _, _, "dns-zones", _]
            | ["DELETE", _, _, "dns-zones", _, "records"]
            | ["PUT", _, _, "dns-zones", _, "nameservers"] => true,
            ["PATCH", _, _, "dns-zones", zone, "records"] => {
                let body = request.json();
                let changes = body.get("changes").and_then(Value::as_array);
                let clears = changes.is_some_and(|all| all.iter().any(|change| change.get("clear").is_some()));
                clears || (*zone != self.published.origin() && !disallows_new_zones(&body))
            }
            _ => false,
        }
    }

    fn throttle(&self, wait: Duration) -> Reply {
        refused(429, "too_many_requests", "too many requests").retry_after(wait)
    }

    fn seed(&mut self, records: &[Record]) -> Result<()> {
        let origin = self.published.origin().to_owned();
        for record in records {
            let (priority, data) = match (record.kind.to_string().as_str(), record.data.split_once(' ')) {
                ("MX", Some((priority, data))) => (priority.parse().unwrap_or_default(), data),
                _ => (0, record.data.as_str()),
            };
            let entry = Entry {
                id: self.new_id(),
                name: zone::relative(&record.name, &origin),
                kind: record.kind.to_string(),
                data: data.to_owned(),
                ttl: record.ttl,
                priority,
                comment: Value::Null,
            };
            self.entries.push(entry);
        }
        self.versions.push(self.entries.clone());
        self.published.publish(&self.rows(&self.entries))
    }

    /// An ALIAS is told as what it is served as.
    fn stored(&self) -> Vec<Record> {
        zone::readable(self.published.origin(), &self.rows(&self.entries))
    }

    fn expire(&mut self, expired: bool) {
        self.expired = expired;
    }
}

impl ScalewayService {
    fn new_id(&mut self) -> String {
        self.next_id += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.next_id)
    }

    fn zones(&self, request: &Incoming) -> Reply {
        let origin = self.published.origin().to_owned();
        let names = std::iter::once(&origin).chain(self.children.keys());
        let parameter = |name: &str| request.parameter(name).filter(|wanted| !wanted.is_empty());
        let wanted = parameter("dns_zone").or_else(|| parameter("dns_zones"));
        let status = if self.pending > 0 { "pending" } else { "active" };
        let zones: Vec<_> = names
            .filter(|name| wanted.as_ref().is_none_or(|wanted| wanted == *name))
            .map(|name| {
                let sub_domain = zone::relative(name, &origin);
                json!({"domain": origin, "subdomain": sub_domain, "status": status, "ns": [format!("ns1.{origin}")]})
            })
            .collect();
        paged("dns_zones", &zones, request)
    }

    fn list(&self, request: &Incoming) -> Reply {
        let filter = |name: &str| request.parameter(name).filter(|value| !value.is_empty());
        let (name, id) = (filter("name"), filter("id"));
        let kind = filter("type")
            .filter(|kind| kind != "unknown")
            .map(|kind| kind.to_uppercase());
        let entries = self.entries.iter().filter(|entry| {
            let name_fits = name.as_ref().is_none_or(|wanted| *wanted == entry.name);
            let id_fits = id.as_ref().is_none_or(|wanted| *wanted == entry.id);
            name_fits && id_fits && kind.as_ref().is_none_or(|wanted| *wanted == entry.kind)
        });
        let entries: Vec<_> = entries.map(told).collect();
        paged("records", &entries, request)
    }

    fn patch(&mut self, body: &Value) -> Outcome<Self> {
        let before = self.entries.clone();
        let changes = body
            .get("changes")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let mut entries = before;
        for change in &changes {
            match self.changed(entries, change) {
                Ok(after) => entries = after,
                Err(refusal) => return refusal.into(),
            }
        }
        let rows = self.rows(&entries);
        if let Err(error) = self.published.check(&rows) {
            return refused(400, "invalid_arguments", &format!("{error:#}")).into();
        }
        let all = body
            .get("return_all_records")
            .and_then(Value::as_bool)
            .unwrap_or_default();
        let shown = entries
            .iter()
            .filter(|entry| all || !self.entries.iter().any(|old| old.id == entry.id));
        let reply = Reply::json(200, &json!({"records": shown.map(told).collect::<Vec<_>>()}));
        self.commit(entries, reply)
    }

    /// Makes these the zone's, as its next version, which is served in a moment.
    fn commit(&mut self, entries: Vec<Entry>, reply: Reply) -> Outcome<Self> {
        let rows = self.rows(&entries);
        self.versions.push(entries.clone());
        self.pending += 1;
        self.entries = entries;
        let turn = self.published.turn();
        Outcome::from(reply).then(self.delay, move |service: &mut Self| {
            service.pending -= 1;
            // It was checked.
            let _ = service.published.publish_in_turn(turn, &rows);
        })
    }

    /// A zone that is not there is made, and its names leave the one above: others answer for them.
    fn patch_other(&mut self, zone: &str, body: &Value) -> Reply {
        let origin = self.published.origin().to_owned();
        if !zone.ends_with(&format!(".{origin}")) {
            return refused(403, "permissions_denied", "insufficient permissions");
        }
        if !self.children.contains_key(zone) {
            if disallows_new_zones(body) {
                return refused(404, "not_found", "zone is not found");
            }
            let cut = Entry {
                id: self.new_id(),
                name: zone::relative(zone, &origin),
                kind: "NS".to_owned(),
                data: "ns0.dom.scw.cloud.".to_owned(),
                ttl: 1800,
                priority: 0,
                comment: Value::Null,
            };
            self.entries.push(cut);
            if let Err(error) = self.published.publish(&self.rows(&self.entries)) {
                return refused(500, "internal", &error.to_string());
            }
        }
        let mut entries = self.children.get(zone).cloned().unwrap_or_default();
        for change in body.get("changes").and_then(Value::as_array).into_iter().flatten() {
            match self.changed(entries, change) {
                Ok(after) => entries = after,
                Err(refusal) => return refusal,
            }
        }
        let records: Vec<_> = entries.iter().map(told).collect();
        self.children.insert(zone.to_owned(), entries);
        Reply::json(200, &json!({"records": records}))
    }

    fn list_versions(&self, request: &Incoming) -> Reply {
        let ids: Vec<_> = (1..=self.versions.len())
            .map(|id| json!({"id": id.to_string()}))
            .collect();
        paged("versions", &ids, request)
    }

    fn version(&self, id: &str, request: &Incoming) -> Reply {
        let index = id.parse::<usize>().ok().and_then(|id| id.checked_sub(1));
        match index.and_then(|index| self.versions.get(index)) {
            Some(entries) => {
                let records: Vec<_> = entries.iter().map(told).collect();
                paged("records", &records, request)
            }
            None => refused(404, "not_found", "version is not found"),
        }
    }

    fn export(&self) -> Reply {
        let rows = self.entries.iter().map(row);
        let lines = rows.map(|Row { name, kind, ttl, data }| {
            let name = if name.is_empty() { "@" } else { &name };
            format!("{name}\t{ttl}\tIN\t{kind}\t{data}\n")
        });
        let lines = lines.collect::<Vec<_>>().concat();
        let text = format!(
            "$ORIGIN {}.\n@\t3600\tIN\tSOA\t{}\n{lines}",
            self.published.origin(),
            self.published.soa()
        );
        Reply::text(200, "text/plain", text)
    }

    fn rows(&self, entries: &[Entry]) -> Vec<Row> {
        zone::resolved(entries.iter().map(row).collect(), &self.world)
    }
}

/// The page that was asked for.
fn paged(name: &str, items: &[Value], request: &Incoming) -> Reply {
    let number = |name: &str| request.parameter(name).and_then(|value| value.parse::<usize>().ok());
    let page = number("page").unwrap_or(1).max(1);
    let size = number("page_size").unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let shown: Vec<_> = items.iter().skip((page - 1) * size).take(size).collect();
    Reply::json(200, &json!({"total_count": items.len(), name: shown}))
}

/// The data as it comes back.
fn data(entry: &Entry) -> String {
    match entry.kind.as_str() {
        "MX" => format!("{} {}", entry.priority, entry.data),
        "TXT" => txt::split(&entry.data),
        _ => entry.data.clone(),
    }
}

fn row(entry: &Entry) -> Row {
    Row {
        name: entry.name.clone(),
        kind: entry.kind.clone(),
        ttl: entry.ttl,
        data: data(entry),
    }
}

fn told(entry: &Entry) -> Value {
    json!({
        "id": entry.id,
        "name": entry.name,
        "type": entry.kind,
        "data": data(entry),
        "ttl": entry.ttl,
        "priority": entry.priority,
        "comment": entry.comment,
    })
}

fn disallows_new_zones(body: &Value) -> bool {
    body.get("disallow_new_zone_creation") == Some(&Value::Bool(true))
}

fn refused(status: u16, kind: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"type": kind, "message": message, "details": []}))
}
