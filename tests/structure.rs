//! Which way the imports of `src/` go, and who may name a client of the API. (The compiler keeps `core/` pure.)
#![cfg(test)] // helpers here may unwrap as tests do

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each room of `src/`, and the rooms that it may know.
const ROOMS: [(&str, &[&str]); 13] = [
    ("key", &[]),
    ("leader", &[]),
    ("metrics", &[]),
    ("settings", &[]),
    ("telemetry", &["settings"]),
    ("platform_file", &["metrics"]),
    ("admin", &["metrics", "telemetry"]),
    ("dns_provider", &["metrics"]),
    ("driver", &["key", "metrics"]),
    ("cluster", &["key", "leader", "metrics"]),
    // A slice knows no other slice.
    ("dns", &["cluster", "dns_provider", "driver", "key", "metrics"]),
    ("startup_app", &["cluster", "driver", "key", "metrics"]),
    (
        "cli",
        &[
            "admin",
            "cluster",
            "dns",
            "dns_provider",
            "driver",
            "key",
            "leader",
            "metrics",
            "platform_file",
            "settings",
            "startup_app",
            "telemetry",
        ],
    ),
];

/// Beside `cluster/`: the lease, the start that makes the client, and the command line's own room.
const NAME_A_CLIENT: [&str; 3] = ["leader.rs", "cli/controller.rs", "cli/cluster.rs"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Path below `src/`, and text, of every source file.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&src, &mut found);
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned(), text)
    };
    found.into_iter().map(read).collect()
}

fn room(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap()
}

#[test]
fn imports_go_one_way() {
    for (path, text) in sources() {
        let room = room(&path);
        if ["main", "lib"].contains(&room) {
            continue;
        }
        let known = ROOMS.iter().find(|(name, _)| *name == room);
        let (_, may_know) = known.unwrap_or_else(|| panic!("{path}: give its room a place in ROOMS"));
        let named = text.split("crate::").skip(1).map(|rest| {
            rest.split(|c: char| !c.is_ascii_lowercase() && c != '_')
                .next()
                .unwrap()
        });
        for other in named.filter(|other| *other != room).collect::<BTreeSet<_>>() {
            assert!(may_know.contains(&other), "{path} may not know {other}");
        }
    }
}

#[test]
fn only_few_files_name_a_client() {
    for (path, text) in sources() {
        let names_it = ["kube::Client", "kube::Api", "Client,", "Client}", "Api,", "Api}"]
            .iter()
            .any(|name| {
                text.lines()
                    .any(|line| line.starts_with("use kube::") && line.contains(name))
            });
        let may = room(&path) == "cluster" || NAME_A_CLIENT.contains(&path.as_str());
        assert!(may || !names_it, "{path} names a client of the API");
    }
}
