use proptest::prelude::*;

use super::*;
use crate::dns::rrset::{RecordType, RrSet};
use crate::dns::testing::{at, name, zone};

/// Nothing but deletions came before.
fn trip(changes: &[Change], owned: usize, deletions: &[Deletions], safety: &Safety, now: Timestamp) -> Option<String> {
    let touched = &Touched::default();
    super::trip(changes, || hosts(owned), Before { deletions, touched }, safety, now)
}

/// So many record sets.
fn hosts(count: usize) -> BTreeSet<String> {
    (0..count).map(|n| format!("n{n}.z.org A")).collect()
}

fn set(host: &str) -> RrSet {
    RrSet {
        name: name(host),
        type_: RecordType::A,
        ttl: 60,
        values: ["192.0.2.1".to_owned()].into(),
    }
}

fn deletions(count: usize) -> Vec<Change> {
    (0..count)
        .map(|n| Change::delete(set(&format!("n{n}.z.org"))))
        .collect()
}

#[test]
fn deletions_of_an_hour_are_counted_and_older_ones_forgotten() {
    let safety =
        zone("{domain: z.org, provider: {type: Request}, safety: {maxDeletesPerHour: 5, maxChangedPercent: 100}}")
            .safety;
    let before = [Deletions {
        at: Time(at(0)),
        count: 3,
        open: Vec::new(),
    }];
    assert_eq!(trip(&deletions(2), 9, &before, &safety, at(10)), None);
    assert!(
        trip(&deletions(3), 9, &before, &safety, at(10))
            .unwrap()
            .contains("maxDeletesPerHour is 5")
    );
    assert_eq!(trip(&deletions(3), 9, &before, &safety, at(3_600)), None);
    let mark = Change::delete(RrSet {
        type_: RecordType::Txt,
        ..set("_tremplin.a.z.org")
    });
    assert_eq!(
        trip(&vec![mark; 50], 9, &[], &safety, at(0)),
        None,
        "marks are not counted"
    );
}

#[test]
fn deletions_of_one_minute_are_told_together_and_none_is_lost() {
    let every_second: Vec<_> = (0..3_600)
        .map(|second| Deletions {
            at: Time(at(second)),
            count: 2,
            open: Vec::new(),
        })
        .collect();
    let recent = super::recent(&every_second, at(3_599));
    assert_eq!(recent.len(), 60);
    assert_eq!(recent.iter().map(|deletion| deletion.count).sum::<i32>(), 7_200);
    assert_eq!(
        recent[0].at.0,
        at(59),
        "they count until the last of them is an hour old"
    );
    assert_eq!(super::recent(&recent, at(3_599)), recent);
}

fn sets(hosts: &[&str]) -> BTreeSet<String> {
    hosts.iter().map(|host| format!("{host}.z.org A")).collect()
}

fn trips(deletions: &[Deletions], changes: &[Change]) -> bool {
    let safety =
        zone("{domain: z.org, provider: {type: Request}, safety: {maxDeletesPerHour: 3, maxChangedPercent: 100}}")
            .safety;
    trip(changes, 9, deletions, &safety, at(10)).is_some()
}

#[test]
fn a_deletion_counts_once_however_often_it_is_tried() {
    let mut kept = Vec::new();
    for _ in 0..9 {
        assert!(!trips(&kept, &deletions(3)), "{kept:?}");
        // Killed, or nobody knows what came of it.
        kept = begin(&kept, &deleted(&deletions(3)), at(9));
    }
    assert_eq!(kept.len(), 1);
    assert!(trips(&kept, &deletions(4)), "another one is one too many");
    let other = [Change::delete(set("other.z.org"))];
    assert!(trips(&kept, &other), "what may be done counts");
    // Two were made, and one was not: that one does not count.
    let kept = end(&kept, &sets(&["n0", "n1"]), &sets(&["n2"]), at(10));
    assert_eq!((kept.len(), kept[0].count, kept[0].open.len()), (1, 2, 0));
    assert!(!trips(&kept, &other));
    assert!(
        trips(&kept, &deletions(2)),
        "made again and deleted again, they count again"
    );
}

