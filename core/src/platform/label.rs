//! The labels that the platform wants on every object.

use std::fmt;

use crate::api::startup_app::Environment;

/// A label or annotation key that Kubernetes takes: an optional DNS prefix with a slash, and a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelKey(String);

impl LabelKey {
    /// `None` when Kubernetes would refuse the key.
    pub fn new(key: &str) -> Option<Self> {
        let (prefix, name) = key
            .split_once('/')
            .map_or((None, key), |(prefix, name)| (Some(prefix), name));
        (is_label_name(name) && prefix.is_none_or(is_dns_name)).then(|| Self(key.to_owned()))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LabelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Under which keys the platform wants its labels. `None`: the platform does not ask for that one; what a team writes
/// about tier, component and criticality then stands under a key of ours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelKeys {
    /// The app's name.
    pub app: Option<LabelKey>,
    /// The environment, in the platform's word: see [`super::Platform::env_label_value`].
    pub env: Option<LabelKey>,
    /// `frontend`, `backend`, `db`, `cache` or `auth`.
    pub tier: Option<LabelKey>,
    /// The technology.
    pub component: Option<LabelKey>,
    /// `high`, `medium` or `low`.
    pub criticality: Option<LabelKey>,
}

/// The name part of a label key, and a label's value when it is not empty.
pub(super) fn is_label_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edge = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&name.len()) && name.chars().all(inner) && name.starts_with(edge) && name.ends_with(edge)
}

/// Whether Kubernetes takes the text as a label's value.
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_label_name(text)
}

/// A DNS name in lower case (RFC 1123): every label at most 63 octets, all at most 253.
pub(crate) fn is_dns_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

/// One label of a DNS name (RFC 1123), as a namespace's name is.
pub fn is_dns_label(label: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&label.len()) && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

/// The environments, in the order of the words in messages.
pub(super) const ENVIRONMENTS: [Environment; 3] =
    [Environment::Production, Environment::Staging, Environment::Development];
