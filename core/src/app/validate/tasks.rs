//! Crons and the release.

use serde_json::json;

use super::{Faults, invalid, program, repeated};
use crate::api::startup_app::{ConcurrencyPolicy, Cron, StartupAppSpec};
use crate::app::reasons::Reason;
use crate::app::schedule::Schedule;
use crate::app::valid::{Program, ValidCron, ValidProcess, ValidRelease};
use crate::fault::Fault;
use crate::live::Digest;
use crate::platform::{Platform, TimeZoneName};

/// When a cron's run is stopped if it does not say, in seconds.
const CRON_TIMEOUT_SECONDS: i32 = 3_600;
/// When a release is stopped if it does not say, in seconds.
const RELEASE_TIMEOUT_SECONDS: i32 = 600;

pub fn crons(
    spec: &StartupAppSpec,
    processes: &[ValidProcess],
    platform: &Platform,
    faults: &mut Faults,
) -> Vec<ValidCron> {
    for name in repeated(spec.crons.iter().map(|cron| cron.name.as_str())) {
        faults.push(invalid(
            "spec.crons",
            format!("two crons have the name {name}"),
            "rename one of them",
        ));
    }
    spec.crons
        .iter()
        .enumerate()
        .filter_map(|(index, cron)| one_cron(&format!("spec.crons[{index}]"), cron, processes, platform, faults))
        .collect()
}

fn one_cron(
    field: &str,
    cron: &Cron,
    processes: &[ValidProcess],
    platform: &Platform,
    faults: &mut Faults,
) -> Option<ValidCron> {
    program::check_part_name(field, &cron.name, faults);
    let zone = match cron.time_zone.as_deref().map(TimeZoneName::new).transpose() {
        Ok(zone) => zone.unwrap_or_else(|| platform.time_zone().clone()),
        Err(why) => {
            let fault = Fault::stalled(
                Reason::InvalidSchedule,
                why.to_string(),
                "write an IANA name such as Europe/Paris",
            );
            faults.push(fault.at(format!("{field}.timeZone")));
            return None;
        }
    };
    let schedule = Schedule::parse(&cron.schedule, &zone).map_err(|why| {
        faults
            .push(Fault::stalled(Reason::InvalidSchedule, why.to_string(), why.fix()).at(format!("{field}.schedule")));
    });
    let process = named_or_main(processes, cron.process.as_deref());
    if process.is_none()
        && let Some(name) = &cron.process
    {
        faults.push(invalid(
            format!("{field}.process"),
            format!("there is no process {name}"),
            "name a process of the app",
        ));
    }
    let demand = program::size(&format!("{field}.size"), cron.size.as_deref(), platform, faults);
    let process = process?;
    Some(ValidCron {
        name: cron.name.clone(),
        schedule: schedule.ok()?,
        program: Program {
            command: cron.command.clone(),
            args: cron.args.clone(),
            demand: demand?,
            ..process.program.clone()
        },
        port: process.port,
        timeout_seconds: cron.timeout_seconds.unwrap_or(CRON_TIMEOUT_SECONDS),
        concurrency: cron.concurrency_policy.unwrap_or(ConcurrencyPolicy::Forbid),
        retries: cron.retries.unwrap_or(0),
        suspend: cron.suspend.unwrap_or(false),
    })
}

pub fn release(spec: &StartupAppSpec, processes: &[ValidProcess], faults: &mut Faults) -> Option<ValidRelease> {
    let release = spec.release.as_ref()?;
    if release.command.is_empty() {
        faults.push(invalid(
            "spec.release.command",
            "is empty",
            "name the program to run, as in [\"./manage\", \"migrate\"]",
        ));
    }
    let process = named_or_main(processes, None)?;
    Some(ValidRelease {
        program: Program {
            command: release.command.clone(),
            args: release.args.clone(),
            ..process.program.clone()
        },
        port: process.port,
        timeout_seconds: release.timeout_seconds.unwrap_or(RELEASE_TIMEOUT_SECONDS),
        key: release_key(spec, process.program.image.as_str()),
    })
}

/// What a release runs at most once for: the hash of image, release and env as written.
pub fn release_key(spec: &StartupAppSpec, image: &str) -> String {
    let written = json!({
        "image": image,
        "release": spec.release,
        "env": spec.env,
        "secretEnv": spec.secret_env,
        "envFrom": spec.env_from,
    });
    Digest::of(&written).short()
}

fn named_or_main<'a>(processes: &'a [ValidProcess], name: Option<&str>) -> Option<&'a ValidProcess> {
    match name {
        Some(name) => processes.iter().find(|process| process.name == name),
        None => processes
            .iter()
            .find(|process| process.name == "web")
            .or_else(|| processes.first()),
    }
}