#[test]
fn what_was_acknowledged_and_not_begun_here_is_not_counted() {
    assert_eq!(end(&[], &sets(&["n0", "n1"]), &sets(&[]), at(0)), []);
}

#[test]
fn an_acknowledgement_ends_with_an_hour() {
    let breaker = |acknowledged_at: Option<i64>| Breaker {
        acknowledged_at: acknowledged_at.map(|second| Time(at(second))),
        ..Breaker::default()
    };
    assert!(is_acknowledged(&breaker(Some(0)), at(3_599)));
    assert!(!is_acknowledged(&breaker(Some(0)), at(3_600)));
    assert!(!is_acknowledged(&breaker(None), at(0)));
}

#[test]
fn the_list_of_what_is_open_stays_short_and_counts_all() {
    let all = deleted(&deletions(2_500));
    let kept = begin(&[], &all, at(0));
    assert_eq!((kept[0].open.len(), kept[0].count), (1_000, 1_500));
    let more: BTreeSet<String> = (0..900).map(|n| format!("m{n}.z.org A")).collect();
    let kept = begin(&kept, &more, at(1));
    assert!(
        kept.iter().all(|deletions| deletions.open.len() <= 1_000),
        "{}",
        kept.len()
    );
    assert_eq!(open(&kept).count(), 1_900);
}

#[test]
fn a_large_part_changed_at_once_trips_and_a_small_zone_can_be_changed() {
    let safety =
        zone("{domain: z.org, provider: {type: Request}, safety: {maxDeletesPerHour: 1000, maxChangedPercent: 20}}")
            .safety;
    let touched = &Touched::default();
    let before = Before {
        deletions: &[],
        touched,
    };
    let uncounted = |changes: &[Change]| super::trip(changes, || panic!("counted"), before, &safety, at(0));
    assert_eq!(uncounted(&deletions(10)), None);
    assert_eq!(trip(&deletions(20), 100, &[], &safety, at(0)), None);
    assert!(
        trip(&deletions(21), 100, &[], &safety, at(0))
            .unwrap()
            .contains("21 of 100")
    );
    let creations: Vec<_> = (0..500).map(|n| Change::create(set(&format!("n{n}.z.org")))).collect();
    assert_eq!(uncounted(&creations), None, "new names break nothing");
}

#[test]
fn what_changes_one_by_one_within_ten_minutes_is_changed_at_once() {
    let safety = zone("{domain: z.org, provider: {type: Request}, safety: {maxChangedPercent: 20}}").safety;
    let change = |n: i64| {
        [Change::replace(
            set(&format!("n{n}.z.org")),
            RrSet {
                ttl: 90,
                ..set(&format!("n{n}.z.org"))
            },
        )]
    };
    let mut touched = Touched::default();
    let trips = |touched: &Touched, changes: &[Change], now: i64| {
        let before = Before {
            deletions: &[],
            touched,
        };
        super::trip(changes, || hosts(60), before, &safety, at(now))
    };
    for n in 0..12 {
        assert_eq!(trips(&touched, &change(n), n), None);
        touched.note(&change(n), at(n));
    }
    assert_eq!(trips(&touched, &change(0), 12), None, "one set changed twice is one");
    assert!(
        trips(&touched, &change(12), 12)
            .unwrap()
            .contains("13 of 60 record sets would be changed or deleted within 10 minutes")
    );
    assert_eq!(
        trips(&touched, &[Change::create(set("new.z.org"))], 12),
        None,
        "new names break nothing"
    );
    assert_eq!(trips(&touched, &change(12), 600), None, "the first was ten minutes ago");
    touched.note(&change(12), at(700));
    assert_eq!(touched.0.len(), 1, "what is old is forgotten");
}

#[test]
fn what_is_deleted_was_ours_although_no_record_says_so_any_more() {
    for (percent, trips) in [(100, false), (99, true)] {
        assert_eq!(
            trip(&deletions(11), 0, &[], &bounds(100, percent), at(0)).is_some(),
            trips
        );
    }
}

