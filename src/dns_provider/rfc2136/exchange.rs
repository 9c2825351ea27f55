//! Signed messages over TCP, and their signed answers (RFC 8945).

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::tsig::{TsigAlgorithm, TsigError};
use hickory_proto::rr::{Name, RecordType, TSigVerifier, TSigner};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dns_provider::Failure;
use crate::dns_provider::secret::Secret;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(20);
/// How far the clocks may be apart, in seconds (RFC 8945, 10).
const FUDGE: u16 = 300;
/// The most messages of a transfer: of 64 KiB each, more than anything that is kept in memory here.
const MESSAGES: usize = 4096;

/// A server, and the key that it knows us by.
pub(super) struct Server {
    host: String,
    port: u16,
    signer: TSigner,
}

impl Server {
    pub(super) fn new(address: &str, secret: Secret<'_>) -> Result<Self, Failure> {
        let (host, port) = host_and_port(address)?;
        let name = secret.text("tsig-key-name")?;
        let settings = |why: String| Failure::Settings(why);
        let mut name = Name::from_ascii(name.to_ascii_lowercase())
            .map_err(|_| settings("the key `tsig-key-name` of the Secret is no name".into()))?;
        name.set_fqdn(true);
        let key = BASE64
            .decode(secret.text("tsig-secret")?)
            .map_err(|_| settings("the key `tsig-secret` of the Secret is not base64".into()))?;
        let algorithm = secret.optional("tsig-algorithm")?;
        let algorithm = match algorithm
            .as_deref()
            .map(|text| text.trim_end_matches('.').to_ascii_lowercase())
        {
            None => TsigAlgorithm::HmacSha256,
            Some(text) => match text.as_str() {
                "hmac-sha256" => TsigAlgorithm::HmacSha256,
                "hmac-sha384" => TsigAlgorithm::HmacSha384,
                "hmac-sha512" => TsigAlgorithm::HmacSha512,
                _ => {
                    return Err(settings(
                        "the key `tsig-algorithm` of the Secret is hmac-sha256, hmac-sha384 or hmac-sha512".into(),
                    ));
                }
            },
        };
        let signer = TSigner::new(key, algorithm, name, FUDGE).map_err(|error| settings(error.to_string()))?;
        Ok(Self { host, port, signer })
    }

    /// The server, as messages name it.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) async fn connect(&self) -> Result<Connection<'_>, Failure> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = match tokio::time::timeout(CONNECT, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.silent(&error.to_string())),
            Err(_) => return Err(self.silent(&format!("no connection within {} s", CONNECT.as_secs()))),
        };
        // A request is one small packet: it is not to wait for more.
        let _ = stream.set_nodelay(true);
        Ok(Connection { server: self, stream })
    }

    fn silent(&self, why: &str) -> Failure {
        Failure::Unavailable(format!("{} did not answer: {why}", self.name()))
    }

    /// Why the key is not good, as far as the server says.
    fn bad_key(&self, error: Option<TsigError>) -> Failure {
        let key = self.signer.signer_name();
        let why = match error {
            Some(TsigError::BadKey) => format!("it knows no key {key} of this algorithm"),
            Some(TsigError::BadSig) => format!("the secret of the key {key} is another"),
            Some(TsigError::BadTime) => format!("its clock is more than {FUDGE} s away from ours"),
            _ => format!("the answer is not signed with the key {key}"),
        };
        Failure::Unauthorized(format!("{}: {why}", self.name()))
    }
}

/// A connection, for one request after the other.
pub(super) struct Connection<'a> {
    server: &'a Server,
    stream: TcpStream,
}

