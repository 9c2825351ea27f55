//! What the platform team decides, for every app of a cluster: the platform file, parsed and checked.
//!
//! [`Platform::parse`] reads a file, [`Platform::bundled`] one of the profiles that travel with the program. After
//! that nothing is a loose string: names are resolved, quantities canonical, templates parsed. The file's own shape,
//! field by field, is [`file::PlatformFile`]. Nothing here knows an app.

mod error;
mod exposure;
pub mod file;
mod host;
mod label;
mod namespace;
mod pattern;
mod profiles;
mod registry;
mod rule;
mod security;
mod size;
mod time_zone;
mod validate;

use std::collections::BTreeMap;

use crate::api::startup_app::Environment;

pub use error::PlatformError;
pub use exposure::{Exposure, ExposureType, IngressClass, Scheme, Tls};
pub use host::{Domain, HostTemplate};
pub(crate) use label::is_dns_name;
pub use label::{LabelKey, LabelKeys, is_dns_label, is_label_value};
pub use namespace::{EnvironmentRule, NamespaceContext};
pub use pattern::Pattern;
pub use profiles::{BUNDLED, Profile};
pub use registry::Registries;
pub use rule::{Mode, Rule};
pub use security::Security;
pub use size::Size;
pub use time_zone::{TimeZoneName, UnknownTimeZone};

/// The decisions of a platform team.
#[derive(Clone, Debug, PartialEq)]
pub struct Platform {
    domains: Vec<Domain>,
    environments: Vec<EnvironmentRule>,
    project_label: Option<LabelKey>,
    label_keys: LabelKeys,
    environment_values: BTreeMap<Environment, String>,
    exposures: Vec<Exposure>,
    sizes: Vec<Size>,
    default_size: Size,
    registries: Registries,
    security: Security,
    time_zone: TimeZoneName,
    policies: BTreeMap<Rule, Mode>,
    instance_label_key: Option<LabelKey>,
}

impl Platform {
    /// Reads a platform file.
    ///
    /// # Errors
    /// The first fault, with its line, field and reason: YAML that does not parse, an unknown field, a value that
    /// cannot work.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        validate::platform(text)
    }

    /// The class of exposure of that name.
    pub fn exposure(&self, name: &str) -> Option<&Exposure> {
        self.exposures.iter().find(|exposure| exposure.name == name)
    }

    /// The class of exposure of an app that names none. `None`: such an app is not exposed.
    pub fn default_exposure(&self) -> Option<&Exposure> {
        self.exposures.iter().find(|exposure| exposure.is_default)
    }

    /// Every class of exposure, in the order of the file.
    pub fn exposures(&self) -> &[Exposure] {
        &self.exposures
    }

    /// The size of that name.
    pub fn size(&self, name: &str) -> Option<&Size> {
        self.sizes.iter().find(|size| size.name == name)
    }

    /// The size of a process that names none and gives no resources.
    pub fn default_size(&self) -> &Size {
        &self.default_size
    }

    /// Every size, from the smallest memory to the largest.
    pub fn sizes(&self) -> &[Size] {
        &self.sizes
    }

    /// Under which keys the platform wants its labels.
    pub fn label_keys(&self) -> &LabelKeys {
        &self.label_keys
    }

    /// The word of the platform for an environment: the value of the label `env`, and `{environment}` in host templates.
    pub fn env_label_value(&self, environment: Environment) -> &str {
        self.environment_values
            .get(&environment)
            .map_or_else(|| environment.as_str(), String::as_str)
    }

    /// The domains under which names are given, in the order of the file.
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// Where images may come from, and the Secrets to pull them with.
    pub fn registries(&self) -> &Registries {
        &self.registries
    }

    /// The security context that the platform asks of every pod.
    pub fn security(&self) -> &Security {
        &self.security
    }

    /// The time zone of crons that name none.
    pub fn time_zone(&self) -> &TimeZoneName {
        &self.time_zone
    }

    /// What a breach of the rule means here.
    pub fn policy(&self, rule: Rule) -> Mode {
        self.policies.get(&rule).copied().unwrap_or_else(|| rule.default_mode())
    }

    /// The label by which an Argo CD instance tracks its objects: never to be written on a child.
    pub fn instance_label_key(&self) -> Option<&LabelKey> {
        self.instance_label_key.as_ref()
    }
}

#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod tests;
