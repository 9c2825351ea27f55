//! What `tremplin render` prints is what the operator sends to the API server, object by object, but for a closed list of
//! fields: the bodies of its requests are read from the API server's audit log.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Operator, Team, condition, eventually, install, yaml};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use serde_json::{Value, json};
use tremplin_core::live::Digest;
use tremplin_e2e::{AuditEvent, ControlPlane, ControlPlaneOptions};

/// All that the controller adds to what is rendered, by kind (`*`: every kind) and JSON pointer. Nothing else may differ.
const ADDED: [(&str, &str); 5] = [
    ("*", "/metadata/ownerReferences"),
    // The first apply of a child is refused where an object of that name lives.
    ("*", "/metadata/resourceVersion"),
    // The keyed hash of the Secrets and ConfigMaps that the process uses: only a cluster can give it.
    ("Deployment", CONTENT),
    // The hash of the template that this mark stands in. Without the mark it must be the one that is rendered.
    ("Deployment", TEMPLATE),
    // A release's Job is recorded before it runs.
    ("Job", "/spec/suspend"),
];
const CONTENT: &str = "/spec/template/metadata/annotations/tremplin.dev~1content";
const TEMPLATE: &str = "/metadata/annotations/tremplin.dev~1template";

/// What the controller writes and `render` does not print, by kind: its own memory of releases.
const UNPRINTED: [&str; 1] = ["ConfigMap"];

/// Secrets that the samples name and do not hold.
const SECRETS: &str = r"
- {metadata: {name: carte-secrets}, stringData: {token: t}}
- {metadata: {name: demarches-db}, stringData: {url: u}}
- {metadata: {name: db}, stringData: {url: u}}
- {metadata: {name: more}, stringData: {A: b}}
- {metadata: {name: certs}, stringData: {crt: c}}
";
const RICH: &str = include_str!("common/rich.yaml");

/// A platform whose apps get DnsRecords, beside the bundled ones.
const GIVES_RECORDS: &str = "
domains: [{domain: apps.example, dnsRecords: true, hostTemplate: '{app}-{namespace}.{domain}'}, {domain: '*', dnsRecords: true}]
exposures: [{name: public, default: true, scheme: http, type: Ingress}]
sizes: {S: {cpu: 100m, memory: 128Mi}, M: {cpu: 250m, memory: 256Mi, default: true}, L: {cpu: 500m, memory: 512Mi}}
security: {type: OpenShift}
";

/// A file with one app in it, and maybe with what the app needs.
struct Sample {
    file: PathBuf,
    app: String,
    objects: Vec<Value>,
}

impl Sample {
    fn read(file: PathBuf) -> Self {
        let documents = tremplin_core::yaml::parse(&fs::read_to_string(&file).unwrap()).unwrap();
        let objects: Vec<Value> = documents.into_iter().map(|document| document.value).collect();
        let app = objects.iter().find(|object| object["kind"] == "StartupApp").unwrap();
        Self {
            app: app["metadata"]["name"].as_str().unwrap().to_owned(),
            file,
            objects,
        }
    }
}

/// Every sample, and an app that uses all there is.
fn samples(folder: &Path, profile: &str) -> Vec<Sample> {
    let samples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/samples");
    let mut files: Vec<_> = fs::read_dir(samples)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    // The hosts of this one are not the ministry's to give.
    files.retain(|file| profile != "cpin-mi" || file.file_stem().unwrap() != "staging");
    assert!(files.len() >= 5, "{files:?}");

    let mut spec = yaml(RICH);
    if profile.starts_with("cpin-") {
        let spec = spec.as_object_mut().unwrap();
        spec.retain(|field, _| field != "hosts" && field != "routes");
        spec.insert("exposure".into(), "None".into());
    }
    let metadata = json!({"name": "brigade", "annotations": {"tremplin.dev/restarted-at": "2026-11-22T10:00:00Z"}});
    let app = json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "StartupApp", "metadata": metadata, "spec": spec});
    let settings =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"A": "b"}});
    let rich = folder.join(format!("rich-{profile}.yaml"));
    let text = [app, settings].map(|object| format!("---\n{}", serde_saphyr::to_string(&object).unwrap()));
    fs::write(&rich, text.concat()).unwrap();
    files.push(rich);
    files.into_iter().map(Sample::read).collect()
}

