//! What others answer about where records lead: asked beside the rounds, and kept for an hour.
//!
//! A round never waits for them: it says what it would know, goes on with what is known, and is woken by the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio::sync::Semaphore;
use tremplin_core::conditions::State;
use tremplin_core::dns::Zone;
use tremplin_core::dns::facts::{Answer, Facts, Question};
use tremplin_core::dns::outlook::{Outlook, Told};

use super::Dns;
use crate::dns_provider::authority;
use crate::dns_provider::authority::discovery::{Discovered, Resolvers};
use crate::driver::Cause;
use crate::key::Key;

/// How long a yes is believed.
const YES: Duration = Duration::from_hours(1);
/// How long anything else is.
const NO: Duration = Duration::from_mins(5);
/// How many questions are under way at the same time, of all records.
const AT_ONCE: usize = 32;

/// What others answered.
pub struct Answers {
    /// The last answers: what is judged by.
    known: RwLock<Facts>,
    /// Those that need not be asked for again, and until when.
    fresh: Mutex<BTreeMap<Question, Instant>>,
    /// Records for which questions are under way.
    asking: Mutex<BTreeSet<Key>>,
    turns: Semaphore,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            known: RwLock::default(),
            fresh: Mutex::default(),
            asking: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }
}

impl Answers {
    /// Judges by what is known.
    pub fn by_known<T>(&self, judge: impl FnOnce(&Facts) -> T) -> T {
        judge(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Judges by what need not be asked for again.
    pub fn by_fresh<T>(&self, judge: impl FnOnce(&Facts) -> T) -> T {
        let now = Instant::now();
        let mut fresh = whole(&self.fresh);
        fresh.retain(|_, until| *until > now);
        let mut facts = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        facts.retain(|question, _| fresh.contains_key(question));
        drop(fresh);
        judge(&facts)
    }

    /// Whether none of these need be asked for again.
    pub fn are_fresh(&self, questions: &BTreeSet<Question>) -> bool {
        let now = Instant::now();
        let fresh = whole(&self.fresh);
        questions
            .iter()
            .all(|question| fresh.get(question).is_some_and(|until| *until > now))
    }

    fn keep(&self, question: Question, answer: Answer) {
        let believed = match &answer {
            Answer::Found | Answer::Alias | Answer::Texts(_) => YES,
            Answer::Nothing | Answer::Unknown => NO,
        };
        // A little less, so that the next look at the record finds it old.
        whole(&self.fresh).insert(question.clone(), Instant::now() + believed * 9 / 10);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(question, answer);
    }

    /// Asks, and wakes the record when everything is answered. Nothing is done while questions for it are under way.
    pub fn ask(self: &Arc<Self>, record: Key, questions: BTreeSet<Question>, dns: &Dns) {
        if questions.is_empty() || !whole(&self.asking).insert(record.clone()) {
            return;
        }
        let (zones, discovered, wake) = (dns.opened(), dns.discovered.clone(), dns.wake.records.clone());
        let addressed: Vec<_> = questions
            .into_iter()
            .map(|question| {
                let zone = zones.covering(&question.name).and_then(|open| open.zone.clone().ok());
                (question, zone)
            })
            .collect();
        let this = self.clone();
        tokio::spawn(async move {
            futures::stream::iter(addressed)
                .for_each_concurrent(AT_ONCE, async |(question, zone)| {
                    let Ok(_turn) = this.turns.acquire().await else { return };
                    let answer = answer(&question, zone.as_ref(), &discovered).await;
                    this.keep(question, answer);
                })
                .await;
            whole(&this.asking).remove(&record);
            let _ = wake.send((record, Cause::Related));
        });
    }
}

/// When a record is looked at again: what is well after an hour, anything else sooner; never what leads nowhere.
pub fn again(outlook: &Outlook) -> Option<Duration> {
    if outlook.conditions.is_empty() {
        return None;
    }
    let is_well = |told: &Option<Told>| told.as_ref().is_some_and(|(state, ..)| *state == State::True);
    let all = outlook.conditions.iter().all(|(_, told)| is_well(told));
    Some(if all { YES } else { NO })
}

fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in it is whole, whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(question: &Question, zone: Option<&Zone>, discovered: &Discovered) -> Answer {
    let Ok(servers) = asked(zone, discovered).await else {
        return Answer::Unknown;
    };
    let answer = servers.answer(&question.name, question.kind).await;
    answer.unwrap_or(Answer::Unknown)
}

/// Whom to ask about a name: the servers of our own zone, since a resolver would keep it that a name is not there yet
/// (RFC 2308); the system's resolvers for all others.
async fn asked(zone: Option<&Zone>, discovered: &Discovered) -> Result<Resolvers, String> {
    let servers = match zone {
        None => return Resolvers::of_system(),
        Some(zone) if zone.authorities.is_empty() => discovered.of(&zone.domain).await?,
        Some(zone) => authority::servers(&zone.authorities).await?,
    };
    Ok(Resolvers(servers.into_iter().map(|server| server.address).collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A resolver would keep it that a name is not there, and hide the record that is made a moment later.
    #[tokio::test]
    async fn resolvers_are_not_asked_about_names_of_our_own_zones() {
        let object = json!({
            "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "own"},
            "spec": {
                "domain": "own.example", "provider": {"type": "Request"},
                "authorities": [{"address": "127.0.0.1", "port": 5301}, {"address": "127.0.0.2"}],
            },
        });
        let zone = Zone::parse(&serde_json::from_value(object).unwrap()).unwrap();
        let asked_of = async |zone: Option<&Zone>| asked(zone, &Discovered::default()).await.unwrap();
        let own: Vec<_> = ["127.0.0.1:5301", "127.0.0.2:53"]
            .map(|address| address.parse().unwrap())
            .into();
        assert_eq!(asked_of(Some(&zone)).await, Resolvers(own));
        assert_eq!(asked_of(None).await, Resolvers::of_system().unwrap());
    }
}
