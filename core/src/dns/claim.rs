//! Who holds a name. One claim covers a name and everything below it; making it is the decision, first come, first
//! served. It outlives the last record by the zone's quarantine.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::name::Fqdn;
use super::reasons::Reason;
use super::selector;
use super::zone::{RELEASE_AFTER, Zone};
use crate::api::dns::{DnsClaim, DnsClaimSpec, Holder, Withdrawal};
use crate::fault::Fault;
use crate::names::hash_of;

/// What a claim covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A name and everything below it.
    Subtree(Fqdn),
    /// One name alone: the apex, a name above the zone's depth, or one whose claimed label begins with `*` or has `_`.
    /// It belongs to nobody but by adoption.
    Exact(Fqdn),
}

impl Key {
    /// The key of the claim that covers a name of the zone.
    pub fn of(name: &Fqdn, zone: &Zone) -> Self {
        match name.cut(&zone.domain, zone.depth) {
            Some(key) if key.is_host() => Self::Subtree(key),
            _ => Self::Exact(name.clone()),
        }
    }

    /// The name that is held.
    pub fn name(&self) -> &Fqdn {
        let (Self::Subtree(name) | Self::Exact(name)) = self;
        name
    }

    /// Whether records below the two may say something at one name: mail at an apex says something at its `_dmarc` too,
    /// which is a key of its own.
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(other)) => one.host() == other.host(),
            (one, other) => one == other,
        }
    }

    /// The name at or below which everything is that it meets.
    pub fn meeting(&self) -> Fqdn {
        match self {
            Self::Subtree(name) => name.clone(),
            Self::Exact(name) => name.host(),
        }
    }

    /// The name of the DnsClaim: the key itself where Kubernetes takes it as a name, else a hash. (A key has a dot, a
    /// hash has none, so the two never meet.)
    pub fn object_name(&self) -> String {
        object_name(self.name())
    }

    /// Whether a namespace with these labels may ask for it at all.
    ///
    /// # Errors
    /// `NotClaimable` for a name that belongs to nobody and was not given away.
    pub fn claimable(
        &self,
        zone: &Zone,
        labels: &std::collections::BTreeMap<String, String>,
    ) -> Result<(), Fault<Reason>> {
        let Self::Exact(name) = self else { return Ok(()) };
        if is_adopted(name, zone, labels) {
            return Ok(());
        }
        let fix = format!(
            "use a name with {} label(s) below {}, or ask the platform team to add {name} to spec.adoptions of the DnsZone {}",
            zone.depth, zone.domain, zone.name
        );
        let message = format!(
            "{name} belongs to nobody: it is shared by everybody in the zone {}",
            zone.domain
        );
        Err(Fault::stalled(Reason::NotClaimable, message, fix).at("spec.name"))
    }

    /// A claim of it.
    pub fn claim(&self, zone: &Zone, namespace: &str, now: Timestamp) -> DnsClaim {
        let spec = DnsClaimSpec {
            key: self.name().as_str().to_owned(),
            zone: zone.domain.as_str().to_owned(),
            holder: Holder {
                namespace: namespace.to_owned(),
            },
            // Whole seconds: what the API keeps of a time.
            claimed_at: Time(Timestamp::from_second(now.as_second()).unwrap_or(now)),
            withdrawals: Vec::new(),
            departures: None,
            release_at: None,
        };
        DnsClaim::new(&self.object_name(), spec)
    }
}

/// The name of the DnsClaim of a key. Teams choose the names that are hashed: none may be found whose hash is another's.
pub fn object_name(key: &Fqdn) -> String {
    if key.is_host() {
        key.as_str().to_owned()
    } else {
        format!("special-{}", hash_of(key.as_str()))
    }
}

/// Whether the platform team gave exactly this name to namespaces with these labels.
pub fn is_adopted(name: &Fqdn, zone: &Zone, labels: &std::collections::BTreeMap<String, String>) -> bool {
    zone.adoptions
        .iter()
        .any(|adoption| adoption.name == *name && selector::matches(&adoption.namespaces, labels))
}

/// What happens to a claim next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// It is in use again.
    Retake,
    /// It is no longer in use: nobody else gets it before that time.
    ReleaseAt(Timestamp),
    /// Its quarantine goes on until then.
    WaitUntil(Timestamp),
    /// Its quarantine is over: it is removed.
    Remove,
}

/// What happens to a claim next. `uses` counts the records and hosts that use it; `release_after` is the zone's, `None`
/// when the zone is gone.
pub fn next(claim: &DnsClaimSpec, uses: usize, release_after: Option<i64>, now: Timestamp) -> Step {
    match (uses, &claim.release_at) {
        (1.., Some(_)) => Step::Retake,
        (1.., None) => Step::Keep,
        // What is in the zone is taken out before anybody else may get the name.
        (0, _) if !claim.withdrawals.is_empty() => Step::Keep,
        (0, None) => {
            let seconds = release_after.unwrap_or(RELEASE_AFTER);
            let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
            Step::ReleaseAt(
                whole
                    .saturating_add(SignedDuration::from_secs(seconds))
                    .unwrap_or(Timestamp::MAX),
            )
        }
        (0, Some(at)) if at.0 <= now => Step::Remove,
        (0, Some(at)) => Step::WaitUntil(at.0),
    }
}

