use std::sync::Mutex;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tremplin_core::api::DnsZone;
use tremplin_core::api::dns::ProviderType;
use tremplin_core::dns::Profile;
use tremplin_core::dns::ownership::Owner;
use tremplin_core::dns::plan::{Sets, by_name};

use super::*;
use crate::dns::write::plan_all;
use crate::dns_provider::{Credential, profile};

const KINDS: [ProviderType; 3] = [ProviderType::Rfc2136, ProviderType::Gandi, ProviderType::Ovh];

/// A zone in memory, with names at which every write fails.
struct Fake {
    profile: Profile,
    sets: Mutex<Sets>,
    poison: BTreeMap<Fqdn, Failure>,
    /// What every write fails with.
    down: Option<Failure>,
    credential: Result<Credential, Failure>,
    /// The next write is made, and nobody is told.
    loses_answer: Mutex<bool>,
    /// At this mark another cluster writes its own meanwhile.
    contested: Option<Fqdn>,
    /// How many writes the account takes now.
    room: Option<usize>,
    /// How long a call takes.
    takes: Duration,
    /// How many changes each call had.
    calls: Mutex<Vec<usize>>,
}

impl Fake {
    fn new(kind: ProviderType) -> Self {
        Self {
            profile: profile(kind),
            sets: Mutex::default(),
            poison: BTreeMap::new(),
            down: None,
            credential: Ok(Credential::default()),
            loses_answer: Mutex::default(),
            contested: None,
            room: None,
            takes: Duration::ZERO,
            calls: Mutex::default(),
        }
    }

    fn with_room(room: usize) -> Self {
        Self {
            room: Some(room),
            ..Self::new(ProviderType::AlwaysData)
        }
    }

    fn poisoned(kind: ProviderType, names: &[&str], failure: &Failure) -> Self {
        let poison = names.iter().map(|host| (name(host), failure.clone())).collect();
        Self {
            poison,
            ..Self::new(kind)
        }
    }

    fn made(&self, changes: &[Change]) -> Result<(), Failure> {
        self.calls.lock().unwrap().push(changes.len());
        if let Some(failure) = &self.down {
            return Err(failure.clone());
        }
        let wrong = |change: &Change| {
            let at = change.name().unwrap();
            let found = self.poison.iter().find(|(name, _)| at.is_within(name));
            found.map(|(_, failure)| failure.clone())
        };
        let at_once = matches!(self.profile.atomicity, Atomicity::Batch(_));
        if at_once && let Some(failure) = changes.iter().find_map(wrong) {
            return Err(failure);
        }
        for change in changes {
            if let Some(failure) = wrong(change) {
                return Err(failure);
            }
            let mut sets = self.sets.lock().unwrap();
            let here = sets.entry(change.name().unwrap().clone()).or_default();
            here.remove(change.type_().unwrap());
            if let Some(mut after) = change.after.clone() {
                if self.contested.as_ref() == Some(&after.name) {
                    after.values.insert("of another".to_owned());
                }
                here.insert(after.type_.clone(), after);
            }
        }
        if std::mem::take(&mut *self.loses_answer.lock().unwrap()) {
            return Err(silent());
        }
        Ok(())
    }

    fn everything(&self) -> Vec<RrSet> {
        let sets = self.sets.lock().unwrap();
        sets.values().flat_map(BTreeMap::values).cloned().collect()
    }

    fn has(&self, host: &str) -> bool {
        let sets = self.sets.lock().unwrap();
        sets.get(&name(host)).is_some_and(|sets| !sets.is_empty())
    }

    fn calls(&self) -> Vec<usize> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

impl Provider for Fake {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn verify(&self) -> BoxFuture<'_, Result<Credential, Failure>> {
        async { self.credential.clone() }.boxed()
    }

    fn read<'a>(&'a self, _: &'a BTreeSet<Fqdn>) -> BoxFuture<'a, Result<Vec<RrSet>, Failure>> {
        async { Ok(self.everything()) }.boxed()
    }

