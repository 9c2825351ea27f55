//! One change of a PATCH.

use serde_json::{Value, json};

use super::super::{Reply, txt};
use super::{Entry, ScalewayService, refused, row};

/// The TTL of a record that has none, in seconds.
const DEFAULT_TTL: u32 = 3600;

impl ScalewayService {
    /// The entries after this change, or why there are none.
    pub(super) fn changed(&mut self, mut entries: Vec<Entry>, change: &Value) -> Result<Vec<Entry>, Reply> {
        if change.get("clear").is_some() {
            return Ok(Vec::new());
        }
        if let Some(add) = change.get("add") {
            entries.extend(self.read(add)?);
            return Ok(entries);
        }
        let (what, is_set) = match (change.get("set"), change.get("delete")) {
            (Some(set), None) => (set, true),
            (None, Some(delete)) => (delete, false),
            _ => {
                return Err(refused(
                    400,
                    "invalid_arguments",
                    "a change is one of add, set, delete, clear",
                ));
            }
        };
        let count = entries.len();
        entries.retain(|entry| !self.is_meant(entry, what));
        if is_set {
            entries.extend(self.read(what)?);
        } else if entries.len() == count {
            return Err(refused(404, "not_found", "record is not found"));
        }
        Ok(entries)
    }

    /// Whether `id` or `id_fields` are this entry's.
    fn is_meant(&self, entry: &Entry, what: &Value) -> bool {
        if let Some(id) = what.get("id") {
            return *id == json!(entry.id);
        }
        let field = |name: &str| what.get("id_fields").and_then(|fields| fields.get(name));
        let name = field("name").and_then(Value::as_str).map(|name| self.relative(name));
        let data = field("data").and_then(Value::as_str);
        let same_data = data.is_none_or(|wanted| {
            let bare = entry.kind == "TXT" && txt::split(wanted) == entry.data;
            bare || wanted == entry.data || wanted == super::data(entry)
        });
        let same_ttl = field("ttl").is_none_or(|ttl| ttl.is_null() || *ttl == json!(entry.ttl));
        // Clients write types in letters of either case.
        let kind = field("type").and_then(Value::as_str).unwrap_or_default();
        let same_kind = kind.eq_ignore_ascii_case(&entry.kind);
        name.as_ref() == Some(&entry.name) && same_kind && same_data && same_ttl
    }

    /// The records of a change.
    fn read(&mut self, change: &Value) -> Result<Vec<Entry>, Reply> {
        let records = change
            .get("records")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        records.iter().map(|record| self.read_one(record)).collect()
    }

    fn read_one(&mut self, record: &Value) -> Result<Entry, Reply> {
        let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or_default();
        let number = |field: &str| record.get(field).and_then(Value::as_u64).unwrap_or_default();
        let ttl = u32::try_from(number("ttl")).unwrap_or_default();
        let kind = text("type").to_uppercase();
        let (priority, data) = match text("data").split_once(' ') {
            Some((priority, rest)) if kind == "MX" => (priority.parse().unwrap_or_default(), rest),
            _ => (number("priority"), text("data")),
        };
        let entry = Entry {
            id: self.new_id(),
            name: self.relative(text("name")),
            data: if kind == "TXT" {
                txt::split(data)
            } else {
                data.to_owned()
            },
            kind,
            ttl: if ttl == 0 { DEFAULT_TTL } else { ttl },
            priority,
            comment: record.get("comment").cloned().unwrap_or_default(),
        };
        if entry.kind != "ALIAS" && row(&entry).read(self.published.origin()).is_err() {
            return Err(refused(400, "invalid_arguments", &format!("invalid record: {record}")));
        }
        Ok(entry)
    }

    /// The name as it is stored. Only the dot at its end tells an absolute one.
    fn relative(&self, name: &str) -> String {
        let origin = format!("{}.", self.published.origin());
        let relative = if name == origin || name == "@" {
            Some("")
        } else {
            name.strip_suffix(&format!(".{origin}"))
        };
        relative.unwrap_or(name).to_lowercase()
    }
}
