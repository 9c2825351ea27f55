//! What stops the operator before it breaks much: too many deletions within an hour, or too large a part of what is
//! ours changed at once.

use jiff::{SignedDuration, Timestamp};

use super::change::Change;
use super::ownership::LABEL;
use super::zone::Safety;
use crate::api::dns::Deletions;

/// Deletions older than this are forgotten.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// Up to so many changed record sets, no percentage counts: a small zone could never be changed.
const ALWAYS: usize = 10;

/// The deletions that still count. Those of one minute are told together, at the time of the last: so the list stays
/// short, and none is forgotten too early.
pub fn recent(deletions: &[Deletions], now: Timestamp) -> Vec<Deletions> {
    let counts = |deletion: &&Deletions| now.duration_since(deletion.at.0) < WINDOW;
    let minute = |deletion: &Deletions| deletion.at.0.as_second().div_euclid(60);
    let mut recent: Vec<Deletions> = deletions.iter().filter(counts).cloned().collect();
    recent.sort_by_key(|deletion| deletion.at.0);
    recent.dedup_by(|later, kept| {
        let together = minute(later) == minute(kept);
        if together {
            kept.at = later.at.clone();
            kept.count = kept.count.saturating_add(later.count);
        }
        together
    });
    recent
}

/// How many record sets of teams these changes delete. (Marks come and go with them.)
pub fn deleted(changes: &[Change]) -> usize {
    changes
        .iter()
        .filter(|change| change.after.is_none() && !is_mark(change))
        .count()
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
    let before: usize = recent(deletions, now)
        .iter()
        .filter_map(|deletion| usize::try_from(deletion.count).ok())
        .sum();
    if deleted > 0 && before + deleted > safety.max_deletes_per_hour {
        return Some(format!(
            "{deleted} record set(s) would be deleted, {before} were within the last hour, and spec.safety.maxDeletesPerHour is {}",
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
    change
        .name()
        .is_some_and(|name| name.labels().any(|label| label == LABEL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::rrset::{RecordType, RrSet};
    use crate::dns::testing::{at, name, zone};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

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
}
