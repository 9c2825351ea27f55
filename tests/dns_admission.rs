//! Who may have what, on the real API server: each rule of a DnsZone refuses with its own reason and writes nothing.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns/behind.rs"]
mod behind;
mod common;
#[path = "dns/world.rs"]
mod world;
#[path = "dns/zones.rs"]
mod zones;

use common::{eventually, start};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tremplin_core::api::{DnsClaim, DnsRecord, DnsZone};
use tremplin_e2e::dns::query::RecordType;
use world::{Server, World, message};

/// The platform team's word on a claim.
async fn approve(world: &World, claim: &str, approvals: &str) {
    let patch = json!({"metadata": {"annotations": {"tremplin.dev/approved": approvals}}});
    let claims = world.cluster::<DnsClaim>();
    claims
        .patch(claim, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

/// What the claim says must be approved.
async fn asked(world: &World, claim: &str, values: &[&str]) -> String {
    eventually("the approval is asked for on the claim", async || {
        let status = world.cluster::<DnsClaim>().get_opt(claim).await.unwrap()?.status?;
        let request = status.approvals.into_iter().find(|request| request.values == values)?;
        Some(request.approve)
    })
    .await
}

#[tokio::test]
async fn an_approval_lets_these_data_through_and_no_others() {
    let server = Server::bind("asked.example", "").await;
    let zone = "{admission: {namespaces: {matchLabels: {dns: 'yes'}}, approvalRequiredFor: [MX]}}";
    let (world, blue) = World::opened("asked", &server, zone).await;
    let mx = async || server.ask("app.asked.example", RecordType::MX).await;

    let spec = "{name: app.asked.example, type: MX, values: ['10 mx.one.example.']}";
    world.commit(&blue, "app", spec).await;
    let status = world.record(&blue, "app", "WaitingForApproval").await.status.unwrap();
    assert!(message(&status.conditions, "Ready").contains("approvalRequiredFor"));
    // The name is the team's while it waits.
    let claim = world.cluster::<DnsClaim>().get("app.asked.example").await.unwrap();
    assert_eq!(claim.spec.holder.namespace, blue);
    let first = asked(&world, "app.asked.example", &["10 mx.one.example"]).await;
    assert_eq!(mx().await, Vec::<String>::new());

    approve(&world, "app.asked.example", &first).await;
    world.record(&blue, "app", "Published").await;
    assert_eq!(mx().await, ["10 mx.one.example."]);

    // Other data need another approval; until then what was approved stays.
    let spec = "{name: app.asked.example, type: MX, values: ['10 mx.two.example.']}";
    world.commit(&blue, "app", spec).await;
    world.record(&blue, "app", "WaitingForApproval").await;
    assert_eq!(mx().await, ["10 mx.one.example."]);
    let second = asked(&world, "app.asked.example", &["10 mx.two.example"]).await;
    assert_ne!(first, second);
    assert!(second.starts_with(&first), "what was approved stays so: {second}");
    approve(&world, "app.asked.example", &second).await;
    world.record(&blue, "app", "Published").await;
    assert_eq!(mx().await, ["10 mx.two.example."]);

    // So does another record under the claim that is there: the claim tells it without being touched.
    let spec = "{name: deep.app.asked.example, type: MX, values: ['10 mx.three.example.']}";
    world.commit(&blue, "deep", spec).await;
    asked(&world, "app.asked.example", &["10 mx.three.example"]).await;
}

#[tokio::test]
async fn each_rule_refuses_with_its_own_reason_and_names_itself() {
    let server = Server::bind("rules.example", "").await;
    let zone = "{admission: {
        namespaces: {matchLabels: {dns: 'yes'}}, types: [A, CNAME],
        namePolicy: {pattern: '[a-z][-a-z0-9]*', reserved: [www], prefixFromLabel: 'team'},
        targets: {allowSuffixes: [hosting.example], allowCIDRs: [192.0.2.0/24]}}}";
    let (control_plane, client) = start().await;
    let world = World { client };
    world.open("rules", "rules.example", &server, zone).await;
    let blue = world.team(control_plane, "blue").await;
    let labels = json!({"metadata": {"labels": {"team": "w"}}});
    world.label(&blue, &labels).await;
    let stranger = control_plane.namespace("stranger").await.unwrap();

    let rows = [
        (
            "{name: w-1.rules.example, type: TXT, values: [hello]}",
            "TypeNotAllowed",
            "admission.types",
        ),
        (
            "{name: w-2.rules.example, targets: [else.example]}",
            "TargetNotAllowed",
            "allowSuffixes",
        ),
        (
            "{name: w-3.rules.example, targets: [198.51.100.1]}",
            "TargetNotAllowed",
            "allowCIDRs",
        ),
        (
            "{name: www.rules.example, targets: [192.0.2.1]}",
            "NameReserved",
            "namePolicy.reserved",
        ),
        (
            "{name: other.rules.example, targets: [192.0.2.1]}",
            "NameNotAllowed",
            "prefixFromLabel",
        ),
        (
            "{name: 1.rules.example, targets: [192.0.2.1]}",
            "NameNotAllowed",
            "namePolicy.pattern",
        ),
        (
            "{name: rules.example, targets: [192.0.2.1]}",
            "NotClaimable",
            "adoptions",
        ),
        (
            "{name: _dmarc.rules.example, targets: [a.hosting.example]}",
            "NotClaimable",
            "adoptions",
        ),
        (
            "{name: '*.rules.example', targets: [192.0.2.1]}",
            "NotClaimable",
            "adoptions",
        ),
        (
            "{name: w.elsewhere.example, targets: [192.0.2.1]}",
            "NoZone",
            "no DnsZone",
        ),
    ];
    for (index, (spec, reason, rule)) in rows.iter().enumerate() {
        let name = format!("row{index}");
        world.commit(&blue, &name, spec).await;
        let status = world.record(&blue, &name, reason).await.status.unwrap();
        let told = message(&status.conditions, "Ready");
        assert!(told.contains(rule), "{spec}: {told}");
    }
    world
        .commit(&stranger, "app", "{name: w.rules.example, targets: [192.0.2.1]}")
        .await;
    world.record(&stranger, "app", "NamespaceNotAdmitted").await;
    // What passes is taken, and nobody else holds anything.
    world
        .commit(&blue, "app", "{name: w-app.rules.example, targets: [192.0.2.1]}")
        .await;
    world.record(&blue, "app", "Published").await;
    assert_eq!(claims(&world, "rules.example").await, ["w-app.rules.example"]);
}

