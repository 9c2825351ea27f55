//! A real local cluster, and the scenarios that run on it.

pub mod ingress;
