//! A cluster in a few maps, for the tests of this floor: it takes what is decided and shows it back, as the API server
//! and the controllers would.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use serde::Serialize;
use serde_json::{Value, json};

use super::hosts::HostFacts;
use super::observed::Content;
use super::valid::ContentRef;
use super::{Decision, Observed, Outcome, Plan, Step, decide, status};
use crate::api::dns::DnsRecord;
use crate::api::startup_app::{StartupApp, StartupAppStatus};
use crate::live::{Kept, Live};
use crate::platform::Platform;

/// A namespace with one app in it.
pub struct World {
    pub app: StartupApp,
    pub platform: Platform,
    pub deployments: BTreeMap<String, Value>,
    pub cron_jobs: BTreeMap<String, Value>,
    pub jobs: BTreeMap<String, Value>,
    pub pods: Vec<Value>,
    pub record: Option<Value>,
    pub contents: BTreeMap<ContentRef, Content>,
    pub gone_jobs: Vec<String>,
    pub hosts: BTreeMap<String, HostFacts>,
    pub dns_records: Vec<Value>,
    pub created: Vec<String>,
    uids: u32,
}

/// An app of the namespace `brigade-ns`, from the YAML of its spec.
pub fn app(spec: &str) -> StartupApp {
    let spec: Value = serde_saphyr::from_str(spec).unwrap();
    serde_json::from_value(json!({
        "apiVersion": "tremplin.dev/v1alpha1",
        "kind": "StartupApp",
        "metadata": {"name": "brigade", "namespace": "brigade-ns", "uid": "app-uid", "generation": 3},
        "spec": spec,
    }))
    .unwrap()
}

pub fn now() -> jiff::Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub fn platform() -> Platform {
    Platform::bundled("generic").unwrap()
}

impl World {
    pub fn new(spec: &str) -> Self {
        Self {
            app: app(spec),
            platform: platform(),
            deployments: BTreeMap::new(),
            cron_jobs: BTreeMap::new(),
            jobs: BTreeMap::new(),
            pods: Vec::new(),
            record: None,
            contents: BTreeMap::new(),
            gone_jobs: Vec::new(),
            hosts: BTreeMap::new(),
            dns_records: Vec::new(),
            created: Vec::new(),
            uids: 0,
        }
    }

    /// Changes the spec as a commit would.
    pub fn commit(&mut self, spec: &str) {
        self.app.spec = app(spec).spec;
        *self.app.metadata.generation.get_or_insert(0) += 1;
    }

    pub fn annotate(&mut self, key: &str, value: &str) {
        self.app
            .metadata
            .annotations
            .get_or_insert_default()
            .insert(key.into(), value.into());
    }

    pub fn observed(&self) -> Observed {
        let labels = BTreeMap::new();
        Observed {
            deployments: live::<Deployment>(self.deployments.values()),
            cron_jobs: live::<CronJob>(self.cron_jobs.values()),
            jobs: live::<Job>(self.jobs.values()),
            pods: live::<Pod>(self.pods.iter()),
            release_record: live::<ConfigMap>(self.record.iter()).pop(),
            contents: self.contents.clone(),
            gone_jobs: self.gone_jobs.clone(),
            hosts: self.hosts.clone(),
            dns_records: live::<DnsRecord>(self.dns_records.iter()),
            ..Observed::nothing(self.platform.namespace("brigade-ns", &labels), now())
        }
    }

    pub fn decide(&self) -> Decision {
        decide(&self.app, &self.observed(), &self.platform)
    }

    /// The plan of this round.
    pub fn plan(&self) -> Plan {
        match self.decide() {
            Decision::Go(plan) => *plan,
            other => panic!("not a plan: {other:?}"),
        }
    }

    /// One round: decides, applies, does the step. Tells the step.
    pub fn round(&mut self) -> Step {
        let plan = self.plan();
        self.apply(&plan);
        self.step(&plan.step);
        plan.step
    }

    pub fn apply(&mut self, plan: &Plan) {
        self.record = plan
            .desired
            .release_record
            .as_ref()
            .map(|record| serde_json::to_value(record).unwrap());
        if plan.applies_cron_jobs() {
            self.apply_cron_jobs(plan);
        }
        if !plan.applies_deployments() {
            return;
        }
        let mut kept = std::mem::take(&mut self.deployments);
        for desired in &plan.desired.deployments {
            let name = desired.metadata.name.clone().unwrap();
            let old = kept.remove(&name);
            let new = self.store(desired, old);
            self.deployments.insert(name, new);
        }
    }

