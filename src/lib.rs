//! The program that does what `tremplin-core` decides.
//!
//! ```text
//!  CR (Git) ──watch──▶ driver ──▶ observe ──▶ decide ──▶ apply ──▶ step ──▶ status ──▶ kubectl, Argo CD, metrics
//!                        │         reads      pure       writes    writes   one patch, if it differs
//!                        └ deadline, panic guard, waits per object, bounded concurrency, turns between namespaces
//! ```
//!
//! * [`cli`]: one file per command; [`settings`]: the only reader of flags and environment variables.
//! * [`driver`]: the loop of every kind; [`leader`]: the lease; [`key`]: which object.
//! * [`cluster`]: every read from and write to the Kubernetes API.
//! * [`dns_provider`]: those who serve DNS zones.
//! * [`startup_app`]: the slice of a kind: what is read, and in which order things are done.
//! * [`dns`]: the slice of DnsRecord, DnsZone and DnsClaim.
//! * [`admin`], [`metrics`], [`telemetry`], [`platform_file`]: what surrounds them.

pub mod admin;
pub mod cli;
pub mod cluster;
pub mod dns;
pub mod dns_provider;
pub mod driver;
pub mod key;
pub mod leader;
pub mod metrics;
pub mod platform_file;
pub mod settings;
pub mod startup_app;
pub mod telemetry;
