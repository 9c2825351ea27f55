//! The status of a DnsRecord.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{MOST_SERVERS, carry, not_ready, told};
use crate::api::dns::{AuthorityAnswer, ClaimSummary, Conflict, DnsRecord, DnsRecordStatus, Drift, ProgrammedSet};
use crate::conditions::{self, Conditions, READY, RECONCILING, State};
use crate::dns::caches::{Cached, Held};
use crate::dns::judge::{Judgement, programmed};
use crate::dns::outlook::{MAIL_READY, Outlook, TARGET_RESOLVES};
use crate::dns::reasons::Reason;
use crate::dns::rrset::RrSet;
use crate::fault::{Class, Fault};

/// The answer to a question that a record raises beside its publication.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The condition.
    pub type_: &'static str,
    /// Yes, no, or nobody knows.
    pub state: State,
    /// The machine's word.
    pub reason: Reason,
    /// The human's.
    pub message: String,
}

/// A server's answer, with the serial of when it first was as asked for: it is the proof, and moves no status that is
/// otherwise the same. `before`: what the status said, where it is about the same data.
pub fn proven(answer: AuthorityAnswer, serial: Option<i64>, before: &[AuthorityAnswer]) -> AuthorityAnswer {
    if !answer.matches {
        return answer;
    }
    let same = |known: &&AuthorityAnswer| known.server == answer.server && known.matches;
    let known = before.iter().find(same).and_then(|known| known.serial);
    AuthorityAnswer {
        serial: known.or(serial),
        ..answer
    }
}

/// How far the zone's writer is with what a record asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What was asked for when it was found.
    pub wanted: Vec<ProgrammedSet>,
    /// Where it stands.
    pub result: Result<Served, Fault<Reason>>,
    /// Changes of others.
    pub drift: Option<Drift>,
    /// What else was found out.
    pub findings: Vec<Finding>,
}

/// What is in the zone as asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Served {
    /// What the authoritative servers answer.
    pub answers: Vec<AuthorityAnswer>,
    /// What caches hold of what was before the writer's last change, if anything.
    pub cached: Option<Cached>,
    /// Until when, once the servers answer as asked.
    pub held: Option<Held>,
    /// Why no authoritative server was asked, if none was.
    pub unasked: Option<String>,
    /// How far it is, as its provider tells: see [`crate::dns::Profile::stage`].
    pub stage: String,
}

impl Served {
    /// Whether every authoritative server answers as asked. (None asked is none that answers.)
    pub fn is_published(&self) -> bool {
        !self.answers.is_empty() && self.answers.iter().all(|answer| answer.matches)
    }
}

/// What the status is made from, beside the record.
pub struct RecordFacts<'a> {
    /// Its canonical name, if it has one.
    pub fqdn: Option<String>,
    /// The domain of the zone that covers it, if there is one.
    pub zone: Option<String>,
    /// The claim that covers it, if its namespace holds it.
    pub claim: Option<ClaimSummary>,
    /// Who holds it otherwise.
    pub conflict: Option<Conflict>,
    /// What it asks for, and whether it may.
    pub judgement: &'a Judgement,
    /// What the zone's writer knows; `None`: nothing since this program began.
    pub progress: Option<&'a Progress>,
    /// What others answer about where it leads.
    pub outlook: &'a Outlook,
    /// Now.
    pub now: Timestamp,
}

/// The condition of a record that hands its name over: whether the name servers answer for it.
pub const DELEGATED: &str = "Delegated";
const ACCEPTED: &str = "Accepted";
const PROGRAMMED: &str = "Programmed";
const PUBLISHED: &str = "Published";
const PROPAGATED: &str = "Propagated";

/// Whether the status of a record says that every authoritative server answers as asked.
pub fn is_published(record: &DnsRecord) -> bool {
    let status = record.status.as_ref();
    status.is_some_and(|status| conditions::is_true(&status.conditions, PUBLISHED))
}

/// Whether a record was in another zone than the one that covers its name now, by its domain.
pub fn has_moved(record: &DnsRecord, zone: &str) -> bool {
    let before = record.status.as_ref().and_then(|status| status.zone.as_deref());
    before.is_some_and(|before| before != zone)
}

/// What is known of another zone says nothing about the one that covers the name now.
fn move_away(status: &mut DnsRecordStatus) {
    for set in &mut status.programmed {
        set.hash.clear();
    }
    let proven = [PROGRAMMED, PUBLISHED, PROPAGATED];
    status
        .conditions
        .retain(|condition| !proven.contains(&condition.type_.as_str()));
    status.authoritative.clear();
    status.visible_after = None;
    status.drift = None;
}

