//! What became of the jump host's connection, for those who go through it.

use crate::model::failure::FailureKind;
use crate::session::{Exit, ReadOutcome, SessionError, Transport};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Whether a connection to a jump host was lost. Set before the tunnels over it are cut, so that
/// whoever sees their tunnel break knows why.
#[derive(Debug)]
pub(in super::super) struct Fate {
    jump: String,
    lost: AtomicBool,
}

impl Fate {
    pub(super) fn new(jump: &str) -> Self {
        Self {
            jump: jump.to_owned(),
            lost: AtomicBool::new(false),
        }
    }

    pub(super) fn lose(&self) {
        self.lost.store(true, Ordering::SeqCst);
    }

    pub(in super::super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    /// The failure of everything that went through it.
    pub(in super::super) fn failure(&self) -> SessionError {
        SessionError::new(
            FailureKind::JumpLost,
            format!(
                "the connection to jump host {:?} was lost, and the device's with it; it is made \
                 anew for the next attempt",
                self.jump
            ),
        )
    }

    /// What an error is really about: a tunnel that broke looks like a device that went away.
    pub(in super::super) fn explain(&self, error: SessionError) -> SessionError {
        let by_loss = matches!(
            error.kind(),
            FailureKind::Reset
                | FailureKind::Busy
                | FailureKind::Timeout
                | FailureKind::Truncated
                | FailureKind::Protocol
        );
        if by_loss && self.is_lost() {
            self.failure()
        } else {
            error
        }
    }
}

/// A transport through a jump host.
pub(in super::super) struct Carried {
    pub(in super::super) inner: Box<dyn Transport>,
    pub(in super::super) fate: Arc<Fate>,
}

impl Carried {
    fn explained<T>(&self, result: Result<T, SessionError>) -> Result<T, SessionError> {
        result.map_err(|error| self.fate.explain(error))
    }
}

impl Transport for Carried {
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<ReadOutcome, SessionError> {
        match self.inner.read(buffer, deadline) {
            Ok(ReadOutcome::Eof) if self.fate.is_lost() => Err(self.fate.failure()),
            other => self.explained(other),
        }
    }

    fn write(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), SessionError> {
        let written = self.inner.write(bytes, deadline);
        self.explained(written)
    }

    fn run(&mut self, command: &str, deadline: Instant) -> Result<(), SessionError> {
        let run = self.inner.run(command, deadline);
        self.explained(run)
    }

    fn ended(&mut self, deadline: Instant) -> Result<Exit, SessionError> {
        let ended = self.inner.ended(deadline);
        self.explained(ended)
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
