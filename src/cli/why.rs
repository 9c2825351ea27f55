//! `why`: what is wrong, since when, the evidence, the next step.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;
use tremplin_core::app::Reason;
use tremplin_core::json::{items, number, text as text_at};
use tremplin_core::labels;

use super::cluster::block_on;
use super::verbs::{App, Found};
use super::{Exit, Io};

/// Say what is wrong with an app, since when, the evidence and the next step
///
/// Exit code 1 when something is.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    app: App,
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let evidence = block_on(async { Evidence::gather(arguments.app.find().await?).await })?;
    let (text, exit) = evidence.tell(Timestamp::now());
    write!(io.output, "{text}")?;
    Ok(exit)
}

/// What the cluster shows of an app.
pub struct Evidence {
    app: Value,
    deployments: Vec<Value>,
    jobs: Vec<Value>,
    pods: Vec<Value>,
    events: Vec<Value>,
}

/// How many Events are shown: the newest.
const EVENTS: usize = 10;

impl Evidence {
    async fn gather(found: Found) -> anyhow::Result<Self> {
        let Found {
            cluster,
            namespace,
            name,
            app,
        } = found;
        let selector = format!("{}={name}", labels::APP);
        Ok(Self {
            deployments: cluster.list("Deployment", &namespace, &selector).await?,
            jobs: cluster.list("Job", &namespace, &selector).await?,
            pods: cluster.list("Pod", &namespace, &selector).await?,
            events: cluster.list("Event", &namespace, "").await?,
            app,
        })
    }

    fn tell(&self, now: Timestamp) -> (String, Exit) {
        let mut text = String::new();
        let exit = self.verdict(&mut text, now);
        self.questions(&mut text, now);
        let mut evidence = String::new();
        self.deployments
            .iter()
            .for_each(|deployment| tell_deployment(&mut evidence, deployment));
        self.jobs.iter().for_each(|job| tell_job(&mut evidence, job, now));
        self.pods.iter().for_each(|pod| tell_pod(&mut evidence, pod, now));
        self.tell_events(&mut evidence, now);
        if !evidence.is_empty() {
            let _ = write!(text, "\nEvidence\n{evidence}");
        }
        (text, exit)
    }

    /// The first lines: how it is, since when, what to do.
    fn verdict(&self, text: &mut String, now: Timestamp) -> Exit {
        let name = text_at(&self.app, "/metadata/name");
        let namespace = text_at(&self.app, "/metadata/namespace");
        let _ = write!(text, "StartupApp {name} in {namespace}: ");
        let generation = number(&self.app, "/metadata/generation");
        let seen = number(&self.app, "/status/observedGeneration");
        let Some(ready) = self
            .conditions()
            .find(|condition| text_at(condition, "/type") == "Ready")
        else {
            let _ = writeln!(
                text,
                "the operator has not looked at it yet\n  Next: check that the operator runs: `kubectl get pods -A -l app.kubernetes.io/name=tremplin`"
            );
            return Exit::Found;
        };
        let word = ["Stalled", "Reconciling"]
            .into_iter()
            .find(|word| self.conditions().any(|condition| text_at(condition, "/type") == *word));
        let well = text_at(ready, "/status") == "True" && seen >= generation;
        let reason = text_at(ready, "/reason");
        let _ = writeln!(
            text,
            "{} ({reason}) since {}",
            word.unwrap_or(if well { "well" } else { "not ready" }),
            since(text_at(ready, "/lastTransitionTime"), now)
        );
        let _ = writeln!(text, "  {}", text_at(ready, "/message").replace('\n', "\n  "));
        if let Some(url) = self.app.pointer("/status/url").and_then(Value::as_str) {
            let _ = writeln!(text, "  URL: {url}");
        }
        if seen < generation {
            let _ = writeln!(
                text,
                "  The operator has not looked at the newest spec yet (generation {generation}, it knows {seen})"
            );
        }
        if well {
            return Exit::Fine;
        }
        if let Some(known) = Reason::ALL.iter().find(|known| known.as_str() == reason) {
            let _ = writeln!(text, "  Next: {}", known.action());
        }
        Exit::Found
    }

    /// The other conditions, those that are not well first.
    fn questions(&self, text: &mut String, now: Timestamp) {
        let others = self
            .conditions()
            .filter(|condition| !matches!(text_at(condition, "/type"), "Ready" | "Reconciling" | "Stalled"));
        let mut lines: Vec<(bool, String)> = others
            .map(|condition| {
                let at = |pointer| text_at(condition, pointer);
                let status = at("/status");
                let line = format!(
                    "  {}: {status} ({}) since {}: {}",
                    at("/type"),
                    at("/reason"),
                    since(at("/lastTransitionTime"), now),
                    at("/message")
                );
                (status == "True", line)
            })
            .collect();
        lines.sort();
        if !lines.is_empty() {
            let _ = writeln!(text, "\nConditions");
        }
        for (_, line) in lines {
            let _ = writeln!(text, "{}", line.trim_end_matches([' ', ':']));
        }
    }

    fn conditions(&self) -> impl Iterator<Item = &Value> {
        items(&self.app, "/status/conditions")
    }

