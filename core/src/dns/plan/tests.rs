use proptest::prelude::*;

use super::*;
use crate::dns::ownership::mark_name;
use crate::dns::profile::{Alias, Publication};
use crate::dns::testing::{at, name, zone};

mod above;

fn profile(atomicity: Atomicity) -> Profile {
    Profile {
        name: "test",
        min_ttl: 1,
        max_ttl: 86_400,
        atomicity,
        alias: Alias::Never,
        without: &[],
        publication: Publication::Immediate,
        reads_by_name: 10,
        snapshots: false,
        serial_moves: true,
        rate: None,
    }
}

const BATCH: Atomicity = Atomicity::Batch(100);

fn shared() -> Zone {
    zone("{domain: z.org, provider: {type: Request}, safety: {protected: [www.z.org]}}")
}

fn set(host: &str, type_: &str, value: &str) -> RrSet {
    RrSet {
        name: name(host),
        type_: RecordType::of(type_),
        ttl: 300,
        values: [value.to_owned()].into(),
    }
}

fn owner(cluster: &str, namespace: &str, since: i64) -> Owner {
    Owner {
        cluster: cluster.into(),
        namespace: namespace.into(),
        since: at(since),
    }
}

fn want(host: &str, sets: &[RrSet]) -> Want {
    Want {
        name: name(host),
        owner: owner("one", "blue", 100),
        sets: sets.iter().map(|set| (set.type_.clone(), set.clone())).collect(),
        withdraw: BTreeSet::new(),
        adopted: false,
        above: Above::of(&name(host), &shared(), &BTreeMap::new()),
    }
}

fn mark(host: &str, owner: Owner, types: &[&str]) -> RrSet {
    let types: BTreeSet<_> = types.iter().map(|type_| RecordType::of(type_)).collect();
    let delegated = types.contains(&RecordType::Ns);
    Mark { owner, types }.set(mark_name(&name(host), &name("z.org"), delegated).unwrap())
}

fn ours(host: &str, types: &[&str]) -> RrSet {
    mark(host, owner("one", "blue", 100), types)
}

/// The zone after the changes; each is what the zone has, as a provider that compares would ask.
fn apply(zone: &Sets, changes: &[Change]) -> Sets {
    let mut zone = zone.clone();
    for change in changes {
        let (name, type_) = (change.name().unwrap(), change.type_().unwrap());
        let sets = zone.entry(name.clone()).or_default();
        assert_eq!(sets.remove(type_), change.before, "{change:?}");
        if let Some(after) = &change.after {
            sets.insert(type_.clone(), after.clone());
        }
    }
    zone.retain(|_, sets| !sets.is_empty());
    zone
}

fn told(planned: &Planned) -> Vec<String> {
    let change = |change: &Change| {
        format!(
            "{} {} {}",
            change.action(),
            change.name().unwrap(),
            change.type_().unwrap()
        )
    };
    planned.changes.iter().map(change).collect()
}

#[test]
fn the_mark_comes_before_the_data_and_goes_after_it() {
    let a = set("app.z.org", "A", "192.0.2.1");
    for atomicity in [BATCH, Atomicity::Set, Atomicity::Record] {
        let created = plan(
            &want("app.z.org", std::slice::from_ref(&a)),
            &Sets::new(),
            &shared(),
            &profile(atomicity),
        );
        assert_eq!(told(&created), ["Create _tremplin.app.z.org TXT", "Create app.z.org A"]);
    }
    let current = by_name([a, ours("app.z.org", &["A"])]);
    let mut gone = want("app.z.org", &[]);
    gone.withdraw = [RecordType::A].into();
    let removed = plan(&gone, &current, &shared(), &profile(Atomicity::Record));
    assert_eq!(told(&removed), ["Delete app.z.org A", "Delete _tremplin.app.z.org TXT"]);
    assert_eq!(apply(&current, &removed.changes), Sets::new());
}

#[test]
fn another_type_takes_the_place_of_the_old_one_and_the_mark_always_names_both() {
    let current = by_name([set("app.z.org", "A", "192.0.2.1"), ours("app.z.org", &["A"])]);
    let swap = want("app.z.org", &[set("app.z.org", "CNAME", "h.example.org")]);
    let at_once = plan(&swap, &current, &shared(), &profile(BATCH));
    assert_eq!(
        told(&at_once),
        [
            "Replace _tremplin.app.z.org TXT",
            "Delete app.z.org A",
            "Create app.z.org CNAME"
        ]
    );
    let stepwise = plan(&swap, &current, &shared(), &profile(Atomicity::Set));
    assert_eq!(
        told(&stepwise),
        [
            "Replace _tremplin.app.z.org TXT",
            "Delete app.z.org A",
            "Create app.z.org CNAME",
            "Replace _tremplin.app.z.org TXT"
        ]
    );
    let after = apply(&current, &stepwise.changes);
    assert_eq!(after, apply(&current, &at_once.changes));
}

