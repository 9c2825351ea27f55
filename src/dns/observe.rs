//! The only reads of rounds that judge: from what the watches show, without a request.

use std::sync::Arc;

use kube::Resource as _;
use tremplin_core::api::dns::{ClaimSummary, Conflict};
use tremplin_core::api::{DnsClaim, DnsRecord};
use tremplin_core::app::records;
use tremplin_core::dns::claim::{self, Holding, Key as ClaimedKey};
use tremplin_core::dns::facts::Facts;
use tremplin_core::dns::follow::Followed;
use tremplin_core::dns::judge::{self, Judgement, Observed, Place};
use tremplin_core::dns::opened::{OpenZone, Opened};
use tremplin_core::dns::outlook::{Outlook, outlook};
use tremplin_core::dns::{Fqdn, Reason, RrSet, Zone, circle, neighbours, wanted};
use tremplin_core::fault::Fault;

use super::{Dns, claim_key, cluster_key};
use crate::cluster::{Group, Item as _, Seen};
use crate::dns_provider;
use crate::key::Key;

/// What a record comes to, with where it is.
pub struct View {
    /// Its canonical name.
    pub name: Option<Fqdn>,
    /// The DnsZone that it is in.
    pub zone: Option<Arc<OpenZone>>,
    /// The claim that covers it.
    pub key: Option<ClaimedKey>,
    /// Its claim, whoever's.
    pub claim: Option<DnsClaim>,
    /// What it asks for, and whether it may.
    pub judgement: Judgement,
    /// Whom the holder wants to be asked.
    pub contact: Option<String>,
    /// Of mail, what other records of the namespace have in the zone at the names of the same claim.
    beside: Vec<RrSet>,
    /// What others answer about where it leads.
    pub outlook: Outlook,
}

impl View {
    /// Who holds the name.
    pub(super) fn holding(&self, namespace: &str) -> Holding {
        claim::holding(self.claim.as_ref().map(|claim| &claim.spec), namespace)
    }

    fn refused(name: Option<Fqdn>, zone: Option<Arc<OpenZone>>, fault: Fault<Reason>) -> Self {
        Self {
            name,
            zone,
            key: None,
            claim: None,
            judgement: Judgement {
                sets: Vec::new(),
                verdict: Err(fault),
            },
            contact: None,
            beside: Vec::new(),
            outlook: Outlook::default(),
        }
    }

    /// The zone, where it can be used.
    pub fn usable_zone(&self) -> Option<&Zone> {
        self.zone.as_ref()?.zone.as_ref().ok()
    }

    /// The claim in short, where `namespace` holds it.
    pub fn summary(&self, namespace: &str) -> Option<ClaimSummary> {
        let claim = self
            .claim
            .as_ref()
            .filter(|claim| claim.spec.holder.namespace == namespace)?;
        Some(ClaimSummary {
            name: claim.metadata.name.clone()?,
            since: claim.spec.claimed_at.clone(),
        })
    }

    /// Who holds it, where it is not `namespace`.
    pub fn conflict(&self, namespace: &str) -> Option<Conflict> {
        let claim = self.claim.as_ref()?;
        if claim::holding(Some(&claim.spec), namespace) != Holding::Other {
            return None;
        }
        let zone = self.usable_zone();
        Some(Conflict {
            reason: format!("held by the namespace {}", claim.spec.holder.namespace),
            contact: self
                .contact
                .clone()
                .or_else(|| zone.and_then(|zone| zone.contact.clone())),
            since: Some(claim.spec.claimed_at.clone()),
        })
    }
}

impl Dns {
    /// The zones that there are.
    pub(super) fn opened(&self) -> Arc<Opened> {
        self.cluster.resources.opened()
    }

    /// The claim of that key, whoever's.
    pub(super) fn claim_of(&self, key: &Fqdn) -> Option<DnsClaim> {
        match &*self.claims.get(&claim_key(key))? {
            Seen::Object(claim) => Some((**claim).clone()),
            Seen::Malformed(_) => None,
        }
    }

