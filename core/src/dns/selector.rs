//! Objects by their labels.

use std::collections::BTreeMap;

use crate::api::dns::{LabelSelector, Operator};

/// Whether labels meet a selector; an empty one is met by all.
pub fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector
        .match_labels
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value));
    equal
        && selector.match_expressions.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            let listed = value.is_some_and(|value| requirement.values.contains(value));
            match requirement.operator {
                Operator::In => listed,
                Operator::NotIn => !listed,
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_mean_what_they_mean_elsewhere_in_kubernetes() {
        let labels = BTreeMap::from([("team".to_owned(), "blue".to_owned())]);
        for (selector, met) in [
            ("{}", true),
            ("{matchLabels: {team: blue}}", true),
            ("{matchLabels: {team: red}}", false),
            (
                "{matchExpressions: [{key: team, operator: In, values: [red, blue]}]}",
                true,
            ),
            (
                "{matchExpressions: [{key: team, operator: NotIn, values: [blue]}]}",
                false,
            ),
            (
                "{matchExpressions: [{key: other, operator: NotIn, values: [blue]}]}",
                true,
            ),
            ("{matchExpressions: [{key: other, operator: Exists}]}", false),
            ("{matchExpressions: [{key: other, operator: DoesNotExist}]}", true),
        ] {
            let parsed: LabelSelector = serde_saphyr::from_str(selector).unwrap();
            assert_eq!(matches(&parsed, &labels), met, "{selector}");
        }
    }
}
