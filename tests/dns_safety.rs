//! What keeps a zone from harm: the breaker, `paused`, `mode: Report`, `protected`, data of others, tightened rules, and
//! zones and providers that go away.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns/behind.rs"]
mod behind;
#[path = "dns/breaker.rs"]
mod breaker;
mod common;
#[path = "dns/credentials.rs"]
mod credentials;
#[path = "dns/drift.rs"]
mod drift;
#[path = "dns/leaving.rs"]
mod leaving;
#[path = "dns/marks.rs"]
mod marks;
#[path = "dns/outage.rs"]
mod outage;
#[path = "dns/silence.rs"]
mod silence;
#[path = "dns/snapshots.rs"]
mod snapshots;
#[path = "dns/texts.rs"]
mod texts;
#[path = "dns/tls.rs"]
mod tls;
#[path = "dns/unit.rs"]
mod unit;
#[path = "dns/world.rs"]
mod world;

use behind::set;
use common::{eventually, start};
use kube::api::DeleteParams;
use tremplin_core::api::{DnsClaim, DnsRecord, DnsZone};
use tremplin_core::dns::RecordType as Kind;
use tremplin_e2e::dns::query::RecordType;
use world::{Server, World, message};

const FOREIGN: &str = "www IN A 198.51.100.1\nmail IN MX 10 mx.other.example.";

/// So many names of one team.
async fn commit(world: &World, team: &str, domain: &str, count: usize) {
    for n in 0..count {
        let spec = format!("{{name: n{n}.{domain}, targets: [192.0.2.{n}]}}");
        world.commit(team, &format!("n{n}"), &spec).await;
    }
}

/// The same, each published.
async fn publish(world: &World, team: &str, domain: &str, count: usize) {
    commit(world, team, domain, count).await;
    for n in 0..count {
        world.record(team, &format!("n{n}"), "Published").await;
    }
}

fn is_foreign(set: &tremplin_core::dns::RrSet) -> bool {
    ["www.", "mail.", "ns1."]
        .iter()
        .any(|name| set.name.as_str().starts_with(name))
}

#[tokio::test]
async fn what_a_server_refuses_one_team_keeps_no_other_waiting() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let policy = "grant tremplin zonesub A AAAA CNAME TXT;";
    let server = Server::bind_with("policy.example", FOREIGN, Some(policy)).await;
    world.open("policy", "policy.example", &server, "{paused: true}").await;
    let (blue, red) = (
        world.team(control_plane, "blue").await,
        world.team(control_plane, "red").await,
    );
    let refused = "{name: a.policy.example, type: MX, values: ['10 mx.other.example']}";
    world.commit(&red, "mail", refused).await;
    for n in 0..3 {
        let spec = format!("{{name: n{n}.policy.example, targets: [192.0.2.{n}]}}");
        world.commit(&blue, &format!("n{n}"), &spec).await;
    }
    eventually("all of it is planned", async || {
        let zone = world.cluster::<DnsZone>().get("policy").await.unwrap();
        (zone.status?.plan.len() == 8).then_some(())
    })
    .await;
    world.change_zone("policy", "{paused: false}").await;
    for n in 0..3 {
        world.record(&blue, &format!("n{n}"), "Published").await;
    }
    let told = world.record(&red, "mail", "ProviderRefused").await.status.unwrap();
    assert!(message(&told.conditions, "Ready").contains("REFUSED"), "{told:?}");
    let status = world.zone("policy", "Synced").await.status.unwrap();
    let valid = status.conditions.iter().find(|found| found.type_ == "CredentialsValid");
    assert_eq!(valid.unwrap().status, "True");
    // Nor does it later, and its end is an end.
    world
        .commit(&blue, "n0", "{name: n0.policy.example, targets: [192.0.2.9]}")
        .await;
    world.delete(&red, "mail").await;
    world.record(&blue, "n0", "Published").await;
    assert_eq!(server.ask("n0.policy.example", RecordType::A).await, ["192.0.2.9"]);
    world.claim("a.policy.example", "Releasing").await;
}

