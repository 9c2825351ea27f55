//! `why`: what is wrong, since when, the evidence, the next step.

mod evidence;
mod names;

use std::fmt::Write as _;

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tremplin_core::json::{items, number, text};
use tremplin_core::reason::meanings;

use super::cluster::{ClusterChoice, block_on};
use super::options::{Form, Output, valid_namespace};
use super::verbs;
use super::{Exit, Io};
use evidence::{Evidence, Exhibit, Times};

/// Say what is wrong with an app, a name or a zone, since when, the evidence and the next step
///
/// Exit code 1 when something is.
#[derive(Args, Debug)]
pub struct Arguments {
    /// An app as NAME, or KIND/NAME: startupapp, dnsrecord, dnszone, dnsclaim
    #[arg(value_name = "KIND/NAME")]
    subject: String,

    /// The namespace; absent: that of the context
    #[arg(short, long, value_name = "NAMESPACE", value_parser = valid_namespace)]
    namespace: Option<String>,

    #[command(flatten)]
    cluster: ClusterChoice,

    #[command(flatten)]
    output: Output,
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let is_for_people = arguments.output.form == Form::Table;
    let report = block_on(gather(arguments, Times(is_for_people.then(Timestamp::now))))?;
    if is_for_people {
        write!(io.output, "{}", report.in_words())?;
    } else {
        arguments.output.print(&report, io)?;
    }
    Ok(report.exit())
}

async fn gather(arguments: &Arguments, times: Times) -> anyhow::Result<Report> {
    let (called, namespace) = (&arguments.subject, arguments.namespace.as_deref());
    let name = called
        .split_once('/')
        .and_then(|(word, name)| Some((names::kind(word)?, name)));
    let Some((kind, name)) = name else {
        let found = verbs::find(called, namespace, &arguments.cluster).await?;
        return Ok(Report::of_app(&Evidence::gather(found).await?, times));
    };
    let cluster = arguments.cluster.connect().await?;
    let namespace = match kind {
        "DnsRecord" => namespace.unwrap_or_else(|| cluster.default_namespace()).to_owned(),
        // Of the whole cluster.
        _ => String::new(),
    };
    let Some(mut object) = cluster.get(kind, &namespace, name).await? else {
        let place = if namespace.is_empty() {
            String::new()
        } else {
            format!(" in the namespace {namespace}")
        };
        bail!("there is no {kind} {name}{place}");
    };
    // What is said of a kind below follows from it, whoever wrote the object.
    if let Value::Object(fields) = &mut object {
        fields.insert("kind".into(), kind.into());
    }
    let exhibits = names::exhibits(&cluster, &namespace, &object, times).await?;
    Ok(Report::new(kind, &object, exhibits, times))
}

/// How an object fares.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    kind: &'static str,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
    /// Whether the newest spec is at work and well.
    well: bool,
    /// `well`, `not ready`, `Reconciling`, `Stalled`; `unseen` before the operator has looked at the app.
    state: &'static str,
    reason: String,
    since: String,
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
    /// Of the newest spec, and of the one that the operator knows.
    generation: i64,
    observed_generation: i64,
    /// What to do; empty when there is nothing.
    next: String,
    /// The other conditions, those that are not well first.
    conditions: Vec<Question>,
    evidence: Vec<Exhibit>,
}

/// A condition: a question that people ask, and its answer.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Question {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: String,
    since: String,
    message: String,
}

impl Report {
    fn of_app(evidence: &Evidence, times: Times) -> Self {
        Self::new("StartupApp", &evidence.app, evidence.exhibits(times), times)
    }

