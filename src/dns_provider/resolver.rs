//! Asks servers about names of others, as the system is told to.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType as Code};
use tremplin_core::dns::Fqdn;
use tremplin_core::dns::facts::{Answer, Kind};
use tremplin_core::dns::rrset::unquoted;

use super::authority::question;

/// Where the system says which resolvers it uses.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The port of name servers.
const PORT: u16 = 53;

/// Servers that answer, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked(pub Vec<SocketAddr>);

/// The system's resolvers; `None` when it names none.
pub fn system() -> Option<Asked> {
    let found = parse(&std::fs::read_to_string(RESOLV_CONF).ok()?);
    (!found.is_empty()).then_some(Asked(found))
}

/// Of the text of resolv.conf(5).
fn parse(text: &str) -> Vec<SocketAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        let address: IpAddr = address.split('%').next()?.parse().ok()?;
        Some(SocketAddr::new(address, PORT))
    });
    servers.collect()
}

impl Asked {
    /// The first answer that says something.
    async fn ask(&self, name: &Fqdn, code: Code) -> Result<Message, String> {
        let mut why = "nobody to ask".to_owned();
        for server in &self.0 {
            match question(*server, name, code, true).await {
                Ok(message)
                    if matches!(
                        message.metadata.response_code,
                        ResponseCode::NoError | ResponseCode::NXDomain
                    ) =>
                {
                    return Ok(message);
                }
                Ok(message) => why = format!("{server} answers {}", message.metadata.response_code),
                Err(error) => why = format!("{server}: {error}"),
            }
        }
        Err(why)
    }

    /// What is answered about a name.
    ///
    /// # Errors
    /// Why nobody knows: a time-out, or a fault of the server.
    pub async fn answer(&self, name: &Fqdn, kind: Kind) -> Result<Answer, String> {
        let yes_if = |yes: bool| if yes { Answer::Found } else { Answer::Nothing };
        match kind {
            Kind::Name => {
                let answer = self.ask(name, Code::A).await?;
                Ok(yes_if(answer.metadata.response_code == ResponseCode::NoError))
            }
            Kind::Mx => {
                let answer = self.ask(name, Code::MX).await?;
                Ok(yes_if(
                    answer.answers.iter().any(|record| record.record_type() == Code::MX),
                ))
            }
            Kind::Text => {
                let answer = self.ask(name, Code::TXT).await?;
                let texts = answer.answers.iter().filter_map(|record| match &record.data {
                    RData::TXT(_) => Some(unquoted(&record.data.to_string())),
                    _ => None,
                });
                let texts: Vec<String> = texts.collect();
                Ok(if texts.is_empty() {
                    Answer::Nothing
                } else {
                    Answer::Texts(texts)
                })
            }
            Kind::Address => {
                let mut found = Answer::Nothing;
                for code in [Code::A, Code::AAAA] {
                    let answer = self.ask(name, code).await?;
                    let records = answer.answers.iter().map(hickory_proto::rr::Record::record_type);
                    let types: Vec<Code> = records.collect();
                    if types.contains(&Code::CNAME) {
                        return Ok(Answer::Alias);
                    }
                    if types.contains(&code) {
                        found = Answer::Found;
                    }
                }
                Ok(found)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_those_of_the_system() {
        let text = "# by hand\nsearch example.org\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver x\n";
        let expected: Vec<SocketAddr> = vec!["192.0.2.53:53".parse().unwrap(), "[fe80::1]:53".parse().unwrap()];
        assert_eq!(parse(text), expected);
    }
}
