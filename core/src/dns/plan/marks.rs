//! The mark of a name: below it, and beside it where the name is delegated. A name that becomes a delegation, or ceases
//! to be one, has both for a while.

use std::collections::BTreeSet;

use super::{Sets, Want};
use crate::dns::change::Change;
use crate::dns::name::{Fqdn, NameError};
use crate::dns::ownership::{Mark, Owner, mark_name};
use crate::dns::rrset::{RecordType, RrSet};

/// One place where a mark may be.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub name: Fqdn,
    /// What is there, if some of it is a mark.
    there: Option<RrSet>,
    /// Whether texts are there of which none is a mark.
    pub is_taken: bool,
}

impl Place {
    fn of(name: Fqdn, current: &Sets) -> Self {
        let texts = current.get(&name).and_then(|sets| sets.get(&RecordType::Txt));
        let marks = texts.filter(|texts| Mark::of(texts).is_some());
        Self {
            there: marks.cloned(),
            is_taken: texts.is_some() && marks.is_none(),
            name,
        }
    }

    /// The change that makes the mark name these types, if it does not.
    pub fn say(&mut self, owner: &Owner, types: &BTreeSet<RecordType>) -> Option<Change> {
        if types.is_empty() {
            return self.there.take().map(Change::delete);
        }
        if self.there.as_ref().is_some_and(|there| says(there, owner, types)) {
            return None;
        }
        let (owner, types) = (owner.clone(), types.clone());
        let new = Mark { owner, types }.set(self.name.clone());
        match self.there.replace(new.clone()) {
            Some(old) => Some(Change::replace(old, new)),
            None => Some(Change::create(new)),
        }
    }

    /// Takes the owner's mark from beside another one.
    fn retract(&self, owner: &Owner) -> Option<Change> {
        let marks = self.there.clone()?;
        let is_ours = |text: &String| Mark::parse(text).is_some_and(|mark| mark.is_of(owner));
        let mut left = marks.clone();
        left.values.retain(|text| !is_ours(text));
        match left.values.len() {
            0 => Some(Change::delete(marks)),
            some => (some < marks.values.len()).then(|| Change::replace(marks, left)),
        }
    }
}

/// Whether a mark, alone, names these types for that claim. Which cluster it names does not count here: a claim that was
/// carried to another one is the same, and two clusters that made theirs in one second would take the mark from each other
/// for ever. Providers may keep another TTL.
fn says(there: &RrSet, owner: &Owner, types: &BTreeSet<RecordType>) -> bool {
    let is_same =
        |mark: Mark| mark.owner.namespace == owner.namespace && mark.owner.since == owner.since && mark.types == *types;
    there.values.len() == 1 && Mark::of(there).is_some_and(is_same)
}

/// The marks of a name.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    pub below: Place,
    /// Where a delegation is or was concerned.
    pub beside: Option<Place>,
}

impl Marks {
    pub fn of(want: &Want, current: &Sets, zone: &Fqdn) -> Result<Self, NameError> {
        Ok(Self::at(names(want, zone)?, current))
    }

    /// Those in these places.
    pub fn at((below, beside): (Fqdn, Option<Fqdn>), current: &Sets) -> Self {
        Self {
            below: Place::of(below, current),
            beside: beside.map(|name| Place::of(name, current)),
        }
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        [&self.below].into_iter().chain(&self.beside)
    }

    /// What they say. Two clusters may have marked a name at the same time, where the provider does not compare: the
    /// older claim counts.
    pub fn said(&self) -> impl Iterator<Item = Mark> {
        self.places()
            .filter_map(|place| place.there.as_ref().and_then(Mark::oldest))
    }

    /// Takes the owner's from beside others'.
    pub fn retract(&self, owner: &Owner) -> Vec<Change> {
        self.places().filter_map(|place| place.retract(owner)).collect()
    }

    /// Where the mark is to be while these types are at the name.
    pub fn home(&self, types: &BTreeSet<RecordType>) -> &Place {
        let beside = self.beside.as_ref().filter(|_| types.contains(&RecordType::Ns));
        beside.unwrap_or(&self.below)
    }

    /// Names these types, in the one place where they belong. Below a cut nothing is seen: the mark is beside it before the
    /// cut is made, and until it is gone.
    pub fn say(&mut self, owner: &Owner, types: &BTreeSet<RecordType>) -> Vec<Change> {
        let is_delegated = types.contains(&RecordType::Ns);
        let (home, away) = match (&mut self.beside, &mut self.below) {
            (Some(beside), below) if is_delegated => (beside, Some(below)),
            (beside, below) => (below, beside.as_mut()),
        };
        let said = home.say(owner, types);
        let gone = away.and_then(|away| away.say(owner, &BTreeSet::new()));
        said.into_iter().chain(gone).collect()
    }
}

/// Where the marks of a name may be: below, and beside where a delegation is asked for or withdrawn.
///
/// # Errors
/// When the name is so long that its mark has none.
pub(super) fn names(want: &Want, zone: &Fqdn) -> Result<(Fqdn, Option<Fqdn>), NameError> {
    let ns = &RecordType::Ns;
    let is_delegated = want.sets.contains_key(ns) || want.withdraw.contains(ns);
    let (below, beside) = both(&want.name, zone)?;
    Ok((below, beside.filter(|_| is_delegated)))
}

/// Both places where the mark of a name may be.
///
/// # Errors
/// When the name is so long that its mark has none.
pub(super) fn both(name: &Fqdn, zone: &Fqdn) -> Result<(Fqdn, Option<Fqdn>), NameError> {
    let below = mark_name(name, zone, false)?;
    // The apex has one place, and a wildcard is no delegation.
    if name == zone || name.is_wildcard() {
        return Ok((below, None));
    }
    Ok((below, Some(mark_name(name, zone, true)?)))
}
