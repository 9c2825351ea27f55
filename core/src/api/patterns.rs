//! The patterns of the CRDs, as people say them.

const PATTERNS: [(&str, &str); 10] = [
    (r"^/[^ ]*$", "a path that begins with / and has no space"),
    (
        r"^/([-A-Za-z0-9._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$",
        "a path of a URL: it begins with /, and anything but letters, digits and -._~!$&'()*+,;=:@/ is written as %XX",
    ),
    (
        r"^(/[^/: ]+)+/?$",
        "an absolute path other than /, without spaces, colons and doubled slashes",
    ),
    (r"^[0-9]+(\.[0-9]+)?m?$", "an amount of processors, such as 500m or 2"),
    (
        r"^[0-9]+(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$",
        "an amount of bytes, such as 512Mi or 2Gi",
    ),
    (
        r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
        "a name: a-z, 0-9 and -, with a letter at its beginning and no hyphen at its end",
    ),
    (
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "a name: a-z, 0-9 and -, with no hyphen at its ends",
    ),
    (
        r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+$",
        "a full host name, such as app.example.org: in lower case, without https://, port, path or *",
    ),
    (r"^https?://[^ ]+$", "an address that begins with http:// or https://"),
    (
        r"^https?://[^ @]+$",
        "an address that begins with http:// or https://, without a user or password",
    ),
];

/// What a text that fits the pattern is.
pub fn in_words(pattern: &str) -> String {
    let known = PATTERNS.iter().find(|(known, _)| *known == pattern);
    known.map_or_else(
        || format!("a text that fits {pattern}"),
        |(_, words)| (*words).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::api::crd;

    #[test]
    fn every_pattern_is_said_in_words() {
        fn patterns(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("pattern").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|value| patterns(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| patterns(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        patterns(&serde_json::to_value(crd::all()).unwrap(), &mut found);
        assert!(found.len() >= PATTERNS.len());
        for pattern in found {
            assert!(PATTERNS.iter().any(|(known, _)| *known == pattern), "{pattern}");
        }
    }
}
