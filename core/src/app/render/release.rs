//! The release's Job, and the record that outlives it.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::ConfigMap;

use super::cron_job::{KEEP_FINISHED_SECONDS, job_pod};
use super::{Frame, Part};
use crate::app::release::ReleaseRecord;
use crate::app::valid::{ValidApp, ValidRelease};
use crate::platform::Platform;
use crate::{labels, names};

/// The key of the record in its ConfigMap. (Platforms refuse a ConfigMap key named `key`, `secret` and the like.)
pub const RECORD: &str = "record.json";

/// The name of the ConfigMap that holds an app's release record.
pub fn record_name(app: &str) -> String {
    names::child(app, "release", names::LABEL)
}

/// The Job of one attempt: suspended, so that it is recorded before it runs, and never retried by Kubernetes.
pub fn release_job(app: &ValidApp, platform: &Platform, release: &ValidRelease, attempt: i64) -> Job {
    let frame = Frame { app, platform };
    let part = Part::Release {
        tier: release.program.tier,
        component: release.program.component.as_deref(),
    };
    let name = names::one_shot(&app.identity.name, "release", &format!("{}/{attempt}", release.key));
    Job {
        metadata: frame.metadata(name, part),
        spec: Some(JobSpec {
            suspend: Some(true),
            backoff_limit: Some(0),
            pod_replacement_policy: Some("Failed".into()),
            active_deadline_seconds: Some(i64::from(release.timeout_seconds)),
            ttl_seconds_after_finished: Some(KEEP_FINISHED_SECONDS),
            template: job_pod(frame, labels::RELEASE_CONTAINER, &release.program, release.port, part),
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// The ConfigMap that remembers which release ran, and how it ended.
pub fn record(app: &ValidApp, platform: &Platform, record: &ReleaseRecord) -> ConfigMap {
    let frame = Frame { app, platform };
    ConfigMap {
        metadata: frame.metadata(record_name(&app.identity.name), Part::App),
        data: Some(BTreeMap::from([(RECORD.to_owned(), record.to_json())])),
        ..ConfigMap::default()
    }
}
