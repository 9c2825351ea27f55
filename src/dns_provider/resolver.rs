//! What others answer about names that records lead to.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, Record, RecordType as Code};
use tremplin_core::dns::Fqdn;
use tremplin_core::dns::facts::{Answer, Kind};
use tremplin_core::dns::rrset::unquoted;

use super::authority::discovery::Resolvers;

impl Resolvers {
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
                    let records = answer.answers.iter().map(Record::record_type);
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
    use std::net::Ipv4Addr;

    use hickory_proto::op::Message;
    use tokio::net::UdpSocket;

    use super::*;

    /// A resolver that answers everything with this code and nothing else; `None`: it says nothing.
    async fn resolver(code: Option<ResponseCode>) -> Resolvers {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
                let Some(code) = code else { continue };
                let mut answer = Message::from_vec(&buffer[..length]).unwrap().into_response();
                answer.metadata.response_code = code;
                socket.send_to(&answer.to_vec().unwrap(), client).await.unwrap();
            }
        });
        Resolvers(vec![address])
    }

    const KINDS: [Kind; 4] = [Kind::Name, Kind::Mx, Kind::Text, Kind::Address];

    #[tokio::test]
    async fn a_fault_of_a_server_says_nothing_about_a_name() {
        let name = Fqdn::parse("app.example.org").unwrap();
        for code in [ResponseCode::ServFail, ResponseCode::Refused] {
            let resolvers = resolver(Some(code)).await;
            for kind in KINDS {
                let why = resolvers.answer(&name, kind).await.unwrap_err();
                assert!(why.contains("app.example.org"), "{code} {kind:?}: {why}");
            }
        }
        // That there is no such name is an answer.
        let resolvers = resolver(Some(ResponseCode::NXDomain)).await;
        for kind in KINDS {
            assert_eq!(resolvers.answer(&name, kind).await, Ok(Answer::Nothing), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn silence_says_nothing_about_a_name_and_another_server_is_asked() {
        let name = Fqdn::parse("app.example.org").unwrap();
        let silent = resolver(None).await;
        let answers = KINDS.map(|kind| silent.answer(&name, kind));
        for answer in futures::future::join_all(answers).await {
            assert!(answer.unwrap_err().contains("app.example.org"));
        }
        let both = Resolvers([silent.0, resolver(Some(ResponseCode::NXDomain)).await.0].concat());
        assert_eq!(both.answer(&name, Kind::Name).await, Ok(Answer::Nothing));
    }
}
