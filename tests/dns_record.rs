//! A name's life, from the commit to the authoritative server and back, on the real API server and real name servers.
#![cfg(test)] // helpers here may unwrap as tests do

#[path = "dns/behind.rs"]
mod behind;
mod common;
#[path = "dns/world.rs"]
mod world;

use common::{HOME, eventually, start};
use k8s_openapi::api::core::v1::ConfigMap;
use tremplin_core::api::{DnsClaim, DnsRecord, DnsZone};
use tremplin_e2e::dns::query::RecordType;
use world::{Server, World, message};

/// The zone as it was before its first change is kept: it holds what others wrote, and what was there of ours.
async fn assert_kept(world: &World, zone: &str, foreign: &str, ours: &str) {
    let kept = world
        .cluster::<DnsZone>()
        .get(zone)
        .await
        .unwrap()
        .status
        .unwrap()
        .snapshots;
    let export = world
        .of::<ConfigMap>(HOME)
        .get(&kept[0].id)
        .await
        .unwrap()
        .data
        .unwrap();
    assert!(
        export["zone"].contains(foreign) && export["zone"].contains(ours),
        "{export:?}"
    );
}

/// One life, on whatever server.
async fn life(server: Server, zone: &str, domain: &str) {
    let (control_plane, client) = start().await;
    let world = World { client };
    world
        .open(zone, domain, &server, "{claims: {releaseAfterSeconds: 3600}}")
        .await;
    let (blue, red) = (
        world.team(control_plane, "blue").await,
        world.team(control_plane, "red").await,
    );
    let host = format!("app.{domain}");

    world
        .commit(&blue, "app", &format!("{{name: App.{domain}, targets: [192.0.2.10]}}"))
        .await;
    let record = world.record(&blue, "app", "Published").await;
    let status = record.status.unwrap();
    assert_eq!(server.ask(&host, RecordType::A).await, ["192.0.2.10"]);
    assert_eq!(
        (status.fqdn.as_deref(), status.effective_type.as_deref()),
        (Some(host.as_str()), Some("A"))
    );
    assert_eq!(
        (status.effective_ttl_seconds, status.zone.as_deref()),
        (Some(300), Some(domain))
    );
    let mark = server.ask(&format!("_tremplin.{host}"), RecordType::TXT).await;
    assert!(
        mark[0].contains("heritage=tremplin") && mark[0].contains(&format!("namespace={blue}")),
        "{mark:?}"
    );

    // A second team is told who holds it, since when, and whom to ask; for the first nothing changes.
    world
        .commit(&red, "theirs", &format!("{{name: x.{host}, targets: [192.0.2.66]}}"))
        .await;
    let refused = world.record(&red, "theirs", "NameHeld").await.status.unwrap();
    let told = message(&refused.conditions, "Ready");
    assert!(
        told.contains(&format!("held by the namespace {blue} since")) && told.contains("blue@example.org"),
        "{told}"
    );
    assert_eq!(refused.conflict.unwrap().since, status.claim.map(|claim| claim.since));
    assert_eq!(
        server.ask(&format!("x.{host}"), RecordType::A).await,
        Vec::<String>::new()
    );

    // Changed in place; then another type.
    world
        .commit(
            &blue,
            "app",
            &format!("{{name: App.{domain}, targets: [192.0.2.11, '2001:db8::1'], ttlSeconds: 120}}"),
        )
        .await;
    let status = world.record(&blue, "app", "Published").await.status.unwrap();
    assert_eq!(status.effective_type.as_deref(), Some("A,AAAA"));
    assert_eq!(server.ask(&host, RecordType::A).await, ["192.0.2.11"]);
    world
        .commit(
            &blue,
            "app",
            &format!("{{name: App.{domain}, targets: [elsewhere.example.org]}}"),
        )
        .await;
    world.record(&blue, "app", "Published").await;
    assert_eq!(server.ask(&host, RecordType::CNAME).await, ["elsewhere.example.org."]);
    assert_eq!(
        world
            .of::<DnsRecord>(&blue)
            .get("app")
            .await
            .unwrap()
            .status
            .unwrap()
            .programmed
            .len(),
        1
    );

    assert_kept(&world, zone, "198.51.100.1", "192.0.2.10").await;

    // Deleted: withdrawn, and kept from others for the quarantine.
    world.delete(&blue, "app").await;
    let claim = world.claim(&host, "Releasing").await;
    assert_eq!(claim.spec.withdrawals, []);
    assert_eq!(server.ask(&host, RecordType::CNAME).await, Vec::<String>::new());
    assert_eq!(
        server.ask(&format!("_tremplin.{host}"), RecordType::TXT).await,
        Vec::<String>::new()
    );
    world.record(&red, "theirs", "NameHeld").await;
    // The same team takes it again at once.
    world
        .commit(&blue, "again", &format!("{{name: {host}, targets: [192.0.2.12]}}"))
        .await;
    world.record(&blue, "again", "Published").await;
    let claim = world.claim(&host, "Held").await;
    assert_eq!(claim.spec.release_at, None);
}

