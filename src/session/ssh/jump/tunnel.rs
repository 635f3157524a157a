//! One channel through a jump host and the socket that a device's thread has the other end of.

use super::owner::Seat;
use crate::session::ssh::link::Link;
use crate::session::ssh::peer::Trouble;
use ssh2::{BlockDirections, Channel};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// What is on its way in one direction, at most so much.
const BUFFER: usize = 32 << 10;

/// How often a packet that is half sent is gone on with before others are looked at again.
const ROUNDS: usize = 1000;

/// Bytes that were taken from one side and not yet given to the other.
struct Passing {
    bytes: Box<[u8]>,
    from: usize,
    to: usize,
}

impl Passing {
    fn new() -> Self {
        Self {
            bytes: vec![0; BUFFER].into_boxed_slice(),
            from: 0,
            to: 0,
        }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.from..self.to).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.from >= self.to
    }

    fn gave(&mut self, count: usize) {
        self.from += count;
    }

    /// Fills the empty buffer with what `read` brings.
    fn fill(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        (self.from, self.to) = (0, 0);
        self.to = read(&mut self.bytes)?;
        Ok(self.to)
    }
}

/// What a look at a tunnel brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    Nothing,
    Bytes,
    /// One of its ends is done.
    Over,
}

/// A channel and its socket.
pub(super) struct Passage {
    channel: Channel,
    local: UnixStream,
    to_device: Passing,
    to_local: Passing,
    // Given back once the channel is closed.
    seat: Seat,
}

impl Passage {
    pub(super) fn new(channel: Channel, local: UnixStream, seat: Seat) -> Self {
        Self {
            channel,
            local,
            to_device: Passing::new(),
            to_local: Passing::new(),
            seat,
        }
    }

    pub(super) fn local(&self) -> &UnixStream {
        &self.local
    }

    /// Whether it takes bytes from its socket, and whether it has some for it.
    pub(super) fn wishes(&self) -> (bool, bool) {
        (self.to_device.is_empty(), !self.to_local.is_empty())
    }

    /// Whether libssh2 has something for it that no wait on the jump host's socket would show: it reads
    /// packets of all channels, whichever it is asked about.
    pub(super) fn has_more(&self) -> bool {
        let window = self.channel.read_window();
        let may_read = self.to_local.is_empty() && (window.available > 0 || self.channel.eof());
        let may_write = !self.to_device.is_empty() && self.channel.write_window().remaining > 0;
        may_read || may_write
    }

    /// Moves what can be moved without waiting.
    pub(super) fn advance(&mut self, link: &Link) -> Result<Moved, Trouble> {
        let from_local = self.take_from_local();
        let given = self.give_to_device(link)?;
        if from_local == Moved::Over {
            // The device's thread is done; what the device does not take now is not worth a wait.
            return Ok(Moved::Over);
        }
        let taken = self.take_from_device(link)?;
        let shown = self.give_to_local();
        let over = taken == Moved::Over && self.to_local.is_empty();
        if over || shown == Moved::Over {
            let _ = self.local.shutdown(Shutdown::Both);
            return Ok(Moved::Over);
        }
        let all = [from_local, given, taken, shown];
        Ok(if all.contains(&Moved::Bytes) {
            Moved::Bytes
        } else {
            Moved::Nothing
        })
    }

    fn take_from_local(&mut self) -> Moved {
        if !self.to_device.is_empty() {
            return Moved::Nothing;
        }
        let local = &mut self.local;
        match self.to_device.fill(|buffer| local.read(buffer)) {
            Ok(0) => Moved::Over,
            Ok(_) => Moved::Bytes,
            Err(error) => waits(&error),
        }
    }

    fn give_to_local(&mut self) -> Moved {
        let mut moved = Moved::Nothing;
        while !self.to_local.is_empty() {
            match self.local.write(self.to_local.rest()) {
                Ok(count) => {
                    self.to_local.gave(count);
                    moved = Moved::Bytes;
                }
                Err(error) if waits(&error) == Moved::Nothing => break,
                Err(_) => return Moved::Over,
            }
        }
        moved
    }

    fn give_to_device(&mut self, link: &Link) -> Result<Moved, Trouble> {
        let mut moved = Moved::Nothing;
        while !self.to_device.is_empty() {
            let (channel, rest) = (&mut self.channel, self.to_device.rest());
            match finish(link, || channel.write(rest))? {
                Done::Value(0) | Done::Waits => break,
                Done::Value(count) => {
                    self.to_device.gave(count);
                    moved = Moved::Bytes;
                }
                // The device closed its side; what is left of its words is read below.
                Done::Over => {
                    let rest = self.to_device.rest().len();
                    self.to_device.gave(rest);
                }
            }
        }
        Ok(moved)
    }

    fn take_from_device(&mut self, link: &Link) -> Result<Moved, Trouble> {
        if !self.to_local.is_empty() {
            return Ok(Moved::Nothing);
        }
        let channel = &mut self.channel;
        let passing = &mut self.to_local;
        let done = finish(link, || passing.fill(|buffer| channel.read(buffer)))?;
        Ok(match done {
            Done::Value(0) if self.channel.eof() => Moved::Over,
            Done::Value(0) | Done::Waits => Moved::Nothing,
            Done::Value(_) => Moved::Bytes,
            Done::Over => Moved::Over,
        })
    }

    /// From here on the channel is only closed.
    pub(super) fn into_closing(self) -> Closing {
        Closing {
            channel: self.channel,
            _seat: self.seat,
        }
    }
}

/// A channel that is being closed: the jump host has to say so too, or libssh2 would keep it.
pub(super) struct Closing {
    channel: Channel,
    _seat: Seat,
}

impl Closing {
    pub(super) fn new(channel: Channel, seat: Seat) -> Self {
        Self {
            channel,
            _seat: seat,
        }
    }

    /// Whether it is closed by now.
    pub(super) fn advance(&mut self, link: &Link) -> Result<bool, Trouble> {
        let channel = &mut self.channel;
        let done = finish(link, || channel.close().map_err(io::Error::from))?;
        Ok(!matches!(done, Done::Waits))
    }
}

fn waits(error: &io::Error) -> Moved {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Moved::Nothing,
        _ => Moved::Over,
    }
}

/// How a call of libssh2 ended.
pub(super) enum Done<T> {
    Value(T),
    /// It goes on when the jump host has said more.
    Waits,
    /// The channel is closed; the connection is not concerned.
    Over,
}

/// Calls until there is a result or the jump host has to say something first. A packet that is half sent
/// goes out before anything else is called: libssh2 takes no other packet before, and forgets none.
pub(super) fn finish<T>(
    link: &Link,
    mut call: impl FnMut() -> io::Result<T>,
) -> Result<Done<T>, Trouble> {
    for _ in 0..ROUNDS {
        let error = match call() {
            Ok(value) => return Ok(Done::Value(value)),
            Err(error) => error,
        };
        if error.kind() != io::ErrorKind::WouldBlock {
            let trouble = link.last_trouble();
            return match trouble.code() {
                Some(
                    libssh2_sys::LIBSSH2_ERROR_CHANNEL_CLOSED
                    | libssh2_sys::LIBSSH2_ERROR_CHANNEL_EOF_SENT
                    | libssh2_sys::LIBSSH2_ERROR_CHANNEL_UNKNOWN,
                ) => Ok(Done::Over),
                _ => Err(trouble),
            };
        }
        match link.session.block_directions() {
            BlockDirections::Outbound | BlockDirections::Both => link.flush()?,
            BlockDirections::Inbound | BlockDirections::None => return Ok(Done::Waits),
        }
    }
    Ok(Done::Waits)
}
