//! Everything that the operator ever does about names in a zone, on a real name server.

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tremplin_e2e::dns::{Bind, BindOptions, KEY_NAME, ZoneText};

use crate::install::{OPERATORS, eventually, object, objects_of};
use crate::team::{RECORDS, SECRETS, Team};

const CLAIMS: &str = "tremplin.dev/v1alpha1/DnsClaim/dnsclaims";
const ZONES: &str = "tremplin.dev/v1alpha1/DnsZone/dnszones";
const ENDPOINTS: &str = "externaldns.k8s.io/v1alpha1/DNSEndpoint/dnsendpoints";
const CRDS: &str = "apiextensions.k8s.io/v1/CustomResourceDefinition/customresourcedefinitions";
const DOMAIN: &str = "rights.example";
const HANDED_OVER: &str = "handed.example";

/// A zone is opened, a name claimed, published, refused to others, given up and released.
pub async fn live_with_names(team: &Team, other: &Team) {
    let zones = vec![ZoneText::empty(DOMAIN), ZoneText::empty(HANDED_OVER)];
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
    hand_over(team, &server).await;
}

/// A name is given to external-dns, changed and given up. Nobody plays external-dns.
async fn hand_over(team: &Team, server: &Bind) {
    let crd = serde_saphyr::from_str(include_str!("../dns_external/dnsendpoints.yaml")).unwrap();
    team.cluster_api(CRDS)
        .create(&PostParams::default(), &object(crd))
        .await
        .unwrap();
    zone(team, server, "handed", HANDED_OVER, &json!({"type": "ExternalDNS"})).await;
    told(team, ZONES, "handed", "Synced").await;
    let name = "app.handed.example";
    ask(team, "handed", &json!({"name": name, "targets": ["192.0.2.1"]})).await;
    told(team, RECORDS, "handed", "Publishing").await;
    let change = json!({"spec": {"targets": ["192.0.2.2"]}});
    team.patch(RECORDS, "handed", change).await;
    let objects = objects_of(&team.client, OPERATORS, ENDPOINTS);
    eventually("the change is handed over", async || {
        let found = objects.get(name).await.unwrap();
        found.data["spec"]["endpoints"][0]["targets"][0] == "192.0.2.2"
    })
    .await;
    delete(team, "handed").await;
    eventually("nothing is left to be published", async || {
        objects.get_opt(name).await.unwrap().is_none()
    })
    .await;
}

async fn open_zone(team: &Team, server: &Bind) {
    let home = objects_of(&team.client, OPERATORS, SECRETS);
    let secret = json!({
        "metadata": {"name": "rights"},
        "stringData": {"tsig-key-name": KEY_NAME, "tsig-secret": server.key_secret()},
    });
    home.create(&PostParams::default(), &object(secret)).await.unwrap();
    let provider = json!({
        "type": "RFC2136",
        "secretRef": {"name": "rights"},
        "rfc2136": {"server": server.address().to_string()},
    });
    zone(team, server, "rights", DOMAIN, &provider).await;
}

async fn zone(team: &Team, server: &Bind, name: &str, domain: &str, provider: &Value) {
    let zone = json!({
        "apiVersion": "tremplin.dev/v1alpha1", "kind": "DnsZone", "metadata": {"name": name},
        "spec": {
            "domain": domain,
            "mode": "Enforce",
            "provider": provider,
            "authorities": [{"address": server.address().ip().to_string(), "port": server.address().port()}],
            "admission": {"namespaces": {}, "targets": {"denyPrivate": false}},
            "claims": {"releaseAfterSeconds": 0},
        },
    });
    team.cluster_api(ZONES)
        .patch(name, &PatchParams::apply("platform"), &Patch::Apply(zone))
        .await
        .unwrap();
}

/// A team commits a record.
pub async fn ask(team: &Team, name: &str, spec: &Value) {
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
