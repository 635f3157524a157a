//! Why a device did not make it.

use super::stage::Stage;
use std::fmt;

/// The closed list of reasons; the report's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// The host name did not resolve.
    Dns,
    /// No TCP connection, or none in time.
    Connect,
    /// The device refused: its vty lines may be full.
    Busy,
    /// A deadline or the silence limit passed.
    Timeout,
    /// The connection broke.
    Reset,
    /// The session ended in the middle of an output.
    Truncated,
    /// AAA refused a command.
    AuthzDenied,
    /// The code that serves the device panicked, or its thread was lost.
    Crashed,
    /// The jump host in between went away.
    JumpLost,
    /// The startup-config is in use by another session.
    SaveBusy,
    /// The device did not confirm that it saved.
    SaveFailed,
    /// Saving asked a question that wrmem does not answer by itself.
    SaveNeedsConfirm,
    /// The credentials were refused, or rest because others were refused with them.
    AuthRefused,
    /// The host key is not the known one, is revoked, or is unknown where strictness is asked for.
    HostKey,
    /// Client and device share no algorithm.
    Algorithms,
    /// Privileged mode was refused.
    EnableRefused,
    /// The login works but does not show the whole config.
    Privilege,
    /// The device wants a new password.
    PasswordExpired,
    /// The device refused a command that is needed.
    CommandRejected,
    /// The device asked or said something that the platform does not describe.
    Unexpected,
    /// What was read is not provably the whole config.
    Unproven,
    /// More bytes, pages or questions than the bounds allow.
    TooMuch,
    /// The SSH dialogue itself broke a rule.
    Protocol,
    /// The device's settings are faulty.
    Settings,
    /// The archive could not store the config.
    Archive,
    /// The run was interrupted.
    Cancelled,
}

impl FailureKind {
    /// All kinds.
    pub const ALL: [Self; 26] = [
        Self::Dns,
        Self::Connect,
        Self::Busy,
        Self::Timeout,
        Self::Reset,
        Self::Truncated,
        Self::AuthzDenied,
        Self::Crashed,
        Self::JumpLost,
        Self::SaveBusy,
        Self::SaveFailed,
        Self::SaveNeedsConfirm,
        Self::AuthRefused,
        Self::HostKey,
        Self::Algorithms,
        Self::EnableRefused,
        Self::Privilege,
        Self::PasswordExpired,
        Self::CommandRejected,
        Self::Unexpected,
        Self::Unproven,
        Self::TooMuch,
        Self::Protocol,
        Self::Settings,
        Self::Archive,
        Self::Cancelled,
    ];

    /// The word for this kind in logs and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::AuthzDenied => "authz_denied",
            Self::Crashed => "crashed",
            Self::JumpLost => "jump_lost",
            Self::SaveBusy => "save_busy",
            Self::SaveFailed => "save_failed",
            Self::SaveNeedsConfirm => "save_needs_confirm",
            Self::AuthRefused => "auth_refused",
            Self::HostKey => "host_key",
            Self::Algorithms => "algorithms",
            Self::EnableRefused => "enable_refused",
            Self::Privilege => "privilege",
            Self::PasswordExpired => "password_expired",
            Self::CommandRejected => "command_rejected",
            Self::Unexpected => "unexpected",
            Self::Unproven => "unproven",
            Self::TooMuch => "too_much",
            Self::Protocol => "protocol",
            Self::Settings => "settings",
            Self::Archive => "archive",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether a fresh attempt may succeed where this one failed. What locks accounts, needs a
    /// human, or would only repeat itself is not transient.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Dns
            | Self::Connect
            | Self::Busy
            | Self::Timeout
            | Self::Reset
            | Self::Truncated
            | Self::AuthzDenied
            | Self::Crashed
            | Self::JumpLost => true,
            Self::SaveBusy
            | Self::SaveFailed
            | Self::SaveNeedsConfirm
            | Self::AuthRefused
            | Self::HostKey
            | Self::Algorithms
            | Self::EnableRefused
            | Self::Privilege
            | Self::PasswordExpired
            | Self::CommandRejected
            | Self::Unexpected
            | Self::Unproven
            | Self::TooMuch
            | Self::Protocol
            | Self::Settings
            | Self::Archive
            | Self::Cancelled => false,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a device did not make it: where, what kind, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stage in which it happened.
    pub stage: Stage,
    /// What kind of failure.
    pub kind: FailureKind,
    /// What happened and what to do next; never a secret, at most one redacted line of the device.
    pub message: String,
}

impl Failure {
    /// A failure of `kind` in `stage`.
    #[must_use]
    pub fn new(stage: Stage, kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            stage,
            kind,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.message)
    }
}