    fn read_all(&self) -> BoxFuture<'_, Result<Vec<RrSet>, Failure>> {
        async { Ok(self.everything()) }.boxed()
    }

    fn room(&self) -> Option<usize> {
        self.room
    }

    fn write<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), Failure>> {
        async {
            if !self.takes.is_zero() {
                tokio::time::sleep(self.takes).await;
            }
            self.made(changes)
        }
        .boxed()
    }
}

fn name(host: &str) -> Fqdn {
    Fqdn::parse(&format!("{host}.z.org")).unwrap()
}

fn silent() -> Failure {
    Failure::Unavailable("HTTP 500".into())
}

fn refused() -> Failure {
    Failure::Refused("not this".into())
}

fn zone() -> Zone {
    let object = json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "z"},
        "spec": {"domain": "z.org", "provider": {"type": "PowerDNS"}},
    });
    Zone::parse(&serde_json::from_value::<DnsZone>(object).unwrap()).unwrap()
}

fn want(host: &str, value: Option<&str>) -> (Fqdn, Want) {
    let set = |value: &str| RrSet {
        name: name(host),
        type_: RecordType::A,
        ttl: 300,
        values: [value.to_owned()].into(),
    };
    let want = Want {
        name: name(host),
        owner: Owner {
            cluster: "one".into(),
            namespace: "blue".into(),
            since: Timestamp::UNIX_EPOCH,
        },
        sets: value.map(|value| (RecordType::A, set(value))).into_iter().collect(),
        withdraw: if value.is_none() {
            [RecordType::A].into()
        } else {
            BTreeSet::new()
        },
        adopted: false,
        above: Vec::new(),
    };
    (name(host), want)
}

fn wants(count: usize) -> BTreeMap<Fqdn, Want> {
    (0..count).map(|n| want(&format!("n{n}"), Some("192.0.2.1"))).collect()
}

/// What is planned for these wants, written.
async fn write(fake: &Fake, wants: &BTreeMap<Fqdn, Want>, board: &Board) -> Written {
    let zone = zone();
    let planned = plan_all(wants, &by_name(fake.everything()), &zone, &fake.profile);
    let groups = planned.into_iter().filter(|(_, planned)| !planned.changes.is_empty());
    let groups = groups.map(|(name, planned)| (name, planned.changes)).collect();
    Writer::new(fake, &zone, wants, board).write(groups).await
}

#[tokio::test]
async fn what_one_name_meets_with_keeps_no_other_from_being_written() {
    let failures = [
        refused(),
        silent(),
        Failure::Changed("again and again".into()),
        Failure::Unauthorized("not this name".into()),
        Failure::NoZone("not this name".into()),
    ];
    for (kind, failure) in KINDS
        .into_iter()
        .flat_map(|kind| failures.iter().map(move |failure| (kind, failure)))
    {
        let fake = Fake::poisoned(kind, &["n7"], failure);
        let board = Board::default();
        let written = write(&fake, &wants(20), &board).await;
        assert_eq!(written.done.len(), 19, "{kind:?} {failure:?}: {written:?}");
        assert_eq!(
            written.failed.keys().collect::<Vec<_>>(),
            [&name("n7")],
            "{kind:?} {failure:?}"
        );
        assert_eq!(
            (written.untried.len(), &written.whole),
            (0, &None),
            "{kind:?} {failure:?}"
        );
        assert!(fake.has("n6") && fake.has("n8") && !fake.has("n7"));
        let is_final = !matches!(failure, Failure::Unavailable(_) | Failure::Changed(_));
        assert_eq!(written.may_pass(&name("n7")), !is_final, "{failure:?}");
        assert_eq!(written.is_complete(), is_final);

        // The next time it spoils nobody's batch.
        fake.calls();
        let mut more = wants(20);
        more.extend((20..40).map(|n| want(&format!("n{n}"), Some("192.0.2.1"))));
        let written = write(&fake, &more, &board).await;
        assert_eq!(written.done.len(), 20, "{kind:?} {failure:?}: {written:?}");
        if kind == ProviderType::Rfc2136 {
            assert_eq!(fake.calls(), [40, 2], "the others at once, and it alone and last");
        }
    }
}

