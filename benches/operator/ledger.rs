//! What was asked of the API server for each app, and when: from the server's own audit log, whoever asked.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use tremplin_e2e::AuditEvent;

use crate::cluster::{USER, name};

/// What a request was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Child,
    Status,
    Event,
}

impl Part {
    /// What a write of the operator's identity was about; `None` for the lease and for reads.
    pub fn of(event: &AuditEvent) -> Option<Self> {
        match (event.resource.as_str(), event.subresource.as_str()) {
            _ if !event.is_write() || event.user != USER => None,
            ("leases", _) => None,
            ("startupapps", "status") => Some(Self::Status),
            ("events", _) => Some(Self::Event),
            _ => Some(Self::Child),
        }
    }
}

/// What was asked for one app.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// When the creation of the custom resource arrived.
    pub asked: Option<Timestamp>,
    /// When the last child was answered.
    pub applied: Option<Timestamp>,
    /// When the last request of all was answered.
    pub finished: Option<Timestamp>,
    pub children: usize,
    pub statuses: usize,
    pub events: usize,
}

impl Account {
    /// Every request.
    pub fn requests(&self) -> usize {
        self.children + self.statuses + self.events
    }

    /// From the custom resource's arrival to the last child's answer.
    pub fn latency(&self) -> Option<Duration> {
        let took = self.applied?.duration_since(self.asked?);
        Duration::try_from(took).ok()
    }
}

/// Every app's account.
#[derive(Debug, Default)]
pub struct Ledger {
    pub apps: BTreeMap<String, Account>,
    /// Reads of one object, lists, and writes refused with a conflict; those of the lease aside.
    pub gets: usize,
    pub lists: usize,
    pub conflicts: usize,
    /// Answers other than success; those of the lease aside.
    pub refused: usize,
}

impl Ledger {
    /// Of these requests.
    pub fn of(events: &[AuditEvent]) -> Result<Self> {
        let mut ledger = Self::default();
        for event in events {
            ledger.note(event)?;
        }
        Ok(ledger)
    }

    fn note(&mut self, event: &AuditEvent) -> Result<()> {
        let created = event.resource == "startupapps" && event.verb == "create";
        if created && let Some(app) = app_of(&event.name) {
            self.apps.entry(app.to_owned()).or_default().asked = Some(time(&event.received_at)?);
        }
        if event.user != USER || event.resource == "leases" {
            return Ok(());
        }
        self.gets += usize::from(event.verb == "get");
        self.lists += usize::from(event.verb == "list");
        self.conflicts += usize::from(event.code == 409);
        self.refused += usize::from(event.code >= 400);
        let Some((part, app)) = Part::of(event).zip(app_of(&event.name)) else {
            return Ok(());
        };
        let answered = Some(time(&event.answered_at)?);
        let account = self.apps.entry(app.to_owned()).or_default();
        account.finished = account.finished.max(answered);
        match part {
            Part::Child => {
                account.children += 1;
                account.applied = account.applied.max(answered);
            }
            Part::Status => account.statuses += 1,
            Part::Event => account.events += 1,
        }
        Ok(())
    }

    /// Every request for apps.
    pub fn requests(&self) -> usize {
        self.apps.values().map(Account::requests).sum()
    }

    /// From the first app's arrival to the last answer.
    pub fn span(&self) -> Result<Duration> {
        let began = self.apps.values().filter_map(|account| account.asked).min();
        let ended = self.apps.values().filter_map(|account| account.finished).max();
        let (began, ended) = began.zip(ended).context("the audit log shows no app")?;
        Duration::try_from(ended.duration_since(began)).context("the audit log ends before it begins")
    }

    /// How long each app took until its children were there.
    pub fn latencies(&self) -> Quantiles {
        Quantiles::of(self.apps.values().filter_map(Account::latency).collect())
    }
}

/// The app that an object's name begins with.
fn app_of(object: &str) -> Option<&str> {
    let app = object.get(..name(0).len())?;
    app.starts_with("bench-app-").then_some(app)
}

fn time(text: &str) -> Result<Timestamp> {
    text.parse().with_context(|| format!("the audit log's time {text:?}"))
}

/// Times in ascending order.
#[derive(Clone, Debug)]
pub struct Quantiles(Vec<Duration>);

impl Quantiles {
    /// Of these times.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    /// The time within which so many per cent were; the slowest one's for 100.
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(rank).or(self.0.last()).copied().unwrap_or_default()
    }
}
