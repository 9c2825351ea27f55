//! The rounds of DnsClaims: they outlive their last use by the zone's quarantine, and show who holds a name.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt as _;
use serde_json::{Value, json};
use tremplin_core::api::dns::Request;
use tremplin_core::api::{DnsClaim, DnsRecord};
use tremplin_core::dns::claim::{self, Key as ClaimedKey, Step};
use tremplin_core::dns::desk::{DONE_AT, TAKEN_BY};
use tremplin_core::dns::judge::Judgement;
use tremplin_core::dns::opened::OpenZone;
use tremplin_core::dns::status::{ClaimFacts, approvals, claim_status};
use tremplin_core::dns::{Fqdn, Reason, Zone};
use tremplin_core::fault::Fault;
use tremplin_core::labels;
use tremplin_core::names::hash_of;

use super::board::Given;
use super::report::after;
use super::{Dns, TOLERATED, cluster_key, until};
use crate::cluster::{Group, Notice, Seen};
use crate::driver::{Accident, Cause, Outcome, Reconcile};
use crate::key::Key;

/// The DnsClaims of the cluster.
pub struct Claims(pub Arc<Dns>);

impl Reconcile for Claims {
    const KIND: &'static str = "DnsClaim";

    async fn reconcile(&self, key: &Key, failures: u32) -> Outcome {
        let dns = &self.0;
        let Some(seen) = dns.claims.get(key) else {
            return Outcome::Gone;
        };
        let claim = match &*seen {
            Seen::Malformed(malformed) => return dns.report_malformed(&dns.claims, malformed).await,
            Seen::Object(claim) if claim.metadata.deletion_timestamp.is_some() => return Outcome::Gone,
            Seen::Object(claim) => claim,
        };
        match dns.claim_round(claim).await {
            Ok(outcome) => outcome,
            Err(fault) => {
                let outcome = after(&fault);
                if !(matches!(outcome, Outcome::Failed(_)) && failures < TOLERATED) {
                    dns.report_fault(&dns.claims, &seen, &fault).await;
                }
                outcome
            }
        }
    }

    async fn tell(&self, key: &Key, accident: &Accident) {
        let dns = &self.0;
        if let Some(seen) = dns.claims.get(key) {
            dns.report_accident(&dns.claims, &seen, accident).await;
        }
    }
}

impl Dns {
    async fn claim_round(&self, claim: &DnsClaim) -> Result<Outcome, Fault<Reason>> {
        let now = (self.now)();
        let key = Fqdn::parse(&claim.spec.key).ok();
        let domain = Fqdn::parse(&claim.spec.zone).ok();
        let open = domain.as_ref().and_then(|domain| self.opened().at(domain));
        let zone = open.as_ref().and_then(|open| open.zone.as_ref().ok());
        let records = match (&key, zone) {
            (Some(key), Some(zone)) => self.records_using(claim, key, zone),
            _ => self.records_naming(claim),
        };
        self.pass_on_withdrawals(claim, open.as_deref());
        if let (Some(open), false) = (&open, self.board.requests(&claim.name_any()).is_empty()) {
            // The desk may have said something about it.
            let _ = self.wake.zones.send((cluster_key(&open.name), Cause::Related));
        }
        let uses = records.len() + self.hosts_below(claim);
        let release_after = open.as_ref().map(|open| open.release_after);
        match claim::next(&claim.spec, uses, release_after, now) {
            Step::Keep => {}
            Step::Retake => {
                self.change_claim(claim, &json!({"spec": {"releaseAt": null}})).await?;
                return Ok(Outcome::Settled { again: None });
            }
            Step::ReleaseAt(at) => {
                self.change_claim(claim, &json!({"spec": {"releaseAt": at}})).await?;
                self.wake_claimless(&claim.spec.holder.namespace);
                return Ok(Outcome::Settled { again: None });
            }
            Step::Remove => {
                self.cluster
                    .remove_object(claim)
                    .await
                    .map_err(|fault| fault.map(Reason::from))?;
                tracing::info!(claim = claim.name_any(), "name released");
                return Ok(Outcome::Gone);
            }
            Step::WaitUntil(at) => {
                self.tell_claim(claim, uses, zone, &records).await?;
                return Ok(Outcome::Waiting {
                    again: Some(until(at, now)),
                });
            }
        }
        self.tell_claim(claim, uses, zone, &records).await?;
        Ok(Outcome::Settled { again: None })
    }

    /// The records that use a claim.
    fn records_using(&self, claim: &DnsClaim, key: &Fqdn, zone: &Zone) -> Vec<User> {
        let covered = [ClaimedKey::Subtree(key.clone()), ClaimedKey::Exact(key.clone())];
        let namespace = &claim.spec.holder.namespace;
        let records = covered.iter().flat_map(|key| self.covered(namespace, key, zone));
        records.filter_map(|seen| self.user(&seen)).collect()
    }

    /// The zone is gone: whoever still names the claim uses it.
    fn records_naming(&self, claim: &DnsClaim) -> Vec<User> {
        let in_namespace = self
            .records
            .group(&Group::Namespace(claim.spec.holder.namespace.clone()));
        let uses = |seen: &&Arc<Seen<DnsRecord>>| match &***seen {
            Seen::Object(record) => {
                let named = record.status.as_ref().and_then(|status| status.claim.as_ref());
                named.is_some_and(|named| Some(&named.name) == claim.metadata.name.as_ref())
            }
            Seen::Malformed(_) => false,
        };
        in_namespace
            .iter()
            .filter(uses)
            .filter_map(|seen| self.user(seen))
            .collect()
    }