#[tokio::test]
async fn a_zone_in_report_counts_plans_and_writes_nothing() {
    let server = Server::power_dns("report.example", FOREIGN).await;
    let (world, blue) = World::opened("report", &server, "{mode: Report}").await;
    let before = server.all("report.example").await;
    world
        .commit(&blue, "app", "{name: app.report.example, targets: [192.0.2.1]}")
        .await;
    world
        .commit(&blue, "www", "{name: www.report.example, targets: [192.0.2.1]}")
        .await;
    world.record(&blue, "app", "ZoneNotWritten").await;
    world.audit("report").await;
    let status = eventually("the plan", async || {
        let zone = world.zone("report", "Reporting").await.status.unwrap();
        (zone.plan.len() == 3).then_some(zone)
    })
    .await;
    let plan: Vec<_> = status
        .plan
        .iter()
        .map(|change| (change.action.as_str(), change.name.as_str(), change.type_.as_str()))
        .collect();
    assert_eq!(
        plan,
        [
            ("Refused", "www.report.example", "A"),
            ("Create", "_tremplin.app.report.example", "TXT"),
            ("Create", "app.report.example", "A"),
        ]
    );
    let refused = status.plan[0].detail.clone().unwrap();
    assert!(refused.contains("that Tremplin did not write"), "{refused}");
    let counts = status.records.unwrap();
    // NS and address of the name server, www, mail.
    assert_eq!((counts.owned, counts.foreign, counts.orphaned), (0, 4, 0));
    assert_eq!(server.all("report.example").await, before);

    // A name that never was in the zone is given up like any other.
    for name in ["left", "www"] {
        let spec = format!("{{name: {name}.report.example, targets: [192.0.2.1]}}");
        world.commit(&blue, name, &spec).await;
    }
    world.record(&blue, "left", "ZoneNotWritten").await;
    for name in ["left", "www"] {
        world.delete(&blue, name).await;
        world.claim(&format!("{name}.report.example"), "Releasing").await;
    }
    assert_eq!(server.all("report.example").await, before);

    world.change_zone("report", "{mode: Enforce}").await;
    world.record(&blue, "app", "Published").await;
    world.audit("report").await;
    let counts = world.zone("report", "Synced").await.status.unwrap().records.unwrap();
    assert_eq!((counts.owned, counts.foreign, counts.orphaned), (1, 4, 0));
}

#[tokio::test]
async fn a_paused_zone_is_not_written_until_it_goes_on() {
    let server = Server::bind("paused.example", FOREIGN).await;
    let (world, blue) = World::opened("paused", &server, "{claims: {releaseAfterSeconds: 3600}}").await;
    publish(&world, &blue, "paused.example", 3).await;
    world.change_zone("paused", "{paused: true}").await;
    let before = server.all("paused.example").await;
    world
        .commit(&blue, "n0", "{name: n0.paused.example, targets: ['2001:db8::1']}")
        .await;
    world.record(&blue, "n0", "ZoneNotWritten").await;
    world.delete(&blue, "n1").await;
    world.claim("n1.paused.example", "Withdrawing").await;
    assert_eq!(server.all("paused.example").await, before);
    // What is served and stays is true whatever waits, also once the zone is another.
    world.change_zone("paused", "{drift: {intervalSeconds: 400}}").await;
    world.audit("paused").await;
    world.record(&blue, "n2", "Published").await;
    world.record(&blue, "n0", "ZoneNotWritten").await;
    world.change_zone("paused", "{paused: false}").await;
    world.record(&blue, "n0", "Published").await;
    world.claim("n1.paused.example", "Releasing").await;
    let ours: Vec<_> = server
        .data("paused.example")
        .await
        .into_iter()
        .filter(|set| !is_foreign(set))
        .collect();
    assert!(
        ours.contains(&set("n0.paused.example", "AAAA", 300, &["2001:db8::1"])),
        "{ours:?}"
    );
    assert_eq!(ours.len(), 3, "beside NS: {ours:?}");
}

#[tokio::test]
async fn a_protected_name_is_never_written() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("kept.example", FOREIGN).await;
    let spec = "{safety: {protected: [vip.kept.example]}, claims: {releaseAfterSeconds: 3600}}";
    world.open("kept", "kept.example", &server, "").await;
    let blue = world.team(control_plane, "blue").await;
    world
        .commit(&blue, "vip", "{name: vip.kept.example, targets: [192.0.2.1]}")
        .await;
    world.record(&blue, "vip", "Published").await;
    let before = server.all("kept.example").await;
    world.change_zone("kept", spec).await;
    world.record(&blue, "vip", "NoLongerAllowed").await;
    world
        .commit(&blue, "vip", "{name: vip.kept.example, targets: [192.0.2.2]}")
        .await;
    world.record(&blue, "vip", "NoLongerAllowed").await;
    // Even its deletion leaves it there, and says so.
    world.delete(&blue, "vip").await;
    world.claim("vip.kept.example", "Orphaned").await;
    assert_eq!(server.all("kept.example").await, before);
    // A new one is refused at once.
    let red = world.team(control_plane, "red").await;
    world
        .change_zone("kept", "{safety: {protected: [vip.kept.example, new.kept.example]}}")
        .await;
    world
        .commit(&red, "new", "{name: new.kept.example, targets: [192.0.2.3]}")
        .await;
    world.record(&red, "new", "ProtectedName").await;
    assert_eq!(server.all("kept.example").await, before);
}

