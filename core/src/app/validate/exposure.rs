//! Hosts, routes and the class of exposure.

use super::{Context, Faults, invalid, repeated};
use crate::api::startup_app::{Environment, Route, StartupAppSpec};
use crate::app::hosts::Verdict;
use crate::app::reasons::Reason;
use crate::app::valid::{Identity, Names, ValidExposure, ValidHost, ValidProcess};
use crate::fault::{Class, Fault};
use crate::platform::{Exposure, Platform};

/// The word of `spec.exposure` for an app that is not exposed.
const NOT_EXPOSED: &str = "None";

pub fn exposure(
    identity: &Identity,
    spec: &StartupAppSpec,
    environment: Environment,
    processes: &[ValidProcess],
    context: Context<'_>,
    faults: &mut Faults,
) -> Option<(ValidExposure, Names)> {
    if spec.exposure.as_deref() == Some(NOT_EXPOSED) {
        unexposed(spec, faults);
        return None;
    }
    let asked = spec.exposure.is_some() || !spec.hosts.is_empty() || !spec.routes.is_empty();
    let class = class(spec.exposure.as_deref(), context.platform, faults);
    let Some(default) = default_process(processes) else {
        if asked && !processes.is_empty() {
            faults.push(invalid(
                "spec.processes",
                "the app is to be exposed, but no process has a port",
                "set spec.processes[].port, or exposure: None",
            ));
        }
        return None;
    };
    let hosts = hosts(identity, spec, environment, context, faults);
    check_routes(&spec.routes, &hosts, processes, faults);
    let class = class?;
    if hosts.is_empty() {
        return None;
    }
    let (names, hosts) = routed(hosts, context);
    let hosts = hosts.into_iter().map(|host| ValidHost {
        paths: paths(&host, &spec.routes, default),
        host,
    });
    let hosts = hosts.collect();
    Some((ValidExposure { class, hosts }, names))
}

/// The name that nobody holds is on its way to the namespace when there is a DnsRecord for it.
fn awaited(fault: Fault<Reason>, given: bool, committed: Option<&str>) -> Fault<Reason> {
    let fix = match committed {
        _ if fault.reason != Reason::NameNotClaimed => return fault,
        Some(record) => format!("see the DnsRecord {record}, which asks for it"),
        None if given => "its DnsRecord asks for it: see NamesPublished".to_owned(),
        None => return fault,
    };
    Fault {
        class: Class::Waiting,
        fix,
        ..fault
    }
}

/// The hosts that are routed: not those whose names belong to others or to nobody.
fn routed(hosts: Vec<String>, context: Context<'_>) -> (Names, Vec<String>) {
    let mut names = Names::default();
    let mut routed = Vec::new();
    for (index, host) in hosts.into_iter().enumerate() {
        let committed = context.hosts.record(&host);
        if committed.is_none() && context.platform.gives_record(&host, context.namespace) {
            names.records.push(host.clone());
        }
        let told = |fault: Fault<Reason>, what: &str| Fault {
            message: format!("the host {host} is {what}: {}", fault.message),
            field: Some(format!("spec.hosts[{index}]")),
            ..fault
        };
        match context.hosts.verdict(&host) {
            Verdict::Unrouted(fault) => {
                let fault = told(fault, "not routed");
                let given = names.records.contains(&host);
                names.unrouted.push(awaited(fault, given, committed));
                continue;
            }
            Verdict::Kept(fault) => names.kept.push(told(fault, "routed as it was before")),
            Verdict::Held => names.held += 1,
            // Taken is a fault of the whole app.
            Verdict::Free | Verdict::Taken(_) => {}
        }
        routed.push(host);
    }
    (names, routed)
}

fn unexposed(spec: &StartupAppSpec, faults: &mut Faults) {
    for (field, given) in [
        ("spec.hosts", !spec.hosts.is_empty()),
        ("spec.routes", !spec.routes.is_empty()),
    ] {
        if given {
            faults.push(invalid(
                field,
                "exposure is None, so nothing would answer",
                "remove it, or remove exposure: None",
            ));
        }
    }
}

fn class(asked: Option<&str>, platform: &Platform, faults: &mut Faults) -> Option<Exposure> {
    let Some(name) = asked else {
        return platform.default_exposure().cloned();
    };
    let found = platform.exposure(name).cloned();
    if found.is_none() {
        let known: Vec<_> = platform
            .exposures()
            .iter()
            .map(|class| class.name.as_str())
            .chain([NOT_EXPOSED])
            .collect();
        let fix = format!("use one of {}", known.join(", "));
        faults.push(
            Fault::stalled(
                Reason::UnknownExposure,
                format!("the platform has no exposure {name}"),
                fix,
            )
            .at("spec.exposure"),
        );
    }
    found
}

