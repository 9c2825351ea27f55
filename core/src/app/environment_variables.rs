//! The order of environment variables: `$(NAME)` refers only to variables that stand before it.

use std::collections::{BTreeMap, BTreeSet};

/// The variables in an order in which each stands after those it refers to; else alphabetical.
///
/// # Errors
/// The names of a circle, first name repeated at the end.
pub fn in_dependency_order(variables: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, Vec<String>> {
    let mut ordered = Vec::with_capacity(variables.len());
    let mut done = BTreeSet::new();
    for name in variables.keys() {
        visit(name, variables, &mut done, &mut Vec::new(), &mut ordered)?;
    }
    Ok(ordered)
}

fn visit<'a>(
    name: &'a str,
    variables: &'a BTreeMap<String, String>,
    done: &mut BTreeSet<&'a str>,
    path: &mut Vec<&'a str>,
    ordered: &mut Vec<(String, String)>,
) -> Result<(), Vec<String>> {
    let Some((name, value)) = variables.get_key_value(name) else {
        return Ok(());
    };
    if done.contains(name.as_str()) {
        return Ok(());
    }
    if let Some(start) = path.iter().position(|seen| *seen == name) {
        let circle = path.iter().skip(start).copied().chain([name.as_str()]);
        return Err(circle.map(str::to_owned).collect());
    }
    path.push(name);
    for needed in references(value) {
        visit(needed, variables, done, path, ordered)?;
    }
    path.pop();
    done.insert(name);
    ordered.push((name.clone(), value.clone()));
    Ok(())
}

/// The names that a value refers to as `$(NAME)`. `$$` is an escaped `$`, as in Kubernetes.
fn references(value: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some(start) = rest.find('$') {
        rest = rest.get(start + 1..).unwrap_or_default();
        if let Some(escaped) = rest.strip_prefix('$') {
            rest = escaped;
        } else if let Some(open) = rest.strip_prefix('(')
            && let Some(end) = open.find(')')
        {
            found.extend(open.get(..end));
            rest = open.get(end + 1..).unwrap_or_default();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(pairs: &[(&str, &str)]) -> Result<Vec<String>, Vec<String>> {
        let variables = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        in_dependency_order(&variables).map(|ordered| ordered.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn a_variable_stands_after_those_it_refers_to() {
        assert_eq!(
            order(&[("A", "$(Z)/x"), ("M", "1"), ("Z", "$(M)")]).unwrap(),
            ["M", "Z", "A"]
        );
    }

    #[test]
    fn an_escaped_or_unknown_reference_asks_for_nothing() {
        assert_eq!(
            order(&[("A", "$$(B) $(NOBODY) $B $("), ("B", "$(A)")]).unwrap(),
            ["A", "B"]
        );
    }

    #[test]
    fn a_circle_is_named() {
        assert_eq!(
            order(&[("A", "$(B)"), ("B", "$(C)"), ("C", "$(B)")]).unwrap_err(),
            ["B", "C", "B"]
        );
        assert_eq!(order(&[("A", "$(A)")]).unwrap_err(), ["A", "A"]);
    }
}
