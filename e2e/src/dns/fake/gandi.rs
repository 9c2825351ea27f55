//! Gandi's LiveDNS (API v5).
//!
//! What bites, and is here: **`PUT` and `DELETE` of `…/records` are about the whole zone, those of `…/records/{name}`
//! about all types of a name**, so that a path that lost its end empties a zone. A set is written as a whole, and kept
//! under the label as it was written first: **a `PUT` in other letters makes a second set** beside it, which DNS cannot
//! tell from the first. `POST` makes a set that must not exist. A TTL is between 300 and 2 592 000. Lists come in pages,
//! whose number is in `total-count` and whose next is in `Link`. Strings of a TXT are quoted, each of at most 255
//! octets. ALIAS stands at the apex only. The apex's NS cannot be changed. `Dry-Run: 1` writes nothing and says that
//! all is well. A personal access token ends after a year at most: 401. What is written is served at once.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Fake, FakeOptions, Incoming, Outcome, Published, Reply, Row, Service, txt, zone};
use crate::dns::daemon::{hex, random};
use crate::dns::query::Record;

/// The bounds of a TTL, in seconds.
const TTL: std::ops::RangeInclusive<u64> = 300..=2_592_000;
/// Sets on a page, unless the caller asks for fewer.
const PAGE: usize = 100;

/// A running fake of Gandi.
pub type Gandi = Fake<GandiService>;

/// The service behind [`Gandi`].
pub struct GandiService {
    token: String,
    expired: bool,
    published: Published,
    world: Vec<(String, IpAddr)>,
    sets: Vec<Set>,
    snapshots: Vec<Vec<Set>>,
}

#[derive(Clone)]
struct Set {
    /// As it was written first; the apex is `@`.
    name: String,
    kind: String,
    ttl: u32,
    values: Vec<String>,
}

impl Gandi {
    /// Starts it. It serves at once: there is no `delay`.
    ///
    /// # Errors
    /// If the zone does not parse, or no port is free.
    pub async fn start(options: FakeOptions) -> Result<Self> {
        let token = hex(&random::<16>()?);
        let world = options.world.clone();
        Self::start_with(&options, "/v5/livedns", |published| {
            Ok(GandiService {
                token,
                expired: false,
                published,
                world,
                sets: Vec::new(),
                snapshots: Vec::new(),
            })
        })
        .await
    }

    /// The personal access token (`Authorization: Bearer`).
    pub fn token(&self) -> String {
        self.service().token.clone()
    }

    /// How many snapshots were made.
    pub fn snapshots(&self) -> usize {
        self.service().snapshots.len()
    }
}

impl Service for GandiService {
    fn answer(&mut self, request: &Incoming) -> Outcome<Self> {
        let route = request.route();
        let route: Vec<&str> = route.iter().map(String::as_str).collect();
        let [method, "v5", "livedns", "domains", path @ ..] = route.as_slice() else {
            return not_found("api", "No such resource").into();
        };
        if self.expired || request.header("authorization") != format!("Bearer {}", self.token) {
            return refused(
                401,
                "Unauthorized",
                "",
                "The server could not verify that you are authorized",
            )
            .into();
        }
        match path {
            [] => {
                let origin = self.published.origin();
                let href = format!("{}/{origin}", request.url());
                Reply::json(200, &json!([{"fqdn": origin, "domain_href": href}])).into()
            }
            [zone, ..] if *zone != self.published.origin() => {
                refused(403, "Forbidden", "domain", "Access to this resource is denied").into()
            }
            [_] if *method == "GET" => {
                let domain = json!({"fqdn": self.published.origin(), "automatic_snapshots": false});
                Reply::json(200, &domain).into()
            }
            [_, "records", rest @ ..] => self.records(method, rest, request).into(),
            [_, "snapshots", rest @ ..] => self.snapshot(method, rest).into(),
            _ => not_found("api", "No such resource").into(),
        }
    }

    fn forbids(&self, request: &Incoming) -> bool {
        let route = request.route();
        let route: Vec<&str> = route.iter().map(String::as_str).collect();
        matches!(
            route.as_slice(),
            ["PUT" | "DELETE", _, _, _, _, "records"] | ["PUT" | "DELETE", _, _, _, _, "records", _]
        )
    }

    fn throttle(&self, wait: Duration) -> Reply {
        refused(429, "Too Many Requests", "", "Rate limit exceeded").retry_after(wait)
    }