/// Changes of sets of some hosts, at most one of each.
fn any_changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::btree_map(0..40_u8, 0..3_u8, 0..40).prop_map(|chosen| {
        let change = |(host, how): (u8, u8)| {
            let set = set(&format!("n{host}.z.org"));
            match how {
                0 => Change::create(set),
                1 => Change::delete(set),
                _ => {
                    let after = RrSet { ttl: 90, ..set.clone() };
                    Change::replace(set, after)
                }
            }
        };
        chosen.into_iter().map(change).collect()
    })
}

fn bounds(max_deletes_per_hour: usize, max_changed_percent: usize) -> Safety {
    Safety {
        max_deletes_per_hour,
        max_changed_percent,
        protected: BTreeSet::new(),
        snapshot: false,
    }
}

proptest! {
    #[test]
    fn what_the_breaker_lets_pass_is_within_its_bounds(
        changes in any_changes(), most in 0..30_usize, percent in 0..=100_usize, owned in 0..200_usize,
        history in prop::collection::vec((0..8_000_i64, 0..6_i32), 0..12),
    ) {
        let now = at(8_000);
        let before: Vec<_> = history
            .iter()
            .map(|(second, count)| Deletions { at: Time(at(*second)), count: *count, open: Vec::new() })
            .collect();
        let why = trip(&changes, owned, &before, &bounds(most, percent), now);
        // Counted anew, from what was told and not from what the code keeps.
        let lately: i32 = history.iter().filter(|(second, _)| 8_000 - second < 3_600).map(|(_, count)| count).sum();
        let deletions = changes.iter().filter(|change| change.after.is_none()).count();
        let all = usize::try_from(lately).unwrap() + deletions;
        let may_delete = deletions == 0 || all <= most;
        let touched = changes.iter().filter(|change| change.before.is_some()).count();
        let ours = changes.iter().filter(|change| change.before.is_some()).filter_map(|change| change.name());
            let ours: BTreeSet<_> = ours.map(|name| format!("{name} A")).chain(hosts(owned)).collect();
            let may_change = touched <= 10.max(ours.len() * percent / 100);
        prop_assert_eq!(why.is_none(), may_delete && may_change, "{:?} of {:?}", why, changes);
    }

    #[test]
    fn over_any_course_of_writes_no_hour_has_more_deletions_than_allowed(
        most in 0..12_usize,
        steps in prop::collection::vec(
            (0..2_400_i64, prop::collection::btree_set(0..12_u8, 0..5), prop::collection::vec(0..3_u8, 12)), 1..40,
        ),
    ) {
        let safety = bounds(most, 100);
        let (mut kept, mut now) = (Vec::new(), 0);
        // What was deleted, and whether that was told.
        let mut made: Vec<(i64, String, bool)> = Vec::new();
        for (wait, hosts, fates) in steps {
            now += wait;
            let changes: Vec<_> = hosts.iter().map(|host| Change::delete(set(&format!("n{host}.z.org")))).collect();
            if trip(&changes, 1_000, &kept, &safety, at(now)).is_some() {
                continue;
            }
            let begun = deleted(&changes);
            kept = begin(&kept, &begun, at(now));
            // Each is made and told, or surely not made, or nobody knows: then, tried again, it is made once.
            let of = |fate: u8| begun.iter().zip(&fates).filter(move |(_, is)| **is == fate).map(|(set, _)| set.clone());
            made.retain(|(_, set, is_told)| *is_told || !begun.contains(set));
            made.extend(of(0).map(|set| (now, set, true)).chain(of(2).map(|set| (now, set, false))));
            kept = end(&kept, &of(0).collect(), &of(1).collect(), at(now));
            let lately = made.iter().filter(|(when, ..)| now - when < 3_600).count();
            prop_assert!(lately <= most, "{lately} of {most}: {made:?}");
        }
    }
}
