//! What the documentation says is so: its links lead somewhere, its apps and names are valid, its metrics, fields and
//! reasons exist.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and so may its helpers"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tremplin_core::api::{StartupApp, conform};
use tremplin_core::app::hosts::HostClaims;
use tremplin_core::app::validate::{Context, validate};
use tremplin_core::dns::offline;
use tremplin_core::platform::Platform;
use tremplin_core::yaml;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = Vec::new();
    for folder in [
        "",
        "docs",
        "docs/design",
        "docs/reference",
        "charts/tremplin",
        "charts/tremplin-crds",
    ] {
        let entries = fs::read_dir(root().join(folder)).into_iter().flatten();
        let files = entries.map(|entry| entry.unwrap().path());
        let markdown = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
        pages.extend(markdown.map(|path| (path.clone(), fs::read_to_string(path).unwrap())));
    }
    assert!(!pages.is_empty());
    pages
}

/// The contents of the fenced blocks of one language.
fn fenced<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    let blocks = text.split(opening.as_str()).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_link_leads_to_a_file() {
    for (page, text) in pages() {
        let targets = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        for target in targets.filter(|target| !target.contains("://")) {
            let file = target.split('#').next().unwrap();
            let path = if file.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(file)
            };
            assert!(path.exists(), "{} links to {target}", page.display());
        }
    }
}

#[test]
fn every_app_that_is_shown_is_valid() {
    let platform = Platform::bundled("generic").unwrap();
    let namespace = platform.namespace("team", &BTreeMap::new());
    let mut shown = 0;
    for (page, text) in pages() {
        for block in fenced(&text, "yaml")
            .into_iter()
            .filter(|block| block.contains("kind: StartupApp"))
        {
            for document in yaml::parse(block).unwrap() {
                let app: StartupApp = document
                    .decode()
                    .unwrap_or_else(|error| panic!("{}: {error}", page.display()));
                let by_schema = app.validate_cel();
                assert!(by_schema.is_ok(), "{}: {by_schema:?}", page.display());
                let context = Context {
                    platform: &platform,
                    namespace: &namespace,
                    hosts: &HostClaims::default(),
                };
                let by_operator = validate(&app, context);
                assert!(by_operator.is_ok(), "{}: {by_operator:?}", page.display());
                shown += 1;
            }
        }
    }
    assert!(shown > 0);
}

#[test]
fn every_metric_that_is_named_exists() {
    let registered = fs::read_to_string(root().join("src/metrics.rs")).unwrap();
    let page = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let names = page.split("tremplin_").skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_lowercase() && c != '_')
            .unwrap_or(rest.len());
        &rest[..end]
    });
    for name in names {
        let name = name.trim_end_matches("_total").trim_end_matches("_info");
        assert!(registered.contains(&format!("\"{name}\"")), "tremplin_{name}");
    }
}

#[test]
fn every_record_and_zone_that_is_shown_is_valid() {
    let mut shown = 0;
    for (page, text) in pages() {
        for document in fenced(&text, "yaml")
            .into_iter()
            .flat_map(|block| yaml::parse(block).unwrap())
        {
            let kind = document.value["kind"].as_str().unwrap_or_default().to_owned();
            let fault = match kind.as_str() {
                "DnsRecord" => offline::record(&document.decode().unwrap()).err(),
                "DnsZone" => offline::zone(&document.decode().unwrap()).err(),
                _ => continue,
            };
            let breaches = conform::breaches(&kind, &document.value);
            assert!(
                fault.is_none() && breaches.is_empty(),
                "{}: {fault:?} {breaches:?}",
                page.display()
            );
            shown += 1;
        }
    }
    assert!(shown > 0);
}

/// The words between backticks of a page, outside its blocks.
fn marked(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|prose| prose.split('`').skip(1).step_by(2)).collect()
}

/// Whether a word is a field with the one that it is in, such as `safety.protected`.
fn is_path(word: &str) -> bool {
    let parts: Vec<_> = word.split('.').collect();
    let is_field = |part: &&str| {
        part.starts_with(|c: char| c.is_ascii_lowercase()) && part.chars().all(|c| c.is_ascii_alphanumeric())
    };
    parts.len() > 1 && parts.iter().all(is_field)
}

/// Whether a word is two or more, each with a capital, such as `NameHeld`.
fn is_reason(word: &str) -> bool {
    let capitals = word.chars().filter(char::is_ascii_uppercase).count();
    let letters = word.chars().all(|c| c.is_ascii_alphabetic());
    letters && word.starts_with(|c: char| c.is_ascii_uppercase()) && capitals > 1 && capitals < word.len()
}

#[test]
fn every_field_and_reason_that_the_page_about_names_tells_of_exists() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let known = [
        "dnsrecord",
        "dnszone",
        "dnsclaim",
        "startupapp",
        "platform-file",
        "reasons",
    ]
    .map(|page| read(&format!("docs/reference/{page}.md")))
    .concat()
        + &read("charts/tremplin/README.md");
    let text = read("docs/dns.md");
    let mut told = 0;
    for word in marked(&text) {
        let exists = match word {
            path if is_path(path) => ['`', '[', '.']
                .iter()
                .any(|end| known.contains(&format!("{path}{end}"))),
            reason if is_reason(reason) => known.contains(&format!("`{reason}`")),
            _ => continue,
        };
        assert!(exists, "{word} is nowhere in the reference");
        told += 1;
    }
    assert!(told > 20, "{told}");
}
