//! One question to one name server, and all that it answered.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
pub use hickory_proto::op::ResponseCode;
use hickory_proto::op::{Message, MessageType, OpCode, Query};
pub use hickory_proto::rr::RecordType;
use hickory_proto::rr::{Name, RData};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// How long an answer may take, of each try.
const WAIT: Duration = Duration::from_secs(2);
/// How often a question is sent by UDP, which may lose it.
const TRIES: u32 = 3;

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it went.
    pub code: ResponseCode,
    /// Whether the server speaks for the zone.
    pub authoritative: bool,
    /// The records asked for, aliases on the way to them included.
    pub records: Vec<Record>,
    /// What tells who knows better, or, with no records, for how long there are none (the SOA).
    pub authority: Vec<Record>,
}

impl Answer {
    /// The data of the records of one type, sorted.
    pub fn data(&self, kind: RecordType) -> Vec<String> {
        let records = self.records.iter().filter(|record| record.kind == kind);
        let mut data: Vec<_> = records.map(|record| record.data.clone()).collect();
        data.sort();
        data
    }
}

/// A record, as a master file would have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name, absolute, without the dot at its end.
    pub name: String,
    /// Its type.
    pub kind: RecordType,
    /// How long it may be kept, in seconds.
    pub ttl: u32,
    /// Its data: names end with a dot, each string of a TXT is quoted.
    pub data: String,
}

/// Asks by UDP, and again by TCP when the answer did not fit.
///
/// # Errors
/// If nothing intelligible is answered within six seconds.
pub async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Result<Answer> {
    let question = question(name, kind)?;
    let answer = by_udp(server, &question).await?;
    if answer.metadata.truncation {
        return ask_by_tcp(server, name, kind).await;
    }
    Ok(told(&answer))
}

/// Asks by TCP.
///
/// # Errors
/// If nothing intelligible is answered within two seconds.
pub async fn ask_by_tcp(server: SocketAddr, name: &str, kind: RecordType) -> Result<Answer> {
    let question = question(name, kind)?;
    let exchange = tokio::time::timeout(WAIT, by_tcp(server, &question));
    let answer = exchange
        .await
        .with_context(|| format!("no answer from {server} within {WAIT:?}"))??;
    Ok(told(&answer))
}

/// Tells a secondary that its zone changed (RFC 1996): it then looks at its primary.
///
/// # Errors
/// If it does not accept that within six seconds.
pub async fn notify(server: SocketAddr, zone: &str) -> Result<()> {
    let mut notice = question(zone, RecordType::SOA)?;
    notice.metadata.op_code = OpCode::Notify;
    notice.metadata.authoritative = true;
    let answer = by_udp(server, &notice).await?;
    if answer.metadata.response_code != ResponseCode::NoError {
        bail!(
            "{server} answered to a notice about {zone}: {}",
            answer.metadata.response_code
        );
    }
    Ok(())
}

fn question(name: &str, kind: RecordType) -> Result<Message> {
    let mut absolute = Name::from_ascii(name).with_context(|| format!("{name:?} is no name"))?;
    absolute.set_fqdn(true);
    let mut message = Message::query();
    message.add_query(Query::query(absolute, kind));
    Ok(message)
}

async fn by_udp(server: SocketAddr, question: &Message) -> Result<Message> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .await
        .context("no socket to ask from")?;
    socket
        .connect(server)
        .await
        .with_context(|| format!("no way to {server}"))?;
    let octets = question.to_vec().context("failed to write a question")?;
    let mut buffer = vec![0; 65_535];
    for _ in 0..TRIES {
        socket
            .send(&octets)
            .await
            .with_context(|| format!("failed to ask {server}"))?;
        let Ok(received) = tokio::time::timeout(WAIT, socket.recv(&mut buffer)).await else {
            continue;
        };
        let length = received.with_context(|| format!("nobody answers at {server}"))?;
        let answer = parse(buffer.get(..length).unwrap_or_default(), server)?;
        if answer.metadata.id == question.metadata.id {
            return Ok(answer);
        }
    }
    bail!("no answer from {server} to {TRIES} questions, {WAIT:?} each")
}

async fn by_tcp(server: SocketAddr, question: &Message) -> Result<Message> {
    let mut stream = TcpStream::connect(server)
        .await
        .with_context(|| format!("failed to connect to {server}"))?;
    let octets = question.to_vec().context("failed to write a question")?;
    let length = u16::try_from(octets.len()).context("a question that is too long")?;
    // Length and question in one packet: some servers take a lone length for a slow client.
    let framed = [length.to_be_bytes().as_slice(), &octets].concat();
    stream
        .write_all(&framed)
        .await
        .with_context(|| format!("failed to ask {server}"))?;
    let length = stream
        .read_u16()
        .await
        .with_context(|| format!("{server} broke the connection"))?;
    let mut octets = vec![0; usize::from(length)];
    stream
        .read_exact(&mut octets)
        .await
        .with_context(|| format!("{server} broke the connection"))?;
    parse(&octets, server)
}

fn parse(octets: &[u8], server: SocketAddr) -> Result<Message> {
    let answer = Message::from_vec(octets).with_context(|| format!("{server} answered no DNS"))?;
    if answer.metadata.message_type != MessageType::Response {
        bail!("{server} answered with a question");
    }
    Ok(answer)
}

fn told(answer: &Message) -> Answer {
    Answer {
        code: answer.metadata.response_code,
        authoritative: answer.metadata.authoritative,
        records: answer.answers.iter().map(record).collect(),
        authority: answer.authorities.iter().map(record).collect(),
    }
}

pub(super) fn record(record: &hickory_proto::rr::Record) -> Record {
    let name = record.name.to_ascii();
    Record {
        name: name.strip_suffix('.').unwrap_or(&name).to_owned(),
        kind: record.record_type(),
        ttl: record.ttl,
        data: data(&record.data),
    }
}

fn data(data: &RData) -> String {
    match data {
        RData::TXT(txt) => {
            let strings: Vec<_> = txt.txt_data.iter().map(|octets| quoted(octets)).collect();
            strings.join(" ")
        }
        other => other.to_string(),
    }
}

/// A string as master files have it (RFC 1035, 5.1).
pub(super) fn quoted(octets: &[u8]) -> String {
    let mut text = String::from("\"");
    for &octet in octets {
        match octet {
            b'"' | b'\\' => text.extend(['\\', char::from(octet)]),
            b' '..=b'~' => text.push(char::from(octet)),
            // Writing to a string does not fail.
            _ => _ = write!(text, "\\{octet:03}"),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_string_cannot_hold_as_it_is_is_escaped() {
        assert_eq!(quoted(b"v=1; a=\"b\\\" \xc3\n"), r#""v=1; a=\"b\\\" \195\010""#);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_at_once() {
        let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = ask(gone, "beta.example", RecordType::SOA).await.unwrap_err();
        assert!(error.to_string().contains(&gone.to_string()), "{error:#}");
    }
}
