//! What a zone's round makes of delegations: published only once every name server answers for the name, and told when
//! one of them no longer does.

use std::time::Duration;

use tremplin_core::api::dns::ProgrammedSet;
use tremplin_core::conditions::State;
use tremplin_core::dns::status::{DELEGATED, Finding};
use tremplin_core::dns::{Reason, RecordType, Zone};
use tremplin_core::fault::Fault;

use super::Dns;
use super::board::Work;
use super::children::{Answered, Delegation};
use super::round::Round;
use super::write::{Asking, Task};
use crate::cluster::Seen;
use crate::dns_provider::authority::Server;
use crate::key::Key;

impl Dns {
    /// What a record hands over, if that is published.
    fn published_delegation(&self, key: &Key) -> Option<Delegation> {
        let seen = self.records.get(key)?;
        let Seen::Object(record) = &*seen else { return None };
        let status = record.status.as_ref()?;
        let is_there = |set: &ProgrammedSet| set.type_ == RecordType::Ns.as_str() && !set.hash.is_empty();
        let hands_over = status.programmed.iter().any(is_there);
        hands_over.then(|| Delegation::of(&self.view(record).judgement.sets))?
    }

    /// Takes out of a task what may not be published yet, and tells the records that ask for it; the others stay, with
    /// what is to be said about them. Tells when servers that do not answer are asked again.
    pub(super) fn gate_delegations(
        &self,
        zone: &Zone,
        servers: &[Server],
        task: &mut Task,
        work: &Work,
    ) -> Option<Duration> {
        let dns = self;
        let gate = Gate {
            dns,
            zone,
            servers,
            work,
        };
        gate.pass(task)
    }
}

impl Round<'_> {
    /// Whether the name servers of what was handed over still answer is asked anew.
    pub(super) fn doubt_delegations(&self) {
        for key in self.dns.records_of(self.zone) {
            if let Some(delegation) = self.dns.published_delegation(&key) {
                self.dns.children.forget(&delegation);
                self.dns.board.ask_again(&self.zone.name, key);
            }
        }
    }
}

/// What delegations have to pass.
struct Gate<'a> {
    dns: &'a Dns,
    zone: &'a Zone,
    /// The zone's own.
    servers: &'a [Server],
    work: &'a Work,
}

impl Gate<'_> {
    /// Tells when servers that do not answer are asked again.
    fn pass(&self, task: &mut Task) -> Option<Duration> {
        let mut again = None;
        for record in std::mem::take(&mut task.records) {
            let Some(delegation) = Delegation::of(&record.sets) else {
                task.records.push(record);
                continue;
            };
            let answered = self.children_answer(delegation, &record);
            // What is being asked wakes the zone by itself.
            let waits = |answered: &&Answered| !answered.silent.is_empty() && answered.is_fresh();
            let wait = answered.as_ref().filter(waits).map(Answered::left);
            again = [again, wait].into_iter().flatten().min();
            if record.was_written {
                self.judge_written(record, answered, task);
            } else {
                self.judge_new(record, answered, task);
            }
        }
        again
    }

    /// What the servers answered last; they are asked again when that is old.
    fn children_answer(&self, delegation: Delegation, record: &Asking) -> Option<Answered> {
        let children = &self.dns.children;
        let answered = children.known(&delegation);
        if answered.as_ref().is_none_or(|answered| !answered.is_fresh()) {
            children.ask(delegation, self.zone, self.servers.to_vec(), &self.dns.wake.zones);
            if record.was_written {
                // To be judged by what they answer now.
                self.dns.board.ask_again(&self.zone.name, record.key.clone());
            }
        }
        answered
    }

    /// It is in the zone: whatever they answer, it stays.
    fn judge_written(&self, mut record: Asking, answered: Option<Answered>, task: &mut Task) {
        let Some(Answered { silent, .. }) = answered else {
            // Nothing is told before something is known.
            if self.work.records.contains(&record.key) {
                self.dns.board.record(&self.zone.name, record.key);
            }
            return;
        };
        record.findings.push(if silent.is_empty() {
            finding(State::True, Reason::ChildServersAnswer, String::new())
        } else {
            self.dns.board.ask_again(&self.zone.name, record.key.clone());
            finding(State::False, Reason::LameDelegation, silent.join("; "))
        });
        task.records.push(record);
    }

    fn judge_new(&self, mut record: Asking, answered: Option<Answered>, task: &mut Task) {
        let message = match answered {
            Some(answered) if answered.silent.is_empty() && answered.is_fresh() => {
                let finding = finding(State::True, Reason::ChildServersAnswer, String::new());
                record.findings.push(finding);
                task.records.push(record);
                return;
            }
            Some(answered) if !answered.silent.is_empty() => {
                let silent = answered.silent.join("; ");
                format!("not every name server answers for the name: {silent}")
            }
            _ => "its name servers are being asked".to_owned(),
        };
        let fault = Fault::waiting(Reason::ChildServersSilent, message, "");
        task.keep_delegation(&record, &fault);
        self.dns.board.record(&self.zone.name, record.key.clone());
        self.dns.refuse(&[record], &fault);
    }
}

impl Task {
    /// Leaves what hands a name over as it is, and what the record had there before; and all that is at the name, where it
    /// is handed over already.
    fn keep_delegation(&mut self, record: &Asking, fault: &Fault<Reason>) {
        let Some(set) = record.sets.iter().find(|set| set.type_ == RecordType::Ns) else {
            return;
        };
        let Some(want) = self.wants.get_mut(&set.name) else {
            return;
        };
        let is_there = record.is_published(&set.name, &RecordType::Ns);
        let is_asked = |type_: &RecordType| is_there || matches!(type_, RecordType::Ns | RecordType::Ds);
        let was_there = |type_: &RecordType| is_there || record.is_published(&set.name, type_);
        let asked = want.sets.keys().filter(|type_| is_asked(type_));
        let waiting: Vec<_> = asked
            .chain(want.withdraw.iter().filter(|type_| was_there(type_)))
            .cloned()
            .collect();
        want.sets.retain(|type_, _| !is_asked(type_));
        want.withdraw.retain(|type_| !was_there(type_));
        let kept = self.kept.entry(set.name.clone()).or_default();
        for type_ in waiting {
            kept.entry(type_).or_insert_with(|| fault.clone());
        }
    }
}

fn finding(state: State, reason: Reason, message: String) -> Finding {
    Finding {
        type_: DELEGATED,
        state,
        reason,
        message,
    }
}
