//! From a zone as it is and what is asked for to the changes that make it so, name by name.
//!
//! What is ours is what our mark names; the rest is left alone. Nothing is removed because it is not asked for: only
//! what was withdrawn by name and type, and what cannot stand beside what is asked for in its place.

use std::collections::{BTreeMap, BTreeSet};

use super::change::Change;
use super::name::Fqdn;
use super::ownership::{self, Mark, Owner, mark_name};
use super::profile::{Atomicity, Profile};
use super::reasons::Reason;
use super::rrset::{RecordType, RrSet};
use super::zone::Zone;
use crate::fault::Fault;

/// What is asked for at one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The name.
    pub name: Fqdn,
    /// Whose it is.
    pub owner: Owner,
    /// What is to be there.
    pub sets: BTreeMap<RecordType, RrSet>,
    /// What is to be taken away.
    pub withdraw: BTreeSet<RecordType>,
    /// Whether the platform team gave what is there to the owner.
    pub adopted: bool,
}

/// What a name comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned {
    /// The changes, in order; where the provider can, to be made at once.
    pub changes: Vec<Change>,
    /// Why something that is asked for cannot be.
    pub conflict: Option<Fault<Reason>>,
}

impl Planned {
    /// Whether nothing of ours of this type is there, although nothing was written yet: what is to be made does not count.
    pub fn is_gone(&self, type_: &RecordType) -> bool {
        let touches = |change: &Change| {
            let is_mark = change.name().is_some_and(ownership::is_kept);
            change.before.is_some() && (is_mark || change.type_() == Some(type_))
        };
        self.conflict.is_none() && !self.changes.iter().any(touches)
    }
}

/// A zone's record sets, by name and type.
pub type Sets = BTreeMap<Fqdn, BTreeMap<RecordType, RrSet>>;

/// Record sets by name and type.
pub fn by_name(sets: impl IntoIterator<Item = RrSet>) -> Sets {
    let mut found = Sets::new();
    for set in sets {
        found
            .entry(set.name.clone())
            .or_default()
            .insert(set.type_.clone(), set);
    }
    found
}

impl Want {
    /// The names that must be known to plan it: its own, and its mark's.
    ///
    /// # Errors
    /// When the name is so long that its mark has none.
    pub fn names(&self, zone: &Fqdn) -> Result<[Fqdn; 2], Fault<Reason>> {
        let mark = mark_name(&self.name, zone, self.is_delegated()).map_err(|error| {
            let message = format!(
                "{} is so long that no ownership mark fits beside it: the mark {error}",
                self.name
            );
            Fault::stalled(Reason::InvalidSpec, message, "use a shorter name").at("spec.name")
        })?;
        Ok([self.name.clone(), mark])
    }

    fn is_delegated(&self) -> bool {
        self.sets.contains_key(&RecordType::Ns) || self.withdraw.contains(&RecordType::Ns)
    }
}

/// What is to be done at one name. `current` holds everything at the names of [`Want::names`].
pub fn plan(want: &Want, current: &Sets, zone: &Zone, profile: &Profile) -> Planned {
    let [_, mark_name] = match want.names(&zone.domain) {
        Ok(names) => names,
        // No mark, nothing of ours: it was never written.
        Err(_) if want.sets.is_empty() => return Planned::default(),
        Err(fault) => return refused(fault),
    };
    let planned = plan_at(mark_name, want, current, profile);
    let is_done = planned.changes.is_empty() && planned.conflict.is_none();
    if zone.safety.protected.contains(&want.name) && !is_done {
        let message = format!("{} is protected: it is never written", want.name);
        let fix = format!(
            "ask the platform team: spec.safety.protected of the DnsZone {}",
            zone.name
        );
        return refused(Fault::stalled(Reason::ProtectedName, message, fix));
    }
    planned
}

