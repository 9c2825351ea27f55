//! What records do to the claim that covers them: make it, take it again, and note on it what is to be withdrawn.

use kube::ResourceExt as _;
use serde_json::json;
use tremplin_core::api::dns::Withdrawal;
use tremplin_core::api::{DnsClaim, DnsRecord};
use tremplin_core::dns::claim::{self, Holding, Occasion};
use tremplin_core::dns::{Fqdn, Reason};
use tremplin_core::fault::{Fault, Refusal};

use super::observe::View;
use super::{Dns, MANAGER, cluster_key};
use crate::cluster::{Item, Seen};
use crate::driver::Cause;

/// How often a claim is read again when others write to it at the same time.
const ATTEMPTS: usize = 5;

impl Dns {
    /// Makes or takes again the claim that covers a record, and judges the record anew when something changed.
    pub(super) async fn claimed(&self, record: &DnsRecord, view: View) -> Result<View, Fault<Reason>> {
        let namespace = record.namespace().unwrap_or_default();
        match view.holding(&namespace) {
            Holding::Ours | Holding::Other => return Ok(view),
            Holding::Leaving => {
                if let Some(claim) = &view.claim {
                    self.change_claim(claim, &json!({"spec": {"releaseAt": null}})).await?;
                }
            }
            Holding::Free => {
                // One at a time: else what a namespace asks for at once is all judged before any of it counts for its quota.
                let _turn = self.claiming.lock().await;
                let view = self.view(record);
                if view.judgement.wants_claim() && view.holding(&namespace) == Holding::Free {
                    self.create_claim(&view, &namespace).await?;
                }
            }
        }
        Ok(self.view(record))
    }

    /// The decision: the API server creates an object of a name once.
    async fn create_claim(&self, view: &View, namespace: &str) -> Result<(), Fault<Reason>> {
        let (Some(key), Some(zone)) = (&view.key, view.usable_zone()) else {
            return Ok(());
        };
        let wanted = key.claim(zone, namespace, (self.now)());
        let made = self.cluster.create_object(&wanted, MANAGER).await;
        match made.map_err(|fault| fault.map(Reason::from))? {
            Some(made) => {
                tracing::info!(claim = made.name_any(), namespace, "name claimed");
                self.learn_claim(made);
            }
            // Somebody was faster: see who.
            None => self.read_claim(key.name()).await?,
        }
        Ok(())
    }

    /// What the API server itself knows of a claim.
    pub(super) async fn read_claim(&self, key: &Fqdn) -> Result<(), Fault<Reason>> {
        let name = claim::object_name(key);
        let read = self.cluster.read_object("", &name).await;
        match read.map_err(|fault| fault.map(Reason::from))? {
            Some(found) => self.learn_claim(found),
            None => self.forget_claim(&name),
        }
        Ok(())
    }

    /// Keeps a claim before the watch shows it, which will come too late to be heard: all that ask for the name are told.
    fn learn_claim(&self, claim: DnsClaim) {
        if let Some(change) = self.claims.put(Seen::Object(Box::new(claim))) {
            self.claim_changed(&change);
        }
    }

    pub(super) fn forget_claim(&self, name: &str) {
        let key = cluster_key(name);
        if let Some(known) = self.claims.get(&key)
            && let Some(change) = self.claims.remove(&key, Item::uid(&*known))
        {
            self.claim_changed(&change);
        }
    }

    /// Keeps a claim as we changed it. The watch shows nothing new then, so its round is woken here.
    fn keep_claim(&self, changed: DnsClaim) {
        let key = cluster_key(&changed.name_any());
        self.claims.refresh(Seen::Object(Box::new(changed)));
        let _ = self.wake.claims.send((key, Cause::Itself));
    }

    /// Changes a claim as it was read.
    pub(super) async fn change_claim(&self, claim: &DnsClaim, change: &serde_json::Value) -> Result<(), Fault<Reason>> {
        let changed = self.cluster.change_object(claim, change, MANAGER).await;
        match changed {
            Ok(Some(changed)) => self.keep_claim(changed),
            Ok(None) => self.forget_claim(&claim.name_any()),
            Err(fault) => return Err(fault.map(Reason::from)),
        }
        Ok(())
    }

    /// Adds withdrawals to a claim, whatever others write to it meanwhile.
    pub(super) async fn withdraw(
        &self,
        mut claim: DnsClaim,
        more: Vec<Withdrawal>,
        occasion: Occasion,
    ) -> Result<(), Fault<Reason>> {
        for _ in 0..ATTEMPTS {
            let Some(new) = claim::with_withdrawals(&claim.spec, more.clone(), occasion) else {
                return Ok(());
            };
            let change = json!({"spec": {"withdrawals": new.withdrawals, "departures": new.departures}});
            let changed = self.cluster.change_object(&claim, &change, MANAGER).await;
            match changed {
                Ok(Some(changed)) => {
                    self.keep_claim(changed);
                    return Ok(());
                }
                // The platform team took the name away: nothing is ours any more.
                Ok(None) => return Ok(()),
                Err(fault) if fault.reason == Refusal::Conflict => {}
                Err(fault) => return Err(fault.map(Reason::from)),
            }
            let read = self.cluster.read_object("", &claim.name_any()).await;
            match read.map_err(|fault| fault.map(Reason::from))? {
                Some(read) => claim = read,
                None => return Ok(()),
            }
        }
        Err(Fault::transient(
            Reason::Conflict,
            "the claim changes faster than it can be read",
        ))
    }
}
