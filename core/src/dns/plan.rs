//! From a zone as it is and what is asked for to the changes that make it so, name by name.
//!
//! What is ours is what our mark names; the rest is left alone. Nothing is removed because it is not asked for: only
//! what was withdrawn by name and type, and what cannot stand beside what is asked for in its place.

use std::collections::{BTreeMap, BTreeSet};

use super::change::Change;
use super::name::{Fqdn, NameError};
use super::ownership::{self, Mark, Owner};
use super::profile::{Atomicity, Profile};
use super::reasons::Reason;
use super::rrset::{RecordType, RrSet};
use super::zone::Zone;
use crate::fault::Fault;
pub use above::Above;
use marks::Marks;

mod above;
mod marks;

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
    /// The names above it that its claim covers too.
    pub above: Vec<Above>,
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
    /// The names that must be known to plan it: its own, those above it, and where their marks may be.
    ///
    /// # Errors
    /// When the name is so long that its mark has none.
    pub fn names(&self, zone: &Fqdn) -> Result<BTreeSet<Fqdn>, Fault<Reason>> {
        let (below, beside) = marks::names(self, zone).map_err(|error| no_mark(&self.name, &error))?;
        let own = [self.name.clone(), below].into_iter().chain(beside);
        Ok(own
            .chain(self.above.iter().flat_map(|above| above.names(zone)))
            .collect())
    }

    /// The same, with what tells a delegation of the owner's above it from somebody else's: that is rare, and is read
    /// only where something is in the way.
    ///
    /// # Errors
    /// When the name is so long that its mark has none.
    pub fn names_in_doubt(&self, zone: &Fqdn) -> Result<BTreeSet<Fqdn>, Fault<Reason>> {
        let mut names = self.names(zone)?;
        names.extend(self.above.iter().filter_map(|above| above.beside(zone)));
        Ok(names)
    }

    /// What the marks of the name say.
    ///
    /// # Errors
    /// When the name is so long that its mark has none.
    pub fn marks(&self, current: &Sets, zone: &Fqdn) -> Result<Vec<Mark>, Fault<Reason>> {
        let marks = Marks::of(self, current, zone).map_err(|error| no_mark(&self.name, &error))?;
        Ok(marks.said().collect())
    }
}

fn no_mark(name: &Fqdn, error: &NameError) -> Fault<Reason> {
    let message = format!("{name} is so long that no ownership mark fits beside it: the mark {error}");
    Fault::stalled(Reason::InvalidSpec, message, "use a shorter name").at("spec.name")
}

/// What is to be done at one name. `current` holds everything at the names of [`Want::names`], or, where these show
/// somebody else's data, of [`Want::names_in_doubt`].
pub fn plan(want: &Want, current: &Sets, zone: &Zone, profile: &Profile) -> Planned {
    let marks = match Marks::of(want, current, &zone.domain) {
        Ok(marks) => marks,
        // No mark, nothing of ours: it was never written.
        Err(_) if want.sets.is_empty() => return Planned::default(),
        Err(error) => return refused(no_mark(&want.name, &error)),
    };
    let nothing = BTreeMap::new();
    let round = Round {
        want,
        is_apex: want.name == zone.domain,
        here: current.get(&want.name).unwrap_or(&nothing),
        marks,
    };
    let is_of_another = |mark: &Mark| is_of_another(mark, &want.owner, want.adopted);
    let planned = match round.marks.said().find(is_of_another) {
        Some(mark) => round.give_way(&mark),
        None => match round.above(current, &zone.domain) {
            Some(fault) => refused(fault),
            None => round.plan(profile),
        },
    };
    let is_done = planned.changes.is_empty() && planned.conflict.is_none();
    if zone.protects(&want.name) && !is_done {
        let message = format!("{} is protected: it is never written", want.name);
        let fix = format!(
            "ask the platform team: spec.safety.protected of the DnsZone {}",
            zone.name
        );
        return refused(Fault::stalled(Reason::ProtectedName, message, fix));
    }
    planned
}

