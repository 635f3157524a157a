//! Identification and key exchange.

use super::cpu_gate::{CpuGate, NoTurn, Progress, Waiter};
use super::link::{Link, Phase};
use super::peer::Trouble;
use super::socket::peek;
use crate::model::failure::FailureKind;
use crate::session::SessionError;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a peer may say before its SSH identification (RFC 4253 4.2 allows lines, sets no limit).
const MAX_PREAMBLE: usize = 64 * 1024;

/// The time limits of a key exchange.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For the device; waiting for a CPU does not count.
    pub(super) own: Instant,
    /// For everything together.
    pub(super) whole: Instant,
}

/// How a key exchange went.
pub(super) struct Exchange {
    pub(super) result: Result<(), KexTrouble>,
    /// The time spent waiting for a CPU.
    pub(super) queued: Duration,
}

/// Why there are no keys.
#[derive(Debug)]
pub(super) enum KexTrouble {
    /// The peer says other things than SSH.
    NotSsh,
    /// Something else went wrong; whether the peer had identified itself by then.
    Broken(Trouble, Identified),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identified {
    Yes,
    No,
}

/// Exchanges keys over a fresh link.
pub(super) fn exchange(link: &mut Link, gate: &CpuGate, limits: Limits) -> Exchange {
    let waiter = Arc::<Waiter>::default();
    let (closing, waking) = (Arc::clone(&link.socket), Arc::clone(&waiter));
    link.cancel.on_cancel(move || {
        let _ = closing.shutdown(Shutdown::Both);
        waking.wake();
    });
    let mut steps = Steps {
        link,
        gate,
        waiter,
        limits,
        queued: Duration::ZERO,
        identified: Identified::No,
        preamble: 0,
    };
    let result = steps.run();
    let queued = steps.queued;
    if result.is_ok() {
        link.phase = Phase::Secured;
    }
    Exchange { result, queued }
}

struct Steps<'a> {
    link: &'a mut Link,
    gate: &'a CpuGate,
    waiter: Arc<Waiter>,
    limits: Limits,
    queued: Duration,
    identified: Identified,
    preamble: usize,
}

impl Steps<'_> {
    fn run(&mut self) -> Result<(), KexTrouble> {
        loop {
            self.link.check().map_err(|trouble| self.broken(trouble))?;
            if self.identified == Identified::No {
                self.look_for_identification()?;
            }
            let result = match self.identified {
                // Nothing to compute yet, and a peer that floods us holds up nobody else.
                Identified::No => self.link.session.handshake(),
                Identified::Yes => self.gated_step()?,
            };
            match result {
                Ok(()) => return Ok(()),
                Err(error) => self.wait_or_fail(&error)?,
            }
        }
    }

    fn gated_step(&mut self) -> Result<Result<(), ssh2::Error>, KexTrouble> {
        let began = self.link.clock.now();
        let until = (self.limits.whole, self.link.clock.as_ref());
        let turn = self
            .gate
            .enter(&self.waiter, Progress::Begun, &self.link.cancel, until);
        let now = self.link.clock.now();
        self.queued += now.saturating_duration_since(began);
        let _turn = turn.map_err(|no_turn| {
            self.broken(match no_turn {
                NoTurn::Cancelled => Trouble::Cancelled,
                NoTurn::TimedOut => Trouble::TimedOut,
            })
        })?;
        Ok(self.link.session.handshake())
    }

    fn wait_or_fail(&self, error: &ssh2::Error) -> Result<(), KexTrouble> {
        let deadline = self.limits.whole.min(self.limits.own + self.queued);
        self.link
            .retry_or_fail(error, deadline)
            .map_err(|trouble| self.broken(trouble))
    }

    /// Looks at what has come without taking it.
    // Not inlined: its room on the stack would be held during the key exchange.
    #[inline(never)]
    fn look_for_identification(&mut self) -> Result<(), KexTrouble> {
        if self.link.session.banner_bytes().is_some_and(is_ssh) {
            self.identified = Identified::Yes;
            return Ok(());
        }
        let mut seen = [0; 1024];
        let count = peek(&self.link.socket, &mut seen).unwrap_or(0);
        let seen = seen.get(..count).unwrap_or_default();
        let mut lines = seen.split_inclusive(|byte| *byte == b'\n');
        if lines.any(|line| is_ssh(line) && line.ends_with(b"\n")) {
            self.identified = Identified::Yes;
        }
        self.preamble += count;
        if self.preamble > MAX_PREAMBLE {
            return Err(KexTrouble::NotSsh);
        }
        Ok(())
    }

    fn broken(&self, trouble: Trouble) -> KexTrouble {
        let banner = self.link.session.banner_bytes();
        if banner.is_some_and(is_ssh) {
            return KexTrouble::Broken(trouble, Identified::Yes);
        }
        if trouble.code() == Some(libssh2_sys::LIBSSH2_ERROR_BANNER_RECV) {
            return KexTrouble::NotSsh;
        }
        // It said something that is no identification, then nothing or goodbye.
        if banner.is_some() && !matches!(trouble, Trouble::Cancelled) {
            return KexTrouble::NotSsh;
        }
        KexTrouble::Broken(trouble, Identified::No)
    }
}

fn is_ssh(line: &[u8]) -> bool {
    line.starts_with(b"SSH-")
}

/// Whether libssh2 may mean that no algorithm is shared. It says the same when the connection
/// breaks in the middle of a key exchange.
pub(super) fn may_be_algorithms(trouble: &KexTrouble) -> bool {
    let KexTrouble::Broken(trouble, Identified::Yes) = trouble else {
        return false;
    };
    matches!(
        trouble.code(),
        Some(
            libssh2_sys::LIBSSH2_ERROR_KEX_FAILURE
                | libssh2_sys::LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE
                | libssh2_sys::LIBSSH2_ERROR_METHOD_NONE
                | libssh2_sys::LIBSSH2_ERROR_METHOD_NOT_SUPPORTED
        )
    )
}

/// The error for the operator, where it is not about algorithms.
pub(super) fn to_error(trouble: &KexTrouble, link: &Link) -> SessionError {
    let peer = &link.peer;
    match trouble {
        KexTrouble::NotSsh => SessionError::new(
            FailureKind::Protocol,
            format!("{peer} does not speak SSH; check the device's host and port"),
        ),
        KexTrouble::Broken(trouble, Identified::No) if trouble.is_lost() => SessionError::new(
            FailureKind::Busy,
            format!(
                "{peer} accepted the connection and closed it without a word of SSH: its vty \
                 lines may be full, or an access list may keep us out"
            ),
        ),
        KexTrouble::Broken(trouble, Identified::No) => {
            trouble.to_error(peer, "we waited for its SSH identification")
        }
        // libssh2 covers a lost connection with other words during a key exchange.
        KexTrouble::Broken(Trouble::Ssh { .. }, Identified::Yes) if link.is_cut() => {
            SessionError::new(
                FailureKind::Reset,
                format!("{peer} closed the connection while we exchanged keys"),
            )
        }
        KexTrouble::Broken(trouble, Identified::Yes) => trouble.to_error(peer, "we exchanged keys"),
    }
}
