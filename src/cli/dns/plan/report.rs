//! What a plan says, for people and programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use tremplin_core::api::DnsRecord;
use tremplin_core::dns::claim::Key;
use tremplin_core::dns::plan::{self, Planned};
use tremplin_core::dns::{Change, Fqdn, Reason, RecordType, RrSet, Zone, judge};
use tremplin_core::fault::Fault;

use super::view::{self, View};
use crate::cli::Exit;
use crate::cli::dns::table::table;
use crate::dns_provider;

/// What would be written.
#[derive(Debug, Serialize)]
pub struct Report {
    records: Vec<RecordPlan>,
}

/// What would be written for one record.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordPlan {
    record: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    /// Whether the zone is written at all: not in `mode: Report` or while paused.
    written: bool,
    /// The namespace that holds the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
    /// Why it would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Refused>,
    /// Why what is there is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
    sets: Vec<SetPlan>,
}

/// Why a record would be refused.
#[derive(Debug, Serialize)]
struct Refused {
    reason: &'static str,
    message: String,
}

/// What would become of one record set.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct SetPlan {
    /// `Create`, `Replace`, `Delete`; `Same`: it is there; `Foreign`: somebody else's is in its place; `Refused`;
    /// `Unknown`: nobody answers.
    action: &'static str,
    name: String,
    #[serde(rename = "type")]
    type_: String,
    ttl_seconds: u32,
    values: BTreeSet<String>,
}

impl Report {
    pub async fn new(view: &View, records: &[DnsRecord], now: Timestamp) -> Self {
        let mut plans = Vec::new();
        for record in records {
            plans.push(RecordPlan::new(view, record, now).await);
        }
        Self { records: plans }
    }

    pub fn exit(&self) -> Exit {
        let is_still = |plan: &RecordPlan| {
            plan.refused.is_none() && plan.unknown.is_none() && plan.sets.iter().all(|set| set.action == "Same")
        };
        if self.records.iter().all(is_still) {
            Exit::Fine
        } else {
            Exit::Found
        }
    }

    pub fn in_words(&self) -> String {
        let rows = self
            .records
            .iter()
            .flat_map(|record| record.sets.iter().map(move |set| (record, set)));
        let rows = rows.map(|(record, set)| {
            [
                record.record.clone(),
                set.action.to_owned(),
                set.name.clone(),
                set.type_.clone(),
                set.ttl_seconds.to_string(),
                set.values.iter().cloned().collect::<Vec<_>>().join(", "),
            ]
        });
        let mut told = table(["DNSRECORD", "ACTION", "NAME", "TYPE", "TTL", "DATA"], rows);
        for record in &self.records {
            let zone = record.zone.as_deref().unwrap_or("none");
            let holder = record.holder.as_deref().unwrap_or("nobody");
            // Writing to a text does not fail.
            let _ = writeln!(
                told,
                "\n{}: {} in the zone {zone}, held by {holder}",
                record.record, record.name
            );
            if let Some(refused) = &record.refused {
                let _ = writeln!(told, "  refused ({}): {}", refused.reason, refused.message);
            }
            if let Some(why) = &record.unknown {
                let _ = writeln!(told, "  what is there is not known: {why}");
            }
            if !record.written && record.zone.is_some() {
                let _ = writeln!(told, "  the zone is not written: it is paused, or its mode is Report");
            }
        }
        told
    }
}

impl RecordPlan {
    async fn new(view: &View, record: &DnsRecord, now: Timestamp) -> Self {
        let mut plan = Self {
            record: record.metadata.name.clone().unwrap_or_default(),
            name: record.spec.name.clone(),
            ..Self::default()
        };
        if let Err(fault) = plan.look(view, record, now).await {
            plan.refuse(&fault);
        }
        plan
    }

    fn refuse(&mut self, fault: &Fault<Reason>) {
        self.refused = Some(Refused {
            reason: fault.reason.as_str(),
            message: fault.to_string(),
        });
    }

