//! What is asked for in a zone, gathered by name, and written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kube::ResourceExt as _;
use tremplin_core::api::dns::{ProgrammedSet, Withdrawal};
use tremplin_core::api::{DnsClaim, DnsRecord};
use tremplin_core::dns::claim::{self, Key as ClaimedKey};
use tremplin_core::dns::gathered::{Gathered, Said, gather, is_noted};
use tremplin_core::dns::judge::programmed;
use tremplin_core::dns::neighbours::written;
use tremplin_core::dns::ownership::Owner;
use tremplin_core::dns::plan::{self, Above, Planned, Sets, Want};
use tremplin_core::dns::profile::Profile;
use tremplin_core::dns::status::{Finding, Progress};
use tremplin_core::dns::{Fqdn, Reason, RecordType, RrSet, Zone};
use tremplin_core::fault::Fault;

use super::board::Work;
use super::observe::View;
use super::{Dns, cluster_key, record_key};
use crate::cluster::{Item as _, Seen};
use crate::dns_provider::{Failure, Provider};
use crate::key::Key;

/// What is to be done in a zone, by name.
#[derive(Default)]
pub struct Task {
    /// What is asked for.
    pub wants: BTreeMap<Fqdn, Want>,
    /// What is left as it is, and why.
    pub kept: BTreeMap<Fqdn, Kept>,
    /// Which record asks for what.
    pub records: Vec<Asking>,
    /// The claims whose withdrawals are in it.
    pub claims: Vec<DnsClaim>,
    /// Records that say something at these names and are not known to be written.
    beside: BTreeSet<Key>,
    /// What each record comes to that says something below one of these claims: judged once, so that all that is made of
    /// it fits together.
    judged: HashMap<Key, Arc<Judged>>,
}

/// A record, and what it comes to.
struct Judged {
    seen: Arc<Seen<DnsRecord>>,
    view: View,
}

impl Judged {
    fn record(&self) -> Option<&DnsRecord> {
        match &*self.seen {
            Seen::Object(record) => Some(record),
            Seen::Malformed(_) => None,
        }
    }
}

/// What is left as it is at a name, by type, and why.
pub type Kept = BTreeMap<RecordType, Fault<Reason>>;

impl Task {
    /// Whether nothing is left to be done.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.claims.is_empty()
    }

    /// Why something that a record asks for is left as it is.
    pub fn why_kept(&self, sets: &[RrSet]) -> Option<&Fault<Reason>> {
        sets.iter().find_map(|set| self.kept.get(&set.name)?.get(&set.type_))
    }

    /// Why something that is to be withdrawn is left as it is.
    pub fn why_not_withdrawn(&self, withdrawal: &Withdrawal) -> Option<Fault<Reason>> {
        let name = Fqdn::parse(&withdrawal.name).ok()?;
        self.kept.get(&name)?.get(&RecordType::of(&withdrawal.type_)).cloned()
    }
}

/// A record that asks for something.
pub struct Asking {
    /// The record.
    pub key: Key,
    /// What it asks for.
    pub sets: Vec<RrSet>,
    /// What is to be answered: texts of other records of its namespace stand beside its own.
    pub answered: Vec<RrSet>,
    /// What is to be among the answers, where the set is left as it is.
    pub included: Vec<RrSet>,
    /// The same, as its status says it.
    pub programmed: Vec<ProgrammedSet>,
    /// Whether its status says that all of it is written already.
    pub was_written: bool,
    /// The record.
    pub record: DnsRecord,
    /// What else was found out about it.
    pub findings: Vec<Finding>,
}

impl Asking {
    /// The names that it says something at.
    pub fn names(&self) -> BTreeSet<&Fqdn> {
        self.sets.iter().map(|set| &set.name).collect()
    }

    /// Whether a set of that name and type was published for it, with whatever data.
    pub fn is_published(&self, name: &Fqdn, type_: &RecordType) -> bool {
        let is_it = |set: &ProgrammedSet| (set.name.as_str(), set.type_.as_str()) == (name.as_str(), type_.as_str());
        written(&self.record)
            .iter()
            .any(|set| !set.hash.is_empty() && is_it(set))
    }
}

