//! What a document is: an object, a list of objects, or a file for something else than a cluster.
//!
//! Strict on purpose: an app that is taken for something else would be left out without a word, and what was rendered
//! from it before would be removed.

use serde_json::Value;
use tremplin_core::api::{GROUP, VERSION};

use super::{Fault, Manifest};
use crate::cli::options::valid_namespace;

/// The kind that is rendered.
pub const APP: &str = "StartupApp";
/// A team's name.
pub const RECORD: &str = "DnsRecord";
/// A zone that is opened to teams.
pub const ZONE: &str = "DnsZone";
/// Every kind of our group.
const OURS: [&str; 4] = [APP, RECORD, ZONE, "DnsClaim"];

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// One object.
    Object,
    /// A list of objects.
    List,
    /// Nothing that a cluster knows, such as Helm's values.
    Other,
}

/// What a document is; a fault when it is nearly an object.
pub fn of(manifest: &Manifest) -> Result<What, Fault> {
    let (api_version, kind) = (manifest.text("/apiVersion"), manifest.text("/kind"));
    let is_ours = api_version
        .strip_prefix(GROUP)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let parts = ["apiVersion", "kind", "metadata", "spec"];
    let written = parts.into_iter().filter(|part| manifest.value.get(part).is_some());
    if !is_ours && written.count() < 2 {
        return Ok(What::Other);
    }
    let ours = format!("{GROUP}/{VERSION}");
    if kind.is_empty() {
        let fix = if is_ours {
            format!("write kind: {APP}")
        } else {
            "write the object's kind, or keep the file elsewhere".to_owned()
        };
        return Err(manifest.fault("kind", "is missing").fix(fix));
    }
    let is_app = [APP, "StartupAppList"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(kind));
    if api_version.is_empty() {
        let of_kind = if is_app { &ours } else { "that of the kind" };
        return Err(manifest
            .fault("apiVersion", "is missing")
            .fix(format!("write apiVersion: {of_kind}")));
    }
    let has_items = manifest.value.get("items").is_some_and(Value::is_array);
    match (is_ours, is_app) {
        (false, true) => Err(manifest
            .fault("apiVersion", format!("is {api_version}, but a {APP} is of {ours}"))
            .fix(format!("write apiVersion: {ours}"))),
        (true, _) if api_version != ours => Err(manifest
            .fault("apiVersion", format!("is {api_version}, but this program knows {ours}"))
            .fix(format!("write apiVersion: {ours}"))),
        (true, _) if has_items && kind.strip_suffix("List").is_some_and(|item| OURS.contains(&item)) => Ok(What::List),
        (true, _) if !OURS.contains(&kind) => Err(manifest
            .fault("kind", format!("is {kind}, which {ours} does not have"))
            .fix(format!("write kind: {}", meant(kind)))),
        (false, false) if kind.ends_with("List") && has_items => Ok(What::List),
        (false, false) if kind == "List" => Err(manifest
            .fault("items", "is no list of objects")
            .fix("write items: and the objects below it")),
        _ => namespace(manifest).map(|()| What::Object),
    }
}

/// The kind that was meant: one that differs in case alone, else the one that most files have.
fn meant(kind: &str) -> &'static str {
    OURS.into_iter()
        .find(|ours| ours.eq_ignore_ascii_case(kind))
        .unwrap_or(APP)
}

fn namespace(manifest: &Manifest) -> Result<(), Fault> {
    let wrong = match manifest.value.pointer("/metadata/namespace") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if name.is_empty() => None,
        Some(Value::String(name)) => valid_namespace(name).err(),
        Some(other) => Some(format!("{other} is no text")),
    };
    match wrong {
        None => Ok(()),
        Some(wrong) => Err(manifest
            .fault("metadata.namespace", wrong)
            .fix("write the name of a namespace, or leave it out")),
    }
}