/// The status of a record.
pub fn record_status(record: &DnsRecord, facts: RecordFacts<'_>) -> DnsRecordStatus {
    let mut old = record.status.clone().unwrap_or_default();
    if facts.zone.as_deref().is_some_and(|zone| has_moved(record, zone)) {
        move_away(&mut old);
    }
    let generation = record.metadata.generation.unwrap_or_default();
    let sets = &facts.judgement.sets;
    let asked = programmed(sets);
    let mut conditions = Conditions::new(&old.conditions, generation, facts.now);
    let mut status = DnsRecordStatus {
        observed_generation: Some(generation),
        fqdn: facts.fqdn,
        // Where its data is, also while no zone covers it: the next may be another one.
        zone: facts.zone.or_else(|| old.zone.clone()),
        claim: facts.claim,
        conflict: facts.conflict,
        ..old.clone()
    };
    for (type_, told) in &facts.outlook.conditions {
        match told {
            Some((state, reason, message)) => conditions.set(type_, *state, reason.as_str(), message),
            // It is being asked: until then what was known counts.
            None => carry(&mut conditions, &old.conditions, type_),
        }
    }
    if let Err(fault) = &facts.judgement.verdict {
        let is_lost = fault.reason == Reason::NameHeld;
        if is_lost {
            // What is answered there is another team's to say, and what was ours the platform team's to give.
            status = DnsRecordStatus {
                observed_generation: status.observed_generation,
                fqdn: status.fqdn,
                zone: status.zone,
                conflict: status.conflict,
                ..DnsRecordStatus::default()
            };
        }
        refused(&mut conditions, fault, if is_lost { &status } else { &old });
        status.conditions = conditions.finish();
        return status;
    }
    conditions.set(ACCEPTED, State::True, Reason::Accepted.as_str(), "");
    describe(&mut status, sets);
    match facts.progress.filter(|progress| progress.wanted == asked) {
        // Nothing is known since this program began, and nothing else is asked for.
        None if facts.progress.is_none() && old.programmed == asked && !asked.is_empty() => {
            let looks = |type_: &str| [MAIL_READY, TARGET_RESOLVES].contains(&type_);
            for condition in old.conditions.iter().filter(|condition| !looks(&condition.type_)) {
                carry(&mut conditions, &old.conditions, &condition.type_);
            }
            propagated(&mut conditions, &old, None, facts.now);
        }
        None => {
            // Before it is written: whatever becomes of this program or of the spec, it is known what may be there.
            status.programmed = with_intents(&old.programmed, &asked);
            let fault = Fault::waiting(Reason::Programming, "the data is about to be written to the zone", "");
            not_programmed(&mut conditions, &fault);
        }
        Some(progress) => {
            status.drift.clone_from(&progress.drift);
            for finding in &progress.findings {
                let message = match finding.state {
                    State::True => finding.message.clone(),
                    _ => format!("{}. Next: {}", finding.message, finding.reason.action()),
                };
                conditions.set(finding.type_, finding.state, finding.reason.as_str(), &message);
            }
            match &progress.result {
                Err(fault) => {
                    if fault.reason == Reason::NotOurs {
                        status.conflict = Some(Conflict {
                            reason: fault.message.clone(),
                            contact: None,
                            since: None,
                        });
                    }
                    not_programmed(&mut conditions, fault);
                }
                Ok(served) => {
                    status.programmed.clone_from(&asked);
                    status.authoritative.clone_from(&served.answers);
                    status.authoritative.truncate(MOST_SERVERS);
                    // A writer that found it done already knows of no wait: the one that did it told.
                    let told = old.visible_after.as_ref().map(|at| at.0);
                    status.visible_after = served.held.map(|held| held.until).max(told).map(Time);
                    serve(&mut conditions, &old, served, facts.now);
                }
            }
        }
    }
    status.conditions = conditions.finish();
    status
}

/// What was written, and what is about to be, with no hash yet.
pub fn with_intents(written: &[ProgrammedSet], asked: &[ProgrammedSet]) -> Vec<ProgrammedSet> {
    let is_new = |set: &&ProgrammedSet| {
        !written
            .iter()
            .any(|old| (&old.name, &old.type_) == (&set.name, &set.type_))
    };
    let intents = asked.iter().filter(is_new).map(|set| ProgrammedSet {
        hash: String::new(),
        ..set.clone()
    });
    let mut all: Vec<_> = written.iter().cloned().chain(intents).collect();
    all.sort();
    all
}

