//! Asks the authoritative servers of a zone themselves, each of them: only what they answer is published.
//!
//! Questions go to these servers alone and ask for no recursion: no public resolver learns of a name before it is there,
//! and keeps a negative answer. Who these servers are is [`discovery`]'s question.

pub mod discovery;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{RData, RecordType as Code};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;
use tremplin_core::dns::ownership::{Mark, mark_name};
use tremplin_core::dns::{Fqdn, RecordType, RrSet};

use super::rfc2136::{exchange, wire};

/// How long one try may take.
const WAIT: Duration = Duration::from_secs(2);
/// How often a question is sent by UDP, which may lose it.
const TRIES: usize = 2;

/// An authoritative server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// As people call it.
    pub name: String,
    /// Where it answers.
    pub address: SocketAddr,
}

/// `host`, `host:port`, `address`, `[address]:port`; without a port, 53.
///
/// # Errors
/// When it is none of these.
pub fn host_and_port(text: &str) -> Result<(String, u16), String> {
    exchange::host_and_port(text).map_err(|failure| failure.to_string())
}

/// What the start of a zone says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its serial.
    pub serial: u32,
    /// For how long negative answers are kept, in seconds (RFC 2308, 5).
    pub negative_ttl: u32,
}

/// The servers at these addresses and host names.
///
/// # Errors
/// The host name that does not resolve, and why.
pub async fn servers(given: &[(String, u16)]) -> Result<Vec<Server>, String> {
    let mut found = Vec::new();
    for (host, port) in given {
        if let Ok(ip) = host.parse::<IpAddr>() {
            let name = if *port == 53 {
                host.clone()
            } else {
                SocketAddr::new(ip, *port).to_string()
            };
            found.push(Server {
                name,
                address: SocketAddr::new(ip, *port),
            });
            continue;
        }
        let addresses = lookup_host((host.as_str(), *port))
            .await
            .map_err(|error| format!("{host} does not resolve: {error}"))?;
        let name = if *port == 53 {
            host.clone()
        } else {
            format!("{host}:{port}")
        };
        let address = addresses
            .into_iter()
            .next()
            .ok_or_else(|| format!("{host} has no address"))?;
        found.push(Server { name, address });
    }
    Ok(found)
}

/// The start of a zone, as a server has it.
///
/// # Errors
/// Why it did not answer for the zone.
pub async fn start(server: SocketAddr, zone: &Fqdn) -> Result<Start, String> {
    let answer = ask(server, zone, Code::SOA).await?;
    if !answer.metadata.authoritative {
        return Err(format!(
            "does not answer for {zone} ({})",
            answer.metadata.response_code
        ));
    }
    answer
        .answers
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(Start {
                serial: soa.serial,
                negative_ttl: soa.minimum.min(record.ttl),
            }),
            _ => None,
        })
        .ok_or_else(|| format!("has no SOA for {zone} ({})", answer.metadata.response_code))
}

/// The serial of the zone that a server has a name in, where it tells.
pub async fn serial(server: SocketAddr, name: &Fqdn) -> Option<u32> {
    let answer = ask(server, name, Code::SOA).await.ok()?;
    let mut records = answer.answers.iter().chain(&answer.authorities);
    records.find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    })
}

/// Whether a server answers a set as asked for. `Ok(Some(why))`: it answers something else.
///
/// # Errors
/// Why it did not answer.
pub async fn compare(server: SocketAddr, wanted: &RrSet) -> Result<Option<String>, String> {
    // What a provider makes of an ALIAS is its own: any address is an answer.
    if wanted.type_ == RecordType::Alias {
        let answers = [
            ask(server, &wanted.name, Code::A).await?,
            ask(server, &wanted.name, Code::AAAA).await?,
        ];
        let found = answers.iter().any(|answer| !answer.answers.is_empty());
        return Ok((!found).then(|| "answers no address yet".to_owned()));
    }
    differs(server, wanted, |found| found.values == wanted.values).await
}

/// Whether a server answers a set as asked for, with its TTL. `Ok(Some(why))`: it answers something else.
///
/// # Errors
/// Why it did not answer.
pub async fn compare_with_ttl(server: SocketAddr, wanted: &RrSet) -> Result<Option<String>, String> {
    let why = compare(server, wanted).await?;
    if why.is_some() || wanted.type_ == RecordType::Alias {
        return Ok(why);
    }
    let found = lookup(server, &wanted.name, &wanted.type_).await?;
    let other = found.filter(|found| found.ttl != wanted.ttl);
    Ok(other.map(|found| format!("answers with a TTL of {} s", found.ttl)))
}

