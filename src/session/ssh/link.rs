//! One SSH connection: libssh2's session and its socket, never blocking within libssh2.
//!
//! libssh2 runs non-blocking and we wait in poll(2) ourselves. So the deadline is a moment and not
//! a time per call, a cancelled attempt wakes up because its socket was shut down, and the CPU gate
//! is held for computation only.

use super::jump::Fate;
use super::peer::{Peer, Trouble};
use super::socket::peek;
use super::wait::{Readiness, Waited, wait};
use crate::session::{CancelHandle, Clock, SessionError};
use socket2::Socket;
use ssh2::{BlockDirections, Session};
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A peer that takes no byte for so long is gone.
const STALLED: Duration = Duration::from_secs(60);

/// Whether a polite goodbye makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Keys are not exchanged yet.
    Opening,
    /// Packets are encrypted.
    Secured,
}

/// A connection. Dropping it ends it without waiting for the device.
pub(super) struct Link {
    pub(super) session: Session,
    // The session has a share of it; asking the session for it takes the session's lock.
    pub(super) socket: Arc<Socket>,
    pub(super) cancel: CancelHandle,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) peer: Peer,
    pub(super) phase: Phase,
    /// What becomes of the jump host's connection, where it goes through one.
    pub(super) fate: Option<Arc<Fate>>,
}

impl Link {
    /// Puts `session` on `socket`; nothing is sent yet.
    pub(super) fn new(
        mut session: Session,
        socket: Arc<Socket>,
        peer: Peer,
        cancel: CancelHandle,
        clock: Arc<dyn Clock>,
    ) -> Self {
        session.set_blocking(false);
        session.set_tcp_stream(Arc::clone(&socket));
        Self {
            session,
            socket,
            cancel,
            clock,
            peer,
            phase: Phase::Opening,
            fate: None,
        }
    }

    /// What an error is really about where the jump host was lost.
    pub(super) fn explain(&self, error: SessionError) -> SessionError {
        match &self.fate {
            Some(fate) => fate.explain(error),
            None => error,
        }
    }

    /// Waits until the socket takes the rest of a packet that is half sent.
    pub(super) fn flush(&self) -> Result<(), Trouble> {
        let deadline = self.clock.now() + STALLED;
        match wait(
            &self.socket,
            Readiness::Writable,
            deadline,
            self.clock.as_ref(),
        ) {
            Ok(Waited::Ready) => Ok(()),
            Ok(Waited::TimedOut) => Err(Trouble::TimedOut),
            Err(error) => Err(broken(&error)),
        }
    }

    /// Calls `operation` until it has a result, waiting for the socket in between.
    pub(super) fn drive<T>(
        &self,
        deadline: Instant,
        mut operation: impl FnMut(&Session) -> Result<T, ssh2::Error>,
    ) -> Result<T, Trouble> {
        loop {
            self.check()?;
            match operation(&self.session) {
                Ok(value) => return Ok(value),
                Err(error) => self.retry_or_fail(&error, deadline)?,
            }
        }
    }

    /// Waits if `error` only says that the socket was not ready.
    pub(super) fn retry_or_fail(
        &self,
        error: &ssh2::Error,
        deadline: Instant,
    ) -> Result<(), Trouble> {
        let trouble = Trouble::of(error);
        if trouble.code() == Some(libssh2_sys::LIBSSH2_ERROR_EAGAIN) {
            return self.wait(deadline);
        }
        // A cancelled attempt sees its socket break; that is not the device's doing.
        self.check()?;
        Err(trouble)
    }

    /// Waits until libssh2 can go on.
    pub(super) fn wait(&self, deadline: Instant) -> Result<(), Trouble> {
        let readiness = match self.session.block_directions() {
            BlockDirections::Outbound => Readiness::Writable,
            BlockDirections::Both => Readiness::Either,
            BlockDirections::Inbound | BlockDirections::None => Readiness::Readable,
        };
        let waited = wait(&self.socket, readiness, deadline, self.clock.as_ref());
        self.check()?;
        match waited {
            Ok(Waited::Ready) => Ok(()),
            Ok(Waited::TimedOut) => Err(Trouble::TimedOut),
            Err(error) => Err(broken(&error)),
        }
    }

    /// What libssh2 complained about last.
    pub(super) fn last_trouble(&self) -> Trouble {
        let error = ssh2::Error::last_session_error(&self.session);
        Trouble::of(&error.unwrap_or_else(ssh2::Error::unknown))
    }

    /// Whether the other side has ended the connection.
    pub(super) fn is_cut(&self) -> bool {
        match peek(&self.socket, &mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    pub(super) fn check(&self) -> Result<(), Trouble> {
        if self.cancel.is_cancelled() {
            Err(Trouble::Cancelled)
        } else {
            Ok(())
        }
    }
}

fn broken(error: &io::Error) -> Trouble {
    Trouble::Ssh {
        code: libssh2_sys::LIBSSH2_ERROR_BAD_SOCKET,
        words: error.to_string(),
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.phase == Phase::Secured {
            // Non-blocking: it goes out if the socket takes it at once.
            let _ = self.session.disconnect(None, "done", None);
        }
        // Without this, freeing the session would wait for the device or leak 83 kB.
        let _ = self.socket.shutdown(Shutdown::Both);
        self.cancel.release();
    }
}
