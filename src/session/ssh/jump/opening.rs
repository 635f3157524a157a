//! Opening channels to devices: one at a time, because that is how libssh2 does it.

use super::carrier::Carrier;
use super::tunnel::{Closing, Done, Passage, finish};
use super::{Answer, Request, Tunnel};
use crate::model::failure::FailureKind;
use crate::session::SessionError;
use crate::session::ssh::link::Link;
use crate::session::ssh::peer::{Peer, Trouble};
use ssh2::Channel;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A device that the jump host has not reached after so long makes others wait too: libssh2 opens one
/// channel at a time. Newcomers then go over another connection.
const SLOW: Duration = Duration::from_secs(1);

/// What libssh2 says of an opening when the answer to another one, given up before, comes in.
const LATE_ANSWER: i32 = -1;

/// A channel that is being opened for somebody.
pub(super) struct Opening {
    request: Request,
    began: Instant,
    again: u32,
}

impl Opening {
    pub(super) fn into_request(self) -> Request {
        self.request
    }
}

impl Carrier<'_> {
    /// Goes on with the channel that is being opened, or begins the next one. Says whether anything
    /// was done.
    pub(super) fn open_next(&mut self, link: &Link, now: Instant) -> Result<bool, Trouble> {
        let opening = match self.opening.take() {
            Some(opening) => opening,
            None => match self.next(now) {
                Ok(opening) => opening,
                Err(passed_over) => return Ok(passed_over),
            },
        };
        let to = &opening.request.to;
        let (host, port) = (to.host.as_str(), to.port);
        let open = || {
            let opened = link.session.channel_direct_tcpip(host, port, None);
            opened.map_err(io::Error::from)
        };
        match finish(link, open) {
            Ok(Done::Value(channel)) => {
                self.load.slow.store(false, Ordering::SeqCst);
                self.grant(channel, opening.request);
                Ok(true)
            }
            Ok(Done::Waits | Done::Over) => {
                let slow = now.saturating_duration_since(opening.began) >= SLOW;
                self.load.slow.store(slow, Ordering::SeqCst);
                self.opening = Some(opening);
                Ok(false)
            }
            Err(trouble) => self.not_open(opening, trouble).map(|()| true),
        }
    }

    /// The next one who waits; if there is none to open for, whether somebody was passed over.
    fn next(&mut self, now: Instant) -> Result<Opening, bool> {
        if self.tunnels.len() + self.closing.len() >= self.jump.channels.max(1) {
            return Err(false);
        }
        let request = self.waiting.pop_front().ok_or(false)?;
        if request.is_over(now) || !request.answer(Answer::Asked) {
            return Err(true);
        }
        Ok(Opening {
            request,
            began: now,
            again: 0,
        })
    }

    /// A channel was not opened: that is the device's trouble, or the end of the connection.
    fn not_open(&mut self, mut opening: Opening, trouble: Trouble) -> Result<(), Trouble> {
        match trouble.code() {
            // A late answer to an opening that was given up looks like one to this.
            Some(LATE_ANSWER) if opening.again < 3 => {
                opening.again += 1;
                self.opening = Some(opening);
                return Ok(());
            }
            Some(
                libssh2_sys::LIBSSH2_ERROR_CHANNEL_FAILURE
                | libssh2_sys::LIBSSH2_ERROR_TIMEOUT
                | LATE_ANSWER,
            ) => {}
            _ => {
                self.waiting.push_front(opening.request);
                return Err(trouble);
            }
        }
        self.load.slow.store(false, Ordering::SeqCst);
        let error = not_opened(self.jump.name(), &opening.request.to, &trouble);
        opening.request.answer(Answer::Failed(error));
        Ok(())
    }

    fn grant(&mut self, channel: Channel, request: Request) {
        let ends = UnixStream::pair().and_then(|(ours, theirs)| {
            ours.set_nonblocking(true)?;
            theirs.set_nonblocking(true)?;
            Ok((ours, theirs))
        });
        let (ours, theirs) = match ends {
            Ok(ends) => ends,
            Err(error) => {
                let message = format!("no socket for a tunnel: {error}; lower run.in_flight");
                let error = SessionError::new(FailureKind::Connect, message);
                request.answer(Answer::Failed(error));
                self.closing
                    .push(Closing::new(channel, request.into_seat()));
                return;
            }
        };
        let granted = request.answer(Answer::Granted(Tunnel {
            socket: Arc::new(theirs.into()),
            fate: Arc::clone(&self.fate),
            notes: std::mem::take(&mut self.notes),
        }));
        let tunnel = Passage::new(channel, ours, request.into_seat());
        if granted {
            self.tunnels.push(tunnel);
        } else {
            self.closing.push(tunnel.into_closing());
        }
    }
}

/// Why the jump host did not reach a device.
fn not_opened(jump: &str, to: &Peer, trouble: &Trouble) -> SessionError {
    let words = trouble.words();
    if words.contains("administratively prohibited") {
        return SessionError::new(
            FailureKind::Settings,
            format!(
                "jump host {jump:?} let us in but refuses to connect us to {to}: it forbids TCP \
                 forwarding to there (sshd: AllowTcpForwarding, PermitOpen)"
            ),
        );
    }
    SessionError::new(
        FailureKind::Connect,
        format!(
            "no connection to {to}: {words}, says the jump host; check that the device is up and that \
             the jump host reaches it by this name and port"
        ),
    )
}
