//! The name server of a fake: what the service published, and nothing that it merely holds.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use hickory_proto::op::{Metadata, ResponseCode};
use hickory_proto::rr::{RecordType, rdata::SOA};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

use super::zone::{self, Found, Row, Zone};
use crate::dns::ZoneText;
use crate::dns::daemon::free_port;
use crate::dns::query::Record;

/// How long a TCP connection may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// Answers that may wait to be taken, per connection.
const WAITING: usize = 16;

/// A running name server.
pub(super) struct NameServer {
    address: SocketAddr,
    published: Published,
    // Ends its sockets.
    _server: Server<Published>,
}

impl NameServer {
    /// Serves an empty zone, with the SOA of `text`, and gives the other records of it.
    pub(super) async fn start(text: &ZoneText) -> Result<(Self, Vec<Record>)> {
        let ZoneText { name, text } = text;
        let soa = zone::soa(name, text)?;
        let mut records = zone::records(name, text)?;
        records.retain(|record| record.kind != RecordType::SOA);
        let published = Published {
            origin: name.as_str().into(),
            turns: Arc::default(),
            current: Arc::new(RwLock::new(Current {
                zone: Arc::new(Zone::new(name, soa.clone(), &[])?),
                soa,
                turn: 0,
            })),
            step: 1,
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let udp = UdpSocket::bind(address)
            .await
            .with_context(|| format!("failed to listen at {address}"))?;
        let tcp = TcpListener::bind(address)
            .await
            .with_context(|| format!("failed to listen at {address}"))?;
        let mut server = Server::new(published.clone());
        server.register_socket(udp);
        server.register_listener(tcp, SILENCE, WAITING);
        let server = Self {
            address,
            published,
            _server: server,
        };
        Ok((server, records))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn published(&self) -> Published {
        self.published.clone()
    }
}

/// What is served.
#[derive(Clone)]
pub struct Published {
    origin: Arc<str>,
    turns: Arc<AtomicU64>,
    current: Arc<RwLock<Current>>,
    /// By how much the serial grows with what is served.
    step: u32,
}

struct Current {
    zone: Arc<Zone>,
    soa: SOA,
    turn: u64,
}

impl Published {
    /// The zone, without a dot at its end.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The same, whose serial stays as it is whatever is published through this.
    pub(super) fn with_still_serial(self) -> Self {
        Self { step: 0, ..self }
    }

    /// The serial that is served.
    pub fn serial(&self) -> u32 {
        self.read().soa.serial
    }

    /// The data of the SOA that is served.
    pub fn soa(&self) -> String {
        self.read().soa.to_string()
    }

    /// Serves these records from now on, in the place of all others and under the next serial where that moves.
    ///
    /// # Errors
    /// If a name server would refuse them; what was served before still is.
    pub fn publish(&self, rows: &[Row]) -> Result<()> {
        self.publish_in_turn(self.turn(), rows)
    }

    /// The turn of what will be published later.
    pub(super) fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The same, unless what had a later turn is served already.
    pub(super) fn publish_in_turn(&self, turn: u64, rows: &[Row]) -> Result<()> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.turn > turn {
            return Ok(());
        }
        let mut soa = current.soa.clone();
        soa.serial += self.step;
        let zone = Arc::new(Zone::new(&self.origin, soa.clone(), rows)?);
        *current = Current { zone, soa, turn };
        Ok(())
    }

    /// Whether these records could be served.
    pub(super) fn check(&self, rows: &[Row]) -> Result<()> {
        Zone::new(&self.origin, self.read().soa.clone(), rows).map(drop)
    }

    fn zone(&self) -> Arc<Zone> {
        Arc::clone(&self.read().zone)
    }

    fn read(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RequestHandler for Published {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let found = match request.request_info() {
            Ok(info) => self.zone().find(info.query.name(), info.query.query_type()),
            Err(_) => Found {
                code: ResponseCode::FormErr,
                ..Found::default()
            },
        };
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = found.code;
        metadata.authoritative = found.authoritative;
        let builder = MessageResponseBuilder::from_message_request(request);
        let response = builder.build(
            metadata,
            &found.answers,
            &found.authorities,
            std::iter::empty(),
            &found.additionals,
        );
        let header = hickory_proto::op::Header {
            metadata,
            counts: hickory_proto::op::HeaderCounts::default(),
        };
        // One that is gone does not wait for its answer.
        let sent = response_handle.send_response(response).await;
        sent.unwrap_or_else(|_| header.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::query::{RecordType, ask};

    #[tokio::test]
    async fn what_waited_does_not_undo_what_came_after_it() {
        let (server, _) = NameServer::start(&ZoneText::empty("z.test")).await.unwrap();
        let published = server.published();
        let row = |data: &str| Row {
            name: "app".to_owned(),
            kind: "A".to_owned(),
            ttl: 60,
            data: data.to_owned(),
        };
        let early = published.turn();
        published.publish(&[row("192.0.2.2")]).unwrap();
        published.publish_in_turn(early, &[row("192.0.2.1")]).unwrap();
        let answer = ask(server.address(), "app.z.test", RecordType::A).await.unwrap();
        assert_eq!(answer.data(RecordType::A), ["192.0.2.2"]);
    }

    #[tokio::test]
    async fn what_cannot_be_served_leaves_what_was() {
        let (server, _) = NameServer::start(&ZoneText::empty("z.test")).await.unwrap();
        let broken = Row {
            name: "app".to_owned(),
            kind: "A".to_owned(),
            ttl: 60,
            data: "here".to_owned(),
        };
        let before = server.published().serial();
        assert!(server.published().publish(&[broken]).is_err());
        let answer = ask(server.address(), "z.test", RecordType::SOA).await.unwrap();
        assert!(answer.records[0].data.contains(&format!(" {before} ")), "{answer:?}");
    }
}
