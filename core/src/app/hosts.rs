//! Who holds a public name. The app whose live Ingress carries it keeps it; if none does, the one that asked first. In a
//! zone of ours its namespace must hold the name too (see [`super::names`]); a host that is carried before anybody held
//! its name stays carried until somebody else holds it: opening a zone cuts nobody off.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::names::Name;
use super::reasons::Reason;
use crate::fault::Fault;

/// Everybody who has or wants one host, as the cluster shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostFacts {
    /// The Ingresses that carry it.
    pub carriers: Vec<Carrier>,
    /// The apps whose specs ask for it, this one included.
    pub wanting: Vec<Wanting>,
    /// Whose its name is.
    pub name: Name,
    /// A DnsRecord of the app's namespace that leads from the host somewhere, and is not this app's.
    pub record: Option<String>,
}

/// An Ingress that carries a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The UID of the app that owns it; `None` when it is not ours.
    pub app_uid: Option<String>,
}

/// An app that asks for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanting {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

/// Whether an app may carry a host.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nobody else has a better right.
    Free,
    /// As free, and its namespace holds the name.
    Held,
    /// Somebody has.
    Taken(Holder),
    /// Its namespace does not hold the name: the app does without it.
    Unrouted(Fault<Reason>),
    /// Its namespace does not hold the name, and nobody does; it is carried already, and stays so.
    Kept(Fault<Reason>),
}

/// Who holds a host, as far as the newcomer may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An app of the same namespace.
    App(String),
    /// An Ingress of the same namespace that is not ours.
    Ingress(String),
    /// Something in another namespace, which the newcomer may not see.
    Elsewhere,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(name) => write!(f, "the app {name}"),
            Self::Ingress(name) => write!(f, "the Ingress {name}, which is not managed by Tremplin"),
            Self::Elsewhere => f.write_str("an app of another namespace"),
        }
    }
}

/// The verdict on each host of one app. Hosts that nobody was asked about are free: without a cluster, all are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostClaims {
    verdicts: BTreeMap<String, Verdict>,
    records: BTreeMap<String, String>,
}

impl HostClaims {
    /// Judges the hosts of the app with that namespace and UID.
    pub fn judge(namespace: &str, uid: &str, facts: &BTreeMap<String, HostFacts>) -> Self {
        let facts = facts.iter();
        Self {
            verdicts: facts
                .clone()
                .map(|(host, facts)| (host.clone(), judge(namespace, uid, facts)))
                .collect(),
            records: facts
                .filter_map(|(host, facts)| Some((host.clone(), facts.record.clone()?)))
                .collect(),
        }
    }

    /// Whether the app may carry the host.
    pub fn verdict(&self, host: &str) -> Verdict {
        self.verdicts.get(host).cloned().unwrap_or(Verdict::Free)
    }

    /// The DnsRecord of the app's namespace that leads from the host somewhere, if there is one that is not the app's.
    pub fn record(&self, host: &str) -> Option<&str> {
        self.records.get(host).map(String::as_str)
    }
}

fn judge(namespace: &str, uid: &str, facts: &HostFacts) -> Verdict {
    let mut carriers = facts.carriers.iter();
    let carried = carriers.any(|carrier| carrier.app_uid.as_deref() == Some(uid));
    match &facts.name {
        Name::Nobodys(fault) if carried => Verdict::Kept(fault.clone()),
        Name::Elsewhere(fault) | Name::Nobodys(fault) => Verdict::Unrouted(fault.clone()),
        Name::Outside => taken(namespace, uid, carried, facts).map_or(Verdict::Free, Verdict::Taken),
        Name::Held => taken(namespace, uid, carried, facts).map_or(Verdict::Held, Verdict::Taken),
    }
}