/// Who holds a name that a namespace asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Holding {
    /// Nobody.
    Free,
    /// The namespace itself.
    Ours,
    /// The namespace itself, but it is about to lose it.
    Leaving,
    /// Another.
    Other,
}

/// Who holds the name of a claim, in the eyes of a namespace.
pub fn holding(claim: Option<&DnsClaimSpec>, namespace: &str) -> Holding {
    match claim {
        None => Holding::Free,
        Some(claim) if claim.holder.namespace != namespace => Holding::Other,
        Some(claim) if claim.release_at.is_some() => Holding::Leaving,
        Some(_) => Holding::Ours,
    }
}

/// The refusal of a newcomer: who holds the name, since when, until when, and whom to ask.
pub fn held_by_another(claim: &DnsClaimSpec, contact: Option<&str>) -> Fault<Reason> {
    let until = claim
        .release_at
        .as_ref()
        .map(|at| format!(", and gives it up: it is free again after {}", at.0))
        .unwrap_or_default();
    let message = format!(
        "{} is held by the namespace {} since {}{until}",
        claim.key, claim.holder.namespace, claim.claimed_at.0
    );
    let fix = match contact {
        Some(contact) => format!("choose another name, or ask {contact}"),
        None => "choose another name, or ask the team of that namespace".to_owned(),
    };
    Fault::stalled(Reason::NameHeld, message, fix).at("spec.name")
}

/// The refusal of one name too many, with what of the namespace's names it may use again: those in quarantine count, so
/// that nobody collects names by giving them up. `held`: its claims of the zone.
pub fn tell_quarantines<'a>(fault: Fault<Reason>, held: impl IntoIterator<Item = &'a DnsClaimSpec>) -> Fault<Reason> {
    let released = held.into_iter().filter_map(|claim| {
        let until = claim.release_at.as_ref()?;
        Some((until.0, &claim.key))
    });
    let released: std::collections::BTreeSet<_> = released.collect();
    let Some((until, key)) = released.first().filter(|_| fault.reason == Reason::TooManyClaims) else {
        return fault;
    };
    let count = released.len();
    Fault {
        message: format!(
            "{}; {count} of these in quarantine, the first to end: {key}, after {until}",
            fault.message
        ),
        fix: format!(
            "use a name in quarantine again, such as {key}, wait until then, or ask the platform team for more"
        ),
        ..fault
    }
}

/// Why something is to be withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A record no longer says it, and notes it with every round until it is struck off.
    Change,
    /// A record goes, and notes it once: what was noted before may be being struck off at this moment, by who saw the
    /// name in use again.
    Departure,
}