    async fn look(&mut self, view: &View, record: &DnsRecord, now: Timestamp) -> Result<(), Fault<Reason>> {
        let name = judge::name(record)?;
        self.name = name.to_string();
        let object = view
            .zone_of(&name)
            .ok_or_else(|| judge::no_zone(&name, &view.domains()))?;
        let zone = Zone::parse(object)?;
        self.zone = Some(zone.domain.to_string());
        self.written = zone.written;
        let claim = view.claim(&Key::of(&name, &zone));
        self.holder = claim.map(|claim| claim.spec.holder.namespace.clone());
        let judgement = view.judge(record, &name, &zone);
        if let Err(fault) = judgement.verdict {
            self.sets = judgement.sets.iter().map(|set| SetPlan::new("Refused", set)).collect();
            return Err(fault);
        }
        self.plan(view, record, &judgement.sets, &zone, now).await
    }

    /// Name by name, as the operator's own round would.
    async fn plan(
        &mut self,
        view: &View,
        record: &DnsRecord,
        sets: &[RrSet],
        zone: &Zone,
        now: Timestamp,
    ) -> Result<(), Fault<Reason>> {
        let names: BTreeSet<&Fqdn> = sets.iter().map(|set| &set.name).collect();
        let mut wants = BTreeMap::new();
        let mut asked = BTreeSet::new();
        for name in names {
            let want = view.want(name, sets, record, zone, now);
            asked.extend(want.names(&zone.domain)?);
            wants.insert(name, want);
        }
        let current = match view::served(zone, &asked).await {
            Ok(current) => current,
            Err(why) => {
                self.sets = sets.iter().map(|set| SetPlan::new("Unknown", set)).collect();
                self.unknown = Some(why);
                return Ok(());
            }
        };
        let profile = dns_provider::profile(zone.provider);
        for (name, mut want) in wants {
            let mut marks = want.marks(&current, &zone.domain)?.into_iter();
            // The cluster's own name is the operator's to know: of our mark, it is the one that stands there.
            if let Some(mark) = marks.find(|mark| mark.is_of(&want.owner)) {
                want.owner.cluster = mark.owner.cluster;
            }
            let planned = plan::plan(&want, &current, zone, &profile);
            let own: Vec<&RrSet> = sets.iter().filter(|set| set.name == *name).collect();
            self.sets.extend(set_plans(&own, &planned));
            if let Some(conflict) = &planned.conflict {
                self.refuse(conflict);
            }
        }
        Ok(())
    }
}

/// What becomes of each set that is asked for, and what else is written at its name: the mark, and what goes.
fn set_plans(own: &[&RrSet], planned: &Planned) -> Vec<SetPlan> {
    let change_of = |set: &RrSet| {
        let is_it = |change: &&Change| change.name() == Some(&set.name) && change.type_() == Some(&set.type_);
        planned.changes.iter().find(is_it)
    };
    let asked = own.iter().map(|set| {
        let action = match change_of(set) {
            // Servers answer it with addresses: what is written is not to be seen from here.
            _ if set.type_ == RecordType::Alias => "Unknown",
            Some(change) => change.action(),
            None if planned.conflict.is_some() => "Foreign",
            None => "Same",
        };
        SetPlan::new(action, set)
    });
    let others = planned.changes.iter().filter(|change| {
        let is_own = |set: &&RrSet| change.name() == Some(&set.name) && change.type_() == Some(&set.type_);
        !own.iter().any(is_own)
    });
    let others = others.filter_map(|change| {
        let set = change.after.as_ref().or(change.before.as_ref())?;
        Some(SetPlan::new(change.action(), set))
    });
    asked.chain(others).collect()
}

impl SetPlan {
    fn new(action: &'static str, set: &RrSet) -> Self {
        Self {
            action,
            name: set.name.to_string(),
            type_: set.type_.to_string(),
            ttl_seconds: set.ttl,
            values: set.values.clone(),
        }
    }
}
