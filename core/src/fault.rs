//! Why something cannot go on, decided where it is found out: who must act, on which field, and how.

use std::fmt;

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Nobody: it is tried again soon, by itself.
    Transient,
    /// Nobody now: it goes on when something else appears or changes.
    Waiting,
    /// A human: nothing changes until the spec, the platform or the cluster does.
    Stalled,
}

/// One obstacle. `R` is the closed enum of reasons of the kind or module that found it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault<R> {
    /// Who must act.
    pub class: Class,
    /// The machine's word, which becomes a condition's reason.
    pub reason: R,
    /// The path of the field to change, such as `spec.crons[2].schedule`.
    pub field: Option<String>,
    /// What is the case, for a human.
    pub message: String,
    /// The next step, for a human. Empty when there is none.
    pub fix: String,
}

impl<R> Fault<R> {
    /// A human must act.
    pub fn stalled(reason: R, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Class::Stalled, reason, message, fix)
    }

    /// Something else must appear or change.
    pub fn waiting(reason: R, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Class::Waiting, reason, message, fix)
    }

    /// It is tried again by itself.
    pub fn transient(reason: R, message: impl Into<String>) -> Self {
        Self::new(Class::Transient, reason, message, "")
    }

    fn new(class: Class, reason: R, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            class,
            reason,
            field: None,
            message: message.into(),
            fix: fix.into(),
        }
    }

    /// Names the field to change.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same fault in another module's words.
    pub fn map<S>(self, reason: impl FnOnce(R) -> S) -> Fault<S> {
        Fault {
            class: self.class,
            reason: reason(self.reason),
            field: self.field,
            message: self.message,
            fix: self.fix,
        }
    }
}

/// `field: message: fix`, as a condition shows it.
impl<R> fmt::Display for Fault<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)?;
        if !self.fix.is_empty() {
            write!(f, ": {}", self.fix)?;
        }
        Ok(())
    }
}

impl<R: fmt::Debug> std::error::Error for Fault<R> {}

/// Why the API server did not take a write. Every kind maps these into its own reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// An object of that name lives and is not ours.
    NameTaken,
    /// A field cannot be changed on a live object (422).
    ImmutableField,
    /// A ResourceQuota or LimitRange refuses (403).
    QuotaExceeded,
    /// A policy of the platform refuses: Kyverno, ValidatingAdmissionPolicy, Pod Security.
    PolicyRefused,
    /// The object is not valid to the API server (400, 422).
    Invalid,
    /// The operator lacks a right (403).
    Forbidden,
    /// The namespace is being deleted.
    NamespaceTerminating,
    /// Somebody else wrote at the same time (409): tried again.
    Conflict,
    /// The API server cannot be reached, is overloaded or answered with a fault of its own.
    ApiUnavailable,
}

impl Refusal {
    /// Who must act. A quota may get room by itself and a conflict passes; the rest stays until a human changes it.
    pub fn class(self) -> Class {
        match self {
            Self::NameTaken | Self::ImmutableField | Self::PolicyRefused | Self::Invalid | Self::Forbidden => {
                Class::Stalled
            }
            Self::QuotaExceeded | Self::NamespaceTerminating => Class::Waiting,
            Self::Conflict | Self::ApiUnavailable => Class::Transient,
        }
    }
}