impl Dns {
    /// Everything that is asked for at the names of this work. What is written at a name is written for all who say
    /// something there: who waits for that belongs to the work, and passes what every record must.
    pub(super) fn task(&self, work: &mut Work, zone: &Zone) -> Task {
        let mut task = Task::default();
        // First: what is noted on a claim from now on is not in the task, and not struck off as if it had been.
        for name in &work.claims {
            let Some(seen) = self.claims.get(&cluster_key(name)) else {
                continue;
            };
            let Seen::Object(claim) = &*seen else { continue };
            if claim.spec.zone == zone.domain.as_str() && !claim.spec.withdrawals.is_empty() {
                self.withdrawals(&mut task, claim, zone);
            }
        }
        for key in &work.records {
            self.ask(&mut task, key, zone);
        }
        while let Some(key) = task.beside.pop_first() {
            if work.records.insert(key.clone()) {
                self.ask(&mut task, &key, zone);
            }
        }
        for key in work.unpublished.difference(&work.records) {
            self.ask(&mut task, key, zone);
        }
        // Asked for before it is written it would be known to be behind, and not to be unwritten.
        let unwritten = task.records.iter().filter(|record| !self.is_written(record));
        work.records.extend(unwritten.map(|record| record.key.clone()));
        task.judged.clear();
        task
    }

    /// Whether a record is in the zone as it asks for now, as far as its status or the writer knows.
    pub(super) fn is_written(&self, record: &Asking) -> bool {
        let is_so = |progress: Progress| progress.wanted == record.programmed && progress.result.is_ok();
        record.was_written || self.board.progress(&record.key).is_some_and(is_so)
    }

    fn ask(&self, task: &mut Task, key: &Key, zone: &Zone) {
        let Some(seen) = self.records.get(key) else { return };
        let Some(judged) = self.judged(task, seen) else { return };
        let Some(record) = judged.record() else { return };
        let view = &judged.view;
        let (Ok(()), Some(key), Some(claim)) = (&view.judgement.verdict, &view.key, &view.claim) else {
            return;
        };
        let in_zone = view.usable_zone().is_some_and(|covering| covering.name == zone.name);
        let namespace = record.namespace().unwrap_or_default();
        if !in_zone || claim.spec.holder.namespace != namespace || record.metadata.deletion_timestamp.is_some() {
            return;
        }
        if !is_noted(written(record), &view.judgement.sets) {
            return;
        }
        for name in view.judgement.sets.iter().map(|set| &set.name).collect::<BTreeSet<_>>() {
            self.gather(task, name, key, claim, zone);
        }
        let asked = programmed(&view.judgement.sets);
        let before = record.status.as_ref().map(|status| &status.programmed);
        let joined = |set: &RrSet| task.wants.get(&set.name)?.sets.get(&set.type_).cloned();
        let is_kept = |set: &&RrSet| task.why_kept(std::slice::from_ref(set)).is_some();
        task.records.push(Asking {
            answered: view.judgement.sets.iter().filter_map(joined).collect(),
            included: view.judgement.sets.iter().filter(is_kept).cloned().collect(),
            key: record_key(record),
            was_written: before == Some(&asked),
            programmed: asked,
            sets: view.judgement.sets.clone(),
            record: record.clone(),
            findings: Vec::new(),
        });
    }

    fn judged(&self, task: &mut Task, seen: Arc<Seen<DnsRecord>>) -> Option<Arc<Judged>> {
        let key = seen.key();
        if let Some(known) = task.judged.get(&key) {
            return Some(known.clone());
        }
        let Seen::Object(record) = &*seen else { return None };
        let view = self.view(record);
        let judged = Arc::new(Judged { seen, view });
        task.judged.insert(key, judged.clone());
        Some(judged)
    }

    fn withdrawals(&self, task: &mut Task, claim: &DnsClaim, zone: &Zone) {
        let Some(key) = Fqdn::parse(&claim.spec.key).ok() else {
            return;
        };
        let key = if key.is_below(&zone.domain) && key.is_host() && key.depth_below(&zone.domain) == Some(zone.depth) {
            ClaimedKey::Subtree(key)
        } else {
            ClaimedKey::Exact(key)
        };
        for Withdrawal { name, .. } in &claim.spec.withdrawals {
            let Ok(name) = Fqdn::parse(name) else { continue };
            if name.is_within(&zone.domain) {
                self.gather(task, &name, &key, claim, zone);
            }
        }
        task.claims.push(claim.clone());
    }

