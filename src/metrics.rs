//! What the controller counts, in Prometheus' text form. Labels are closed sets: never the name of an object.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// From 1 ms to 65 s, each bucket four times the one before: an apply takes milliseconds, the deadline is a minute.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 9))
}

/// A custom resource's kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    /// Such as `StartupApp`.
    pub kind: &'static str,
}

/// A round of work on an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Round {
    /// The object's kind.
    pub kind: &'static str,
    /// `settled`, `waiting`, `stalled`, `gone`, `failed`, `panicked` or `overdue`.
    pub result: &'static str,
}

/// A request to the API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `patch`, `delete`, ...
    pub verb: &'static str,
    /// The status class of the answer, `2xx` to `5xx`, `none` without an answer, `refused` when we did not send it.
    pub code: &'static str,
}

/// What was done to a child.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Write {
    /// The child's kind.
    pub kind: String,
    /// `create`, `patch` or `delete`.
    pub action: &'static str,
}

/// A watched kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Watched {
    /// Its kind.
    pub kind: String,
}

/// Objects that share a condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WithCondition {
    /// Their kind.
    pub kind: &'static str,
    /// The condition's type.
    pub condition: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// Every metric of the controller.
pub struct Metrics {
    /// Rounds by kind and result.
    pub rounds: Family<Round, Counter>,
    /// How long rounds took.
    pub round_seconds: Family<Kind, Histogram>,
    /// Rounds that panicked. Each is a bug.
    pub panics: Family<Kind, Counter>,
    /// Objects ready to be worked on.
    pub queue_depth: Family<Kind, Gauge>,
    /// Objects that failed and wait for their next try.
    pub in_backoff: Family<Kind, Gauge>,
    /// Requests to the API server.
    pub requests: Family<Request, Counter>,
    /// Writes of children.
    pub writes: Family<Write, Counter>,
    /// Watches that broke.
    pub watch_errors: Family<Watched, Counter>,
    /// Custom resources by condition.
    pub objects: Family<WithCondition, Gauge>,
    /// Whether this replica may write.
    pub leader: Gauge,
    /// Platform files that could not be used.
    pub platform_errors: Counter,
    scrape: Mutex<()>,
    registry: Registry,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tremplin");
        let build = Info::new(Build {
            version: env!("CARGO_PKG_VERSION"),
        });
        registry.register("build", "The version that runs", build);
        let mut metrics = Self {
            rounds: Family::default(),
            round_seconds: Family::new_with_constructor(durations),
            panics: Family::default(),
            queue_depth: Family::default(),
            in_backoff: Family::default(),
            requests: Family::default(),
            writes: Family::default(),
            watch_errors: Family::default(),
            objects: Family::default(),
            leader: Gauge::default(),
            platform_errors: Counter::default(),
            scrape: Mutex::default(),
            registry,
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register(
            "reconciles",
            "Rounds of work on an object, by result",
            self.rounds.clone(),
        );
        r.register("reconcile_seconds", "How long a round took", self.round_seconds.clone());
        r.register("panics", "Rounds that panicked; each is a bug", self.panics.clone());
        r.register("queue_depth", "Objects ready to be worked on", self.queue_depth.clone());
        r.register(
            "objects_in_backoff",
            "Objects that failed and wait for their next try",
            self.in_backoff.clone(),
        );
        r.register(
            "requests",
            "Requests to the API server, by verb and class of answer",
            self.requests.clone(),
        );
        r.register("writes", "Children written, by kind and action", self.writes.clone());
        r.register(
            "watch_errors",
            "Watches that broke and were opened again",
            self.watch_errors.clone(),
        );
        r.register("objects", "Custom resources by condition", self.objects.clone());
        r.register("leader", "1 while this replica may write", self.leader.clone());
        r.register(
            "platform_errors",
            "Platform files that could not be used",
            self.platform_errors.clone(),
        );
    }

    /// Notes a round that ended.
    pub fn round(&self, kind: &'static str, result: &'static str, took: Duration) {
        self.rounds.get_or_create(&Round { kind, result }).inc();
        self.round_seconds
            .get_or_create(&Kind { kind })
            .observe(took.as_secs_f64());
    }

    /// Counts an object by its conditions.
    pub fn count_conditions(&self, kind: &'static str, conditions: &[Condition]) {
        for condition in conditions {
            let label = WithCondition {
                kind,
                condition: condition.type_.clone(),
                status: condition.status.clone(),
            };
            self.objects.get_or_create(&label).inc();
        }
    }

    /// The text that Prometheus reads. `refresh` counts anew what is counted only when asked.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn text(&self, refresh: impl FnOnce()) -> Result<String, fmt::Error> {
        // Two scrapes at once would count into each other's numbers.
        let _scrape = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        refresh();
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_carries_our_prefix_and_shows_what_was_noted() {
        let metrics = Metrics::default();
        metrics.round("StartupApp", "stalled", Duration::from_millis(3));
        metrics.leader.set(1);
        let text = metrics.text(|| {}).unwrap();
        assert!(
            text.contains(r#"tremplin_reconciles_total{kind="StartupApp",result="stalled"} 1"#),
            "{text}"
        );
        assert!(text.contains("tremplin_leader 1"), "{text}");
        assert!(text.contains(r#"tremplin_build_info{version=""#), "{text}");
        let foreign = text
            .lines()
            .find(|line| !line.starts_with('#') && !line.starts_with("tremplin_"));
        assert_eq!(foreign, None);
    }
}