fn hosts(
    identity: &Identity,
    spec: &StartupAppSpec,
    environment: Environment,
    context: Context<'_>,
    faults: &mut Faults,
) -> Vec<String> {
    for host in repeated(spec.hosts.iter().map(String::as_str)) {
        faults.push(invalid(
            "spec.hosts",
            format!("the host {host} stands twice"),
            "keep it once",
        ));
    }
    let hosts = if spec.hosts.is_empty() {
        let template = context
            .platform
            .host_for(&identity.name, environment, context.namespace);
        if template.is_none() && context.platform.default_exposure().is_some() {
            let message = format!(
                "the platform has no host template for {} in this namespace",
                environment.as_str()
            );
            faults.push(
                Fault::stalled(Reason::NoHost, message, "name a host, or set spec.exposure to None").at("spec.hosts"),
            );
        }
        template.into_iter().collect()
    } else {
        for (index, host) in spec.hosts.iter().enumerate() {
            check_domain(&format!("spec.hosts[{index}]"), host, context, faults);
        }
        spec.hosts.clone()
    };
    for (index, host) in hosts.iter().enumerate() {
        if let Verdict::Taken(by) = context.hosts.verdict(host) {
            let message = format!("the host {host} is held by {by}");
            faults.push(
                Fault::stalled(
                    Reason::HostTaken,
                    message,
                    "choose another host, or have it given up there first",
                )
                .at(format!("spec.hosts[{index}]")),
            );
        }
    }
    hosts
}

fn check_domain(field: &str, host: &str, context: Context<'_>, faults: &mut Faults) {
    if context.platform.host_allowed(host, context.namespace) {
        return;
    }
    let domains: Vec<_> = context
        .platform
        .domains_for(context.namespace)
        .filter_map(|domain| domain.name.as_deref())
        .collect();
    let domains = domains.join(", ");
    let (message, fix) = if domains.is_empty() {
        (
            format!("the platform gives no domain to this namespace, so {host} is not allowed"),
            "ask the platform team for a domain".to_owned(),
        )
    } else {
        (
            format!("{host} is outside the domains of this namespace"),
            format!("use a host below one of {domains}"),
        )
    };
    faults.push(Fault::stalled(Reason::HostNotAllowed, message, fix).at(field));
}

fn check_routes(routes: &[Route], hosts: &[String], processes: &[ValidProcess], faults: &mut Faults) {
    for (index, route) in routes.iter().enumerate() {
        let field = format!("spec.routes[{index}]");
        match processes.iter().find(|process| process.name == route.process) {
            None => {
                let message = format!("there is no process {}", route.process);
                faults.push(invalid(
                    format!("{field}.process"),
                    message,
                    "name a process of the app",
                ));
            }
            Some(process) if process.port.is_none() => {
                let message = format!("the process {} has no port", route.process);
                faults.push(invalid(
                    format!("{field}.process"),
                    message,
                    "set its port, or name a process that has one",
                ));
            }
            Some(_) => {}
        }
        if let Some(host) = &route.host
            && !hosts.contains(host)
        {
            faults.push(invalid(
                format!("{field}.host"),
                format!("{host} is not a host of the app"),
                "add it to spec.hosts",
            ));
        }
        if let Some(message) = unroutable(&route.path) {
            faults.push(invalid(
                format!("{field}.path"),
                message,
                "write the plain path, as in /api: its beginning is enough",
            ));
        }
        // An Ingress compares element by element: a slash at the end says nothing.
        let same = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
        let twice = routes
            .iter()
            .take(index)
            .any(|other| other.host == route.host && same(&other.path, &route.path));
        if twice {
            faults.push(invalid(
                format!("{field}.path"),
                format!("the path {} stands twice", route.path),
                "keep it once",
            ));
        }
    }
}

/// Why no Ingress takes or ever matches a path.
/// Source: kubernetes/kubernetes, pkg/apis/networking/validation, `invalidPathSequences` and `invalidPathSuffixes`.
fn unroutable(path: &str) -> Option<String> {
    let strange = |c: &char| !(c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/%".contains(*c));
    let dots = |part: &str| matches!(part, "." | "..");
    let encoded = path
        .split('%')
        .skip(1)
        .all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()));
    if !path.starts_with('/') {
        return Some(format!("the path {path:?} does not begin with /"));
    }
    if let Some(character) = path.chars().find(strange) {
        let why = match character {
            '?' | '#' => "a route sees the path alone, not what follows it",
            _ => "it must be percent-encoded in a path",
        };
        return Some(format!("the path {path:?} holds {character:?}: {why}"));
    }
    if !encoded || path.to_ascii_lowercase().contains("%2f") {
        return Some(format!("the path {path:?} holds a % that no Ingress takes"));
    }
    if path.contains("//") || path.split('/').any(dots) {
        return Some(format!(
            "the path {path:?} holds //, or a part . or .., which no Ingress takes"
        ));
    }
    None
}

/// Who answers a path that no route names.
fn default_process(processes: &[ValidProcess]) -> Option<&ValidProcess> {
    let with_port = |process: &&ValidProcess| process.port.is_some();
    processes
        .iter()
        .filter(with_port)
        .find(|process| process.name == "web")
        .or_else(|| processes.iter().find(with_port))
}

/// The paths of one host, longest prefix first. A route for this host alone comes before one for every host.
fn paths(host: &str, routes: &[Route], default: &ValidProcess) -> Vec<(String, String)> {
    let own = routes.iter().filter(|route| route.host.as_deref() == Some(host));
    let shared = routes.iter().filter(|route| route.host.is_none());
    let mut paths: Vec<(String, String)> = Vec::new();
    for route in own.chain(shared) {
        if !paths.iter().any(|(path, _)| *path == route.path) {
            paths.push((route.path.clone(), route.process.clone()));
        }
    }
    if !paths.iter().any(|(path, _)| path == "/") {
        paths.push(("/".into(), default.name.clone()));
    }
    paths.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
    paths
}
