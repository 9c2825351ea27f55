//! What an app's owner is told.

use tremplin_core::api::{StartupApp, StartupAppStatus};
use tremplin_core::app::{Reason, differs, told};
use tremplin_core::fault::{Class, Fault};

use super::{Seen, StartupApps};
use crate::cluster::{Malformed, Told};
use crate::driver::{Accident, Outcome};

/// How many failed rounds in a row are not told: most faults of the API server pass before anybody reads them.
pub(super) const TOLERATED: u32 = 2;

impl StartupApps {
    /// Writes the status if something in it differs, and publishes what began or ended.
    pub(super) async fn report(&self, app: &StartupApp, new: &StartupAppStatus) -> Result<(), Fault<Reason>> {
        if !differs(app.status.as_ref(), new) {
            return Ok(());
        }
        let unwritable = |error: serde_json::Error| Fault::transient(Reason::InternalError, error.to_string());
        let status = serde_json::to_value(new).map_err(unwritable)?;
        let seen = Seen::Object(Box::new(app.clone()));
        let progress = [Reason::Deploying.as_str(), Reason::Releasing.as_str()];
        self.cluster
            .report(&self.apps, &seen, &status, &new.conditions, &progress)
            .await
            .map_err(|fault| fault.map(Reason::from))
    }

    /// Tells that an app cannot be read; the rest of its status stays.
    pub(super) async fn report_malformed(&self, malformed: &Malformed) -> Outcome {
        let told = Told {
            class: Class::Stalled,
            reason: Reason::Malformed.as_str(),
            message: format!("{}. Next: {}", malformed.error, Reason::Malformed.action()),
        };
        let seen = Seen::Malformed(Box::new(malformed.clone()));
        match self
            .cluster
            .report_exception(&self.apps, &seen, &told, (self.now)())
            .await
        {
            Ok(()) => Outcome::Stalled { again: None },
            Err(fault) => Outcome::Failed(fault.to_string()),
        }
    }

    /// Tells what kept a round from judging; the rest of the status stays.
    pub(super) async fn report_fault(&self, seen: &Seen, fault: &Fault<Reason>) {
        let told = Told {
            class: fault.class,
            reason: fault.reason.as_str(),
            message: told(fault),
        };
        if let Err(fault) = self
            .cluster
            .report_exception(&self.apps, seen, &told, (self.now)())
            .await
        {
            tracing::debug!(%fault, "failed to tell of it in the status");
        }
    }

    /// Tells that a round ended badly; the rest of the status stays.
    pub(super) async fn report_accident(&self, seen: &Seen, accident: &Accident) {
        let (reason, message) = match accident {
            Accident::Panicked(message) => (
                Reason::InternalError,
                format!("the operator met a fault of its own: {message}"),
            ),
            Accident::Overdue(deadline) => (
                Reason::ApiUnavailable,
                format!("the work was not done within {} s", deadline.as_secs()),
            ),
        };
        let fault = Fault::transient(reason, message);
        self.report_fault(seen, &fault).await;
    }
}
