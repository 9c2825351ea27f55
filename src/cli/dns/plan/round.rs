//! The namespace's records, judged one after the other as the operator will: older ones first, each with the claims and
//! the data that those before it come to.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tremplin_core::api::dns::{DeletionPolicy, DnsRecordStatus, Withdrawal};
use tremplin_core::api::{DnsClaim, DnsRecord};
use tremplin_core::dns::claim::{self, Key};
use tremplin_core::dns::gathered::{Gathered, Said, gather};
use tremplin_core::dns::judge::{self, Judgement, Observed, Place, programmed};
use tremplin_core::dns::ownership::Owner;
use tremplin_core::dns::plan::{Above, Want};
use tremplin_core::dns::status::with_intents;
use tremplin_core::dns::{Fqdn, Reason, RecordType, RrSet, Zone, circle, neighbours};
use tremplin_core::fault::Fault;

use super::view::View;
use crate::dns_provider;

/// Where a record is.
pub struct At {
    pub place: Place,
    pub zone: Zone,
}

impl At {
    /// Whether another record may say something at the names of the same claim.
    fn is_beside(&self, other: &Self) -> bool {
        self.zone.domain == other.zone.domain && self.place.key.meets(&other.place.key)
    }
}

/// A record, with what it comes to.
pub struct Judged {
    /// The record, its status saying what may be in the zone once the operator has looked at it.
    pub record: DnsRecord,
    /// Where it is; `None`: it has no name, or no zone covers it.
    pub at: Option<At>,
    pub judgement: Judgement,
    /// What it has in the zone and asks for no more.
    pub dropped: Vec<Withdrawal>,
}

impl Judged {
    pub fn name(&self) -> &str {
        self.record.metadata.name.as_deref().unwrap_or_default()
    }
}

/// What is to be at a name, and what is left as it is, and why.
pub struct Wanted {
    pub want: Want,
    pub kept: BTreeMap<RecordType, Fault<Reason>>,
}

/// The records of the namespace.
pub struct Round<'a> {
    pub view: &'a View,
    /// Those of the cluster, and those that the records will make.
    claims: Vec<DnsClaim>,
    pub judged: Vec<Judged>,
    /// What records that are about to go have in the zone.
    leaving: Vec<Withdrawal>,
    now: Timestamp,
}

impl<'a> Round<'a> {
    pub fn of(view: &'a View, now: Timestamp) -> Self {
        let is_leaving = |record: &&DnsRecord| record.metadata.deletion_timestamp.is_some();
        let (leaving, mut records): (Vec<_>, Vec<_>) = view.records.iter().partition(is_leaving);
        records.sort_by_cached_key(|record| neighbours::age(record));
        let withdrawn = leaving
            .into_iter()
            .filter(|record| record.spec.deletion_policy != Some(DeletionPolicy::Retain));
        let mut round = Self {
            view,
            claims: view.claims.clone(),
            judged: Vec::new(),
            leaving: withdrawn
                .flat_map(|record| neighbours::dropped(neighbours::written(record), &[]))
                .collect(),
            now,
        };
        for record in records {
            let judged = round.judge(record);
            round.take_up(judged);
        }
        round
    }

    fn judge(&self, record: &DnsRecord) -> Judged {
        let (at, judgement) = match self.at(record) {
            Ok(at) => {
                let judgement = self.judgement(record, &at);
                (Some(at), judgement)
            }
            Err(fault) => {
                let (sets, verdict) = (Vec::new(), Err(fault));
                (None, Judgement { sets, verdict })
            }
        };
        Judged {
            record: record.clone(),
            at,
            judgement,
            dropped: Vec::new(),
        }
    }

    fn at(&self, record: &DnsRecord) -> Result<At, Fault<Reason>> {
        let name = judge::name(record)?;
        let opened = &self.view.opened;
        let open = opened
            .covering(&name)
            .ok_or_else(|| judge::without_zone(record, &name, opened.domains()))?;
        let zone = open.usable(record)?.clone();
        let key = Key::of(&name, &zone);
        let place = Place { name, key };
        Ok(At { place, zone })
    }