impl Connection<'_> {
    /// Sends a request and gives its answer, whatever its code, but never one whose signature is wrong.
    pub(super) async fn ask(&mut self, message: Message) -> Result<Message, Failure> {
        let mut verifier = self.send(message).await?;
        self.receive(&mut verifier).await
    }

    /// The records of a transfer of the whole zone (RFC 5936), and the code that ended it.
    pub(super) async fn transfer(
        &mut self,
        question: Message,
    ) -> Result<Result<Vec<hickory_proto::rr::Record>, ResponseCode>, Failure> {
        let mut verifier = self.send(question).await?;
        let mut records = Vec::new();
        let mut starts = 0;
        for _ in 0..MESSAGES {
            let message = self.receive(&mut verifier).await?;
            if message.metadata.response_code != ResponseCode::NoError {
                return Ok(Err(message.metadata.response_code));
            }
            if message.answers.is_empty() {
                return Err(self.server.silent("a message of the transfer is empty"));
            }
            for record in message.answers {
                // The first and the last record are the zone's SOA.
                starts += usize::from(record.record_type() == RecordType::SOA);
                if starts < 2 {
                    records.push(record);
                }
            }
            if starts >= 2 {
                return Ok(Ok(records));
            }
        }
        Err(self.server.silent("the transfer does not end"))
    }

    async fn send(&mut self, mut message: Message) -> Result<TSigVerifier, Failure> {
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        let refused = |why: String| Failure::Refused(format!("failed to write the request: {why}"));
        let verifier = message
            .finalize(&self.server.signer, now)
            .map_err(|error| refused(error.to_string()))?;
        let verifier = verifier.ok_or_else(|| refused("it was not signed".into()))?;
        let octets = message.to_vec().map_err(|error| refused(error.to_string()))?;
        let length = u16::try_from(octets.len()).map_err(|_| refused("it is longer than 64 KiB".into()))?;
        let framed = [length.to_be_bytes().as_slice(), &octets].concat();
        let sent = self.stream.write_all(&framed).await;
        sent.map_err(|error| self.server.silent(&error.to_string()))?;
        Ok(verifier)
    }

    async fn receive(&mut self, verifier: &mut TSigVerifier) -> Result<Message, Failure> {
        let octets = match tokio::time::timeout(ANSWER, self.frame()).await {
            Ok(Ok(octets)) => octets,
            Ok(Err(error)) => return Err(self.server.silent(&error.to_string())),
            Err(_) => return Err(self.server.silent(&format!("nothing within {} s", ANSWER.as_secs()))),
        };
        let Err(error) = verifier.verify(&octets).map(|_| ()) else {
            return Message::from_vec(&octets).map_err(|error| self.server.silent(&format!("no DNS: {error}")));
        };
        // What says that the key is not known cannot be signed with it.
        let message = Message::from_vec(&octets).map_err(|_| self.server.silent(&error.to_string()))?;
        let said = message.signature().and_then(|signature| signature.data.error);
        Err(match message.metadata.response_code {
            ResponseCode::ServFail => self.server.silent("it has a fault of its own (SERVFAIL)"),
            _ => self.server.bad_key(said),
        })
    }

    async fn frame(&mut self) -> io::Result<Vec<u8>> {
        let length = self.stream.read_u16().await?;
        let mut octets = vec![0; length.into()];
        self.stream.read_exact(&mut octets).await?;
        Ok(octets)
    }
}

/// `host`, `host:port`, `address`, `[address]:port`.
pub(in crate::dns_provider) fn host_and_port(text: &str) -> Result<(String, u16), Failure> {
    let wrong = || {
        Failure::Settings(format!(
            "the server {text:?} is written as host, host:port or [address]:port"
        ))
    };
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok((text.to_owned(), 53));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            (
                host,
                if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':').ok_or_else(wrong)?)
                },
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Ok(53), str::parse).map_err(|_| wrong())?;
    if host.is_empty() || port == 0 || host.contains([' ', '/']) {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_have_a_port() {
        for (text, host, port) in [
            ("ns1.example.org", "ns1.example.org", 53),
            ("ns1.example.org:5353", "ns1.example.org", 5353),
            ("192.0.2.1:54", "192.0.2.1", 54),
            ("2001:db8::1", "2001:db8::1", 53),
            ("[2001:db8::1]:54", "2001:db8::1", 54),
            ("[2001:db8::1]", "2001:db8::1", 53),
        ] {
            assert_eq!(host_and_port(text), Ok((host.to_owned(), port)), "{text}");
        }
        for text in ["", ":53", "a:b", "a:0", "https://a", "[::1", "[::1]53"] {
            assert!(matches!(host_and_port(text), Err(Failure::Settings(_))), "{text}");
        }
    }
}
