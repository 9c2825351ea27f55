//! What the authoritative servers say of what is asked for, and what a desk is to do about it.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use tremplin_core::api::dns::Request;
use tremplin_core::dns::desk::{Seen, Wanted};
use tremplin_core::dns::{Fqdn, RecordType, RrSet};

use super::{Desk, Place};
use crate::dns::write::{Asking, Task};
use crate::dns_provider::authority::{self, Server};

/// About how many record sets the servers are asked at the same time.
const AT_ONCE: usize = 32;

/// What the servers say of a record set, in their order, and what the desk is asked about it.
pub(super) struct Looked {
    pub seen: Vec<Seen>,
    pub is_done: bool,
    pub request: Option<Request>,
    /// Data of others that stand there.
    pub foreign: Option<RrSet>,
}

/// What is known of a record set before the servers are asked.
#[derive(Clone, Copy)]
struct Known {
    /// They were seen to answer as asked.
    was_seen: bool,
    /// It may be replaced.
    is_ours: bool,
}

/// How what a server answers is compared.
#[derive(Clone, Copy)]
enum How {
    /// All of a set.
    Whole,
    /// A set among others: it is left as it is.
    Part,
    /// Nothing is to be there.
    Gone,
}

impl Desk<'_> {
    /// What the servers say of everything that is asked for.
    pub(super) async fn look(&self, task: &Task) -> BTreeMap<Place, Looked> {
        let mut asked: BTreeMap<Place, (Option<RrSet>, How)> = BTreeMap::new();
        let withdrawn = task.claims.iter().flat_map(|claim| &claim.spec.withdrawals);
        let withdrawn = withdrawn.filter_map(|withdrawal| Fqdn::parse(&withdrawal.name).ok());
        let named = task.records.iter().flat_map(Asking::names).cloned();
        for name in named.chain(withdrawn).collect::<BTreeSet<_>>() {
            let Some(want) = task.wants.get(&name) else { continue };
            let sets = want.sets.iter();
            asked.extend(sets.map(|(type_, set)| ((name.clone(), type_.clone()), (Some(set.clone()), How::Whole))));
            let gone = want.withdraw.iter();
            asked.extend(gone.map(|type_| ((name.clone(), type_.clone()), (None, How::Gone))));
        }
        for set in task.records.iter().flat_map(|record| &record.included) {
            asked.insert((set.name.clone(), set.type_.clone()), (Some(set.clone()), How::Part));
        }
        let looks = asked.into_iter().map(async |(place, (set, how))| {
            let servers = self.authorities.servers.iter();
            let seen = servers.map(|server| self.ask(server, &place, set.as_ref(), how));
            let seen = futures::future::join_all(seen).await;
            let looked = self.judge(&place, set.as_ref(), how, self.known(&place, task), seen);
            (place, looked)
        });
        futures::stream::iter(looks).buffer_unordered(AT_ONCE).collect().await
    }

    fn known(&self, (name, type_): &Place, task: &Task) -> Known {
        let mut asking = task.records.iter().filter(|record| record.names().contains(name));
        let was_seen = |record: &Asking| record.was_written && record.is_published(name, type_);
        let requests = self.dns.requests_before(&self.claim_of(name));
        let is_it = |request: &Request| (&*request.name, &*request.type_) == (name.as_str(), type_.as_str());
        let is_ours = requests.iter().any(is_it)
            || task.wants.get(name).is_some_and(|want| want.adopted)
            || asking.clone().any(|record| record.is_published(name, type_));
        Known {
            was_seen: asking.any(was_seen),
            is_ours,
        }
    }

    fn judge(&self, (name, type_): &Place, set: Option<&RrSet>, how: How, known: Known, seen: Vec<Seen>) -> Looked {
        let Known { was_seen, is_ours } = known;
        let wanted = Wanted {
            name,
            type_,
            set,
            was_seen,
            is_ours,
        };
        let request = match how {
            How::Part => None,
            How::Whole | How::Gone if self.zone.protects(name) => None,
            How::Whole | How::Gone => wanted.request(&seen, self.now),
        };
        Looked {
            is_done: wanted.is_done(&seen),
            request,
            foreign: wanted.foreign(&seen).cloned(),
            seen,
        }
    }

    async fn ask(&self, server: &Server, (name, type_): &Place, set: Option<&RrSet>, how: How) -> Seen {
        if let Some(why) = self.authorities.silent.get(&server.address) {
            return Seen::Silent(why.clone());
        }
        let compared = match (set, how) {
            (Some(set), How::Part) => authority::includes(server.address, set).await,
            (Some(set), _) => authority::compare(server.address, set).await,
            (None, _) => Ok(Some("is still there".to_owned())),
        };
        match compared {
            Ok(None) => Seen::AsAsked,
            Err(why) => Seen::Silent(why),
            // What a provider makes of an ALIAS cannot be told from what it answers.
            Ok(Some(why)) if *type_ == RecordType::Alias => Seen::Other(None, why),
            Ok(Some(why)) => match authority::lookup(server.address, name, type_).await {
                Ok(None) if set.is_none() => Seen::AsAsked,
                Ok(there) => Seen::Other(there, why),
                Err(why) => Seen::Silent(why),
            },
        }
    }
}
