//! What a human at a zone's desk is asked to do, in words and for programs; and what the desk said about it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::name::Fqdn;
use super::reasons::Reason;
use super::rrset::{RecordType, RrSet};
use super::zone_file::presentation;
use crate::api::dns::Request;
use crate::fault::Fault;

/// Annotation on a DnsClaim, by the desk: who makes the change.
pub const TAKEN_BY: &str = "tremplin.dev/taken-by";
/// Annotation on a DnsClaim, by the desk: when the change was made (RFC 3339).
pub const DONE_AT: &str = "tremplin.dev/done-at";

/// What a server says of a name and a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is as asked for; of what is to be deleted, there is nothing.
    AsAsked,
    /// It is not: what it answers, and why that is not what is asked for.
    Other(Option<RrSet>, String),
    /// It did not answer, and why.
    Silent(String),
}

/// What is to be at a name, of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The name.
    pub name: &'a Fqdn,
    /// The type.
    pub type_: &'a RecordType,
    /// What is to be there; `None`: nothing.
    pub set: Option<&'a RrSet>,
    /// Whether the servers were seen to answer so before.
    pub was_seen: bool,
    /// Whether what is there may be replaced: it was published, asked for or given by the platform team before.
    pub is_ours: bool,
}

impl Wanted<'_> {
    /// Whether it is done: whoever answers says so, and somebody does.
    pub fn is_done(&self, seen: &[Seen]) -> bool {
        let is_other = |seen: &Seen| matches!(seen, Seen::Other(..));
        seen.contains(&Seen::AsAsked) && !seen.iter().any(is_other)
    }

    /// Data of others that stand where something is asked for: a desk is not asked to change them on a team's word alone.
    pub fn foreign<'a>(&self, seen: &'a [Seen]) -> Option<&'a RrSet> {
        let there = seen.iter().find_map(|seen| match seen {
            Seen::Other(there, _) => there.as_ref(),
            Seen::AsAsked | Seen::Silent(_) => None,
        });
        there.filter(|_| self.set.is_some() && !self.is_ours)
    }

    /// What the desk is asked: one thing for each name and type, whatever the number of servers. Where none answers,
    /// nothing is known to have been done, and nothing to have been undone.
    pub fn request(&self, seen: &[Seen], now: Timestamp) -> Option<Request> {
        if self.foreign(seen).is_some() {
            return None;
        }
        let there = seen.iter().find_map(|seen| match seen {
            Seen::Other(there, _) => Some(there.as_ref()),
            Seen::AsAsked | Seen::Silent(_) => None,
        });
        let nobody_knows = seen.iter().all(|seen| matches!(seen, Seen::Silent(_)));
        match there {
            Some(there) => Some(self.asked(there, now)),
            None if nobody_knows && !self.was_seen => Some(self.asked(None, now)),
            None => None,
        }
    }

    fn asked(&self, there: Option<&RrSet>, now: Timestamp) -> Request {
        let (name, type_) = (self.name, self.type_);
        let (action, text) = match (there, self.set) {
            (None, Some(set)) => {
                let lines = lines(set);
                ("Create", format!("Merci de créer :\n{lines}\nPlease create:\n{lines}"))
            }
            (Some(there), Some(set)) => {
                let (there, lines) = (lines(there), lines(set));
                let french = format!("Merci de remplacer :\n{there}\npar :\n{lines}");
                let english = format!("Please replace what is there, all {type_} records of {name}, by:\n{lines}");
                ("Replace", format!("{french}\n{english}"))
            }
            (there, None) => {
                let there = there.map(|there| format!("\n{}", lines(there))).unwrap_or_default();
                let french = format!("Merci de supprimer les enregistrements {type_} de {name}.{there}");
                let english = format!("Please delete the {type_} records of {name}.");
                ("Delete", format!("{french}\n{english}"))
            }
        };
        Request {
            action: action.to_owned(),
            name: name.to_string(),
            type_: type_.to_string(),
            ttl_seconds: self.set.and_then(|set| i32::try_from(set.ttl).ok()),
            values: self
                .set
                .map(|set| set.values.iter().cloned().collect())
                .unwrap_or_default(),
            since: Some(Time(Timestamp::from_second(now.as_second()).unwrap_or(now))),
            text,
        }
    }
}

