//! Lists of tags, `a=b; c=d`, as DKIM and DMARC records have them (RFC 6376 3.2, RFC 7489 6.4).

use std::collections::BTreeSet;

/// A list of tags.
pub struct Tags<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    /// Reads a list; the names keep their case, which counts in DKIM.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let mut tags = Vec::new();
        let mut seen = BTreeSet::new();
        let mut parts = text.split(';').peekable();
        while let Some(part) = parts.next() {
            if part.trim().is_empty() && parts.peek().is_none() {
                break;
            }
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("{:?} is no tag, such as p=…", shortened(part.trim())))?;
            let (name, value) = (name.trim(), value.trim());
            let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
            if !begins || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(format!("{:?} is no name of a tag", shortened(name)));
            }
            if !seen.insert(name) {
                return Err(format!("the tag {name} is there twice"));
            }
            tags.push((name, value));
        }
        Ok(Self(tags))
    }

    /// A tag's value.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    /// The first tag.
    pub fn first(&self) -> Option<(&'a str, &'a str)> {
        self.0.first().copied()
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