fn refused(fault: Fault<Reason>) -> Planned {
    Planned {
        changes: Vec::new(),
        conflict: Some(fault),
    }
}

/// Whether these changes of a name make data that its mark tells of and that is not there: it was removed by somebody
/// else, or something stopped in the middle.
pub fn restores(changes: &[Change]) -> bool {
    let is_mark = |change: &Change| change.name().is_some_and(ownership::is_kept);
    // The first change of a mark knows it as it is there.
    let mut marks = BTreeMap::new();
    for change in changes.iter().filter(|change| is_mark(change)) {
        marks.entry(change.name()).or_insert(change.before.as_ref());
    }
    let there = marks.values().copied().flatten().filter_map(Mark::oldest);
    let named: BTreeSet<RecordType> = there.flat_map(|mark| mark.types).collect();
    // A mark that need not change names all that is to be there.
    let is_named = |type_: &RecordType| marks.is_empty() || named.contains(type_);
    let mut made = changes
        .iter()
        .filter(|change| change.before.is_none() && !is_mark(change));
    made.any(|change| change.type_().is_some_and(is_named))
}

/// Whether somebody else's mark counts. Of two clusters the older claim wins. Within this one a namespace takes over what
/// another left only with the platform team's word, although it holds the name: the claims may have been lost.
fn is_of_another(mark: &Mark, owner: &Owner, adopted: bool) -> bool {
    if mark.is_of(owner) {
        return false;
    }
    if mark.owner.cluster == owner.cluster {
        return !adopted;
    }
    mark.owner.is_before(owner)
}

/// `what`: the name, as the message has it.
fn held_elsewhere(what: &str, name: &Fqdn, mark: &Mark, owner: &Owner) -> Fault<Reason> {
    let Owner {
        cluster,
        namespace,
        since,
    } = &mark.owner;
    let message = format!(
        "{what} is held by the namespace {namespace} of the cluster {cluster} since {since:.0}, as the zone says"
    );
    if *cluster == owner.cluster {
        return not_ours(message, name);
    }
    let fix = "choose another name, or have it given up there";
    Fault::stalled(Reason::NotOurs, message, fix)
}

/// `name`: what is to be given away.
fn not_ours(message: String, name: &Fqdn) -> Fault<Reason> {
    let fix = format!(
        "choose another name, or ask the platform team to give it to this namespace: {name} in spec.adoptions of the DnsZone"
    );
    Fault::stalled(Reason::NotOurs, message, fix)
}

/// Who registered a name with external-dns.
fn registrar<'a>(here: impl IntoIterator<Item = &'a RrSet>) -> Option<&'a str> {
    let texts = here.into_iter().filter(|set| set.type_ == RecordType::Txt);
    texts
        .flat_map(|set| &set.values)
        .find_map(|text| ownership::external_dns_owner(text))
}

fn of_external_dns(what: &str, owner: &str) -> Fault<Reason> {
    let message = format!("{what} is managed by external-dns (owner {owner})");
    let fix = "choose another name, or have external-dns forget it: stop it from writing the name and remove its TXT record there; then ask the platform team to give it to this namespace by spec.adoptions of the DnsZone";
    Fault::stalled(Reason::NotOurs, message, fix)
}

struct Round<'a> {
    want: &'a Want,
    is_apex: bool,
    here: &'a BTreeMap<RecordType, RrSet>,
    marks: Marks,
}

