//! A shell on an SSH connection, as a transport.

use super::link::Link;
use super::peer::Trouble;
use crate::model::failure::FailureKind;
use crate::model::platform::ShellRequests;
use crate::session::{ReadOutcome, SessionError, Transport};
use ssh2::{Channel, ExtendedData};
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
    let mut pty = request_pty(channel);
    let mut shell = channel.shell();
    loop {
        let waiting = match (&pty, &shell) {
            (Ok(()), Ok(())) => return Ok(()),
            (Err(error), Ok(())) | (Ok(()), Err(error)) => [Some(error), None],
            (Err(first), Err(second)) => [Some(first), Some(second)],
        };
        // A refusal counts before anything is waited for.
        let refused = waiting
            .into_iter()
            .flatten()
            .find(|error| Trouble::of(error).code() != Some(libssh2_sys::LIBSSH2_ERROR_EAGAIN));
        match refused.or(waiting.into_iter().flatten().next()) {
            Some(error) => link.retry_or_fail(error, deadline)?,
            None => return Ok(()),
        }
        if pty.is_err() {
            pty = request_pty(channel);
        }
        if shell.is_err() {
            shell = channel.shell();
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
