//! What the watches show, by namespace, name and group, with our own writes on top.
//!
//! A watch lags behind our own writes by milliseconds, or by minutes when it hangs. So what the API server answers to a
//! write is put in the store at once, and an older version that the watch delivers later is ignored. Versions compare
//! as numbers (Kubernetes 1.35, KEP-5504; true of etcd's revisions ever since).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;
use tremplin_core::app::valid::ContentRef;

use crate::key::Key;

/// What objects are found by, beside their names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// The children of the app of that key.
    App(Key),
    /// What carries a host.
    Host(String),
    /// What is in a namespace.
    Namespace(String),
    /// What names a Secret or ConfigMap of a namespace.
    Content(String, ContentRef),
    /// What says something at a name or below it.
    Name(String),
    /// The DnsClaims that a namespace holds in the zone of a domain.
    Held(String, String),
    /// What follows the app of that key.
    Follows(Key),
}

/// An object as the store keeps it.
pub trait Item: Send + Sync + 'static {
    /// Its namespace and name; the namespace is empty for a cluster-scoped object.
    fn key(&self) -> Key;

    /// Its UID.
    fn uid(&self) -> &str;

    /// Its resource version.
    fn version(&self) -> &str;

    /// What it is found by.
    fn groups(&self) -> Vec<Group>;

    /// Whether something differs that anybody decides on.
    fn differs(&self, other: &Self) -> bool;

    /// Whether something differs that is others' to write.
    fn is_rewritten(&self, other: &Self) -> bool {
        self.differs(other)
    }
}

/// What changed in a store: at least one side is there.
pub struct Change<T> {
    /// What was there before.
    pub old: Option<Arc<T>>,
    /// What is there now.
    pub new: Option<Arc<T>>,
}

impl<T> Change<T> {
    /// Both sides, the new one first.
    pub fn sides(&self) -> impl Iterator<Item = &T> {
        self.new.iter().chain(&self.old).map(AsRef::as_ref)
    }
}

/// The objects of one kind.
pub struct Store<T> {
    inner: RwLock<Inner<T>>,
    ready: watch::Sender<bool>,
}

struct Inner<T> {
    objects: HashMap<Key, Arc<T>>,
    groups: HashMap<Group, BTreeSet<Key>>,
    /// What was last told of objects of which an answer brought something newer, with changes of others in it.
    told: HashMap<Key, Arc<T>>,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        let inner = Inner {
            objects: HashMap::new(),
            groups: HashMap::new(),
            told: HashMap::new(),
        };
        Self {
            inner: RwLock::new(inner),
            ready: watch::Sender::new(false),
        }
    }
}

impl<T: Item> Store<T> {
    /// The object of that key.
    pub fn get(&self, key: &Key) -> Option<Arc<T>> {
        self.read().objects.get(key).cloned()
    }

    /// The objects of a group, by key.
    pub fn group(&self, group: &Group) -> Vec<Arc<T>> {
        let inner = self.read();
        let keys = inner.groups.get(group).into_iter().flatten();
        keys.filter_map(|key| inner.objects.get(key).cloned()).collect()
    }

    /// How many objects a group has, without looking at them.
    pub fn count(&self, group: &Group) -> usize {
        self.read().groups.get(group).map_or(0, BTreeSet::len)
    }

    /// Every object, in no order.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.read().objects.values().cloned().collect()
    }

    /// Waits until the first list is complete.
    pub async fn ready(&self) {
        let mut ready = self.ready.subscribe();
        // The sender lives in `self`, so it cannot be gone.
        let _ = ready.wait_for(|ready| *ready).await;
    }

    /// Keeps `object`, unless something newer of that name is there already. `None` when nobody needs to look.
    pub fn put(&self, object: T) -> Option<Change<T>> {
        let key = object.key();
        let mut inner = self.write();
        let known = inner.objects.get(&key).cloned();
        let told = inner.told.remove(&key);
        if let Some(new) = &known
            && !is_newer(object.version(), new.version())
        {
            // The watch comes to what an answer brought before.
            let new = Some(new.clone());
            return told.map(|old| Change { old: Some(old), new });
        }
        let old = told.or_else(|| known.clone());
        let changed = old
            .as_ref()
            .is_none_or(|old| old.uid() != object.uid() || old.differs(&object));
        let new = Arc::new(object);
        inner.leave(&key, known.as_deref());
        inner.enter(key, new.clone());
        changed.then_some(Change { old, new: Some(new) })
    }

    /// Keeps what the API server answered to a write of ours, if the object is still there. The watch may have told of
    /// its end before our task came to read the answer: kept then, it would be there for ever.
    ///
    /// The write must have been bound to the version that it was made from: see [`Store::learn`] for others.
    pub fn refresh(&self, object: T) {
        self.answered(object, |_, _| false);
    }

    /// The same of a write that was bound to no version. The answer may hold what others changed meanwhile, which
    /// nobody has been told yet: [`Store::put`] tells it when the watch comes to it.
    pub fn learn(&self, object: T) {
        self.answered(object, T::is_rewritten);
    }

    fn answered(&self, object: T, brings_news: fn(&T, &T) -> bool) {
        let mut inner = self.write();
        let key = object.key();
        let Some(old) = inner.objects.get(&key).cloned() else {
            return;
        };
        if old.uid() != object.uid() || !is_newer(object.version(), old.version()) {
            return;
        }
        inner.leave(&key, Some(&old));
        if brings_news(&object, &old) {
            inner.told.entry(key.clone()).or_insert(old);
        }
        inner.enter(key, Arc::new(object));
    }

    /// Forgets the object of that key, if it is the one of that UID.
    pub fn remove(&self, key: &Key, uid: &str) -> Option<Change<T>> {
        let mut inner = self.write();
        if inner.objects.get(key)?.uid() != uid {
            return None;
        }
        let old = inner.objects.remove(key);
        inner.told.remove(key);
        inner.leave(key, old.as_deref());
        old.map(|old| Change {
            old: Some(old),
            new: None,
        })
    }

    /// A list is complete: what it did not hold is gone.
    pub fn listed(&self, seen: &HashSet<Key>) -> Vec<Change<T>> {
        let all = self.all();
        let missing = all.iter().filter(|object| !seen.contains(&object.key()));
        let changes = missing
            .filter_map(|object| self.remove(&object.key(), object.uid()))
            .collect();
        self.ready.send_replace(true);
        changes
    }

    // A poisoned lock only means that a reader panicked elsewhere: no code here leaves the store half changed.
    fn read(&self) -> RwLockReadGuard<'_, Inner<T>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner<T>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Item> Inner<T> {
    fn enter(&mut self, key: Key, object: Arc<T>) {
        for group in object.groups() {
            self.groups.entry(group).or_default().insert(key.clone());
        }
        self.objects.insert(key, object);
    }

    fn leave(&mut self, key: &Key, object: Option<&T>) {
        for group in object.into_iter().flat_map(Item::groups) {
            if let Some(keys) = self.groups.get_mut(&group) {
                keys.remove(key);
                if keys.is_empty() {
                    self.groups.remove(&group);
                }
            }
        }
    }
}

/// Versions that are no numbers come from no API server of today: then what comes later counts.
fn is_newer(version: &str, than: &str) -> bool {
    match (version.parse::<u128>(), than.parse::<u128>()) {
        (Ok(version), Ok(than)) => version > than,
        _ => version != than,
    }
}

#[cfg(test)]
mod tests;
