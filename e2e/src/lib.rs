//! A real local cluster, and the scenarios that run on it.
//!
//! Two profiles from one place: the **control plane** alone ([`ControlPlane`]: etcd, API server and
//! controller manager, ready in seconds, no root needed), and the **node** ([`Cluster`]: the same plus scheduler,
//! kubelet, containerd, kube-proxy and DNS, which runs real pods and needs root).
//! Every program comes from a pinned Go module or a Debian package ([`tools`]).
//!
//! This crate may not know `tremplin` or `tremplin-core`: it judges them from outside.

pub mod audit;
mod certificates;
mod cgroups;
pub mod cluster;
mod command;
pub mod control_plane;
pub mod demo;
pub mod dns;
pub mod environment;
pub mod http;
pub mod image;
pub mod ingress;
pub mod kubeconfig;
pub mod network;
mod node;
pub mod packages;
pub mod process;
pub mod progress;
pub mod state;
pub mod tools;

pub use audit::{AuditEvent, AuditLevel, AuditLog};
pub use cluster::{Cluster, Profile};
pub use control_plane::{ControlPlane, ControlPlaneOptions};
pub use environment::Environment;
