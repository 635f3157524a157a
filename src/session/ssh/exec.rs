//! Commands on an SSH connection, each on a channel of its own, as a transport.
//!
//! No pty and no shell: what a command says is all its own, its end is the device's word, and so is
//! whether it went well. Two round trips per command, one for the channel and one for the command;
//! what the command says comes right behind the answer to the second.

use super::link::Link;
use super::peer::Trouble;
use crate::model::failure::FailureKind;
use crate::session::{Exit, ReadOutcome, SessionError, Transport};
use ssh2::Channel;
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// How much is kept of what a command says on its error stream, in bytes.
const ASIDE_MAX: usize = 4 * 1024;

/// How long a command whose output has ended may take to say how it ended.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Runs commands over a connection that is logged in.
pub(super) struct ExecTransport {
    // The channel goes before the link; see `close`.
    channel: Option<Channel>,
    aside: Vec<u8>,
    link: Option<Link>,
}

impl ExecTransport {
    pub(super) fn new(link: Link) -> Self {
        Self {
            channel: None,
            aside: Vec::new(),
            link: Some(link),
        }
    }

    fn link(&self) -> Result<&Link, SessionError> {
        self.link.as_ref().ok_or_else(|| {
            SessionError::new(FailureKind::Reset, "the session was ended by us already")
        })
    }

    fn fail(&self, trouble: &Trouble, doing: &str) -> SessionError {
        match &self.link {
            Some(link) => trouble.to_error(&link.peer, doing),
            None => SessionError::Cancelled,
        }
    }

    /// Reads what there is, the error stream first: libssh2 sees no end before that is empty.
    fn take(&mut self, buffer: &mut [u8]) -> Result<Option<ReadOutcome>, Trouble> {
        let Some(channel) = self.channel.as_mut() else {
            return Ok(Some(ReadOutcome::Eof));
        };
        let mut piece = [0; 512];
        loop {
            match channel.stderr().read(&mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    let room = ASIDE_MAX.saturating_sub(self.aside.len());
                    let said = piece.get(..count.min(room)).unwrap_or_default();
                    self.aside.extend_from_slice(said);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return Err(self.trouble()),
            }
        }
        match channel.read(buffer) {
            Ok(0) if channel.eof() => Ok(Some(ReadOutcome::Eof)),
            Ok(0) => Ok(None),
            Ok(count) => Ok(Some(ReadOutcome::Data(count))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(_) => Err(self.trouble()),
        }
    }

    /// What an I/O error of the channel means; `ssh2` hides libssh2's code in it.
    fn trouble(&self) -> Trouble {
        match &self.link {
            Some(link) => link.check().err().unwrap_or_else(|| link.last_trouble()),
            None => Trouble::Cancelled,
        }
    }

    /// Waits for the device to close the channel: only then has it said how the command ended.
    fn wait_for_last_word(&mut self, deadline: Instant) -> Result<Exit, SessionError> {
        const DOING: &str = "a command ended";
        let Some(mut channel) = self.channel.take() else {
            return Err(SessionError::new(
                FailureKind::Protocol,
                "no command was running",
            ));
        };
        let link = self.link()?;
        let deadline = deadline.min(link.clock.now() + LAST_WORD);
        let closed = link.drive(deadline, |_| channel.wait_close());
        closed.map_err(|trouble| self.fail(&trouble, DOING))?;
        let code = channel.exit_status();
        let code = code.map_err(|error| self.fail(&Trouble::of(&error), DOING))?;
        let signal = channel.exit_signal().ok().and_then(|end| end.exit_signal);
        Ok(Exit {
            code,
            signal,
            aside: std::mem::take(&mut self.aside),
        })
    }
}

impl Transport for ExecTransport {
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<ReadOutcome, SessionError> {
        const DOING: &str = "we read from it";
        loop {
            self.link()?.cancel.check()?;
            match self.take(buffer) {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => {}
                Err(trouble) => return Err(self.fail(&trouble, DOING)),
            }
            match self.link()?.wait(deadline) {
                Ok(()) => {}
                Err(Trouble::TimedOut) => return Ok(ReadOutcome::TimedOut),
                Err(trouble) => return Err(self.fail(&trouble, DOING)),
            }
        }
    }

    fn write(&mut self, _: &[u8], _: Instant) -> Result<(), SessionError> {
        Err(SessionError::new(
            FailureKind::Protocol,
            "nothing can be typed where there is no shell",
        ))
    }

    fn run(&mut self, command: &str, deadline: Instant) -> Result<(), SessionError> {
        const DOING: &str = "we ran a command";
        self.channel = None;
        self.aside.clear();
        let link = self.link()?;
        let opened = link.drive(deadline, ssh2::Session::channel_session);
        let mut channel = opened.map_err(|trouble| refused(trouble, link))?;
        let begun = link.drive(deadline, |_| channel.exec(command));
        match begun {
            Ok(()) => {
                self.channel = Some(channel);
                Ok(())
            }
            Err(trouble) if is_refusal(&trouble) => Err(refused(trouble, link)),
            Err(trouble) => Err(self.fail(&trouble, DOING)),
        }
    }

    fn ended(&mut self, deadline: Instant) -> Result<Exit, SessionError> {
        self.wait_for_last_word(deadline)
    }

    fn close(&mut self) {
        // In this order: the link says goodbye and shuts the socket, so that freeing the channel
        // has nothing to wait for. libssh2's session lives as long as its channel.
        drop(self.link.take());
        drop(self.channel.take());
    }
}

impl Drop for ExecTransport {
    fn drop(&mut self) {
        self.close();
    }
}

fn is_refusal(trouble: &Trouble) -> bool {
    matches!(
        trouble.code(),
        Some(
            libssh2_sys::LIBSSH2_ERROR_CHANNEL_FAILURE
                | libssh2_sys::LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED
        )
    )
}

fn refused(trouble: Trouble, link: &Link) -> SessionError {
    if !is_refusal(&trouble) {
        return trouble.to_error(&link.peer, "we opened a channel for a command");
    }
    SessionError::new(
        FailureKind::CommandRejected,
        format!(
            "{} let us in but runs no commands for this user: its sessions may be used up, or the \
             user may only have a shell",
            link.peer
        ),
    )
}