/// Data of others stand where a team asks for something.
pub fn not_ours(there: &RrSet) -> Fault<Reason> {
    let message = format!(
        "{} {} is there already ({}), and nothing says that it is this namespace's",
        there.name,
        there.type_,
        there.values.iter().cloned().collect::<Vec<_>>().join(", ")
    );
    let fix = format!(
        "choose another name, or ask the platform team to give it to this namespace: {} in spec.adoptions of the DnsZone",
        there.name
    );
    Fault::stalled(Reason::NotOurs, message, fix)
}

fn lines(set: &RrSet) -> String {
    let values = set.values.iter().map(|value| presentation(&set.type_, value));
    let lines = values.map(|value| format!("{}. {} IN {} {value}", set.name, set.ttl, set.type_));
    lines.collect::<Vec<_>>().join("\n")
}

/// The requests, since when they were made. `before`: those that were made before.
pub fn since(mut requests: Vec<Request>, before: &[Request]) -> Vec<Request> {
    for request in &mut requests {
        let same = |old: &&Request| {
            let by = |of: &Request| (of.name.clone(), of.type_.clone(), of.values.clone());
            by(old) == by(request) && (old.action == "Delete") == (request.action == "Delete")
        };
        if let Some(old) = before.iter().find(same) {
            request.since.clone_from(&old.since);
        }
    }
    requests
}

