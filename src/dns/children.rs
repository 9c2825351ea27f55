//! What the name servers of delegations answer for the names that they are given: asked beside the rounds, since anybody
//! may name servers that never answer. A round judges by the last answers, and is woken by new ones.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tremplin_core::dns::{Fqdn, RecordType, RrSet, Zone};

use super::Events;
use super::cluster_key;
use crate::dns_provider::authority::discovery::{self, Resolvers};
use crate::dns_provider::authority::{self, Server};
use crate::driver::Cause;

/// The port of name servers.
const PORT: u16 = 53;
/// How long the servers of a delegation may take, all together.
const LIMIT: Duration = Duration::from_secs(8);
/// How many delegations are asked about at the same time.
const AT_ONCE: usize = 32;
/// How many addresses of a server are asked.
const ADDRESSES: usize = 8;
/// How long it is believed that all answer.
const YES: Duration = Duration::from_hours(1);
/// How long it is believed that one does not: a tenth of the time since it was first found, within these.
const NO: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));
/// When answers that nobody asked for any more are forgotten.
const FORGOTTEN: Duration = Duration::from_hours(48);

/// A name and who is to answer for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delegation {
    name: Fqdn,
    hosts: BTreeSet<String>,
}

impl Delegation {
    /// What of these sets hands a name over.
    pub fn of(sets: &[RrSet]) -> Option<Self> {
        let set = sets.iter().find(|set| set.type_ == RecordType::Ns)?;
        Some(Self {
            name: set.name.clone(),
            hosts: set.values.clone(),
        })
    }
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The servers that do not answer for the name, and why.
    pub silent: Vec<String>,
    at: Instant,
    /// Since when it is as it is.
    since: Instant,
}

impl Answered {
    /// For how long it counts once it is answered.
    fn believed(&self) -> Duration {
        if self.silent.is_empty() {
            return YES;
        }
        let (shortest, longest) = NO;
        (self.at.duration_since(self.since) / 10).clamp(shortest, longest)
    }

    /// For how long it need not be asked for again.
    pub fn left(&self) -> Duration {
        self.believed().saturating_sub(self.at.elapsed())
    }

    /// Whether it need not be asked for again.
    pub fn is_fresh(&self) -> bool {
        !self.left().is_zero()
    }
}

/// What the servers of delegations answered last.
pub struct Children {
    known: Mutex<BTreeMap<Delegation, Answered>>,
    /// What is being asked, and since when.
    asking: Mutex<BTreeMap<Delegation, Instant>>,
    turns: Semaphore,
}

impl Default for Children {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            asking: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }
}

impl Children {
    /// What was answered last.
    pub fn known(&self, delegation: &Delegation) -> Option<Answered> {
        whole(&self.known).get(delegation).cloned()
    }

    /// What was answered counts no more, nor what is being answered.
    pub fn forget(&self, delegation: &Delegation) {
        whole(&self.asking).remove(delegation);
        whole(&self.known).remove(delegation);
    }

    /// Asks, and wakes the zone when it is known. Nothing is done while it is being asked. `servers`: the zone's own.
    pub fn ask(self: &Arc<Self>, delegation: Delegation, zone: &Zone, servers: Vec<Server>, wake: &Events) {
        let Some(began) = self.begin(&delegation) else { return };
        let (this, wake, key) = (self.clone(), wake.clone(), cluster_key(&zone.name));
        let parent = Parent {
            domain: zone.domain.clone(),
            servers,
        };
        tokio::spawn(async move {
            let Ok(_turn) = this.turns.acquire().await else { return };
            let silent = parent.silent_children(&delegation).await;
            if this.end(&delegation, began, silent) {
                let _ = wake.send((key, Cause::Related));
            }
        });
    }

    /// When the asking begins; `None`: it goes on already.
    fn begin(&self, delegation: &Delegation) -> Option<Instant> {
        let mut asking = whole(&self.asking);
        if asking.contains_key(delegation) {
            return None;
        }
        let now = Instant::now();
        asking.insert(delegation.clone(), now);
        Some(now)
    }

    /// Keeps what was answered, unless it was doubted since it was asked. Tells whether it counts.
    fn end(&self, delegation: &Delegation, began: Instant, silent: Vec<String>) -> bool {
        // Held until it is kept: a doubt in between would leave behind what was answered before it.
        let mut asking = whole(&self.asking);
        let counts = asking.get(delegation) == Some(&began);
        if counts {
            asking.remove(delegation);
            self.keep(delegation, silent);
        }
        counts
    }

