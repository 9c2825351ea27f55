//! What a provider says went wrong, without what is other in each answer (ids, times): told, it would be news each time.

use serde_json::Value;

/// Where providers put what a human may read, in JSON.
const FIELDS: [&str; 4] = ["message", "error", "detail", "code"];
/// The same, in XML.
const ELEMENTS: [&str; 2] = ["Message", "Code"];

/// The words of a body of this type. None in a page, which is whoever's in between.
pub(super) fn words(type_: &str, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let found: Vec<&str> = if type_.ends_with("json") {
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let words = FIELDS.iter().filter_map(|field| body.get(field)?.as_str());
        return words.collect::<Vec<_>>().join(", ");
    } else if type_.ends_with("xml") {
        ELEMENTS.iter().filter_map(|name| element(&text, name)).collect()
    } else if type_ == "text/plain" {
        vec![&text]
    } else {
        Vec::new()
    };
    found.join(", ")
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, content) = text.split_once(&format!("<{name}>"))?;
    Some(content.split_once(&format!("</{name}>"))?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_other_in_each_answer_is_left_out() {
        for (type_, body, expected) in [
            (
                "text/xml",
                "<ErrorResponse><Error><Code>InternalFailure</Code><Message>Try again</Message></Error>\
                 <RequestId>b25f48e8-84fd-11e6-80d9-574e0c4664cb</RequestId></ErrorResponse>",
                "Try again, InternalFailure",
            ),
            (
                "application/json",
                r#"{"message": "Internal server error", "queryId": "EU.ext-1.5f"}"#,
                "Internal server error",
            ),
            (
                "application/problem+json",
                r#"{"detail": "later", "instance": "7"}"#,
                "later",
            ),
            ("application/json", "{", ""),
            ("text/html", "<html>Ray ID: 7d1</html>", ""),
            ("text/plain", "out of service", "out of service"),
            ("", "?", ""),
        ] {
            assert_eq!(words(type_, body.as_bytes()), expected, "{type_} {body}");
        }
    }
}
