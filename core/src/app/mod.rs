//! From an app as written to what is to be there, and from what is there to what `kubectl get` shows.
//!
//! ```text
//! StartupApp, Observed, Platform ──decide──▶ Decision ──(applied by the operator)──▶ status
//! ```

#[cfg(any(test, feature = "arbitrary"))]
pub mod arbitrary;
mod decision;
mod environment_variables;
mod health;
pub mod hosts;
mod image;
mod last_words;
mod mask;
pub mod names;
mod nulls;
pub mod observed;
mod offline;
#[cfg(test)]
mod properties;
pub mod reasons;
pub mod records;
mod release;
mod reminder;
pub mod render;
mod requests;
mod run_cron;
mod schedule;
mod status;
#[cfg(test)]
mod testing;
pub mod valid;
pub mod validate;

pub use decision::{Decision, Hold, Plan, Step, content_refs, decide};
pub use health::unexplained;
pub use image::Image;
pub use mask::mask;
pub use observed::Observed;
pub use offline::{Rendered, offline};
pub use reasons::Reason;
pub use release::{ReleaseRecord, ReleaseState};
pub use reminder::{Due, Reminders, reminders};
pub use status::{Outcome, differs, status, told};
