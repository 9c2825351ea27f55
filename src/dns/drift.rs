//! What somebody else undid: put right up to three times within an hour, then left alone and told.

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tremplin_core::api::DnsRecord;
use tremplin_core::api::dns::Drift;
use tremplin_core::dns::plan::Planned;
use tremplin_core::dns::{Change, Fqdn, Reason, Zone};
use tremplin_core::fault::Fault;
use tremplin_core::labels::RESUMED_AT;

use super::in_seconds;
use super::report::ready_reason;
use super::write::Asking;

/// Corrections that are forgotten after this.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// How often within that time data is put right.
const MOST: i32 = 3;

/// What changes of a plan undo what somebody else did to a record that was written: `Missing` or `Changed`.
fn found<'a>(record: &Asking, changes: impl IntoIterator<Item = &'a Change>) -> Option<&'static str> {
    if !record.was_written {
        return None;
    }
    changes.into_iter().find_map(|change| {
        let after = change.after.as_ref()?;
        let own = record
            .sets
            .iter()
            .find(|set| set.name == after.name && set.type_ == after.type_)?;
        match &change.before {
            None => Some("Missing"),
            // Texts of other records may stand beside ours.
            Some(before) if before.values.is_superset(&own.values) && before.values != own.values => None,
            Some(_) => Some("Changed"),
        }
    })
}

fn corrections(record: &DnsRecord, now: Timestamp) -> i32 {
    let Some(drift) = record.status.as_ref().and_then(|status| status.drift.as_ref()) else {
        return 0;
    };
    let annotations = record.metadata.annotations.as_ref();
    let resumed = annotations
        .and_then(|annotations| annotations.get(RESUMED_AT))
        .and_then(|time| time.parse::<Timestamp>().ok());
    let is_old = now.duration_since(drift.detected_at.0) >= WINDOW;
    if is_old || resumed.is_some_and(|resumed| resumed > drift.detected_at.0) {
        0
    } else {
        drift.corrections
    }
}

/// Why what somebody else did to a record is not put right; `None`: nobody did, or it is put right.
pub fn judge(
    record: &Asking,
    planned: &BTreeMap<Fqdn, Planned>,
    zone: &Zone,
    now: Timestamp,
) -> Option<(Fault<Reason>, Drift)> {
    let here = record.names().into_iter().filter_map(|name| planned.get(name));
    let kind = found(record, here.flat_map(|planned| &planned.changes))?;
    let corrections = corrections(&record.record, now);
    let drift = Drift {
        detected_at: in_seconds(now),
        kind: kind.to_owned(),
        corrections,
    };
    if !zone.repairs {
        let message = format!(
            "somebody else changed the data in the zone ({kind}), and spec.drift.policy of the DnsZone {} is Warn",
            zone.name
        );
        return Some((Fault::stalled(Reason::Drifted, message, ""), drift));
    }
    if corrections >= MOST {
        let message =
            format!("somebody else undid the data {corrections} times within an hour ({kind}): it is left as it is");
        return Some((Fault::stalled(Reason::DriftLoop, message, ""), drift));
    }
    None
}

/// Whether what was left alone may be put right now: the policy changed, or a human resumed.
pub fn is_to_be_put_right(record: &DnsRecord, zone: &Zone, now: Timestamp) -> bool {
    let reason = ready_reason(record);
    zone.repairs
        && (reason == Some(Reason::Drifted.as_str())
            || reason == Some(Reason::DriftLoop.as_str()) && corrections(record, now) == 0)
}

/// What the status says after these changes of its names were made.
pub fn noted<'a>(record: &Asking, changes: impl IntoIterator<Item = &'a Change>, now: Timestamp) -> Option<Drift> {
    match found(record, changes) {
        Some(kind) => Some(Drift {
            detected_at: in_seconds(now),
            kind: kind.to_owned(),
            corrections: corrections(&record.record, now) + 1,
        }),
        None => record.record.status.as_ref().and_then(|status| status.drift.clone()),
    }
}