    /// What all records of the claim's holder ask for at one name, and what was withdrawn there.
    fn gather(&self, task: &mut Task, name: &Fqdn, key: &ClaimedKey, claim: &DnsClaim, zone: &Zone) {
        if task.wants.contains_key(name) {
            return;
        }
        let namespace = &claim.spec.holder.namespace;
        // What is said from elsewhere at a name with a claim of its own is written under that.
        let own = self.claim_of(ClaimedKey::of(name, zone).name());
        let own = own.filter(|own| own.spec.holder.namespace == *namespace && own.metadata.name != claim.metadata.name);
        let below = self.below(namespace, key, zone);
        let said = below.into_iter().filter_map(|seen| {
            let judged = self.judged(task, seen)?;
            let record = judged.record()?;
            Some(Said {
                record: record.name_any(),
                written: written(record).to_vec(),
                judgement: judged.view.judgement.clone(),
            })
        });
        let said: Vec<Said> = said.collect();
        let waiting = said.iter().filter(|said| {
            let is_here = said.judgement.sets.iter().any(|set| set.name == *name);
            is_here && said.written != programmed(&said.judgement.sets)
        });
        task.beside.extend(waiting.map(|said| Key {
            namespace: namespace.clone(),
            name: said.record.clone(),
        }));
        let noted = [Some(claim), own.as_ref()].into_iter().flatten();
        let withdrawals: Vec<_> = noted.flat_map(|claim| &claim.spec.withdrawals).cloned().collect();
        let Gathered { sets, withdraw, kept } = gather(name, &said, &withdrawals);
        let labels = self
            .namespaces
            .get(&cluster_key(namespace))
            .map(|known| known.labels.clone())
            .unwrap_or_default();
        let want = Want {
            name: name.clone(),
            owner: Owner {
                cluster: self.cluster.home.cluster.clone(),
                namespace: namespace.clone(),
                since: own.as_ref().unwrap_or(claim).spec.claimed_at.0,
            },
            sets,
            withdraw,
            adopted: claim::is_adopted(name, zone, &labels),
            above: Above::of(name, zone, &labels),
        };
        task.wants.insert(name.clone(), want);
        if !kept.is_empty() {
            task.kept.insert(name.clone(), kept);
        }
    }
}

/// What each name comes to.
pub fn plan_all(
    wants: &BTreeMap<Fqdn, Want>,
    current: &Sets,
    zone: &Zone,
    profile: &Profile,
) -> BTreeMap<Fqdn, Planned> {
    let plan = |(name, want): (&Fqdn, &Want)| (name.clone(), plan::plan(want, current, zone, profile));
    wants.iter().map(plan).collect()
}

/// The names that must be known to plan these.
pub fn names(wants: &BTreeMap<Fqdn, Want>, domain: &Fqdn) -> BTreeSet<Fqdn> {
    wants
        .values()
        .filter_map(|want| want.names(domain).ok())
        .flatten()
        .collect()
}

/// Reads what is at these names, one by one or with the whole zone.
///
/// # Errors
/// The provider's failure.
pub async fn read(provider: &dyn Provider, names: &BTreeSet<Fqdn>) -> Result<Sets, Failure> {
    if names.is_empty() {
        return Ok(Sets::new());
    }
    let sets = if names.len() > provider.profile().reads_by_name {
        provider.read_all().await?
    } else {
        provider.read(names).await?
    };
    Ok(plan::by_name(sets))
}

/// A zone's refusal to be written, for its records.
pub fn not_written(zone: &Zone, paused: bool) -> Fault<Reason> {
    let why = if paused { "is paused" } else { "is in mode: Report" };
    Fault::waiting(
        Reason::ZoneNotWritten,
        format!(
            "the DnsZone {} {why}: what would be written is in its status.plan",
            zone.name
        ),
        "ask the platform team to open it",
    )
}
