//! Programs started, watched, paused and stopped, by process id and never by name.
//!
//! A program is *attached* (it dies with this process, however this process ends: the kernel sends it
//! SIGKILL) or *detached* (it goes on until it is stopped, possibly by another process that finds it by
//! its folder). The kernel's parent death signal follows the *thread* that started
//! the program, and test threads end early: so one thread that lives as long as the process starts
//! them all.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use rustix::process::Signal;

mod identity;
mod program;

pub use identity::Identity;
pub(crate) use identity::of_cluster;
pub use program::Program;
pub(crate) use program::enter;

/// The variable by which every program of a cluster can be found, whoever started it: its folder.
const CLUSTER: &str = "TREMPLIN_E2E_FOLDER";
/// Lines of its log that tell why a program ended.
const TAIL: usize = 15;

/// Whether a program outlives the process that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It dies with this process, also when this process is killed.
    Attached,
    /// It goes on until someone stops it.
    Detached,
}

/// A program that was started here. Dropping an attached one kills it.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    identity: Identity,
    log: PathBuf,
    inside: bool,
    lifetime: Lifetime,
    child: Mutex<Child>,
}

impl Process {
    /// Its name in messages and log files.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The process as the system knows it.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The process of the program itself: entering a process namespace leaves a parent outside.
    fn program(&self) -> Identity {
        let children = if self.inside {
            self.identity.children()
        } else {
            Vec::new()
        };
        children.first().copied().unwrap_or(self.identity)
    }

    /// Stops its clock (SIGSTOP): when this returns, its connections are open and nothing answers.
    pub fn pause(&self) {
        self.program().stop();
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.program().signal(Signal::CONT);
    }

    /// Asks it to read its configuration again (SIGUSR2, as HAProxy's master understands it).
    pub fn reload(&self) {
        self.program().signal(Signal::USR2);
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.program().signal(Signal::TERM);
    }

    /// Ends it now (SIGKILL) and waits until it is gone.
    pub fn kill(&self) {
        self.program().kill();
        self.identity.kill();
        // Reaps it: a child nobody waits for stays a zombie.
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }

    /// Resident memory of the program, in bytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.program().pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line
            .and_then(|line| line.split_whitespace().next())
            .and_then(|number| number.parse().ok());
        kilobytes.unwrap_or(0_u64) * 1024
    }

    /// Fails with the end of its log if it is no longer running.
    pub fn check(&self) -> Result<()> {
        let ended = self
            .child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_wait()
            .ok()
            .flatten();
        let Some(status) = ended else { return Ok(()) };
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no status".to_owned(),
        };
        bail!(
            "{} ended ({how}); the end of {}:\n{}",
            self.name,
            self.log.display(),
            tail(&self.log)
        );
    }

    /// The end of its log, for messages.
    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Attached {
            self.kill();
        }
    }
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default();
    last.join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn sleeper(folder: &Path) -> Process {
        Program::new("sleeper", "sleep")
            .arg("600")
            .start(folder, Lifetime::Attached)
            .unwrap()
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tremplin-process-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn an_attached_program_outlives_the_thread_that_asked_for_it_and_ends_on_drop() {
        let folder = folder("thread");
        let process = std::thread::scope(|scope| scope.spawn(|| sleeper(&folder)).join().unwrap());
        let identity = process.identity();
        assert!(identity.is_alive());
        process.check().unwrap();
        drop(process);
        assert!(!identity.is_alive());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_program_that_ends_early_is_told_with_the_end_of_its_log() {
        let folder = folder("early");
        let program = Program::new("talker", "sh").args(["-c", "echo no such port; exit 3"]);
        let process = program.start(&folder, Lifetime::Attached).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let error = loop {
            if let Err(error) = process.check() {
                break error.to_string();
            }
            assert!(Instant::now() < deadline, "it never ended");
            std::thread::yield_now();
        };
        assert!(
            error.contains("talker ended (exit code 3)") && error.contains("no such port"),
            "{error}"
        );
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn another_process_of_the_same_id_is_not_taken_for_ours() {
        let mut identity = Identity::current().unwrap();
        assert!(identity.is_alive());
        identity.started += 1;
        assert!(!identity.is_alive());
    }
}
