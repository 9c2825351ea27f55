//! CronJobs, and the Jobs of `run-cron`.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, Job, JobSpec, JobTemplateSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Frame, Marks, Part, pod};
use crate::app::valid::{Program, ValidApp, ValidCron};
use crate::platform::Platform;
use crate::{labels, names};

/// How long a finished Job stays, in seconds: a day. Set in full, because platforms set 15 minutes where it is absent.
pub const KEEP_FINISHED_SECONDS: i32 = 86_400;

pub fn cron_job(frame: Frame<'_>, cron: &ValidCron, marks: &Marks) -> CronJob {
    let part = part(cron);
    let mut metadata = frame.metadata(cron_job_name(&frame.app.identity.name, &cron.name), part);
    metadata.annotations = marks
        .runs
        .get(&cron.name)
        .map(|run| BTreeMap::from([(labels::RUN_HANDLED.to_owned(), run.clone())]));
    CronJob {
        metadata,
        spec: CronJobSpec {
            schedule: cron.schedule.as_str().to_owned(),
            time_zone: Some(cron.schedule.time_zone().to_owned()),
            concurrency_policy: Some(cron.concurrency.as_str().into()),
            suspend: Some(cron.suspend),
            successful_jobs_history_limit: Some(5),
            failed_jobs_history_limit: Some(5),
            job_template: JobTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(frame.labels(part)),
                    ..ObjectMeta::default()
                }),
                spec: Some(job_spec(frame, cron)),
            },
            ..CronJobSpec::default()
        },
        status: None,
    }
}

/// The name of the CronJob of a cron.
pub fn cron_job_name(app: &str, cron: &str) -> String {
    names::child(app, cron, names::CRON_JOB)
}

/// A run asked for by hand: suspended, so that it is recorded before it runs. `request` names it.
pub fn cron_run(app: &ValidApp, platform: &Platform, cron: &ValidCron, request: &str) -> Job {
    let frame = Frame { app, platform };
    let name = names::one_shot(&app.identity.name, &cron.name, request);
    Job {
        metadata: frame.metadata(name, part(cron)),
        spec: Some(JobSpec {
            suspend: Some(true),
            ..job_spec(frame, cron)
        }),
        status: None,
    }
}

fn part(cron: &ValidCron) -> Part<'_> {
    Part::Cron {
        name: &cron.name,
        tier: cron.program.tier,
        component: cron.program.component.as_deref(),
    }
}

fn job_spec(frame: Frame<'_>, cron: &ValidCron) -> JobSpec {
    JobSpec {
        backoff_limit: Some(cron.retries),
        active_deadline_seconds: Some(i64::from(cron.timeout_seconds)),
        ttl_seconds_after_finished: Some(KEEP_FINISHED_SECONDS),
        template: job_pod(frame, &cron.name, &cron.program, cron.port, part(cron)),
        ..JobSpec::default()
    }
}

/// The pod of a Job: never restarted in place, so that each try is a pod of its own with its own exit.
pub fn job_pod(
    frame: Frame<'_>,
    name: &str,
    program: &Program,
    listens_on: Option<i32>,
    part: Part<'_>,
) -> PodTemplateSpec {
    let mut container = pod::container(frame, name, program, listens_on);
    container.liveness_probe = Some(pod::never_probe());
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(frame.labels(part)),
            ..ObjectMeta::default()
        }),
        spec: Some(pod::spec(frame, container, program, Some("Never"))),
    }
}
