//! Findings in the forms that people and tools read.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tremplin_core::policy::Severity;

use super::{Finding, Problem};
use crate::cli::{Io, counted};

/// For people: the place first, as editors and terminals take it.
pub fn table(findings: &[Finding], io: &mut Io<'_>) -> anyhow::Result<()> {
    for finding in findings {
        let Finding {
            rule,
            file,
            location,
            object,
            field,
            message,
            fix,
            ..
        } = finding;
        let what: Vec<&str> = [object.as_str(), field.as_str()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        writeln!(
            io.output,
            "{file}:{location}: {} [{}] {}",
            word(finding.severity),
            rule.id(),
            what.join(" ")
        )?;
        writeln!(io.output, "    {message}")?;
        if !fix.is_empty() {
            writeln!(io.output, "    fix: {fix}")?;
        }
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    writeln!(
        io.errors,
        "{}, {}",
        counted(count(Severity::Error), "error"),
        counted(count(Severity::Warning), "warning")
    )?;
    Ok(())
}

/// For programs of one's own: a list of findings.
pub fn json(findings: &[Finding], io: &mut Io<'_>) -> anyhow::Result<()> {
    let findings: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "rule": finding.rule.id(), "severity": word(finding.severity), "file": *finding.file,
                "line": finding.location.line, "column": finding.location.column, "object": finding.object,
                "field": finding.field, "message": finding.message, "fix": finding.fix,
            })
        })
        .collect();
    print(&json!(findings), io)
}

/// SARIF 2.1.0 (OASIS), for code scanning.
pub fn sarif(findings: &[Finding], io: &mut Io<'_>) -> anyhow::Result<()> {
    let rules = rules(findings);
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "ruleId": finding.rule.id(),
                "ruleIndex": rules.keys().position(|id| *id == finding.rule.id()),
                "level": word(finding.severity),
                "message": {"text": sentence(finding)},
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": {"uri": uri(&finding.file)},
                        "region": {"startLine": finding.location.line, "startColumn": finding.location.column},
                    },
                    "logicalLocations": [{"fullyQualifiedName": format!("{} {}", finding.object, finding.field).trim()}],
                }],
                "partialFingerprints": {"tremplin/v1": fingerprint(finding)},
            })
        })
        .collect();
    let rules: Vec<Value> = rules
        .values()
        .map(|rule| {
            json!({
                "id": rule.id(),
                "shortDescription": {"text": rule.title()},
                "help": {"text": rule.help()},
            })
        })
        .collect();
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "tremplin", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    print(&log, io)
}

/// GitLab's code quality report: a subset of the Code Climate format.
pub fn gitlab(findings: &[Finding], io: &mut Io<'_>) -> anyhow::Result<()> {
    let issues: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "description": sentence(finding),
                "check_name": finding.rule.id(),
                "fingerprint": fingerprint(finding),
                "severity": match finding.severity { Severity::Error => "major", Severity::Warning => "minor" },
                "location": {"path": finding.file.trim_start_matches("./"), "lines": {"begin": finding.location.line}},
            })
        })
        .collect();
    print(&json!(issues), io)
}

fn print(value: &Value, io: &mut Io<'_>) -> anyhow::Result<()> {
    writeln!(io.output, "{}", serde_json::to_string_pretty(value)?)?;
    Ok(())
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn sentence(finding: &Finding) -> String {
    let what = format!("{} {}", finding.object, finding.field);
    let fix = if finding.fix.is_empty() {
        String::new()
    } else {
        format!(". {}", finding.fix)
    };
    format!("{}: {}{fix}", what.trim(), finding.message)
}

/// The rules that were broken, by their ids: two kinds may have a reason of the same name.
fn rules(findings: &[Finding]) -> BTreeMap<&'static str, Problem> {
    findings
        .iter()
        .map(|finding| (finding.rule.id(), finding.rule))
        .collect()
}

/// The same finding in the next run, also when lines were added above it.
fn fingerprint(finding: &Finding) -> String {
    let identity = [
        finding.rule.id(),
        &finding.file,
        &finding.object,
        &finding.field,
        &finding.message,
    ];
    let digest = Sha256::digest(identity.join("\0"));
    digest
        .iter()
        .take(16)
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A path relative to the repository, as both formats want it.
fn uri(file: &str) -> String {
    let file = file.trim_start_matches("./");
    file.chars()
        .map(|c| if c == ' ' { "%20".to_owned() } else { c.to_string() })
        .collect()
}
