//! From what a team wrote to an app that can be rendered: defaults are decided, texts are parsed, and every obstacle is
//! found in one round, each with its field, reason and fix.

mod exposure;
mod program;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};

use super::environment_variables::in_dependency_order;
use super::hosts::HostClaims;
use super::reasons::Reason;
use super::valid::{ContentRef, Identity, ValidApp, ValidProcess};
use crate::api::startup_app::{Criticality, EnvFrom, Environment, StartupApp, StartupAppSpec};
use crate::fault::Fault;
use crate::labels;
use crate::platform::{Exposure, LabelKey, NamespaceContext, Platform, is_label_value};

pub use tasks::release_key;

/// What validation knows beside the spec.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What the platform team decided.
    pub platform: &'a Platform,
    /// What the namespace's labels tell.
    pub namespace: &'a NamespaceContext,
    /// Who holds the hosts that the app wants.
    pub hosts: &'a HostClaims,
}

/// What an absent or whole field could not say: one obstacle found.
pub(super) type Faults = Vec<Fault<Reason>>;

/// Validates an app as written.
///
/// # Errors
/// Every obstacle that the spec, the annotations and the context show, in the order of the spec's fields.
pub fn validate(app: &StartupApp, context: Context<'_>) -> Result<ValidApp, Faults> {
    validate_spec(identity(app), &app.spec, context)
}

fn identity(app: &StartupApp) -> Identity {
    Identity {
        name: app.metadata.name.clone().unwrap_or_default(),
        namespace: app.metadata.namespace.clone().unwrap_or_default(),
        uid: app.metadata.uid.clone().unwrap_or_default(),
    }
}