async fn claims(world: &World, zone: &str) -> Vec<String> {
    let all = world.cluster::<DnsClaim>().list(&ListParams::default()).await.unwrap();
    let ours = all.items.into_iter().filter(|claim| claim.spec.zone == zone);
    ours.map(|claim| claim.spec.key).collect()
}

#[tokio::test]
async fn a_quota_holds_although_all_ask_at_once() {
    let server = Server::bind("quota.example", "").await;
    let zone = "{admission: {namespaces: {matchLabels: {dns: 'yes'}}, targets: {denyPrivate: false}, maxClaimsPerNamespace: 3}}";
    let (world, blue) = World::opened("quota", &server, zone).await;

    let specs = (0..20).map(|index| {
        (
            format!("n{index}"),
            format!("{{name: n{index}.quota.example, targets: [192.0.2.1]}}"),
        )
    });
    let specs: Vec<_> = specs.collect();
    let all = specs.iter().map(|(name, spec)| world.commit(&blue, name, spec));
    futures::future::join_all(all).await;
    let (published, refused) = eventually("each of them is answered", async || {
        let records = world.of::<DnsRecord>(&blue).list(&ListParams::default()).await.unwrap();
        let count = |reason: &str| {
            let those = records.items.iter().filter_map(|record| record.status.as_ref());
            let those = those.flat_map(|status| &status.conditions);
            those
                .filter(|condition| condition.type_ == "Ready" && condition.reason == reason)
                .count()
        };
        let counts = (count("Published"), count("TooManyClaims"));
        (counts.0 + counts.1 == specs.len()).then_some(counts)
    })
    .await;
    assert_eq!((published, refused), (3, 17));
    assert_eq!(claims(&world, "quota.example").await.len(), 3);
}

#[tokio::test]
async fn a_name_that_is_given_up_counts_until_its_quarantine_is_over() {
    let server = Server::bind("counted.example", "").await;
    let zone = "{admission: {namespaces: {matchLabels: {dns: 'yes'}}, targets: {denyPrivate: false}, maxClaimsPerNamespace: 1}}";
    let (world, blue) = World::opened("counted", &server, zone).await;
    let spec = |name: &str| format!("{{name: {name}.counted.example, targets: [192.0.2.1]}}");
    world.commit(&blue, "one", &spec("one")).await;
    world.record(&blue, "one", "Published").await;
    world.commit(&blue, "two", &spec("two")).await;
    world.record(&blue, "two", "TooManyClaims").await;

    world.delete(&blue, "one").await;
    eventually("the refused record tells the quarantine", async || {
        let status = world.record(&blue, "two", "TooManyClaims").await.status?;
        let told = message(&status.conditions, "Ready");
        let is_told = told.contains("1 of these in quarantine") && told.contains("again, such as one.counted.example");
        is_told.then_some(())
    })
    .await;
    let claims = world.cluster::<DnsClaim>();
    let none = DeleteParams::default();
    claims.delete("one.counted.example", &none).await.unwrap();
    world.record(&blue, "two", "Published").await;
}

#[tokio::test]
async fn for_a_holder_who_names_nobody_the_zones_contact_is_told() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("whom.example", "").await;
    world
        .open("whom", "whom.example", &server, "{contact: desk@example.org}")
        .await;
    let (first, second) = (
        world.team(control_plane, "first").await,
        world.team(control_plane, "second").await,
    );
    let nobody = json!({"metadata": {"annotations": {"tremplin.dev/contact": null}}});
    world.label(&first, &nobody).await;
    let spec = "{name: app.whom.example, targets: [192.0.2.1]}";
    world.commit(&first, "app", spec).await;
    world.record(&first, "app", "Published").await;
    world.commit(&second, "app", spec).await;
    let status = eventually("the zone's contact is told", async || {
        let status = world.record(&second, "app", "NameHeld").await.status.unwrap();
        (status.conflict.as_ref()?.contact.as_deref() == Some("desk@example.org")).then_some(status)
    })
    .await;
    let told = message(&status.conditions, "Ready");
    assert!(told.contains("desk@example.org"), "{told}");
}

