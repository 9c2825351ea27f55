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
/// When answers that nobody asked for any more are forgotten.
const FORGOTTEN: Duration = Duration::from_hours(48);

/// What others answered.
pub struct Answers {
    /// The last answers: what is judged by.
    known: RwLock<Facts>,
    /// Until when each need not be asked for again.
    fresh: Mutex<BTreeMap<Question, Instant>>,
    /// When what is asked for no more was last forgotten: to look at all answers at each would take long.
    cleared: Mutex<Option<Instant>>,
    /// Records for which questions are under way.
    asking: Mutex<BTreeSet<Key>>,
    turns: Semaphore,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            known: RwLock::default(),
            fresh: Mutex::default(),
            cleared: Mutex::default(),
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

    /// What is to be asked for so that `judge`, who says what he would know, knows it: what was answered lately is not.
    pub fn open(&self, judge: impl Fn(&Facts) -> BTreeSet<Question>) -> BTreeSet<Question> {
        let mut facts = Facts::new();
        loop {
            let open = judge(&facts);
            let before = facts.len();
            facts.extend(self.answered_lately(&open));
            if facts.len() == before {
                return open;
            }
        }
    }

    fn answered_lately(&self, questions: &BTreeSet<Question>) -> Facts {
        let now = Instant::now();
        let fresh = whole(&self.fresh);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |question: &&Question| fresh.get(*question).is_some_and(|until| *until > now);
        let lately = questions.iter().filter(is_fresh);
        lately
            .filter_map(|question| Some((question.clone(), known.get(question)?.clone())))
            .collect()
    }

    /// Whether none of these need be asked for again.
    pub fn are_fresh(&self, questions: &BTreeSet<Question>) -> bool {
        let now = Instant::now();
        let fresh = whole(&self.fresh);
        questions
            .iter()
            .all(|question| fresh.get(question).is_some_and(|until| *until > now))
    }

    fn keep(&self, question: Question, answer: Answer, now: Instant) {
        let believed = match &answer {
            Answer::Found | Answer::Alias | Answer::Texts(_) => YES,
            Answer::Nothing | Answer::Unknown => NO,
        };
        let mut fresh = whole(&self.fresh);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut cleared = whole(&self.cleared);
        if cleared.is_none_or(|last| now.saturating_duration_since(last) >= YES) {
            // Where records led once is asked for no more.
            fresh.retain(|_, until| now.saturating_duration_since(*until) < FORGOTTEN);
            known.retain(|question, _| fresh.contains_key(question));
            *cleared = Some(now);
        }
        // A little less, so that the next look at the record finds it old.
        fresh.insert(question.clone(), now + believed * 9 / 10);
        known.insert(question, answer.bounded());
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
                    this.keep(question, answer, Instant::now());
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
    use tremplin_core::dns::Fqdn;
    use tremplin_core::dns::facts::Kind;

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

    fn question(name: &str) -> Question {
        Question::new(&Fqdn::parse(name).unwrap(), Kind::Text)
    }

    #[test]
    fn what_is_asked_for_no_more_is_forgotten() {
        let (answers, now) = (Answers::default(), Instant::now());
        answers.keep(question("old.example.org"), Answer::Found, now);
        answers.keep(question("new.example.org"), Answer::Found, now + FORGOTTEN);
        answers.keep(question("new.example.org"), Answer::Found, now + FORGOTTEN + YES);
        let known: Vec<Question> = answers.by_known(|facts| facts.keys().cloned().collect());
        assert_eq!(known, [question("new.example.org")]);
    }

    #[test]
    fn what_was_answered_lately_is_not_asked_for_but_where_it_leads_is() {
        let (answers, now) = (Answers::default(), Instant::now());
        let chain = ["a.example.org", "b.example.org", "c.example.org"].map(question);
        let judge = |facts: &Facts| {
            let next = chain.iter().find(|next| !facts.contains_key(next));
            next.cloned().into_iter().collect()
        };
        assert_eq!(answers.open(judge), [chain[0].clone()].into());
        answers.keep(chain[0].clone(), Answer::Found, now);
        assert_eq!(answers.open(judge), [chain[1].clone()].into());
        answers.keep(chain[1].clone(), Answer::Found, now);
        assert_eq!(answers.open(judge), [chain[2].clone()].into());
    }
}
