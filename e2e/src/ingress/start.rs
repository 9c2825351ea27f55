//! The data path of a cluster, beside the program that asked for it or beyond it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use kube::Client;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::{address, proxy, serve};
use crate::process::{self, Lifetime, Program};
use crate::{kubeconfig, packages};

/// How long the data path may take to listen, its package being installed.
const DEADLINE: Duration = Duration::from_secs(30);

/// A data path that ends with this value.
///
/// It runs on a thread of its own, so that it also outlives the test that started it for others.
pub struct DataPath {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl DataPath {
    /// Serves the Ingresses of the cluster in `folder` (it holds `kubeconfig`); it listens when this returns.
    ///
    /// # Errors
    /// As [`serve`], and if the cluster does not answer within 30 seconds.
    pub async fn start(folder: &Path) -> Result<Self> {
        packages::ensure(&[super::HAPROXY]).await?;
        proxy::forget_address(folder);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn({
            let folder = folder.to_owned();
            move || run(&folder, stopped)
        });
        let mut path = Self {
            address: ([127, 0, 0, 1], 0).into(),
            stop: Some(stop),
            thread: Some(thread),
        };
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(address) = address(folder) {
                path.address = address;
                return Ok(path);
            }
            if path.thread.as_ref().is_none_or(thread::JoinHandle::is_finished) || Instant::now() > deadline {
                return Err(path
                    .end()
                    .err()
                    .unwrap_or_else(|| anyhow!("the data path did not listen in {DEADLINE:?}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn end(&mut self) -> Result<()> {
        if let Some(stop) = self.stop.take() {
            // It may have ended by itself.
            let _ = stop.send(());
        }
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread.join().unwrap_or_else(|_| Err(anyhow!("the data path panicked")))
    }
}

impl Drop for DataPath {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn run(folder: &Path, stopped: oneshot::Receiver<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no Tokio runtime")?;
    runtime.block_on(async {
        tokio::select! {
            result = serve(client(folder).await?, folder) => result,
            _ = stopped => Ok(()),
        }
    })
}

/// Serves the Ingresses of the cluster in `folder` until this process ends.
///
/// # Errors
/// As [`serve`].
pub async fn serve_cluster(folder: &Path) -> Result<()> {
    serve(client(folder).await?, folder).await
}

/// Makes sure that the cluster in `folder` has a data path that goes on after this process, and says where it
/// listens. It is a process of the cluster: it ends with it.
///
/// # Errors
/// If this program is not `tremplin-e2e`, or the data path does not listen within 30 seconds, with its last words.
pub async fn up(folder: &Path) -> Result<SocketAddr> {
    packages::ensure(&[super::HAPROXY]).await?;
    let program = std::env::current_exe().context("a program without a file")?;
    if let Some(address) = running(folder, &program).await {
        return Ok(address);
    }
    proxy::forget_address(folder);
    let reloader = Program::new("ingress", program).args(["ingress".to_owned(), folder.display().to_string()]);
    let reloader = reloader.start(folder, Lifetime::Detached)?;
    let deadline = Instant::now() + DEADLINE;
    loop {
        reloader.check()?;
        if let Some(address) = address(folder) {
            return Ok(address);
        }
        if Instant::now() > deadline {
            bail!(
                "the data path did not listen within {DEADLINE:?}; its last words:\n{}",
                reloader.log_tail()
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Where the data path of an earlier call listens, if it still does. One that is broken is ended.
async fn running(folder: &Path, program: &Path) -> Option<SocketAddr> {
    let name = program.file_name()?.to_str()?;
    let found: Vec<_> = process::of_cluster(folder)
        .into_iter()
        .filter(|(_, called)| called == name)
        .collect();
    let address = address(folder);
    if let (Some(address), [_]) = (address, found.as_slice())
        && TcpStream::connect(address).await.is_ok()
    {
        return Some(address);
    }
    // HAProxy dies with the process that feeds it.
    for (process, _) in found {
        process.kill();
    }
    None
}

async fn client(folder: &Path) -> Result<Client> {
    let file: PathBuf = folder.join("kubeconfig");
    let text = fs::read(&file).with_context(|| format!("failed to read {}", file.display()))?;
    let document = serde_json::from_slice(&text).context("a kubeconfig that does not parse")?;
    Client::try_from(kubeconfig::config(document).await?).context("failed to build a client")
}