    fn judgement(&self, record: &DnsRecord, at: &At) -> Judgement {
        let view = self.view;
        let domain = at.zone.domain.as_str();
        let held = self.claims.iter().filter(|claim| {
            claim.spec.holder.namespace == view.namespace
                && claim.spec.zone == domain
                && claim.spec.key != at.place.key.name().as_str()
        });
        let older: Vec<RrSet> = self.below(at).flat_map(|other| other.judgement.sets.clone()).collect();
        let context = view.platform.namespace(&view.namespace, &view.labels);
        let mut judgement = judge::judge(
            record,
            &at.place,
            &Observed {
                zone: &at.zone,
                profile: &dns_provider::profile(at.zone.provider),
                namespace: &view.namespace,
                labels: &view.labels,
                environment: (!context.environment_assumed).then_some(context.environment),
                claim: self.claim(&at.place.key),
                contact: None,
                claims_held: held.count(),
                older: &older,
                app: view.followed(record).as_ref(),
            },
        );
        let held = self.claims.iter().map(|claim| &claim.spec);
        let held = held.filter(|claim| claim.holder.namespace == view.namespace && claim.zone == domain);
        judgement.verdict = judgement.verdict.map_err(|fault| claim::tell_quarantines(fault, held));
        if judgement.verdict.is_ok() {
            let claim = |key: &Key| self.claim(key).cloned();
            judgement.verdict = judge::elsewhere(&judgement.sets, &at.place, &at.zone, &view.namespace, claim);
        }
        if judgement.verdict.is_ok() {
            let alias = |name: &Fqdn| {
                self.judged
                    .iter()
                    .find_map(|other| neighbours::leads(&other.record, name))
            };
            judgement.verdict = circle::check(&record.spec, &judgement.sets, alias);
        }
        judgement
    }

    /// Does what the operator does with a record before it writes: it makes or takes again the claim, and the status says
    /// what may be in the zone.
    fn take_up(&mut self, mut judged: Judged) {
        if let Some(at) = judged.at.as_ref().filter(|_| judged.judgement.wants_claim()) {
            let name = at.place.key.object_name();
            let is_it = |claim: &&mut DnsClaim| claim.metadata.name.as_deref() == Some(&name);
            match self.claims.iter_mut().find(is_it) {
                Some(claim) => claim.spec.release_at = None,
                None => self
                    .claims
                    .push(at.place.key.claim(&at.zone, &self.view.namespace, self.now)),
            }
        }
        if judged.judgement.verdict.is_ok() {
            let asked = programmed(&judged.judgement.sets);
            let written = neighbours::written(&judged.record);
            judged.dropped = neighbours::dropped(written, &asked);
            let noted = with_intents(written, &asked);
            let status = judged.record.status.get_or_insert_with(DnsRecordStatus::default);
            status.programmed = noted;
        }
        self.judged.push(judged);
    }

    /// The claim of that key, whoever's.
    fn claim(&self, key: &Key) -> Option<&DnsClaim> {
        let name = key.object_name();
        self.claims
            .iter()
            .find(|claim| claim.metadata.name.as_deref() == Some(&name))
    }

    fn below<'b>(&'b self, at: &'b At) -> impl Iterator<Item = &'b Judged> {
        let is_beside = |other: &&Judged| other.at.as_ref().is_some_and(|other| at.is_beside(other));
        self.judged.iter().filter(is_beside)
    }

    /// The types that the namespace's records have published at a name, as their statuses say.
    pub fn published(&self, name: &Fqdn, at: &At) -> BTreeSet<RecordType> {
        let written = self.below(at).flat_map(|other| neighbours::written(&other.record));
        let here = written.filter(|set| !set.hash.is_empty() && set.name == name.as_str());
        here.map(|set| RecordType::of(&set.type_)).collect()
    }

    /// What all records of the claim ask for at one name, and what is to be taken away there.
    pub fn wanted(&self, name: &Fqdn, at: &At) -> Wanted {
        let said: Vec<Said> = self
            .below(at)
            .map(|other| Said {
                record: other.name().to_owned(),
                written: neighbours::written(&other.record).to_vec(),
                judgement: other.judgement.clone(),
            })
            .collect();
        let view = self.view;
        // What is said from elsewhere at a name with a claim of its own is written under that.
        let keys = [Key::of(name, &at.zone), at.place.key.clone()];
        let claims = keys.iter().filter_map(|key| self.claim(key));
        let mut held = claims
            .filter(|claim| claim.spec.holder.namespace == view.namespace)
            .peekable();
        let since = held.peek().map_or(self.now, |claim| claim.spec.claimed_at.0);
        let noted = held.flat_map(|claim| &claim.spec.withdrawals);
        let dropped = self.below(at).flat_map(|other| &other.dropped);
        let withdrawals: Vec<_> = noted.chain(dropped).chain(&self.leaving).cloned().collect();
        let Gathered { sets, withdraw, kept } = gather(name, &said, &withdrawals);
        let owner = Owner {
            // Not known here: see `owner`.
            cluster: "this".into(),
            namespace: view.namespace.clone(),
            since,
        };
        let want = Want {
            name: name.clone(),
            owner,
            sets,
            withdraw,
            adopted: claim::is_adopted(name, &at.zone, &view.labels),
            above: Above::of(name, &at.zone, &view.labels),
        };
        Wanted { want, kept }
    }
}