#[test]
fn what_nobody_marked_is_left_alone() {
    let foreign = set("app.z.org", "A", "198.51.100.1");
    let current = by_name([foreign.clone()]);
    for wanted in [
        set("app.z.org", "A", "198.51.100.1"),
        set("app.z.org", "CNAME", "h.example.org"),
    ] {
        let planned = plan(&want("app.z.org", &[wanted]), &current, &shared(), &profile(BATCH));
        assert_eq!(planned.changes, [], "{planned:?}");
        assert_eq!(planned.conflict.unwrap().reason, Reason::NotOurs);
    }
    // A type beside which ours may stand too: whose data is there, the name is.
    for wanted in [
        set("app.z.org", "AAAA", "2001:db8::1"),
        set("app.z.org", "MX", "10 mail.example.org"),
        set("app.z.org", "CAA", "0 issue \"ca.example.org\""),
        set("app.z.org", "TXT", "hello"),
    ] {
        let planned = plan(&want("app.z.org", &[wanted]), &current, &shared(), &profile(BATCH));
        assert_eq!(planned.changes, [], "{planned:?}");
        let fault = planned.conflict.unwrap();
        assert_eq!(fault.reason, Reason::NotOurs);
        assert!(fault.message.contains("data of type A in the zone"), "{fault}");
    }
    // What is not ours is not withdrawn either.
    let mut gone = want("app.z.org", &[]);
    gone.withdraw = [RecordType::A].into();
    let planned = plan(&gone, &current, &shared(), &profile(BATCH));
    assert!(planned.is_gone(&RecordType::A));
    assert_eq!(planned.changes, []);
}

#[test]
fn what_was_never_written_is_gone_and_what_is_there_is_not() {
    let mut gone = want("app.z.org", &[]);
    gone.withdraw = [RecordType::A].into();
    let is_gone = |want: &Want, current: &[RrSet]| {
        let planned = plan(want, &by_name(current.to_vec()), &shared(), &profile(BATCH));
        planned.is_gone(&RecordType::A)
    };
    let a = set("app.z.org", "A", "192.0.2.1");
    assert!(is_gone(&gone, &[]));
    assert!(!is_gone(&gone, &[a.clone(), ours("app.z.org", &["A"])]));
    assert!(!is_gone(&gone, &[ours("app.z.org", &["A"])]), "our mark is left");
    // What is to come beside it does not keep it.
    let mut other = want("app.z.org", &[set("app.z.org", "TXT", "hello")]);
    other.withdraw = gone.withdraw.clone();
    assert!(is_gone(&other, &[]));
    assert!(!is_gone(&other, &[a, ours("app.z.org", &["A"])]));
    // A text of somebody else where our mark would be: ours is not there.
    let mut text = ours("app.z.org", &["A"]);
    text.values = ["hello".to_owned()].into();
    assert!(is_gone(&gone, std::slice::from_ref(&text)));
    assert_eq!(
        plan(&gone, &by_name([text]), &shared(), &profile(BATCH)).changes,
        [],
        "and it is left alone"
    );
    // A name without room for a mark was never written.
    let long = format!(
        "{}.z.org",
        ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(59)].join(".")
    );
    let mut long = want(&long, &[]);
    long.withdraw = gone.withdraw.clone();
    assert!(long.names(&name("z.org")).is_err());
    assert!(is_gone(&long, &[]));
}

#[test]
fn a_protected_name_holds_up_only_what_would_change_it() {
    let a = set("www.z.org", "A", "192.0.2.1");
    let written = [a.clone(), ours("www.z.org", &["A"])];
    let refusal = |want: &Want, current: &[RrSet]| {
        let planned = plan(want, &by_name(current.to_vec()), &shared(), &profile(BATCH));
        assert_eq!(planned.changes, []);
        planned.conflict.map(|fault| fault.reason)
    };
    assert_eq!(
        refusal(&want("www.z.org", &[a]), &written),
        None,
        "it is there as asked"
    );
    let mut gone = want("www.z.org", &[]);
    gone.withdraw = [RecordType::A].into();
    assert_eq!(refusal(&gone, &written), Some(Reason::ProtectedName));
    assert_eq!(refusal(&gone, &[]), None, "nothing of ours is there");
    assert_eq!(refusal(&gone, &[set("www.z.org", "A", "198.51.100.1")]), None);
}

