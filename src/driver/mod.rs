//! One loop for every kind: which object is worked on, for how long, how often, and what happens when that goes wrong.
//!
//! kube's own `Controller` would stop every object at the first panic, let a failing object spin and let one team's
//! objects fill every slot. So: one task per round, with a deadline and a panic guard; waits that grow per object;
//! turns between namespaces; and a stop that ends in seconds. What is decided about an object is not here.

mod backoff;
mod queue;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Instrument as _;

pub use backoff::Growth;
pub use queue::Cause;

use crate::key::Key;
use crate::metrics::{Kind, Metrics};
use backoff::Backoff;
use queue::{After, Queue};

/// How long running rounds may go on after a stop, before they are abandoned between two requests.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// How many events are taken from the channel before rounds are started again.
const BATCH: usize = 1024;

/// A custom resource's kind, as the driver sees it.
pub trait Reconcile: Send + Sync + 'static {
    /// The kind's name.
    const KIND: &'static str;

    /// One round on an object: whatever its state, also when it is gone. `failures` rounds in a row failed before it.
    fn reconcile(&self, key: &Key, failures: u32) -> impl Future<Output = Outcome> + Send;

    /// Says on the object that its round ended badly. It is tried again by itself.
    fn tell(&self, key: &Key, accident: &Accident) -> impl Future<Output = ()> + Send;
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is done. `again` asks for another look by then, though nothing happens.
    Settled {
        /// Absent: at the next resync.
        again: Option<Duration>,
    },
    /// Something else must appear or change first.
    Waiting {
        /// Absent: at the next resync.
        again: Option<Duration>,
    },
    /// A human must act first.
    Stalled {
        /// Absent: at the next resync.
        again: Option<Duration>,
    },
    /// Tried again by itself, after a wait that grows.
    Failed(String),
    /// The object is no more: it is forgotten.
    Gone,
}

/// A round that gave no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accident {
    /// It panicked, with this message: a bug.
    Panicked(String),
    /// It took longer than this.
    Overdue(Duration),
}

/// What the loop keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rounds at the same time.
    pub concurrency: usize,
    /// The longest round.
    pub deadline: Duration,
    /// How often an object is looked at though nothing happens, give or take a tenth.
    pub resync: Duration,
    /// The waits of failed objects.
    pub backoff: Growth,
}

/// What the loop works with.
pub struct Driver<R> {
    /// The kind.
    pub reconciler: Arc<R>,
    /// What happens to objects of the kind.
    pub events: UnboundedReceiver<(Key, Cause)>,
    /// What the loop keeps to.
    pub limits: Limits,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// Numbers from 0 to 1, for waits that are not in step.
    pub random: fn() -> f64,
}

enum Ended {
    Outcome(Outcome),
    Accident(Accident),
}

