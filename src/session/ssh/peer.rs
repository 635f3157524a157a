//! Who is spoken to, and what went wrong with it, in words.

use crate::model::failure::FailureKind;
use crate::session::SessionError;
use ssh2::ErrorCode;
use std::fmt;

/// Host and port as configured, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) host: String,
    pub(super) port: u16,
    /// The name of the jump host through which it is reached.
    pub(super) via: Option<String>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{}:{}", self.host, self.port)?;
        }
        match &self.via {
            Some(jump) => write!(f, " (through jump host {jump:?})"),
            None => Ok(()),
        }
    }
}

/// Why a call that waits for the device ended without a result.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The attempt was cancelled.
    Cancelled,
    /// The deadline passed.
    TimedOut,
    /// libssh2 gave up, with its code and its words.
    Ssh { code: i32, words: String },
}

impl Trouble {
    pub(super) fn of(error: &ssh2::Error) -> Self {
        let code = match error.code() {
            ErrorCode::Session(code) | ErrorCode::SFTP(code) => code,
        };
        Self::Ssh {
            code,
            words: error.message().to_owned(),
        }
    }

    pub(super) const fn code(&self) -> Option<i32> {
        match self {
            Self::Ssh { code, .. } => Some(*code),
            Self::Cancelled | Self::TimedOut => None,
        }
    }

    /// What happened, in a few words.
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Cancelled => "cancelled",
            Self::TimedOut => "no answer in time",
            Self::Ssh { words, .. } => words,
        }
    }

    /// Whether the connection is gone, as opposed to an answer we cannot use.
    pub(super) const fn is_lost(&self) -> bool {
        matches!(
            self.code(),
            Some(
                libssh2_sys::LIBSSH2_ERROR_SOCKET_RECV
                    | libssh2_sys::LIBSSH2_ERROR_SOCKET_SEND
                    | libssh2_sys::LIBSSH2_ERROR_SOCKET_DISCONNECT
                    | libssh2_sys::LIBSSH2_ERROR_BAD_SOCKET
            )
        )
    }

    /// Whether libssh2 means a lost connection where its code says a refused login: publickey and
    /// keyboard-interactive cover it so (libssh2 userauth.c).
    pub(super) fn hides_loss(&self) -> bool {
        matches!(self, Self::Ssh { words, .. } if words.starts_with("Waiting for "))
    }

    /// The error for the operator; `doing` completes "... while".
    pub(super) fn to_error(&self, peer: &Peer, doing: &str) -> SessionError {
        let lost = self.is_lost() || self.hides_loss();
        match self {
            Self::Cancelled => SessionError::Cancelled,
            Self::TimedOut => SessionError::new(
                FailureKind::Timeout,
                format!(
                    "{peer} did not answer in time while {doing}; \
                     if it is only slow, raise this device's deadline"
                ),
            ),
            Self::Ssh { .. } if lost => SessionError::new(
                FailureKind::Reset,
                format!("{peer} closed the connection while {doing}"),
            ),
            Self::Ssh { code, words } => SessionError::new(
                FailureKind::Protocol,
                format!("the SSH dialogue with {peer} failed while {doing}: {words} ({code})"),
            ),
        }
    }
}

/// A short piece of what a device said, fit for a message: one line, printable, bounded.
pub(super) fn quoted(said: &str) -> String {
    const LONGEST: usize = 80;
    let line = said.trim().lines().next().unwrap_or_default();
    let shown: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect();
    format!("{:?}", shown.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_one_short_printable_line() {
        assert_eq!(quoted("  PIN\u{1b}[2J: \r\nnext"), "\"PIN[2J:\"");
        assert_eq!(quoted(&"x".repeat(500)).len(), 82);
        assert_eq!(quoted(""), "\"\"");
    }

    #[test]
    fn addresses_with_colons_get_brackets() {
        let peer = |host: &str| Peer {
            host: host.into(),
            port: 22,
            via: None,
        };
        assert_eq!(peer("csr1").to_string(), "csr1:22");
        assert_eq!(peer("::1").to_string(), "[::1]:22");
    }
}
