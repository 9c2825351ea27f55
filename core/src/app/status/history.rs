//! The versions that were rolled out.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::summary::{Summary, Verdict};
use crate::api::startup_app::{Revision, RevisionResult, StartupAppStatus};
use crate::app::valid::ValidApp;

/// How many versions are kept.
const KEPT: usize = 10;

/// Notes a new version when the main process's image changes, and how the newest one fares.
pub fn write(status: &mut StartupAppStatus, valid: &ValidApp, summary: &Summary, now: Timestamp) {
    let Some(main) = valid.main() else { return };
    let image = main.program.image.as_str();
    if status.history.first().is_none_or(|newest| newest.image != image) {
        if let Some(previous) = status
            .history
            .first_mut()
            .filter(|previous| previous.result == RevisionResult::Progressing)
        {
            previous.result = RevisionResult::Superseded;
        }
        let revision = status.history.first().map_or(0, |newest| newest.revision) + 1;
        status.history.insert(
            0,
            Revision {
                revision,
                image: image.to_owned(),
                at: Time(now),
                result: RevisionResult::Progressing,
            },
        );
        status.history.truncate(KEPT);
    }
    if let Some(newest) = status.history.first_mut() {
        // A version that served stays a success when it breaks later: the condition tells that.
        match summary.verdict {
            Verdict::Ready => newest.result = RevisionResult::Succeeded,
            Verdict::Stalled if newest.result == RevisionResult::Progressing => newest.result = RevisionResult::Failed,
            Verdict::Stalled | Verdict::Reconciling => {}
        }
        status.revision = Some(newest.revision);
    }
}
