//! The program that does what `tremplin-core` decides.

pub mod admin;
pub mod cli;
pub mod cluster;
pub mod driver;
pub mod leader;
pub mod metrics;
pub mod settings;
pub mod telemetry;
