//! `check`: the platform's rules, before the cluster says them.

mod report;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use clap::{Args, ValueEnum};
use serde_json::Value;
use tremplin_core::app::offline;
use tremplin_core::fault::Fault as Refusal;
use tremplin_core::json::items;
use tremplin_core::platform::{Platform, Rule};
use tremplin_core::policy::{self, Severity};
use tremplin_core::yaml::Location;

use super::input::{self, Fault, Input, Manifest};
use super::options::{Files, PlatformChoice};
use super::{Exit, Io};

/// Check manifests against the platform's rules
///
/// An app is rendered, and what it becomes is checked; of a DnsRecord or DnsZone, what can be told without a cluster; every other object is checked as it is. A Namespace among them
/// tells its labels, and a ResourceQuota what must fit: `kubectl get namespace,resourcequota -o yaml` gives both.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    files: Files,

    #[command(flatten)]
    platform: PlatformChoice,

    /// The form of the findings: sarif for code scanning, gitlab for GitLab's code quality report
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    output: Form,

    /// From which severity on the exit code is 1
    #[arg(long, value_name = "SEVERITY", default_value = "error")]
    fail_on: Threshold,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Table,
    Json,
    Sarif,
    Gitlab,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Threshold {
    Warning,
    Error,
}

/// Something to look at, with its place.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule's id.
    pub rule: Problem,
    pub severity: Severity,
    pub file: Rc<str>,
    pub location: Location,
    /// `kind/name`.
    pub object: String,
    pub field: String,
    pub message: String,
    pub fix: String,
}

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// The manifest cannot be read, or the API server would refuse it.
    Invalid,
    /// The operator would refuse the app, with this reason.
    Refused(tremplin_core::app::Reason),
    /// The operator would refuse the DnsRecord or DnsZone, with this reason.
    RefusedName(tremplin_core::dns::Reason),
    /// A rule of the platform is broken.
    Breach(Rule),
}

impl Problem {
    /// The word by which it is known.
    pub fn id(self) -> &'static str {
        match self {
            Self::Invalid => "invalid-manifest",
            Self::Refused(reason) => reason.as_str(),
            Self::RefusedName(reason) => reason.as_str(),
            Self::Breach(rule) => rule.id(),
        }
    }

    /// What it is about, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Invalid => "Manifests are what the API server takes",
            Self::Refused(reason) => reason.when(),
            Self::RefusedName(reason) => reason.when(),
            Self::Breach(rule) => rule.facts().title,
        }
    }

    /// What to do about it.
    pub fn help(self) -> &'static str {
        match self {
            Self::Invalid => "Correct the field at the place given.",
            Self::Refused(reason) => reason.action(),
            Self::RefusedName(reason) => reason.action(),
            Self::Breach(rule) => rule.facts().fix,
        }
    }
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let platform = arguments.platform.load()?;
    let input = input::read(&arguments.files, io)?;
    if input.manifests.is_empty() && input.faults.is_empty() {
        anyhow::bail!("there is no object among the manifests");
    }
    let findings = findings(&input, &arguments.files, &platform);
    match arguments.output {
        Form::Table => report::table(&findings, io)?,
        Form::Json => report::json(&findings, io)?,
        Form::Sarif => report::sarif(&findings, io)?,
        Form::Gitlab => report::gitlab(&findings, io)?,
    }
    let least = match arguments.fail_on {
        Threshold::Warning => Severity::Warning,
        Threshold::Error => Severity::Error,
    };
    let failed = findings.iter().any(|finding| finding.severity >= least);
    Ok(if failed { Exit::Found } else { Exit::Fine })
}

