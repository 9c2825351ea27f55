//! Image references, as far as the platforms' rules ask.

/// A reference that names its registry and one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image(String);

impl Image {
    /// Parses a reference.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(format!("the image {text:?} has a space in it"));
        }
        let (name, digest) = text
            .split_once('@')
            .map_or((text, None), |(name, digest)| (name, Some(digest)));
        if let Some(digest) = digest
            && !is_digest(digest)
        {
            return Err(format!(
                "the image {text} has a digest that is not sha256: and 64 hexadecimal digits"
            ));
        }
        let (registry, path) = name.split_once('/').unwrap_or(("", name));
        if !(registry.contains('.') || registry.contains(':') || registry == "localhost") {
            return Err(format!("the image {text} does not name its registry"));
        }
        let (repository, tag) = path
            .rsplit_once(':')
            .map_or((path, None), |(repository, tag)| (repository, Some(tag)));
        if repository.is_empty() || !repository.split('/').all(is_component) {
            return Err(format!(
                "the image {text} has a repository that is not lower-case letters, digits, '.', '_', '-' and '/'"
            ));
        }
        match tag {
            None if digest.is_none() => Err(format!("the image {text} has no tag")),
            Some("latest") if digest.is_none() => {
                Err(format!("the image {text} has the tag latest, which names no version"))
            }
            Some(tag) if !is_tag(tag) => Err(format!("the image {text} has a tag that is not legal")),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The reference as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_digest(digest: &str) -> bool {
    digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
}

fn is_component(component: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = component.as_bytes();
    bytes.iter().all(|b| legal(*b)) && edge(bytes.first()) && edge(bytes.last())
}

fn is_tag(tag: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !tag.is_empty() && tag.len() <= 128 && tag.bytes().all(legal) && !tag.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_registry_and_a_version_is_taken() {
        for good in [
            "ghcr.io/betagouv/mon-service:8f2c1e0",
            "localhost/x:1",
            "registry.example.org:5000/a/b_c:v1.2",
            &format!("ghcr.io/a/b@sha256:{}", "a".repeat(64)),
            &format!("ghcr.io/a/b:latest@sha256:{}", "0".repeat(64)),
        ] {
            assert_eq!(Image::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn the_rest_is_refused_with_its_reason() {
        for (bad, why) in [
            ("nginx:1.27", "does not name its registry"),
            ("library/nginx:1.27", "does not name its registry"),
            ("ghcr.io/a/b", "has no tag"),
            ("ghcr.io/a/b:latest", "tag latest"),
            ("ghcr.io/a/b:", "not legal"),
            ("ghcr.io/A/b:1", "repository"),
            ("ghcr.io/:1", "repository"),
            ("ghcr.io/a/b:1 ", "space"),
            ("ghcr.io/a/b@sha256:12", "digest"),
            ("", "registry"),
        ] {
            let error = Image::parse(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
