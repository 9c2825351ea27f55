//! Names in shared zones: who may hold which, what is to be in a zone, and which changes make it so.
//!
//! ```text
//!  DnsRecord ─▶ name ─▶ claim (who holds it) ─▶ admission (may it) ─▶ wanted (record sets) ┐
//!                                                  zone as it is (record sets, marks) ─────┴▶ plan ─▶ changes
//! ```

pub mod change;
pub mod name;
pub mod profile;
pub mod rrset;

pub use change::Change;
pub use name::{Fqdn, NameError};
pub use profile::Profile;
pub use rrset::{RecordType, RrSet};
