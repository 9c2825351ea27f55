//! Names in shared zones: who may hold which, what is to be in a zone, and which changes make it so.
//!
//! ```text
//!  DnsRecord ─▶ name ─▶ claim (who holds it) ─▶ admission (may it) ─▶ wanted (record sets) ┐
//!                                                  zone as it is (record sets, marks) ─────┴▶ plan ─▶ changes
//! ```

pub mod admission;
pub mod breaker;
pub mod caches;
pub mod change;
pub mod cidr;
pub mod circle;
pub mod claim;
pub mod desk;
pub mod external_dns;
pub mod facts;
pub mod follow;
pub mod gathered;
pub mod import;
pub mod judge;
pub mod mail;
pub mod name;
pub mod neighbours;
pub mod offline;
pub mod opened;
pub mod outlook;
pub mod ownership;
pub mod plan;
pub mod profile;
mod reasons;
pub mod rrset;
pub mod selector;
pub mod status;
pub mod tally;
pub mod wanted;
pub mod zone;
pub mod zone_file;

pub use admission::{Applicant, Approval, admit};
pub use change::Change;
pub use name::{Fqdn, NameError};
pub use profile::Profile;
pub use reasons::Reason;
pub use rrset::{RecordType, RrSet};
pub use wanted::wanted;
pub use zone::Zone;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
pub(crate) mod testing;
