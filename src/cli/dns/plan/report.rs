//! What a plan says, for people and programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use tremplin_core::api::dns::ProviderType;
use tremplin_core::dns::desk::{self, Seen, Wanted as Asked};
use tremplin_core::dns::ownership::{Mark, is_kept, mark_name};
use tremplin_core::dns::plan::{self, Planned, Sets, Want};
use tremplin_core::dns::{Change, Fqdn, Reason, RecordType, RrSet, judge};
use tremplin_core::fault::Fault;

use super::owner;
use super::round::{At, Judged, Round, Wanted};
use super::served::served;
use super::view::View;
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
    /// What is not known of what is there, and why.
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
    /// `Unknown`: nobody answers, or it cannot be told whose it is.
    action: &'static str,
    name: String,
    #[serde(rename = "type")]
    type_: String,
    ttl_seconds: u32,
    values: BTreeSet<String>,
}

impl Report {
    /// `asked`: the names of the records that are asked about.
    pub async fn new(round: &Round<'_>, view: &View, asked: &[String]) -> Self {
        let mut plans = Vec::new();
        let mut told = BTreeSet::new();
        for name in asked {
            if let Some(judged) = round.judged.iter().find(|judged| judged.name() == name) {
                plans.push(RecordPlan::new(round, view, judged, &mut told).await);
            }
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
                let _ = writeln!(told, "  not known: {why}");
            }
            if !record.written && record.zone.is_some() {
                let _ = writeln!(told, "  the zone is not written: it is paused, or its mode is Report");
            }
        }
        told
    }
}

impl RecordPlan {
    /// `told`: the names of which it was told already what becomes of them beside what each record asks for.
    async fn new(round: &Round<'_>, view: &View, judged: &Judged, told: &mut BTreeSet<Fqdn>) -> Self {
        let name = judge::name(&judged.record);
        let mut plan = Self {
            record: judged.name().to_owned(),
            name: name.map_or_else(|_| judged.record.spec.name.clone(), |name| name.to_string()),
            ..Self::default()
        };
        if let Some(at) = &judged.at {
            plan.zone = Some(at.zone.domain.to_string());
            plan.written = at.zone.written;
            plan.holder = view.holder(&at.place.key);
        }
        match (&judged.judgement.verdict, &judged.at) {
            (Ok(()), Some(at)) => plan.plan(round, judged, at, told).await,
            (Ok(()), None) => {}
            (Err(fault), _) => {
                plan.sets = all("Refused", &judged.judgement.sets);
                plan.refuse(fault);
            }
        }
        plan
    }

    fn refuse(&mut self, fault: &Fault<Reason>) {
        self.refused = Some(Refused {
            reason: fault.reason.as_str(),
            message: fault.to_string(),
        });
    }

    /// Name by name, as the operator's own round would.
    async fn plan(&mut self, round: &Round<'_>, judged: &Judged, at: &At, told: &mut BTreeSet<Fqdn>) {
        let sets = &judged.judgement.sets;
        let dropped = judged.dropped.iter().filter_map(|old| Fqdn::parse(&old.name).ok());
        let names: BTreeSet<Fqdn> = sets.iter().map(|set| set.name.clone()).chain(dropped).collect();
        let wanted: Vec<Wanted> = names.iter().map(|name| round.wanted(name, at)).collect();
        let mut asked = BTreeSet::new();
        for one in &wanted {
            match one.want.names_in_doubt(&at.zone.domain) {
                Ok(names) => asked.extend(names),
                Err(fault) => return self.refuse(&fault),
            }
        }
        let mut current = match served(&at.zone, &asked).await {
            Ok(current) => current,
            Err(why) => {
                self.sets = all("Unknown", sets);
                self.unknown = Some(format!("what is there: {why}"));
                return;
            }
        };
        let cluster = owner::cluster(&wanted, &round.view.claims, &at.zone, &current).await;
        for Wanted { mut want, kept } in wanted {
            let own: Vec<&RrSet> = sets.iter().filter(|set| set.name == want.name).collect();
            let planned = match planned(round, at, &mut want, &mut current, cluster.as_deref()) {
                Ok(planned) => planned,
                Err(why) => {
                    self.sets
                        .extend(own.into_iter().map(|set| SetPlan::new("Unknown", set)));
                    self.unknown = Some(why);
                    continue;
                }
            };
            let asked = own.iter().map(|set| {
                let action = if kept.contains_key(&set.type_) {
                    "Refused"
                } else {
                    action(set, &planned)
                };
                SetPlan::new(action, set)
            });
            self.sets.extend(asked);
            if told.insert(want.name.clone()) {
                self.sets.extend(others(&planned));
            }
            let left = own.iter().find_map(|set| kept.get(&set.type_));
            if let Some(fault) = left.or(planned.conflict.as_ref()) {
                self.refuse(fault);
            }
        }
    }
}