/// Everything that is to be said about the input, in the order of the files.
fn findings(input: &Input, files: &Files, platform: &Platform) -> Vec<Finding> {
    let (apps, faults) = input.apps();
    let mut found: Vec<Finding> = input.faults.iter().chain(&faults).map(invalid).collect();
    let namespaces = input.namespaces(files, platform);
    // Objects as the cluster would see them, each with the manifest it comes from.
    let mut objects: Vec<Value> = Vec::new();
    let mut sources: Vec<(&Manifest, bool)> = Vec::new();
    for manifest in input
        .manifests
        .iter()
        .filter(|manifest| !manifest.is_app() && !is_local(manifest))
    {
        objects.push(manifest.value.clone());
        sources.push((manifest, true));
    }
    for (manifest, app) in apps {
        let Some(namespace) = namespaces.get(manifest.text("/metadata/namespace")) else {
            continue;
        };
        match offline(&app, namespace, platform) {
            Ok(rendered) => {
                sources.extend(rendered.objects.iter().map(|_| (manifest, false)));
                objects.extend(rendered.objects);
            }
            Err(refused) => found.extend(
                refused
                    .into_iter()
                    .map(|fault| refusal(manifest, fault.map(Problem::Refused))),
            ),
        }
    }
    for manifest in input.manifests.iter().filter(|manifest| manifest.is_name()) {
        match manifest.judge_name() {
            Ok(None) => {}
            Ok(Some(fault)) => found.push(refusal(manifest, fault.map(Problem::RefusedName))),
            Err(faults) => found.extend(faults.iter().map(invalid)),
        }
    }
    for breach in policy::check(&objects, platform, &namespaces) {
        let Some((manifest, as_written)) = sources.get(breach.index) else {
            continue;
        };
        let at = match breach.rule {
            _ if *as_written => breach.field.clone(),
            Rule::Hosts => host_field(manifest, objects.get(breach.index), &breach.field),
            _ => "metadata.name".to_owned(),
        };
        found.push(Finding {
            rule: Problem::Breach(breach.rule),
            severity: breach.severity,
            file: manifest.file.clone(),
            location: manifest.locate(&at),
            object: format!("{}/{}", breach.kind, breach.name),
            fix: breach.fix().to_owned(),
            field: breach.field,
            message: breach.message,
        });
    }
    found.sort_by(|a, b| {
        (&a.file, a.location, a.rule, &a.object, &a.field).cmp(&(&b.file, b.location, b.rule, &b.object, &b.field))
    });
    found
}

/// What the operator would say about an object.
fn refusal(manifest: &Manifest, fault: Refusal<Problem>) -> Finding {
    let field = fault.field.unwrap_or_default();
    Finding {
        rule: fault.reason,
        severity: Severity::Error,
        file: manifest.file.clone(),
        location: manifest.locate(&field),
        object: format!("{}/{}", manifest.text("/kind"), manifest.text("/metadata/name")),
        field,
        message: fault.message,
        fix: fault.fix,
    }
}

/// The field of the app that a rendered object's host comes from.
fn host_field(app: &Manifest, rendered: Option<&Value>, field: &str) -> String {
    let pointer = format!("/{}", field.replace('[', ".").replace(']', "").replace('.', "/"));
    let host = rendered.and_then(|object| object.pointer(&pointer));
    let index = items(&app.value, "/spec/hosts").position(|written| Some(written) == host);
    index.map_or_else(|| "spec.hosts".to_owned(), |index| format!("spec.hosts[{index}]"))
}

/// Files for kustomize itself are never sent to a cluster.
fn is_local(manifest: &Manifest) -> bool {
    manifest.text("/apiVersion").starts_with("kustomize.config.k8s.io/")
}

fn invalid(fault: &Fault) -> Finding {
    Finding {
        rule: Problem::Invalid,
        severity: Severity::Error,
        file: fault.file.clone(),
        location: fault.location,
        object: String::new(),
        field: fault.path.clone(),
        message: fault.message.clone(),
        fix: match fault.fix.as_str() {
            "" => Problem::Invalid.help().to_owned(),
            fix => fix.to_owned(),
        },
    }
}