/// The labels of an environment of Cloud π native, of a project of its own so that no two hosts are the same.
fn labels(profile: &str, sample: &Sample) -> BTreeMap<String, String> {
    let environment = if sample.app == "portail" { "staging" } else { "prod" };
    [
        ("app.kubernetes.io/managed-by", "dso-console"),
        ("dso/environment", environment),
        ("dso/project.slug", profile),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// Applies the file to a namespace of its own, as a team's GitOps would.
async fn commit(control_plane: &ControlPlane, profile: &str, sample: &Sample) -> Team {
    let client = control_plane.client().unwrap();
    let team = Team::new(control_plane, &client, "render").await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let labels = json!({"metadata": {"labels": labels(profile, sample)}});
    namespaces
        .patch(&team.namespace, &PatchParams::default(), &Patch::Merge(labels))
        .await
        .unwrap();
    let secrets = yaml(SECRETS).as_array().unwrap().clone().into_iter().map(|mut secret| {
        secret["apiVersion"] = "v1".into();
        secret["kind"] = "Secret".into();
        secret
    });
    for object in secrets.chain(sample.objects.clone()) {
        let types: TypeMeta = serde_json::from_value(object.clone()).unwrap();
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &team.namespace, &resource);
        let name = object["metadata"]["name"].as_str().unwrap();
        api.patch(name, &PatchParams::apply("gitops"), &Patch::Apply(&object))
            .await
            .unwrap();
    }
    team
}

/// Plays the cluster until the app is as asked, its event published.
async fn until_running(team: &Team, app: &str) {
    eventually(&format!("{app} runs"), async || {
        team.run_jobs().await;
        team.run_deployments().await;
        let app = team.apps().get(app).await.unwrap();
        condition(&app, "Ready").filter(|ready| ready.status == "True")
    })
    .await;
}

/// What is given as `--platform`: the name of a bundled profile, or a file.
fn platform(folder: &Path, profile: &str) -> String {
    if profile != "records" {
        return profile.to_owned();
    }
    let file = folder.join("records.yaml");
    fs::write(&file, GIVES_RECORDS).unwrap();
    file.to_str().unwrap().to_owned()
}

/// What the program prints, by kind and name.
fn printed(folder: &Path, profile: &str, sample: &Sample, team: &Team) -> BTreeMap<String, Value> {
    let labels: Vec<_> = labels(profile, sample)
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let ran = Command::new(env!("CARGO_BIN_EXE_tremplin"))
        .args(["render", "--platform", &platform(folder, profile)])
        .args(["--namespace", &team.namespace])
        .args(["--namespace-labels", &labels.join(","), "-f"])
        .arg(&sample.file)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let documents = tremplin_core::yaml::parse(&String::from_utf8(ran.stdout).unwrap()).unwrap();
    let objects = documents.into_iter().map(|document| document.value);
    let by_name: BTreeMap<_, _> = objects.map(|object| (what(&object), object)).collect();
    assert!(by_name.len() >= 3, "{by_name:#?}");
    by_name
}

fn what(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    format!("{} {name}", object["kind"].as_str().unwrap_or_default())
}

/// What the operator sent, by kind and name: one apply per child. The statuses, the events and the one order that is no
/// apply (a Job is let run) are looked at and left out.
fn sent(events: &[AuditEvent], team: &Team) -> BTreeMap<String, Value> {
    let mut sent = BTreeMap::new();
    let mut resumed = BTreeSet::new();
    let ours = events.iter().filter(|event| {
        event.user_agent.starts_with("tremplin") && event.is_write() && event.namespace == team.namespace
    });
    for event in ours.filter(|event| event.resource != "events") {
        assert!(event.code < 300 && event.verb == "patch", "{event:#?}");
        let body = event.request_object.clone().expect("the audit log holds bodies");
        let is_custom = ["startupapps", "dnsrecords"].contains(&event.resource.as_str());
        if is_custom && event.subresource == "status" {
            continue;
        }
        assert_eq!(event.subresource, "", "{event:#?}");
        if event.resource == "jobs" && body.get("kind").is_none() {
            let uid = &body["metadata"]["uid"];
            assert_eq!(body, json!({"metadata": {"uid": uid}, "spec": {"suspend": false}}));
            assert!(resumed.insert(event.name.clone()), "{} was resumed twice", event.name);
            continue;
        }
        let what = what(&body);
        let is_unprinted = UNPRINTED.iter().any(|kind| what.starts_with(kind));
        let before = (!is_unprinted).then(|| sent.insert(what.clone(), body)).flatten();
        assert_eq!(before, None, "{what} was sent twice");
    }
    sent
}

/// What was sent without what may be added; the template's hash as it would be without the mark.
fn without_added(sent: &Value) -> Value {
    let mut object = sent.clone();
    let is_marked = sent.pointer(CONTENT).is_some();
    for (kind, pointer) in ADDED {
        let applies = kind == "*" || object["kind"] == kind;
        if applies && pointer != TEMPLATE {
            remove(&mut object, pointer);
        }
    }
    if is_marked {
        // No annotations are rendered as none, not as an empty map.
        let annotations = "/spec/template/metadata/annotations";
        if object.pointer(annotations) == Some(&json!({})) {
            remove(&mut object, annotations);
        }
        let written = sent
            .pointer(TEMPLATE)
            .unwrap()
            .as_str()
            .unwrap()
            .split_once('/')
            .unwrap()
            .0;
        let template = Digest::of(&object["spec"]["template"]);
        *object.pointer_mut(TEMPLATE).unwrap() = json!(format!("{written}/{}", template.short()));
    }
    object
}

fn remove(object: &mut Value, pointer: &str) {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    if let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.remove(&field.replace("~1", "/"));
    }
}

