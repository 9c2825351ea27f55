use super::*;

#[derive(Clone, Debug, PartialEq)]
struct Thing {
    name: &'static str,
    uid: &'static str,
    version: &'static str,
    group: &'static str,
    value: i32,
}

impl Item for Thing {
    fn key(&self) -> Key {
        Key {
            namespace: "blue".into(),
            name: self.name.into(),
        }
    }
    fn uid(&self) -> &str {
        self.uid
    }
    fn version(&self) -> &str {
        self.version
    }
    fn groups(&self) -> Vec<Group> {
        vec![Group::Host(self.group.to_owned())]
    }
    fn differs(&self, other: &Self) -> bool {
        self.value != other.value
    }
}

const THING: Thing = Thing {
    name: "a",
    uid: "1",
    version: "9",
    group: "app",
    value: 1,
};

fn group(name: &str) -> Group {
    Group::Host(name.to_owned())
}

fn names(things: Vec<Arc<Thing>>) -> Vec<&'static str> {
    things.into_iter().map(|thing| thing.name).collect()
}

#[test]
fn an_older_version_than_our_own_write_is_ignored() {
    let store = Store::default();
    store.put(Thing {
        version: "100",
        value: 2,
        ..THING
    });
    assert!(store.put(THING).is_none());
    assert_eq!(store.get(&THING.key()).unwrap().value, 2);
}

#[test]
fn a_version_that_changes_nothing_wakes_nobody() {
    let store = Store::default();
    assert!(store.put(THING).is_some());
    assert!(store.put(Thing { version: "10", ..THING }).is_none());
    assert_eq!(store.get(&THING.key()).unwrap().version, "10");
    assert!(
        store
            .put(Thing {
                version: "11",
                value: 2,
                ..THING
            })
            .is_some()
    );
    assert!(
        store
            .put(Thing {
                version: "12",
                value: 2,
                uid: "2",
                ..THING
            })
            .is_some(),
        "another object of that name"
    );
}

#[test]
fn objects_are_found_by_group_and_move_between_groups() {
    let store = Store::default();
    store.put(Thing { name: "b", ..THING });
    store.put(THING);
    assert_eq!(names(store.group(&group("app"))), ["a", "b"]);
    store.put(Thing {
        version: "10",
        group: "other",
        ..THING
    });
    assert_eq!(names(store.group(&group("app"))), ["b"]);
    assert_eq!(names(store.group(&group("other"))), ["a"]);
    assert_eq!(store.count(&group("app")), 1);
    assert_eq!(store.count(&group("of nobody")), 0);
}

#[test]
fn only_the_object_of_that_uid_is_forgotten() {
    let store = Store::default();
    store.put(THING);
    assert!(store.remove(&THING.key(), "2").is_none());
    assert!(store.remove(&THING.key(), "1").is_some());
    assert!(store.get(&THING.key()).is_none());
    assert_eq!(names(store.group(&group("app"))), Vec::<&str>::new());
}

#[test]
fn what_others_changed_before_our_write_is_told_when_the_watch_shows_it() {
    let store = Store::default();
    store.put(THING);
    let answer = || Thing {
        version: "11",
        value: 2,
        ..THING
    };
    store.learn(answer());
    assert_eq!(store.get(&THING.key()).unwrap().value, 2);
    // Theirs, then ours: it is told once, with all that is there by now.
    let theirs = store
        .put(Thing {
            version: "10",
            ..answer()
        })
        .unwrap();
    let value = |side: Option<Arc<Thing>>| side.unwrap().value;
    assert_eq!((value(theirs.old), value(theirs.new)), (1, 2));
    assert!(store.put(answer()).is_none());
    // The watch may come to something newer still.
    store.learn(Thing {
        version: "13",
        value: 3,
        ..THING
    });
    let newer = store.put(Thing {
        version: "14",
        value: 3,
        ..THING
    });
    assert_eq!(newer.map(|change| value(change.old)), Some(2));
}

#[test]
fn our_own_write_is_told_to_nobody() {
    let store = Store::default();
    store.put(THING);
    store.refresh(Thing {
        version: "10",
        value: 2,
        ..THING
    });
    assert!(
        store
            .put(Thing {
                version: "10",
                value: 2,
                ..THING
            })
            .is_none()
    );
    store.learn(Thing {
        version: "11",
        value: 2,
        ..THING
    });
    assert!(
        store
            .put(Thing {
                version: "11",
                value: 2,
                ..THING
            })
            .is_none()
    );
}

#[test]
fn the_answer_to_our_write_does_not_bring_back_what_is_gone() {
    let store = Store::default();
    store.put(THING);
    store.refresh(Thing {
        version: "10",
        value: 2,
        ..THING
    });
    assert_eq!(store.get(&THING.key()).unwrap().value, 2);
    store.refresh(THING);
    assert_eq!(store.get(&THING.key()).unwrap().version, "10");
    store.remove(&THING.key(), "1");
    store.refresh(Thing { version: "11", ..THING });
    assert!(store.get(&THING.key()).is_none());
    assert_eq!(names(store.group(&group("app"))), Vec::<&str>::new());
}

#[tokio::test]
async fn what_a_list_does_not_hold_is_gone() {
    let store = Store::default();
    store.put(THING);
    store.put(Thing { name: "b", ..THING });
    let changes = store.listed(&HashSet::from([THING.key()]));
    assert_eq!(
        changes
            .iter()
            .map(|change| change.old.as_ref().unwrap().name)
            .collect::<Vec<_>>(),
        ["b"]
    );
    assert_eq!(names(store.all()), ["a"]);
    store.ready().await;
}