    fn new(kind: &'static str, app: &Value, evidence: Vec<Exhibit>, times: Times) -> Self {
        let of_type = |type_: &str| items(app, "/status/conditions").find(|found| text(found, "/type") == type_);
        let (generation, observed) = (
            number(app, "/metadata/generation"),
            number(app, "/status/observedGeneration"),
        );
        let ready = of_type("Ready");
        let well = ready.is_some_and(|ready| text(ready, "/status") == "True") && observed >= generation;
        let ready = ready.unwrap_or(&Value::Null);
        let reason = text(ready, "/reason");
        let state = match (of_type("Stalled"), of_type("Reconciling")) {
            _ if ready.is_null() => "unseen",
            (Some(_), _) => "Stalled",
            (None, Some(_)) => "Reconciling",
            (None, None) if well => "well",
            (None, None) => "not ready",
        };
        let known = meanings()
            .into_iter()
            .find(|known| known.reason == reason && known.kinds.contains(&kind));
        let next = match known {
            _ if ready.is_null() => {
                "check that the operator runs: `kubectl get pods -A -l app.kubernetes.io/name=tremplin`"
            }
            Some(known) if !well => known.action,
            _ => "",
        };
        Self {
            kind,
            name: text(app, "/metadata/name").to_owned(),
            namespace: text(app, "/metadata/namespace").to_owned(),
            well,
            state,
            reason: reason.to_owned(),
            since: times.since(text(ready, "/lastTransitionTime")),
            message: text(ready, "/message").to_owned(),
            url: text(app, "/status/url").to_owned(),
            generation,
            observed_generation: observed,
            next: next.to_owned(),
            conditions: questions(app, times),
            evidence,
        }
    }

    fn exit(&self) -> Exit {
        if self.well { Exit::Fine } else { Exit::Found }
    }

    /// For people. Writing to a text never fails.
    fn in_words(&self) -> String {
        let mut told = format!("{} {}", self.kind, self.name);
        if !self.namespace.is_empty() {
            let _ = write!(told, " in {}", self.namespace);
        }
        told += ": ";
        if self.state == "unseen" {
            told += "the operator has not looked at it yet\n";
        } else {
            let _ = writeln!(told, "{} ({}) since {}", self.state, self.reason, self.since);
            if !self.message.is_empty() {
                let _ = writeln!(told, "  {}", self.message.replace('\n', "\n  "));
            }
            if !self.url.is_empty() {
                let _ = writeln!(told, "  URL: {}", self.url);
            }
            if self.observed_generation < self.generation {
                let _ = writeln!(
                    told,
                    "  The operator has not looked at the newest spec yet (generation {}, it knows {})",
                    self.generation, self.observed_generation
                );
            }
        }
        // The operator ends most messages with it.
        if !self.next.is_empty() && !self.message.contains("Next: ") {
            let _ = writeln!(told, "  Next: {}", self.next);
        }
        if !self.conditions.is_empty() {
            told += "\nConditions\n";
        }
        for question in &self.conditions {
            let Question {
                type_,
                status,
                reason,
                since,
                message,
            } = question;
            let line = format!("  {type_}: {status} ({reason}) since {since}: {message}");
            let _ = writeln!(told, "{}", line.trim_end_matches([' ', ':']));
        }
        if !self.evidence.is_empty() {
            told += "\nEvidence\n";
        }
        for Exhibit {
            about,
            message,
            details,
        } in &self.evidence
        {
            let _ = writeln!(told, "  {about}: {message}");
            for detail in details {
                let _ = writeln!(told, "    {}", detail.replace('\n', "\n    "));
            }
        }
        told
    }
}

fn questions(app: &Value, times: Times) -> Vec<Question> {
    let others = items(app, "/status/conditions")
        .filter(|condition| !matches!(text(condition, "/type"), "Ready" | "Reconciling" | "Stalled"));
    let mut questions: Vec<Question> = others
        .map(|condition| Question {
            type_: text(condition, "/type").to_owned(),
            status: text(condition, "/status").to_owned(),
            reason: text(condition, "/reason").to_owned(),
            since: times.since(text(condition, "/lastTransitionTime")),
            message: text(condition, "/message").to_owned(),
        })
        .collect();
    questions.sort();
    questions.sort_by_key(|question| question.status == "True");
    questions
}

#[cfg(test)]
mod tests;
