//! The names above one, up to the claimed name. Whoever holds the claim in the cluster need not be whose these names are
//! in the zone: what is published below a name speaks for it, to authorities of certificates and to receivers of mail.

use std::collections::{BTreeMap, BTreeSet};

use super::marks::{self, Marks};
use super::{Sets, Want, held_elsewhere, is_of_another, not_ours, of_external_dns, registrar};
use crate::dns::claim::{self, Key};
use crate::dns::name::Fqdn;
use crate::dns::reasons::Reason;
use crate::dns::rrset::RecordType;
use crate::dns::zone::Zone;
use crate::fault::Fault;

/// A name above another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Above {
    /// The name.
    pub name: Fqdn,
    /// Whether the platform team gave what is there to the same owner.
    pub adopted: bool,
}

impl Above {
    /// The names above one that the same claim covers, for a namespace with these labels.
    pub fn of(name: &Fqdn, zone: &Zone, labels: &BTreeMap<String, String>) -> Vec<Self> {
        let Key::Subtree(key) = Key::of(name, zone) else {
            return Vec::new();
        };
        std::iter::successors(name.parent(), Fqdn::parent)
            .take_while(|above| above.is_within(&key))
            .map(|name| Self {
                adopted: claim::is_adopted(&name, zone, labels),
                name,
            })
            .collect()
    }

    /// It, and where its mark is unless it is delegated.
    pub(super) fn names(&self, zone: &Fqdn) -> BTreeSet<Fqdn> {
        let below = marks::both(&self.name, zone).ok().map(|(below, _)| below);
        [self.name.clone()].into_iter().chain(below).collect()
    }

    /// Where its mark is when it is delegated.
    pub(super) fn beside(&self, zone: &Fqdn) -> Option<Fqdn> {
        marks::both(&self.name, zone).ok()?.1
    }

    /// Why the owner may publish nothing new below it: somebody else's data is there.
    pub(super) fn conflict(&self, want: &Want, current: &Sets, zone: &Fqdn) -> Option<Fault<Reason>> {
        let Self { name, .. } = self;
        let adopted = self.adopted || want.adopted;
        let marks = Marks::at(marks::both(name, zone).ok()?, current);
        let said: Vec<_> = marks.said().collect();
        let above = format!("{name}, above {},", want.name);
        if let Some(mark) = said.iter().find(|mark| is_of_another(mark, &want.owner, adopted)) {
            return Some(held_elsewhere(&above, name, mark, &want.owner));
        }
        let here = current.get(name).filter(|here| !here.is_empty())?;
        if !said.is_empty() || adopted {
            return None;
        }
        if let Some(owner) = registrar(here.values()) {
            return Some(of_external_dns(&above, owner));
        }
        let types: Vec<_> = here.keys().map(RecordType::as_str).collect();
        let message = format!(
            "{above} has data of type {} in the zone that Tremplin did not write",
            types.join(", ")
        );
        Some(not_ours(message, name))
    }
}
