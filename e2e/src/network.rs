//! The addresses of a node and its link to this machine.
//!
//! Node number `n` has the link 10.243.0.4n/30, the pods 10.244.n.0/24 and the Services 10.245.n.0/24.
//! The number is free if this machine has no route into them; adding ours is what claims it, and the
//! link's alias says for whom: who ends a cluster that died long ago must not cut off the one that has
//! its number now. This machine's packet filter is never touched: pods reach this machine, and nothing beyond it.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::command::run;
use crate::process::{Identity, enter};
use crate::state::Folder;
use crate::tools;

/// How many nodes may stand beside each other.
const NODES: u8 = 64;
/// Routes wider than this are somebody's default: ours, being narrower, win over them.
const WIDE: u8 = 16;

/// How long somebody else's turn may take: ten commands.
const PATIENCE: Duration = Duration::from_secs(10);

/// The addresses of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    number: u8,
}

impl Network {
    /// This machine, as pods and the node see it.
    pub fn host(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 243, 0, self.number * 4 + 1)
    }

    /// The node's end of the link.
    fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 243, 0, self.number * 4 + 2)
    }

    /// The node: its bridge, on which API server, kubelet and DNS listen.
    pub fn node(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 244, self.number, 1)
    }

    /// The range of pods, CIDR.
    pub fn pods(self) -> String {
        format!("10.244.{}.0/24", self.number)
    }

    /// The range of Services, CIDR.
    pub fn services(self) -> String {
        format!("10.245.{}.0/24", self.number)
    }

    /// The API server's own Service.
    pub fn api_service(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 245, self.number, 1)
    }

    /// The link's name on this machine.
    fn link(self) -> String {
        format!("tremplin{}", self.number)
    }

    /// The name of the bridge, inside.
    pub(crate) const BRIDGE: &str = "pods";

    /// Finds free addresses and links the network namespace of `init` to this machine, for `owner`, a
    /// word without blanks.
    ///
    /// Call it in your [`turn`]: two callers at once would choose the same number.
    pub(crate) async fn claim(init: Identity, owner: &str) -> Result<Self> {
        let routes = ip(None, "-4 -o route show table all").await?;
        let taken: Vec<Range> = routes.lines().filter_map(Range::of_route).collect();
        let free = (0..NODES)
            .map(|number| Self { number })
            .find(|network| network.is_free(&taken));
        let network = free.context("no free addresses: 64 nodes run already, or a route covers 10.243.0.0/16")?;
        network
            .connect(init, owner)
            .await
            .with_context(|| format!("failed to set up the network of {}", network.pods()))?;
        Ok(network)
    }

    fn is_free(self, taken: &[Range]) -> bool {
        let (link, pods, services) = (self.host(), self.node(), self.api_service());
        let ours = [Range::new(link, 30), Range::new(pods, 24), Range::new(services, 24)];
        !ours.iter().any(|ours| taken.iter().any(|taken| ours.meets(*taken)))
    }

    async fn connect(self, init: Identity, owner: &str) -> Result<()> {
        let (link, gateway, bridge) = (self.link(), self.gateway(), Self::BRIDGE);
        ip(
            None,
            &format!("link add {link} type veth peer name uplink netns {}", init.pid),
        )
        .await?;
        ip(None, &format!("link set {link} alias {owner}")).await?;
        ip(None, &format!("address add {}/30 dev {link}", self.host())).await?;
        ip(None, &format!("link set {link} up")).await?;

        ip(Some(init), "link set lo up").await?;
        ip(Some(init), &format!("address add {gateway}/30 dev uplink")).await?;
        ip(Some(init), "link set uplink up").await?;
        ip(Some(init), &format!("link add {bridge} type bridge")).await?;
        ip(Some(init), &format!("address add {}/24 dev {bridge}", self.node())).await?;
        ip(Some(init), &format!("link set {bridge} up")).await?;
        ip(Some(init), &format!("route add default via {}", self.host())).await?;

        ip(None, &format!("route add {} via {gateway}", self.pods())).await?;
        ip(None, &format!("route add {} via {gateway}", self.services())).await?;
        Ok(())
    }

    /// Removes the link, and with it the routes, if it is `owner`'s. It is no error if the node's end took it
    /// away already.
    pub(crate) fn release(self, owner: &str) {
        // Without a turn it stays, until the kernel has done with the namespace of its other end.
        let Some(_turn) = turn_within(PATIENCE) else { return };
        if self.owner().as_deref() == Some(owner) {
            let _ = ip_now(&["link", "delete", &self.link()]);
        }
    }

    /// For whom the link was made, if there is one.
    fn owner(self) -> Option<String> {
        let shown = ip_now(&["-o", "link", "show", "dev", &self.link()])?;
        let mut words = shown.split_whitespace().skip_while(|word| *word != "alias");
        words.nth(1).map(str::to_owned)
    }
}

