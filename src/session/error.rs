//! What can go wrong between us and a device.

use crate::model::failure::FailureKind;

/// Why a session did not do what it was asked. Messages name what to do next, hold no secret, and
/// quote at most one redacted line of what the device said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The attempt was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// Any failure with its kind and a message for the operator.
    #[error("{message}")]
    Failed {
        /// What kind of failure.
        kind: FailureKind,
        /// What happened and what to do about it.
        message: String,
    },
}

impl SessionError {
    /// A failure of `kind`.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::Failed {
            kind,
            message: message.into(),
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::Cancelled => FailureKind::Cancelled,
            Self::Failed { kind, .. } => *kind,
        }
    }
}
