//! The running HAProxy: started on a free port, given other rules without a refused connection.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;

use super::config;
use crate::command::run;
use crate::process::{Lifetime, Process, Program};

/// The port that is taken when it is free.
const PREFERRED_PORT: u16 = 8080;
/// How long the proxy may take to listen.
const LISTENING: Duration = Duration::from_secs(10);
/// How many ports are tried.
const ATTEMPTS: u32 = 5;
/// The file that holds the address.
const ADDRESS: &str = "ingress.address";

/// Where the data path whose files are in `folder` listens, once it does.
pub fn address(folder: &Path) -> Option<SocketAddr> {
    fs::read_to_string(folder.join(ADDRESS)).ok()?.parse().ok()
}

/// Forgets an address of before.
pub(super) fn forget_address(folder: &Path) {
    // There may be none.
    let _ = fs::remove_file(folder.join(ADDRESS));
}

/// A loopback address to listen on: port 8080 if it is free, else any.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PREFERRED_PORT))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .context("no free port on the loopback")?;
    listener.local_addr().context("a listener without an address")
}

/// The running HAProxy.
pub(super) struct Proxy {
    pub(super) process: Process,
    pub(super) listen: SocketAddr,
    socket: PathBuf,
    file: PathBuf,
    /// What it serves now.
    text: String,
}

impl Proxy {
    /// Starts it with its first rules; it listens when this returns.
    pub(super) async fn start(folder: &Path, ingresses: &[Ingress], services: &[Service]) -> Result<Self> {
        for attempt in 1.. {
            let proxy = Self::launch(folder, free_address()?, ingresses, services)?;
            match proxy.listens().await {
                Ok(()) => {
                    let address = folder.join(ADDRESS);
                    fs::write(&address, proxy.listen.to_string())
                        .with_context(|| format!("failed to write {}", address.display()))?;
                    return Ok(proxy);
                }
                // Another program took the port between our look and the bind.
                Err(error) if attempt < ATTEMPTS && format!("{error:#}").contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        }
        bail!("no port for HAProxy")
    }

    fn launch(folder: &Path, listen: SocketAddr, ingresses: &[Ingress], services: &[Service]) -> Result<Self> {
        let (socket, file) = (folder.join("haproxy.sock"), folder.join("haproxy.cfg"));
        let text = config::render(&config::Inputs {
            listen,
            socket: &socket,
            ingresses,
            services,
        });
        fs::write(&file, &text).with_context(|| format!("failed to write {}", file.display()))?;
        // A master that stays in the foreground, and a worker that it replaces on a change.
        let program = Program::new("haproxy", "haproxy")
            .args(["-W", "-f"])
            .arg(file.display().to_string());
        let process = program.start(folder, Lifetime::Attached)?;
        Ok(Self {
            process,
            listen,
            socket,
            file,
            text,
        })
    }

    /// Waits until it says that it listens: whoever answers on the port may be another program.
    async fn listens(&self) -> Result<()> {
        let deadline = Instant::now() + LISTENING;
        while !self.process.log_tail().contains("Loading success") {
            self.process.check()?;
            if Instant::now() > deadline {
                bail!(
                    "HAProxy does not listen on {}:\n{}",
                    self.listen,
                    self.process.log_tail()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Serves these rules from now on, if they are others than before. Text that the proxy itself refuses is told,
    /// and the rules before it stay.
    pub(super) async fn serve(&mut self, ingresses: &[Ingress], services: &[Service]) -> Result<()> {
        let inputs = config::Inputs {
            listen: self.listen,
            socket: &self.socket,
            ingresses,
            services,
        };
        let text = config::render(&inputs);
        if text == self.text {
            return Ok(());
        }
        let next = self.file.with_extension("next");
        fs::write(&next, &text).with_context(|| format!("failed to write {}", next.display()))?;
        self.text = text;
        if let Err(error) = run(tokio::process::Command::new("haproxy")
            .args(["-c", "-q", "-f"])
            .arg(&next))
        .await
        {
            eprintln!("the rules stay as they were: {error:#}");
            return Ok(());
        }
        fs::rename(&next, &self.file).with_context(|| format!("failed to write {}", self.file.display()))?;
        self.process.reload();
        Ok(())
    }
}
