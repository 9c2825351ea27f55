//! A StartupApp as whoever wrote it sees it.

use kube::core::DynamicObject;
use serde_json::Value;

/// A StartupApp, read as JSON.
#[derive(Clone, Debug)]
pub struct App(pub Value);

impl App {
    pub fn of(object: &DynamicObject) -> Self {
        Self(serde_json::to_value(object).expect("an object is JSON"))
    }

    /// The text at a JSON pointer, empty when there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the status speaks of the spec as it is now.
    pub fn is_current(&self) -> bool {
        let seen = self.0.pointer("/status/observedGeneration");
        seen.is_some() && seen == self.0.pointer("/metadata/generation")
    }

    /// A field (`status`, `reason`, `message`) of the condition of that type, empty when there is none.
    pub fn condition(&self, type_: &str, field: &str) -> &str {
        let conditions = self.0.pointer("/status/conditions").and_then(Value::as_array);
        let found = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == type_);
        found
            .and_then(|condition| condition[field].as_str())
            .unwrap_or_default()
    }

    pub fn is_ready(&self) -> bool {
        self.is_current() && self.condition("Ready", "status") == "True"
    }

    /// Whether it is not ready for that reason, told in these words among others.
    pub fn tells(&self, reason: &str, words: &[&str]) -> bool {
        let message = self.condition("Ready", "message");
        self.is_current()
            && self.condition("Ready", "status") == "False"
            && self.condition("Ready", "reason") == reason
            && words.iter().all(|words| message.contains(words))
    }

    /// The entry of a list of the status (`processes`, `crons`) with that name.
    pub fn entry(&self, list: &str, name: &str) -> &Value {
        let entries = self.0["status"][list].as_array();
        let found = entries.into_iter().flatten().find(|entry| entry["name"] == name);
        found.unwrap_or(&Value::Null)
    }

    /// Where it says that it answers.
    pub fn url(&self) -> &str {
        self.text("/status/url")
    }

    /// The host of its URL.
    pub fn host(&self) -> &str {
        let rest = self.url().strip_prefix("http://").expect("the URL is plain HTTP");
        rest.split([':', '/']).next().unwrap_or_default()
    }
}
