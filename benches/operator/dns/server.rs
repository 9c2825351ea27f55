//! Real servers of one zone, which count what the operator sends, and take the same change directly.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hickory_proto::op::update_message::UpdateMessage as _;
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType as Code, TSigner};
use http::Request;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use tremplin_e2e::dns::fault_proxy::FaultProxy;
use tremplin_e2e::dns::query::{self, RecordType};
use tremplin_e2e::dns::{Bind, BindOptions, KEY_NAME, PowerDns, PowerDnsOptions, ZoneText};

use super::relay::Relay;
use crate::wait::until_looking;

/// How long a change may take until it is answered.
const ANSWERED: Duration = Duration::from_mins(1);
/// How often a server is asked meanwhile.
const ASK: Duration = Duration::from_millis(1);
/// What signatures say of our clock, in seconds (RFC 8945, 10).
const FUDGE: u16 = 300;
/// The TTL of what is changed directly, in seconds.
const TTL: u32 = 300;
/// The name that is changed directly, below the zone.
const DIRECT: &str = "direct";

/// Who serves a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    PowerDns,
    Bind,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::PowerDns => "PowerDNS without caches",
            Self::Bind => "BIND",
        }
    }
}

enum Program {
    PowerDns(PowerDns, FaultProxy),
    Bind(Bind),
}

/// A server of one zone, with what counts in front of it.
pub struct Server {
    program: Program,
    relay: Relay,
    /// The zone's name.
    pub domain: String,
}

/// What was asked so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// Requests of PowerDNS's API; of BIND, updates.
    pub calls: usize,
    /// What else is read of BIND on the way to an update.
    pub reads: usize,
    /// Questions to it as an authority.
    pub questions: usize,
}

impl Asked {
    /// What was asked since.
    pub fn since(self, before: Self) -> Self {
        Self {
            calls: self.calls - before.calls,
            reads: self.reads - before.reads,
            questions: self.questions - before.questions,
        }
    }

    /// What it was asked as the provider.
    pub fn provider(self) -> usize {
        self.calls + self.reads
    }

    /// Everything.
    pub fn total(self) -> usize {
        self.provider() + self.questions
    }
}

impl Server {
    /// Starts one whose zone holds so many records of others.
    pub async fn start(kind: Kind, domain: &str, records: usize) -> Result<Self> {
        let mut text = format!("{DIRECT} IN A 192.0.2.1\n");
        for number in 0..records {
            writeln!(text, "foreign-{number:05} IN A {}", address(number))?;
        }
        let zones = vec![ZoneText::with(domain, &text)];
        let (program, dns) = match kind {
            Kind::PowerDns => {
                let server = PowerDns::start_without_memory(PowerDnsOptions { zones }).await?;
                let proxy = FaultProxy::start(&server.url()).await?;
                let dns = server.dns();
                (Program::PowerDns(server, proxy), dns)
            }
            Kind::Bind => {
                let options = BindOptions {
                    zones,
                    update_policy: None,
                };
                let server = Bind::start(options).await?;
                let dns = server.address();
                (Program::Bind(server), dns)
            }
        };
        Ok(Self {
            program,
            relay: Relay::start(dns).await?,
            domain: domain.to_owned(),
        })
    }