/// Waits for the turn to claim or release addresses; it ends when the file is dropped.
pub(crate) async fn turn() -> Result<File> {
    tools::lock(&lock_file()?, "the network").await
}

/// The same, where nothing can be awaited: whoever has the turn may be waiting for this very thread.
fn turn_within(patience: Duration) -> Option<File> {
    let file = File::create(lock_file().ok()?).ok()?;
    let deadline = Instant::now() + patience;
    while file.try_lock().is_err() {
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(file)
}

fn lock_file() -> Result<PathBuf> {
    let folder = Folder::temporary_root();
    fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    Ok(folder.join("networks.lock"))
}

/// An address range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u32,
    length: u8,
}

impl Range {
    fn new(address: Ipv4Addr, length: u8) -> Self {
        Self {
            first: u32::from(address) & Self::mask(length),
            length,
        }
    }

    fn mask(length: u8) -> u32 {
        u32::MAX.checked_shl(32_u32.saturating_sub(length.into())).unwrap_or(0)
    }

    /// What a line of `ip route` leads to, unless it is wide.
    fn of_route(line: &str) -> Option<Self> {
        let mut words = line
            .split_whitespace()
            .filter(|word| !matches!(*word, "local" | "broadcast" | "unreachable"));
        let destination = words.next()?;
        let (address, length) = destination.split_once('/').unwrap_or((destination, "32"));
        let range = Self::new(address.parse().ok()?, length.parse().ok()?);
        (range.length >= WIDE).then_some(range)
    }

    fn meets(self, other: Self) -> bool {
        let mask = Self::mask(self.length.min(other.length));
        self.first & mask == other.first & mask
    }
}

/// Runs `ip` with the words of `line`, in the node of `inside` or on this machine; gives what it printed.
async fn ip(inside: Option<Identity>, line: &str) -> Result<String> {
    let mut words = inside.map(enter).unwrap_or_default();
    words.extend(std::iter::once("ip").chain(line.split(' ')).map(str::to_owned));
    let (program, arguments) = words.split_first().context("an empty command")?;
    run(Command::new(program).args(arguments))
        .await
        .with_context(|| format!("failed to run 'ip {line}'"))
}

/// Runs `ip` on this machine, where nothing can be awaited; gives what it printed, if it succeeded.
fn ip_now(arguments: &[&str]) -> Option<String> {
    let mut command = std::process::Command::new("ip");
    let output = command.args(arguments).stderr(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Lifetime, Process, Program};

    fn taken(routes: &str) -> Vec<Range> {
        routes.lines().filter_map(Range::of_route).collect()
    }

    #[test]
    fn a_number_is_taken_by_any_narrow_route_into_its_ranges() {
        let network = Network { number: 3 };
        for route in [
            "10.244.3.0/24 via 10.243.0.14 dev tremplin3",
            "10.245.3.7 dev eth0 scope link",
            "local 10.243.0.13 dev tremplin3 table local",
            "10.244.0.0/16 dev flannel.1",
        ] {
            assert!(!network.is_free(&taken(route)), "{route}");
        }
    }

    #[test]
    fn other_routes_and_wide_ones_take_nothing() {
        let routes = "default via 192.0.2.1 dev eth0\n10.0.0.0/8 via 192.0.2.9 dev eth0\n\
            10.244.2.0/24 via 10.243.0.10 dev tremplin2\n192.0.2.0/24 dev eth0 proto kernel scope link";
        assert!(Network { number: 3 }.is_free(&taken(routes)));
        assert!(!Network { number: 2 }.is_free(&taken(routes)));
    }

    /// A network namespace to be linked, with the process that holds it.
    async fn namespace(folder: &Folder) -> (Process, Identity) {
        let holder = Program::new("holder", "unshare").args(["--net", "--fork", "--kill-child=KILL", "sleep", "600"]);
        let holder = holder.start(folder.path(), Lifetime::Attached).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(&init) = holder.identity().children().first() {
                return (holder, init);
            }
            assert!(Instant::now() < deadline, "no process in the namespace");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_link_is_removed_for_its_owner_only() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: a network namespace needs root");
            return;
        }
        let folder = Folder::temporary().unwrap();
        let (_holder, init) = namespace(&folder).await;
        let network = {
            let _turn = turn().await.unwrap();
            Network::claim(init, "/living").await.unwrap()
        };
        network.release("/dead");
        assert_eq!(network.owner().as_deref(), Some("/living"));
        network.release("/living");
        assert_eq!(network.owner(), None);
        network.release("/living");
    }

    #[test]
    fn two_nodes_share_no_address() {
        for number in 0..NODES {
            let network = Network { number };
            let other = Network {
                number: (number + 1) % NODES,
            };
            let ranges = [(other.host(), 30), (other.node(), 24), (other.api_service(), 24)];
            let taken: Vec<_> = ranges
                .into_iter()
                .map(|(address, length)| Range::new(address, length))
                .collect();
            assert!(network.is_free(&taken), "{network:?} meets {other:?}");
        }
    }
}
