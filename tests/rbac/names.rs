//! Everything that the operator ever does about names in a zone, on a real name server.

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tremplin_e2e::dns::{Bind, BindOptions, KEY_NAME, ZoneText};

use crate::install::{OPERATORS, eventually, object, objects_of};
use crate::team::{SECRETS, Team};

const RECORDS: &str = "tremplin.dev/v1alpha1/DnsRecord/dnsrecords";
const CLAIMS: &str = "tremplin.dev/v1alpha1/DnsClaim/dnsclaims";
const ZONES: &str = "tremplin.dev/v1alpha1/DnsZone/dnszones";
const DOMAIN: &str = "rights.example";

/// A zone is opened, a name claimed, published, refused to others, given up and released.
pub async fn live_with_names(team: &Team, other: &Team) {
    let zones = vec![ZoneText::empty(DOMAIN)];
    let server = Bind::start(BindOptions {
        zones,
        update_policy: None,
    })
    .await
    .unwrap();
    open_zone(team, &server).await;

    ask(
        team,
        "app",
        &json!({"name": "app.rights.example", "targets": ["192.0.2.1"]}),
    )
    .await;
    told(team, RECORDS, "app", "Published").await;
    told(team, CLAIMS, "app.rights.example", "Held").await;
    told(team, ZONES, "rights", "Synced").await;
    ask(
        other,
        "app",
        &json!({"name": "app.rights.example", "targets": ["192.0.2.2"]}),
    )
    .await;
    told(other, RECORDS, "app", "NameHeld").await;

    // The type changes: what it was is noted on the claim, and withdrawn.
    let change = json!({"spec": {"targets": ["elsewhere.example.org"]}});
    team.patch(RECORDS, "app", change).await;
    eventually("the other type is published", async || {
        let record = team.api(RECORDS).get("app").await.unwrap();
        record.data["status"]["effectiveType"] == "CNAME" && reason(&record.data) == "Published"
    })
    .await;

    // Given up: at once the other team's, and when that gives it up too, nobody's.
    delete(team, "app").await;
    told(other, RECORDS, "app", "Published").await;
    delete(other, "app").await;
    team.gone_from_cluster(CLAIMS, "app.rights.example").await;
}

async fn open_zone(team: &Team, server: &Bind) {
    let home = objects_of(&team.client, OPERATORS, SECRETS);
    let secret = json!({
        "metadata": {"name": "rights"},
        "stringData": {"tsig-key-name": KEY_NAME, "tsig-secret": server.key_secret()},
    });
    home.create(&PostParams::default(), &object(secret)).await.unwrap();
    let zone = json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": "rights"},
        "spec": {
            "domain": DOMAIN,
            "mode": "Enforce",
            "provider": {
                "type": "RFC2136",
                "secretRef": {"name": "rights"},
                "rfc2136": {"server": server.address().to_string()},
            },
            "authorities": [{"address": server.address().ip().to_string(), "port": server.address().port()}],
            "admission": {"namespaces": {}, "targets": {"denyPrivate": false}},
            "claims": {"releaseAfterSeconds": 0},
        },
    });
    team.cluster_api(ZONES)
        .patch("rights", &PatchParams::apply("platform"), &Patch::Apply(zone))
        .await
        .unwrap();
}

async fn ask(team: &Team, name: &str, spec: &Value) {
    let record = json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsRecord", "metadata": {"name": name}, "spec": spec,
    });
    team.create(RECORDS, record).await;
}

/// Deleted, and let go by the operator's finalizer.
async fn delete(team: &Team, name: &str) {
    let records = team.api(RECORDS);
    records.delete(name, &DeleteParams::default()).await.unwrap();
    team.gone(RECORDS, name).await;
}

async fn told(team: &Team, kind: &str, name: &str, wanted: &str) {
    let api = if kind == RECORDS {
        team.api(kind)
    } else {
        team.cluster_api(kind)
    };
    eventually(&format!("{name} says {wanted}"), async || {
        let found = api.get_opt(name).await.unwrap();
        found.is_some_and(|found| reason(&found.data) == wanted)
    })
    .await;
}

fn reason(object: &Value) -> &str {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let mut ready = conditions.filter(|one| one["type"] == "Ready");
    ready.next().and_then(|one| one["reason"].as_str()).unwrap_or_default()
}
