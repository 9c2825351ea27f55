//! A real local cluster, and the scenarios that run on it.
//!
//! Every program comes from a pinned Go module or a Debian package ([`tools`]).
//!
//! This crate may not know `tremplin` or `tremplin-core`: it judges them from outside.

pub mod ingress;
pub mod progress;
pub mod tools;