#[tokio::test]
async fn data_of_others_is_left_alone_until_the_platform_team_gives_it() {
    let server = Server::bind("given.example", FOREIGN).await;
    let (world, blue) = World::opened("given", &server, "").await;
    let before = server.all("given.example").await;
    world
        .commit(
            &blue,
            "www",
            "{name: www.given.example, targets: [elsewhere.example.org]}",
        )
        .await;
    let refused = world.record(&blue, "www", "NotOurs").await.status.unwrap();
    assert!(refused.conflict.unwrap().reason.contains("did not write"));
    // Nor is anything put beside it, or below it.
    for (object, spec) in [
        ("beside", "{name: mail.given.example, targets: ['2001:db8::1']}"),
        (
            "below",
            "{name: _acme-challenge.www.given.example, type: TXT, values: [token]}",
        ),
    ] {
        world.commit(&blue, object, spec).await;
        world.record(&blue, object, "NotOurs").await;
    }
    assert_eq!(server.all("given.example").await, before);
    let adoption = "{adoptions: [{name: www.given.example, namespaceSelector: {matchLabels: {dns: 'yes'}}}]}";
    world.change_zone("given", adoption).await;
    let status = world.record(&blue, "www", "Published").await.status.unwrap();
    assert_eq!(status.conflict, None);
    assert_eq!(
        server.ask("www.given.example", RecordType::CNAME).await,
        ["elsewhere.example.org."]
    );
    assert_eq!(server.current("given.example", "www.given.example", "A").await, None);
    world.record(&blue, "below", "Published").await;
    world.record(&blue, "beside", "NotOurs").await;
    assert_eq!(server.ask("mail.given.example", RecordType::MX).await.len(), 1);
}

#[tokio::test]
async fn a_deleted_zone_withdraws_nothing_and_hangs_nothing() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("gone.example", FOREIGN).await;
    let spec = "{claims: {releaseAfterSeconds: 3600}}";
    world.open("gone", "gone.example", &server, spec).await;
    let blue = world.team(control_plane, "blue").await;
    publish(&world, &blue, "gone.example", 2).await;
    let before = server.all("gone.example").await;
    world
        .cluster::<DnsZone>()
        .delete("gone", &DeleteParams::default())
        .await
        .unwrap();
    world.record(&blue, "n0", "NoLongerAllowed").await;
    world.delete(&blue, "n0").await;
    let told = message(
        &world
            .claim("n0.gone.example", "Orphaned")
            .await
            .status
            .unwrap()
            .conditions,
        "Ready",
    );
    assert!(told.contains("there is no DnsZone gone.example"), "{told}");
    assert_eq!(server.all("gone.example").await, before);
    // It comes back: what was asked for meanwhile is done.
    world.open("gone", "gone.example", &server, spec).await;
    world.claim("n0.gone.example", "Releasing").await;
    world.record(&blue, "n1", "Published").await;
    assert_eq!(server.current("gone.example", "n0.gone.example", "A").await, None);
    assert!(server.current("gone.example", "n1.gone.example", "A").await.is_some());
}

#[tokio::test]
async fn a_relabelled_namespace_keeps_what_is_published() {
    let server = Server::bind("label.example", FOREIGN).await;
    let (world, blue) = World::opened("label", &server, "").await;
    publish(&world, &blue, "label.example", 1).await;
    let before = server.all("label.example").await;
    world.relabel(&blue, Some("no")).await;
    let status = world.record(&blue, "n0", "NoLongerAllowed").await.status.unwrap();
    let told = message(&status.conditions, "Ready");
    assert!(told.contains("what is published stays as it is"), "{told}");
    world.audit("label").await;
    world.claim("n0.label.example", "Held").await;
    // The platform team is told too.
    let left = world.left("n0.label.example", true).await;
    assert!(
        left.contains("the DnsRecord n0") && left.contains("admission.namespaces"),
        "{left}"
    );
    assert_eq!(server.all("label.example").await, before);
    world.relabel(&blue, Some("yes")).await;
    world.record(&blue, "n0", "Published").await;
    world.left("n0.label.example", false).await;
    assert_eq!(server.all("label.example").await, before);
}