/// Whether a server answers all of a set, whatever stands beside it. `Ok(Some(why))`: it does not.
///
/// # Errors
/// Why it did not answer.
pub async fn includes(server: SocketAddr, wanted: &RrSet) -> Result<Option<String>, String> {
    differs(server, wanted, |found| found.values.is_superset(&wanted.values)).await
}

async fn differs(
    server: SocketAddr,
    wanted: &RrSet,
    is_as_wanted: impl FnOnce(&RrSet) -> bool,
) -> Result<Option<String>, String> {
    let found = lookup(server, &wanted.name, &wanted.type_).await?;
    Ok(match found {
        Some(found) if is_as_wanted(&found) => None,
        Some(found) => {
            let values: Vec<String> = found.values.into_iter().take(3).collect();
            Some(format!("answers {}", values.join(", ")))
        }
        None => Some(format!("answers that there is no {}", wanted.type_)),
    })
}

/// The set that a server answers; `None`: it says that there is none.
///
/// # Errors
/// Why it did not answer.
pub async fn lookup(server: SocketAddr, name: &Fqdn, type_: &RecordType) -> Result<Option<RrSet>, String> {
    let code = wire::code(type_).map_err(|failure| failure.to_string())?;
    // `*` itself is a name like others to the servers (RFC 4592, 2.3): asked for so, it is answered as it is written.
    let answer = ask(server, name, code).await?;
    let referral = *type_ == RecordType::Ns;
    match answer.metadata.response_code {
        ResponseCode::NoError if answer.metadata.authoritative || referral => {}
        ResponseCode::NXDomain => return Ok(None),
        code => return Err(format!("answers {code}")),
    }
    let records = answer
        .answers
        .iter()
        .chain(answer.authorities.iter().filter(|_| referral));
    let found = wire::sets(records)
        .into_iter()
        .find(|set| set.name == *name && set.type_ == *type_);
    Ok(found)
}

/// What a server has at a name of a zone, of these types. Below a delegation it has nothing, and what a wildcard stands for is
/// not there itself.
///
/// # Errors
/// Why it did not answer.
pub async fn at(server: SocketAddr, name: &Fqdn, domain: &Fqdn, types: &[RecordType]) -> Result<Vec<RrSet>, String> {
    let cut = cut(server, name, domain).await?;
    let types = types.iter().filter(|type_| match &cut {
        Some(cut) if cut.name == *name => **type_ == RecordType::Ds,
        Some(_) => false,
        None => **type_ != RecordType::Ns || name == domain,
    });
    let asked = types.map(|type_| own(server, name, domain, type_));
    let found = futures::future::try_join_all(asked).await?;
    let cut = cut.filter(|cut| cut.name == *name);
    Ok(cut.into_iter().chain(found.into_iter().flatten()).collect())
}

/// The delegation that a name of a zone is at or below.
async fn cut(server: SocketAddr, name: &Fqdn, domain: &Fqdn) -> Result<Option<RrSet>, String> {
    let answer = ask(server, name, Code::NS).await?;
    let records = answer.answers.iter().chain(&answer.authorities);
    let mut cuts = wire::sets(records).into_iter();
    Ok(cuts.find(|set| set.type_ == RecordType::Ns && name.is_within(&set.name) && set.name.is_below(domain)))
}

/// What a server has at a name itself: not what it answers there for a wildcard.
async fn own(server: SocketAddr, name: &Fqdn, domain: &Fqdn, type_: &RecordType) -> Result<Option<RrSet>, String> {
    let Some(set) = lookup(server, name, type_).await? else {
        return Ok(None);
    };
    for wildcard in wildcards(name, domain) {
        let same = lookup(server, &wildcard, type_).await?;
        if same.is_some_and(|same| same.values == set.values) && !is_marked(server, &set, domain).await? {
            return Ok(None);
        }
    }
    Ok(Some(set))
}

/// Whether a mark says that the set was written: by chance it is what a wildcard answers too.
async fn is_marked(server: SocketAddr, set: &RrSet, domain: &Fqdn) -> Result<bool, String> {
    let Ok(mark) = mark_name(&set.name, domain, false) else {
        return Ok(false);
    };
    let texts = lookup(server, &mark, &RecordType::Txt).await?;
    let mark = texts.as_ref().and_then(Mark::of);
    Ok(mark.is_some_and(|mark| mark.types.contains(&set.type_)))
}

