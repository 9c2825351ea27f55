//! The domains under which apps get names, and the name of an app that asks for none.

use std::collections::BTreeMap;

use crate::api::startup_app::Environment;
use crate::names;

use super::Platform;
use super::label::{LabelKey, is_dns_label, is_dns_name};
use super::namespace::NamespaceContext;

/// A domain under which apps get names.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// The domain in lower case; `None`: every name (`*` in the file).
    pub name: Option<String>,
    /// The environments whose namespaces may use it. Empty: all.
    pub environments: Vec<Environment>,
    /// Labels that a namespace must have to use it.
    pub namespace_labels: BTreeMap<LabelKey, String>,
    /// The host of an app that names none.
    pub host_template: Option<HostTemplate>,
    /// Whether hosts get DnsRecords.
    pub dns_records: bool,
}

impl Domain {
    /// Whether the namespace may use it.
    pub fn allows_namespace(&self, namespace: &NamespaceContext) -> bool {
        let environment = self.environments.is_empty() || self.environments.contains(&namespace.environment);
        environment
            && self
                .namespace_labels
                .iter()
                .all(|(key, value)| namespace.labels.get(key.as_str()) == Some(value))
    }

    /// Whether the host is the domain or a name below it.
    pub fn contains(&self, host: &str) -> bool {
        let Some(name) = &self.name else { return true };
        host.strip_suffix(name.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// How a host is made: what stands before `.{domain}`.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    App,
    Environment,
    Project,
    Namespace,
    Label(LabelKey),
}

impl HostTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, for the platform team.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some(mut rest) = text.strip_suffix(".{domain}") else {
            return Err("must end with .{domain}".into());
        };
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (part, behind) = if let Some(open) = rest.strip_prefix('{') {
                let (word, behind) = open.split_once('}').ok_or("has a { without its }")?;
                (placeholder(word)?, behind)
            } else {
                let end = rest.find('{').unwrap_or(rest.len());
                let (text, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
                (literal(text)?, behind)
            };
            parts.push(part);
            rest = behind;
        }
        if !parts.contains(&Part::App) {
            return Err("must hold {app}, else all apps of a namespace would have one host".into());
        }
        Ok(Self { parts })
    }

    fn host(&self, domain: &str, values: &Values<'_>) -> Option<String> {
        let prefix: String = self.parts.iter().map(|part| values.of(part)).collect();
        let labels: Vec<String> = prefix.split('.').map(|label| values.dns_label(label)).collect();
        let host = format!("{}.{domain}", labels.join("."));
        is_dns_name(&host).then_some(host)
    }
}

fn placeholder(word: &str) -> Result<Part, String> {
    if let Some(key) = word.strip_prefix("label:") {
        return LabelKey::new(key)
            .map(Part::Label)
            .ok_or_else(|| format!("{key:?} is not a label key"));
    }
    match word {
        "app" => Ok(Part::App),
        "environment" => Ok(Part::Environment),
        "project" => Ok(Part::Project),
        "namespace" => Ok(Part::Namespace),
        "domain" => Err("{domain} stands only at the end".into()),
        _ => Err(format!(
            "{{{word}}} is unknown: use {{app}}, {{environment}}, {{project}}, {{namespace}}, {{label:KEY}}"
        )),
    }
}

fn literal(text: &str) -> Result<Part, String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if text.chars().all(legal) && !text.contains("..") {
        return Ok(Part::Text(text.to_owned()));
    }
    Err(format!("{text:?} may hold only a-z, 0-9, - and single dots"))
}

/// What stands for the placeholders.
struct Values<'a> {
    app: &'a str,
    environment: &'a str,
    namespace: &'a NamespaceContext,
}

impl Values<'_> {
    fn of(&self, part: &Part) -> String {
        match part {
            Part::Text(text) => text.clone(),
            Part::App => self.legal(Some(self.app)),
            Part::Environment => self.legal(Some(self.environment)),
            Part::Project => self.legal(self.namespace.project.as_deref()),
            Part::Namespace => self.legal(Some(&self.namespace.name)),
            Part::Label(key) => self.legal(self.namespace.labels.get(key.as_str()).map(String::as_str)),
        }
    }

    /// The value with only what a DNS label may hold; a hash of the namespace when nothing is left.
    fn legal(&self, value: Option<&str>) -> String {
        let legal: String = value
            .unwrap_or_default()
            .to_ascii_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        match legal.trim_matches('-') {
            "" => names::hash_suffix(&[&self.namespace.name]),
            legal => legal.to_owned(),
        }
    }

    /// Cuts a label to 63 characters; what is cut goes into a hash at its end.
    fn dns_label(&self, label: &str) -> String {
        let label = label.trim_matches('-');
        if is_dns_label(label) {
            return label.to_owned();
        }
        let suffix = names::hash_suffix(&[label, &self.namespace.name]);
        let head: String = label.chars().take(names::LABEL - suffix.len() - 1).collect();
        format!("{}-{suffix}", head.trim_end_matches('-'))
    }
}

impl Platform {
    /// The domains that the namespace may use, in the order of the file.
    pub fn domains_for<'a>(&'a self, namespace: &'a NamespaceContext) -> impl Iterator<Item = &'a Domain> {
        self.domains.iter().filter(|domain| domain.allows_namespace(namespace))
    }

    /// The host of an app that names none: the template of the first domain that the namespace may use and that has
    /// one. `None`: there is no such domain, or the host would be longer than DNS allows.
    ///
    /// `environment` is the app's own, and only a word in the name; which domains are allowed depends on the
    /// namespace's labels alone.
    pub fn host_for(&self, app: &str, environment: Environment, namespace: &NamespaceContext) -> Option<String> {
        let environment = self.env_label_value(environment);
        let values = Values {
            app,
            environment,
            namespace,
        };
        self.domains_for(namespace)
            .find_map(|domain| Some((domain.name.as_deref()?, domain.host_template.as_ref()?)))
            .and_then(|(domain, template)| template.host(domain, &values))
    }

    /// Whether a host of an app in that namespace gets a DnsRecord: the longest domain that holds it decides.
    pub fn gives_record(&self, host: &str, namespace: &NamespaceContext) -> bool {
        let length = |domain: &Domain| domain.name.as_ref().map_or(0, String::len);
        let holding = self.domains_for(namespace).filter(|domain| domain.contains(host));
        // Of equal ones the first in the file.
        let longest = holding.reduce(|longest, next| if length(next) > length(longest) { next } else { longest });
        longest.is_some_and(|domain| domain.dns_records)
    }

    /// Whether the namespace may use the host.
    pub fn host_allowed(&self, host: &str, namespace: &NamespaceContext) -> bool {
        self.domains_for(namespace).any(|domain| domain.contains(host))
    }
}
