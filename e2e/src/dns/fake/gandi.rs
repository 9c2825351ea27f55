//! Gandi's LiveDNS (API v5).
//!
//! What bites, and is here: **`PUT` and `DELETE` of `…/records` are about the whole zone, those of `…/records/{name}`
//! about all types of a name**, so that a path that lost its end empties a zone. A set is written as a whole, and kept
//! under the label as it was written first: **a `PUT` in other letters makes a second set** beside it, which DNS cannot
//! tell from the first. `POST` makes a set that must not exist. A TTL is between 300 and 2 592 000. Lists come in pages,
//! whose number is in `total-count` and whose next is in `Link`. Strings of a TXT come back quoted, and
//! have at most 255 octets each. ALIAS stands at the apex only, and not in a signed zone. The apex's NS cannot be changed. `Dry-Run: 1` writes nothing and says that
//! all is well. A personal access token ends after a year at most: 401. What is written is served at once.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Calls, Fake, FakeOptions, Incoming, Limit, Outcome, Published, Reply, Row, Service, zone};
use crate::dns::daemon::{hex, random};
use crate::dns::query::Record;

mod records;

/// A running fake of Gandi.
pub type Gandi = Fake<GandiService>;

/// The service behind [`Gandi`].
pub struct GandiService {
    token: String,
    expired: bool,
    signed: bool,
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
    /// What the service takes: 1,000 calls a minute.
    pub const LIMITS: [Limit; 1] = [Limit {
        calls: Calls::All,
        burst: 1000,
        every: Duration::from_millis(60),
    }];

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
                signed: false,
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

    /// Signs the zone (DNSSEC).
    pub fn sign(&self) {
        self.service().signed = true;
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
    let rows = values.map(|value| Row {
        name: if set.name == "@" {
            String::new()
        } else {
            set.name.clone()
        },
        kind: set.kind.clone(),
        ttl: set.ttl,
        data: value.clone(),
    });
    rows.collect()
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