    fn apply_cron_jobs(&mut self, plan: &Plan) {
        let mut kept = std::mem::take(&mut self.cron_jobs);
        for desired in &plan.desired.cron_jobs {
            let name = desired.metadata.name.clone().unwrap();
            let old = kept.remove(&name);
            let new = self.store(desired, old);
            self.cron_jobs.insert(name, new);
        }
    }

    pub fn step(&mut self, step: &Step) {
        match step {
            Step::None => {}
            Step::CreateJob(job) => {
                let name = job.metadata.name.clone().unwrap();
                assert!(!self.jobs.contains_key(&name), "create-only: {name} exists");
                let stored = self.store(job.as_ref(), None);
                self.created.push(name.clone());
                self.jobs.insert(name, stored);
            }
            Step::ResumeJob { name, uid } => {
                let job = self.jobs.get_mut(name).unwrap();
                assert_eq!(job["metadata"]["uid"], json!(uid));
                job["spec"]["suspend"] = json!(false);
            }
            Step::LookUpJob { uid, .. } => self.gone_jobs.push(uid.clone()),
        }
    }

    /// Rounds until nothing is left to do.
    pub fn settle(&mut self) {
        for _ in 0..10 {
            if self.round() == Step::None {
                return;
            }
        }
        panic!("still something to do after ten rounds");
    }

    /// The names of the Jobs that run.
    pub fn running(&self) -> Vec<String> {
        let running =
            |job: &&Value| job["spec"]["suspend"] == json!(false) && job.pointer("/status/conditions").is_none();
        self.jobs
            .values()
            .filter(running)
            .map(|job| job["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Ends a Job, as the Job controller and the kubelet would.
    pub fn end_job(&mut self, name: &str, succeeded: bool, words: &str) {
        let job = &self.jobs[name];
        let mut labels = job["spec"]["template"]["metadata"]["labels"].clone();
        labels["batch.kubernetes.io/job-name"] = json!(name);
        let container = job["spec"]["template"]["spec"]["containers"][0]["name"].clone();
        let type_ = if succeeded { "Complete" } else { "Failed" };
        self.jobs.get_mut(name).unwrap()["status"] = json!({
            "startTime": "2026-11-22T10:00:00Z",
            "conditions": [{"type": type_, "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has failed"}],
        });
        self.pods.push(json!({
            "metadata": {"name": format!("{name}-x"), "namespace": "brigade-ns", "uid": format!("{name}-pod"), "labels": labels},
            "status": {"phase": "Failed", "containerStatuses": [
                {"name": container, "state": {"terminated": {"exitCode": i32::from(!succeeded), "reason": "Error", "message": words}}},
            ]},
        }));
    }

    /// Lets every Deployment become what it was asked to be.
    pub fn roll_out(&mut self) {
        for live in self.deployments.values_mut() {
            let wanted = live["spec"]["replicas"].clone();
            live["status"] = json!({
                "observedGeneration": live["metadata"]["generation"],
                "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": wanted, "availableReplicas": wanted,
                "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}],
            });
        }
    }

    pub fn status(&self) -> StartupAppStatus {
        status(&self.app, &self.observed(), &self.decide(), &Outcome::default(), now())
    }

    /// `Ready` as `status/reason`, then `Reconciling` or `Stalled` if it is there.
    pub fn ready(&self) -> String {
        let status = self.status();
        let of = |type_: &str| status.conditions.iter().find(|condition| condition.type_ == type_);
        let ready = of("Ready").unwrap();
        let with = ["Reconciling", "Stalled"]
            .into_iter()
            .filter(|type_| of(type_).is_some());
        [format!("{}/{}", ready.status, ready.reason)]
            .into_iter()
            .chain(with.map(str::to_owned))
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn store(&mut self, object: &impl Serialize, old: Option<Value>) -> Value {
        let mut new = serde_json::to_value(object).unwrap();
        let Some(old) = old else {
            self.uids += 1;
            new["metadata"]["uid"] = json!(format!("uid-{}", self.uids));
            new["metadata"]["generation"] = json!(1);
            new["metadata"]["creationTimestamp"] = json!("2026-11-22T09:00:00Z");
            return new;
        };
        for field in ["uid", "creationTimestamp"] {
            new["metadata"][field] = old["metadata"][field].clone();
        }
        let same = new["spec"] == old["spec"];
        new["metadata"]["generation"] = json!(old["metadata"]["generation"].as_i64().unwrap() + i64::from(!same));
        new["status"] = old["status"].clone();
        new
    }
}

fn live<'a, K: Kept>(objects: impl Iterator<Item = &'a Value>) -> Vec<Arc<Live<K>>> {
    objects
        .map(|object| Arc::new(Live::<K>::from_value(object.clone()).unwrap()))
        .collect()
}
