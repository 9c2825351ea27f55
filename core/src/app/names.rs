//! Whether an app may answer at a host that lies in a zone of ours: its namespace needs the claim that covers it, as for
//! a record. Nobody else's claim, and no app that merely asked first, makes up for it.

use std::collections::BTreeMap;

use super::reasons::Reason;
use crate::api::dns::DnsClaimSpec;
use crate::dns::claim::{self, Holding, Key};
use crate::dns::opened::{OpenZone, Opened};
use crate::dns::{Fqdn, Zone};
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

/// Who asks for names.
pub struct Applicant<'a> {
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

impl Applicant<'_> {
    /// Whose the name of a host is; `claimed` looks up the claim of a key. A claim guards its name also when its zone is
    /// gone: that ends with the claim.
    pub fn judge(&self, host: &str, opened: &Opened, claimed: impl Fn(&Fqdn) -> Option<Claimed>) -> Name {
        let Ok(host) = Fqdn::parse(host) else {
            return Name::Outside;
        };
        let left = left_over(&host, opened, &claimed);
        match (left, opened.covering(&host)) {
            (Some(left), _) if left.claim.holder.namespace != self.namespace => {
                let mut fault = elsewhere(&left, None);
                fault.message.push_str(", though its DnsZone is gone");
                // Without the zone nobody can tell for sure what the claim covers.
                Name::Nobodys(fault)
            }
            (_, Some(open)) => self.judge_in(&host, &open, claimed),
            (Some(_), None) => Name::Held,
            (None, None) => Name::Outside,
        }
    }

    fn judge_in(&self, host: &Fqdn, open: &OpenZone, claimed: impl Fn(&Fqdn) -> Option<Claimed>) -> Name {
        let zone = match &open.zone {
            Ok(zone) => zone,
            Err(fault) => {
                let message = format!("the DnsZone {} cannot be used: {}", open.name, fault.message);
                return Name::Nobodys(unclaimed(message, "ask the platform team"));
            }
        };
        let key = Key::of(host, zone);
        let Some(found) = claimed(key.name()) else {
            return Name::Nobodys(self.free(host, &key, zone));
        };
        match claim::holding(Some(&found.claim), self.namespace) {
            // In its quarantine it is still this namespace's, and taken again by being used.
            Holding::Ours | Holding::Leaving => Name::Held,
            Holding::Free | Holding::Other => Name::Elsewhere(elsewhere(&found, zone.contact.as_deref())),
        }
    }

    fn free(&self, host: &Fqdn, key: &Key, zone: &Zone) -> Fault<Reason> {
        if let Err(fault) = key.claimable(zone, self.labels) {
            return unclaimed(fault.message, &fault.fix);
        }
        let message = format!(
            "it lies in the zone {}, where this namespace does not hold {}",
            zone.domain,
            key.name()
        );
        unclaimed(message, &format!("commit a DnsRecord for {host}"))
    }
}

/// The claim of a zone that is gone which covers a host: its own, or that of a name above it below the zone.
fn left_over(host: &Fqdn, opened: &Opened, claimed: &impl Fn(&Fqdn) -> Option<Claimed>) -> Option<Claimed> {
    let mut name = Some(host.clone());
    while let Some(at) = name {
        let found = claimed(&at).filter(|found| {
            let zone = Fqdn::parse(&found.claim.zone).ok();
            let is_gone = zone.as_ref().is_none_or(|zone| opened.at(zone).is_none());
            // The apex alone is held, never what is below it.
            is_gone && (at == *host || zone.as_ref() != Some(&at))
        });
        if found.is_some() {
            return found;
        }
        name = at.parent();
    }
    None
}

fn elsewhere(found: &Claimed, of_zone: Option<&str>) -> Fault<Reason> {
    let contact = found.contact.as_deref().or(of_zone);
    let fault = claim::held_by_another(&found.claim, contact);
    Fault {
        field: None,
        ..fault.map(|_| Reason::NameHeld)
    }
}

fn unclaimed(message: String, fix: &str) -> Fault<Reason> {
    Fault::stalled(Reason::NameNotClaimed, message, fix)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dns::testing::{at, zone};

    const ZONE: &str = "{domain: z.org, provider: {type: Request}, contact: dns@z.org,
        adoptions: [{name: z.org, namespaceSelector: {matchLabels: {team: core}}}]}";

    fn opened(spec: &str) -> Opened {
        let spec: serde_json::Value = serde_saphyr::from_str(spec).unwrap();
        let zone = json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "shared"}, "spec": spec});
        Opened::of(vec![serde_json::from_value(zone).unwrap()])
    }

    /// Whose a host is in the eyes of the namespace blue, with that zone and these claims: key, zone and holder.
    fn judged(host: &str, opened: &Opened, claims: &[[&str; 3]], labels: &[(&str, &str)]) -> Name {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let applicant = Applicant {
            namespace: "blue",
            labels: &labels,
        };
        applicant.judge(host, opened, |key| {
            let [_, domain, holder] = claims.iter().find(|[claimed, ..]| *claimed == key.as_str())?;
            let zone = zone(&format!("{{domain: {domain}, provider: {{type: Request}}}}"));
            let claim = Key::Subtree(key.clone()).claim(&zone, holder, at(5)).spec;
            Some(Claimed { claim, contact: None })
        })
    }

    fn judge(host: &str, holder: Option<&str>, labels: &[(&str, &str)]) -> Name {
        let claims: Vec<_> = holder.map(|holder| ["x.z.org", "z.org", holder]).into_iter().collect();
        judged(host, &opened(ZONE), &claims, labels)
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
        let broken = opened("{domain: z.org, provider: {type: Request}, admission: {namePolicy: {pattern: '('}}}");
        let told = fault(judged("x.z.org", &broken, &[["x.z.org", "z.org", "blue"]], &[]));
        assert!(told.contains("the DnsZone shared cannot be used: "), "{told}");
    }

    #[test]
    fn a_claim_guards_its_name_also_when_its_zone_is_gone() {
        let none = Opened::default();
        let claims = [
            ["x.z.org", "z.org", "red"],
            ["mine.z.org", "z.org", "blue"],
            ["z.org", "z.org", "red"],
        ];
        let judge = |host| judged(host, &none, &claims, &[]);
        for host in ["x.z.org", "deep.x.z.org", "z.org"] {
            let told = fault(judge(host));
            assert!(told.starts_with("nobodys NameHeld "), "{told}");
            assert!(told.contains("held by the namespace red since"), "{told}");
            assert!(told.contains("though its DnsZone is gone"), "{told}");
        }
        assert_eq!(judge("deep.mine.z.org"), Name::Held);
        for host in ["free.z.org", "org", "x.org"] {
            assert_eq!(
                judge(host),
                Name::Outside,
                "{host}: who held the apex held nothing below it"
            );
        }
    }

    #[test]
    fn a_claim_of_a_zone_that_is_gone_counts_beside_a_wider_zone_that_is_there() {
        let judge = |holder| judged("a.x.z.org", &opened(ZONE), &[["a.x.z.org", "x.z.org", holder]], &[]);
        assert!(fault(judge("red")).starts_with("nobodys NameHeld"));
        // In the wider zone it is the name x.z.org that must be held, as anybody's.
        assert!(fault(judge("blue")).starts_with("nobodys NameNotClaimed"));
    }
}
