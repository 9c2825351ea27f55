//! Who the authoritative servers of a zone are: asked of the system's resolvers.
//!
//! Three kinds of questions (NS, A, AAAA), with the messages that are sent to the authorities anyway: a resolver library
//! would bring a cache and a configuration of its own, and the one of the C library knows no NS. Resolvers are asked for
//! names that exist alone: what they cannot find they would keep, and a record that is about to be made would stay hidden
//! from everybody behind them (RFC 2308).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType as Code};
use tremplin_core::dns::Fqdn;

use super::{Server, ask, question};

/// Where the system says which resolvers it uses.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The port of authoritative servers.
const PORT: u16 = 53;
/// How long what was found is believed.
const BELIEVED: Duration = Duration::from_hours(1);

/// The authoritative servers of a zone: every address of every host of its NS records, as the system's resolvers know
/// them. Addresses of a family that this machine has no way to are left out, as long as others remain.
///
/// # Errors
/// Why they were not found.
pub async fn discover(zone: &Fqdn) -> Result<Vec<Server>, String> {
    Resolvers::of_system()?.authorities(zone).await
}

/// The zone that a name is in, with its servers. `below`: the zone that the name is itself the start of is not asked for,
/// since the records that hand it over are above.
///
/// # Errors
/// Why it was not found.
pub async fn zone_of(name: &Fqdn, below: bool) -> Result<(Fqdn, Vec<Server>), String> {
    Resolvers::of_system()?.zone_of(name, below).await
}

/// What was found, kept for an hour for each zone.
#[derive(Debug, Default)]
pub struct Discovered(Mutex<BTreeMap<Fqdn, (Instant, Vec<Server>)>>);

impl Discovered {
    /// The servers of a zone. When they cannot be found again, those that were known.
    ///
    /// # Errors
    /// Why they were never found.
    pub async fn of(&self, zone: &Fqdn) -> Result<Vec<Server>, String> {
        let known = self.locked().get(zone).cloned();
        if let Some((at, servers)) = &known
            && at.elapsed() < BELIEVED
        {
            return Ok(servers.clone());
        }
        match (discover(zone).await, known) {
            (Ok(found), _) => {
                self.locked().insert(zone.clone(), (Instant::now(), found.clone()));
                Ok(found)
            }
            (Err(_), Some((_, servers))) => Ok(servers),
            (Err(why), None) => Err(why),
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<Fqdn, (Instant, Vec<Server>)>> {
        // What is in it is whole, whoever panicked.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Servers that ask others, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolvers(pub Vec<SocketAddr>);

impl Resolvers {
    /// Those of this machine.
    ///
    /// # Errors
    /// Why they are not known.
    pub fn of_system() -> Result<Self, String> {
        let text = std::fs::read_to_string(RESOLV_CONF);
        let text = text.map_err(|error| format!("failed to read {RESOLV_CONF}: {error}"))?;
        Ok(Self::parse(&text))
    }

    /// Of the text of resolv.conf(5): without a server, the one of this machine.
    fn parse(text: &str) -> Self {
        let servers = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
            // An address of one link has the link's name behind it: only the first part can be asked without it.
            Some(SocketAddr::new(address.split('%').next()?.parse().ok()?, PORT))
        });
        let mut servers: Vec<_> = servers.collect();
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        Self(servers)
    }

    /// The first answer that says something.
    ///
    /// # Errors
    /// Why there was none.
    pub async fn ask(&self, name: &Fqdn, code: Code) -> Result<Message, String> {
        let mut why = format!("{RESOLV_CONF} names no resolver");
        for resolver in &self.0 {
            match question(*resolver, name, code, true).await {
                Ok(message)
                    if matches!(
                        message.metadata.response_code,
                        ResponseCode::NoError | ResponseCode::NXDomain
                    ) =>
                {
                    return Ok(message);
                }
                Ok(message) => why = format!("the resolver {resolver} answers {}", message.metadata.response_code),
                Err(error) => why = format!("the resolver {resolver} {error}"),
            }
        }
        Err(format!("{name} {code}: {why}"))
    }

    async fn authorities(&self, zone: &Fqdn) -> Result<Vec<Server>, String> {
        let answer = self.ask(zone, Code::NS).await?;
        let hosts: Vec<Fqdn> = answer
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::NS(host) => fqdn(&host.0),
                _ => None,
            })
            .collect();
        if hosts.is_empty() {
            return Err(format!("{zone} has no NS records"));
        }
        let mut found = Vec::new();
        let mut why = None;
        for host in &hosts {
            match self.addresses(host).await {
                Ok(addresses) => found.extend(addresses.into_iter().map(|address| Server {
                    name: host.as_str().to_owned(),
                    address: SocketAddr::new(address, PORT),
                })),
                Err(error) => why = Some(error),
            }
        }
        let (near, far): (Vec<_>, Vec<_>) = found.into_iter().partition(|server| has_way(server.address));
        let mut servers = if near.is_empty() { far } else { near };
        servers.sort();
        servers.dedup();
        // Two addresses of one host are told apart.
        let names: Vec<String> = servers.iter().map(|server| server.name.clone()).collect();
        for server in &mut servers {
            if names.iter().filter(|name| **name == server.name).count() > 1 {
                server.name = format!("{} ({})", server.name, server.address.ip());
            }
        }
        if servers.is_empty() {
            return Err(why.unwrap_or_else(|| format!("the name servers of {zone} have no addresses")));
        }
        Ok(servers)
    }

