//! Processes and their volumes.

use serde_json::json;

use super::{Faults, invalid, repeated};
use crate::api::startup_app::{Environment, Process, Resources, StartupAppSpec, Tier, Volume};
use crate::app::image::Image;
use crate::app::reasons::Reason;
use crate::app::valid::{ContentRef, Demand, Health, Program, ValidProcess, ValidVolume, VolumeSource};
use crate::fault::Fault;
use crate::live::Digest;
use crate::platform::Platform;
use crate::quantity::Quantity;

/// How long a process may take to start when it does not say, in seconds.
const START_SECONDS: i32 = 60;

/// The least CPU: Kubernetes counts in thousandths.
const LEAST_CPU: &str = "1m";
/// The least memory: with less, container runtimes refuse to start a container at all (CRI-O 12 MiB, runc 6 MiB).
const LEAST_MEMORY: &str = "6Mi";
/// The least that a folder may be bounded to: a page. Kubernetes takes 0 for no bound at all.
const LEAST_FOLDER: &str = "4Ki";

pub fn processes(
    spec: &StartupAppSpec,
    environment: Environment,
    platform: &Platform,
    faults: &mut Faults,
) -> Vec<ValidProcess> {
    for name in repeated(spec.processes.iter().map(|process| process.name.as_str())) {
        faults.push(invalid(
            "spec.processes",
            format!("two processes have the name {name}"),
            "rename one of them",
        ));
    }
    let web = [Process {
        name: "web".into(),
        ..Process::default()
    }];
    let written = if spec.processes.is_empty() {
        web.as_slice()
    } else {
        spec.processes.as_slice()
    };
    written
        .iter()
        .enumerate()
        .filter_map(|(index, process)| {
            one(
                &format!("spec.processes[{index}]"),
                process,
                spec,
                environment,
                platform,
                faults,
            )
        })
        .collect()
}

fn one(
    field: &str,
    process: &Process,
    spec: &StartupAppSpec,
    environment: Environment,
    platform: &Platform,
    faults: &mut Faults,
) -> Option<ValidProcess> {
    check_part_name(field, &process.name, faults);
    let image = match (&process.image, &spec.image) {
        (Some(own), _) => image(&format!("{field}.image"), own, faults),
        (None, Some(shared)) => image("spec.image", shared, faults),
        (None, None) => {
            faults.push(invalid(
                "spec.image",
                "is missing",
                "name an image here, or one in each of spec.processes[]",
            ));
            None
        }
    };
    let demand = match (&process.size, &process.resources) {
        (Some(_), Some(_)) => {
            faults.push(invalid(field, "has both size and resources", "keep one of them"));
            None
        }
        (name, None) => size(&format!("{field}.size"), name.as_deref(), platform, faults),
        (None, Some(resources)) => explicit(&format!("{field}.resources"), resources, faults),
    };
    let port = process.port.or_else(|| (process.name == "web").then_some(8080));
    let health = process.health.clone().unwrap_or_default();
    if health.path.is_some() && !health.command.is_empty() {
        faults.push(invalid(
            format!("{field}.health"),
            "has both path and command",
            "keep one of them",
        ));
    }
    if health.port.is_some() && !health.command.is_empty() {
        faults.push(invalid(
            format!("{field}.health"),
            "has both command and port, and a command asks no port",
            "keep one of them",
        ));
    }
    let asked = health.port.or(port);
    if asked.is_none() && health.command.is_empty() && health.start_seconds.is_some() {
        faults.push(invalid(
            format!("{field}.health.startSeconds"),
            "nothing tells when the process has started: it has neither a port nor a health command",
            "set health.command, or remove startSeconds",
        ));
    }
    if asked.is_none() && health.path.is_some() {
        faults.push(invalid(
            format!("{field}.health.path"),
            "there is no port to ask",
            "set the process's port, or health.port",
        ));
    }
    let web = process.name == "web";
    let many = web && environment == Environment::Production;
    let program = Program {
        image: image?,
        command: process.command.clone(),
        args: process.args.clone(),
        demand: demand?,
        volumes: Vec::new(),
        tier: process
            .tier
            .unwrap_or(if port.is_some() { Tier::Frontend } else { Tier::Backend }),
        component: process.component.clone(),
    };
    Some(ValidProcess {
        name: process.name.clone(),
        program,
        port,
        replicas: process.replicas.unwrap_or(if many { 2 } else { 1 }),
        health: match (health.path, asked) {
            (Some(path), Some(port)) => Health::Http { path, port },
            _ if !health.command.is_empty() => Health::Command(health.command),
            (_, Some(port)) => Health::Tcp { port },
            _ => Health::Running,
        },
        start_seconds: health.start_seconds.unwrap_or(START_SECONDS),
        written: written(process, spec),
    })
}

/// What a team wrote that this process's pods are made from.
fn written(process: &Process, spec: &StartupAppSpec) -> Digest {
    let seen = |volume: &&Volume| volume.process.as_ref().is_none_or(|name| *name == process.name);
    let volumes: Vec<_> = spec.volumes.iter().filter(seen).collect();
    Digest::of(&json!({
        "process": process,
        "image": spec.image,
        "environment": spec.environment,
        "env": spec.env,
        "secretEnv": spec.secret_env,
        "envFrom": spec.env_from,
        "volumes": volumes,
        "writableRoot": spec.writable_root,
        "criticality": spec.criticality,
    }))
}

/// Process and cron names: a letter, then letters, digits and hyphens, at most 20.
pub fn check_part_name(field: &str, name: &str, faults: &mut Faults) {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase())
        || name.ends_with('-')
        || !name.chars().all(legal)
        || name.len() > 20
    {
        faults.push(invalid(
            format!("{field}.name"),
            format!("{name:?} is not a letter followed by at most 19 of a-z, 0-9 and -, the last not a hyphen"),
            "rename it",
        ));
    }
}

