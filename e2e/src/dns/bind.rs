//! BIND 9: dynamic updates (RFC 2136) signed with a key (TSIG), and transfers of the whole zone.
//!
//! Seen on 9.18.49, and what to expect of it: an update is atomic, and its prerequisites answer with YXDOMAIN,
//! YXRRSET, NXDOMAIN or NXRRSET; but **an update that adds a CNAME beside other data answers NOERROR and leaves that
//! record out**, so that only reading back tells what is served. The serial goes up by one with each update.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::ZoneText;
use super::daemon::{ATTEMPTS, Daemon, free_port, port_was_taken, random};
use super::query::{self, RecordType, ResponseCode};
use crate::command::last_lines;
use crate::packages::{self, Package};
use crate::process::Program;

/// The name of every server's own key; its algorithm is `hmac-sha256`.
pub const KEY_NAME: &str = "tremplin";

pub(super) const PACKAGE: Package = Package::new("bind9", "named");
const PROGRAM: &str = "/usr/sbin/named";

/// The option of a server that answers for its zones alone.
pub(super) const NO_RECURSION: &str = "recursion no;";

/// What a server is started with.
#[derive(Clone, Debug, Default)]
pub struct BindOptions {
    /// The zones it is the primary of.
    pub zones: Vec<ZoneText>,
    /// The statements of each zone's `update-policy`, in which [`KEY_NAME`] is the key. Absent: that key may change
    /// everything.
    pub update_policy: Option<String>,
}

/// A running server. It answers anybody's questions, by UDP and TCP, and gives whole zones to its key alone.
/// Dropping it ends it and removes its files.
pub struct Bind {
    daemon: Daemon,
    address: SocketAddr,
    secret: String,
    zones: Vec<String>,
}

/// What a server is to be.
struct Setup {
    zones: Vec<String>,
    secret: String,
    /// The zones that it has from the start.
    texts: Vec<ZoneText>,
    clauses: String,
    recursion: &'static str,
}

impl Setup {
    fn primary(options: BindOptions, recursion: &'static str) -> Result<Self> {
        let policy = options.update_policy.unwrap_or_else(everything);
        let clauses = options.zones.iter().map(|zone| primary(&zone.name, &policy));
        Ok(Self {
            zones: options.zones.iter().map(|zone| zone.name.clone()).collect(),
            secret: new_secret()?,
            clauses: clauses.collect(),
            texts: options.zones,
            recursion,
        })
    }

    fn secondary(of: &Bind) -> Self {
        let (ip, port) = (of.address.ip(), of.address.port());
        let clauses = of.zones.iter().map(|name| {
            let file = zone_file(name);
            format!(
                "zone \"{name}\" {{ type secondary; file \"{file}\"; allow-notify {{ any; }}; \
                 primaries {{ {ip} port {port} key {KEY_NAME}; }}; }};\n"
            )
        });
        Self {
            zones: of.zones.clone(),
            secret: of.secret.clone(),
            texts: Vec::new(),
            clauses: clauses.collect(),
            recursion: NO_RECURSION,
        }
    }

    async fn start(&self) -> Result<Bind> {
        for attempt in 1.. {
            match self.start_at((Ipv4Addr::LOCALHOST, free_port()?).into()).await {
                Err(error) if attempt < ATTEMPTS && port_was_taken(&error) => {}
                result => return result,
            }
        }
        bail!("BIND did not start")
    }

    async fn start_at(&self, address: SocketAddr) -> Result<Bind> {
        packages::ensure(&[PACKAGE]).await?;
        let server = Bind {
            daemon: Daemon::new()?,
            address,
            secret: self.secret.clone(),
            zones: self.zones.clone(),
        };
        for ZoneText { name, text } in &self.texts {
            server.write(&zone_file(name), text)?;
        }
        let options = config(server.daemon.folder(), address, &self.secret, self.recursion);
        server.write("named.conf", &(options + &self.clauses))?;
        server.restart().await.context("BIND did not start")?;
        Ok(server)
    }
}

impl Bind {
    /// Starts a primary; it serves its zones when this returns.
    ///
    /// # Errors
    /// If the package cannot be installed, or the server refuses a zone or does not answer within 30 seconds, with
    /// the end of its log.
    pub async fn start(options: BindOptions) -> Result<Self> {
        Setup::primary(options, NO_RECURSION)?.start().await
    }

    /// The same, at this address.
    ///
    /// # Errors
    /// As [`Bind::start`], and if another program has the address.
    pub async fn start_at(address: SocketAddr, options: BindOptions) -> Result<Self> {
        Setup::primary(options, NO_RECURSION)?.start_at(address).await
    }

    /// Starts a server that also asks others, on port 53: for names that its zones hand over to them.
    ///
    /// # Errors
    /// As [`Bind::start_at`].
    pub async fn start_resolver(address: SocketAddr, zones: Vec<ZoneText>) -> Result<Self> {
        let options = BindOptions {
            zones,
            update_policy: None,
        };
        Setup::primary(options, "recursion yes; allow-recursion { any; };")?
            .start_at(address)
            .await
    }