#[tokio::test]
async fn a_batch_is_narrowed_in_halves() {
    let fake = Fake::poisoned(ProviderType::Rfc2136, &["n7"], &refused());
    write(&fake, &wants(64), &Board::default()).await;
    let calls = fake.calls().len();
    assert!(calls <= 13, "{calls} calls");
}

#[tokio::test(start_paused = true)]
async fn a_slow_provider_is_given_no_more_than_a_round_has_time_for() {
    for kind in KINDS {
        let fake = Fake {
            takes: Duration::from_secs(5),
            ..Fake::new(kind)
        };
        let (all, board) = (wants(1_000), Board::default());
        for round in 1..=3 {
            let begin = Instant::now();
            let written = write(&fake, &all, &board).await;
            assert!(
                begin.elapsed() <= Duration::from_mins(1),
                "{kind:?}: {:?}",
                begin.elapsed()
            );
            if kind != ProviderType::Rfc2136 {
                assert_eq!(
                    (written.done.len(), written.later.len()),
                    (6, 1_000 - 6 * round),
                    "{kind:?}"
                );
                assert!(!written.is_complete() && written.whole.is_none() && written.failed.is_empty());
            }
            let name = written.later.first();
            assert!(name.is_none_or(|name| written.may_pass(name) && !written.is_as_planned(name)));
            // The data follow their marks.
            assert_eq!(fake.everything().len(), 2 * (1_000 - written.later.len()), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn no_more_names_are_marked_than_the_account_has_room_for() {
    let fake = Fake::with_room(50);
    let written = write(&fake, &wants(60), &Board::default()).await;
    assert_eq!((written.done.len(), written.later.len()), (25, 35));
    assert_eq!(fake.calls().len(), 50);
    // The account may have been used by another zone.
    let fake = Fake::with_room(5);
    let written = write(&fake, &wants(60), &Board::default()).await;
    assert_eq!((written.done.len(), written.later.len()), (2, 58));
}

#[tokio::test]
async fn a_name_whose_data_is_missing_comes_first() {
    for kind in KINDS {
        let fake = Fake {
            room: Some(8),
            ..Fake::new(kind)
        };
        let all = wants(9);
        write(&fake, &[want("n8", Some("192.0.2.1"))].into(), &Board::default()).await;
        fake.sets.lock().unwrap().remove(&name("n8"));
        fake.calls();
        let written = write(&fake, &all, &Board::default()).await;
        assert!(written.done.contains(&name("n8")), "{kind:?}: {written:?}");
        if kind != ProviderType::Rfc2136 {
            assert_eq!(written.done.len(), 4, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn names_that_failed_wait_for_no_backlog_to_end() {
    let fake = Fake::with_room(20);
    let board = Board::default();
    for n in 0..60 {
        board.fails("z", &name(&format!("n{n}")));
    }
    let mut all = wants(60);
    all.extend((60..120).map(|n| want(&format!("n{n}"), Some("192.0.2.1"))));
    let written = write(&fake, &all, &board).await;
    assert_eq!(board.suspects("z").len(), 55, "half of the room is theirs");
    assert_eq!(written.done.len(), 10);
}

#[test]
fn each_namespace_has_its_turn() {
    let mut wants = wants(3);
    wants.extend([want("z", Some("192.0.2.1"))]);
    wants.get_mut(&name("z")).unwrap().owner.namespace = "red".into();
    let groups = wants.keys().map(|name| (name.clone(), Vec::new())).collect();
    let turns: Vec<Fqdn> = in_turns(groups, &wants).into_iter().map(|(name, _)| name).collect();
    assert_eq!(turns, ["n0", "z", "n1", "n2"].map(name));
}

#[tokio::test]
async fn what_concerns_all_is_not_asked_of_each() {
    for kind in KINDS {
        for failure in [
            Failure::Busy { after: None },
            Failure::NoApi("gone".into()),
            Failure::Settings("wrong".into()),
            Failure::Unauthorized("revoked".into()),
            Failure::NoZone("gone".into()),
        ] {
            let fake = Fake {
                down: Some(failure.clone()),
                credential: Err(failure.clone()),
                ..Fake::new(kind)
            };
            let board = Board::default();
            let written = write(&fake, &wants(20), &board).await;
            assert_eq!(
                (fake.calls().len(), written.untried.len()),
                (1, 20),
                "{kind:?} {failure:?}"
            );
            assert!(!written.is_complete());
            // The next time they are written together again.
            assert!(board.suspects("z").is_empty(), "{kind:?} {failure:?}");
            assert_eq!(written.whole, Some(failure));
        }
    }
}

#[tokio::test]
async fn a_provider_that_takes_no_write_at_all_is_soon_left_alone() {
    for kind in KINDS {
        let fake = Fake {
            down: Some(silent()),
            ..Fake::new(kind)
        };
        let written = write(&fake, &wants(64), &Board::default()).await;
        let calls = fake.calls().len();
        assert!(calls <= 9, "{kind:?}: {calls} calls");
        assert_eq!((written.whole, written.failed.len()), (Some(silent()), 2), "{kind:?}");
        assert_eq!(written.untried.len(), 62, "{kind:?}");
    }
}

#[tokio::test]
async fn names_that_never_succeed_do_not_speak_for_the_zone() {
    for kind in KINDS {
        let fake = Fake::poisoned(kind, &["n1", "n2", "n3"], &silent());
        let board = Board::default();
        for _ in 0..3 {
            write(&fake, &wants(9), &board).await;
        }
        assert_eq!(fake.everything().len(), 12, "{kind:?}: six names and their marks");
        let mut tried = BTreeSet::new();
        for _ in 0..3 {
            let written = write(&fake, &wants(9), &board).await;
            assert_eq!(written.whole, None, "{kind:?}");
            tried.extend(written.failed.into_keys());
        }
        assert_eq!(tried.len(), 3, "{kind:?}: each has its turn");
    }
}

#[tokio::test]
async fn what_was_done_without_an_answer_is_not_done_again() {
    let fake = Fake::new(ProviderType::Rfc2136);
    *fake.loses_answer.lock().unwrap() = true;
    let board = Board::default();
    let written = write(&fake, &wants(9), &board).await;
    assert_eq!((written.done.len(), fake.calls()), (9, vec![18]));
    assert!(written.is_complete() && board.suspects("z").is_empty());
}

#[tokio::test]
async fn a_contested_mark_stops_its_own_name_alone() {
    for kind in [ProviderType::Gandi, ProviderType::Ovh] {
        let fake = Fake {
            contested: Some(name("_tremplin.n3")),
            ..Fake::new(kind)
        };
        let written = write(&fake, &wants(9), &Board::default()).await;
        assert_eq!(written.done.len(), 8, "{kind:?}");
        assert!(
            matches!(written.failed.get(&name("n3")), Some(Failure::Changed(_))),
            "{written:?}"
        );
        assert!(!fake.has("n3") && fake.has("n2") && fake.has("n4"), "{kind:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_a_mark_is_told_of_its_name() {
    for kind in KINDS {
        let mut fake = Fake::new(kind);
        write(&fake, &wants(3), &Board::default()).await;
        fake.poison = [(name("_tremplin.n1"), refused())].into();
        let leaving: BTreeMap<_, _> = (0..3).map(|n| want(&format!("n{n}"), None)).collect();
        let written = write(&fake, &leaving, &Board::default()).await;
        assert_eq!(written.failed, [(name("n1"), refused())].into(), "{kind:?}");
        assert_eq!(written.done.len(), 2, "{kind:?}");
    }
}