#[test]
fn what_the_platform_team_gave_away_is_taken_over_in_place() {
    let current = by_name([set("app.z.org", "A", "198.51.100.1"), set("app.z.org", "TXT", "theirs")]);
    let mut adopting = want("app.z.org", &[set("app.z.org", "A", "192.0.2.1")]);
    adopting.adopted = true;
    let planned = plan(&adopting, &current, &shared(), &profile(BATCH));
    assert_eq!(
        told(&planned),
        ["Create _tremplin.app.z.org TXT", "Replace app.z.org A"]
    );
    let swap = Want {
        sets: want("app.z.org", &[set("app.z.org", "CNAME", "h.example.org")]).sets,
        ..adopting
    };
    let planned = plan(
        &swap,
        &by_name([set("app.z.org", "A", "198.51.100.1")]),
        &shared(),
        &profile(Atomicity::Set),
    );
    assert_eq!(planned.conflict, None);
    assert!(told(&planned).contains(&"Delete app.z.org A".to_owned()), "{planned:?}");
}

#[test]
fn what_another_namespace_left_behind_is_taken_over_with_the_platform_teams_word_only() {
    let left = by_name([
        set("app.z.org", "A", "198.51.100.1"),
        mark("app.z.org", owner("one", "red", 99), &["A"]),
    ]);
    let mut wanted = want("app.z.org", &[set("app.z.org", "A", "192.0.2.1")]);
    let refused = plan(&wanted, &left, &shared(), &profile(BATCH));
    let fault = refused.conflict.unwrap();
    assert_eq!((refused.changes, fault.reason), (vec![], Reason::NotOurs));
    assert!(fault.fix.contains("spec.adoptions"), "{fault}");
    wanted.adopted = true;
    let planned = plan(&wanted, &left, &shared(), &profile(BATCH));
    assert_eq!(
        told(&planned),
        ["Replace _tremplin.app.z.org TXT", "Replace app.z.org A"]
    );
    // Another cluster's is not this platform team's to give.
    wanted.owner.cluster = "two".into();
    let refused = plan(&wanted, &left, &shared(), &profile(BATCH));
    assert_eq!(refused.conflict.unwrap().reason, Reason::NotOurs);
}

#[test]
fn of_two_clusters_the_older_claim_wins() {
    let theirs = |since| {
        by_name([
            set("app.z.org", "A", "198.51.100.1"),
            mark("app.z.org", owner("two", "red", since), &["A"]),
        ])
    };
    let wanted = want("app.z.org", &[set("app.z.org", "A", "192.0.2.1")]);
    let older = plan(&wanted, &theirs(99), &shared(), &profile(BATCH));
    let fault = older.conflict.unwrap();
    assert_eq!((older.changes, fault.reason), (vec![], Reason::NotOurs));
    assert!(
        fault.message.contains("the namespace red of the cluster two"),
        "{fault}"
    );
    let newer = plan(&wanted, &theirs(101), &shared(), &profile(BATCH));
    assert_eq!(told(&newer), ["Replace _tremplin.app.z.org TXT", "Replace app.z.org A"]);
}

#[test]
fn of_two_marks_at_one_name_the_newer_is_taken_back() {
    let mut both = ours("app.z.org", &["A"]);
    let older = mark("app.z.org", owner("two", "red", 99), &["A"]);
    both.values.extend(older.values.clone());
    let wanted = want("app.z.org", &[set("app.z.org", "A", "192.0.2.1")]);
    let lost = plan(
        &wanted,
        &by_name([both.clone()]),
        &shared(),
        &profile(Atomicity::Record),
    );
    assert_eq!(lost.conflict.as_ref().unwrap().reason, Reason::NotOurs);
    assert_eq!(apply(&by_name([both]), &lost.changes), by_name([older]));
    // The winner clears the other's away.
    let mut both = ours("app.z.org", &["A"]);
    both.values
        .extend(mark("app.z.org", owner("two", "red", 101), &["A"]).values);
    let won = plan(&wanted, &by_name([both]), &shared(), &profile(Atomicity::Record));
    assert_eq!(told(&won), ["Replace _tremplin.app.z.org TXT", "Create app.z.org A"]);
    // Of one second, both sides see it alike.
    let tie = by_name([mark("app.z.org", owner("zwei", "red", 100), &["A"])]);
    assert_eq!(plan(&wanted, &tie, &shared(), &profile(BATCH)).conflict, None);
    let tie = by_name([mark("app.z.org", owner("eins", "red", 100), &["A"])]);
    assert!(plan(&wanted, &tie, &shared(), &profile(BATCH)).conflict.is_some());
}

