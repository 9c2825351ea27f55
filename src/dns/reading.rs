//! What is at the names that something is asked for, and what that comes to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tremplin_core::dns::plan::{Planned, Sets, Want, by_name};
use tremplin_core::dns::{Change, Fqdn, Reason, RecordType, RrSet, Zone};

use super::TOLERATED;
use super::write::{self, names, plan_all};
use crate::dns_provider::{Failure, Provider};

/// When a zone to which somebody else wrote meanwhile is read again.
pub(super) const READ_AGAIN: Duration = Duration::from_millis(50);
/// Of how many names at most it is known how they were left: half a megabyte or so.
const MOST: usize = 500;

/// How names and their marks were left when they were last written. A mark is trusted to be as it was left where its name
/// still reads so: where a provider is read name by name, a change then costs one reading.
#[derive(Default)]
pub struct Left(HashMap<Fqdn, Known>);

type ByType = BTreeMap<RecordType, RrSet>;

/// What is at a name, and where its mark may be.
struct Known {
    here: ByType,
    marks: BTreeMap<Fqdn, ByType>,
}

/// How the names of a zone were left, as long as its client lives. A round takes it away, and gives it back only if
/// everything went well: after anything else both names are read.
#[derive(Default)]
pub struct Memory(Mutex<Left>);

impl Memory {
    /// Takes it away.
    pub fn take(&self) -> Left {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives it back.
    pub fn keep(&self, left: Left) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = left;
    }
}

impl Left {
    /// Notes how names are left now that what they come to is done.
    pub fn note<'a>(&mut self, done: impl IntoIterator<Item = &'a Want>, reading: &Reading, zone: &Zone) {
        for want in done {
            if self.0.len() >= MOST {
                self.0.clear();
            }
            if let Some(known) = reading.made(want, zone) {
                self.0.insert(want.name.clone(), known);
            }
        }
    }
}

/// What was read, and what it comes to.
pub struct Reading {
    current: Sets,
    /// What each name comes to.
    pub planned: BTreeMap<Fqdn, Planned>,
}

impl Reading {
    /// A name and its mark with the changes made, where nothing is in the way.
    fn made(&self, want: &Want, zone: &Zone) -> Option<Known> {
        let planned = self
            .planned
            .get(&want.name)
            .filter(|planned| planned.conflict.is_none())?;
        let now = |name: &Fqdn| {
            let mut sets = self.current.get(name).cloned().unwrap_or_default();
            let changes = planned.changes.iter();
            changes
                .filter(|change| change.name() == Some(name))
                .for_each(|change| make(&mut sets, change));
            sets
        };
        Some(Known {
            here: now(&want.name),
            marks: marks(want, zone)?.map(|mark| (mark.clone(), now(&mark))).collect(),
        })
    }
}

/// Where the mark of a name may be.
fn marks(want: &Want, zone: &Zone) -> Option<impl Iterator<Item = Fqdn>> {
    let names = want.names(&zone.domain).ok()?.into_iter();
    Some(names.filter(|name| *name != want.name))
}

fn make(sets: &mut ByType, change: &Change) {
    if let Some(before) = &change.before {
        sets.remove(&before.type_);
    }
    if let Some(after) = &change.after {
        sets.insert(after.type_.clone(), after.clone());
    }
}

/// Reads what is at the names of these wants, and plans. What seems to be somebody else's is read again: a provider is
/// read name by name, and who writes meanwhile, such as an operator that lost its lease and does not know it yet, may
/// show data and not the mark that belongs to it. What is not as it was left is forgotten.
///
/// # Errors
/// The provider's failure.
pub async fn plan(
    provider: &dyn Provider,
    wants: &BTreeMap<Fqdn, Want>,
    left: &mut Left,
    zone: &Zone,
) -> Result<Reading, Failure> {
    let mut current = read_whole(provider, wants, left, zone).await?;
    let mut planned = plan_all(wants, &current, zone, provider.profile());
    let seems_foreign = |name: &Fqdn| {
        let conflict = planned.get(name).and_then(|planned| planned.conflict.as_ref());
        conflict.is_some_and(|fault| fault.reason == Reason::NotOurs)
    };
    let doubted: BTreeMap<Fqdn, Want> = wants
        .iter()
        .filter(|(name, _)| seems_foreign(name))
        .map(|(name, want)| (name.clone(), want.clone()))
        .collect();
    if !doubted.is_empty() {
        let names: BTreeSet<Fqdn> = doubted
            .values()
            .filter_map(|want| want.names_in_doubt(&zone.domain).ok())
            .flatten()
            .collect();
        current.retain(|name, _| !names.contains(name));
        current.extend(write::read(provider, &names).await?);
        planned.extend(plan_all(&doubted, &current, zone, provider.profile()));
    }
    Ok(Reading { current, planned })
}

