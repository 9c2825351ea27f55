//! Where a cluster keeps its files: one folder, so that everything it left can be found and removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

use crate::cgroups;
use crate::process::Identity;

/// The folder of one cluster.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    /// A folder that goes with this value. One left by a process that was killed is removed by the
    /// next call, of whatever process.
    pub fn temporary() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let all = Self::temporary_root();
        sweep(&all);
        let Identity { pid, started } = Identity::current()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = all.join(format!("{pid}-{started}-{number}"));
        fs::create_dir_all(&path).with_context(|| format!("failed to create {}", path.display()))?;
        Ok(Self { path, temporary: true })
    }

    /// The folder of all temporary ones, of this user.
    pub(crate) fn temporary_root() -> PathBuf {
        let user = rustix::process::getuid().as_raw();
        std::env::temp_dir().join(format!("tremplin-e2e-{user}"))
    }

    /// A folder that stays: `<TREMPLIN_STATE or .cache/cluster in the checkout>/<name>`.
    ///
    /// # Errors
    /// If the name could lead elsewhere: only lower-case letters, digits and `-` make one.
    pub fn named(name: &str) -> Result<Self> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 30 || !name.chars().all(legal) {
            bail!("{name:?} cannot name a cluster: use 1 to 30 of a-z, 0-9 and -");
        }
        let path = root()?.join(name);
        Ok(Self { path, temporary: false })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the clusters that have a folder.
    pub fn names() -> Result<Vec<String>> {
        let Ok(entries) = fs::read_dir(root()?) else {
            return Ok(Vec::new());
        };
        let folders = entries.flatten().filter(|entry| entry.path().is_dir());
        let mut names: Vec<_> = folders
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.retain(|name| Self::named(name).is_ok());
        names.sort();
        Ok(names)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The folder of all named clusters.
pub(crate) fn root() -> Result<PathBuf> {
    match std::env::var_os("TREMPLIN_STATE").filter(|value| !value.is_empty()) {
        Some(folder) => std::path::absolute(folder).context("failed to resolve TREMPLIN_STATE"),
        None => Ok(Path::new(env!("CARGO_MANIFEST_DIR"))
            .with_file_name(".cache")
            .join("cluster")),
    }
}

/// Removes the temporary folders whose process is gone.
fn sweep(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else { return };
    for entry in entries.flatten() {
        if owner(&entry.file_name().to_string_lossy()).is_some_and(|owner| !owner.is_alive()) {
            cgroups::remove(&entry.path());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process that a temporary folder's name speaks of.
fn owner(name: &str) -> Option<Identity> {
    let mut parts = name.split('-');
    Some(Identity {
        pid: parts.next()?.parse().ok()?,
        started: parts.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_goes_with_its_value_or_after_its_process() {
        let folder = Folder::temporary().unwrap();
        let gone = folder.path().with_file_name("999999999-1-0");
        fs::create_dir_all(gone.join("etcd")).unwrap();
        let other = Folder::temporary().unwrap();
        assert!(!gone.exists(), "left by a dead process");
        assert!(folder.path().exists(), "its process lives");
        let path = other.path().to_owned();
        drop(other);
        assert!(!path.exists());
    }

    #[test]
    fn a_name_cannot_lead_out_of_the_state_folder() {
        for name in ["", "..", "a/b", "Demo"] {
            assert!(Folder::named(name).is_err(), "{name:?}");
        }
        assert!(Folder::named("demo-2").unwrap().path().ends_with("demo-2"));
    }
}
