//! Where a record leads, as others answer: whether mail would work, and whether targets are still there.
//!
//! Nothing is withdrawn for what others answer: a target that is gone is told, and a server that does not answer proves
//! nothing.

use std::collections::BTreeSet;

use super::facts::{Answer, Facts, Kind, Question};
use super::mail;
use super::name::Fqdn;
use super::reasons::Reason;
use super::rrset::{RecordType, RrSet};
use crate::api::dns::Mail;
use crate::conditions::State;

/// The condition about mail.
pub const MAIL_READY: &str = "MailReady";
/// The condition about targets.
pub const TARGET_RESOLVES: &str = "TargetResolves";

/// State, reason and message of a condition.
pub type Told = (State, Reason, String);

/// What is to be said about where a record leads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// The conditions that the record has; `None` while its questions are open.
    pub conditions: Vec<(&'static str, Option<Told>)>,
    /// What must be asked to know more.
    pub open: BTreeSet<Question>,
}

/// Looks where a record of that name leads. `beside`: for mail, what other records of its namespace say there and below.
pub fn outlook(mail: Option<&Mail>, name: &Fqdn, sets: &[RrSet], beside: &[RrSet], facts: &Facts) -> Outlook {
    let mut outlook = Outlook::default();
    if let Some(mail) = mail {
        let verdict = mail::lint(mail, name, beside, facts);
        let condition = verdict.open.is_empty().then(|| verdict.condition());
        outlook.conditions.push((MAIL_READY, condition));
        outlook.open.extend(verdict.open);
    } else {
        outlook.targets(sets, facts);
    }
    outlook
}

impl Outlook {
    fn targets(&mut self, sets: &[RrSet], facts: &Facts) {
        let questions = sets.iter().flat_map(hosts).map(|host| Question::new(&host, Kind::Name));
        let questions: Vec<_> = questions.collect();
        if questions.is_empty() {
            return;
        }
        let told = self.answers(questions, facts).map(|answers| {
            if !answers.no.is_empty() {
                let gone = answers.no.join(", ");
                let message = format!("{gone} no longer resolves: who gets that name gets your visitors");
                return (State::False, Reason::TargetGone, message);
            }
            answers.unsure(State::True, Reason::Resolves)
        });
        self.conditions.push((TARGET_RESOLVES, told));
    }

    /// `None` while not everything is known.
    fn answers(&mut self, questions: impl IntoIterator<Item = Question>, facts: &Facts) -> Option<Answers> {
        let mut answers = Answers::default();
        let before = self.open.len();
        for question in questions {
            let name = question.name.to_string();
            match facts.get(&question) {
                None => drop(self.open.insert(question)),
                Some(Answer::Nothing) => answers.no.push(name),
                Some(Answer::Unknown) => answers.unsure.push(name),
                Some(Answer::Found | Answer::Alias | Answer::Texts(_)) => {}
            }
        }
        (self.open.len() == before).then_some(answers)
    }
}

/// The names about which the answer was not yes.
#[derive(Default)]
struct Answers {
    no: Vec<String>,
    unsure: Vec<String>,
}

impl Answers {
    /// All is well, unless somebody did not answer.
    fn unsure(&self, state: State, reason: Reason) -> Told {
        if self.unsure.is_empty() {
            return (state, reason, String::new());
        }
        let message = format!("no answer about {}", self.unsure.join(", "));
        (State::Unknown, Reason::TargetUnknown, message)
    }
}

/// The hosts that a set leads to.
fn hosts(set: &RrSet) -> impl Iterator<Item = Fqdn> + '_ {
    let leads = matches!(
        set.type_,
        RecordType::Cname | RecordType::Alias | RecordType::Mx | RecordType::Srv | RecordType::Ns
    );
    let last = |value: &String| value.rsplit(' ').next().and_then(|host| Fqdn::parse(host).ok());
    set.values.iter().filter(move |_| leads).filter_map(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::name;

    fn set(type_: RecordType, values: &[&str]) -> RrSet {
        RrSet {
            name: name("app.example.org"),
            type_,
            ttl: 300,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }
    }

    fn look(sets: &[RrSet], answers: &[(&str, Kind, Answer)]) -> Outlook {
        let facts = answers
            .iter()
            .map(|(host, kind, answer)| (Question::new(&name(host), *kind), answer.clone()))
            .collect();
        outlook(None, &name("app.example.org"), sets, &[], &facts)
    }

    fn told(outlook: &Outlook) -> Vec<(&'static str, State, Reason)> {
        let conditions = outlook.conditions.iter();
        conditions
            .filter_map(|(type_, told)| told.as_ref().map(|(state, reason, _)| (*type_, *state, *reason)))
            .collect()
    }

    #[test]
    fn a_target_is_gone_only_when_somebody_says_so() {
        let sets = [set(RecordType::Cname, &["h.example.net"])];
        for (answer, state, reason) in [
            (Answer::Found, State::True, Reason::Resolves),
            (Answer::Nothing, State::False, Reason::TargetGone),
            (Answer::Unknown, State::Unknown, Reason::TargetUnknown),
        ] {
            let seen = look(&sets, &[("h.example.net", Kind::Name, answer)]);
            assert_eq!(told(&seen), [(TARGET_RESOLVES, state, reason)]);
            assert_eq!(seen.open.len(), 0);
        }
    }

    #[test]
    fn what_is_not_known_yet_is_asked_for_and_nothing_is_said() {
        let sets = [set(RecordType::Mx, &["10 a.example.net", "20 b.example.net"])];
        let seen = look(&sets, &[("a.example.net", Kind::Name, Answer::Found)]);
        assert_eq!(told(&seen), []);
        assert_eq!(seen.open, [Question::new(&name("b.example.net"), Kind::Name)].into());
    }

    #[test]
    fn addresses_texts_and_null_mx_lead_to_nobody() {
        let sets = [
            set(RecordType::A, &["192.0.2.1"]),
            set(RecordType::Txt, &["a h.example.net"]),
            set(RecordType::Mx, &["0 ."]),
        ];
        let seen = look(&sets, &[]);
        assert_eq!((told(&seen), seen.open.len()), (vec![], 0));
    }

    #[test]
    fn mail_is_judged_as_one_unit() {
        let mail: Mail = serde_saphyr::from_str("{preset: None}").unwrap();
        let sets = [set(RecordType::Mx, &["0 ."])];
        let seen = outlook(Some(&mail), &name("app.example.org"), &sets, &[], &Facts::new());
        assert_eq!(told(&seen), [(MAIL_READY, State::True, Reason::MailComplete)]);
    }
}
