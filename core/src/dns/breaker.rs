//! What stops the operator before it breaks much: too many deletions within an hour, or too large a part of what is
//! ours changed at once.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::change::Change;
use super::ownership::is_kept;
use super::zone::Safety;
use crate::api::dns::{Breaker, Deletions};

/// Deletions older than this are forgotten.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// Up to so many changed record sets, no percentage counts: a small zone could never be changed.
const ALWAYS: usize = 10;

/// How many deletions are told by name while they are under way.
const MOST_OPEN: usize = 1000;

/// The deletions that still count. Those of one minute are told together, at the time of the last: so the list stays
/// short, and none is forgotten too early.
pub fn recent(deletions: &[Deletions], now: Timestamp) -> Vec<Deletions> {
    let counts = |deletion: &&Deletions| {
        let is_something = deletion.count > 0 || !deletion.open.is_empty();
        is_something && now.duration_since(deletion.at.0) < WINDOW
    };
    let minute = |deletion: &Deletions| deletion.at.0.as_second().div_euclid(60);
    let mut recent: Vec<Deletions> = deletions.iter().filter(counts).cloned().collect();
    recent.sort_by_key(|deletion| deletion.at.0);
    recent.dedup_by(|later, kept| {
        let together = minute(later) == minute(kept) && later.open.len() + kept.open.len() <= MOST_OPEN;
        if together {
            kept.at = later.at.clone();
            kept.count = kept.count.saturating_add(later.count);
            kept.open.append(&mut later.open);
        }
        together
    });
    recent
}

/// The record sets of teams that these changes delete, as `name TYPE`. (Marks come and go with them.)
pub fn deleted(changes: &[Change]) -> BTreeSet<String> {
    let deletions = changes
        .iter()
        .filter(|change| change.after.is_none() && !is_mark(change));
    deletions
        .filter_map(|change| Some(format!("{} {}", change.name()?, change.type_()?)))
        .collect()
}

/// The deletions with those that are begun now: to be kept before anything is written, so that none is forgotten, and
/// none counted twice when it is tried again.
pub fn begin(deletions: &[Deletions], begun: &BTreeSet<String>, now: Timestamp) -> Vec<Deletions> {
    let mut all = without(deletions, begun);
    let open: Vec<String> = begun.iter().take(MOST_OPEN).cloned().collect();
    all.push(Deletions {
        at: second(now),
        count: i32::try_from(begun.len() - open.len()).unwrap_or(i32::MAX),
        open,
    });
    recent(&all, now)
}

/// The deletions after a write. What is neither among those that are done nor among those that surely are not stays
/// open, since nobody knows. What was not begun here, since a human acknowledged it, is not counted.
pub fn end(
    deletions: &[Deletions],
    done: &BTreeSet<String>,
    not_done: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<Deletions> {
    let counted = open(deletions).filter(|set| done.contains(*set)).count();
    let mut all = without(&without(deletions, done), not_done);
    all.push(Deletions {
        at: second(now),
        count: i32::try_from(counted).unwrap_or(i32::MAX),
        open: Vec::new(),
    });
    recent(&all, now)
}

/// Whether what is written now is what a human acknowledged.
pub fn is_acknowledged(breaker: &Breaker, now: Timestamp) -> bool {
    let since = breaker.acknowledged_at.as_ref();
    since.is_some_and(|at| now.duration_since(at.0) < WINDOW)
}

fn open(deletions: &[Deletions]) -> impl Iterator<Item = &String> {
    deletions.iter().flat_map(|deletion| &deletion.open)
}

fn without(deletions: &[Deletions], sets: &BTreeSet<String>) -> Vec<Deletions> {
    let mut left = deletions.to_vec();
    for deletion in &mut left {
        deletion.open.retain(|set| !sets.contains(set));
    }
    left
}

/// As statuses keep it.
fn second(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// Why these changes trip the breaker; `None` when they are within bounds. `owned` counts the record sets that are ours:
/// only where it matters, since a zone may have thousands.
pub fn trip(
    changes: &[Change],
    owned: impl FnOnce() -> usize,
    deletions: &[Deletions],
    safety: &Safety,
    now: Timestamp,
) -> Option<String> {
    let deleted = deleted(changes);
    let recent = recent(deletions, now);
    let counted: usize = recent
        .iter()
        .filter_map(|deletion| usize::try_from(deletion.count).ok())
        .sum();
    let before = counted + open(&recent).filter(|set| !deleted.contains(*set)).count();
    if !deleted.is_empty() && before + deleted.len() > safety.max_deletes_per_hour {
        return Some(format!(
            "{} record set(s) would be deleted, {before} were within the last hour, and spec.safety.maxDeletesPerHour is {}",
            deleted.len(),
            safety.max_deletes_per_hour
        ));
    }
    let touched = changes
        .iter()
        .filter(|change| change.before.is_some() && !is_mark(change))
        .count();
    if touched <= ALWAYS {
        return None;
    }
    let owned = owned();
    let most = owned * safety.max_changed_percent / 100;
    (touched > most).then(|| {
        format!(
            "{touched} of {owned} record sets would be changed or deleted at once, and spec.safety.maxChangedPercent is {}",
            safety.max_changed_percent
        )
    })
}

fn is_mark(change: &Change) -> bool {
    change.name().is_some_and(is_kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::rrset::{RecordType, RrSet};
    use crate::dns::testing::{at, name, zone};

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
        assert_eq!(trip(&deletions(2), || 9, &before, &safety, at(10)), None);
        assert!(
            trip(&deletions(3), || 9, &before, &safety, at(10))
                .unwrap()
                .contains("maxDeletesPerHour is 5")
        );
        assert_eq!(trip(&deletions(3), || 9, &before, &safety, at(3_600)), None);
        let mark = Change::delete(RrSet {
            type_: RecordType::Txt,
            ..set("_tremplin.a.z.org")
        });
        assert_eq!(
            trip(&vec![mark; 50], || 9, &[], &safety, at(0)),
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
        trip(changes, || 9, deletions, &safety, at(10)).is_some()
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
        let safety = zone(
            "{domain: z.org, provider: {type: Request}, safety: {maxDeletesPerHour: 1000, maxChangedPercent: 20}}",
        )
        .safety;
        assert_eq!(trip(&deletions(10), || panic!("counted"), &[], &safety, at(0)), None);
        assert_eq!(trip(&deletions(20), || 100, &[], &safety, at(0)), None);
        assert!(
            trip(&deletions(21), || 100, &[], &safety, at(0))
                .unwrap()
                .contains("21 of 100")
        );
        let creations: Vec<_> = (0..500).map(|n| Change::create(set(&format!("n{n}.z.org")))).collect();
        assert_eq!(
            trip(&creations, || panic!("counted"), &[], &safety, at(0)),
            None,
            "new names break nothing"
        );
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

    /// How much of what is there the changes touch.
    fn touched(changes: &[Change]) -> usize {
        changes.iter().filter(|change| change.before.is_some()).count()
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
            let why = trip(&changes, || owned, &before, &bounds(most, percent), now);
            // Counted anew, from what was told and not from what the code keeps.
            let lately: i32 = history.iter().filter(|(second, _)| 8_000 - second < 3_600).map(|(_, count)| count).sum();
            let deletions = changes.iter().filter(|change| change.after.is_none()).count();
            let all = usize::try_from(lately).unwrap() + deletions;
            let may_delete = deletions == 0 || all <= most;
            let may_change = touched(&changes) <= 10.max(owned * percent / 100);
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
                if trip(&changes, || 1_000, &kept, &safety, at(now)).is_some() {
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
}