/// What is to be done at one name. `current`: what the servers answer; `cluster`: the name of the cluster, if it is known.
///
/// # Errors
/// As [`owner::know`].
fn planned(
    round: &Round<'_>,
    at: &At,
    want: &mut Want,
    current: &mut Sets,
    cluster: Option<&str>,
) -> Result<Planned, String> {
    let zone = &at.zone;
    match zone.provider {
        ProviderType::Request => return Ok(by_hand(want, current, &round.published(&want.name, at))),
        ProviderType::ExternalDns => {
            // The mark is in the DNSEndpoint: what is published is told by the statuses.
            let above = want.above.iter().map(|above| &above.name);
            for name in above.chain([&want.name]) {
                let types = round.published(name, at);
                let mark = mark_name(name, &zone.domain, types.contains(&RecordType::Ns)).ok();
                if let Some(place) = mark.filter(|_| !types.is_empty()) {
                    let owner = want.owner.clone();
                    let mark = Mark { owner, types }.set(place.clone());
                    current.entry(place).or_default().insert(RecordType::Txt, mark);
                }
            }
        }
        _ => {}
    }
    owner::know(want, current, &zone.domain, cluster)?;
    let mut planned = plan::plan(want, current, zone, &dns_provider::profile(zone.provider));
    if zone.provider == ProviderType::ExternalDns {
        planned.changes.retain(|change| !change.name().is_some_and(is_kept));
    }
    Ok(planned)
}

/// What a desk is asked: there is no mark in its zone, and what is `published` is told by the statuses.
fn by_hand(want: &Want, current: &Sets, published: &BTreeSet<RecordType>) -> Planned {
    let nothing = BTreeMap::new();
    let here = current.get(&want.name).unwrap_or(&nothing);
    let types: BTreeSet<&RecordType> = want.sets.keys().chain(&want.withdraw).collect();
    let mut conflict = None;
    let changes = types.into_iter().filter_map(|type_| {
        let (there, set) = (here.get(type_), want.sets.get(type_));
        let is_as_asked = there.map(|there| &there.values) == set.map(|set| &set.values);
        let seen = if is_as_asked {
            Seen::AsAsked
        } else {
            Seen::Other(there.cloned(), String::new())
        };
        let asked = Asked {
            name: &want.name,
            type_,
            set,
            was_seen: false,
            is_ours: want.adopted || published.contains(type_),
        };
        let seen = [seen];
        conflict = conflict.take().or_else(|| asked.foreign(&seen).map(desk::not_ours));
        asked.request(&seen, want.owner.since)?;
        Some(Change {
            before: there.cloned(),
            after: set.cloned(),
        })
    });
    let changes = changes.collect();
    Planned { changes, conflict }
}

/// What becomes of a set that is asked for.
fn action(set: &RrSet, planned: &Planned) -> &'static str {
    let is_it = |change: &&Change| change.name() == Some(&set.name) && change.type_() == Some(&set.type_);
    match planned.changes.iter().find(is_it) {
        // Servers answer it with addresses: what is written is not to be seen from here.
        _ if set.type_ == RecordType::Alias => "Unknown",
        // What another record adds to the texts that are there.
        Some(Change {
            before: Some(before),
            after: Some(after),
        }) if before.ttl == after.ttl
            && set.values.is_subset(&before.values)
            && before.values.is_subset(&after.values) =>
        {
            "Same"
        }
        Some(change) => change.action(),
        None if planned.conflict.is_some() => "Foreign",
        None => "Same",
    }
}

/// What else is done at the name, that no record asks for: the mark, and what goes.
fn others(planned: &Planned) -> impl Iterator<Item = SetPlan> {
    planned.changes.iter().filter_map(|change| {
        let is_told = change.after.is_none() || change.name().is_some_and(is_kept);
        let set = change.after.as_ref().or(change.before.as_ref())?;
        is_told.then(|| SetPlan::new(change.action(), set))
    })
}

fn all(action: &'static str, sets: &[RrSet]) -> Vec<SetPlan> {
    sets.iter().map(|set| SetPlan::new(action, set)).collect()
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