fn plan_at(mark_name: Fqdn, want: &Want, current: &Sets, profile: &Profile) -> Planned {
    let nothing = BTreeMap::new();
    let here = current.get(&want.name).unwrap_or(&nothing);
    let marked = current.get(&mark_name).and_then(|sets| sets.get(&RecordType::Txt));
    // Two clusters may have marked it at the same time, where the provider does not compare: the older claim counts.
    let mark = marked.and_then(Mark::oldest);
    let round = Round {
        want,
        here,
        mark_name,
        marked,
    };
    match mark {
        Some(mark) if is_of_another(&mark, want) => {
            let changes = round.retract();
            if want.sets.is_empty() {
                // What is to be withdrawn is not ours.
                return Planned {
                    changes,
                    conflict: None,
                };
            }
            Planned {
                changes,
                ..refused(held_elsewhere(&mark, want))
            }
        }
        Some(mark) => round.plan(&mark.types, profile),
        None if marked.is_some() && want.sets.is_empty() => Planned::default(),
        None if marked.is_some() => {
            let message = format!("there is a TXT record at {}, where our mark is to be", round.mark_name);
            refused(not_ours(message, want))
        }
        None => round.plan(&BTreeSet::new(), profile),
    }
}

fn refused(fault: Fault<Reason>) -> Planned {
    Planned {
        changes: Vec::new(),
        conflict: Some(fault),
    }
}

/// Whether somebody else's mark counts. Of two clusters the older claim wins. Within this one a namespace takes over what
/// another left only with the platform team's word, although it holds the name: the claims may have been lost.
fn is_of_another(mark: &Mark, want: &Want) -> bool {
    if mark.is_of(&want.owner) {
        return false;
    }
    if mark.owner.cluster == want.owner.cluster {
        return !want.adopted;
    }
    mark.owner.is_before(&want.owner)
}

fn held_elsewhere(mark: &Mark, want: &Want) -> Fault<Reason> {
    let Owner {
        cluster,
        namespace,
        since,
    } = &mark.owner;
    let message = format!(
        "{} is held by the namespace {namespace} of the cluster {cluster} since {since:.0}, as the zone says",
        want.name
    );
    if *cluster == want.owner.cluster {
        return not_ours(message, want);
    }
    let fix = "choose another name, or have it given up there";
    Fault::stalled(Reason::NotOurs, message, fix)
}

fn not_ours(message: String, want: &Want) -> Fault<Reason> {
    let fix = format!(
        "choose another name, or ask the platform team to give it to this namespace: {} in spec.adoptions of the DnsZone",
        want.name
    );
    Fault::stalled(Reason::NotOurs, message, fix)
}

struct Round<'a> {
    want: &'a Want,
    here: &'a BTreeMap<RecordType, RrSet>,
    mark_name: Fqdn,
    marked: Option<&'a RrSet>,
}

