//! The round of a zone that humans at a desk write: they are asked, and the authoritative servers tell when it is done.
//! There is no mark in such a zone: the claims alone say whose a name is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::ResourceExt;
use tremplin_core::api::dns::{AuthorityAnswer, Request};
use tremplin_core::api::{DnsClaim, DnsZone};
use tremplin_core::dns::status::{Progress, Served, ZoneFacts};
use tremplin_core::dns::{Fqdn, Reason, RecordType, RrSet, Zone, desk};
use tremplin_core::fault::Fault;

use super::authorities::Authorities;
use super::board::Work;
use super::write::Asking;
use super::zones::next_audit;
use super::{Dns, cluster_key};
use crate::cluster::Seen;
use crate::dns_provider::authority::{self, Server};
use crate::driver::{Cause, Outcome};

/// How often the servers are asked while a request is open.
const ASK_AGAIN: Duration = Duration::from_secs(15);

impl Dns {
    /// Asks the servers about what is asked for; what they do not answer is a request.
    pub(super) async fn desk_round(&self, object: &DnsZone, zone: &Zone) -> Result<Outcome, Fault<Reason>> {
        let authorities = Authorities::of(zone, &self.discovered).await;
        let servers = &authorities.servers;
        let mut work = self.board.take(&zone.name);
        let now = (self.now)();
        let again = self.audits.last(&zone.name).map(|last| next_audit(last, zone, now));
        if again.is_none_or(|again| again.is_zero()) {
            // What the desk changed since is found by asking again.
            self.audits.note(&zone.name, now);
            work.records.extend(self.records_of(zone));
        }
        let task = self.task(&work, zone);
        let mut requests: BTreeMap<String, Vec<Request>> = BTreeMap::new();
        let mut open = Work::default();
        for asking in &task.records {
            let Some(claim) = self.view(&asking.record).claim else {
                continue;
            };
            if !self.ask_desk(asking, &claim, zone, servers, &mut requests).await {
                open.records.insert(asking.key.clone());
            }
        }
        for claim in &task.claims {
            if !self.ask_desk_to_delete(claim, servers, &mut requests).await? {
                open.claims.insert(claim.name_any());
            }
        }
        let concerned: BTreeSet<String> = task
            .claims
            .iter()
            .map(ResourceExt::name_any)
            .chain(
                task.records
                    .iter()
                    .filter_map(|asking| Some(self.view(&asking.record).claim?.name_any())),
            )
            .collect();
        for claim in concerned {
            let asked = requests.remove(&claim).unwrap_or_default();
            if self.board.note_requests(&claim, asked) {
                let _ = self.wake.claims.send((cluster_key(&claim), Cause::Related));
            }
        }
        let soon = (!open.is_empty()).then_some(ASK_AGAIN);
        let again = soon.or(Some(next_audit(now, zone, now)));
        self.board.give_back(&zone.name, open);
        let facts = ZoneFacts {
            authorities: Some(authorities.statuses(&zone.domain)),
            kept: object.status.clone().unwrap_or_default(),
            ..ZoneFacts::default()
        };
        self.tell_zone(object, facts, (self.now)()).await?;
        Ok(Outcome::Settled { again })
    }

    /// Tells whether nothing is left to ask for.
    async fn ask_desk(
        &self,
        asking: &Asking,
        claim: &DnsClaim,
        zone: &Zone,
        servers: &[Server],
        requests: &mut BTreeMap<String, Vec<Request>>,
    ) -> bool {
        let mut asked = Vec::new();
        let mut answers = Vec::new();
        for server in servers {
            let mut wrong = None;
            for set in &asking.sets {
                match authority::compare(server.address, set).await {
                    Ok(None) => {}
                    Ok(Some(why)) => {
                        let now = authority::lookup(server.address, &set.name, &set.type_)
                            .await
                            .ok()
                            .flatten();
                        asked.extend(desk::request(now.as_ref(), Some(set)));
                        wrong = Some(format!("{} {}: {why}", set.name, set.type_));
                    }
                    Err(why) => wrong = Some(why),
                }
            }
            answers.push(AuthorityAnswer {
                server: server.name.clone(),
                serial: None,
                matches: wrong.is_none(),
                message: wrong,
            });
        }
        asked.dedup();
        let served = Served {
            answers,
            unasked: None,
            visible_after: None,
            stage: "written by the desk".to_owned(),
        };
        let done = served.is_published();
        let contact = self.desk_contact(zone);
        let annotations = claim.metadata.annotations.as_ref();
        let result = if asked.is_empty() {
            Ok(served)
        } else {
            Err(desk::waiting(
                &asked,
                &claim.name_any(),
                annotations,
                contact.as_deref(),
            ))
        };
        requests.entry(claim.name_any()).or_default().extend(asked);
        self.note(
            &asking.key,
            Progress {
                wanted: asking.programmed.clone(),
                result,
                drift: None,
                findings: Vec::new(),
            },
        );
        done
    }

    /// Strikes off what the servers no longer answer. Tells whether nothing is left.
    async fn ask_desk_to_delete(
        &self,
        claim: &DnsClaim,
        servers: &[Server],
        requests: &mut BTreeMap<String, Vec<Request>>,
    ) -> Result<bool, Fault<Reason>> {
        let mut left = Vec::new();
        for withdrawal in &claim.spec.withdrawals {
            let Ok(name) = Fqdn::parse(&withdrawal.name) else {
                continue;
            };
            let type_ = RecordType::of(&withdrawal.type_);
            let mut found: Option<RrSet> = None;
            let mut silent = servers.is_empty();
            for server in servers {
                match authority::lookup(server.address, &name, &type_).await {
                    Ok(set) => found = found.or(set),
                    Err(_) => silent = true,
                }
            }
            if found.is_some() || silent {
                left.push(withdrawal.clone());
                requests
                    .entry(claim.name_any())
                    .or_default()
                    .extend(desk::request(found.as_ref(), None));
            }
        }
        if left.len() < claim.spec.withdrawals.len() {
            self.change_claim(claim, &serde_json::json!({"spec": {"withdrawals": left}}))
                .await?;
        }
        Ok(left.is_empty())
    }

    fn desk_contact(&self, zone: &Zone) -> Option<String> {
        let seen = self.zones.get(&cluster_key(&zone.name))?;
        let Seen::Object(object) = &*seen else { return None };
        let desk = object.spec.provider.request.as_ref()?;
        desk.contact.clone().or_else(|| zone.contact.clone())
    }
}
