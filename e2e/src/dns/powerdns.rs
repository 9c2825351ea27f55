//! The PowerDNS Authoritative Server with its SQLite backend, and its HTTP API.
//!
//! Seen on 4.7.3, and what to expect of it: a PATCH is all or nothing, and swaps an A for a CNAME in one go; deleting
//! what is not there is a success; what it refuses is a 422 with a reason; an unknown zone is a 404 in plain text. A
//! record's comments are lost when its set is replaced without them. The whole zone can be replaced by
//! PUT, and is gone after DELETE, with the same key: nothing but the client holds that back. It keeps answers in memory,
//! 20 to 60 seconds, but forgets those of the names that the API changes.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::ZoneText;
use super::daemon::{ATTEMPTS, Daemon, free_port, hex, port_was_taken, random};
use super::query::{self, RecordType, ResponseCode};
use crate::command::run;
use crate::http;
use crate::packages::{self, Package};
use crate::process::Program;

const PACKAGES: [Package; 3] = [
    Package::new("pdns-server", "pdns_server"),
    Package::new("pdns-backend-sqlite3", SCHEMA),
    Package::new("sqlite3", "sqlite3"),
];
const PROGRAM: &str = "/usr/sbin/pdns_server";
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// What a server is started with.
#[derive(Clone, Debug, Default)]
pub struct PowerDnsOptions {
    /// Its zones.
    pub zones: Vec<ZoneText>,
}

/// A running server. Dropping it ends it and removes its files.
pub struct PowerDns {
    daemon: Daemon,
    dns: SocketAddr,
    api: SocketAddr,
    api_key: String,
    zones: Vec<String>,
    memory: Memory,
}

/// Whether it keeps answers in memory, as it does unless it is told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Default,
    None,
}

impl PowerDns {
    /// Starts a server; it serves its zones, and its API answers, when this returns.
    ///
    /// # Errors
    /// If the packages cannot be installed, or the server refuses a zone or does not answer within 30 seconds, with
    /// the end of its log.
    pub async fn start(options: PowerDnsOptions) -> Result<Self> {
        Self::start_anywhere(&options, Memory::Default).await
    }

    /// The same, which keeps no answer in memory: one that is asked for at the very moment of a change is otherwise
    /// the old one for 20 seconds more (seen on 4.7.3).
    ///
    /// # Errors
    /// As [`PowerDns::start`].
    pub async fn start_without_memory(options: PowerDnsOptions) -> Result<Self> {
        Self::start_anywhere(&options, Memory::None).await
    }

    async fn start_anywhere(options: &PowerDnsOptions, memory: Memory) -> Result<Self> {
        for attempt in 1.. {
            let dns = (Ipv4Addr::LOCALHOST, free_port()?).into();
            match Self::start_with(dns, options, memory).await {
                Ok(server) => return Ok(server),
                Err(error) if attempt < ATTEMPTS && port_was_taken(&error) => {}
                Err(error) => return Err(error),
            }
        }
        bail!("PowerDNS did not start")
    }

    /// The same, answering questions at this address of the loopback ([`super::free_address`]).
    ///
    /// # Errors
    /// As [`PowerDns::start`], and if another program has the address.
    pub async fn start_at(dns: SocketAddr, options: &PowerDnsOptions) -> Result<Self> {
        Self::start_with(dns, options, Memory::Default).await
    }

    async fn start_with(dns: SocketAddr, options: &PowerDnsOptions, memory: Memory) -> Result<Self> {
        packages::ensure(&PACKAGES).await?;
        let server = Self {
            daemon: Daemon::new()?,
            dns,
            api: (Ipv4Addr::LOCALHOST, free_port()?).into(),
            api_key: hex(&random::<16>()?),
            zones: options.zones.iter().map(|zone| zone.name.clone()).collect(),
            memory,
        };
        server.write("pdns.conf", &server.config())?;
        server.make_database().await?;
        for zone in &options.zones {
            server.add_zone(zone).await?;
        }
        server.restart().await.context("PowerDNS did not start")?;
        Ok(server)
    }

