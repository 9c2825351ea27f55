//! Requests that never stop, each on a new connection and without a second try, while something changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tremplin_e2e::http::{self, Answer};

/// How many requests are under way at the same time.
const AT_ONCE: usize = 4;
/// The pause of each asker between two requests.
const PAUSE: Duration = Duration::from_millis(15);
/// Every other request is still being answered when an app that stops at once would stop.
const PATHS: [&str; 2] = ["/", "/slow?for=200ms"];

/// How the requests fared.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answers by the version that gave them.
    pub answers: BTreeMap<String, usize>,
    /// What went wrong with the others.
    pub failures: Vec<String>,
}

impl Tally {
    fn note(&mut self, path: &str, answer: Result<Answer>) {
        match answer {
            Ok(answer) if answer.status == 200 => {
                let version = answer.body.split(' ').nth(1).unwrap_or_default().to_owned();
                *self.answers.entry(version).or_default() += 1;
            }
            Ok(answer) => self
                .failures
                .push(format!("{path}: {} {}", answer.status, answer.body.trim())),
            Err(error) => self.failures.push(format!("{path}: {error:#}")),
        }
    }
}

/// Requests under way. They stop with this value.
pub struct Traffic {
    tally: Arc<Mutex<Tally>>,
    _askers: JoinSet<()>,
}

impl Traffic {
    /// Begins to ask the sample app behind a host.
    pub fn start(address: SocketAddr, host: &str) -> Self {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let mut askers = JoinSet::new();
        for _ in 0..AT_ONCE {
            askers.spawn(ask(address, host.to_owned(), tally.clone()));
        }
        Self { tally, _askers: askers }
    }

    /// How the requests fared so far.
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn ask(address: SocketAddr, host: String, tally: Arc<Mutex<Tally>>) {
    for path in PATHS.iter().cycle() {
        let answer = http::get(address, &host, path).await;
        tally.lock().unwrap_or_else(PoisonError::into_inner).note(path, answer);
        tokio::time::sleep(PAUSE).await;
    }
}
