//! A BIND that goes on after the program that started it, as a program of a cluster: it ends with the cluster.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::ZoneText;
use super::bind::{NO_RECURSION, PACKAGE, config, copy_program, everything, new_secret, primary, zone_file};
use super::query::{self, RecordType};
use crate::certificates::write_private;
use crate::packages;
use crate::process::{self, Lifetime, Program};

/// How long it may take to answer.
const READY: Duration = Duration::from_secs(30);

/// A server of one zone that was found or started.
pub(crate) struct Standing {
    /// Where it answers, by UDP and TCP.
    pub(crate) address: SocketAddr,
    /// The secret of [`super::KEY_NAME`], base64.
    pub(crate) secret: String,
}

impl Standing {
    /// Makes sure that the cluster in `folder` has a server of this zone at an address of IPv4, and leaves it running.
    /// One that is there keeps its zone and its key; one that died comes back with both.
    ///
    /// # Errors
    /// If the package cannot be installed, or the server does not answer within 30 seconds, with its last words.
    pub(crate) async fn up(folder: &Path, address: SocketAddr, zone: &ZoneText) -> Result<Self> {
        packages::ensure(&[PACKAGE]).await?;
        let own = folder.join("dns");
        fs::create_dir_all(&own).with_context(|| format!("failed to create {}", own.display()))?;
        let key = own.join("key");
        if !key.exists() {
            write_private(&key, &new_secret()?)?;
        }
        let secret = fs::read_to_string(&key).with_context(|| format!("failed to read {}", key.display()))?;
        let server = Self { address, secret };
        if !server.is_running(folder, zone).await {
            server.start(folder, &own, zone).await?;
        }
        Ok(server)
    }

    /// Whether an earlier call's still serves. One that is broken is ended.
    async fn is_running(&self, folder: &Path, zone: &ZoneText) -> bool {
        let found = process::of_cluster(folder).into_iter();
        let found: Vec<_> = found.filter(|(_, called)| called == "named").collect();
        if !found.is_empty() && self.serves(zone).await {
            return true;
        }
        for (process, _) in found {
            process.kill();
        }
        false
    }

    async fn serves(&self, zone: &ZoneText) -> bool {
        let answer = query::ask(self.address, &zone.name, RecordType::SOA).await;
        answer.is_ok_and(|answer| answer.authoritative)
    }

    async fn start(&self, folder: &Path, own: &Path, zone: &ZoneText) -> Result<()> {
        let file = own.join(zone_file(&zone.name));
        // What was written to the zone since is in the file and its journal.
        if !file.exists() {
            fs::write(&file, &zone.text).with_context(|| format!("failed to write {}", file.display()))?;
        }
        let text = config(own, self.address, &self.secret, NO_RECURSION) + &primary(&zone.name, &everything());
        let configuration = own.join("named.conf");
        write_private(&configuration, &text)?;
        let program = Program::new("named", copy_program(own)?).args(["-g", "-4", "-n", "1", "-c"]);
        let process = program
            .arg(configuration.display().to_string())
            .start(folder, Lifetime::Detached)?;
        let deadline = Instant::now() + READY;
        while !self.serves(zone).await {
            process.check()?;
            if Instant::now() > deadline {
                let address = self.address;
                bail!(
                    "BIND does not answer at {address} within {READY:?}; its last words:\n{}",
                    process.log_tail()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        process.check()
    }
}