impl<R: Reconcile> Driver<R> {
    /// Works until `stop`, then lets running rounds end for at most three seconds.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut queue = Queue::new(self.limits.concurrency);
        let mut backoff = Backoff::new(self.limits.backoff, self.random);
        let mut rounds = JoinSet::new();
        let mut events = Vec::new();
        tokio::pin!(stop);
        loop {
            while let Some(key) = queue.next(Instant::now()) {
                let failures = backoff.failures(&key);
                rounds.spawn(self.round(key, failures));
            }
            self.measure(&queue);
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = rounds.join_next() => {
                    if let Ok((key, ended)) = ended {
                        let after = self.after(&key, &ended, &mut backoff);
                        queue.finished(key, after);
                    }
                }
                count = self.events.recv_many(&mut events, BATCH) => {
                    if count == 0 {
                        break;
                    }
                    for (key, cause) in events.drain(..) {
                        queue.notice(key, cause);
                    }
                }
                () = wake(queue.wakes_at()) => {}
            }
        }
        let drained = async { while rounds.join_next().await.is_some() {} };
        if timeout(STOP_GRACE, drained).await.is_err() {
            tracing::warn!(kind = R::KIND, rounds = rounds.len(), "stopping: rounds abandoned");
        }
        rounds.shutdown().await;
    }

    fn round(&self, key: Key, failures: u32) -> impl Future<Output = (Key, Ended)> + Send + use<R> {
        let (reconciler, metrics) = (self.reconciler.clone(), self.metrics.clone());
        let deadline = self.limits.deadline;
        let span = tracing::info_span!(
            "round",
            kind = R::KIND,
            namespace = key.namespace,
            name = key.name,
            generation = tracing::field::Empty
        );
        let round = async move {
            let began = Instant::now();
            let ended = guard(deadline, reconciler.reconcile(&key, failures)).await;
            let ended = match ended {
                Ok(outcome) => Ended::Outcome(outcome),
                Err(accident) => {
                    // A failure to tell changes nothing: the round has failed already.
                    let _ = guard(deadline, reconciler.tell(&key, &accident)).await;
                    Ended::Accident(accident)
                }
            };
            metrics.round(R::KIND, note::<R>(&ended, &metrics), began.elapsed());
            (key, ended)
        };
        round.instrument(span)
    }

    fn after(&self, key: &Key, ended: &Ended, backoff: &mut Backoff) -> After {
        let now = Instant::now();
        let again = match ended {
            Ended::Accident(_) | Ended::Outcome(Outcome::Failed(_)) => {
                return After::RetryAt(now + backoff.failed(key));
            }
            Ended::Outcome(Outcome::Settled { again } | Outcome::Waiting { again } | Outcome::Stalled { again }) => {
                *again
            }
            Ended::Outcome(Outcome::Gone) => None,
        };
        backoff.succeeded(key);
        if matches!(ended, Ended::Outcome(Outcome::Gone)) {
            return After::Nothing;
        }
        let resync = || now + self.limits.resync.mul_f64(0.9 + 0.2 * (self.random)());
        // A time that no clock reaches, such as a partner may ask for, is none.
        After::LookAt(again.and_then(|again| now.checked_add(again)).unwrap_or_else(resync))
    }

    fn measure(&self, queue: &Queue) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics
            .queue_depth
            .get_or_create(&Kind { kind: R::KIND })
            .set(count(queue.depth()));
        self.metrics
            .in_backoff
            .get_or_create(&Kind { kind: R::KIND })
            .set(count(queue.in_backoff()));
    }
}

/// Runs `work` for at most `deadline`; a panic ends it alone.
async fn guard<T>(deadline: Duration, work: impl Future<Output = T>) -> Result<T, Accident> {
    // Unwind safety: what a panicked round leaves behind is its own data, dropped here, and the stores, whose locks
    // are never held across code that can panic.
    match timeout(deadline, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(panic)) => Err(Accident::Panicked(message(panic.as_ref()))),
        Err(_) => Err(Accident::Overdue(deadline)),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

/// Logs what a round ended with, once, and gives the word for it.
fn note<R: Reconcile>(ended: &Ended, metrics: &Metrics) -> &'static str {
    match ended {
        Ended::Outcome(Outcome::Settled { .. }) => "settled",
        Ended::Outcome(Outcome::Waiting { .. }) => "waiting",
        Ended::Outcome(Outcome::Stalled { .. }) => "stalled",
        Ended::Outcome(Outcome::Gone) => "gone",
        Ended::Outcome(Outcome::Failed(error)) => {
            tracing::warn!(error, "round failed; it is tried again");
            "failed"
        }
        Ended::Accident(Accident::Panicked(message)) => {
            tracing::error!(message, "round panicked; this is a bug, and the object is tried again");
            metrics.panics.get_or_create(&Kind { kind: R::KIND }).inc();
            "panicked"
        }
        Ended::Accident(Accident::Overdue(deadline)) => {
            tracing::warn!(?deadline, "round took too long and was abandoned; it is tried again");
            "overdue"
        }
    }
}

async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
