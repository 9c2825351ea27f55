//! Events: one when something that a human may look at begins or ends, never one per round.
//!
//! kube's `Recorder` joins equal events of six minutes into a series and repeats the *first* one's note; so the
//! generation is in the action, and the full message is in the condition.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};

use super::Cluster;

/// The longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// What is told of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether a human may have to act.
    pub warning: bool,
    /// The condition's reason.
    pub reason: String,
    /// What was done, with the generation it was done for.
    pub action: String,
    /// The condition's message.
    pub note: String,
}

impl Cluster {
    /// Publishes one event. A failure is logged and changes nothing: the condition says the same.
    pub async fn publish(&self, object: &ObjectReference, notice: Notice) {
        let event = Event {
            type_: if notice.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: notice.reason,
            note: Some(shorten(notice.note)),
            action: notice.action,
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, object).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "failed to publish an event");
        }
    }
}

fn shorten(mut note: String) -> String {
    if note.len() > LONGEST_NOTE {
        let end = (0..=LONGEST_NOTE - '…'.len_utf8())
            .rev()
            .find(|end| note.is_char_boundary(*end))
            .unwrap_or_default();
        note.truncate(end);
        note.push('…');
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let cut = shorten("é".repeat(1000));
        assert!(cut.len() <= LONGEST_NOTE && cut.ends_with("é…"));
        assert_eq!(shorten("short".into()), "short");
    }
}
