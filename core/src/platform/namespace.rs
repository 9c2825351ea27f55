//! What a namespace is, told by its labels alone: a team cannot change them.

use std::collections::BTreeMap;

use crate::api::startup_app::Environment;

use super::Platform;
use super::label::LabelKey;
use super::pattern::Pattern;

/// A namespace as the platform sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct NamespaceContext {
    /// Its name. On Cloud π native it says nothing; everything is in the labels.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it is for.
    pub environment: Environment,
    /// Whether no rule of the platform file fitted, so that `Production` was assumed.
    pub environment_assumed: bool,
    /// The project's slug, if the platform labels it.
    pub project: Option<String>,
}

/// Says that namespaces whose labels fit are an environment.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvironmentRule {
    /// Every one of these must fit.
    pub labels: BTreeMap<LabelKey, Pattern>,
    /// What such a namespace is.
    pub environment: Environment,
}

impl EnvironmentRule {
    fn fits(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels
            .iter()
            .all(|(key, pattern)| labels.get(key.as_str()).is_some_and(|value| pattern.matches(value)))
    }
}

impl Platform {
    /// What the namespace of that name and those labels is.
    pub fn namespace(&self, name: &str, labels: &BTreeMap<String, String>) -> NamespaceContext {
        let mapped = self
            .environments
            .iter()
            .find(|rule| rule.fits(labels))
            .map(|rule| rule.environment);
        NamespaceContext {
            name: name.to_owned(),
            labels: labels.clone(),
            environment: mapped.unwrap_or(Environment::Production),
            environment_assumed: mapped.is_none(),
            project: self
                .project_label
                .as_ref()
                .and_then(|key| labels.get(key.as_str()).cloned()),
        }
    }
}
