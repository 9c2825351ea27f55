//! Everything that the operator ever does, so that every right is used.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Api, PostParams};
use serde_json::json;
use tremplin_core::app::render::{cron_job_name, dns_record_name, record_name};
use tremplin_core::{labels, names};

use crate::install::{eventually, object};
use crate::names::ask;
use crate::team::{
    BUDGETS, CONFIG_MAPS, CRON_JOBS, DEPLOYMENTS, INGRESSES, JOBS, RECORDS, SECRETS, SERVICE_ACCOUNTS, SERVICES, Team,
    app,
};

/// The host of an app that names none.
fn host(team: &Team, app: &str) -> String {
    format!("{app}-{}.apps.example", team.namespace)
}

/// Objects of others have the names that children need: the operator must look before it says so.
pub async fn meet_objects_of_others(team: &Team) {
    let container = json!({"name": "x", "image": "ghcr.io/team/other:1"});
    let pod = json!({"containers": [container], "restartPolicy": "Never"});
    let labelled = json!({"metadata": {"labels": {"x": "y"}}, "spec": {"containers": [container]}});
    let selector = json!({"matchLabels": {"x": "y"}});
    let cron = json!({"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}});
    for (kind, name, spec) in [
        (SERVICES, "low-web", json!({"ports": [{"port": 80}]})),
        (BUDGETS, "low-web", json!({"maxUnavailable": 1, "selector": selector})),
        (
            DEPLOYMENTS,
            "high-web",
            json!({"selector": selector, "template": labelled}),
        ),
        (CRON_JOBS, &cron_job_name("high", "digest"), cron),
    ] {
        team.create(kind, json!({"metadata": {"name": name}, "spec": spec}))
            .await;
    }
    team.create(SERVICE_ACCOUNTS, json!({"metadata": {"name": "low"}}))
        .await;
    let record = dns_record_name("named", &host(team, "named"));
    ask(
        team,
        &record,
        &json!({"name": "other.apps.example", "targets": ["192.0.2.1"]}),
    )
    .await;
    team.run(&app("named", json!({"image": "ghcr.io/team/named:1"}))).await;
    team.told("named", "NameTaken").await;
    team.run(&app(
        "low",
        json!({"image": "ghcr.io/team/low:1", "environment": "Production"}),
    ))
    .await;
    let crons = json!([{"name": "digest", "schedule": "0 0 1 1 *"}]);
    team.run(&app("high", json!({"image": "ghcr.io/team/high:1", "crons": crons})))
        .await;
    team.told("low", "NameTaken").await;
    team.told("high", "NameTaken").await;
}

/// A child of every kind is made, then changed by somebody else, then not asked for any more.
pub async fn live_a_full_life(team: &Team) {
    team.run(&app(
        "shop",
        json!({
            "image": "ghcr.io/team/shop:1",
            "processes": [{"name": "web", "replicas": 2}, {"name": "api", "port": 8081}],
            "crons": [{"name": "digest", "schedule": "0 0 1 1 *"}],
            "envFrom": [{"secretRef": {"name": "settings"}}, {"configMapRef": {"name": "settings"}}],
        }),
    ))
    .await;
    team.told("shop", "ReferenceMissing").await;
    team.create(
        SECRETS,
        json!({"metadata": {"name": "settings"}, "stringData": {"TOKEN": "x"}}),
    )
    .await;
    team.create(
        CONFIG_MAPS,
        json!({"metadata": {"name": "settings"}, "data": {"COLOUR": "red"}}),
    )
    .await;
    team.told("shop", "Deploying").await;

    let cron_job = cron_job_name("shop", "digest");
    let dns_record = dns_record_name("shop", &host(team, "shop"));
    let children = [
        (SERVICE_ACCOUNTS, "shop"),
        (SERVICES, "shop-web"),
        (BUDGETS, "shop-web"),
        (DEPLOYMENTS, "shop-web"),
        (CRON_JOBS, &cron_job),
        (INGRESSES, "shop"),
        (RECORDS, &dns_record),
    ];
    for (kind, name) in children {
        team.there(kind, name).await;
        team.patch(
            kind,
            name,
            json!({"metadata": {"labels": {labels::PART_OF: "drifted"}}}),
        )
        .await;
    }
    for (kind, name) in children {
        let api = team.api(kind);
        eventually(&format!("{kind} {name} is put right"), async || {
            api.get(name).await.unwrap().metadata.labels.unwrap()[labels::PART_OF] == "shop"
        })
        .await;
    }

    // The same event twice within minutes: the second one is counted on the first.
    team.delete(SECRETS, "settings").await;
    team.told("shop", "ReferenceMissing").await;
    team.create(
        SECRETS,
        json!({"metadata": {"name": "settings"}, "stringData": {"TOKEN": "y"}}),
    )
    .await;
    team.told("shop", "Deploying").await;

    let soon = Timestamp::now() + SignedDuration::from_mins(1);
    let request = &format!("digest@{soon:.0}");
    team.change(
        "shop",
        json!({"metadata": {"annotations": {labels::RUN_CRON: request}}}),
    )
    .await;
    team.there(JOBS, &names::one_shot("shop", "digest", request)).await;

    // A ServiceAccount of ours by a name that is not rendered, as a later version might leave one.
    let mut stale = team.api(SERVICE_ACCOUNTS).get("shop").await.unwrap();
    stale.metadata.name = Some("shop-old".to_owned());
    stale.metadata.resource_version = None;
    stale.metadata.managed_fields = None;
    team.api(SERVICE_ACCOUNTS)
        .create(&PostParams::default(), &stale)
        .await
        .unwrap();
    team.change(
        "shop",
        json!({
            "spec": {"exposure": "None", "crons": null, "processes": [{"name": "worker"}]},
        }),
    )
    .await;
    for (kind, name) in children.into_iter().skip(1).chain([(SERVICE_ACCOUNTS, "shop-old")]) {
        team.gone(kind, name).await;
    }
}

/// A release is recorded, let run, and lost.
pub async fn lose_a_release(team: &Team) {
    team.run(&app(
        "release",
        json!({"image": "ghcr.io/team/release:1", "release": {"command": ["migrate"]}}),
    ))
    .await;
    let record = record_name("release");
    team.there(CONFIG_MAPS, &record).await;
    // Orphaned, as by `kubectl delete --cascade=orphan`, it is taken back: or the release could run again.
    team.patch(CONFIG_MAPS, &record, json!({"metadata": {"ownerReferences": null}}))
        .await;
    let records = team.api(CONFIG_MAPS);
    eventually("the record is taken back", async || {
        records.get(&record).await.unwrap().metadata.owner_references.is_some()
    })
    .await;
    let jobs = team.api(JOBS);
    let mut name = String::new();
    eventually("the release runs", async || {
        let all = jobs
            .list(&kube::api::ListParams::default().labels(labels::RELEASE))
            .await
            .unwrap();
        let running = all.items.into_iter().find(|job| job.data["spec"]["suspend"] == false);
        name = running.and_then(|job| job.metadata.name).unwrap_or_default();
        !name.is_empty()
    })
    .await;
    team.delete(JOBS, &name).await;
    team.told("release", "ReleaseOutcomeUnknown").await;
}

/// A release's pod is refused by the quota, which only an Event tells.
pub async fn meet_a_full_quota(team: &Team) {
    team.create(
        "/v1/ResourceQuota/resourcequotas",
        json!({"metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}),
    )
    .await;
    // The API server takes up a new quota a moment later.
    let pod: Pod = object(json!({
        "metadata": {"name": "probe"},
        "spec": {"containers": [{"name": "x", "image": "ghcr.io/team/other:1"}]},
    }));
    let pods: Api<Pod> = Api::namespaced(team.client.clone(), &team.namespace);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    eventually("the quota refuses pods", async || {
        pods.create(&dry, &pod)
            .await
            .is_err_and(|refused| refused.to_string().contains("exceeded quota"))
    })
    .await;
    let release = json!({"command": ["migrate"]});
    team.run(&app(
        "tight",
        json!({"image": "ghcr.io/team/tight:1", "release": release}),
    ))
    .await;
    team.told("tight", "QuotaExceeded").await;
}