/// One of two texts at a name is no longer admitted: it stays, beside the other.
#[tokio::test]
async fn a_tightened_quota_withdraws_no_text_beside_another() {
    let server = Server::bind("quota.example", FOREIGN).await;
    let (world, blue) = World::opened("quota", &server, "").await;
    for name in ["one", "two"] {
        let spec = format!("{{name: app.quota.example, type: TXT, values: ['{name}']}}");
        world.commit(&blue, name, &spec).await;
        world.record(&blue, name, "Published").await;
    }
    world.change_zone("quota", "{admission: {maxRecordsPerClaim: 1}}").await;
    // Which of the two is the newer one is for the API server's clock to say.
    let refused = eventually("one is refused", async || {
        for name in ["one", "two"] {
            let record = world.of::<DnsRecord>(&blue).get(name).await.unwrap();
            if message(&record.status?.conditions, "Ready").contains("stays as it is") {
                return Some(name);
            }
        }
        None
    })
    .await;
    let other = if refused == "one" { "two" } else { "one" };
    let spec = format!("{{name: app.quota.example, type: TXT, values: ['{other}', 'more']}}");
    world.commit(&blue, other, &spec).await;
    world.record(&blue, other, "Published").await;
    let texts = server
        .current("quota.example", "app.quota.example", "TXT")
        .await
        .unwrap()
        .values;
    assert!(texts.contains(refused) && texts.contains("more"), "{texts:?}");
}

#[tokio::test]
async fn what_is_to_be_retained_stays_in_the_zone() {
    let server = Server::bind("retain.example", FOREIGN).await;
    let (world, blue) = World::opened("retain", &server, "{claims: {releaseAfterSeconds: 3600}}").await;
    let spec = "{name: app.retain.example, targets: [192.0.2.1], deletionPolicy: Retain}";
    world.commit(&blue, "app", spec).await;
    world.record(&blue, "app", "Published").await;
    let before = server.all("retain.example").await;
    world.delete(&blue, "app").await;
    let claim = world.claim("app.retain.example", "Releasing").await;
    assert_eq!(claim.spec.withdrawals, []);
    world.audit("retain").await;
    assert_eq!(server.all("retain.example").await, before);
    let status = world.zone("retain", "Synced").await.status.unwrap();
    assert_eq!(status.records.unwrap().orphaned, 1);
    assert_eq!(status.orphans, ["app.retain.example A"]);
    // The same team takes it again, with its data.
    world
        .commit(&blue, "again", "{name: app.retain.example, targets: [192.0.2.2]}")
        .await;
    world.record(&blue, "again", "Published").await;
    assert_eq!(server.ask("app.retain.example", RecordType::A).await, ["192.0.2.2"]);
}

/// Commits that come faster than they are written leave nothing behind.
#[tokio::test]
async fn of_types_that_follow_each_other_fast_only_the_last_stays() {
    let server = Server::bind("fast.example", "").await;
    let (world, blue) = World::opened("fast", &server, "").await;
    for round in 0..12_u64 {
        let name = format!("n{round}.fast.example");
        let object = format!("n{round}");
        for target in ["192.0.2.1", "2001:db8::1"] {
            world
                .commit(&blue, &object, &format!("{{name: {name}, targets: ['{target}']}}"))
                .await;
            // Anywhere within the first one's rounds.
            tokio::time::sleep(std::time::Duration::from_millis(round * 4)).await;
        }
        world.record(&blue, &object, "Published").await;
        eventually("the first type is gone", async || {
            let found = server.current("fast.example", &name, "A").await;
            found.is_none().then_some(())
        })
        .await;
        let mark = server
            .current("fast.example", &format!("_tremplin.{name}"), "TXT")
            .await
            .unwrap();
        assert!(mark.values.iter().all(|text| text.ends_with("types=AAAA")), "{mark:?}");
    }
    let ours = server.data("fast.example").await;
    assert_eq!(ours.iter().filter(|set| set.type_ == Kind::Aaaa).count(), 12);
    let claims = world.cluster::<DnsClaim>().get("n0.fast.example").await.unwrap();
    assert_eq!(claims.spec.withdrawals, []);
}
