//! The sets of a zone, and what a batch makes of them.

use std::collections::BTreeMap;

use super::super::{Row, txt};
use super::batch::{Action, Change};
use crate::dns::query::Record;

/// What puts sets in order: the labels from the top, then the type.
pub(super) type Key = (Vec<String>, String);

/// The sets of a zone, in the order in which they are listed.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets(pub(super) BTreeMap<Key, Set>);

/// A set of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    /// Absolute, in small letters, with a dot at its end.
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) ttl: u32,
    pub(super) values: Vec<String>,
}

/// The name as it is stored.
pub(super) fn canonical(name: &str) -> String {
    let name = name.replace("\\052", "*").to_lowercase();
    format!("{}.", name.trim_end_matches('.'))
}

/// The name as it is told.
pub(super) fn escaped(name: &str) -> String {
    name.replace('*', "\\052")
}

pub(super) fn key(name: &str, kind: &str) -> Key {
    let name = canonical(name);
    let labels = name.trim_end_matches('.').rsplit('.');
    (labels.map(str::to_owned).collect(), kind.to_owned())
}

impl Sets {
    pub(super) fn seed(&mut self, record: &Record) {
        let (name, kind) = (canonical(&record.name), record.kind.to_string());
        let set = self.0.entry(key(&name, &kind)).or_insert(Set {
            name,
            kind,
            ttl: record.ttl,
            values: Vec::new(),
        });
        set.values.push(record.data.clone());
    }

    /// All of the changes, or all that is wrong with them.
    pub(super) fn after(mut self, changes: &[Change], origin: &str) -> Result<Self, Vec<String>> {
        let refused: Vec<_> = changes
            .iter()
            .filter_map(|change| self.change(change, origin).err())
            .collect();
        if refused.is_empty() { Ok(self) } else { Err(refused) }
    }

    fn change(&mut self, change: &Change, origin: &str) -> Result<(), String> {
        let told = &change.resource_record_set;
        let set = Set {
            name: canonical(&told.name),
            kind: told.kind.clone(),
            ttl: told.ttl,
            values: change.values(),
        };
        let what = format!(
            "resource record set [name='{}', type='{}']",
            escaped(&set.name),
            set.kind
        );
        let key = key(&set.name, &set.kind);
        match (change.action, self.0.get(&key)) {
            (Action::Create, Some(_)) => return Err(format!("Tried to create {what} but it already exists")),
            (Action::Delete, None) => return Err(format!("Tried to delete {what} but it was not found")),
            (Action::Delete, Some(there)) => {
                if sorted(&there.values) != sorted(&set.values) || there.ttl != set.ttl {
                    let why = "but the values provided do not match the current values";
                    return Err(format!("Tried to delete {what} {why}"));
                }
                if set.name == format!("{origin}.") && set.kind == "NS" {
                    return Err("A HostedZone must contain at least one NS record for the zone itself.".to_owned());
                }
                self.0.remove(&key);
                return Ok(());
            }
            _ => {}
        }
        check(&set, origin)?;
        self.0.insert(key, set);
        Ok(())
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        self.0.values().flat_map(rows).collect()
    }
}

fn sorted(values: &[String]) -> Vec<&String> {
    let mut values: Vec<_> = values.iter().collect();
    values.sort();
    values
}

/// What is wrong with a set by itself.
fn check(set: &Set, origin: &str) -> Result<(), String> {
    let Set { name, kind, values, .. } = set;
    if *name != format!("{origin}.") && !name.ends_with(&format!(".{origin}.")) {
        return Err(format!("RRSet with DNS name {name} is not permitted in zone {origin}."));
    }
    if kind == "CNAME" && (*name == format!("{origin}.") || values.len() != 1) {
        return Err(format!(
            "RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {origin}."
        ));
    }
    for value in values.iter().filter(|_| kind == "TXT") {
        let Some(strings) = txt::strings(&decimal(value)).filter(|_| value.is_ascii()) else {
            let why = "InvalidCharacterString (Value should be enclosed in quotation marks)";
            return Err(format!(
                "Invalid Resource Record: 'FATAL problem: {why} encountered with '{value}''"
            ));
        };
        if strings.iter().any(|string| string.len() > txt::MOST) {
            let why = "CharacterStringTooLong (Value is too long)";
            return Err(format!(
                "Invalid Resource Record: 'FATAL problem: {why} encountered with '{value}''"
            ));
        }
    }
    match rows(set).iter().find_map(|row| row.read(origin).err()) {
        Some(error) => Err(format!("Invalid Resource Record: '{error:#}'")),
        None => Ok(()),
    }
}

fn rows(set: &Set) -> Vec<Row> {
    let values = set.values.iter();
    let rows = values.map(|value| Row {
        name: set.name.clone(),
        kind: set.kind.clone(),
        ttl: set.ttl,
        data: if set.kind == "TXT" {
            decimal(value)
        } else {
            value.clone()
        },
    });
    rows.collect()
}

/// The same, with `\195` where Route 53 has `\303`.
fn decimal(value: &str) -> String {
    let mut parts = value.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let octal = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(octet) => text.extend([format!("\\{octet:03}"), part.get(3..).unwrap_or_default().to_owned()]),
            None => text.extend(["\\".to_owned(), part.to_owned()]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_becomes_decimal_and_the_rest_stays() {
        assert_eq!(decimal(r#""a\303\251 \"b\" \\""#), r#""a\195\169 \"b\" \\""#);
    }

    #[test]
    fn names_are_listed_from_the_top_label_down() {
        let mut keys = [
            key("www.beta.example", "A"),
            key("beta.example", "NS"),
            key("\\052.beta.example.", "A"),
            key("a.www.beta.example", "A"),
        ];
        keys.sort();
        let names: Vec<_> = keys.iter().map(|(labels, _)| labels.join(">")).collect();
        assert_eq!(
            names,
            [
                "example>beta",
                "example>beta>*",
                "example>beta>www",
                "example>beta>www>a"
            ]
        );
    }
}