fn image(field: &str, text: &str, faults: &mut Faults) -> Option<Image> {
    Image::parse(text)
        .map_err(|why| {
            let fault = Fault::stalled(
                Reason::InvalidImage,
                why,
                "write registry/repository:tag, as in ghcr.io/betagouv/mon-service:8f2c1e0",
            )
            .at(field);
            // Processes that share spec.image would say the same thing once each.
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        })
        .ok()
}

/// The size of that name, or the platform's default.
pub fn size(field: &str, name: Option<&str>, platform: &Platform, faults: &mut Faults) -> Option<Demand> {
    let Some(name) = name else {
        let size = platform.default_size();
        return Some(Demand {
            cpu: size.cpu,
            memory: size.memory,
        });
    };
    let found = platform.size(name).map(|size| Demand {
        cpu: size.cpu,
        memory: size.memory,
    });
    if found.is_none() {
        let known: Vec<_> = platform.sizes().iter().map(|size| size.name.as_str()).collect();
        let fix = format!("use one of {}", known.join(", "));
        faults.push(Fault::stalled(Reason::UnknownSize, format!("the platform has no size {name}"), fix).at(field));
    }
    found
}

fn explicit(field: &str, resources: &Resources, faults: &mut Faults) -> Option<Demand> {
    let Resources { cpu, memory } = resources;
    let cpu = at_least(LEAST_CPU, &format!("{field}.cpu"), cpu, "250m", faults);
    let memory = at_least(LEAST_MEMORY, &format!("{field}.memory"), memory, "256Mi", faults);
    Some(Demand {
        cpu: cpu?,
        memory: memory?,
    })
}

/// A quantity that something can be done with; the least is most often undercut by a forgotten unit.
fn at_least(least: &str, field: &str, text: &str, example: &str, faults: &mut Faults) -> Option<Quantity> {
    let why = match text.parse::<Quantity>() {
        Ok(quantity) if least.parse().is_ok_and(|least: Quantity| quantity < least) => {
            format!("{text:?} is less than {least}, too little for anything")
        }
        Ok(quantity) => return Some(quantity),
        Err(why) => why.to_string(),
    };
    let fix = format!("write a quantity with its unit, such as {example}");
    faults.push(invalid(field, why, &fix));
    None
}

/// Gives each process the volumes it sees.
pub fn attach_volumes(spec: &StartupAppSpec, processes: &mut [ValidProcess], faults: &mut Faults) {
    for name in repeated(spec.volumes.iter().map(|volume| volume.name.as_str())) {
        faults.push(invalid(
            "spec.volumes",
            format!("two volumes have the name {name}"),
            "rename one of them",
        ));
    }
    for (index, volume) in spec.volumes.iter().enumerate() {
        let field = format!("spec.volumes[{index}]");
        let Some(valid) = valid_volume(&field, volume, faults) else {
            continue;
        };
        if let Some(process) = &volume.process
            && !processes.iter().any(|known| known.name == *process)
        {
            faults.push(invalid(
                format!("{field}.process"),
                format!("there is no process {process}"),
                "name a process of the app",
            ));
        }
        for process in processes
            .iter_mut()
            .filter(|known| volume.process.as_ref().is_none_or(|name| *name == known.name))
        {
            if process
                .program
                .volumes
                .iter()
                .any(|other| other.mount_path == valid.mount_path)
            {
                let message = format!(
                    "the process {} has another volume at {}",
                    process.name, valid.mount_path
                );
                faults.push(invalid(format!("{field}.mountPath"), message, "mount it elsewhere"));
            }
            process.program.volumes.push(valid.clone());
        }
    }
}

fn valid_volume(field: &str, volume: &Volume, faults: &mut Faults) -> Option<ValidVolume> {
    // Two ways to write one path would pass for two paths: one slash at the end alone is let through.
    let mount_path = volume.mount_path.strip_suffix('/').unwrap_or(&volume.mount_path);
    let wrong = match mount_path {
        "/tmp" => Some("is there already, in every process"),
        "" => Some("would hide the image"),
        path if !path.starts_with('/') => Some("is not an absolute path"),
        path if path.split('/').any(|part| part == "..") => Some("must not hold .."),
        path if path.split('/').skip(1).any(|part| matches!(part, "" | ".")) => Some("must not hold // or a part ."),
        _ => None,
    };
    if let Some(wrong) = wrong {
        let message = format!("{} {wrong}", volume.mount_path);
        faults.push(invalid(
            format!("{field}.mountPath"),
            message,
            "mount it elsewhere, such as at /data",
        ));
    }
    if volume.name == "tmp" {
        faults.push(invalid(
            format!("{field}.name"),
            "the volume tmp is the one at /tmp",
            "rename it",
        ));
    }
    let source = match (&volume.temporary, &volume.secret_ref, &volume.config_map_ref) {
        (Some(temporary), None, None) => VolumeSource::Temporary(match &temporary.size {
            Some(size) => {
                let field = format!("{field}.temporary.size");
                Some(at_least(LEAST_FOLDER, &field, size, "1Gi", faults)?)
            }
            None => None,
        }),
        (None, Some(secret), None) => VolumeSource::Content(ContentRef::secret(&secret.name)),
        (None, None, Some(config_map)) => VolumeSource::Content(ContentRef::config_map(&config_map.name)),
        _ => {
            faults.push(invalid(
                field,
                "needs exactly one of temporary, secretRef and configMapRef",
                "keep one of them",
            ));
            return None;
        }
    };
    Some(ValidVolume {
        name: volume.name.clone(),
        mount_path: mount_path.to_owned(),
        source,
    })
}
