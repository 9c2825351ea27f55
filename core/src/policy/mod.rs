//! The platform's rules, looked at before the cluster does: objects in, findings out.
//!
//! The objects may be rendered by Tremplin or written by hand, of any kind. Which rules there are, what each asks and
//! where it comes from stands in [`Rule`]; how serious a breach is decides the platform file.

mod images;
mod manifest;
mod network;
mod objects;
mod quota;
mod security;
mod spread;
mod workloads;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::platform::{Mode, NamespaceContext, Platform, Rule};

use manifest::{Manifest, Manifests};

/// A breach of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// How serious it is on this platform.
    pub severity: Severity,
    /// The position of the object in what was checked.
    pub index: usize,
    /// The object's kind.
    pub kind: String,
    /// The object's namespace; empty when it names none.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The path of the field in the object, such as `spec.template.spec.containers[0].image`.
    pub field: String,
    /// What is the case.
    pub message: String,
}

impl Finding {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        self.rule.facts().fix
    }
}

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The cluster takes it; somebody should look.
    Warning,
    /// The cluster would refuse it, or it would not work.
    Error,
}

/// Checks the objects together: an Ingress is compared with its Service, a Service with its pods, all pods with the
/// quota, as far as the objects are there. `namespaces` says what is known of each namespace; of an absent one nothing
/// is. Findings come in the order of the objects, then of the rules.
pub fn check(objects: &[Value], platform: &Platform, namespaces: &BTreeMap<String, NamespaceContext>) -> Vec<Finding> {
    let manifests = Manifests::new(objects);
    let mut report = Report {
        platform,
        findings: Vec::new(),
    };
    for manifest in manifests.iter() {
        objects::check(manifest, &mut report);
        images::check(manifest, &mut report);
        workloads::check(manifest, &mut report);
        security::check(manifest, &mut report);
        spread::check(manifest, &manifests, &mut report);
        network::check(manifest, &manifests, namespaces, &mut report);
        quota::check(manifest, &manifests, &mut report);
    }
    let mut findings = report.findings;
    findings.sort_by(|a, b| (a.index, a.rule, &a.field).cmp(&(b.index, b.rule, &b.field)));
    findings
}

/// Collects findings; what the platform switched off falls away here.
struct Report<'a> {
    platform: &'a Platform,
    findings: Vec<Finding>,
}

impl Report<'_> {
    fn add(&mut self, rule: Rule, manifest: &Manifest<'_>, field: impl Into<String>, message: impl Into<String>) {
        let severity = match self.platform.policy(rule) {
            Mode::Off => return,
            Mode::Warn => Severity::Warning,
            Mode::Enforce => Severity::Error,
        };
        self.findings.push(Finding {
            rule,
            severity,
            index: manifest.index,
            kind: manifest.kind.to_owned(),
            namespace: manifest.namespace.to_owned(),
            name: manifest.name.to_owned(),
            field: field.into(),
            message: message.into(),
        });
    }
}

#[cfg(test)]
mod tests;
