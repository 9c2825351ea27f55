//! What others answer about where a record leads, as the operator asks and tells it.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns/behind.rs"]
mod behind;
mod common;
#[path = "dns/world.rs"]
mod world;

use common::{eventually, start};
use tremplin_core::api::DnsRecord;
use tremplin_e2e::dns::query::RecordType;
use world::{Server, World, message};

/// The record, once a condition has that reason.
async fn told(world: &World, namespace: &str, name: &str, type_: &str, reason: &str) -> DnsRecord {
    eventually(&format!("{name}: {type_} {reason}"), async || {
        let record = world.of::<DnsRecord>(namespace).get(name).await.unwrap();
        let conditions = record.status.clone().unwrap_or_default().conditions;
        let found = conditions.iter().find(|condition| condition.type_ == type_)?.reason == reason;
        found.then_some(record)
    })
    .await
}

#[tokio::test]
async fn a_target_that_is_gone_is_told_and_stays_published() {
    let domain = "targets.example";
    let server = Server::bind(domain, "here 60 IN A 192.0.2.5\n").await;
    let (control_plane, client) = start().await;
    let world = World { client };
    world.open("targets", domain, &server, "{}").await;
    let team = world.team(control_plane, "targets").await;
    for (name, target) in [("fine", "here"), ("dangling", "gone")] {
        let spec = format!("{{name: {name}.{domain}, targets: [{target}.{domain}]}}");
        world.commit(&team, name, &spec).await;
        world.record(&team, name, "Published").await;
    }
    told(&world, &team, "fine", "TargetResolves", "Resolves").await;
    let record = told(&world, &team, "dangling", "TargetResolves", "TargetGone").await;
    let conditions = record.status.unwrap().conditions;
    assert!(message(&conditions, "TargetResolves").contains("gone.targets.example no longer resolves"));
    world.record(&team, "dangling", "Published").await;
    assert_eq!(
        server.ask("dangling.targets.example", RecordType::CNAME).await,
        ["gone.targets.example."]
    );
}

#[tokio::test]
async fn mail_is_judged_and_says_what_is_missing() {
    let domain = "mail.example";
    let server = Server::bind(domain, "mx 60 IN A 192.0.2.5\nalias 60 IN CNAME mx\n").await;
    let (control_plane, client) = start().await;
    let world = World { client };
    world.open("mail", domain, &server, "{}").await;
    let team = world.team(control_plane, "mail").await;
    let none = format!("{{name: none.{domain}, mail: {{preset: None}}}}");
    world.commit(&team, "none", &none).await;
    world.record(&team, "none", "Published").await;
    told(&world, &team, "none", "MailReady", "MailComplete").await;
    assert_eq!(
        server.ask("none.mail.example", RecordType::TXT).await,
        ["\"v=spf1 -all\""]
    );

    let bad = format!(
        "{{name: bad.{domain}, mail: {{spf: 'v=spf1 mx -all', dmarc: 'v=DMARC1; p=reject', mx: [{{priority: 10, host: alias.{domain}}}]}}}}"
    );
    world.commit(&team, "bad", &bad).await;
    let record = told(&world, &team, "bad", "MailReady", "MailIncomplete").await;
    let said = message(&record.status.unwrap().conditions, "MailReady");
    assert!(
        said.contains("alias.mail.example is an alias") && said.contains("DKIM: no key"),
        "{said}"
    );
}

#[tokio::test]
async fn mail_counts_of_other_records_what_is_in_the_zone() {
    let domain = "policies.example";
    let server = Server::bind(domain, "mx 60 IN A 192.0.2.5\n").await;
    let (control_plane, client) = start().await;
    let world = World { client };
    world
        .open(
            "policies",
            domain,
            &server,
            "{admission: {namespaces: {}, approvalRequiredFor: [TXT]}}",
        )
        .await;
    let team = world.team(control_plane, "policies").await;
    let text = format!("{{name: app.{domain}, type: TXT, values: ['v=spf1 mx -all']}}");
    world.commit(&team, "text", &text).await;
    world.record(&team, "text", "WaitingForApproval").await;
    let mail = format!("{{name: app.{domain}, mail: {{mx: [{{priority: 10, host: mx.{domain}}}]}}}}");
    world.commit(&team, "mail", &mail).await;
    let says_spf = async || {
        let record = told(&world, &team, "mail", "MailReady", "MailIncomplete").await;
        message(&record.status.unwrap().conditions, "MailReady").contains("SPF: no record")
    };
    world.record(&team, "mail", "Published").await;
    assert!(says_spf().await, "it waits for approval");
    world
        .change_zone("policies", "{admission: {approvalRequiredFor: []}}")
        .await;
    world.record(&team, "text", "Published").await;
    eventually("its policy is seen", async || (!says_spf().await).then_some(())).await;
}
