//! The custom resources: types, CEL rules and printer columns, and no logic.
//!
//! Every type of a spec refuses unknown fields: an operator older than its CRDs then says so on the object instead of
//! running half of what was asked. No field has a schema default (Argo CD would show a difference for ever); what an
//! absent field means is decided in [`crate::app::validate`].

pub mod conform;
pub mod crd;
pub mod dns;
mod patterns;
mod schema;
pub mod startup_app;

pub use dns::{
    DnsClaim, DnsClaimSpec, DnsClaimStatus, DnsRecord, DnsRecordSpec, DnsRecordStatus, DnsZone, DnsZoneSpec,
    DnsZoneStatus,
};
pub use startup_app::{StartupApp, StartupAppSpec, StartupAppStatus};

/// The API group of every kind.
pub const GROUP: &str = "tremplin.dev";
/// The served and stored version.
pub const VERSION: &str = "v1alpha1";
