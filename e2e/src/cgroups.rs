//! The control groups of a node's containers: below `/tremplin/<cluster>` in every hierarchy, of which
//! the node's first program makes all that the node sees.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Where the hierarchies are, for both versions of cgroups.
const ROOT: &str = "/sys/fs/cgroup";

/// The control group of the cluster in `folder`: two checkouts may both have a `demo`.
pub(crate) fn name(folder: &Path) -> String {
    let hash = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    format!(
        "/tremplin/{:016x}",
        hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    )
}

/// Removes the control groups of the cluster in `folder`, whose processes are gone.
pub(crate) fn remove(folder: &Path) {
    let name = name(folder);
    let name = name.trim_start_matches('/');
    for hierarchy in hierarchies() {
        remove_tree(&hierarchy.join(name));
        // Removed only if no other cluster has a group in it.
        let _ = fs::remove_dir(hierarchy.join("tremplin"));
    }
}

/// With version 2 there is one hierarchy; with version 1 one for each controller.
fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from(ROOT);
    let below = fs::read_dir(&root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    below.filter(|path| path.is_dir()).chain([root.clone()]).collect()
}

/// Removes a group and those in it, innermost first: its files are the kernel's and go with it.
fn remove_tree(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}
