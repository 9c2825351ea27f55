//! What Tremplin decides. See `docs/design/architecture.md`.
//!
//! Nothing here reads a clock, the environment, randomness, a file or the network: what is needed is a parameter.
//! Everything here can be tested in milliseconds, without a cluster.

pub mod api;
pub mod app;
pub mod conditions;
pub mod dns;
pub mod fault;
pub mod json;
pub mod labels;
pub mod live;
pub mod names;
pub mod platform;
pub mod policy;
pub mod quantity;
pub mod reason;
pub mod refusal;
pub mod yaml;
