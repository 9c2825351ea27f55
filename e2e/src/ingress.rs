//! The data path from this machine into the cluster: Debian's HAProxy, configured from the Ingress objects.

pub mod config;