    /// Judges a record by what the watches show.
    pub(super) fn view(&self, record: &DnsRecord) -> View {
        let name = match judge::name(record) {
            Ok(name) => name,
            Err(fault) => return View::refused(None, None, fault),
        };
        let opened = self.opened();
        let Some(open) = opened.covering(&name) else {
            let fault = judge::without_zone(record, &name, opened.domains());
            return View::refused(Some(name), None, fault);
        };
        let zone = match open.usable(record) {
            Ok(zone) => zone,
            Err(fault) => return View::refused(Some(name), Some(open.clone()), fault),
        };
        let key = ClaimedKey::of(&name, zone);
        let claim = self.claim_of(key.name());
        let namespace = record.metadata.namespace.clone().unwrap_or_default();
        let known = self.namespaces.get(&cluster_key(&namespace));
        let labels = known.as_ref().map(|known| known.labels.clone()).unwrap_or_default();
        let context = self.platform.borrow().namespace(&namespace, &labels);
        // Nothing is given away on an assumption.
        let environment = (!context.environment_assumed).then_some(context.environment);
        let holder = claim.as_ref().map(|claim| cluster_key(&claim.spec.holder.namespace));
        let contact = holder
            .and_then(|holder| self.namespaces.get(&holder))
            .and_then(|holder| holder.contact.clone());
        let profile = dns_provider::profile(zone.provider);
        let below = self.below(&namespace, &key, zone);
        let mine = neighbours::age(record);
        let older: Vec<RrSet> = readable(&below)
            .filter(|other| neighbours::age(other) < mine)
            .flat_map(|other| self.asked(other, zone))
            .collect();
        let app = self.followed(record, &namespace);
        let place = Place {
            name: name.clone(),
            key: key.clone(),
        };
        let mut judgement = judge::judge(
            record,
            &place,
            &Observed {
                zone,
                profile: &profile,
                namespace: &namespace,
                labels: &labels,
                environment,
                claim: claim.as_ref(),
                contact: contact.as_deref(),
                claims_held: self.claims_held(&namespace, zone, claim.as_ref()),
                older: &older,
                app: app.as_ref(),
            },
        );
        judgement.verdict = judgement
            .verdict
            .map_err(|fault| self.tell_quarantines(fault, &namespace, zone));
        if judgement.verdict.is_ok() {
            let others = |key: &ClaimedKey| self.claim_of(key.name());
            judgement.verdict = judge::elsewhere(&judgement.sets, &place, zone, &namespace, others);
        }
        if judgement.verdict.is_ok() {
            judgement.verdict = circle::check(&record.spec, &judgement.sets, |name| self.alias(name, record));
        }
        if known.is_none() {
            // Its labels decide what it may have: nothing is decided before they are seen. The watch wakes the record.
            let message = format!("the namespace {namespace} was not seen yet");
            judgement.verdict = Err(Fault::waiting(Reason::ApiUnavailable, message, ""));
        }
        let beside = match record.spec.mail {
            // What waits or is refused is answered by nobody.
            Some(_) => readable(&below)
                .filter(|other| other.metadata.uid != record.metadata.uid)
                .flat_map(|other| {
                    let sets = self.asked(other, zone).into_iter();
                    sets.filter(|set| neighbours::has_written(other, set))
                })
                .collect(),
            None => Vec::new(),
        };
        let outlook = self
            .answers
            .by_known(|facts| look(record, &name, &judgement, &beside, facts));
        View {
            name: Some(name),
            zone: Some(open),
            key: Some(key),
            claim,
            judgement,
            contact,
            beside,
            outlook,
        }
    }

    /// Asks what is not known any more about where a record leads.
    pub(super) fn look_around(&self, record: &DnsRecord, view: &View) {
        let Some(name) = &view.name else { return };
        // What leads nowhere has nothing to ask; what was asked lately is not asked again.
        let first = look(record, name, &view.judgement, &view.beside, &Facts::new()).open;
        if view.outlook.open.is_empty() && self.answers.are_fresh(&first) {
            return;
        }
        let open = self
            .answers
            .open(|facts| look(record, name, &view.judgement, &view.beside, facts).open);
        let key = Key {
            namespace: record.metadata.namespace.clone().unwrap_or_default(),
            name: record.metadata.name.clone().unwrap_or_default(),
        };
        self.answers.ask(key, open, self);
    }

    /// The records of a namespace that may say something at the names of a claim and are not about to go, older ones first.
    pub(super) fn below(&self, namespace: &str, key: &ClaimedKey, zone: &Zone) -> Vec<Arc<Seen<DnsRecord>>> {
        let mut found = self.keyed(namespace, &key.meeting(), |name| key.meets(&ClaimedKey::of(name, zone)));
        found.retain(|seen| seen.meta().deletion_timestamp.is_none());
        found
    }

    /// The records of a namespace below a claim, older ones first. One that is about to go has not said yet what is to be withdrawn.
    pub(super) fn covered(&self, namespace: &str, key: &ClaimedKey, zone: &Zone) -> Vec<Arc<Seen<DnsRecord>>> {
        self.keyed(namespace, key.name(), |name| ClaimedKey::of(name, zone) == *key)
    }

