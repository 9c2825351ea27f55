//! What the cluster shows of one app: the only thing beside the spec and the platform that decisions read.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};

use super::hosts::HostFacts;
use super::valid::ContentRef;
use crate::api::dns::DnsRecord;
use crate::labels;
use crate::live::Live;
use crate::platform::NamespaceContext;

/// What the cluster shows of one app. Objects that another owner made are not in it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The time of the round.
    pub now: Timestamp,
    /// What the namespace's labels tell. Re-triggered by a change of those labels.
    pub namespace: NamespaceContext,
    /// The app's Deployments, by any name.
    pub deployments: Vec<Arc<Live<Deployment>>>,
    /// The app's pods, those of its Jobs included.
    pub pods: Vec<Arc<Live<Pod>>>,
    /// The app's Jobs: releases, runs by hand, and those that its CronJobs made.
    pub jobs: Vec<Arc<Live<Job>>>,
    /// The app's CronJobs.
    pub cron_jobs: Vec<Arc<Live<CronJob>>>,
    /// The DnsRecords of its hosts.
    pub dns_records: Vec<Arc<Live<DnsRecord>>>,
    /// The release record.
    pub release_record: Option<Arc<Live<ConfigMap>>>,
    /// Who has or wants each host that the app asks for. Re-triggered by every Ingress and app with such a host.
    pub hosts: BTreeMap<String, HostFacts>,
    /// The Secrets and ConfigMaps that the app names. Re-triggered by a change of their metadata.
    pub contents: BTreeMap<ContentRef, Content>,
    /// What Events tell of pods and Jobs that tell nothing themselves: last message by the object's UID. Read on demand.
    pub events: BTreeMap<String, String>,
    /// Jobs that the watch does not show and a read of their own did not find either: their UIDs.
    pub gone_jobs: Vec<String>,
}

/// A Secret or ConfigMap that an app names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It does not exist.
    Missing,
    /// It exists.
    Present(ContentDigest),
}

/// The content of a Secret or ConfigMap, as keyed hashes: values are never kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentDigest {
    /// Of everything.
    pub whole: String,
    /// Of each key's value.
    pub keys: BTreeMap<String, String>,
}

impl Observed {
    /// A namespace in which nothing is.
    pub fn nothing(namespace: NamespaceContext, now: Timestamp) -> Self {
        Self {
            now,
            namespace,
            deployments: Vec::new(),
            pods: Vec::new(),
            jobs: Vec::new(),
            cron_jobs: Vec::new(),
            dns_records: Vec::new(),
            release_record: None,
            hosts: BTreeMap::new(),
            contents: BTreeMap::new(),
            events: BTreeMap::new(),
            gone_jobs: Vec::new(),
        }
    }

    /// The Deployment of a process.
    pub fn deployment(&self, process: &str) -> Option<&Live<Deployment>> {
        self.deployments
            .iter()
            .map(AsRef::as_ref)
            .find(|live| live.label(labels::PROCESS) == Some(process))
    }

    /// The CronJob of a cron.
    pub fn cron_job(&self, cron: &str) -> Option<&Live<CronJob>> {
        self.cron_jobs
            .iter()
            .map(AsRef::as_ref)
            .find(|live| live.label(labels::CRON) == Some(cron))
    }

    /// The Job of that UID.
    pub fn job_by_uid(&self, uid: &str) -> Option<&Live<Job>> {
        self.jobs.iter().map(AsRef::as_ref).find(|live| live.uid() == uid)
    }

    /// The Job of that name.
    pub fn job_by_name(&self, name: &str) -> Option<&Live<Job>> {
        self.jobs.iter().map(AsRef::as_ref).find(|live| live.name() == name)
    }

    /// The pods of a process, without those that are ending.
    pub fn pods_of_process<'a>(&'a self, process: &'a str) -> impl Iterator<Item = &'a Live<Pod>> {
        self.all_pods_of(process).filter(|pod| !pod.is_deleting())
    }

    /// Whether a pod of the process is ending, and will leave its room.
    pub fn is_making_room(&self, process: &str) -> bool {
        self.all_pods_of(process).any(Live::is_deleting)
    }

    fn all_pods_of<'a>(&'a self, process: &'a str) -> impl Iterator<Item = &'a Live<Pod>> {
        self.pods
            .iter()
            .map(AsRef::as_ref)
            .filter(move |pod| pod.label(labels::PROCESS) == Some(process))
    }

    /// The pods of a Job.
    pub fn pods_of_job<'a>(&'a self, job: &'a str) -> impl Iterator<Item = &'a Live<Pod>> {
        self.pods
            .iter()
            .map(AsRef::as_ref)
            .filter(move |pod| pod.facts.job.as_deref() == Some(job))
    }
}
