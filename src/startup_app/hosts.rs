//! Which app wants which public name, over the whole cluster. (Which Ingress carries it, the Ingresses' store knows.)
//!
//! Kept by host, so that judging one app's hosts does not read every app. Every change says whom else it concerns.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tremplin_core::app::hosts::Wanting;

use crate::key::Key;

/// The wanters of every host.
#[derive(Default)]
pub struct Hosts(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    wanting: HashMap<String, BTreeMap<Key, Wanting>>,
    /// What each app wants, to take it back.
    wanted: HashMap<Key, Vec<String>>,
    /// Every host that is wanted, its labels from the right, and by whom: what lies below a name stands together.
    in_order: BTreeSet<(String, Key)>,
}

impl Hosts {
    /// Who wants a host.
    pub fn wanting(&self, host: &str) -> Vec<Wanting> {
        self.lock()
            .wanting
            .get(host)
            .into_iter()
            .flat_map(BTreeMap::values)
            .cloned()
            .collect()
    }

    /// The apps that want a host.
    pub fn wanters(&self, host: &str) -> Vec<Key> {
        self.lock().wanters(host)
    }

    /// The apps that want a host at or below that name.
    pub fn wanters_within(&self, name: &str) -> BTreeSet<Key> {
        let from = from_the_right(name);
        let inner = self.lock();
        let rest = inner.in_order.range((from.clone(), Key::default())..);
        let within = rest.take_while(|(host, _)| host.starts_with(&from));
        within.map(|(_, key)| key.clone()).collect()
    }

    /// An app wants these hosts now; none when it is gone. Gives the other apps that want one that it began or ceased
    /// to want.
    pub fn wants(&self, app: &Wanting, hosts: Vec<String>) -> BTreeSet<Key> {
        let key = Key {
            namespace: app.namespace.clone(),
            name: app.name.clone(),
        };
        let mut inner = self.lock();
        let mut concerned = BTreeSet::new();
        let before = inner.wanted.remove(&key).unwrap_or_default();
        for host in &before {
            let was = inner.leave(host, &key);
            if !hosts.contains(host) || was.as_ref() != Some(app) {
                concerned.extend(inner.wanters(host));
            }
        }
        for host in &hosts {
            if !before.contains(host) {
                concerned.extend(inner.wanters(host));
            }
            inner.in_order.insert((from_the_right(host), key.clone()));
            inner
                .wanting
                .entry(host.clone())
                .or_default()
                .insert(key.clone(), app.clone());
        }
        if !hosts.is_empty() {
            inner.wanted.insert(key.clone(), hosts);
        }
        concerned.remove(&key);
        concerned
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn wanters(&self, host: &str) -> Vec<Key> {
        self.wanting
            .get(host)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .cloned()
            .collect()
    }

    fn leave(&mut self, host: &str, key: &Key) -> Option<Wanting> {
        self.in_order.remove(&(from_the_right(host), key.clone()));
        let wanting = self.wanting.get_mut(host)?;
        let was = wanting.remove(key);
        if wanting.is_empty() {
            self.wanting.remove(host);
        }
        was
    }
}

/// `a.example.org` as `org.example.a.`: a name is a prefix of every name below it.
fn from_the_right(host: &str) -> String {
    host.rsplit('.').flat_map(|label| [label, "."]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> Wanting {
        Wanting {
            namespace: "paris".into(),
            name: name.into(),
            uid: name.into(),
            created_at: None,
        }
    }

    fn names(keys: BTreeSet<Key>) -> Vec<String> {
        keys.into_iter().map(|key| key.name).collect()
    }

    fn hosts(hosts: &[&str]) -> Vec<String> {
        hosts.iter().map(|host| (*host).to_owned()).collect()
    }

    #[test]
    fn who_wants_the_same_host_is_told_when_it_comes_and_goes() {
        let index = Hosts::default();
        assert_eq!(names(index.wants(&app("a"), hosts(&["x", "y"]))), Vec::<String>::new());
        assert_eq!(names(index.wants(&app("b"), hosts(&["x"]))), ["a"]);
        assert_eq!(index.wanting("x").len(), 2);
        assert_eq!(
            names(index.wants(&app("b"), hosts(&["x"]))),
            Vec::<String>::new(),
            "nothing changed"
        );
        assert_eq!(names(index.wants(&app("b"), hosts(&["y"]))), ["a"]);
        assert_eq!(names(index.wants(&app("a"), Vec::new())), ["b"]);
        assert_eq!(index.wanting("x"), []);
    }

    #[test]
    fn an_app_made_anew_is_another_one() {
        let index = Hosts::default();
        index.wants(&app("a"), hosts(&["x"]));
        index.wants(&app("b"), hosts(&["x"]));
        let anew = Wanting {
            uid: "new".into(),
            ..app("a")
        };
        assert_eq!(names(index.wants(&anew, hosts(&["x"]))), ["b"]);
        let wanting = index.wanting("x");
        assert!(wanting.contains(&anew) && wanting.len() == 2, "{wanting:?}");
    }

    #[test]
    fn who_wants_something_below_a_name_is_found_by_it() {
        let index = Hosts::default();
        index.wants(&app("a"), hosts(&["x.example.org", "y.example.org"]));
        index.wants(&app("b"), hosts(&["deep.x.example.org"]));
        index.wants(&app("c"), hosts(&["notx.example.org"]));
        assert_eq!(names(index.wanters_within("x.example.org")), ["a", "b"]);
        assert_eq!(names(index.wanters_within("example.org")), ["a", "b", "c"]);
        index.wants(&app("a"), hosts(&["y.example.org"]));
        assert_eq!(names(index.wanters_within("x.example.org")), ["b"]);
    }
}