    /// The records of a namespace at or below a name, chosen by their own, older ones first.
    fn keyed(&self, namespace: &str, above: &Fqdn, is_it: impl Fn(&Fqdn) -> bool) -> Vec<Arc<Seen<DnsRecord>>> {
        let is_meant = |seen: &Seen<DnsRecord>| match seen {
            Seen::Object(record) => judge::name(record).is_ok_and(|name| is_it(&name)),
            Seen::Malformed(_) => false,
        };
        let all = self.records.group(&Group::Name(above.to_string())).into_iter();
        let mut found: Vec<_> = all
            .filter(|seen| seen.key().namespace == namespace && is_meant(seen))
            .collect();
        found.sort_by_key(|seen| age(seen));
        found
    }

    /// What a record asks for by its own spec; nothing where that cannot be told.
    fn asked(&self, record: &DnsRecord, zone: &Zone) -> Vec<RrSet> {
        let namespace = record.metadata.namespace.as_deref().unwrap_or_default();
        let (profile, app) = (dns_provider::profile(zone.provider), self.followed(record, namespace));
        let sets =
            judge::name(record).and_then(|name| wanted::wanted(&record.spec, &name, zone, &profile, app.as_ref()));
        sets.unwrap_or_default()
    }

    /// Where a name leads by the CNAME of an older record that has it in the zone, whoever's.
    fn alias(&self, name: &Fqdn, than: &DnsRecord) -> Option<Fqdn> {
        let mine = age(&Seen::Object(Box::new(than.clone())));
        let there = self.records.group(&Group::Name(name.to_string()));
        there
            .iter()
            .filter(|seen| age(seen) < mine)
            .find_map(|seen| match &**seen {
                Seen::Object(other) => neighbours::leads(other, name),
                Seen::Malformed(_) => None,
            })
    }

    /// How many other names of the zone a namespace holds. (Counted, not looked at: a namespace may hold thousands.)
    fn claims_held(&self, namespace: &str, zone: &Zone, own: Option<&DnsClaim>) -> usize {
        let domain = zone.domain.as_str();
        let is_counted = |claim: &DnsClaim| claim.spec.holder.namespace == namespace && claim.spec.zone == domain;
        let held = Group::Held(namespace.to_owned(), domain.to_owned());
        let all = self.claims.count(&held);
        all.saturating_sub(usize::from(own.is_some_and(is_counted)))
    }

    /// Looked at only where there is one name too many.
    fn tell_quarantines(&self, fault: Fault<Reason>, namespace: &str, zone: &Zone) -> Fault<Reason> {
        if fault.reason != Reason::TooManyClaims {
            return fault;
        }
        let held = Group::Held(namespace.to_owned(), zone.domain.to_string());
        let held = self.claims.group(&held);
        let specs = held.iter().filter_map(|seen| match &**seen {
            Seen::Object(claim) => Some(&claim.spec),
            Seen::Malformed(_) => None,
        });
        claim::tell_quarantines(fault, specs)
    }

    /// The app that a record follows. Re-triggered by a change of the app, of its Ingress, and of the platform file.
    fn followed(&self, record: &DnsRecord, namespace: &str) -> Option<Followed> {
        let key = Key {
            namespace: namespace.to_owned(),
            name: record.spec.app_ref.as_ref()?.name.clone(),
        };
        let Some(seen) = self.cluster.resources.apps.get(&key) else {
            return Some(Followed::Gone);
        };
        let ingresses = self.cluster.children.ingresses.group(&Group::App(key));
        let own = ingresses
            .iter()
            .filter(|ingress| ingress.owner_uid() == Some(seen.uid()));
        let addresses = own.flat_map(|ingress| ingress.facts.addresses.clone()).collect();
        let Seen::Object(app) = &*seen else {
            return Some(Followed::At(addresses));
        };
        let platform = self.platform.borrow().clone();
        let known = self.namespaces.get(&cluster_key(namespace));
        let labels = known.as_ref().map(|known| known.labels.clone()).unwrap_or_default();
        let context = platform.namespace(namespace, &labels);
        Some(records::followed(app, &platform, &context, addresses))
    }
}

fn look(record: &DnsRecord, name: &Fqdn, judgement: &Judgement, beside: &[RrSet], facts: &Facts) -> Outlook {
    outlook(record.spec.mail.as_ref(), name, &judgement.sets, beside, facts)
}

fn readable(records: &[Arc<Seen<DnsRecord>>]) -> impl Iterator<Item = &DnsRecord> {
    records.iter().filter_map(|seen| match &**seen {
        Seen::Object(record) => Some(&**record),
        Seen::Malformed(_) => None,
    })
}

fn age(seen: &Seen<DnsRecord>) -> neighbours::Age {
    match seen {
        Seen::Object(record) => neighbours::age(record),
        Seen::Malformed(malformed) => {
            let created = malformed.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (created, true, seen.uid().to_owned())
        }
    }
}