impl Round<'_> {
    /// Takes our mark from beside an older one.
    fn retract(&self) -> Vec<Change> {
        let Some(marked) = self.marked else { return Vec::new() };
        let is_ours = |text: &String| Mark::parse(text).is_some_and(|mark| mark.is_of(&self.want.owner));
        let mut left = marked.clone();
        left.values.retain(|text| !is_ours(text));
        if left.values.len() == marked.values.len() {
            return Vec::new();
        }
        vec![Change::replace(marked.clone(), left)]
    }

    /// `owned`: the types that our mark names.
    fn plan(&self, owned: &BTreeSet<RecordType>, profile: &Profile) -> Planned {
        let wanted: BTreeSet<_> = self.want.sets.keys().cloned().collect();
        if let Some(fault) = self.conflict(owned, &wanted) {
            return refused(fault);
        }
        let mut deletes = Vec::new();
        let mut writes = Vec::new();
        let mut left = BTreeSet::new();
        for type_ in owned.difference(&wanted) {
            let withdrawn = self.want.withdraw.contains(type_);
            let in_the_way = wanted.iter().any(|wanted| !may_stand_together(type_, wanted));
            match self.here.get(type_) {
                Some(set) if withdrawn || in_the_way => deletes.push(Change::delete(set.clone())),
                Some(_) => drop(left.insert(type_.clone())),
                // Somebody else removed it, and nobody asks for it: it is no longer ours.
                None => {}
            }
        }
        for (type_, set) in &self.want.sets {
            match self.here.get(type_) {
                None => writes.push(Change::create(set.clone())),
                Some(current) if current.ttl == set.ttl && current.values == set.values => {}
                Some(current) => writes.push(Change::replace(current.clone(), set.clone())),
            }
        }
        let kept: BTreeSet<_> = wanted.union(&left).cloned().collect();
        Planned {
            changes: self.ordered(owned, &kept, deletes, writes, profile),
            conflict: None,
        }
    }

    /// Why what is asked for cannot be: somebody else's data is there.
    fn conflict(&self, owned: &BTreeSet<RecordType>, wanted: &BTreeSet<RecordType>) -> Option<Fault<Reason>> {
        let foreign: Vec<_> = self.here.values().filter(|set| !owned.contains(&set.type_)).collect();
        let registry = foreign
            .iter()
            .filter(|set| set.type_ == RecordType::Txt)
            .find_map(|set| set.values.iter().find_map(|text| ownership::external_dns_owner(text)));
        let in_the_way: Vec<_> = foreign
            .iter()
            .filter(|set| {
                let same = wanted.contains(&set.type_);
                let beside = wanted.iter().any(|wanted| !may_stand_together(&set.type_, wanted));
                !self.want.adopted && (same || beside)
            })
            .map(|set| set.type_.as_str())
            .collect();
        if let (Some(owner), false) = (registry, wanted.is_empty()) {
            let message = format!("{} is managed by external-dns (owner {owner})", self.want.name);
            return Some(not_ours(message, self.want));
        }
        if in_the_way.is_empty() {
            return None;
        }
        let message = format!(
            "{} has data of type {} in the zone that Tremplin did not write",
            self.want.name,
            in_the_way.join(", ")
        );
        Some(not_ours(message, self.want))
    }

    /// So that, whatever of it is done when it stops, the mark never names less than what is ours, and nothing of ours
    /// is without a mark: first the mark grows, then the data changes, then the mark shrinks.
    fn ordered(
        &self,
        owned: &BTreeSet<RecordType>,
        kept: &BTreeSet<RecordType>,
        mut deletes: Vec<Change>,
        writes: Vec<Change>,
        profile: &Profile,
    ) -> Vec<Change> {
        // What was given to the owner and cannot stay beside what is asked for.
        if self.want.adopted {
            let foreign = self
                .here
                .values()
                .filter(|set| !owned.contains(&set.type_) && !kept.contains(&set.type_));
            let in_the_way = foreign.filter(|set| {
                self.want
                    .sets
                    .keys()
                    .any(|wanted| !may_stand_together(&set.type_, wanted))
            });
            deletes.extend(in_the_way.map(|set| Change::delete(set.clone())));
        }
        let at_once = matches!(profile.atomicity, Atomicity::Batch(_));
        let going: BTreeSet<_> = deletes.iter().filter_map(|change| change.type_().cloned()).collect();
        let grown: BTreeSet<_> = kept.union(&going).cloned().collect();
        let mut changes = Vec::new();
        let mut marked = self.marked.cloned();
        if !at_once && !writes.is_empty() && !going.is_empty() && grown != *kept {
            changes.extend(self.mark(&mut marked, &grown));
        }
        let mut last = Vec::new();
        // A mark that only shrinks waits until the data is gone.
        if !at_once && writes.is_empty() {
            last.extend(self.mark(&mut marked, kept));
        } else if at_once || going.is_empty() {
            changes.extend(self.mark(&mut marked, kept));
        }
        changes.extend(deletes);
        changes.extend(writes);
        changes.extend(last);
        changes.extend(self.mark(&mut marked, kept));
        changes
    }

    /// The change that makes the mark name these types, if it does not.
    fn mark(&self, marked: &mut Option<RrSet>, types: &BTreeSet<RecordType>) -> Option<Change> {
        if types.is_empty() {
            return marked.take().map(Change::delete);
        }
        let owner = self.want.owner.clone();
        let types = types.clone();
        let new = Mark { owner, types }.set(self.mark_name.clone());
        let old = marked.replace(new.clone());
        match old {
            // Providers may keep another TTL: only the text counts.
            Some(old) if old.values == new.values => None,
            Some(old) => Some(Change::replace(old, new)),
            None => Some(Change::create(new)),
        }
    }
}

/// Whether two types may be at one name: a CNAME stands alone (RFC 1034, 3.6.2), and an ALIAS answers for A and AAAA.
pub fn may_stand_together(one: &RecordType, other: &RecordType) -> bool {
    use RecordType::{A, Aaaa, Alias, Cname};
    let alone = |type_: &RecordType| *type_ == Cname;
    match (one, other) {
        (one, other) if one == other => true,
        (one, other) if alone(one) || alone(other) => false,
        (Alias, A | Aaaa) | (A | Aaaa, Alias) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
