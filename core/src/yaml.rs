//! YAML read strictly: every value knows its line and column, so that a fault found later, by whatever rule, points at
//! the place in the file where a human can mend it.
//!
//! Duplicate keys are errors. Scalars are read as `kubectl` and Argo CD read them (YAML 1.1 booleans such as `yes`,
//! octal integers), so that what passes here does not change its type on the way to the API server.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Error, Options, Spanned};

/// A place in a file, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The line.
    pub line: u64,
    /// The character in the line.
    pub column: u64,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong in a YAML text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct YamlError {
    /// Where; the start of the document when nothing better is known.
    pub location: Location,
    /// The field's path, such as `spec.crons[2].schedule`; empty for the document itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// One document of a YAML stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The document as JSON.
    pub value: Value,
    locations: BTreeMap<String, Location>,
}

const START: Location = Location { line: 1, column: 1 };

impl Document {
    /// Where the field at `path` stands; where its nearest parent stands when the field itself is absent.
    pub fn locate(&self, path: &str) -> Location {
        let mut path = path;
        loop {
            if let Some(location) = self.locations.get(path) {
                return *location;
            }
            let Some(end) = path.rfind(['.', '[']) else {
                return self.locations.get("").copied().unwrap_or(START);
            };
            path = path.get(..end).unwrap_or_default();
        }
    }

    /// The paths of all explicit nulls (`key:` with nothing behind it), in the order of the paths.
    pub fn nulls(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_nulls(&self.value, &mut String::new(), &mut found);
        found
    }

    /// The document as a `T`. An explicit null and a field that `T` refuses are errors with their place.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, YamlError> {
        if let Some(path) = self.nulls().into_iter().next() {
            let message = "has no value: remove the key, or write what it should be".to_owned();
            return Err(YamlError {
                location: self.locate(&path),
                path,
                message,
            });
        }
        decode(&self.value).map_err(|(path, message)| YamlError {
            location: self.locate(&path),
            path,
            message,
        })
    }
}

/// A value as a `T`; an error is the path of the field that `T` refuses, and why.
pub fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = match error.path().to_string() {
            root if root == "." => String::new(),
            path => path,
        };
        (path, error.inner().to_string())
    })
}

/// Reads every document of a stream; empty documents are left out.
pub fn parse(text: &str) -> Result<Vec<Document>, YamlError> {
    let nodes: Vec<Node> = serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| syntax(&error))?;
    Ok(nodes
        .into_iter()
        .filter(|node| node.content != Content::Null)
        .map(Document::from)
        .collect())
}

/// Reads a text that must hold one document.
pub fn parse_one(text: &str) -> Result<Document, YamlError> {
    let mut documents = parse(text)?;
    match documents.len() {
        1 => Ok(documents.remove(0)),
        found => Err(YamlError {
            location: documents.get(1).map_or(START, |second| second.locate("")),
            path: String::new(),
            message: format!("one document is expected, found {found}"),
        }),
    }
}

/// How many documents a stream may have: those of a large repository piped together.
const DOCUMENTS: usize = 100_000;

fn options() -> Options {
    let budget = serde_saphyr::budget! { max_documents: DOCUMENTS };
    serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false, budget: budget }
}

fn syntax(error: &Error) -> YamlError {
    let location = error.location().map_or(START, |at| Location {
        line: at.line(),
        column: at.column(),
    });
    let text = error.without_snippet().to_string();
    // The library speaks to programmers here, and of a place inside an alias as well.
    let message = match text.split(", set DuplicateKeyPolicy").next() {
        Some(duplicate) if duplicate != text => format!("{duplicate}: remove one of the two"),
        _ if text.starts_with("budget breached: Documents") => format!("more than {DOCUMENTS} documents"),
        _ if text.starts_with("budget breached") => {
            "too large for a manifest, or its aliases unfold to too much".into()
        }
        _ => {
            let end = text.find(" at line ").unwrap_or(text.len());
            text.get(..end).unwrap_or(&text).to_owned()
        }
    };
    YamlError {
        location,
        path: String::new(),
        message,
    }
}

/// A value with its place, as the parser sees it.
#[derive(Debug, PartialEq)]
struct Node {
    content: Content,
    location: Location,
}

#[derive(Debug, PartialEq)]
enum Content {
    Null,
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(String, Location, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Content>::deserialize(deserializer)?;
        let location = Location {
            line: referenced.line(),
            column: referenced.column(),
        };
        Ok(Self {
            content: value,
            location,
        })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Content, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Content::Scalar(Value::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Node>()? {
            let at = Location {
                line: key.referenced.line(),
                column: key.referenced.column(),
            };
            map.push((key.value, at, value));
        }
        Ok(Content::Map(map))
    }
}

impl From<Node> for Document {
    fn from(node: Node) -> Self {
        let mut locations = BTreeMap::new();
        locations.insert(String::new(), node.location);
        let value = flatten(node, &mut String::new(), &mut locations);
        Self { value, locations }
    }
}

/// Turns the tree into JSON and notes where each path stands: an entry of a map at its key, an item of a list at itself.
fn flatten(node: Node, path: &mut String, locations: &mut BTreeMap<String, Location>) -> Value {
    match node.content {
        Content::Null => Value::Null,
        Content::Scalar(value) => value,
        Content::List(items) => Value::Array(
            items
                .into_iter()
                .enumerate()
                .map(|(index, item)| {
                    under(path, &format!("[{index}]"), |path| {
                        locations.insert(path.clone(), item.location);
                        flatten(item, path, locations)
                    })
                })
                .collect(),
        ),
        Content::Map(entries) => {
            let mut map = Map::new();
            for (key, at, value) in entries {
                let value = under(path, &key_step(path, &key), |path| {
                    locations.insert(path.clone(), at);
                    flatten(value, path, locations)
                });
                map.insert(key, value);
            }
            Value::Object(map)
        }
    }
}

fn collect_nulls(value: &Value, path: &mut String, found: &mut Vec<String>) {
    match value {
        Value::Null => found.push(path.clone()),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                under(path, &format!("[{index}]"), |path| collect_nulls(item, path, found));
            }
        }
        Value::Object(entries) => {
            for (key, value) in entries {
                under(path, &key_step(path, key), |path| collect_nulls(value, path, found));
            }
        }
        _ => {}
    }
}

fn key_step(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!(".{key}")
    }
}

/// Runs `f` one step further down the path, and steps back.
fn under<R>(path: &mut String, step: &str, f: impl FnOnce(&mut String) -> R) -> R {
    let length = path.len();
    path.push_str(step);
    let result = f(path);
    path.truncate(length);
    result
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