    /// Starts it again, killing it if it runs: same ports, same key, every change that it accepted. It serves its
    /// zones when this returns.
    ///
    /// # Errors
    /// If it does not answer within 30 seconds, with the end of its log.
    pub async fn restart(&self) -> Result<()> {
        let folder = format!("--config-dir={}", self.daemon.folder().display());
        let program = Program::new("pdns_server", PROGRAM).arg(folder);
        self.daemon.run(program, async || Ok(self.is_ready().await)).await
    }

    /// Whether the API knows this server's own key (nobody else's server does), and all zones are served.
    async fn is_ready(&self) -> bool {
        let request = ::http::Request::get(format!("{}/api/v1/servers/localhost", self.url()));
        let Ok(request) = request.header("X-API-Key", &self.api_key).body(String::new()) else {
            return false;
        };
        if !http::send(request).await.is_ok_and(|answer| answer.status() == 200) {
            return false;
        }
        for zone in &self.zones {
            let answer = query::ask(self.dns, zone, RecordType::SOA).await;
            if !answer.is_ok_and(|answer| answer.authoritative && answer.code == ResponseCode::NoError) {
                return false;
            }
        }
        true
    }

    async fn make_database(&self) -> Result<()> {
        let file = self.daemon.folder().join("zones.sqlite3");
        run(Command::new("sqlite3").arg(file).arg(format!(".read {SCHEMA}"))).await?;
        Ok(())
    }

    /// Loads a zone, whose serial then goes up by one with each change by the API.
    async fn add_zone(&self, zone: &ZoneText) -> Result<()> {
        let file = format!("{}.zone", zone.name);
        self.write(&file, &zone.text)?;
        let file = self.daemon.folder().join(file).display().to_string();
        self.pdnsutil(&["load-zone", &zone.name, &file]).await?;
        self.pdnsutil(&["set-meta", &zone.name, "SOA-EDIT-API", "INCREASE"])
            .await
    }

    async fn pdnsutil(&self, words: &[&str]) -> Result<()> {
        let folder = format!("--config-dir={}", self.daemon.folder().display());
        run(Command::new("pdnsutil").arg(folder).args(words)).await?;
        Ok(())
    }

    fn config(&self) -> String {
        let (folder, key) = (self.daemon.folder().display(), &self.api_key);
        let (ip, dns, api) = (self.dns.ip(), self.dns.port(), self.api.port());
        let memory = match self.memory {
            Memory::Default => "",
            Memory::None => "cache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\n",
        };
        // Safe against the end of the program; only the end of the machine could lose a write.
        format!(
            "launch=gsqlite3\n\
             gsqlite3-database={folder}/zones.sqlite3\n\
             gsqlite3-pragma-synchronous=0\n\
             socket-dir={folder}\n\
             local-address={ip}\n\
             local-port={dns}\n\
             webserver=yes\n\
             webserver-address=127.0.0.1\n\
             webserver-port={api}\n\
             webserver-allow-from=127.0.0.0/8\n\
             api=yes\n\
             api-key={key}\n\
             daemon=no\n\
             guardian=no\n\
             write-pid=no\n\
             {memory}\
             security-poll-suffix=\n"
        )
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let file = self.daemon.folder().join(name);
        fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))
    }

    /// Ends it now (SIGKILL). [`PowerDns::restart`] brings it back.
    pub fn kill(&self) {
        self.daemon.kill();
    }

    /// Stops its clock: questions and requests reach it, and nothing answers.
    pub fn pause(&self) {
        self.daemon.pause();
    }

    /// Lets it go on, with all that was asked meanwhile.
    pub fn resume(&self) {
        self.daemon.resume();
    }

    /// Fails with the end of its log if it ended by itself.
    pub fn check(&self) -> Result<()> {
        self.daemon.check()
    }

    /// Where its API is, `http://…` without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// What the API wants in `X-API-Key`.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// Where it answers questions, by UDP and TCP.
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }
}