/// Who has a better right than the app, and all else being equal was first.
fn taken(namespace: &str, uid: &str, carried: bool, facts: &HostFacts) -> Option<Holder> {
    if carried {
        return None;
    }
    if let Some(carrier) = facts.carriers.first() {
        let app = facts
            .wanting
            .iter()
            .find(|wanting| Some(&wanting.uid) == carrier.app_uid.as_ref());
        return Some(match (carrier.namespace == namespace, app) {
            (false, _) => Holder::Elsewhere,
            (true, Some(app)) => Holder::App(app.name.clone()),
            (true, None) => Holder::Ingress(carrier.name.clone()),
        });
    }
    // Who does not hold the name waits for nothing here.
    let entitled = |wanting: &&Wanting| facts.name == Name::Outside || wanting.namespace == namespace;
    let first = facts
        .wanting
        .iter()
        .filter(entitled)
        .min_by_key(|wanting| (wanting.created_at, &wanting.uid))?;
    match first {
        first if first.uid == uid => None,
        first if first.namespace == namespace => Some(Holder::App(first.name.clone())),
        _ => Some(Holder::Elsewhere),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanting(namespace: &str, uid: &str, second: i64) -> Wanting {
        Wanting {
            namespace: namespace.into(),
            name: format!("app-{uid}"),
            uid: uid.into(),
            created_at: Timestamp::from_second(second).ok(),
        }
    }

    fn carrier(namespace: &str, app_uid: Option<&str>) -> Carrier {
        Carrier {
            namespace: namespace.into(),
            name: "ing".into(),
            app_uid: app_uid.map(str::to_owned),
        }
    }

    #[test]
    fn the_app_whose_live_ingress_carries_it_keeps_it() {
        let facts = HostFacts {
            carriers: vec![carrier("lyon", Some("2"))],
            wanting: vec![wanting("paris", "1", 1), wanting("lyon", "2", 2)],
            ..HostFacts::default()
        };
        assert_eq!(judge("lyon", "2", &facts), Verdict::Free);
        assert_eq!(judge("paris", "1", &facts), Verdict::Taken(Holder::Elsewhere));
    }

    #[test]
    fn if_nobody_carries_it_the_first_to_ask_gets_it() {
        let facts = HostFacts {
            carriers: vec![],
            wanting: vec![
                wanting("paris", "b", 5),
                wanting("paris", "a", 5),
                wanting("paris", "0", 6),
            ],
            ..HostFacts::default()
        };
        assert_eq!(judge("paris", "a", &facts), Verdict::Free);
        assert_eq!(judge("paris", "b", &facts), Verdict::Taken(Holder::App("app-a".into())));
        assert_eq!(judge("paris", "0", &facts), Verdict::Taken(Holder::App("app-a".into())));
    }

    #[test]
    fn a_foreign_ingress_is_named_only_in_its_own_namespace() {
        let facts = HostFacts {
            carriers: vec![carrier("paris", None)],
            wanting: vec![wanting("paris", "1", 1)],
            ..HostFacts::default()
        };
        assert_eq!(
            judge("paris", "1", &facts),
            Verdict::Taken(Holder::Ingress("ing".into()))
        );
        assert_eq!(judge("lyon", "9", &facts), Verdict::Taken(Holder::Elsewhere));
    }

    fn told(reason: Reason) -> Fault<Reason> {
        Fault::stalled(reason, "it is not yours", "ask")
    }

    #[test]
    fn a_host_whose_name_is_not_held_is_not_routed_and_one_that_is_carried_stays() {
        let nobodys = Name::Nobodys(told(Reason::NameNotClaimed));
        let mut facts = HostFacts {
            wanting: vec![wanting("paris", "1", 1)],
            name: nobodys,
            ..HostFacts::default()
        };
        let fault = told(Reason::NameNotClaimed);
        assert_eq!(judge("paris", "1", &facts), Verdict::Unrouted(fault.clone()));
        facts.carriers = vec![carrier("paris", Some("1"))];
        assert_eq!(judge("paris", "1", &facts), Verdict::Kept(fault));
    }

    #[test]
    fn a_name_that_another_namespace_holds_is_let_go_even_where_it_was_carried() {
        let facts = HostFacts {
            carriers: vec![carrier("paris", Some("1"))],
            wanting: vec![wanting("paris", "1", 1)],
            name: Name::Elsewhere(told(Reason::NameHeld)),
            record: None,
        };
        assert_eq!(judge("paris", "1", &facts), Verdict::Unrouted(told(Reason::NameHeld)));
    }

    #[test]
    fn who_holds_the_name_waits_for_nobody_who_only_asked_first() {
        let mut facts = HostFacts {
            wanting: vec![wanting("lyon", "older", 1), wanting("paris", "1", 2)],
            name: Name::Held,
            ..HostFacts::default()
        };
        assert_eq!(judge("paris", "1", &facts), Verdict::Held);
        facts.wanting.push(wanting("paris", "0", 1));
        assert_eq!(judge("paris", "1", &facts), Verdict::Taken(Holder::App("app-0".into())));
        // What another one carries still is waited for: two Ingresses of one host would divide its visitors.
        facts.carriers = vec![carrier("lyon", Some("older"))];
        assert_eq!(judge("paris", "1", &facts), Verdict::Taken(Holder::Elsewhere));
    }
}
