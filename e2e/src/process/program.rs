//! Command lines, and how they are started.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};

use anyhow::{Context, Result, anyhow};

use super::{CLUSTER, Identity, Lifetime, Process};

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
