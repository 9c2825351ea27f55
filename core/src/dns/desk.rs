//! What a human at a zone's desk is asked to do, in words and for programs; and what the desk said about it.

use std::collections::BTreeMap;

use super::reasons::Reason;
use super::rrset::RrSet;
use super::zone_file::presentation;
use crate::api::dns::Request;
use crate::fault::Fault;

/// Annotation on a DnsClaim, by the desk: who makes the change.
pub const TAKEN_BY: &str = "tremplin.dev/taken-by";
/// Annotation on a DnsClaim, by the desk: when the change was made (RFC 3339).
pub const DONE_AT: &str = "tremplin.dev/done-at";

/// The request for one record set: what the servers answer now, and what they are to answer.
pub fn request(before: Option<&RrSet>, after: Option<&RrSet>) -> Option<Request> {
    let set = after.or(before)?;
    let (name, type_) = (set.name.to_string(), set.type_.to_string());
    let lines = |set: &RrSet| -> Vec<String> {
        let values = set.values.iter().map(|value| presentation(&set.type_, value));
        values
            .map(|value| format!("{}. {} IN {} {value}", set.name, set.ttl, set.type_))
            .collect()
    };
    let (action, text) = match (before, after) {
        (None, Some(after)) => {
            let lines = lines(after).join("\n");
            ("Create", format!("Merci de créer :\n{lines}\nPlease create:\n{lines}"))
        }
        (Some(_), Some(after)) => {
            let lines = lines(after).join("\n");
            let french = format!("Merci de remplacer les enregistrements {type_} de {name} par :\n{lines}");
            (
                "Replace",
                format!("{french}\nPlease replace the {type_} records of {name} by:\n{lines}"),
            )
        }
        _ => {
            let french = format!("Merci de supprimer les enregistrements {type_} de {name}.");
            (
                "Delete",
                format!("{french}\nPlease delete the {type_} records of {name}."),
            )
        }
    };
    Some(Request {
        action: action.to_owned(),
        ttl_seconds: after.and_then(|set| i32::try_from(set.ttl).ok()),
        values: after
            .map(|set| set.values.iter().cloned().collect())
            .unwrap_or_default(),
        name,
        type_,
        text,
    })
}

/// What a record waits for, with what the desk said.
pub fn waiting(
    requests: &[Request],
    claim: &str,
    annotations: Option<&BTreeMap<String, String>>,
    contact: Option<&str>,
) -> Fault<Reason> {
    let said = |key: &str| annotations.and_then(|annotations| annotations.get(key));
    let asked: Vec<_> = requests
        .iter()
        .map(|request| format!("{} {} {}", request.action, request.name, request.type_))
        .collect();
    let answer = match (said(TAKEN_BY), said(DONE_AT)) {
        (None, None) => String::new(),
        (Some(who), None) => format!("; taken by {who}"),
        (who, Some(when)) => {
            let who = who.map_or("the desk", String::as_str);
            format!("; {who} says that it was done at {when}, and the servers do not answer so yet")
        }
    };
    let message = format!(
        "the zone's desk is asked: {}; the request is in the status of the DnsClaim {claim}{answer}",
        asked.join(", ")
    );
    let fix = contact.map_or_else(String::new, |contact| format!("wait, or ask {contact}"));
    Fault::waiting(Reason::WaitingForDesk, message, fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::rrset::RecordType;
    use crate::dns::testing::name;

    fn set(value: &str) -> RrSet {
        RrSet {
            name: name("app.z.org"),
            type_: RecordType::Txt,
            ttl: 300,
            values: [value.to_owned()].into(),
        }
    }

    #[test]
    fn a_request_says_what_to_do_in_two_languages() {
        let created = request(None, Some(&set("a b"))).unwrap();
        assert_eq!((created.action.as_str(), created.ttl_seconds), ("Create", Some(300)));
        assert!(
            created.text.contains("Merci de créer") && created.text.contains("app.z.org. 300 IN TXT \"a b\""),
            "{}",
            created.text
        );
        assert_eq!(request(Some(&set("a")), Some(&set("b"))).unwrap().action, "Replace");
        let deleted = request(Some(&set("a")), None).unwrap();
        assert_eq!((deleted.action.as_str(), deleted.values.len()), ("Delete", 0));
        assert_eq!(request(None, None), None);
    }

    #[test]
    fn what_the_desk_said_is_told() {
        let requests = [request(None, Some(&set("a"))).unwrap()];
        let taken = BTreeMap::from([(TAKEN_BY.to_owned(), "Claude".to_owned())]);
        let told = waiting(&requests, "app.z.org", Some(&taken), Some("dns@example.org")).to_string();
        assert!(
            told.contains("Create app.z.org TXT")
                && told.contains("taken by Claude")
                && told.contains("dns@example.org"),
            "{told}"
        );
        let done = BTreeMap::from([(DONE_AT.to_owned(), "2026-11-23T10:00:00Z".to_owned())]);
        let told = waiting(&requests, "app.z.org", Some(&done), None).to_string();
        assert!(
            told.contains("the desk says that it was done at 2026-11-23T10:00:00Z"),
            "{told}"
        );
    }
}
