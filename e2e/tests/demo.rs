//! `make demo` as a newcomer sees it: run as a program, and every line that it prints tried as printed.
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_mins(2);

/// A demo of its own, beside any other. It is taken down with the value.
struct Demo {
    name: String,
    state: PathBuf,
}

impl Demo {
    fn new() -> Self {
        let name = format!("demo-{}", std::process::id());
        let state = std::env::temp_dir().join(format!("tremplin-{name}"));
        Self { name, state }
    }

    fn run(&self, command: &str) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_tremplin-e2e"));
        program
            .args([command, "--name", &self.name])
            .env("TREMPLIN_STATE", &self.state);
        program.output().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.run("demo-down");
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}\n{err}")
}

/// What was printed, as a newcomer reads it.
struct Screen {
    url: String,
    /// The command that resolves the team's name.
    dig: String,
    /// The line that readies a shell.
    ready: String,
    /// What each command is for, and the command.
    commands: Vec<(String, String)>,
}

impl Screen {
    fn read(text: &str) -> Self {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let after = |line: &&str| {
            lines
                .iter()
                .skip_while(|other| *other != line)
                .nth(1)
                .copied()
                .unwrap_or_default()
        };
        let purposes = lines.iter().filter(|line| line.starts_with("# "));
        Self {
            url: lines
                .iter()
                .find(|line| line.starts_with("http://"))
                .unwrap()
                .to_string(),
            dig: lines
                .iter()
                .find_map(|line| line.strip_prefix("$ ").filter(|line| line.starts_with("dig ")))
                .unwrap()
                .to_owned(),
            ready: lines.iter().find(|line| line.starts_with(". ")).unwrap().to_string(),
            commands: purposes
                .map(|line| (line.to_string(), after(line).to_owned()))
                .collect(),
        }
    }

    fn shell(&self, command: &str) -> Output {
        Command::new("bash")
            .args(["-euc", &format!("{}\n{command}", self.ready)])
            .output()
            .unwrap()
    }

    /// Runs the command that is printed for a purpose.
    fn try_out(&self, purpose: &str) -> String {
        let (_, command) = self.commands.iter().find(|(what, _)| what.contains(purpose)).unwrap();
        let output = self.shell(command);
        // `why` ends with 1 when it found something wrong (the command line's documented codes).
        let found = command.contains(" why ") && output.status.code() == Some(1);
        assert!(output.status.success() || found, "{command}: {}", said(&output));
        said(&output)
    }

    /// Waits until a command prints this.
    fn shows(&self, command: &str, wanted: &str) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let text = said(&self.shell(command));
            if text.contains(wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "{command} never shows {wanted:?}:\n{text}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

#[test]
fn the_demo_answers_and_its_commands_work_as_printed() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: a node needs root");
        return;
    }
    let demo = Demo::new();
    let first = demo.run("demo");
    assert!(first.status.success(), "{}", said(&first));
    let screen = Screen::read(&String::from_utf8_lossy(&first.stdout));
    assert_eq!(screen.commands.len(), 5);
    let curl = format!("curl --silent --show-error --fail {}", screen.url);
    screen.shows(&curl, "sample-app 1.0.0");
    screen.shows("kubectl get startupapps", "True");
    screen.shows("kubectl get dnsrecords", "Published");
    assert_eq!(said(&screen.shell(&screen.dig)).trim(), "192.0.2.80");

    let started = Instant::now();
    let second = demo.run("demo");
    assert!(second.status.success(), "{}", said(&second));
    assert!(
        started.elapsed() < Duration::from_mins(1),
        "a second time took {:?}",
        started.elapsed()
    );
    assert_eq!(Screen::read(&String::from_utf8_lossy(&second.stdout)).url, screen.url);

    screen.try_out("change the image");
    screen.shows(&curl, "sample-app 1.1.0");
    let pods = "kubectl get pods --selector=tremplin.dev/process=web --output=name";
    screen.shows("kubectl get startupapps", "True");
    let before = said(&screen.shell(pods));
    screen.try_out("restart");
    let deadline = Instant::now() + DEADLINE;
    while said(&screen.shell(pods))
        .lines()
        .any(|pod| before.contains(pod) && !pod.is_empty())
    {
        assert!(Instant::now() < deadline, "the pods stay: {before}");
        std::thread::sleep(Duration::from_millis(200));
    }
    screen.try_out("run the cron");
    screen.shows(
        "kubectl get startupapp hello --output=jsonpath='{.status.crons}'",
        "lastRunAt",
    );
    screen.try_out("break the release");
    screen.shows("kubectl get startupapps", "ReleaseFailed");
    assert!(screen.try_out("what is wrong").contains("no such table: users"));
    screen.shows(&curl, "sample-app 1.1.0");

    let down = demo.run("demo-down");
    assert!(down.status.success(), "{}", said(&down));
    assert!(!demo.state.join(&demo.name).exists());
    assert!(!screen.shell(&curl).status.success(), "it still answers");
    // Some networks answer whatever is asked of port 53: what matters is that nobody knows the name.
    let quick = format!("{} +timeout=1 +tries=1", screen.dig);
    let answer = said(&screen.shell(&quick));
    assert!(!answer.contains("192.0.2.80"), "the name is still answered: {answer}");
}