    fn keep(&self, delegation: &Delegation, silent: Vec<String>) {
        let at = Instant::now();
        let mut known = whole(&self.known);
        known.retain(|_, answered| answered.at.elapsed() < FORGOTTEN);
        let before = known.get(delegation);
        let same = before.filter(|before| before.silent.is_empty() == silent.is_empty());
        let since = same.map_or(at, |before| before.since);
        known.insert(delegation.clone(), Answered { silent, at, since });
    }
}

/// The zone that hands a name over.
struct Parent {
    domain: Fqdn,
    servers: Vec<Server>,
}

impl Parent {
    /// The name servers that do not answer, and why.
    async fn silent_children(&self, delegation: &Delegation) -> Vec<String> {
        let asked = delegation.hosts.iter().map(async |host| {
            let answered = timeout(LIMIT, self.child_answers(host, &delegation.name)).await;
            let late = || Err(format!("no answer within {} s", LIMIT.as_secs()));
            let answered = answered.unwrap_or_else(|_| late());
            answered.err().map(|why| format!("{host}: {why}"))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Every address of a name server must answer: resolvers choose any.
    async fn child_answers(&self, host: &str, name: &Fqdn) -> Result<(), String> {
        let addresses = self.addresses_of(host).await?;
        let asked = addresses.into_iter().take(ADDRESSES).map(async |address| {
            let start = authority::start(address, name).await;
            start.map_err(|why| format!("{why} ({})", address.ip()))
        });
        join_all(asked).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(())
    }

    /// A host of the zone itself is asked of the zone's servers, which know it first; any other of the system's resolvers.
    async fn addresses_of(&self, host: &str) -> Result<Vec<SocketAddr>, String> {
        let host = Fqdn::parse(host).map_err(|error| format!("the name {error}"))?;
        let servers = if host.is_within(&self.domain) && !self.servers.is_empty() {
            Resolvers(self.servers.iter().map(|server| server.address).collect())
        } else {
            Resolvers::of_system()?
        };
        let found = servers.addresses(&host).await?;
        let found = found.into_iter().map(|address| SocketAddr::new(address, PORT));
        Ok(discovery::with_way(found.collect()))
    }
}

fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in it is whole, whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(silent: &[&str], known_for: u64) -> Answered {
        let at = Instant::now();
        Answered {
            silent: silent.iter().map(|&server| server.to_owned()).collect(),
            at,
            since: at.checked_sub(Duration::from_secs(known_for)).unwrap_or(at),
        }
    }

    #[test]
    fn servers_that_are_silent_for_long_are_asked_more_rarely() {
        let waits = [0, 100, 36_000].map(|known_for| answered(&["ns1"], known_for).believed().as_secs());
        assert_eq!(waits, [5, 10, 300]);
        assert_eq!(answered(&[], 36_000).believed(), YES);
    }

    fn delegation() -> Delegation {
        Delegation {
            name: Fqdn::parse("x.z.org").unwrap(),
            hosts: ["ns1.example.net".to_owned()].into(),
        }
    }

    #[test]
    fn what_is_doubted_while_it_is_asked_is_asked_anew() {
        let (children, delegation) = (Children::default(), delegation());
        let before = children.begin(&delegation).unwrap();
        assert_eq!(children.begin(&delegation), None, "it is asked once at a time");
        children.forget(&delegation);
        let after = children.begin(&delegation).unwrap();
        assert!(
            !children.end(&delegation, before, Vec::new()),
            "it was answered before the doubt"
        );
        assert!(children.known(&delegation).is_none());
        assert!(children.end(&delegation, after, Vec::new()));
        assert!(children.known(&delegation).is_some());
    }

    #[test]
    fn since_when_servers_are_silent_is_kept_until_they_answer() {
        let (children, delegation) = (Children::default(), delegation());
        let told = |silent: &[&str]| {
            children.keep(&delegation, silent.iter().map(|&server| server.to_owned()).collect());
            children.known(&delegation).unwrap()
        };
        let first = told(&["ns1"]);
        assert_eq!(told(&["ns1", "ns2"]).since, first.since);
        let answering = told(&[]);
        assert!(answering.since > first.since && answering.is_fresh());
        assert!(told(&["ns1"]).since > answering.since);
    }
}