/// Every value in it, by JSON pointer.
fn leaves(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (field, value) in fields {
                leaves(value, &format!("{pointer}/{}", field.replace('/', "~1")), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                leaves(value, &format!("{pointer}/{index}"), found);
            }
        }
        _ => found.push(pointer.to_owned()),
    }
}

/// The comparison itself: it sees a change of any value of what was sent but those that may be added.
fn assert_that_any_other_difference_shows(sent: &Value, printed: &Value) {
    let mut all = Vec::new();
    leaves(sent, "", &mut all);
    for pointer in all {
        let is_added = ADDED
            .iter()
            .any(|(kind, added)| (*kind == "*" || sent["kind"] == *kind) && pointer.starts_with(added));
        let mut changed = sent.clone();
        *changed.pointer_mut(&pointer).unwrap() = "changed/changed".into();
        let shows = without_added(&changed) != *printed;
        assert!(
            shows || (is_added && pointer != TEMPLATE),
            "{pointer} of {} may differ",
            what(sent)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_is_what_is_sent_but_for_a_closed_list_of_fields() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let log = control_plane.audit_log();
    let mut added = BTreeSet::new();
    let folder = control_plane.folder();
    for profile in ["generic", "cpin-pax", "cpin-mi", "records"] {
        let mut committed = Vec::new();
        for sample in samples(folder, profile) {
            let team = commit(&control_plane, profile, &sample).await;
            committed.push((sample, team));
        }
        let operator = Operator::plain(&control_plane, &["--platform", &platform(folder, profile)]);
        for (sample, team) in &committed {
            until_running(team, &sample.app).await;
        }
        operator.stop().await.unwrap();
        let _ = log.mark(&client).await.unwrap();
        let events = log.all().unwrap();
        for (sample, team) in &committed {
            let (printed, sent) = (printed(folder, profile, sample, team), sent(&events, team));
            let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&printed), names(&sent), "{} on {profile}", sample.app);
            for (what, printed) in &printed {
                assert_eq!(
                    without_added(&sent[what]),
                    *printed,
                    "{what} on {profile}: sent, printed"
                );
                assert_that_any_other_difference_shows(&sent[what], printed);
                let is_there = |(_, pointer): &&(&str, &str)| sent[what].pointer(pointer) != printed.pointer(pointer);
                added.extend(ADDED.iter().filter(is_there).map(|(_, pointer)| *pointer));
            }
            // Its hosts are free for the next platform.
            team.apps().delete(&sample.app, &DeleteParams::default()).await.unwrap();
            let all = ListParams::default();
            let ingresses = team.api::<Ingress>();
            ingresses
                .delete_collection(&DeleteParams::default(), &all)
                .await
                .unwrap();
        }
    }
    let listed: BTreeSet<_> = ADDED.iter().map(|(_, pointer)| *pointer).collect();
    assert_eq!(added, listed, "each field of the list is added to some object");
}