    fn user(&self, seen: &Seen<DnsRecord>) -> Option<User> {
        let Seen::Object(record) = seen else { return None };
        Some(User {
            record: record.name_any(),
            judgement: self.view(record).judgement,
        })
    }

    /// How many hosts that apps of the holder carry are covered by a claim. One that a longer zone covers too counts:
    /// rather is a name kept than given to others.
    fn hosts_below(&self, claim: &DnsClaim) -> usize {
        let below = Group::Name(claim.spec.key.clone());
        let ingresses = self.cluster.children.ingresses.group(&below).into_iter();
        let used = ingresses.filter(|ingress| {
            ingress.namespace() == claim.spec.holder.namespace
                && ingress.label(labels::MANAGED_BY) == Some(labels::MANAGER)
        });
        used.count()
    }

    /// Tells the zone of withdrawals once: this round is also woken by what the zone says of them, and each would wake the
    /// other for ever where a provider says it in other words each time. What the zone cannot do it tries again by itself.
    fn pass_on_withdrawals(&self, claim: &DnsClaim, open: Option<&OpenZone>) {
        let name = claim.name_any();
        if claim.spec.withdrawals.is_empty() {
            self.board.note_given(&name, None);
            self.board.note_stuck(&name, None);
            return;
        }
        match open {
            Some(open) if open.zone.is_ok() => {
                let given = Given {
                    zone: open.name.clone(),
                    uid: claim.metadata.uid.clone(),
                    generation: claim.metadata.generation,
                };
                let is_news = self.board.note_given(&name, Some(given));
                // The change of a record that is in the way wakes this round.
                let stuck = self.board.stuck(&name);
                if is_news || stuck.is_some_and(|why| why.reason == Reason::WaitingForRecord) {
                    self.board.claim(&open.name, &name);
                    let _ = self.wake.zones.send((cluster_key(&open.name), Cause::Related));
                }
            }
            _ => {
                self.board.note_given(&name, None);
                let why = format!("there is no DnsZone {} that can be used", claim.spec.zone);
                self.board
                    .note_stuck(&name, Some(Fault::stalled(Reason::NoZone, why, "")));
            }
        }
    }

    async fn tell_claim(
        &self,
        claim: &DnsClaim,
        uses: usize,
        zone: Option<&Zone>,
        records: &[User],
    ) -> Result<(), Fault<Reason>> {
        let facts = ClaimFacts {
            uses,
            stuck: self.board.stuck(&claim.name_any()),
            approvals: zone
                .map(|zone| approvals(claim, zone, records.iter().map(|user| &user.judgement)))
                .unwrap_or_default(),
            not_admitted: records.iter().filter_map(User::not_admitted).collect(),
            requests: self.board.requests(&claim.name_any()),
            now: (self.now)(),
        };
        let new = claim_status(claim, facts);
        if claim.status.as_ref() == Some(&new) {
            return Ok(());
        }
        if new.requests.is_empty() && self.forget_desk(claim).await? {
            // It is another claim now, with a round of its own.
            return Ok(());
        }
        let unwritable = |error: serde_json::Error| Fault::transient(Reason::InternalError, error.to_string());
        let status = serde_json::to_value(&new).map_err(unwritable)?;
        let seen = Seen::Object(Box::new(claim.clone()));
        let progress = [Reason::Withdrawing.as_str()];
        self.cluster
            .report(&self.claims, &seen, &status, &new.conditions, &progress)
            .await
            .map_err(|fault| fault.map(Reason::from))?;
        self.tell_desk(claim, &seen, &new.requests).await;
        Ok(())
    }

    /// All that a desk was asked is done: who took that has not taken what comes next. Tells whether somebody had.
    async fn forget_desk(&self, claim: &DnsClaim) -> Result<bool, Fault<Reason>> {
        let said = |key: &&str| claim.annotations().contains_key(*key);
        let was_asked = claim.status.as_ref().is_some_and(|status| !status.requests.is_empty());
        let said: Vec<&str> = [TAKEN_BY, DONE_AT].into_iter().filter(said).collect();
        if !was_asked || said.is_empty() {
            return Ok(false);
        }
        let nothing: BTreeMap<_, _> = said.into_iter().map(|key| (key, Value::Null)).collect();
        let change = json!({"metadata": {"annotations": nothing}});
        self.change_claim(claim, &change).await.map(|()| true)
    }

    /// What a desk is newly asked is an Event too.
    async fn tell_desk(&self, claim: &DnsClaim, seen: &Seen<DnsClaim>, requests: &[Request]) {
        let before = claim.status.as_ref().map(|status| status.requests.as_slice());
        let before = before.unwrap_or_default();
        for request in requests.iter().filter(|request| !before.contains(request)) {
            let notice = Notice {
                warning: false,
                reason: Reason::WaitingForDesk.as_str().to_owned(),
                // Events of one action are joined, with the words of the first.
                action: format!("{} {} {}", request.action, request.type_, hash_of(&request.text)),
                note: request.text.clone(),
            };
            self.cluster.publish(&seen.reference(), notice).await;
        }
    }
}

/// A record that uses a claim.
struct User {
    record: String,
    judgement: Judgement,
}

impl User {
    /// Why it would be refused if it were not published.
    fn not_admitted(&self) -> Option<String> {
        let fault = self.judgement.verdict.as_ref().err()?;
        (fault.reason == Reason::NoLongerAllowed).then(|| format!("the DnsRecord {}: {}", self.record, fault.message))
    }
}