    fn seed(&mut self, records: &[Record]) -> Result<()> {
        let origin = self.published.origin().to_owned();
        for record in records {
            let name = zone::relative(&record.name, &origin);
            let name = if name.is_empty() { "@".to_owned() } else { name };
            self.add(name, &record.kind.to_string(), record.ttl, &record.data);
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

impl GandiService {
    /// A call below `…/records`.
    fn records(&mut self, method: &str, path: &[&str], request: &Incoming) -> Reply {
        match (method, path) {
            ("GET", [] | [_]) => self.list(path.first().copied(), request),
            ("GET", [name, kind]) => match self.position(name, kind) {
                Some(at) => Reply::json(200, &self.sets.get(at).map(|set| self.told(set)).unwrap_or_default()),
                None => missing(name, kind),
            },
            ("PUT" | "POST", [name, kind]) => self.write(method, name, kind, request),
            ("POST", []) => {
                let body = request.json();
                let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
                self.write(method, &text("rrset_name"), &text("rrset_type"), request)
            }
            ("DELETE", [name, kind]) => match self.position(name, kind) {
                Some(_) if is_fixed(name, kind) => fixed(),
                Some(at) => {
                    let mut sets = self.sets.clone();
                    sets.remove(at);
                    self.replace(sets, Reply::empty(204))
                }
                None => missing(name, kind),
            },
            ("PUT", []) => self.replace_all(request),
            ("DELETE", []) => self.keep(|_| false),
            ("DELETE", [name]) => self.keep(|set| set.name != *name),
            _ => not_found("api", "No such resource"),
        }
    }

    fn list(&self, name: Option<&str>, request: &Incoming) -> Reply {
        if request.header("accept").contains("text/plain") {
            let values = self
                .sets
                .iter()
                .flat_map(|set| set.values.iter().map(move |value| (set, value)));
            let lines = values.map(|(set, value)| format!("{} {} IN {} {value}\n", set.name, set.ttl, set.kind));
            return Reply::text(200, "text/plain", lines.collect::<Vec<_>>().concat());
        }
        let number = |name: &str| request.parameter(name).and_then(|value| value.parse::<usize>().ok());
        let (page, size) = (
            number("page").unwrap_or(1).max(1),
            number("per_page").unwrap_or(PAGE).clamp(1, PAGE),
        );
        let sets = self.sets.iter().filter(|set| name.is_none_or(|name| set.name == name));
        let sets: Vec<_> = sets.map(|set| self.told(set)).collect();
        let shown: Vec<_> = sets.iter().skip((page - 1) * size).take(size).collect();
        let reply = Reply::json(200, &json!(shown)).header("total-count", sets.len().to_string());
        if page * size < sets.len() {
            let (host, path) = (request.header("host"), &request.path);
            let next = format!("<http://{host}{path}?page={}&per_page={size}>; rel=\"next\"", page + 1);
            return reply.header("link", next);
        }
        reply
    }

    fn write(&mut self, method: &str, name: &str, kind: &str, request: &Incoming) -> Reply {
        let set = match self.read(name, kind, &request.json()) {
            Ok(set) => set,
            Err(refusal) => return refusal,
        };
        let at = self.position(name, kind);
        if method == "POST" && at.is_some() {
            return refused(
                409,
                "Conflict",
                "dns-record",
                "A DNS record already exists with same value",
            );
        }
        let mut sets = self.sets.clone();
        match at.and_then(|at| sets.get_mut(at)) {
            Some(place) => *place = set,
            None => sets.push(set),
        }
        let done = Reply::json(201, &json!({"message": "DNS Record Created"}));
        if request.header("dry-run") == "1" {
            return match self.check(&sets) {
                Ok(()) => Reply::json(200, &json!({"status": "success"})),
                Err(refusal) => refusal,
            };
        }
        self.replace(sets, done)
    }

    /// The set of a body, or why it is none.
    fn read(&self, name: &str, kind: &str, body: &Value) -> Result<Set, Reply> {
        let invalid = |field: &str, why: &str| {
            let error = json!({"location": "body", "name": field, "description": why});
            Err(Reply::json(400, &json!({"status": "error", "errors": [error]})))
        };
        if is_fixed(name, kind) {
            return Err(fixed());
        }
        if kind == "ALIAS" && name != "@" {
            return invalid("rrset_type", "ALIAS is allowed at the apex only");
        }
        let ttl = body.get("rrset_ttl").map_or(Some(10_800), Value::as_u64);
        let Some(ttl) = ttl.filter(|ttl| TTL.contains(ttl)) else {
            return invalid("rrset_ttl", "out of range (300-2592000)");
        };
        let values = body.get("rrset_values").and_then(Value::as_array);
        let values: Option<Vec<_>> = values.and_then(|values| {
            let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
            texts.collect()
        });
        let Some(values) = values.filter(|values| !values.is_empty()) else {
            return invalid("rrset_values", "required");
        };
        let ttl = u32::try_from(ttl).unwrap_or_default();
        let (name, kind) = (name.to_owned(), kind.to_owned());
        let set = Set {
            name,
            kind,
            ttl,
            values,
        };
        let origin = self.published.origin();
        if zone::resolved(rows(&set), &self.world)
            .iter()
            .any(|row| row.read(origin).is_err())
        {
            return invalid("rrset_values", "not a valid value for this type");
        }
        Ok(set)
    }

    fn snapshot(&mut self, method: &str, path: &[&str]) -> Reply {
        match (method, path) {
            ("POST", []) => {
                self.snapshots.push(self.sets.clone());
                let id = self.snapshots.len();
                Reply::json(201, &json!({"id": id.to_string(), "message": "Zone snapshot created"}))
            }
            ("GET", []) => {
                let ids = 1..=self.snapshots.len();
                Reply::json(
                    200,
                    &ids.map(|id| json!({"id": id.to_string(), "automatic": false}))
                        .collect(),
                )
            }
            ("GET", [id]) => {
                let index = id.parse::<usize>().ok().and_then(|id| id.checked_sub(1));
                match index.and_then(|index| self.snapshots.get(index)) {
                    Some(sets) => {
                        let told: Vec<_> = sets.iter().map(|set| self.told(set)).collect();
                        Reply::json(200, &json!({"id": id, "zone_data": told}))
                    }
                    None => not_found("dns-snapshot", "No such snapshot"),
                }
            }
            _ => not_found("api", "No such resource"),
        }
    }

    /// What no client of ours may do: what is not in the body goes.
    fn replace_all(&mut self, request: &Incoming) -> Reply {
        let body = request.json();
        let items = body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut sets: Vec<_> = self
            .sets
            .iter()
            .filter(|set| is_fixed(&set.name, &set.kind))
            .cloned()
            .collect();
        for item in items {
            let text = |field: &str| item.get(field).and_then(Value::as_str).unwrap_or_default();
            match self.read(text("rrset_name"), text("rrset_type"), &item) {
                Ok(set) => sets.push(set),
                Err(refusal) => return refusal,
            }
        }
        self.replace(sets, Reply::json(201, &json!({"message": "DNS Records Created"})))
    }

    fn keep(&mut self, keep: impl Fn(&Set) -> bool) -> Reply {
        let mut sets = self.sets.clone();
        sets.retain(|set| keep(set) || is_fixed(&set.name, &set.kind));
        self.replace(sets, Reply::empty(204))
    }

    /// Takes these sets if they can be served, and serves them.
    fn replace(&mut self, sets: Vec<Set>, done: Reply) -> Reply {
        if let Err(refusal) = self.check(&sets) {
            return refusal;
        }
        self.sets = sets;
        match self.published.publish(&self.rows()) {
            Ok(()) => done,
            Err(error) => refused(500, "Internal Server Error", "", &error.to_string()),
        }
    }

    /// Whether an alias stands beside other data.
    fn check(&self, sets: &[Set]) -> Result<(), Reply> {
        let conflict = "A CNAME record cannot coexist with other records";
        let checked = self.published.check(&self.served(sets));
        checked.map_err(|_| refused(409, "Conflict", "dns-record", conflict))
    }

    /// Labels are compared as they are written.
    fn position(&self, name: &str, kind: &str) -> Option<usize> {
        self.sets.iter().position(|set| set.name == name && set.kind == kind)
    }

    fn add(&mut self, name: String, kind: &str, ttl: u32, value: &str) {
        if let Some(set) = self.position(&name, kind).and_then(|at| self.sets.get_mut(at)) {
            set.values.push(value.to_owned());
            return;
        }
        let (kind, values) = (kind.to_owned(), vec![value.to_owned()]);
        self.sets.push(Set {
            name,
            kind,
            ttl,
            values,
        });
    }

    fn told(&self, set: &Set) -> Value {
        let Set {
            name,
            kind,
            ttl,
            values,
        } = set;
        let origin = self.published.origin();
        json!({
            "rrset_name": name,
            "rrset_type": kind,
            "rrset_ttl": ttl,
            "rrset_values": values,
            "rrset_href": format!("https://api.gandi.net/v5/livedns/domains/{origin}/records/{name}/{kind}"),
        })
    }

    fn rows(&self) -> Vec<Row> {
        self.served(&self.sets)
    }

    fn served(&self, sets: &[Set]) -> Vec<Row> {
        zone::resolved(sets.iter().flat_map(rows).collect(), &self.world)
    }
}

/// The records of a set.
fn rows(set: &Set) -> Vec<Row> {
    let values = set.values.iter();
    let data = values.map(|value| match set.kind.as_str() {
        // What comes without quotes is taken as one string, which may be too long.
        "TXT" if txt::strings(value).is_none() => format!("\"{value}\""),
        _ => value.clone(),
    });
    data.map(|data| Row {
        name: if set.name == "@" {
            String::new()
        } else {
            set.name.clone()
        },
        kind: set.kind.clone(),
        ttl: set.ttl,
        data,
    })
    .collect()
}

fn is_fixed(name: &str, kind: &str) -> bool {
    (name, kind) == ("@", "NS")
}

fn fixed() -> Reply {
    refused(
        403,
        "Forbidden",
        "dns-record",
        "NS records at the apex cannot be changed",
    )
}

fn missing(name: &str, kind: &str) -> Reply {
    not_found(
        "dns-record",
        &format!("Can't find the DNS record {name}/{kind} in the zone"),
    )
}

fn not_found(object: &str, message: &str) -> Reply {
    refused(404, "Not Found", object, message)
}

fn refused(status: u16, cause: &str, object: &str, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({"code": status, "message": message, "object": object, "cause": cause}),
    )
}
