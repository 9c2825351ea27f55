//! Who holds a public name. The app whose live Ingress carries it keeps it; if none does, the one that asked first.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

/// Everybody who has or wants one host, as the cluster shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// The Ingresses that carry it.
    pub carriers: Vec<Carrier>,
    /// The apps whose specs ask for it, this one included.
    pub wanting: Vec<Wanting>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody else has a better right.
    Free,
    /// Somebody has.
    Taken(Holder),
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostClaims(BTreeMap<String, Verdict>);

impl HostClaims {
    /// Judges the hosts of the app with that namespace and UID.
    pub fn judge(namespace: &str, uid: &str, facts: &BTreeMap<String, HostFacts>) -> Self {
        Self(
            facts
                .iter()
                .map(|(host, facts)| (host.clone(), judge(namespace, uid, facts)))
                .collect(),
        )
    }

    /// Whether the app may carry the host.
    pub fn verdict(&self, host: &str) -> Verdict {
        self.0.get(host).cloned().unwrap_or(Verdict::Free)
    }
}

fn judge(namespace: &str, uid: &str, facts: &HostFacts) -> Verdict {
    if facts
        .carriers
        .iter()
        .any(|carrier| carrier.app_uid.as_deref() == Some(uid))
    {
        return Verdict::Free;
    }
    if let Some(carrier) = facts.carriers.first() {
        let app = facts
            .wanting
            .iter()
            .find(|wanting| Some(&wanting.uid) == carrier.app_uid.as_ref());
        return Verdict::Taken(match (carrier.namespace == namespace, app) {
            (false, _) => Holder::Elsewhere,
            (true, Some(app)) => Holder::App(app.name.clone()),
            (true, None) => Holder::Ingress(carrier.name.clone()),
        });
    }
    match facts
        .wanting
        .iter()
        .min_by_key(|wanting| (wanting.created_at, &wanting.uid))
    {
        Some(first) if first.uid != uid && first.namespace == namespace => {
            Verdict::Taken(Holder::App(first.name.clone()))
        }
        Some(first) if first.uid != uid => Verdict::Taken(Holder::Elsewhere),
        _ => Verdict::Free,
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
        };
        assert_eq!(
            judge("paris", "1", &facts),
            Verdict::Taken(Holder::Ingress("ing".into()))
        );
        assert_eq!(judge("lyon", "9", &facts), Verdict::Taken(Holder::Elsewhere));
    }
}
