//! Debian packages that the local cluster runs on, installed when they are missing.

use std::path::Path;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::command::run;
use crate::progress::Step;
use crate::tools;

/// Something that a Debian package brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// The package.
    pub name: &'static str,
    /// The program (looked up in `PATH` and the `sbin` folders) or absolute file that shows that it is there.
    pub brings: &'static str,
}

impl Package {
    /// The package `name`, which brings `brings`.
    pub const fn new(name: &'static str, brings: &'static str) -> Self {
        Self { name, brings }
    }

    fn is_there(self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
        // Joining an absolute file gives that file.
        folders.into_iter().any(|folder| folder.join(self.brings).is_file()) || Path::new(self.brings).is_file()
    }
}

/// The lock under which packages are installed, from whatever checkout. Only root writes there.
const LOCK: &str = "/run/tremplin-packages.lock";

/// Installs without starting the services that some of the packages bring (containerd, HAProxy): what this
/// machine runs of its own is not our business. `policy-rc.d` is Debian's way to say so
/// (invoke-rc.d(8)); one that we left behind when we were killed is recognised by its second line. To be run under
/// the lock: it takes the file of another run for one that was left.
/// People and timers install packages as well: dpkg's own lock is waited for, in seconds.
const INSTALL: &str = r#"
policy=/usr/sbin/policy-rc.d
mark='# tremplin-e2e: no service starts while it installs packages'
if [ "$(sed -n 2p "$policy" 2>/dev/null)" = "$mark" ]; then rm -f "$policy"; fi
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' INT TERM
  printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
  chmod 0755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"; }
install "$@" || { apt-get update -q && install "$@"; }
"#;

/// Installs the packages that are missing.
///
/// # Errors
/// If some are missing and cannot be installed: the message has the command that a person can run.
pub async fn ensure(packages: &[Package]) -> Result<()> {
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let advice = format!("install them by hand: sudo apt-get install --no-install-recommends {names}");
    if !rustix::process::geteuid().is_root() {
        bail!("these Debian packages are missing, and only root can install them: {names}\n{advice}");
    }
    let _turn = tools::lock(Path::new(LOCK), "Debian packages").await?;
    install(packages)
        .await
        .with_context(|| format!("these Debian packages are missing: {names}\n{advice}"))
}

/// Installs those that nobody else has installed while we waited for our turn.
async fn install(packages: &[Package]) -> Result<()> {
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    let step = Step::start(format!("installing Debian packages: {}", missing.join(" ")));
    run(Command::new("sh").args(["-euc", INSTALL, "sh"]).args(&missing)).await?;
    step.done();
    Ok(())
}

fn missing(packages: &[Package]) -> Vec<&'static str> {
    let missing = packages.iter().filter(|package| !package.is_there());
    missing.map(|package| package.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_in_the_path_or_a_file_shows_that_its_package_is_there() {
        assert!(Package::new("dash", "sh").is_there());
        assert!(Package::new("base-files", "/etc/debian_version").is_there());
        assert!(!Package::new("nothing", "no-such-program").is_there());
    }

    #[tokio::test]
    async fn nothing_is_installed_when_everything_is_there() {
        ensure(&[Package::new("this-package-does-not-exist", "sh")])
            .await
            .unwrap();
    }
}
