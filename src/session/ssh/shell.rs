//! A shell on an SSH connection, as a transport.

use super::link::Link;
use super::peer::Trouble;
use crate::model::failure::FailureKind;
use crate::model::platform::ShellRequests;
use crate::session::{Exit, ReadOutcome, SessionError, Transport, no_commands};
use ssh2::{Channel, ExtendedData};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::time::Instant;

/// A dumb terminal gets the fewest escape sequences.
const TERMINAL: &str = "dumb";
/// Columns, rows, and no size in pixels. Wide, so that a vty does not fold its echo, and long, for
/// those that page by it; 0 rows would mean the vty's own default (RFC 4254 6.2).
const SIZE: (u32, u32, u32, u32) = (511, 1000, 0, 0);

/// Opens a channel with a pty and a shell.
pub(super) fn open(
    link: Link,
    requests: ShellRequests,
    deadline: Instant,
) -> Result<ShellTransport, SessionError> {
    match start(&link, requests, deadline) {
        Ok(channel) => Ok(ShellTransport {
            open: Some(Open { channel, link }),
        }),
        Err(trouble) => Err(no_shell(trouble, &link)),
    }
}

fn start(link: &Link, requests: ShellRequests, deadline: Instant) -> Result<Channel, Trouble> {
    let mut channel = link.drive(deadline, ssh2::Session::channel_session)?;
    match requests {
        ShellRequests::Overlapped => request_both(link, &mut channel, deadline)?,
        ShellRequests::OneByOne => {
            link.drive(deadline, |_| request_pty(&mut channel))?;
            link.drive(deadline, |_| channel.shell())?;
        }
    }
    link.drive(deadline, |_| {
        channel.handle_extended_data(ExtendedData::Merge)
    })?;
    Ok(channel)
}

fn request_pty(channel: &mut Channel) -> Result<(), ssh2::Error> {
    channel.request_pty(TERMINAL, None, Some(SIZE))
}

/// Both requests go out before the first answer is waited for: one round trip instead of two.
fn request_both(link: &Link, channel: &mut Channel, deadline: Instant) -> Result<(), Trouble> {
    let channel = RefCell::new(channel);
    both_granted(
        || asked(link, request_pty(&mut channel.borrow_mut())),
        || asked(link, channel.borrow_mut().shell()),
        || link.wait(deadline),
    )
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Pending,
    Granted,
}

fn asked(link: &Link, result: Result<(), ssh2::Error>) -> Result<Asked, Trouble> {
    let Err(error) = result else {
        return Ok(Asked::Granted);
    };
    let trouble = Trouble::of(&error);
    if trouble.code() == Some(libssh2_sys::LIBSSH2_ERROR_EAGAIN) {
        return Ok(Asked::Pending);
    }
    link.check()?;
    Err(trouble)
}

/// Asks for both until both are granted. The answers look alike, and libssh2 hands the first one
/// to whoever asks first and keeps the other one in its queue, where no wait on the socket sees it:
/// so nothing is waited for right after one of them was granted.
fn both_granted(
    mut first: impl FnMut() -> Result<Asked, Trouble>,
    mut second: impl FnMut() -> Result<Asked, Trouble>,
    mut wait: impl FnMut() -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let mut stand = (Asked::Pending, Asked::Pending);
    loop {
        let before = stand;
        if stand.0 == Asked::Pending {
            stand.0 = first()?;
        }
        if stand.1 == Asked::Pending {
            stand.1 = second()?;
        }
        if stand == (Asked::Granted, Asked::Granted) {
            return Ok(());
        }
        if stand == before {
            wait()?;
        }
    }
}

fn no_shell(trouble: Trouble, link: &Link) -> SessionError {
    let refused = matches!(
        trouble.code(),
        Some(
            libssh2_sys::LIBSSH2_ERROR_CHANNEL_FAILURE
                | libssh2_sys::LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED
        )
    );
    if refused {
        return SessionError::new(
            FailureKind::Busy,
            format!(
                "{} let us in but gave us no shell: its vty lines may be full, or this user may \
                 not have one",
                link.peer
            ),
        );
    }
    trouble.to_error(&link.peer, "we opened a shell")
}

/// Moves the bytes of a shell.
pub(super) struct ShellTransport {
    open: Option<Open>,
}

/// The channel goes before the link; both are dropped after the socket was shut down.
struct Open {
    channel: Channel,
    link: Link,
}

impl ShellTransport {
    fn open(&mut self) -> Result<&mut Open, SessionError> {
        self.open.as_mut().ok_or_else(|| {
            SessionError::new(FailureKind::Reset, "the session was ended by us already")
        })
    }
}

