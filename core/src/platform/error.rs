//! What is wrong in a platform file.

use crate::yaml::{Location, YamlError};

/// The first fault of a platform file: its place, its field, its reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {}{reason}", location.line, location.column, if field.is_empty() { String::new() } else { format!("{field}: ") })]
pub struct PlatformError {
    /// Where in the file.
    pub location: Location,
    /// The field's path, such as `exposures[0].ingress.tls`; empty when the file as a whole is meant.
    pub field: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl From<YamlError> for PlatformError {
    fn from(error: YamlError) -> Self {
        Self {
            location: error.location,
            field: error.path,
            reason: error.message,
        }
    }
}