#[test]
fn two_clusters_that_claimed_for_one_namespace_in_one_second_leave_each_others_mark() {
    let a = set("app.z.org", "A", "192.0.2.1");
    let theirs = mark("app.z.org", owner("two", "blue", 100), &["A"]);
    let wanted = want("app.z.org", std::slice::from_ref(&a));
    let seen = by_name([a, theirs]);
    assert_eq!(plan(&wanted, &seen, &shared(), &profile(BATCH)), Planned::default());
}

#[test]
fn a_mark_that_gives_way_alone_is_deleted() {
    // Another's mark is beside a delegation, and ours still below it.
    let ours = ours("app.z.org", &["A"]);
    let current = by_name([ours.clone(), mark("app.z.org", owner("two", "red", 99), &["NS"])]);
    let wanted = want("app.z.org", &[set("app.z.org", "NS", "ns.example.org")]);
    let lost = plan(&wanted, &current, &shared(), &profile(BATCH));
    assert!(lost.conflict.is_some());
    assert_eq!(lost.changes, [Change::delete(ours)]);
}

#[test]
fn a_name_that_becomes_a_delegation_and_ceases_to_be_one_keeps_its_mark_out_of_the_cut() {
    let a = set("app.z.org", "A", "192.0.2.1");
    let ns = set("app.z.org", "NS", "ns.example.org");
    let address = by_name([a.clone(), ours("app.z.org", &["A"])]);
    let delegation = by_name([ns.clone(), ours("app.z.org", &["NS"])]);
    let mut cut = want("app.z.org", &[ns]);
    cut.withdraw = [RecordType::A].into();
    let mut back = want("app.z.org", &[a]);
    back.withdraw = [RecordType::Ns].into();

    let stepwise = plan(&cut, &address, &shared(), &profile(Atomicity::Record));
    assert_eq!(
        told(&stepwise),
        [
            "Create app._tremplin.z.org TXT",
            "Delete _tremplin.app.z.org TXT",
            "Delete app.z.org A",
            "Create app.z.org NS",
            "Replace app._tremplin.z.org TXT"
        ]
    );
    let stepwise = plan(&back, &delegation, &shared(), &profile(Atomicity::Record));
    assert_eq!(
        told(&stepwise),
        [
            "Replace app._tremplin.z.org TXT",
            "Delete app.z.org NS",
            "Create app.z.org A",
            "Create _tremplin.app.z.org TXT",
            "Delete app._tremplin.z.org TXT"
        ]
    );
    for atomicity in [BATCH, Atomicity::Set, Atomicity::Record] {
        for (want, before, after) in [(&cut, &address, &delegation), (&back, &delegation, &address)] {
            let planned = plan(want, before, &shared(), &profile(atomicity));
            assert_eq!(&apply(before, &planned.changes), after, "{:?}", told(&planned));
        }
    }
}

#[test]
fn beside_a_delegation_nothing_is_written_but_at_the_apex() {
    let theirs = |host: &str| by_name([set(host, "NS", "ns.example.org")]);
    let wanted = |host: &str| want(host, &[set(host, "TXT", "hello")]);
    let below = plan(&wanted("app.z.org"), &theirs("app.z.org"), &shared(), &profile(BATCH));
    assert_eq!(below.conflict.unwrap().reason, Reason::NotOurs);
    let apex = plan(&wanted("z.org"), &theirs("z.org"), &shared(), &profile(BATCH));
    assert_eq!(apex.conflict, None);
}

#[test]
fn a_name_of_external_dns_is_told_as_such() {
    let registry = set(
        "app.z.org",
        "TXT",
        "heritage=external-dns,external-dns/owner=prod,external-dns/resource=ingress/a/b",
    );
    let current = by_name([set("app.z.org", "A", "198.51.100.1"), registry]);
    let planned = plan(
        &want("app.z.org", &[set("app.z.org", "A", "192.0.2.1")]),
        &current,
        &shared(),
        &profile(BATCH),
    );
    let fault = planned.conflict.unwrap();
    assert!(fault.message.contains("external-dns (owner prod)"), "{fault}");
    assert!(fault.fix.contains("have external-dns forget it"), "{fault}");
}

#[test]
fn protected_names_are_never_written() {
    let planned = plan(
        &want("www.z.org", &[set("www.z.org", "A", "192.0.2.1")]),
        &Sets::new(),
        &shared(),
        &profile(BATCH),
    );
    assert_eq!(
        (planned.changes, planned.conflict.unwrap().reason),
        (vec![], Reason::ProtectedName)
    );
}

const TYPES: [&str; 6] = ["A", "AAAA", "TXT", "MX", "CNAME", "NS"];

