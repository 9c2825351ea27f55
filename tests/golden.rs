//! What each sample becomes on each bundled platform, kept as golden files; and that each of them keeps the rules.
//!
//! After a change that is meant: `INSTA_UPDATE=always cargo test --test golden`, and read the difference.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and so may its helpers"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tremplin_core::api::{StartupApp, conform};
use tremplin_core::app::offline;
use tremplin_core::platform::{BUNDLED, NamespaceContext, Platform};
use tremplin_core::{policy, yaml};

/// The samples by name, each a stream of objects.
fn samples() -> BTreeMap<String, Vec<Value>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/samples");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let samples: BTreeMap<_, _> = files
        .map(|file| {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let documents = yaml::parse(&fs::read_to_string(&file).unwrap()).unwrap();
            (name, documents.into_iter().map(|document| document.value).collect())
        })
        .collect();
    assert_eq!(samples.len(), 6);
    samples
}

/// An environment of Cloud π native: `staging` for the sample of that name, else `prod`.
fn namespace(platform: &Platform, sample: &str) -> NamespaceContext {
    let environment = if sample == "staging" { "staging" } else { "prod" };
    let labels = [
        ("app.kubernetes.io/managed-by", "dso-console"),
        ("dso/environment", environment),
        ("dso/project.slug", "brigade"),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    platform.namespace("b4qjvd14--22dxmh", &labels)
}

fn app(objects: &[Value]) -> StartupApp {
    let mut app = objects
        .iter()
        .find(|object| object["kind"] == "StartupApp")
        .unwrap()
        .clone();
    assert_eq!(conform::breaches("StartupApp", &app), []);
    app["metadata"]["namespace"] = "b4qjvd14--22dxmh".into();
    serde_json::from_value(app).unwrap()
}

/// What a sample becomes on a platform, as text.
fn rendered(name: &str, objects: &[Value], platform: &Platform) -> String {
    let mut text = String::new();
    match offline(&app(objects), &namespace(platform, name), platform) {
        Ok(rendered) => {
            for object in rendered.objects {
                write!(text, "---\n{}", serde_saphyr::to_string(&object).unwrap()).unwrap();
            }
        }
        Err(faults) => {
            for fault in faults {
                writeln!(text, "refused: {fault}").unwrap();
            }
        }
    }
    text
}

#[test]
fn each_sample_becomes_on_each_platform_what_its_golden_file_says() {
    for profile in BUNDLED {
        let platform = Platform::bundled(profile.name).unwrap();
        for (name, objects) in samples() {
            let text = rendered(&name, &objects, &platform);
            insta::assert_snapshot!(format!("{name}@{}", profile.name), text);
        }
    }
}

#[test]
fn where_the_platform_gives_records_the_hosts_of_a_sample_have_theirs() {
    let records = "domains: [{domain: incubateur.net, dnsRecords: true}, {domain: '*'}]\n";
    let (_, generic) = BUNDLED[0].text.split_once("environments:").unwrap();
    let platform = Platform::parse(&format!("{records}environments:{generic}")).unwrap();
    let text = rendered("staging", &samples()["staging"], &platform);
    insta::assert_snapshot!("staging@records", text);
}

/// The hosts of the staging sample are not the ministry's to give: it is the one pair that is refused.
#[test]
fn each_sample_keeps_every_rule_on_each_platform() {
    let mut refused = Vec::new();
    for profile in BUNDLED {
        let platform = Platform::bundled(profile.name).unwrap();
        for (name, objects) in samples() {
            let context = namespace(&platform, &name);
            let Ok(rendered) = offline(&app(&objects), &context, &platform) else {
                refused.push(format!("{name}@{}", profile.name));
                continue;
            };
            let others = objects.into_iter().filter(|object| object["kind"] != "StartupApp");
            let all: Vec<_> = rendered.objects.into_iter().chain(others).collect();
            let namespaces = [(context.name.clone(), context)].into();
            assert_eq!(
                policy::check(&all, &platform, &namespaces),
                [],
                "{name} on {}",
                profile.name
            );
        }
    }
    assert_eq!(refused, ["staging@cpin-mi"]);
}
