//! What every name server here needs: a folder, ports that stay its own, and a program that can die and come back.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{Lifetime, Process, Program};
use crate::state::Folder;

/// How long a name server may take to answer, on a busy machine.
const READY: Duration = Duration::from_secs(30);
/// How often a start is tried when another program took a port between choosing and binding it.
pub(super) const ATTEMPTS: u32 = 3;

/// A program that serves from a folder of its own.
pub(super) struct Daemon {
    // Before the folder: the program ends before its files go.
    process: Mutex<Option<Process>>,
    folder: Folder,
}

impl Daemon {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            process: Mutex::default(),
            folder: Folder::temporary()?,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the program in the place of the one that ran, and waits until `ready`, which fails when
    /// there is nothing to wait for.
    pub(super) async fn run(&self, program: Program, mut ready: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
        self.kill();
        *self.process() = Some(program.start(self.folder(), Lifetime::Attached)?);
        let deadline = Instant::now() + READY;
        while !ready().await? {
            self.check()?;
            if Instant::now() > deadline {
                let last = self.process().as_ref().map(Process::log_tail).unwrap_or_default();
                bail!("no answer within {READY:?}; the end of its log:\n{last}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.check()
    }

    /// Fails with its last words if it ended by itself.
    pub(super) fn check(&self) -> Result<()> {
        self.process().as_ref().map_or(Ok(()), Process::check)
    }

    /// Ends it now, with no word of warning. It listens no more when this returns.
    pub(super) fn kill(&self) {
        *self.process() = None;
    }

    pub(super) fn pause(&self) {
        if let Some(process) = self.process().as_ref() {
            process.pause();
        }
    }

    pub(super) fn resume(&self) {
        if let Some(process) = self.process().as_ref() {
            process.resume();
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where ports are taken from: below those that the system gives to outgoing connections, so that a server that is
/// down for a while finds its port free.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A port of the loopback that is free for UDP and TCP now, and that no other call of this process gets.
pub(super) fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let size = PORTS.end - PORTS.start;
    // Processes that run at the same time begin at different places.
    let begin = std::process::id().wrapping_mul(97) % u32::from(size);
    for _ in 0..size {
        let offset = (begin + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % u32::from(size);
        let port = PORTS.start + u16::try_from(offset).context("an offset that is no port")?;
        let address = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port on the loopback between {} and {}", PORTS.start, PORTS.end)
}

/// An address of the loopback whose port 53 is free now, for servers that are looked for there, and that no other call
/// of this process gets.
///
/// # Errors
/// If there is none: the port takes root, or `net.ipv4.ip_unprivileged_port_start`.
pub fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run at the same time have other addresses.
    let [.., third, fourth] = std::process::id().to_be_bytes();
    let mut refusal = None;
    for _ in 0..=u8::MAX {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let ip = Ipv4Addr::new(127, third.wrapping_add(53), fourth, offset[1]);
        match TcpListener::bind((ip, 53)).and_then(|_| UdpSocket::bind((ip, 53))) {
            Ok(_) => return Ok((ip, 53).into()),
            Err(error) => refusal = Some(error),
        }
    }
    bail!("no address of the loopback has its port 53 free: {refusal:?}")
}

/// Octets that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut octets = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut octets))
        .context("failed to read /dev/urandom")?;
    Ok(octets)
}

/// Two small digits an octet.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        // Writing to a string does not fail.
        _ = write!(text, "{octet:02x}");
        text
    })
}

/// Whether a program's last words say that somebody else bound the port first.
pub(super) fn port_was_taken(error: &anyhow::Error) -> bool {
    format!("{error:#}").to_lowercase().contains("in use")
}