fn any_sets() -> impl Strategy<Value = Vec<RrSet>> {
    let one = (prop::sample::select(TYPES.to_vec()), 0..3_u8).prop_map(|(type_, n)| {
        let value = match type_ {
            "A" => format!("192.0.2.{n}"),
            "AAAA" => format!("2001:db8::{n}"),
            "MX" => format!("{n} mail.example.org"),
            "CNAME" | "NS" => format!("h{n}.example.org"),
            _ => format!("text {n}"),
        };
        set("app.z.org", type_, &value)
    });
    prop::collection::vec(one, 0..4).prop_map(|sets| {
        // As validation has it: a CNAME or a delegation stands alone.
        let is_alone = |set: &&RrSet| matches!(set.type_, RecordType::Cname | RecordType::Ns);
        let alone = sets.iter().find(is_alone).cloned();
        alone.map_or(sets, |alone| vec![alone])
    })
}

#[test]
fn data_that_the_mark_tells_of_and_that_is_not_there_is_restored() {
    let (a, cname) = (set("app.z.org", "A", "192.0.2.1"), set("app.z.org", "CNAME", "lb.org"));
    let both = ours("app.z.org", &["A", "CNAME"]);
    for (there, wanted, is_restored) in [
        (vec![], &a, false),
        (vec![a.clone(), ours("app.z.org", &["A"])], &cname, false),
        (vec![a.clone(), both.clone()], &cname, true),
        (vec![both], &cname, true),
        (vec![ours("app.z.org", &["A"])], &a, true),
        (vec![a.clone(), ours("app.z.org", &["A"])], &a, false),
    ] {
        let wanted = want("app.z.org", std::slice::from_ref(wanted));
        let planned = plan(&wanted, &by_name(there.clone()), &shared(), &profile(Atomicity::Record));
        assert_eq!(restores(&planned.changes), is_restored, "{there:?}");
    }
}

proptest! {
    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_do_and_never_touches_what_is_foreign(
        before in any_sets(), owned in prop::collection::btree_set(prop::sample::select(TYPES.to_vec()), 0..4),
        wanted in any_sets(), withdraw in prop::collection::btree_set(prop::sample::select(TYPES.to_vec()), 0..4),
        adopted in any::<bool>(), step in prop::sample::select(vec![BATCH, Atomicity::Set, Atomicity::Record]), stop in 0..9_usize,
    ) {
        let owned: Vec<_> = owned.into_iter().collect();
        let mut sets = before;
        if !owned.is_empty() {
            sets.push(ours("app.z.org", &owned));
        }
        sets.push(set("other.z.org", "A", "198.51.100.9"));
        let current = by_name(sets);
        let mut wish = want("app.z.org", &wanted);
        wish.withdraw = withdraw.into_iter().map(RecordType::of).collect();
        wish.adopted = adopted;
        let (zone, profile) = (shared(), profile(step));
        let planned = plan(&wish, &current, &zone, &profile);
        let after = apply(&current, &planned.changes);

        // Carried out, it leaves nothing to do.
        let again = plan(&wish, &after, &zone, &profile);
        prop_assert_eq!(&again.changes, &Vec::<Change>::new(), "{:?}", told(&again));
        if planned.conflict.is_none() {
            for set in &wanted {
                // Of two for one type the last counts.
                let kept = after.get(&set.name).and_then(|sets| sets.get(&set.type_));
                prop_assert_eq!(kept, wish.sets.get(&set.type_));
            }
        }

        // What is not ours and was not given to us stays, and so does every other name.
        let ours: BTreeSet<_> = owned.iter().map(|type_| RecordType::of(type_)).collect();
        for (name, sets) in &current {
            for (type_, set) in sets {
                let foreign = name.as_str() == "other.z.org" || (name.as_str() == "app.z.org" && !ours.contains(type_) && !adopted);
                if foreign {
                    prop_assert_eq!(after.get(name).and_then(|sets| sets.get(type_)), Some(set));
                }
            }
        }

        // Cut off anywhere, what is left to do leads to the same zone.
        let cut = match step { BATCH => if stop > 4 { planned.changes.len() } else { 0 }, _ => stop.min(planned.changes.len()) };
        let halfway = apply(&current, &planned.changes[..cut]);
        let rest = plan(&wish, &halfway, &zone, &profile);
        prop_assert_eq!(rest.conflict.is_some(), planned.conflict.is_some(), "{:?}", told(&planned));
        prop_assert_eq!(apply(&halfway, &rest.changes), after, "{:?} then {:?}", told(&planned), told(&rest));
    }
}