    /// Starts a secondary of all zones of `primary`, with the same key. It has them when this returns, and learns of
    /// a change only when it is told ([`Bind::catch_up`]): until then it lags.
    ///
    /// # Errors
    /// As [`Bind::start`].
    pub async fn start_secondary(primary: &Self) -> Result<Self> {
        Setup::secondary(primary).start().await
    }

    /// The same, at this address.
    ///
    /// # Errors
    /// As [`Bind::start_at`].
    pub async fn start_secondary_at(address: SocketAddr, primary: &Self) -> Result<Self> {
        Setup::secondary(primary).start_at(address).await
    }

    /// Starts it again, killing it if it runs: same port, same key, every update that it accepted. It serves its
    /// zones when this returns.
    ///
    /// # Errors
    /// If it does not answer within 30 seconds, with the end of its log.
    pub async fn restart(&self) -> Result<()> {
        // In the foreground, with its log on stderr. IPv4 alone, and one thread: it is small.
        let program = Program::new("named", self.program()?)
            .args(["-g", "-4", "-n", "1", "-c"])
            .arg(self.daemon.folder().join("named.conf").display().to_string());
        self.daemon.run(program, async || self.is_ready().await).await
    }

    /// Whether it has started, and has all its zones. BIND also goes on without a zone that does not parse, and without
    /// the port that another program has, which then answers in its place.
    async fn is_ready(&self) -> Result<bool> {
        let log = self.log();
        if !log.lines().any(|line| line.ends_with(" running")) {
            return Ok(false);
        }
        let broken = ["address in use", "not loaded due to errors"];
        if broken.iter().any(|words| log.contains(words)) {
            bail!("{}", last_lines(&log));
        }
        for zone in &self.zones {
            let answer = query::ask(self.address, zone, RecordType::SOA).await;
            if !answer.is_ok_and(|answer| answer.authoritative && answer.code == ResponseCode::NoError) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn log(&self) -> String {
        let octets = fs::read(self.daemon.folder().join("named.log")).unwrap_or_default();
        String::from_utf8_lossy(&octets).into_owned()
    }

    fn program(&self) -> Result<PathBuf> {
        copy_program(self.daemon.folder())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let file = self.daemon.folder().join(name);
        fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))
    }

    /// Ends it now (SIGKILL). [`Bind::restart`] brings it back.
    pub fn kill(&self) {
        self.daemon.kill();
    }

    /// Stops its clock: questions reach it, and nothing answers.
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

    /// Tells this secondary that a zone changed. It fetches it from its primary in a moment: wait for what it serves.
    ///
    /// # Errors
    /// If it does not take the notice.
    pub async fn catch_up(&self, zone: &str) -> Result<()> {
        query::notify(self.address, zone).await
    }

    /// Where it answers, by UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The secret of [`KEY_NAME`], base64.
    pub fn key_secret(&self) -> &str {
        &self.secret
    }
}

pub(super) fn zone_file(zone: &str) -> String {
    format!("{zone}.zone")
}

/// The configuration of a server that listens there, without its zones. The address must be of IPv4.
pub(super) fn config(folder: &Path, address: SocketAddr, secret: &str, recursion: &str) -> String {
    let (folder, ip, port) = (folder.display(), address.ip(), address.port());
    format!(
        "key {KEY_NAME} {{ algorithm hmac-sha256; secret \"{secret}\"; }};\n\
         options {{\n  \
           directory \"{folder}\"; pid-file none; session-keyfile none;\n  \
           listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; reuseport no;\n  \
           {recursion} empty-zones-enable no; dnssec-validation no;\n  \
           notify no; allow-transfer {{ key {KEY_NAME}; }};\n\
         }};\n\
         controls {{ }};\n"
    )
}

/// The clause of a zone that the server is the primary of.
pub(super) fn primary(zone: &str, policy: &str) -> String {
    let file = zone_file(zone);
    format!("zone \"{zone}\" {{ type primary; file \"{file}\"; update-policy {{ {policy} }}; }};\n")
}

/// The policy by which the key may change everything.
pub(super) fn everything() -> String {
    format!("grant {KEY_NAME} zonesub ANY;")
}

/// A secret for [`KEY_NAME`], base64.
pub(super) fn new_secret() -> Result<String> {
    Ok(BASE64.encode(random::<32>()?))
}

/// A copy of the program. Debian's AppArmor profile knows it by its path, and keeps it from our folder.
pub(super) fn copy_program(folder: &Path) -> Result<PathBuf> {
    let copy = folder.join("named");
    if !copy.exists() {
        fs::copy(PROGRAM, &copy).with_context(|| format!("failed to copy {PROGRAM}"))?;
    }
    Ok(copy)
}
