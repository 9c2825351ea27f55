//! Hosts whose names belong to others or to nobody: what is routed and what is told.

use crate::api::startup_app::Condition;
use crate::app::hosts::{Carrier, HostFacts};
use crate::app::names::Name;
use crate::app::reasons::Reason;
use crate::app::testing::World;
use crate::fault::Fault;

const TWO: &str = "{image: 'ghcr.io/b/s:1', hosts: [a.example.org, b.example.org]}";

/// A running app with two hosts, of which the second one's name is like that.
fn world(name: Name, carried: bool) -> World {
    let mut world = World::new(TWO);
    let carriers = if carried {
        vec![Carrier {
            namespace: "brigade-ns".into(),
            name: "brigade".into(),
            app_uid: Some("app-uid".into()),
        }]
    } else {
        Vec::new()
    };
    let facts = HostFacts {
        carriers,
        name,
        ..HostFacts::default()
    };
    world.hosts.insert("b.example.org".into(), facts);
    world.settle();
    world.roll_out();
    world
}

fn nobodys() -> Name {
    Name::Nobodys(Fault::stalled(
        Reason::NameNotClaimed,
        "nobody holds it",
        "commit a DnsRecord",
    ))
}

fn routed(world: &World) -> Vec<String> {
    let ingress = world.plan().desired.ingress;
    let rules = ingress.and_then(|ingress| ingress.spec?.rules).unwrap_or_default();
    rules.into_iter().filter_map(|rule| rule.host).collect()
}

fn claimed(world: &World) -> Option<Condition> {
    let mut conditions = world.status().conditions.into_iter();
    conditions.find(|condition| condition.type_ == "HostsClaimed")
}

#[test]
fn a_host_of_nobody_is_not_routed_and_the_rest_of_the_app_runs() {
    let world = world(nobodys(), false);
    assert_eq!(routed(&world), ["a.example.org"]);
    assert_eq!(world.plan().desired.deployments.len(), 1);
    assert_eq!(world.ready(), "False/NameNotClaimed Stalled");
    let told = claimed(&world).unwrap();
    assert_eq!(
        (told.status.as_str(), told.reason.as_str()),
        ("False", "NameNotClaimed")
    );
    assert_eq!(
        told.message,
        "spec.hosts[1]: the host b.example.org is not routed: nobody holds it: commit a DnsRecord"
    );
    assert_eq!(world.status().url.as_deref(), Some("http://a.example.org"));
}

#[test]
fn an_app_that_may_answer_nowhere_runs_without_an_ingress() {
    let mut world = world(nobodys(), false);
    world.commit("{image: 'ghcr.io/b/s:1', hosts: [b.example.org]}");
    world.settle();
    world.roll_out();
    assert!(world.plan().desired.ingress.is_none());
    assert_eq!(
        (world.ready().as_str(), world.status().url),
        ("False/NameNotClaimed Stalled", None)
    );
}

#[test]
fn a_host_that_is_carried_already_stays_and_is_told() {
    let world = world(nobodys(), true);
    assert_eq!(routed(&world), ["a.example.org", "b.example.org"]);
    assert_eq!(world.ready(), "True/Running");
    let told = claimed(&world).unwrap();
    assert_eq!(
        (told.status.as_str(), told.reason.as_str()),
        ("False", "NameNotClaimed")
    );
    assert!(told.message.contains("is routed as it was before"), "{}", told.message);
}

#[test]
fn names_are_spoken_of_only_where_a_zone_covers_them() {
    assert_eq!(claimed(&world(Name::Outside, false)), None);
    let held = claimed(&world(Name::Held, false)).unwrap();
    assert_eq!((held.status.as_str(), held.reason.as_str()), ("True", "NamesHeld"));
}

#[test]
fn a_version_that_runs_has_not_failed_for_a_host() {
    let world = world(nobodys(), false);
    let mut world = world;
    world.app.status = Some(world.status());
    let history = world.status().history;
    assert!(
        history
            .iter()
            .all(|revision| revision.result != crate::api::startup_app::RevisionResult::Failed),
        "{history:?}"
    );
}
