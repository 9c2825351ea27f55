//! The custom resources as the watches show them. Each is written to by one slice and read by others, which so need not
//! know each other.

use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tremplin_core::api::{
    DnsClaim, DnsClaimStatus, DnsRecord, DnsRecordStatus, DnsZone, DnsZoneStatus, StartupApp, StartupAppStatus,
};
use tremplin_core::app;
use tremplin_core::dns::judge;
use tremplin_core::dns::opened::Opened;

use super::seen::{Seen, Watched};
use super::store::{Group, Store};
use crate::key::Key;

/// The custom resources of the cluster.
#[derive(Default)]
pub struct Resources {
    /// The apps.
    pub apps: Arc<Store<Seen<StartupApp>>>,
    /// The DnsRecords.
    pub records: Arc<Store<Seen<DnsRecord>>>,
    /// The DnsClaims.
    pub claims: Arc<Store<Seen<DnsClaim>>>,
    /// The DnsZones.
    pub zones: Arc<Store<Seen<DnsZone>>>,
    opened: RwLock<Arc<Opened>>,
}

impl Resources {
    /// The zones that there are.
    pub fn opened(&self) -> Arc<Opened> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads every zone anew.
    pub fn reopen(&self) {
        let readable = self.zones.all().into_iter().filter_map(|seen| match &*seen {
            Seen::Object(zone) => Some((**zone).clone()),
            Seen::Malformed(_) => None,
        });
        let opened = Arc::new(Opened::of(readable.collect()));
        *self.opened.write().unwrap_or_else(PoisonError::into_inner) = opened;
    }
}

impl Watched for StartupApp {
    type Status = StartupAppStatus;

    fn status(&self) -> Option<&StartupAppStatus> {
        self.status.as_ref()
    }

    fn conditions(status: &StartupAppStatus) -> &[Condition] {
        &status.conditions
    }

    fn groups(&self) -> Vec<Group> {
        let namespace = self.metadata.namespace.clone().unwrap_or_default();
        let contents = app::content_refs(&self.spec).into_iter();
        contents
            .map(|content| Group::Content(namespace.clone(), content))
            .collect()
    }
}

impl Watched for DnsRecord {
    type Status = DnsRecordStatus;

    fn status(&self) -> Option<&DnsRecordStatus> {
        self.status.as_ref()
    }

    fn conditions(status: &DnsRecordStatus) -> &[Condition] {
        &status.conditions
    }

    /// By its name and every name above it; and by the app that it follows.
    fn groups(&self) -> Vec<Group> {
        let mut groups = Vec::new();
        let mut name = judge::name(self).ok();
        while let Some(at) = name {
            groups.push(Group::Name(at.as_str().to_owned()));
            name = at.parent();
        }
        let namespace = self.metadata.namespace.clone().unwrap_or_default();
        groups.extend(self.spec.app_ref.as_ref().map(|app| {
            Group::Follows(Key {
                namespace,
                name: app.name.clone(),
            })
        }));
        groups
    }
}

impl Watched for DnsClaim {
    type Status = DnsClaimStatus;

    fn status(&self) -> Option<&DnsClaimStatus> {
        self.status.as_ref()
    }

    fn conditions(status: &DnsClaimStatus) -> &[Condition] {
        &status.conditions
    }

    /// By its holder in its zone, and by its zone.
    fn groups(&self) -> Vec<Group> {
        let (holder, zone) = (self.spec.holder.namespace.clone(), self.spec.zone.clone());
        vec![Group::Held(holder, zone.clone()), Group::Name(zone)]
    }
}

impl Watched for DnsZone {
    type Status = DnsZoneStatus;

    fn status(&self) -> Option<&DnsZoneStatus> {
        self.status.as_ref()
    }

    fn conditions(status: &DnsZoneStatus) -> &[Condition] {
        &status.conditions
    }

    fn groups(&self) -> Vec<Group> {
        Vec::new()
    }
}
