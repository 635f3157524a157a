//! Waiting on a socket until a moment.

use crate::session::Clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::Socket;
use std::io;
use std::time::Instant;

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Readable,
    Writable,
    Either,
}

/// How the waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    /// Ready, or broken: the next call on the socket tells.
    Ready,
    TimedOut,
}

/// Waits until the socket is ready, broken or shut down, at most until `deadline`.
pub(super) fn wait(
    socket: &Socket,
    readiness: Readiness,
    deadline: Instant,
    clock: &dyn Clock,
) -> io::Result<Waited> {
    let flags = match readiness {
        Readiness::Readable => PollFlags::IN,
        Readiness::Writable => PollFlags::OUT,
        Readiness::Either => PollFlags::IN | PollFlags::OUT,
    };
    loop {
        let left = deadline.saturating_duration_since(clock.now());
        if left.is_zero() {
            return Ok(Waited::TimedOut);
        }
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(socket, flags)], Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(Waited::Ready),
            Err(error) => return Err(error.into()),
        }
    }
}