impl Open {
    fn fail(&self, trouble: Trouble, doing: &str) -> SessionError {
        trouble.to_error(&self.link.peer, doing)
    }

    /// What an I/O error of the channel means; `ssh2` hides libssh2's code in it.
    fn trouble(&self, error: &io::Error) -> Result<(), Trouble> {
        if error.kind() == io::ErrorKind::WouldBlock {
            return Ok(());
        }
        self.link.check()?;
        Err(self.link.last_trouble())
    }
}

impl Transport for ShellTransport {
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<ReadOutcome, SessionError> {
        const DOING: &str = "we read from it";
        let open = self.open()?;
        loop {
            open.link.cancel.check()?;
            match open.channel.read(buffer) {
                Ok(0) if open.channel.eof() => return Ok(ReadOutcome::Eof),
                Ok(0) => {}
                Ok(count) => return Ok(ReadOutcome::Data(count)),
                Err(error) => open
                    .trouble(&error)
                    .map_err(|trouble| open.fail(trouble, DOING))?,
            }
            match open.link.wait(deadline) {
                Ok(()) => {}
                Err(Trouble::TimedOut) => return Ok(ReadOutcome::TimedOut),
                Err(trouble) => return Err(open.fail(trouble, DOING)),
            }
        }
    }

    fn write(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), SessionError> {
        const DOING: &str = "we typed a command";
        let open = self.open()?;
        let mut rest = bytes;
        while !rest.is_empty() {
            open.link.cancel.check()?;
            let outcome = match open.channel.write(rest) {
                Ok(count) => {
                    rest = rest.get(count..).unwrap_or_default();
                    continue;
                }
                Err(error) => open.trouble(&error),
            };
            outcome
                .and_then(|()| open.link.wait(deadline))
                .map_err(|trouble| open.fail(trouble, DOING))?;
        }
        Ok(())
    }

    fn run(&mut self, _: &str, _: Instant) -> Result<(), SessionError> {
        Err(no_commands())
    }

    fn ended(&mut self, _: Instant) -> Result<Exit, SessionError> {
        Err(no_commands())
    }

    fn close(&mut self) {
        let Some(Open { channel, link }) = self.open.take() else {
            return;
        };
        // In this order: the link says goodbye and shuts the socket, so that freeing the channel
        // has nothing to wait for. libssh2's session lives as long as its channel.
        drop(link);
        drop(channel);
    }
}

impl Drop for ShellTransport {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Answers come in over a wire that is read by whoever asks; each answer grants one request.
    struct Wire {
        queued: Cell<u32>,
        arriving: RefCell<Vec<u32>>,
        waits: Cell<u32>,
    }

    impl Wire {
        /// What arrives before each reading of the wire, the last one first.
        fn new(arriving: &[u32]) -> Self {
            Self {
                queued: Cell::new(0),
                arriving: RefCell::new(arriving.to_vec()),
                waits: Cell::new(0),
            }
        }

        fn ask(&self) -> Result<Asked, Trouble> {
            let arrived = self.arriving.borrow_mut().pop().unwrap_or(0);
            let queued = self.queued.get() + arrived;
            self.queued.set(queued.saturating_sub(1));
            Ok(if queued > 0 {
                Asked::Granted
            } else {
                Asked::Pending
            })
        }

        /// A wait on the socket sees nothing of what was read off it already.
        fn wait(&self) -> Result<(), Trouble> {
            assert_eq!(self.queued.get(), 0, "waited with an answer in the queue");
            self.waits.set(self.waits.get() + 1);
            if self.waits.get() > 100 {
                return Err(Trouble::TimedOut);
            }
            Ok(())
        }
    }

    #[test]
    fn an_answer_taken_by_the_other_request_is_not_waited_for() {
        // Answers arriving (from the end): before pty asks, before shell asks, and so on.
        for arriving in [
            vec![2, 0],
            vec![2],
            vec![1, 1],
            vec![1, 0, 0, 1, 0],
            vec![2, 0, 0, 0],
            vec![1, 1, 0],
            vec![1, 0, 0, 0, 0, 1],
        ] {
            let wire = Wire::new(&arriving);
            let granted = both_granted(|| wire.ask(), || wire.ask(), || wire.wait());
            assert!(granted.is_ok(), "{arriving:?}");
        }
    }

    #[test]
    fn a_refusal_and_a_deadline_end_the_asking() {
        let refused = || {
            Err(Trouble::Ssh {
                code: libssh2_sys::LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED,
                words: String::new(),
            })
        };
        assert!(both_granted(|| Ok(Asked::Pending), refused, || Ok(())).is_err());
        let never = || Ok(Asked::Pending);
        assert!(both_granted(never, never, || Err(Trouble::TimedOut)).is_err());
    }
}
