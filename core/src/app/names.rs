//! Whether an app may answer at a host that lies in a zone of ours: its namespace needs the claim that covers it, as for
//! a record. Nobody else's claim, and no app that merely asked first, makes up for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reasons::Reason;
use crate::api::dns::{DnsClaimSpec, DnsRecord, DnsRecordSpec, RecordTypeChoice};
use crate::dns::claim::{self, Holding, Key};
use crate::dns::opened::OpenZone;
use crate::dns::{Fqdn, Zone, judge};
use crate::fault::Fault;

/// Whose the name of a host is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Name {
    /// No zone of ours covers it: nobody needs to hold it.
    #[default]
    Outside,
    /// The app's namespace holds it.
    Held,
    /// Another namespace holds it; the fault says which.
    Elsewhere(Fault<Reason>),
    /// Nobody holds it, or nobody can tell; the fault says what to do.
    Nobodys(Fault<Reason>),
}

/// What the cluster shows of the name of a host.
pub struct NameFacts<'a> {
    /// The name.
    pub host: &'a Fqdn,
    /// The zone that it is in.
    pub open: &'a OpenZone,
    /// The namespace of the app.
    pub namespace: &'a str,
    /// The namespace's labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// Who wrote what about a name, as the judgement asks for it.
pub struct Claimed {
    /// The claim.
    pub claim: DnsClaimSpec,
    /// Whom its holder wants to be asked.
    pub contact: Option<String>,
}

impl NameFacts<'_> {
    /// Whose the name is; `claimed` looks up the claim of a key.
    pub fn judge(&self, claimed: impl FnOnce(&Key) -> Option<Claimed>) -> Name {
        let zone = match &self.open.zone {
            Ok(zone) => zone,
            Err(fault) => {
                let message = format!("the DnsZone {} cannot be used: {}", self.open.name, fault.message);
                return Name::Nobodys(unclaimed(message, "ask the platform team"));
            }
        };
        let key = Key::of(self.host, zone);
        let Some(Claimed { claim, contact }) = claimed(&key) else {
            return Name::Nobodys(self.free(&key, zone));
        };
        match claim::holding(Some(&claim), self.namespace) {
            // In its quarantine it is still this namespace's, and taken again by being used.
            Holding::Ours | Holding::Leaving => Name::Held,
            Holding::Free | Holding::Other => {
                let contact = contact.or_else(|| zone.contact.clone());
                let fault = claim::held_by_another(&claim, contact.as_deref());
                Name::Elsewhere(Fault {
                    field: None,
                    ..fault.map(|_| Reason::NameHeld)
                })
            }
        }
    }

    fn free(&self, key: &Key, zone: &Zone) -> Fault<Reason> {
        if let Err(fault) = key.claimable(zone, self.labels) {
            return unclaimed(fault.message, &fault.fix);
        }
        let message = format!(
            "it lies in the zone {}, where this namespace does not hold {}",
            zone.domain,
            key.name()
        );
        unclaimed(message, &format!("commit a DnsRecord for {}", self.host))
    }
}

fn unclaimed(message: String, fix: &str) -> Fault<Reason> {
    Fault::stalled(Reason::NameNotClaimed, message, fix)
}

/// The open zone that a host lies in, with the host as a name.
pub fn covering(host: &str, opened: &crate::dns::opened::Opened) -> Option<(Fqdn, Arc<OpenZone>)> {
    let host = Fqdn::parse(host).ok()?;
    let open = opened.covering(&host)?;
    Some((host, open))
}

/// Whether a record leads from a host somewhere, so that another one that does cannot stand beside it. (Texts and mail
/// can.)
pub fn leads_from(record: &DnsRecord, host: &str) -> bool {
    let DnsRecordSpec {
        targets,
        app_ref,
        delegation,
        type_,
        ..
    } = &record.spec;
    let leads = !targets.is_empty()
        || app_ref.is_some()
        || delegation.is_some()
        || matches!(
            type_,
            Some(
                RecordTypeChoice::A
                    | RecordTypeChoice::AAAA
                    | RecordTypeChoice::CNAME
                    | RecordTypeChoice::ALIAS
                    | RecordTypeChoice::NS
            )
        );
    leads && judge::name(record).is_ok_and(|name| name.as_str() == host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{at, name, zone};

    const ZONE: &str = "{domain: z.org, provider: {type: Request}, contact: dns@z.org,
        adoptions: [{name: z.org, namespaceSelector: {matchLabels: {team: core}}}]}";

    fn judge(host: &str, holder: Option<&str>, labels: &[(&str, &str)]) -> Name {
        let parsed = zone(ZONE);
        let open = OpenZone {
            name: "shared".into(),
            zone: Ok(parsed.clone()),
        };
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let facts = NameFacts {
            host: &name(host),
            open: &open,
            namespace: "blue",
            labels: &labels,
        };
        facts.judge(|key| {
            let claim = key.claim(&parsed, holder?, at(5)).spec;
            Some(Claimed { claim, contact: None })
        })
    }

    fn fault(name: Name) -> String {
        match name {
            Name::Elsewhere(fault) => format!("elsewhere {:?} {fault}", fault.reason),
            Name::Nobodys(fault) => format!("nobodys {:?} {fault}", fault.reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_host_below_a_name_that_the_namespace_holds_is_its_own() {
        for host in ["x.z.org", "deep.x.z.org"] {
            assert_eq!(judge(host, Some("blue"), &[]), Name::Held, "{host}");
        }
    }

    #[test]
    fn a_host_of_another_namespace_says_whose_it_is_and_whom_to_ask() {
        let told = fault(judge("a.x.z.org", Some("red"), &[]));
        assert!(
            told.starts_with("elsewhere NameHeld x.z.org is held by the namespace red since"),
            "{told}"
        );
        assert!(told.ends_with("ask dns@z.org"), "{told}");
    }

    #[test]
    fn a_host_of_nobody_says_what_to_commit() {
        let told = fault(judge("a.x.z.org", None, &[]));
        assert!(
            told.contains("does not hold x.z.org: commit a DnsRecord for a.x.z.org"),
            "{told}"
        );
    }

    #[test]
    fn a_host_that_belongs_to_nobody_needs_an_adoption_and_then_a_record() {
        let told = fault(judge("z.org", None, &[]));
        assert!(
            told.contains("NameNotClaimed") && told.contains("adoptions of the DnsZone shared"),
            "{told}"
        );
        let told = fault(judge("z.org", None, &[("team", "core")]));
        assert!(told.ends_with("commit a DnsRecord for z.org"), "{told}");
    }

    #[test]
    fn in_a_zone_that_cannot_be_used_nobody_holds_anything() {
        let open = OpenZone {
            name: "shared".into(),
            zone: Err(Fault::stalled(crate::dns::Reason::InvalidZone, "broken", "")),
        };
        let facts = NameFacts {
            host: &name("x.z.org"),
            open: &open,
            namespace: "blue",
            labels: &BTreeMap::new(),
        };
        let told = fault(facts.judge(|_| None));
        assert!(told.contains("the DnsZone shared cannot be used: broken"), "{told}");
    }
}