    /// `spec.provider` of its DnsZone, and the Secret's data.
    pub fn provider(&self, secret: &str) -> (Value, Vec<(&'static str, String)>) {
        match &self.program {
            Program::PowerDns(server, proxy) => (
                json!({"type": "PowerDNS", "secretRef": {"name": secret}, "powerDNS": {"url": proxy.url()}}),
                vec![("api-key", server.api_key().to_owned())],
            ),
            Program::Bind(server) => (
                json!({"type": "RFC2136", "secretRef": {"name": secret}, "rfc2136": {"server": self.relay.address().to_string()}}),
                vec![
                    ("tsig-key-name", KEY_NAME.to_owned()),
                    ("tsig-secret", server.key_secret().to_owned()),
                ],
            ),
        }
    }

    /// `spec.authorities` of its DnsZone.
    pub fn authorities(&self) -> Value {
        let address = self.relay.address();
        json!([{"address": address.ip().to_string(), "port": address.port()}])
    }

    /// Where it answers, past what counts.
    fn dns(&self) -> SocketAddr {
        match &self.program {
            Program::PowerDns(server, _) => server.dns(),
            Program::Bind(server) => server.address(),
        }
    }

    /// What the operator asked so far.
    pub fn asked(&self) -> Asked {
        let seen = self.relay.seen();
        let calls = match &self.program {
            Program::PowerDns(_, proxy) => proxy.seen(),
            Program::Bind(_) => seen.updates,
        };
        Asked {
            calls,
            reads: seen.reads,
            questions: seen.questions,
        }
    }

    /// Waits until this address is answered, and nothing else.
    pub async fn answers(&self, name: &str, address: Ipv4Addr) -> Result<()> {
        let wanted = [address.to_string()];
        until_looking(ASK, &format!("{name} is {address}"), ANSWERED, async || {
            let answer = query::ask(self.dns(), name, RecordType::A).await?;
            Ok(answer.data(RecordType::A) == wanted)
        })
        .await
    }

    /// Makes a change by one message to the server itself, and waits until it is answered.
    pub async fn change_directly(&self, address: Ipv4Addr) -> Result<()> {
        let name = format!("{DIRECT}.{}", self.domain);
        match &self.program {
            Program::PowerDns(server, _) => patch(server, &self.domain, &name, address).await?,
            Program::Bind(server) => update(server, &self.domain, &name, address).await?,
        }
        self.answers(&name, address).await
    }
}

/// An address for each number.
pub fn address(number: usize) -> Ipv4Addr {
    let offset = u32::try_from(number % 0x00ff_ffff).unwrap_or_default();
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + offset)
}

async fn patch(server: &PowerDns, domain: &str, name: &str, address: Ipv4Addr) -> Result<()> {
    let set = json!({
        "name": format!("{name}."), "type": "A", "ttl": TTL, "changetype": "REPLACE",
        "records": [{"content": address.to_string(), "disabled": false}],
    });
    let url = format!("{}/api/v1/servers/localhost/zones/{domain}.", server.url());
    let request = Request::patch(url)
        .header("X-API-Key", server.api_key())
        .header("Content-Type", "application/json")
        .body(json!({"rrsets": [set]}).to_string())?;
    let answer = tremplin_e2e::http::send(request).await?;
    if answer.status() != 204 {
        bail!("PowerDNS answers {}: {}", answer.status(), answer.body());
    }
    Ok(())
}

/// What `nsupdate` sends for `update delete NAME A` and `update add NAME 300 A ADDRESS`.
async fn update(server: &Bind, domain: &str, name: &str, address: Ipv4Addr) -> Result<()> {
    let absolute = |name: &str| Name::from_ascii(format!("{name}."));
    let key = BASE64.decode(server.key_secret())?;
    let signer = TSigner::new(key, TsigAlgorithm::HmacSha256, absolute(KEY_NAME)?, FUDGE)?;
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.add_zone(Query::query(absolute(domain)?, Code::SOA));
    let mut whole = Record::update0(absolute(name)?, 0, Code::A);
    whole.dns_class = DNSClass::ANY;
    message.add_update(whole);
    let data = RData::A(address.into());
    message.add_update(Record::from_rdata(absolute(name)?, TTL, data));
    let now = u64::try_from(Timestamp::now().as_second())?;
    message.finalize(&signer, now)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server.address()).await?;
    socket.send(&message.to_vec()?).await?;
    let mut buffer = vec![0; 65_535];
    let received = timeout(ANSWERED, socket.recv(&mut buffer)).await;
    let length = received.context("BIND answers no update")??;
    let answer = Message::from_vec(buffer.get(..length).unwrap_or_default())?;
    if answer.metadata.response_code != ResponseCode::NoError {
        bail!("BIND answers {}", answer.metadata.response_code);
    }
    Ok(())
}
