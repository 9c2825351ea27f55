//! Whether the name servers of a delegation answer for the name: published only once they do, and told when one of them
//! no longer does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::lookup_host;
use tremplin_core::conditions::State;
use tremplin_core::dns::status::Finding;
use tremplin_core::dns::{Fqdn, Reason, RecordType};
use tremplin_core::fault::Fault;

use super::write::Asking;
use super::zones::Round;
use crate::dns_provider::authority;

const DELEGATED: &str = "Delegated";
const PORT: u16 = 53;
/// How often name servers that do not answer yet are asked again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

impl Round<'_> {
    /// Delegations that may not be published yet are told; the others go on, with what is to be said about them. Tells
    /// when those that wait are to be looked at again.
    pub(super) async fn told_delegations(&self, asking: Vec<Asking>) -> (Vec<Asking>, Option<Duration>) {
        let mut going_on = Vec::new();
        let mut again = None;
        for mut record in asking {
            if record.record.spec.delegation.is_none() {
                going_on.push(record);
                continue;
            }
            let silent = self.silent_children(&record).await;
            if silent.is_empty() {
                record
                    .findings
                    .push(finding(State::True, Reason::ChildServersAnswer, String::new()));
                going_on.push(record);
            } else if record.was_written {
                record
                    .findings
                    .push(finding(State::False, Reason::LameDelegation, silent.join("; ")));
                going_on.push(record);
            } else {
                let message = format!("not every name server answers for the name: {}", silent.join("; "));
                let fault = Fault::waiting(Reason::ChildServersSilent, message, "");
                self.dns.board.record(&self.zone.name, record.key.clone());
                self.refuse(&[record], &fault);
                again = Some(ASK_AGAIN);
            }
        }
        (going_on, again)
    }

    /// The name servers that do not answer, and why.
    async fn silent_children(&self, record: &Asking) -> Vec<String> {
        let mut silent = Vec::new();
        for set in record.sets.iter().filter(|set| set.type_ == RecordType::Ns) {
            for host in &set.values {
                if let Err(why) = self.child_answers(host, &set.name).await {
                    silent.push(format!("{host}: {why}"));
                }
            }
        }
        silent
    }

    /// Every address of a name server must answer: resolvers choose any.
    async fn child_answers(&self, host: &str, name: &Fqdn) -> Result<(), String> {
        for address in self.addresses_of(host).await? {
            let start = authority::start(SocketAddr::new(address, PORT), name).await;
            start.map_err(|why| format!("{why} ({address})"))?;
        }
        Ok(())
    }

    /// A host of the zone itself is asked of the zone's servers, which know it first; any other of the system's resolver.
    async fn addresses_of(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let inside = Fqdn::parse(host).ok().filter(|host| host.is_within(&self.zone.domain));
        let mut found = Vec::new();
        if let (Some(host), Some(server)) = (inside, self.servers.first()) {
            for type_ in [RecordType::A, RecordType::Aaaa] {
                let set = authority::lookup(server.address, &host, &type_).await?;
                let values = set.into_iter().flat_map(|set| set.values);
                found.extend(values.filter_map(|value| value.parse::<IpAddr>().ok()));
            }
        } else {
            let resolved = lookup_host((host, PORT)).await;
            let resolved = resolved.map_err(|error| format!("it does not resolve: {error}"))?;
            found.extend(resolved.map(|address| address.ip()));
        }
        if found.is_empty() {
            return Err("it has no address".to_owned());
        }
        Ok(found)
    }
}

fn finding(state: State, reason: Reason, message: String) -> Finding {
    Finding {
        type_: DELEGATED,
        state,
        reason,
        message,
    }
}