impl Round<'_> {
    /// Somebody else's mark is there: ours is taken from beside it. What is to be withdrawn is not ours then.
    fn give_way(&self, mark: &Mark) -> Planned {
        let is_asked = !self.want.sets.is_empty();
        Planned {
            changes: self.marks.retract(&self.want.owner),
            conflict: is_asked
                .then(|| held_elsewhere(self.want.name.as_str(), &self.want.name, mark, &self.want.owner)),
        }
    }

    fn plan(&self, profile: &Profile) -> Planned {
        let owned: BTreeSet<_> = self.marks.said().flat_map(|mark| mark.types).collect();
        let wanted: BTreeSet<_> = self.want.sets.keys().cloned().collect();
        if let Some(fault) = self.conflict(&owned, &wanted) {
            return refused(fault);
        }
        let mut deletes = Vec::new();
        let mut writes = Vec::new();
        let mut left = BTreeSet::new();
        for type_ in owned.difference(&wanted) {
            let withdrawn = self.want.withdraw.contains(type_);
            let in_the_way = wanted.iter().any(|wanted| !self.may_stand_together(type_, wanted));
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
        let home = self.marks.home(&kept);
        if home.is_taken && !kept.is_empty() {
            let message = format!("there is a TXT record at {}, where our mark is to be", home.name);
            return refused(not_ours(message, &self.want.name));
        }
        Planned {
            changes: self.ordered(&owned, &kept, deletes, writes, profile),
            conflict: None,
        }
    }

    /// Whether a mark of the owner's is at the name.
    fn is_marked(&self) -> bool {
        self.marks.said().any(|mark| mark.is_of(&self.want.owner))
    }

    /// Why nothing new may be at the name: somebody else's data is above it. What is ours already stays ours.
    fn above(&self, current: &Sets, zone: &Fqdn) -> Option<Fault<Reason>> {
        if self.want.sets.is_empty() || self.is_marked() {
            return None;
        }
        let mut above = self.want.above.iter();
        above.find_map(|above| above.conflict(self.want, current, zone))
    }

    /// Why what is asked for cannot be: somebody else's data is there. Whose data that is, the name is: nothing is put
    /// beside it, unless we have something there already.
    fn conflict(&self, owned: &BTreeSet<RecordType>, wanted: &BTreeSet<RecordType>) -> Option<Fault<Reason>> {
        if wanted.is_empty() {
            return None;
        }
        let foreign: Vec<_> = self.here.values().filter(|set| !owned.contains(&set.type_)).collect();
        if let Some(owner) = registrar(foreign.iter().copied()) {
            return Some(of_external_dns(self.want.name.as_str(), owner));
        }
        if self.want.adopted {
            return None;
        }
        let is_marked = self.is_marked();
        let in_the_way: Vec<_> = foreign
            .iter()
            .filter(|set| {
                let beside = wanted.iter().any(|wanted| !self.may_stand_together(&set.type_, wanted));
                wanted.contains(&set.type_) || beside || !(is_marked || self.is_of_the_zone(&set.type_))
            })
            .map(|set| set.type_.as_str())
            .collect();
        if in_the_way.is_empty() {
            return None;
        }
        let message = format!(
            "{} has data of type {} in the zone that Tremplin did not write",
            self.want.name,
            in_the_way.join(", ")
        );
        Some(not_ours(message, &self.want.name))
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
                    .any(|wanted| !self.may_stand_together(&set.type_, wanted))
            });
            deletes.extend(in_the_way.map(|set| Change::delete(set.clone())));
        }
        let going = deletes.iter().filter_map(|change| change.type_().cloned());
        let grown: BTreeSet<_> = going.chain(kept.iter().cloned()).collect();
        let mut marks = self.marks.clone();
        let mut say = |types| marks.say(&self.want.owner, types);
        let mut changes = Vec::new();
        if matches!(profile.atomicity, Atomicity::Batch(_)) {
            changes.extend(say(kept));
        } else if !writes.is_empty() {
            changes.extend(say(&grown));
        }
        changes.extend(deletes);
        changes.extend(writes);
        changes.extend(say(kept));
        changes
    }

    /// Whether two types may be at the name. The apex has the zone's own NS beside everything.
    fn may_stand_together(&self, one: &RecordType, other: &RecordType) -> bool {
        let is_cut = |type_: &RecordType| *type_ == RecordType::Ns;
        (self.is_apex && (is_cut(one) || is_cut(other))) || one.may_stand_beside(other)
    }

    /// Whether a type is there in every zone.
    fn is_of_the_zone(&self, type_: &RecordType) -> bool {
        self.is_apex && matches!(type_, RecordType::Ns | RecordType::Soa)
    }
}

#[cfg(test)]
mod tests;
