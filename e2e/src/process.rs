//! Programs started, watched, paused and stopped, by process id and never by name.
//!
//! A program is *attached* (it dies with this process, however this process ends: the kernel sends it
//! SIGKILL) or *detached* (it goes on until it is stopped, possibly by another process that reads its
//! [`Identity`] in a state folder). The kernel's parent death signal follows the *thread* that started
//! the program, and test threads end early: so one thread that lives as long as the process starts
//! them all.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// How long a killed process may take to vanish.
const VANISH: Duration = Duration::from_secs(10);
/// The variable by which every program of a cluster can be found, whoever started it: its folder.
const CLUSTER: &str = "TREMPLIN_CLUSTER";
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

/// A process that cannot be confused with a later one of the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

    fn of(pid: i32) -> Result<Self> {
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
    fn signal(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) {
            // The process may end between the two lines: then there is nobody to signal.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills it and waits until it is gone.
    pub fn kill(self) {
        self.signal(Signal::KILL);
        let deadline = Instant::now() + VANISH;
        while self.is_alive() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
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

/// A command line to be started.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    command: Vec<String>,
    environment: Vec<(String, String)>,
    inside: Option<Identity>,
}

impl Program {
    /// A program called `name` in messages and log files.
    pub fn new(name: &'static str, path: impl AsRef<Path>) -> Self {
        let command = vec![path.as_ref().display().to_string()];
        Self {
            name,
            command,
            environment: Vec::new(),
            inside: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.command.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: ToString>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.extend(args.into_iter().map(|arg| arg.to_string()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it in the network, mount and process namespaces of `process`.
    #[must_use]
    pub fn inside(mut self, process: Option<Identity>) -> Self {
        self.inside = process;
        self
    }

    /// Starts it for the cluster in `folder`, its output going to `<name>.log` there.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(self, folder: &Path, lifetime: Lifetime) -> Result<Process> {
        let log = folder.join(format!("{}.log", self.name));
        let output = File::create(&log).with_context(|| format!("failed to create {}", log.display()))?;
        let errors = output.try_clone().context("failed to share a log file")?;
        let mut command = self.launcher(lifetime);
        command
            .envs(self.environment)
            .env(CLUSTER, folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let child = spawn(command).with_context(|| format!("failed to start {}", self.name))?;
        let pid = i32::try_from(child.id()).context("a process id that is none")?;
        let identity = Identity::of(pid).with_context(|| format!("failed to start {}", self.name))?;
        Ok(Process {
            name: self.name,
            identity,
            log,
            inside: self.inside.is_some(),
            lifetime,
            child: Mutex::new(child),
        })
    }

    /// The programs of util-linux that give the lifetime and enter the namespaces, then the program.
    fn launcher(&self, lifetime: Lifetime) -> Command {
        let mut words: Vec<String> = match lifetime {
            Lifetime::Attached => ["setpriv", "--pdeathsig", "KILL"].map(String::from).into(),
            Lifetime::Detached => vec!["setsid".to_owned()],
        };
        if let Some(target) = self.inside {
            words.extend(enter(target));
        }
        words.extend(self.command.iter().cloned());
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    }
}

/// The command that runs what follows it in the namespaces of `target`.
pub(crate) fn enter(target: Identity) -> Vec<String> {
    let target = format!("--target={}", target.pid);
    ["nsenter", &target, "--mount", "--net", "--pid", "--"]
        .map(String::from)
        .into()
}

/// A command to start, and where to answer.
type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts `command` from the thread that lives as long as this process.
fn spawn(command: Command) -> Result<Child> {
    static STARTER: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
        let (orders, received) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in received {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, answered) = mpsc::channel();
    let orders = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
    orders
        .send((command, answer))
        .map_err(|_| anyhow!("the thread that starts programs is gone"))?;
    drop(orders);
    Ok(answered.recv().context("the thread that starts programs is gone")??)
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

    /// Stops its clock (SIGSTOP): its connections stay open and nothing answers.
    pub fn pause(&self) {
        self.program().signal(Signal::STOP);
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
