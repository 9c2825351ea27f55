//! The calls about sets of records.

use serde_json::{Value, json};

use super::super::{Incoming, Reply, txt, zone};
use super::{GandiService, Set, fixed, is_fixed, missing, not_found, refused, rows};
use crate::dns::query::quoted;

/// The bounds of a TTL, in seconds.
const TTL: std::ops::RangeInclusive<u64> = 300..=2_592_000;
/// Sets on a page, unless the caller asks for fewer.
const PAGE: usize = 100;

impl GandiService {
    /// A call below `…/records`.
    pub(super) fn records(&mut self, method: &str, path: &[&str], request: &Incoming) -> Reply {
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
        if kind == "ALIAS" && self.signed {
            return invalid("rrset_type", "ALIAS is not allowed with DNSSEC");
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
        // What comes without quotes is taken as one string, which may be too long.
        let is_bare = |value: &String| kind == "TXT" && txt::strings(value).is_none();
        let quote = |value: String| {
            if is_bare(&value) {
                quoted(value.as_bytes())
            } else {
                value
            }
        };
        let values = values.into_iter().map(quote).collect();
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

    pub(super) fn add(&mut self, name: String, kind: &str, ttl: u32, value: &str) {
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
}