/// As [`read`]. While somebody else writes, what is read in several requests does not fit together: that is soon over,
/// and nobody needs to know.
async fn read_whole(
    provider: &dyn Provider,
    wants: &BTreeMap<Fqdn, Want>,
    left: &mut Left,
    zone: &Zone,
) -> Result<Sets, Failure> {
    for _ in 0..TOLERATED {
        match read(provider, wants, left, zone).await {
            Err(Failure::Changed(_)) => tokio::time::sleep(READ_AGAIN).await,
            read => return read,
        }
    }
    read(provider, wants, left, zone).await
}

/// What is at the names of these wants and of their marks.
async fn read(
    provider: &dyn Provider,
    wants: &BTreeMap<Fqdn, Want>,
    left: &mut Left,
    zone: &Zone,
) -> Result<Sets, Failure> {
    let mut names = names(wants, &zone.domain);
    if names.len() > provider.profile().reads_by_name {
        *left = Left::default();
        return write::read(provider, &names).await;
    }
    let of_want = |(name, want): (&Fqdn, &Want)| {
        let known = left.0.remove(name)?;
        let is_same = marks(want, zone)?.eq(known.marks.keys().cloned());
        is_same.then(|| (name.clone(), known))
    };
    let known: BTreeMap<Fqdn, Known> = wants.iter().filter_map(of_want).collect();
    for name in known.iter().flat_map(|(name, known)| known.marks.keys().chain([name])) {
        names.remove(name);
    }
    let mut found = Sets::new();
    if !known.is_empty() {
        let seen = provider.look_again(&known.keys().cloned().collect()).await?;
        let mut seen = by_name(seen);
        for (name, known) in known {
            let here = seen.remove(&name).unwrap_or_default();
            if here == known.here {
                found.extend(known.marks);
                found.insert(name, here);
            } else {
                names.extend(known.marks.into_keys().chain([name]));
            }
        }
    }
    found.extend(write::read(provider, &names).await?);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use futures::FutureExt as _;
    use futures::future::BoxFuture;
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;
    use tremplin_core::api::DnsZone;
    use tremplin_core::api::dns::ProviderType;
    use tremplin_core::dns::Profile;
    use tremplin_core::dns::ownership::{Mark, Owner, mark_name};

    use super::*;
    use crate::dns_provider::{Credential, profile};

    /// A zone that is read name by name, and counts that.
    struct Counting {
        profile: Profile,
        sets: Mutex<Vec<RrSet>>,
        /// Whether the first reading is of a moment at which marks were not written yet.
        is_torn: AtomicBool,
        /// How often somebody else writes while it is read.
        crossed: AtomicU32,
        asked: Mutex<Vec<BTreeSet<Fqdn>>>,
    }

    impl Provider for Counting {
        fn profile(&self) -> &Profile {
            &self.profile
        }

        fn verify(&self) -> BoxFuture<'_, Result<Credential, Failure>> {
            async { Ok(Credential::default()) }.boxed()
        }

        fn read<'a>(&'a self, names: &'a BTreeSet<Fqdn>) -> BoxFuture<'a, Result<Vec<RrSet>, Failure>> {
            self.asked.lock().unwrap().push(names.clone());
            let crossed = self.crossed.load(Ordering::SeqCst);
            if crossed > 0 {
                self.crossed.store(crossed - 1, Ordering::SeqCst);
                return async { Err(Failure::Changed("while it was read".into())) }.boxed();
            }
            let mut sets = self.sets.lock().unwrap().clone();
            let is_torn = self.is_torn.swap(false, Ordering::SeqCst);
            sets.retain(|set| names.contains(&set.name) && !(is_torn && Mark::of(set).is_some()));
            async move { Ok(sets) }.boxed()
        }

        fn read_all(&self) -> BoxFuture<'_, Result<Vec<RrSet>, Failure>> {
            unreachable!()
        }

        fn write<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Failure>> {
            let mut sets = self.sets.lock().unwrap();
            for change in changes {
                sets.retain(|set| (Some(&set.name), Some(&set.type_)) != (change.name(), change.type_()));
                sets.extend(change.after.clone());
            }
            async { Ok(()) }.boxed()
        }
    }

    impl Counting {
        fn of(sets: Vec<RrSet>) -> Self {
            Self {
                profile: profile(ProviderType::PowerDns),
                sets: Mutex::new(sets),
                is_torn: AtomicBool::new(false),
                crossed: AtomicU32::new(0),
                asked: Mutex::default(),
            }
        }

        /// The names of each reading since this was asked last, in short.
        fn asked(&self) -> Vec<Vec<&'static str>> {
            let short = |name: &Fqdn| if *name == app() { "name" } else { "mark" };
            let asked = std::mem::take(&mut *self.asked.lock().unwrap());
            asked
                .iter()
                .map(|names| names.iter().rev().map(short).collect())
                .collect()
        }
    }

    fn app() -> Fqdn {
        Fqdn::parse("app.z.org").unwrap()
    }

    fn zone() -> Zone {
        let object = json!({
            "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "shared"},
            "spec": {"domain": "z.org", "provider": {"type": "PowerDNS"}},
        });
        Zone::parse(&serde_json::from_value::<DnsZone>(object).unwrap()).unwrap()
    }

    fn data(value: &str) -> RrSet {
        RrSet {
            name: app(),
            type_: RecordType::A,
            ttl: 300,
            values: [value.to_owned()].into(),
        }
    }

    fn owner(namespace: &str) -> Owner {
        Owner {
            cluster: "one".into(),
            namespace: namespace.into(),
            since: Timestamp::UNIX_EPOCH,
        }
    }

    fn mark(namespace: &str) -> RrSet {
        let mark = Mark {
            owner: owner(namespace),
            types: [RecordType::A].into(),
        };
        mark.set(mark_name(&app(), &zone().domain, false).unwrap())
    }

    fn want(value: &str) -> BTreeMap<Fqdn, Want> {
        let want = Want {
            name: app(),
            owner: owner("blue"),
            sets: [(RecordType::A, data(value))].into(),
            withdraw: BTreeSet::new(),
            adopted: false,
            above: Vec::new(),
        };
        [(app(), want)].into()
    }

    /// Reads, plans, writes, and tells what was planned.
    async fn carry_out(provider: &Counting, left: &mut Left, value: &str) -> Planned {
        let wants = want(value);
        let mut reading = plan(provider, &wants, left, &zone()).await.unwrap();
        let changes = reading.planned[&app()].changes.clone();
        provider.write(&changes).await.unwrap();
        left.note(wants.values(), &reading, &zone());
        reading.planned.remove(&app()).unwrap()
    }

    #[tokio::test]
    async fn what_was_read_while_it_was_written_is_not_taken_for_foreign() {
        let provider = Counting::of(vec![data("192.0.2.1"), mark("blue")]);
        provider.is_torn.store(true, Ordering::SeqCst);
        let planned = carry_out(&provider, &mut Left::default(), "192.0.2.1").await;
        assert_eq!(planned, Planned::default());
        assert_eq!(provider.asked(), [["name", "mark"], ["name", "mark"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_changed_while_it_was_read_is_read_again_and_told_when_that_does_not_end() {
        for (crossed, passes) in [(TOLERATED, true), (TOLERATED + 1, false)] {
            let provider = Counting::of(Vec::new());
            provider.crossed.store(crossed, Ordering::SeqCst);
            let planned = plan(&provider, &want("192.0.2.1"), &mut Left::default(), &zone()).await;
            assert_eq!(planned.is_ok(), passes);
        }
    }

    #[tokio::test]
    async fn what_is_read_twice_without_our_mark_is_foreign() {
        let provider = Counting::of(vec![data("192.0.2.1")]);
        let planned = carry_out(&provider, &mut Left::default(), "192.0.2.1").await;
        assert_eq!(planned.conflict.unwrap().reason, Reason::NotOurs);
        assert_eq!(provider.asked().len(), 2);
    }

    #[tokio::test]
    async fn the_mark_of_a_name_that_is_as_it_was_left_is_not_read() {
        let provider = Counting::of(Vec::new());
        let mut left = Left::default();
        let created = carry_out(&provider, &mut left, "192.0.2.1").await;
        assert_eq!(created.changes.len(), 2, "data and mark");
        assert_eq!(provider.asked(), [["name", "mark"]]);
        for value in ["192.0.2.2", "192.0.2.3"] {
            let changed = carry_out(&provider, &mut left, value).await;
            assert_eq!(changed.changes.len(), 1, "the data");
            assert_eq!(provider.asked(), [["name"]]);
        }
        assert_eq!(*provider.sets.lock().unwrap(), [mark("blue"), data("192.0.2.3")]);
    }

    #[tokio::test]
    async fn the_mark_of_a_name_that_somebody_changed_is_read() {
        let provider = Counting::of(Vec::new());
        let mut left = Left::default();
        carry_out(&provider, &mut left, "192.0.2.1").await;
        *provider.sets.lock().unwrap() = vec![data("198.51.100.9"), mark("red")];
        provider.asked();
        let planned = carry_out(&provider, &mut left, "192.0.2.2").await;
        assert_eq!(planned.conflict.unwrap().reason, Reason::NotOurs);
        assert_eq!(provider.asked()[..2], [vec!["name"], vec!["name", "mark"]]);
        assert!(left.0.is_empty(), "what is another's is not remembered");
    }

    #[test]
    fn a_memory_that_was_taken_is_empty_until_it_is_kept() {
        let memory = Memory::default();
        let mut left = memory.take();
        let reading = Reading {
            current: Sets::new(),
            planned: [(app(), Planned::default())].into(),
        };
        left.note(want("192.0.2.1").values(), &reading, &zone());
        memory.keep(left);
        assert_eq!(memory.take().0.len(), 1);
        assert!(memory.take().0.is_empty());
    }
}