#[tokio::test]
async fn a_name_lives_on_bind() {
    let server = Server::bind("bind.example", "www IN A 198.51.100.1").await;
    life(server, "bind", "bind.example").await;
}

#[tokio::test]
async fn a_name_lives_on_powerdns() {
    let server = Server::power_dns("power.example", "www IN A 198.51.100.1").await;
    life(server, "power", "power.example").await;
}

#[tokio::test]
async fn a_name_given_up_is_free_after_its_quarantine() {
    let (control_plane, client) = start().await;
    let world = World { client };
    let server = Server::bind("short.example", "").await;
    world
        .open("short", "short.example", &server, "{claims: {releaseAfterSeconds: 0}}")
        .await;
    let (blue, red) = (
        world.team(control_plane, "blue").await,
        world.team(control_plane, "red").await,
    );
    world
        .commit(&blue, "app", "{name: app.short.example, targets: [192.0.2.1]}")
        .await;
    world.record(&blue, "app", "Published").await;
    world
        .commit(&red, "app", "{name: app.short.example, targets: [192.0.2.2]}")
        .await;
    world.record(&red, "app", "NameHeld").await;
    world.delete(&blue, "app").await;
    world.record(&red, "app", "Published").await;
    eventually("the other's address is served", async || {
        (server.ask("app.short.example", RecordType::A).await == ["192.0.2.2"]).then_some(())
    })
    .await;
    let claim = world.cluster::<DnsClaim>().get("app.short.example").await.unwrap();
    assert_eq!(claim.spec.holder.namespace, red);
}

/// What `kubectl get` shows of an object: the columns, by their names in the cluster, with what stands in them.
async fn shown(world: &World, path: &str) -> Vec<(String, serde_json::Value)> {
    let request = http::Request::get(path).header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let table: serde_json::Value = world.client.request(request.body(Vec::new()).unwrap()).await.unwrap();
    let columns = table["columnDefinitions"].as_array().unwrap().iter();
    // Wider ones are shown when asked for.
    let cells = columns.zip(table["rows"][0]["cells"].as_array().unwrap());
    cells
        .filter(|(column, _)| column["priority"] == 0)
        .map(|(column, cell)| (column["name"].as_str().unwrap().to_uppercase(), cell.clone()))
        .collect()
}

#[tokio::test]
async fn what_kubectl_shows_says_how_a_name_its_zone_and_its_claim_are() {
    let server = Server::bind("table.example", "www IN A 198.51.100.1").await;
    let (world, team) = World::opened("table", &server, "{ttl: {default: 450}}").await;
    let spec = "{name: app.table.example, targets: [192.0.2.7, 192.0.2.8]}";
    world.commit(&team, "app", spec).await;
    world.record(&team, "app", "Published").await;
    world.audit("table").await;
    let group = "/apis/tremplin.dev/v1alpha1";
    let told = async |path: &str| {
        let shown = shown(&world, &format!("{group}/{path}")).await;
        let told = shown.into_iter().map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            // Ages go on.
            let is_age = ["AGE", "SINCE", "RELEASE-AT"].contains(&name.as_str());
            if is_age { name } else { format!("{name}={value}") }
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(
        told(&format!("namespaces/{team}/dnsrecords/app")).await,
        [
            "NAME=app",
            "READY=True",
            "STATUS=Published",
            "NAME=app.table.example",
            "TYPE=A",
            "TARGETS=192.0.2.7, 192.0.2.8",
            "TTL=450",
            "AGE"
        ]
    );
    assert_eq!(
        told("dnszones/table").await,
        [
            "NAME=table",
            "READY=True",
            "STATUS=Synced",
            "DOMAIN=table.example",
            "PROVIDER=RFC2136",
            "MODE=Enforce",
            "OWNED=1",
            "FOREIGN=3",
            "ORPHANED=0",
            "AGE"
        ]
    );
    assert_eq!(
        told("dnsclaims/app.table.example").await,
        [
            "NAME=app.table.example",
            "READY=True",
            "STATUS=Held",
            "KEY=app.table.example",
            &format!("HOLDER={team}"),
            "SINCE",
            "RELEASE-AT"
        ]
    );
}