/// What a claim says when more is to be withdrawn: each once, in order. `None`: it says so already.
pub fn with_withdrawals(
    claim: &DnsClaimSpec,
    more: impl IntoIterator<Item = Withdrawal>,
    occasion: Occasion,
) -> Option<DnsClaimSpec> {
    let mut more = more.into_iter().peekable();
    let departed = occasion == Occasion::Departure && more.peek().is_some();
    let mut all: std::collections::BTreeSet<_> = claim.withdrawals.iter().cloned().collect();
    all.extend(more);
    let new = DnsClaimSpec {
        withdrawals: all.into_iter().collect(),
        departures: match (departed, claim.departures) {
            (true, before) => Some(before.unwrap_or_default().saturating_add(1)),
            (false, before) => before,
        },
        ..claim.clone()
    };
    (new != *claim).then_some(new)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::dns::testing::{at, name, zone};

    #[test]
    fn a_claim_covers_its_subtree_and_shared_names_belong_to_nobody() {
        let zone = zone(
            "{domain: z.org, provider: {type: Request}, adoptions: [{name: z.org, namespaceSelector: {matchLabels: {team: core}}}]}",
        );
        for covered in [
            "x.z.org",
            "a.x.z.org",
            "*.x.z.org",
            "_acme-challenge.x.z.org",
            "_dmarc.x.z.org",
        ] {
            assert_eq!(
                Key::of(&name(covered), &zone),
                Key::Subtree(name("x.z.org")),
                "{covered}"
            );
        }
        let none = BTreeMap::new();
        let core = BTreeMap::from([("team".to_owned(), "core".to_owned())]);
        for shared in ["z.org", "*.z.org", "_dmarc.z.org", "sip._tcp.z.org"] {
            let key = Key::of(&name(shared), &zone);
            assert_eq!(key, Key::Exact(name(shared)), "{shared}");
            assert_eq!(key.claimable(&zone, &none).unwrap_err().reason, Reason::NotClaimable);
            assert_eq!(key.claimable(&zone, &core).is_ok(), shared == "z.org", "{shared}");
        }
        assert_ne!(object_name(&name("*.z.org")), object_name(&name("_dmarc.z.org")));
    }

    #[test]
    fn what_mail_at_an_apex_says_meets_the_names_where_it_says_it() {
        let zone = zone("{domain: z.org, provider: {type: Request}}");
        let key = |host: &str| Key::of(&name(host), &zone);
        for host in ["z.org", "_dmarc.z.org", "a.b._domainkey.z.org", "_sip._tcp.z.org"] {
            assert!(
                key("z.org").meets(&key(host)) && key(host).meets(&key("z.org")),
                "{host}"
            );
            assert_eq!(key(host).meeting(), name("z.org"));
        }
        for host in ["x.z.org", "_dmarc.x.z.org", "*.z.org"] {
            assert!(!key("z.org").meets(&key(host)), "{host}");
        }
        assert!(key("x.z.org").meets(&key("_dmarc.x.z.org")));
        assert_eq!(key("_dmarc.x.z.org").meeting(), name("x.z.org"));
    }

    #[test]
    fn deeper_claims_leave_what_is_above_to_nobody() {
        let zone = zone("{domain: z.org, provider: {type: Request}, claims: {depth: 2}}");
        assert_eq!(Key::of(&name("x.z.org"), &zone), Key::Exact(name("x.z.org")));
        assert_eq!(Key::of(&name("c.b.a.z.org"), &zone), Key::Subtree(name("b.a.z.org")));
    }

    #[test]
    fn a_claim_outlives_its_last_record_by_the_quarantine() {
        let zone = zone("{domain: z.org, provider: {type: Request}, claims: {releaseAfterSeconds: 100}}");
        let mut claim = Key::Subtree(name("x.z.org")).claim(&zone, "blue", at(5)).spec;
        assert_eq!(next(&claim, 1, Some(zone.release_after), at(10)), Step::Keep);
        claim.withdrawals = vec![Withdrawal {
            name: "x.z.org".into(),
            type_: "A".into(),
        }];
        assert_eq!(
            next(&claim, 0, Some(zone.release_after), at(10)),
            Step::Keep,
            "its data first"
        );
        claim.withdrawals.clear();
        assert_eq!(
            next(&claim, 0, Some(zone.release_after), at(10)),
            Step::ReleaseAt(at(110))
        );
        claim.release_at = Some(Time(at(110)));
        assert_eq!(
            next(&claim, 0, Some(zone.release_after), at(109)),
            Step::WaitUntil(at(110))
        );
        assert_eq!(next(&claim, 1, Some(zone.release_after), at(109)), Step::Retake);
        assert_eq!(next(&claim, 0, None, at(110)), Step::Remove);
        assert_eq!(holding(Some(&claim), "blue"), Holding::Leaving);
        assert_eq!(holding(Some(&claim), "red"), Holding::Other);
        let told = held_by_another(&claim, Some("blue@example.org")).to_string();
        assert!(
            told.contains("namespace blue") && told.contains("blue@example.org") && told.contains("free again"),
            "{told}"
        );
    }

    #[test]
    fn one_name_too_many_is_told_of_the_quarantines_that_count() {
        let zone = zone("{domain: z.org, provider: {type: Request}}");
        let claim = |key: &str, until: Option<i64>| {
            let spec = Key::Subtree(name(key)).claim(&zone, "blue", at(5)).spec;
            let release_at = until.map(|until| Time(at(until)));
            DnsClaimSpec { release_at, ..spec }
        };
        let refused = |reason| Fault::stalled(reason, "blue holds 3 names, and may hold 3", "give up a name");
        let held = [
            claim("a.z.org", None),
            claim("b.z.org", Some(200)),
            claim("c.z.org", Some(100)),
        ];
        let told = tell_quarantines(refused(Reason::TooManyClaims), &held);
        assert_eq!(
            told.message,
            "blue holds 3 names, and may hold 3; 2 of these in quarantine, the first to end: c.z.org, after 1970-01-01T00:01:40Z"
        );
        assert!(told.fix.contains("again, such as c.z.org, wait"), "{}", told.fix);
        for (reason, held) in [(Reason::TooManyClaims, &held[..1]), (Reason::NameReserved, &held[..])] {
            assert_eq!(tell_quarantines(refused(reason), held), refused(reason));
        }
    }

    #[test]
    fn what_a_record_leaves_moves_the_claim_also_when_it_was_noted_before() {
        let zone = zone("{domain: z.org, provider: {type: Request}}");
        let claim = Key::Subtree(name("x.z.org")).claim(&zone, "blue", at(5)).spec;
        let data = || {
            [Withdrawal {
                name: "x.z.org".into(),
                type_: "A".into(),
            }]
        };
        let changed = with_withdrawals(&claim, data(), Occasion::Change).unwrap();
        assert_eq!((changed.withdrawals.len(), changed.departures), (1, None));
        assert_eq!(with_withdrawals(&changed, data(), Occasion::Change), None);
        let left = with_withdrawals(&changed, data(), Occasion::Departure).unwrap();
        assert_eq!((left.withdrawals.len(), left.departures), (1, Some(1)));
        let again = with_withdrawals(&left, data(), Occasion::Departure).unwrap();
        assert_eq!((again.withdrawals.len(), again.departures), (1, Some(2)));
        assert_eq!(
            with_withdrawals(&again, [], Occasion::Departure),
            None,
            "nothing was left"
        );
    }
}
