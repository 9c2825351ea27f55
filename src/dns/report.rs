//! What is told on an object that no round could judge.

use tremplin_core::api::DnsRecord;
use tremplin_core::conditions::{self, READY};
use tremplin_core::dns::{Reason, status};
use tremplin_core::fault::{Class, Fault};

use super::Dns;
use crate::cluster::{Malformed, Seen, Store, Told, Watched};
use crate::driver::{Accident, Outcome};

impl Dns {
    /// Tells that an object cannot be read; the rest of its status stays.
    pub(super) async fn report_malformed<K: Watched>(&self, store: &Store<Seen<K>>, malformed: &Malformed) -> Outcome {
        let told = Told {
            class: Class::Stalled,
            reason: Reason::Malformed.as_str(),
            message: format!("{}. Next: {}", malformed.error, Reason::Malformed.action()),
        };
        let seen = Seen::Malformed(Box::new(malformed.clone()));
        match self.cluster.report_exception(store, &seen, &told, (self.now)()).await {
            Ok(()) => Outcome::Stalled { again: None },
            Err(fault) => Outcome::Failed(fault.to_string()),
        }
    }

    /// Tells what kept a round from judging; the rest of the status stays.
    pub(super) async fn report_fault<K: Watched>(&self, store: &Store<Seen<K>>, seen: &Seen<K>, fault: &Fault<Reason>) {
        let told = Told {
            class: fault.class,
            reason: fault.reason.as_str(),
            message: status::told(fault),
        };
        if let Err(fault) = self.cluster.report_exception(store, seen, &told, (self.now)()).await {
            tracing::debug!(%fault, "failed to tell of it in the status");
        }
    }

    /// Tells that a round ended badly; the rest of the status stays.
    pub(super) async fn report_accident<K: Watched>(
        &self,
        store: &Store<Seen<K>>,
        seen: &Seen<K>,
        accident: &Accident,
    ) {
        let fault = match accident {
            Accident::Panicked(message) => Fault::transient(
                Reason::InternalError,
                format!("the operator met a fault of its own: {message}"),
            ),
            Accident::Overdue(deadline) => Fault::transient(
                Reason::ApiUnavailable,
                format!("the work was not done within {} s", deadline.as_secs()),
            ),
        };
        self.report_fault(store, seen, &fault).await;
    }
}

/// What the driver does after a fault.
pub(super) fn after(fault: &Fault<Reason>) -> Outcome {
    match fault.class {
        Class::Waiting => Outcome::Waiting { again: None },
        Class::Stalled => Outcome::Stalled { again: None },
        Class::Transient => Outcome::Failed(fault.to_string()),
    }
}

/// The reason of the condition `Ready`, as it was last told.
pub(super) fn ready_reason(record: &DnsRecord) -> Option<&str> {
    let conditions = &record.status.as_ref()?.conditions;
    Some(&conditions::find(conditions, READY)?.reason)
}
