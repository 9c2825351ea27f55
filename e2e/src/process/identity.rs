//! Processes as the system knows them, read from `/proc` (proc(5)).

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::CLUSTER;

/// How long a process may take to act on a signal.
const NOTICE: Duration = Duration::from_secs(10);

/// A process that cannot be confused with a later one of the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub started: u64,
}

impl Identity {
    /// This very process.
    pub fn current() -> Result<Self> {
        Self::of(rustix::process::getpid().as_raw_nonzero().get())
    }

    pub(super) fn of(pid: i32) -> Result<Self> {
        let stat = Stat::read(pid).with_context(|| format!("process {pid} ended at once"))?;
        Ok(Self {
            pid,
            started: stat.started,
        })
    }

    /// Whether the process is there and not a zombie.
    pub fn is_alive(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.started == self.started && stat.state != 'Z')
    }

    /// Sends a signal if it is still the same process.
    pub(super) fn signal(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) {
            // The process may end between the two lines: then there is nobody to signal.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills it and waits until it is gone.
    pub fn kill(self) {
        self.signal(Signal::KILL);
        wait_until(|| !self.is_alive());
    }

    /// Stops it and waits until every thread of it stands still: each notices by itself.
    pub(super) fn stop(self) {
        self.signal(Signal::STOP);
        wait_until(|| !self.is_alive() || self.threads().iter().all(|thread| thread.state == 'T'));
    }

    fn threads(self) -> Vec<Stat> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid))
            .into_iter()
            .flatten()
            .flatten();
        tasks
            .filter_map(|task| Stat::read(task.file_name().to_str()?.parse().ok()?))
            .collect()
    }

    /// The processes it started itself.
    pub(crate) fn children(self) -> Vec<Self> {
        pids()
            .filter_map(|pid| Stat::read(pid).map(|stat| (pid, stat)))
            .filter(|(_, stat)| stat.parent == self.pid && stat.started >= self.started)
            .map(|(pid, stat)| Self {
                pid,
                started: stat.started,
            })
            .collect()
    }
}

/// Waits for what the kernel does by itself, and not for ever.
fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + NOTICE;
    while !done() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The processes of the cluster in `folder`, and the name by which each was called. This is read from
/// the system, not from a note that a crash could leave wrong. Containers are not among them.
pub(crate) fn of_cluster(folder: &Path) -> Vec<(Identity, String)> {
    let marker = format!("{CLUSTER}={}", folder.display());
    let belongs = |pid: i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|variable| variable == marker.as_bytes())
    };
    let found = pids()
        .filter(|&pid| belongs(pid))
        .filter_map(|pid| Some((Identity::of(pid).ok()?, called(pid)?)));
    found.filter(|(process, _)| process.is_alive()).collect()
}

/// The file name of the program that a process was called as.
fn called(pid: i32) -> Option<String> {
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = String::from_utf8_lossy(words.split(|&byte| byte == 0).next()?).into_owned();
    Some(first.rsplit('/').next()?.to_owned())
}

/// Every process there is.
fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// What we use of `/proc/PID/stat` (proc(5)).
struct Stat {
    state: char,
    parent: i32,
    started: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in parentheses and may hold spaces and parentheses itself.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self { state, parent, started })
    }
}