/// Validates a spec for the app of that identity: also the spec that was released before.
///
/// # Errors
/// As [`validate`].
pub fn validate_spec(identity: Identity, spec: &StartupAppSpec, context: Context<'_>) -> Result<ValidApp, Faults> {
    let mut faults = Vec::new();
    check_name(&identity.name, &mut faults);
    let environment = spec.environment.unwrap_or(context.namespace.environment);
    let mut processes = program::processes(spec, environment, context.platform, &mut faults);
    program::attach_volumes(spec, &mut processes, &mut faults);
    let env = variables(spec, &processes, &mut faults);
    let crons = tasks::crons(spec, &processes, context.platform, &mut faults);
    let release = tasks::release(spec, &processes, &mut faults);
    let exposed = exposure::exposure(&identity, spec, environment, &processes, context, &mut faults);
    check_links(&spec.links, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let labels = platform_labels(&identity, spec, environment, context.platform);
    let (exposure, names) = exposed.unzip();
    Ok(ValidApp {
        environment,
        labels,
        links: spec.links.clone(),
        processes,
        crons,
        release,
        // Without a host that is routed there is nothing to reach it by.
        exposure: exposure.filter(|exposure| !exposure.hosts.is_empty()),
        names: names.unwrap_or_default(),
        secret_env: spec.secret_env.clone(),
        env_from: spec.env_from.iter().filter_map(content_ref).collect(),
        env,
        writable_root: spec.writable_root.unwrap_or(false),
        identity,
    })
}

/// The hosts that an app would carry if nobody else did: what others must respect. One that is refused for another
/// reason, such as a host that its namespace may not have, carries none, and so keeps nobody else from it.
pub fn wanted_hosts(app: &StartupApp, platform: &Platform, namespace: &NamespaceContext) -> Vec<String> {
    hosts_of(app, &app.spec, platform, namespace)
}

/// The hosts that an app would carry if its spec were that one, such as the one that was released.
pub fn hosts_of(
    app: &StartupApp,
    spec: &StartupAppSpec,
    platform: &Platform,
    namespace: &NamespaceContext,
) -> Vec<String> {
    let context = Context {
        platform,
        namespace,
        hosts: &HostClaims::default(),
    };
    let valid = validate_spec(identity(app), spec, context);
    let exposure = valid.ok().and_then(|valid| valid.exposure);
    let hosts = exposure.into_iter().flat_map(|exposure| exposure.hosts);
    hosts.map(|host| host.host).collect()
}

/// The class by which an app is reached; `None`: it is not to be reached.
///
/// # Errors
/// Why the app is refused: it may still be reached by what was rendered before.
pub fn exposed_by(
    app: &StartupApp,
    platform: &Platform,
    namespace: &NamespaceContext,
) -> Result<Option<Exposure>, Vec<Fault<Reason>>> {
    let context = Context {
        platform,
        namespace,
        hosts: &HostClaims::default(),
    };
    let valid = validate(app, context)?;
    Ok(valid.exposure.map(|exposure| exposure.class))
}

fn check_name(name: &str, faults: &mut Faults) {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(legal)
        && name.len() <= 40;
    if !fits {
        faults.push(invalid(
            "metadata.name",
            format!("{name:?} is not a letter followed by at most 39 of a-z, 0-9 and -, the last not a hyphen"),
            "rename the app",
        ));
    }
}

/// A link's name becomes the name part of an annotation's key.
fn check_links(links: &BTreeMap<String, String>, faults: &mut Faults) {
    for name in links.keys().filter(|name| name.is_empty() || !is_label_value(name)) {
        faults.push(invalid(
            format!("spec.links.{name}"),
            format!(
                "{name:?} is not a link's name: at most 63 letters without accents, digits, '-', '_' and '.', the first \
                 and last a letter or digit"
            ),
            "rename the link",
        ));
    }
}

fn platform_labels(
    identity: &Identity,
    spec: &StartupAppSpec,
    environment: Environment,
    platform: &Platform,
) -> BTreeMap<String, String> {
    let keys = platform.label_keys();
    let criticality = keys.criticality.as_ref().map_or(labels::CRITICALITY, LabelKey::as_str);
    let values = [
        (keys.app.as_ref().map(LabelKey::as_str), Some(identity.name.as_str())),
        (
            keys.env.as_ref().map(LabelKey::as_str),
            Some(platform.env_label_value(environment)),
        ),
        (Some(criticality), spec.criticality.map(Criticality::as_str)),
    ];
    values
        .into_iter()
        .filter_map(|(key, value)| Some((key?.to_owned(), value?.to_owned())))
        .collect()
}

fn content_ref(from: &EnvFrom) -> Option<ContentRef> {
    match (&from.secret_ref, &from.config_map_ref) {
        (Some(secret), None) => Some(ContentRef::secret(&secret.name)),
        (None, Some(config_map)) => Some(ContentRef::config_map(&config_map.name)),
        _ => None,
    }
}

fn variables(spec: &StartupAppSpec, processes: &[ValidProcess], faults: &mut Faults) -> Vec<(String, String)> {
    for (field, name) in spec
        .env
        .keys()
        .map(|name| ("env", name))
        .chain(spec.secret_env.keys().map(|name| ("secretEnv", name)))
    {
        if !is_variable_name(name) {
            faults.push(invalid(
                format!("spec.{field}.{name}"),
                format!(
                    "{name:?} is not a variable name: letters, digits, '_', '-' and '.', not beginning with a digit"
                ),
                "rename the variable",
            ));
        }
        if name == "PORT" && processes.iter().any(|process| process.port.is_some()) {
            faults.push(invalid(
                format!("spec.{field}.PORT"),
                "PORT is set for each process from its port",
                "remove it, and set spec.processes[].port instead",
            ));
        }
    }
    for name in spec.env.keys().filter(|name| spec.secret_env.contains_key(*name)) {
        faults.push(invalid(
            format!("spec.env.{name}"),
            "the variable is in secretEnv too",
            "keep one of them",
        ));
    }
    for (index, from) in spec.env_from.iter().enumerate() {
        if content_ref(from).is_none() {
            faults.push(invalid(
                format!("spec.envFrom[{index}]"),
                "needs exactly one of secretRef and configMapRef",
                "keep one of them",
            ));
        }
    }
    in_dependency_order(&spec.env).unwrap_or_else(|circle| {
        let message = format!("the variables refer to each other in a circle: {}", circle.join(" -> "));
        let field = format!("spec.env.{}", circle.first().map_or("", String::as_str));
        faults.push(
            Fault::stalled(
                Reason::EnvCycle,
                message,
                "break the circle, or write $$(NAME) for a literal $(NAME)",
            )
            .at(field),
        );
        Vec::new()
    })
}

fn is_variable_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && name.chars().all(legal) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// The names that stand more than once, each once.
pub(super) fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

pub(super) fn invalid(field: impl Into<String>, message: impl Into<String>, fix: &str) -> Fault<Reason> {
    Fault::stalled(Reason::InvalidSpec, message, fix).at(field)
}

#[cfg(test)]
mod tests;
