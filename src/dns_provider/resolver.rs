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