    /// Events of the app and of what belongs to it, warnings only, the newest first.
    fn tell_events(&self, text: &mut String, now: Timestamp) {
        let own = [&self.app]
            .into_iter()
            .chain(&self.deployments)
            .chain(&self.jobs)
            .chain(&self.pods);
        let mut uids: BTreeSet<&str> = own.map(|object| text_at(object, "/metadata/uid")).collect();
        // A ReplicaSet is known by the pods it made; when it could make none, by its Deployment's name.
        uids.extend(
            self.pods
                .iter()
                .map(|pod| text_at(pod, "/metadata/ownerReferences/0/uid")),
        );
        uids.remove("");
        let of_deployment = |event: &Value| {
            let name = text_at(event, "/involvedObject/name");
            text_at(event, "/involvedObject/kind") == "ReplicaSet"
                && self.deployments.iter().any(|deployment| {
                    let prefix = text_at(deployment, "/metadata/name");
                    name.rsplit_once('-').is_some_and(|(head, _)| head == prefix)
                })
        };
        let mut events: Vec<(Timestamp, &Value)> = self
            .events
            .iter()
            .filter(|event| text_at(event, "/type") == "Warning")
            .filter(|event| uids.contains(text_at(event, "/involvedObject/uid")) || of_deployment(event))
            .map(|event| (event_time(event), event))
            .collect();
        events.sort_by(|(a, _), (b, _)| b.cmp(a));
        for (at, event) in events.into_iter().take(EVENTS) {
            let times = number(event, "/count").max(number(event, "/series/count"));
            let times = if times > 1 {
                format!(", {times} times")
            } else {
                String::new()
            };
            let _ = writeln!(
                text,
                "  Event {}{times}: {} {}: {}: {}",
                age(at, now),
                text_at(event, "/involvedObject/kind"),
                text_at(event, "/involvedObject/name"),
                text_at(event, "/reason"),
                text_at(event, "/message").trim_end()
            );
        }
    }
}

fn tell_deployment(text: &mut String, deployment: &Value) {
    let count = |field: &str| number(deployment, &format!("/status/{field}"));
    let _ = writeln!(
        text,
        "  Deployment {}: {} of {} instances ready, {} of the newest version",
        text_at(deployment, "/metadata/name"),
        count("readyReplicas"),
        number(deployment, "/spec/replicas"),
        count("updatedReplicas")
    );
    let conditions = items(deployment, "/status/conditions");
    for condition in conditions {
        let bad = match text_at(condition, "/type") {
            "ReplicaFailure" => text_at(condition, "/status") == "True",
            "Progressing" => text_at(condition, "/status") == "False",
            _ => false,
        };
        if bad {
            let _ = writeln!(
                text,
                "    {}: {}",
                text_at(condition, "/reason"),
                text_at(condition, "/message")
            );
        }
    }
}

fn tell_job(text: &mut String, job: &Value, now: Timestamp) {
    let mut conditions = items(job, "/status/conditions");
    let is_failed =
        |condition: &&Value| text_at(condition, "/type") == "Failed" && text_at(condition, "/status") == "True";
    let failed = conditions.rfind(is_failed);
    if let Some(failed) = failed {
        let since = since(text_at(failed, "/lastTransitionTime"), now);
        let _ = writeln!(
            text,
            "  Job {}: failed at {since}: {}",
            text_at(job, "/metadata/name"),
            text_at(failed, "/message")
        );
    }
}

fn tell_pod(text: &mut String, pod: &Value, now: Timestamp) {
    let name = text_at(pod, "/metadata/name");
    let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    let mut told = String::new();
    for status in statuses.into_iter().flatten() {
        let waiting = text_at(status, "/state/waiting/reason");
        if !waiting.is_empty() {
            let _ = writeln!(told, "    {waiting}: {}", text_at(status, "/state/waiting/message"));
        }
        for ended in ["/state/terminated", "/lastState/terminated"]
            .into_iter()
            .filter_map(|pointer| status.pointer(pointer))
        {
            if number(ended, "/exitCode") == 0 && text_at(status, "/state/terminated/reason") == "Completed" {
                continue;
            }
            let words = text_at(ended, "/message").trim();
            let words = if words.is_empty() {
                String::new()
            } else {
                format!(":\n      {}", words.replace('\n', "\n      "))
            };
            let _ = writeln!(
                told,
                "    ended at {} with exit code {} ({}), {} restarts{words}",
                since(text_at(ended, "/finishedAt"), now),
                number(ended, "/exitCode"),
                text_at(ended, "/reason"),
                number(status, "/restartCount")
            );
        }
    }
    let conditions = items(pod, "/status/conditions");
    for condition in conditions
        .filter(|condition| text_at(condition, "/type") == "PodScheduled" && text_at(condition, "/status") == "False")
    {
        let _ = writeln!(
            told,
            "    {}: {}",
            text_at(condition, "/reason"),
            text_at(condition, "/message")
        );
    }
    if !told.is_empty() {
        let _ = write!(text, "  Pod {name}: {}\n{told}", text_at(pod, "/status/phase"));
    }
}

fn event_time(event: &Value) -> Timestamp {
    let pointers = [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/eventTime",
        "/firstTimestamp",
        "/metadata/creationTimestamp",
    ];
    let found = pointers
        .into_iter()
        .find_map(|pointer| text_at(event, pointer).parse().ok());
    found.unwrap_or(Timestamp::UNIX_EPOCH)
}

fn since(at: &str, now: Timestamp) -> String {
    at.parse().map_or_else(
        |_| "an unknown time".to_owned(),
        |time| format!("{at}, {}", age(time, now)),
    )
}

/// A length of time as people say it.
fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
