//! The keys of a zone's Secret.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Failure;

/// The Secret with the credential of a zone.
#[derive(Clone, Copy)]
pub(super) struct Secret<'a>(pub(super) &'a BTreeMap<String, Vec<u8>>);

impl Secret<'_> {
    /// The text of a key, without the space around it that editors and `echo` leave.
    ///
    /// # Errors
    /// When it is not there, empty or no text.
    pub(super) fn text(self, key: &str) -> Result<String, Failure> {
        self.optional(key)?
            .ok_or_else(|| Failure::Settings(format!("the Secret has no key `{key}`, or it is empty")))
    }

    /// As [`Secret::text`]; `None` when it is not there or empty.
    ///
    /// # Errors
    /// When it is no text.
    pub(super) fn optional(self, key: &str) -> Result<Option<String>, Failure> {
        let Some(octets) = self.0.get(key) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(octets)
            .map_err(|_| Failure::Settings(format!("the key `{key}` of the Secret is no text")))?
            .trim();
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// When the credential ends, for providers that do not tell it: `expires-at` (RFC 3339).
    ///
    /// # Errors
    /// When it is no time.
    pub(super) fn expires_at(self) -> Result<Option<Timestamp>, Failure> {
        let wrong =
            |_| Failure::Settings("the key `expires-at` of the Secret is written as 2027-01-31T00:00:00Z".into());
        self.optional("expires-at")?
            .map(|text| text.parse().map_err(wrong))
            .transpose()
    }
}