/// On the platform file that the operator runs with, namespaces that end on `-dev` are for development.
#[tokio::test]
async fn a_namespace_of_which_the_platform_file_says_nothing_is_no_production() {
    let server = Server::bind("envs.example", "").await;
    let zone = |environment: &str| {
        format!(
            "{{admission: {{namespaces: {{matchLabels: {{dns: 'yes'}}}}, targets: {{denyPrivate: false}}, namePolicy: {{environments: [{environment}]}}}}}}"
        )
    };
    let (world, unknown) = World::opened("envs", &server, &zone("Production")).await;
    let spec = |name: &str| format!("{{name: {name}.envs.example, targets: [192.0.2.1]}}");
    world.commit(&unknown, "app", &spec("app")).await;
    let told = world.record(&unknown, "app", "EnvironmentNotAdmitted").await;
    let told = message(&told.status.unwrap().conditions, "Ready");
    assert!(told.contains("namePolicy.environments"), "{told}");
    assert_eq!(claims(&world, "envs.example").await, Vec::<String>::new());

    let known = format!("{unknown}-dev");
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": known, "labels": {"dns": "yes"}}});
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = world.cluster();
    let namespace = serde_json::from_value(namespace).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    world.commit(&known, "dev", &spec("dev")).await;
    world.record(&known, "dev", "EnvironmentNotAdmitted").await;
    world.change_zone("envs", &zone("Development")).await;
    world.record(&known, "dev", "Published").await;
    world.record(&unknown, "app", "EnvironmentNotAdmitted").await;
}

#[tokio::test]
async fn a_name_moves_to_another_team_when_the_platform_team_says_so() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("moves.example", "").await;
    world.open("moves", "moves.example", &server, "").await;
    let (old, new) = (
        world.team(control_plane, "old").await,
        world.team(control_plane, "new").await,
    );
    world
        .label(&new, &json!({"metadata": {"labels": {"team": "new"}}}))
        .await;
    world
        .commit(&old, "app", "{name: app.moves.example, targets: [192.0.2.1]}")
        .await;
    world.record(&old, "app", "Published").await;

    let given = "{adoptions: [{name: app.moves.example, namespaceSelector: {matchLabels: {team: new}}}]}";
    world.open("moves", "moves.example", &server, given).await;
    world.record(&old, "app", "NoLongerAllowed").await;
    let claims = world.cluster::<DnsClaim>();
    claims
        .delete("app.moves.example", &DeleteParams::default())
        .await
        .unwrap();
    world
        .commit(&new, "app", "{name: app.moves.example, targets: [192.0.2.2]}")
        .await;
    world.record(&new, "app", "Published").await;
    assert_eq!(server.ask("app.moves.example", RecordType::A).await, ["192.0.2.2"]);
    // The old one is told, and its deletion takes nothing away.
    world.record(&old, "app", "NameHeld").await;
    world.delete(&old, "app").await;
    let audit = json!({"metadata": {"annotations": {"tremplin.dev/audit-requested-at": "2030-01-01T00:00:00Z"}}});
    let zones = world.cluster::<DnsZone>();
    zones
        .patch("moves", &PatchParams::default(), &Patch::Merge(audit))
        .await
        .unwrap();
    world
        .commit(&new, "more", "{name: more.app.moves.example, targets: [192.0.2.3]}")
        .await;
    world.record(&new, "more", "Published").await;
    assert_eq!(server.ask("app.moves.example", RecordType::A).await, ["192.0.2.2"]);
}

#[tokio::test]
async fn a_name_that_would_lead_in_a_circle_is_refused_to_the_newer_record() {
    let server = Server::bind("circle.example", "").await;
    let (world, blue) = World::opened("circle", &server, "").await;
    world
        .commit(
            &blue,
            "one",
            "{name: one.circle.example, targets: [two.circle.example]}",
        )
        .await;
    let one = world.record(&blue, "one", "Published").await;
    // Ages are told in whole seconds: of two of the same second either may count as the newer one.
    let later = one.metadata.creation_timestamp.unwrap().0 + SignedDuration::from_secs(1);
    eventually("a later second", async || (Timestamp::now() >= later).then_some(())).await;
    world
        .commit(
            &blue,
            "two",
            "{name: two.circle.example, targets: [one.circle.example]}",
        )
        .await;
    let status = world.record(&blue, "two", "InvalidSpec").await.status.unwrap();
    let told = message(&status.conditions, "Ready");
    assert!(
        told.contains("in a circle: to one.circle.example, then to two.circle.example"),
        "{told}"
    );
    world
        .commit(&blue, "two", "{name: two.circle.example, targets: [192.0.2.1]}")
        .await;
    world.record(&blue, "two", "Published").await;
    world.record(&blue, "one", "Published").await;
}
