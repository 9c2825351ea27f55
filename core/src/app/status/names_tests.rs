//! Hosts whose names belong to others or to nobody: what is routed and what is told.

use serde_json::json;

use crate::api::startup_app::Condition;
use crate::app::hosts::{Carrier, HostFacts};
use crate::app::names::Name;
use crate::app::reasons::Reason;
use crate::app::render::dns_record_name;
use crate::app::testing::World;
use crate::fault::Fault;
use crate::platform::Platform;

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
    condition(world, "HostsClaimed")
}

fn condition(world: &World, type_: &str) -> Option<Condition> {
    let mut conditions = world.status().conditions.into_iter();
    conditions.find(|condition| condition.type_ == type_)
}

/// Status, reason and message.
fn published(world: &World) -> Option<String> {
    let told = condition(world, "NamesPublished")?;
    Some(format!("{}/{} {}", told.status, told.reason, told.message))
}

/// The same app where every host is given a DnsRecord.
fn given(name: Name) -> World {
    let mut world = world(name, false);
    world.platform = Platform::parse(
        "domains: [{domain: '*', dnsRecords: true}]
exposures: [{name: public, default: true, scheme: http, type: Ingress}]
sizes: {M: {cpu: 250m, memory: 256Mi, default: true}}
security: {type: OpenShift}",
    )
    .unwrap();
    world
}

/// The record of a host is looked at, and says that.
fn say(world: &mut World, host: &str, status: &str, reason: &str, stalled: bool) {
    let name = dns_record_name("brigade", host);
    let mut conditions = vec![json!({"type": "Ready", "status": status, "reason": reason, "message": "so it is"})];
    if stalled {
        conditions.push(json!({"type": "Stalled", "status": "True", "reason": reason}));
    }
    world.dns_records.retain(|record| record["metadata"]["name"] != *name);
    world.dns_records.push(json!({
        "metadata": {"name": name, "namespace": "brigade-ns", "uid": host, "generation": 1},
        "status": {"observedGeneration": 1, "conditions": conditions},
    }));
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

#[test]
fn every_host_that_the_platform_names_gets_a_record_that_follows_the_app() {
    let world = given(nobodys());
    let records = world.plan().desired.dns_records;
    let asked = records.iter().map(|record| {
        let app = record.spec.app_ref.as_ref().map(|app| app.name.as_str());
        (record.spec.name.as_str(), app)
    });
    // Also the one that is not routed: only its record can claim the name.
    let expected = [("a.example.org", Some("brigade")), ("b.example.org", Some("brigade"))];
    assert_eq!(asked.collect::<Vec<_>>(), expected);
    assert_eq!(world.ready(), "False/NameNotClaimed Reconciling");
    let told = claimed(&world).unwrap().message;
    assert!(
        told.ends_with("its DnsRecord asks for it: see NamesPublished"),
        "{told}"
    );
    assert!(World::new(TWO).plan().desired.dns_records.is_empty());
}

#[test]
fn a_record_that_the_team_committed_speaks_for_the_host() {
    let mut world = given(nobodys());
    let facts = world.hosts.get_mut("b.example.org").unwrap();
    facts.record = Some("mine".into());
    let records = world.plan().desired.dns_records;
    assert_eq!(
        records
            .iter()
            .map(|record| record.spec.name.as_str())
            .collect::<Vec<_>>(),
        ["a.example.org"]
    );
    let told = claimed(&world).unwrap().message;
    assert!(told.ends_with("see the DnsRecord mine, which asks for it"), "{told}");
}

#[test]
fn names_are_published_when_every_record_is_and_the_one_that_a_human_must_see_is_told_first() {
    let mut world = given(Name::Held);
    let told = |world: &World| published(world).unwrap();
    assert_eq!(
        told(&world),
        "False/NamesPending the DnsRecord of a.example.org was not looked at yet"
    );
    say(&mut world, "a.example.org", "False", "Programming", false);
    assert_eq!(told(&world), "False/Programming a.example.org: so it is");
    say(&mut world, "b.example.org", "False", "NotOurs", true);
    assert_eq!(told(&world), "False/NotOurs b.example.org: so it is");
    say(&mut world, "b.example.org", "True", "Published", false);
    assert_eq!(told(&world), "False/Programming a.example.org: so it is");
    say(&mut world, "a.example.org", "True", "Published", false);
    assert_eq!(
        told(&world),
        "True/NamesPublished the DnsRecord of every host is published"
    );
    // What it says of an older spec is not what is asked for.
    world.dns_records[0]["metadata"]["generation"] = json!(2);
    assert!(told(&world).starts_with("False/NamesPending"), "{}", told(&world));
    assert_eq!(published(&self::world(Name::Held, false)), None);
}
