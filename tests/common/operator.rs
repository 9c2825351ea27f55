//! An operator in this process.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock, Weak};

use clap::Parser;
use kube::{Client, Config};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tremplin::admin::Endpoint;
use tremplin::cli::controller::{ControllerError, operate};
use tremplin::settings::Settings;
use tremplin::telemetry::LogLevel;
use tremplin_e2e::ControlPlane;

use super::{HOME, PATIENCE};

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    settings: Settings,
}

/// Settings as they would be given on the command line, with short waits.
pub fn settings(flags: &[&str]) -> Settings {
    let ours = ["tremplin", "--namespace", HOME, "--backoff=50ms", "--backoff-cap=1s"];
    // A later flag wins over ours.
    let all: Vec<&str> = ours
        .iter()
        .filter(|our| !flags.iter().any(|flag| name(flag) == name(our)))
        .chain(flags)
        .copied()
        .collect();
    Flags::try_parse_from(all).unwrap().settings
}

fn name(flag: &str) -> &str {
    flag.split('=').next().unwrap_or(flag)
}

/// How an operator ended that nobody asked to.
type End = OnceLock<String>;

thread_local! {
    /// Of the operators that this test has started: whatever its runtime, a test waits on one thread.
    static STARTED: RefCell<Vec<Weak<End>>> = const { RefCell::new(Vec::new()) };
}

/// Fails if an operator of this test has ended by itself: what is waited for would never come.
pub fn assert_operators_run() {
    STARTED.with_borrow_mut(|started| {
        started.retain(|end| end.strong_count() > 0);
        for end in started.iter().filter_map(Weak::upgrade) {
            assert!(end.get().is_none(), "the operator ended by itself: {end:?}");
        }
    });
}

/// An operator in a runtime of its own, so that it can be killed at any moment.
pub struct Operator {
    runtime: Option<Runtime>,
    stop: watch::Sender<bool>,
    ended: Option<oneshot::Receiver<Result<(), ControllerError>>>,
    /// None once its end is expected.
    unexpected: Option<Arc<End>>,
    /// Where it answers about itself.
    pub admin: SocketAddr,
}

impl Operator {
    /// Starts one over a client of its own; `wrap` may put something between it and the API server.
    pub fn start(config: &Config, settings: Settings, wrap: impl FnOnce(Client) -> Client + Send + 'static) -> Self {
        let runtime = Runtime::new().unwrap();
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = oneshot::channel();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let admin = listener.local_addr().unwrap();
        let unexpected = Arc::new(End::new());
        let (told, config) = (Arc::downgrade(&unexpected), config.clone());
        STARTED.with_borrow_mut(|started| started.push(told.clone()));
        runtime.spawn(async move {
            let client = wrap(Client::try_from(config).unwrap());
            let endpoint = Endpoint {
                listener: listener.try_into().unwrap(),
                log_level: LogLevel::fixed(),
            };
            let result = operate(client, settings, endpoint, stopped).await;
            if let Some(told) = told.upgrade() {
                let _ = told.set(format!("{result:?}"));
            }
            let _ = end.send(result);
        });
        Self {
            runtime: Some(runtime),
            stop,
            ended: Some(ended),
            unexpected: Some(unexpected),
            admin,
        }
    }

    /// Starts one with these flags and nothing in between.
    pub fn plain(control_plane: &ControlPlane, flags: &[&str]) -> Self {
        Self::start(&control_plane.admin_config(), settings(flags), |client| client)
    }

    /// Asks it to stop, as SIGTERM does, and waits for its end.
    pub async fn stop(mut self) -> Result<(), ControllerError> {
        self.stop.send_replace(true);
        self.ended().await
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Result<(), ControllerError> {
        self.unexpected = None;
        let ended = self.ended.take().unwrap();
        tokio::time::timeout(PATIENCE, ended)
            .await
            .expect("it does not end")
            .expect("it was killed")
    }

    /// Ends it at once, wherever it is, as SIGKILL does.
    pub fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    /// A line of its metrics, by the text before the value.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.ask("/metrics").await?;
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// How many rounds over StartupApps have ended, with whatever result.
    pub async fn rounds(&self) -> usize {
        let text = self.ask("/metrics").await.unwrap();
        let rounds = text
            .lines()
            .filter(|line| line.starts_with("tremplin_reconciles_total{kind=\"StartupApp\""));
        rounds
            .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
            .sum()
    }

    /// The body of a GET, when it is answered with 200.
    pub async fn ask(&self, path: &str) -> Option<String> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(self.admin).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