/// What it says, in the words of the columns.
fn describe(status: &mut DnsRecordStatus, sets: &[RrSet]) {
    let name = status.fqdn.clone().unwrap_or_default();
    let here: Vec<_> = sets.iter().filter(|set| set.name.as_str() == name).collect();
    let types: Vec<_> = here.iter().map(|set| set.type_.as_str()).collect();
    status.effective_type = (!types.is_empty()).then(|| types.join(","));
    status.effective_ttl_seconds = sets
        .iter()
        .map(|set| set.ttl)
        .min()
        .and_then(|ttl| i32::try_from(ttl).ok());
    let values: Vec<&str> = here
        .iter()
        .flat_map(|set| set.values.iter().map(String::as_str))
        .collect();
    let mut shown: Vec<String> = values.iter().take(3).map(|value| shorten(value)).collect();
    if values.len() > 3 {
        shown.push(format!("… {} more", values.len() - 3));
    }
    status.targets = (!shown.is_empty()).then(|| shown.join(", "));
}

fn shorten(value: &str) -> String {
    const LONGEST: usize = 60;
    if value.chars().count() <= LONGEST {
        return value.to_owned();
    }
    value.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// Refused: what is published stays, and the answers about it.
fn refused(conditions: &mut Conditions<'_>, fault: &Fault<Reason>, old: &DnsRecordStatus) {
    let pending = fault.class != Class::Stalled;
    let state = if pending { State::Unknown } else { State::False };
    conditions.set(ACCEPTED, state, fault.reason.as_str(), &told(fault));
    for type_ in [PROGRAMMED, PUBLISHED, PROPAGATED] {
        carry(conditions, &old.conditions, type_);
    }
    if fault.reason == Reason::AppGone && !old.programmed.is_empty() {
        conditions.set(TARGET_RESOLVES, State::False, fault.reason.as_str(), &told(fault));
    }
    not_ready(conditions, fault);
}

fn not_programmed(conditions: &mut Conditions<'_>, fault: &Fault<Reason>) {
    let message = told(fault);
    conditions.set(PROGRAMMED, State::False, fault.reason.as_str(), &message);
    not_ready(conditions, fault);
}

fn serve(conditions: &mut Conditions<'_>, old: &DnsRecordStatus, served: &Served, now: Timestamp) {
    conditions.set(PROGRAMMED, State::True, Reason::Written.as_str(), "");
    if served.is_published() {
        let servers: Vec<_> = served.answers.iter().map(|answer| answer.server.as_str()).collect();
        let message = format!("answered as asked by {}", servers.join(", "));
        conditions.set(PUBLISHED, State::True, Reason::Answered.as_str(), &message);
        conditions.set(READY, State::True, Reason::Published.as_str(), &message);
        propagated(conditions, old, served.held, now);
        return;
    }
    let behind: Vec<String> = served
        .answers
        .iter()
        .filter(|answer| !answer.matches)
        .map(|answer| {
            format!(
                "{} ({})",
                answer.server,
                answer.message.as_deref().unwrap_or("answers something else")
            )
        })
        .collect();
    let stage = &served.stage;
    let message = if behind.is_empty() {
        let why = served.unasked.as_deref().unwrap_or("none is known");
        let next = Reason::AuthoritiesSilent.action();
        format!("{stage}; no authoritative server was asked: {why}. Next: {next}")
    } else {
        format!("{stage}; not yet answered as asked by {}", behind.join(", "))
    };
    conditions.set(PUBLISHED, State::False, Reason::Publishing.as_str(), &message);
    conditions.set(READY, State::False, Reason::Publishing.as_str(), &message);
    conditions.set(RECONCILING, State::True, Reason::Publishing.as_str(), &message);
}

fn propagated(conditions: &mut Conditions<'_>, old: &DnsRecordStatus, held: Option<Held>, now: Timestamp) {
    let told = old.visible_after.as_ref().map(|at| at.0);
    let Some(until) = told.max(held.map(|held| held.until)).filter(|until| *until > now) else {
        conditions.set(PROPAGATED, State::True, Reason::Visible.as_str(), "");
        return;
    };
    let start = format!("visible everywhere after {until:.0}: until then caches may hold");
    let message = match held.filter(|held| held.until == until) {
        Some(held) => format!("{start} {}", held.cached),
        // What it is, only the one knows that changed it, and told it.
        None => conditions::find(&old.conditions, PROPAGATED)
            .map(|told| told.message.clone())
            .filter(|told| told.starts_with(&start))
            .unwrap_or_else(|| format!("{start} an older or negative answer")),
    };
    conditions.set(PROPAGATED, State::False, Reason::CachesHold.as_str(), &message);
}

#[cfg(test)]
mod tests;
