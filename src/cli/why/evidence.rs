//! What the cluster shows of an app: its workloads, Jobs, pods, and the warnings about them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tremplin_core::app::mask;
use tremplin_core::json::{items, number, text};
use tremplin_core::labels;

use crate::cli::verbs::Found;

/// What the cluster shows of an app.
pub struct Evidence {
    pub app: Value,
    pub deployments: Vec<Value>,
    pub jobs: Vec<Value>,
    pub pods: Vec<Value>,
    pub events: Vec<Value>,
}

/// One thing to know.
#[derive(Debug, Serialize)]
pub struct Exhibit {
    /// What it is about, such as `Pod shop-web-5d-x`.
    pub about: String,
    /// How that is.
    pub message: String,
    /// More lines about it.
    pub details: Vec<String>,
}

/// How times are told: with what has passed since, for people; alone, for programs.
#[derive(Clone, Copy)]
pub struct Times(pub Option<Timestamp>);

impl Times {
    /// A time as the API writes it.
    pub fn since(self, at: &str) -> String {
        match (at.parse(), self.0) {
            (Err(_), _) => "an unknown time".to_owned(),
            (Ok(_), None) => at.to_owned(),
            (Ok(time), Some(now)) => format!("{at}, {}", age(time, now)),
        }
    }

    fn age(self, at: Timestamp) -> String {
        self.0.map_or_else(|| at.to_string(), |now| age(at, now))
    }
}

/// How many Events are shown: the newest.
const EVENTS: usize = 10;

impl Evidence {
    /// Asks the cluster.
    pub async fn gather(found: Found) -> anyhow::Result<Self> {
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

    /// What is worth telling.
    pub fn exhibits(&self, times: Times) -> Vec<Exhibit> {
        let deployments = self.deployments.iter().map(deployment);
        let jobs = self.jobs.iter().filter_map(|found| job(found, times));
        let pods = self.pods.iter().filter_map(|found| pod(found, times));
        deployments
            .chain(jobs)
            .chain(pods)
            .chain(self.warnings(times))
            .collect()
    }

    /// Events of the app and of what belongs to it, warnings only, the newest first.
    fn warnings(&self, times: Times) -> Vec<Exhibit> {
        let own = [&self.app]
            .into_iter()
            .chain(&self.deployments)
            .chain(&self.jobs)
            .chain(&self.pods);
        let mut uids: BTreeSet<&str> = own.map(|object| text(object, "/metadata/uid")).collect();
        // A ReplicaSet is known by the pods it made; when it could make none, by its Deployment's name.
        uids.extend(self.pods.iter().map(|pod| text(pod, "/metadata/ownerReferences/0/uid")));
        uids.remove("");
        let of_deployment = |event: &Value| {
            let name = text(event, "/involvedObject/name");
            text(event, "/involvedObject/kind") == "ReplicaSet"
                && self.deployments.iter().any(|deployment| {
                    let prefix = text(deployment, "/metadata/name");
                    name.rsplit_once('-').is_some_and(|(head, _)| head == prefix)
                })
        };
        let mut events: Vec<(Timestamp, &Value)> = self
            .events
            .iter()
            .filter(|event| text(event, "/type") == "Warning")
            .filter(|event| uids.contains(text(event, "/involvedObject/uid")) || of_deployment(event))
            .map(|event| (event_time(event), event))
            .collect();
        events.sort_by(|(a, _), (b, _)| b.cmp(a));
        events
            .into_iter()
            .take(EVENTS)
            .map(|(at, event)| warning(event, at, times))
            .collect()
    }
}

fn warning(event: &Value, at: Timestamp, times: Times) -> Exhibit {
    let often = number(event, "/count").max(number(event, "/series/count"));
    let often = if often > 1 {
        format!(", {often} times")
    } else {
        String::new()
    };
    Exhibit {
        about: format!("Event {}{often}", times.age(at)),
        message: format!(
            "{} {}: {}: {}",
            text(event, "/involvedObject/kind"),
            text(event, "/involvedObject/name"),
            text(event, "/reason"),
            mask(text(event, "/message").trim_end())
        ),
        details: Vec::new(),
    }
}

fn deployment(deployment: &Value) -> Exhibit {
    let is_bad = |condition: &&Value| match text(condition, "/type") {
        "ReplicaFailure" => text(condition, "/status") == "True",
        "Progressing" => text(condition, "/status") == "False",
        _ => false,
    };
    Exhibit {
        about: format!("Deployment {}", text(deployment, "/metadata/name")),
        message: format!(
            "{} of {} instances ready, {} of the newest version",
            number(deployment, "/status/readyReplicas"),
            number(deployment, "/spec/replicas"),
            number(deployment, "/status/updatedReplicas")
        ),
        details: items(deployment, "/status/conditions")
            .filter(is_bad)
            .map(words)
            .collect(),
    }
}

fn job(job: &Value, times: Times) -> Option<Exhibit> {
    let is_failed = |condition: &&Value| text(condition, "/type") == "Failed" && text(condition, "/status") == "True";
    let failed = items(job, "/status/conditions").rfind(is_failed)?;
    Some(Exhibit {
        about: format!("Job {}", text(job, "/metadata/name")),
        message: format!(
            "failed at {}: {}",
            times.since(text(failed, "/lastTransitionTime")),
            text(failed, "/message")
        ),
        details: Vec::new(),
    })
}

/// Nothing of a pod that is well.
fn pod(pod: &Value, times: Times) -> Option<Exhibit> {
    let mut details = Vec::new();
    for status in items(pod, "/status/containerStatuses") {
        let waiting = text(status, "/state/waiting/reason");
        if !waiting.is_empty() {
            details.push(format!("{waiting}: {}", text(status, "/state/waiting/message")));
        }
        let ends = ["/state/terminated", "/lastState/terminated"]
            .into_iter()
            .filter_map(|pointer| status.pointer(pointer));
        for ended in ends {
            if number(ended, "/exitCode") == 0 && text(status, "/state/terminated/reason") == "Completed" {
                continue;
            }
            let last_words = mask(text(ended, "/message").trim());
            let last_words = if last_words.is_empty() {
                String::new()
            } else {
                format!(":\n  {}", last_words.replace('\n', "\n  "))
            };
            details.push(format!(
                "ended at {} with exit code {} ({}), {} restarts{last_words}",
                times.since(text(ended, "/finishedAt")),
                number(ended, "/exitCode"),
                text(ended, "/reason"),
                number(status, "/restartCount")
            ));
        }
    }
    let is_unscheduled =
        |condition: &&Value| text(condition, "/type") == "PodScheduled" && text(condition, "/status") == "False";
    details.extend(items(pod, "/status/conditions").filter(is_unscheduled).map(words));
    (!details.is_empty()).then(|| Exhibit {
        about: format!("Pod {}", text(pod, "/metadata/name")),
        message: text(pod, "/status/phase").to_owned(),
        details,
    })
}

fn words(condition: &Value) -> String {
    format!("{}: {}", text(condition, "/reason"), text(condition, "/message"))
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
        .find_map(|pointer| text(event, pointer).parse().ok());
    found.unwrap_or(Timestamp::UNIX_EPOCH)
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
