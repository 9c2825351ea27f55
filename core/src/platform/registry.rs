//! Where images may come from.

use super::pattern::Pattern;

/// The registries of a platform.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registries {
    /// Patterns over `registry/repository`, without tag and digest. Empty: every registry is allowed.
    pub allowed: Vec<Pattern>,
    /// Secrets of every namespace that pods pull with: the pods' `imagePullSecrets`, in this order.
    pub pull_secrets: Vec<String>,
}

impl Registries {
    /// Whether an image of `repository`, such as `ghcr.io/team/app`, may run.
    pub fn allows(&self, repository: &str) -> bool {
        self.allowed.is_empty() || self.allowed.iter().any(|pattern| pattern.matches(repository))
    }
}
