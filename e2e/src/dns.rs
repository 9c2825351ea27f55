//! Name servers to test against: real ones, from Debian packages, on the loopback, and fakes of providers ([`fake`]).
//!
//! [`Bind`] takes dynamic updates (RFC 2136) signed with a key (TSIG), [`PowerDns`] has an HTTP API. Each has a folder
//! and ports of its own, keeps them over a restart, and ends with the test process. [`query`] asks them, as a
//! resolver would ask an authority.

use std::net::Ipv4Addr;

mod bind;
mod daemon;
pub mod fake;
pub mod fault_proxy;
mod powerdns;
pub mod query;
mod standing;

pub use bind::{Bind, BindOptions, KEY_NAME};
pub use daemon::free_address;
pub use powerdns::{PowerDns, PowerDnsOptions};
pub(crate) use standing::Standing;

/// A zone as its master file tells it (RFC 1035, 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneText {
    /// The apex, without a dot at its end.
    pub name: String,
    /// The records, names being relative to the apex.
    pub text: String,
}

impl ZoneText {
    /// A zone with its SOA (negative answers are kept for 30 seconds), one name server and nothing else.
    pub fn empty(name: &str) -> Self {
        Self::with(name, "")
    }

    /// The same, and these records.
    pub fn with(name: &str, records: &str) -> Self {
        Self::served_at(name, Ipv4Addr::LOCALHOST, records)
    }

    /// The same, its name server being found at this address.
    pub fn served_at(name: &str, server: Ipv4Addr, records: &str) -> Self {
        let text = format!(
            "$TTL 300\n\
             @ IN SOA ns1.{name}. hostmaster.{name}. 1 3600 600 86400 30\n\
             @ IN NS ns1\n\
             ns1 IN A {server}\n\
             {records}\n"
        );
        Self {
            name: name.to_owned(),
            text,
        }
    }
}