/// The names whose data may be answered for a name that is not there.
fn wildcards(name: &Fqdn, domain: &Fqdn) -> Vec<Fqdn> {
    if name.is_wildcard() {
        return Vec::new();
    }
    let above = std::iter::successors(name.parent(), Fqdn::parent);
    let above = above.take_while(|parent| parent.is_within(domain));
    above.filter_map(|parent| parent.child("*").ok()).collect()
}

/// What a server says of a name and a type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The sets of its answer: that of the type, and the CNAMEs that led there.
    pub sets: Vec<RrSet>,
    /// Whether it says that there is no such name.
    pub no_such_name: bool,
}

/// What a server says of a name and a type.
///
/// # Errors
/// Why it did not answer.
pub async fn answer(server: SocketAddr, name: &Fqdn, type_: &RecordType) -> Result<Answer, String> {
    let code = wire::code(type_).map_err(|failure| failure.to_string())?;
    let message = ask(server, name, code).await?;
    let referral = *type_ == RecordType::Ns;
    let no_such_name = match message.metadata.response_code {
        _ if !message.metadata.authoritative && !referral => {
            return Err(format!(
                "does not answer for {name} ({})",
                message.metadata.response_code
            ));
        }
        ResponseCode::NoError => false,
        ResponseCode::NXDomain => true,
        code => return Err(format!("answers {code}")),
    };
    let mut sets = wire::sets(
        message
            .answers
            .iter()
            .chain(message.authorities.iter().filter(|_| referral)),
    );
    // What stands beside an answer for the use of resolvers is none.
    sets.retain(|set| set.type_ == *type_ || set.type_ == RecordType::Cname);
    Ok(Answer { sets, no_such_name })
}

async fn ask(server: SocketAddr, name: &Fqdn, code: Code) -> Result<Message, String> {
    question(server, name, code, false).await
}

/// `recursive`: the server is a resolver, who asks others.
pub(super) async fn question(server: SocketAddr, name: &Fqdn, code: Code, recursive: bool) -> Result<Message, String> {
    let mut question = Message::query();
    question.metadata.recursion_desired = recursive;
    let name = wire::name(name).map_err(|failure| failure.to_string())?;
    question.add_query(Query::query(name, code));
    let octets = question.to_vec().map_err(|error| format!("no question: {error}"))?;
    let answer = by_udp(server, &octets, question.metadata.id).await?;
    if answer.metadata.truncation {
        return match timeout(WAIT, by_tcp(server, &octets)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer by TCP within {} s", WAIT.as_secs())),
        };
    }
    Ok(answer)
}

async fn by_udp(server: SocketAddr, question: &[u8], id: u16) -> Result<Message, String> {
    let local: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let failed = |error: std::io::Error| format!("cannot be asked: {error}");
    let socket = UdpSocket::bind(local).await.map_err(failed)?;
    socket.connect(server).await.map_err(failed)?;
    let mut buffer = vec![0; 65_535];
    for _ in 0..TRIES {
        socket.send(question).await.map_err(failed)?;
        let received = timeout(WAIT, async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                let answer = Message::from_vec(buffer.get(..length).unwrap_or_default()).ok();
                // Not to our question: somebody guesses.
                if let Some(answer) = answer.filter(|answer| answer.metadata.id == id) {
                    return Ok::<_, std::io::Error>(answer);
                }
            }
        });
        if let Ok(answer) = received.await {
            return answer.map_err(failed);
        }
    }
    Err(format!("no answer to {TRIES} questions, {} s each", WAIT.as_secs()))
}

async fn by_tcp(server: SocketAddr, question: &[u8]) -> Result<Message, String> {
    let failed = |error: std::io::Error| format!("cannot be asked by TCP: {error}");
    let mut stream = TcpStream::connect(server).await.map_err(failed)?;
    let length = u16::try_from(question.len()).map_err(|_| "the question is too long".to_owned())?;
    stream
        .write_all(&[length.to_be_bytes().as_slice(), question].concat())
        .await
        .map_err(failed)?;
    let length = stream.read_u16().await.map_err(failed)?;
    let mut octets = vec![0; length.into()];
    stream.read_exact(&mut octets).await.map_err(failed)?;
    Message::from_vec(&octets).map_err(|error| format!("answers nonsense: {error}"))
}