/// What is waited for, with what the desk said.
pub fn waiting(
    requests: &[&Request],
    claim: &str,
    annotations: Option<&BTreeMap<String, String>>,
    contact: Option<&str>,
) -> Fault<Reason> {
    let said = |key: &str| annotations.and_then(|annotations| annotations.get(key));
    let asked: Vec<_> = requests
        .iter()
        .map(|request| format!("{} {} {}", request.action, request.name, request.type_))
        .collect();
    let since = requests
        .iter()
        .filter_map(|request| request.since.as_ref())
        .map(|at| at.0)
        .max();
    let answer = match (said(TAKEN_BY), said(DONE_AT)) {
        (None, None) => String::new(),
        (Some(who), None) => format!("; taken by {who}"),
        (who, Some(when)) => {
            let who = who.map_or("the desk", String::as_str);
            let is_older = matches!((when.parse::<Timestamp>(), since), (Ok(when), Some(since)) if when < since);
            if is_older {
                format!("; what {who} did at {when} was before that")
            } else {
                format!("; {who} says that it was done at {when}, and the servers do not answer so yet")
            }
        }
    };
    let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
    let message = format!(
        "the zone's desk is asked{since}: {}; the request is in the status of the DnsClaim {claim}{answer}",
        asked.join(", ")
    );
    let fix = contact.map_or_else(String::new, |contact| format!("wait, or ask {contact}"));
    Fault::waiting(Reason::WaitingForDesk, message, fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{at, name};

    fn set(value: &str) -> RrSet {
        RrSet {
            name: name("app.z.org"),
            type_: RecordType::Txt,
            ttl: 300,
            values: [value.to_owned()].into(),
        }
    }

    fn asked_with(set: Option<&RrSet>, was_seen: bool, seen: &[Seen]) -> Option<Request> {
        let wanted = Wanted {
            name: &name("app.z.org"),
            type_: &RecordType::Txt,
            set,
            was_seen,
            is_ours: true,
        };
        wanted.request(seen, at(100))
    }

    fn asked(set: Option<&RrSet>, seen: &[Seen]) -> Option<Request> {
        asked_with(set, false, seen)
    }

    fn other(there: Option<RrSet>) -> Seen {
        Seen::Other(there, "answers something else".to_owned())
    }

    fn silent() -> Seen {
        Seen::Silent("no answer".to_owned())
    }

    #[test]
    fn a_request_says_what_to_do_in_two_languages() {
        let created = asked(Some(&set("a b")), &[other(None)]).unwrap();
        assert_eq!((created.action.as_str(), created.ttl_seconds), ("Create", Some(300)));
        assert!(
            created.text.contains("Merci de créer") && created.text.contains("app.z.org. 300 IN TXT \"a b\""),
            "{}",
            created.text
        );
        let replaced = asked(Some(&set("b")), &[other(Some(set("a")))]).unwrap();
        assert_eq!(replaced.action, "Replace");
        let deleted = asked(None, &[other(Some(set("a")))]).unwrap();
        assert_eq!((deleted.action.as_str(), deleted.values.len()), ("Delete", 0));
    }

    #[test]
    fn a_desk_is_not_asked_to_change_what_others_have() {
        let (name, type_, mine, theirs) = (name("app.z.org"), RecordType::Txt, set("a"), set("theirs"));
        let wanted = |set| Wanted {
            name: &name,
            type_: &type_,
            set,
            was_seen: false,
            is_ours: false,
        };
        let seen = [silent(), other(Some(theirs.clone()))];
        assert_eq!(wanted(Some(&mine)).request(&seen, at(100)), None);
        let fault = not_ours(wanted(Some(&mine)).foreign(&seen).unwrap());
        assert_eq!(fault.reason, Reason::NotOurs);
        assert!(fault.to_string().contains("(theirs)"), "{fault}");
        for seen in [vec![other(None)], vec![silent()]] {
            assert_eq!(wanted(Some(&mine)).request(&seen, at(100)).unwrap().action, "Create");
        }
        assert_eq!(wanted(None).request(&seen, at(100)).unwrap().action, "Delete");
    }

    #[test]
    fn what_is_there_is_told_with_what_is_to_become_of_it() {
        let replaced = asked(Some(&set("b")), &[other(Some(set("a")))]).unwrap().text;
        let before = replaced.find("IN TXT \"a\"").unwrap();
        assert!(before < replaced.find("IN TXT \"b\"").unwrap(), "{replaced}");
        let deleted = asked(None, &[other(Some(set("a")))]).unwrap().text;
        assert!(deleted.contains("app.z.org. 300 IN TXT \"a\""), "{deleted}");
    }

    #[test]
    fn what_is_as_asked_is_asked_of_nobody() {
        let there = set("a");
        for seen in [vec![Seen::AsAsked], vec![silent(), Seen::AsAsked]] {
            assert_eq!(asked(Some(&there), &seen), None);
            assert_eq!(asked(None, &seen), None);
        }
        let half = [Seen::AsAsked, silent(), other(None)];
        assert_eq!(asked(Some(&there), &half).unwrap().action, "Create");
    }

    #[test]
    fn while_no_server_answers_only_what_was_never_seen_is_asked_for() {
        let there = set("a");
        for seen in [vec![], vec![silent(), silent()]] {
            assert_eq!(asked(Some(&there), &seen).unwrap().action, "Create");
            assert_eq!(asked(None, &seen).unwrap().action, "Delete");
            assert_eq!(asked_with(Some(&there), true, &seen), None);
        }
    }

    #[test]
    fn a_request_keeps_its_time_as_long_as_it_is_the_same() {
        let first = asked(Some(&set("a")), &[other(None)]).unwrap();
        let mut later = first.clone();
        later.since = Some(Time(at(500)));
        let kept = since(vec![later.clone()], std::slice::from_ref(&first));
        assert_eq!(kept[0].since, first.since);
        later.values = vec!["b".to_owned()];
        assert_eq!(since(vec![later], &[first])[0].since, Some(Time(at(500))));
    }

    #[test]
    fn what_the_desk_said_is_told() {
        let request = asked(Some(&set("a")), &[other(None)]).unwrap();
        let told = |annotations: &[(&str, &str)]| {
            let annotations = annotations.iter();
            let annotations = annotations
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
            waiting(&[&request], "app.z.org", Some(&annotations), Some("dns@example.org")).to_string()
        };
        let taken = told(&[(TAKEN_BY, "Claude")]);
        for words in [
            "Create app.z.org TXT",
            "since 1970-01-01T00:01:40Z",
            "taken by Claude",
            "dns@example.org",
        ] {
            assert!(taken.contains(words), "{taken}");
        }
        let done = told(&[(DONE_AT, "1970-01-01T00:02:00Z")]);
        assert!(
            done.contains("the desk says that it was done at 1970-01-01T00:02:00Z"),
            "{done}"
        );
        let before = told(&[(TAKEN_BY, "Claude"), (DONE_AT, "1970-01-01T00:01:00Z")]);
        assert!(
            before.contains("what Claude did at 1970-01-01T00:01:00Z was before that"),
            "{before}"
        );
    }
}
