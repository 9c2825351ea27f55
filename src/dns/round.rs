//! A round on a zone: several files do its parts.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use tremplin_core::api::DnsZone;
use tremplin_core::dns::Zone;
use tremplin_core::dns::status::ZoneFacts;

use super::Dns;
use super::authorities::Authorities;
use super::reading::Memory;
use crate::dns_provider::Provider;

/// A round on a zone: what it works with, and what it found out.
pub(super) struct Round<'a> {
    pub dns: &'a Dns,
    /// With its status as it was last written.
    pub object: DnsZone,
    pub zone: &'a Zone,
    pub provider: Arc<dyn Provider>,
    pub memory: Arc<Memory>,
    pub authorities: Authorities,
    pub facts: ZoneFacts,
    /// The look at the whole zone, if there was one: noted once it is told.
    pub audited: Option<Audited>,
    pub now: Timestamp,
}

/// A look at a whole zone, or at what depends on others.
#[derive(Clone, Copy)]
pub(super) struct Audited {
    /// When it was.
    pub at: Timestamp,
    /// What it was requested by, if anything: compared with the next request, and with no clock.
    pub request: Option<Timestamp>,
}