    /// Every address of a host.
    ///
    /// # Errors
    /// Why none was found.
    pub async fn addresses(&self, host: &Fqdn) -> Result<Vec<IpAddr>, String> {
        let mut found = Vec::new();
        for code in [Code::A, Code::AAAA] {
            let answer = self.ask(host, code).await?;
            found.extend(answer.answers.iter().filter_map(|record| record.data.ip_addr()));
        }
        if found.is_empty() {
            return Err(format!("the name server {host} has no address"));
        }
        Ok(found)
    }

    /// From the top down: whether there is a cut at a name is asked of the zone above, never of a resolver.
    async fn zone_of(&self, name: &Fqdn, below: bool) -> Result<(Fqdn, Vec<Server>), String> {
        let mut names: Vec<Fqdn> = std::iter::successors(Some(name.clone()), Fqdn::parent).collect();
        if below && names.len() > 1 {
            names.remove(0);
        }
        let mut found: Option<(Fqdn, Vec<Server>)> = None;
        let mut why = None;
        for at in names.into_iter().rev() {
            let is_cut = match &found {
                Some((_, servers)) => cut(servers, &at).await,
                None => None,
            };
            // Nobody above says: a resolver is asked, but never for the name itself.
            if is_cut == Some(false) || (is_cut.is_none() && at == *name && found.is_some()) {
                continue;
            }
            match self.authorities(&at).await {
                Ok(servers) => found = Some((at, servers)),
                Err(error) => why = Some(error),
            }
        }
        found.ok_or_else(|| {
            let why = why.unwrap_or_else(|| "nothing was found".to_owned());
            format!("no zone was found for {name}: {why}")
        })
    }
}

/// Whether the servers of a zone say that another begins at a name below. `None`: none says.
async fn cut(servers: &[Server], name: &Fqdn) -> Option<bool> {
    for server in servers {
        let Ok(answer) = ask(server.address, name, Code::SOA).await else {
            continue;
        };
        let is_at = |record: &hickory_proto::rr::Record| fqdn(&record.name).as_ref() == Some(name);
        let begins = answer
            .answers
            .iter()
            .chain(&answer.authorities)
            .any(|record| matches!(record.record_type(), Code::SOA | Code::NS) && is_at(record));
        match answer.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => return Some(begins),
            _ => {}
        }
    }
    None
}

fn fqdn(name: &Name) -> Option<Fqdn> {
    Fqdn::parse(&name.to_ascii()).ok()
}

/// Those that this machine has a way to, if there are any.
pub fn with_way(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (near, far): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| has_way(*address));
    if near.is_empty() { far } else { near }
}

/// Whether this machine has a route to an address: nothing is sent.
fn has_way(address: SocketAddr) -> bool {
    let local: SocketAddr = if address.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    UdpSocket::bind(local).is_ok_and(|socket| socket.connect(address).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_those_of_the_system() {
        let text = "# by hand\nsearch example.org\nnameserver 192.0.2.53\nnameserver  2001:db8::53 # second\n\
            options edns0\nnameserver fe80::1%eth0\nnameserver nonsense\n";
        let expected: Vec<SocketAddr> = ["192.0.2.53:53", "[2001:db8::53]:53", "[fe80::1]:53"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        assert_eq!(Resolvers::parse(text), Resolvers(expected));
        assert_eq!(
            Resolvers::parse("search example.org"),
            Resolvers(vec!["127.0.0.1:53".parse().unwrap()])
        );
    }
}
