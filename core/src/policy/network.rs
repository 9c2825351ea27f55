//! The way of a request: host, Ingress, Service, container.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::platform::{NamespaceContext, Rule, is_dns_name};

use super::Report;
use super::manifest::{Manifest, Manifests, items, labels, selects, text};

pub(super) fn check(
    manifest: &Manifest<'_>,
    all: &Manifests<'_>,
    namespaces: &BTreeMap<String, NamespaceContext>,
    report: &mut Report<'_>,
) {
    match manifest.kind {
        "Service" => service(manifest, all, report),
        "Ingress" => {
            backends(manifest, all, report);
            hosts(manifest, namespaces, report);
        }
        _ => probe_ports(manifest, report),
    }
}

fn probe_ports(manifest: &Manifest<'_>, report: &mut Report<'_>) {
    let Some(pods) = manifest.pods() else { return };
    for container in pods.all_containers() {
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            for handler in ["httpGet", "tcpSocket", "grpc"] {
                let Some(port) = container.at(&format!("/{probe}/{handler}/port")) else {
                    continue;
                };
                if !container.declares(port) {
                    let field = container.field(&format!("{probe}.{handler}.port"));
                    let message = format!(
                        "the probe asks port {port}, which the container {} does not declare",
                        container.name()
                    );
                    report.add(Rule::PortsAgree, manifest, field, message);
                }
            }
        }
    }
}

fn service(manifest: &Manifest<'_>, all: &Manifests<'_>, report: &mut Report<'_>) {
    if let Some(kind) = manifest.at("/spec/type").filter(|kind| *kind != "ClusterIP") {
        report.add(
            Rule::ServiceType,
            manifest,
            "spec.type",
            format!("the Service is of the type {kind}"),
        );
    }
    if items(manifest.value, "/spec/externalIPs").next().is_some() {
        report.add(
            Rule::ServiceType,
            manifest,
            "spec.externalIPs",
            "the Service takes addresses outside the cluster",
        );
    }
    let selector = labels(manifest.at("/spec/selector"));
    let served: Vec<_> = all
        .iter()
        .filter(|other| other.namespace == manifest.namespace)
        .filter_map(Manifest::pods)
        .filter(|pods| selects(&selector, &pods.labels()))
        .collect();
    // Pods that are not among the objects may declare any port.
    if served.is_empty() {
        return;
    }
    for (index, port) in items(manifest.value, "/spec/ports").enumerate() {
        let target = port
            .pointer("/targetPort")
            .or_else(|| port.pointer("/port"))
            .unwrap_or(&Value::Null);
        if !served
            .iter()
            .any(|pods| pods.containers().any(|container| container.declares(target)))
        {
            let message = format!("the Service sends to port {target}, which none of its pods declares");
            report.add(
                Rule::PortsAgree,
                manifest,
                format!("spec.ports[{index}].targetPort"),
                message,
            );
        }
    }
}

fn backends(manifest: &Manifest<'_>, all: &Manifests<'_>, report: &mut Report<'_>) {
    let mut found: Vec<(String, &Value)> = Vec::new();
    if let Some(backend) = manifest.at("/spec/defaultBackend") {
        found.push(("spec.defaultBackend".into(), backend));
    }
    for (rule, written) in items(manifest.value, "/spec/rules").enumerate() {
        for (path, written) in items(written, "/http/paths").enumerate() {
            let field = format!("spec.rules[{rule}].http.paths[{path}].backend");
            found.extend(written.pointer("/backend").map(|backend| (field, backend)));
        }
    }
    for (field, backend) in found {
        let name = text(backend, "/service/name");
        let Some(service) = all.beside(manifest, "Service").find(|service| service.name == name) else {
            continue;
        };
        let number = backend.pointer("/service/port/number");
        let by_name = backend.pointer("/service/port/name");
        let agrees = items(service.value, "/spec/ports").any(|port| {
            number.is_some_and(|number| port.pointer("/port") == Some(number))
                || by_name.is_some_and(|name| port.pointer("/name") == Some(name))
        });
        if !agrees {
            let port = number.or(by_name).unwrap_or(&Value::Null);
            let message = format!("the Ingress sends to port {port}, which the Service {name} does not have");
            report.add(Rule::PortsAgree, manifest, format!("{field}.service.port"), message);
        }
    }
}

fn hosts(manifest: &Manifest<'_>, namespaces: &BTreeMap<String, NamespaceContext>, report: &mut Report<'_>) {
    let unlabelled;
    let namespace = if let Some(known) = namespaces.get(manifest.namespace) {
        known
    } else {
        unlabelled = report.platform.namespace(manifest.namespace, &BTreeMap::new());
        &unlabelled
    };
    let mut told = BTreeSet::new();
    for (index, rule) in items(manifest.value, "/spec/rules").enumerate() {
        let field = format!("spec.rules[{index}].host");
        let host = text(rule, "/host");
        if told.insert(host)
            && let Err(message) = host_is_fine(host, namespace, report)
        {
            report.add(Rule::Hosts, manifest, field, message);
        }
    }
    for (index, tls) in items(manifest.value, "/spec/tls").enumerate() {
        for (at, host) in items(tls, "/hosts").filter_map(Value::as_str).enumerate() {
            if told.insert(host)
                && let Err(message) = host_is_fine(host, namespace, report)
            {
                report.add(Rule::Hosts, manifest, format!("spec.tls[{index}].hosts[{at}]"), message);
            }
        }
    }
}

/// Names that RFC 2606 and RFC 6761 keep for examples: nobody can reach them.
const EXAMPLES: [&str; 5] = ["example.com", "example.net", "example.org", "example", "invalid"];

fn host_is_fine(host: &str, namespace: &NamespaceContext, report: &Report<'_>) -> Result<(), String> {
    if host.is_empty() {
        return Err("a rule without a host answers for every name of the cluster".into());
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    if !is_dns_name(name) {
        return Err(format!(
            "{host} is not a DNS name: labels of a-z, 0-9 and - with at most 63 characters, 253 in all"
        ));
    }
    if EXAMPLES.iter().any(|example| {
        name.strip_suffix(example)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }) {
        return Err(format!("{host} is an example's name: nobody can reach it"));
    }
    if !report.platform.host_allowed(name, namespace) {
        let domains = report
            .platform
            .domains_for(namespace)
            .filter_map(|domain| domain.name.as_deref());
        return Err(match domains.collect::<Vec<_>>().as_slice() {
            [] => format!("no domain is allowed to the namespace, so {host} is not"),
            domains => format!(
                "{host} is outside the domains allowed to the namespace: {}",
                domains.join(", ")
            ),
        });
    }
    Ok(())
}
