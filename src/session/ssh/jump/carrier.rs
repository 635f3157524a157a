//! Carries the tunnels of one connection: opens channels, moves bytes, closes channels. Whatever happens
//! on one tunnel, the others go on; if the connection breaks, all of them end.

use super::opening::Opening;
use super::owner::Load;
use super::tunnel::{Closing, Moved, Passage};
use super::{Answer, Fate, Request};
use crate::model::jump::JumpHost;
use crate::session::ssh::dialer::Dialer;
use crate::session::ssh::link::Link;
use crate::session::ssh::peer::Trouble;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// A connection that nobody uses is ended after so long.
const IDLE: Duration = Duration::from_secs(30);

/// How often it is looked at an opening or a closing that nothing is heard of.
const LOOK: Duration = Duration::from_millis(200);

/// How often tunnels that could go on are looked at again before the socket is waited for: new keys
/// may be under way, and nothing goes out before they are there.
const ROUNDS: u32 = 16;

/// Why the carrying ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody used it any more, or it broke: the next request makes a new one.
    Closed,
    /// Nobody can ask any more.
    Unasked,
}

pub(super) struct Carrier<'a> {
    // Channels go before the link they are on, once its socket is shut; see `drop`.
    pub(super) tunnels: Vec<Passage>,
    pub(super) closing: Vec<Closing>,
    link: Option<Link>,
    pub(super) jump: &'a JumpHost,
    queue: &'a Receiver<Request>,
    bell: &'a UnixStream,
    pub(super) load: &'a Load,
    pub(super) fate: Arc<Fate>,
    pub(super) waiting: VecDeque<Request>,
    pub(super) opening: Option<Opening>,
    pub(super) notes: Vec<String>,
    asked: bool,
}

impl<'a> Carrier<'a> {
    pub(super) fn new(
        link: Link,
        jump: &'a JumpHost,
        (queue, bell): (&'a Receiver<Request>, &'a UnixStream),
        load: &'a Load,
    ) -> Self {
        Self {
            tunnels: Vec::new(),
            closing: Vec::new(),
            link: Some(link),
            jump,
            queue,
            bell,
            load,
            fate: Arc::new(Fate::new(jump.name())),
            waiting: VecDeque::new(),
            opening: None,
            notes: Vec::new(),
            asked: true,
        }
    }

    /// Carries until nobody needs it, or the connection breaks.
    pub(super) fn run(mut self, first: (Request, Vec<String>), dialer: &Dialer) -> End {
        let (request, notes) = first;
        self.waiting.push_back(request);
        self.notes = notes;
        let mut busy = dialer.clock.now();
        let mut rounds = 0;
        loop {
            let now = dialer.clock.now();
            self.take_requests();
            if let Err(trouble) = self.advance_all(now) {
                self.lose(&trouble);
                return End::Closed;
            }
            if !self.is_idle() {
                busy = now;
            } else if !self.asked {
                return End::Unasked;
            } else if now.saturating_duration_since(busy) >= IDLE {
                return End::Closed;
            }
            let more = self.has_more();
            rounds = if more { rounds + 1 } else { 0 };
            if more && rounds < ROUNDS {
                continue;
            }
            let longest = if more { LOOK } else { IDLE };
            if self.wait(longest).is_err() {
                self.lose(&Trouble::TimedOut);
                return End::Closed;
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.tunnels.is_empty() && self.waiting.is_empty() && self.opening.is_none()
    }

    fn take_requests(&mut self) {
        let mut rung = [0; 64];
        let mut bell = self.bell;
        while bell.read(&mut rung).is_ok_and(|count| count > 0) {}
        loop {
            match self.queue.try_recv() {
                Ok(request) => self.waiting.push_back(request),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.asked = false;
                    break;
                }
            }
        }
    }

    /// Everything that can be done without waiting, round by round until a round brings nothing.
    fn advance_all(&mut self, now: Instant) -> Result<(), Trouble> {
        let Some(link) = self.link.take() else {
            return Ok(());
        };
        let advanced = self.advance_on(&link, now);
        self.link = Some(link);
        advanced
    }

    fn advance_on(&mut self, link: &Link, now: Instant) -> Result<(), Trouble> {
        loop {
            let mut moved = false;
            let mut index = 0;
            while let Some(tunnel) = self.tunnels.get_mut(index) {
                match tunnel.advance(link)? {
                    Moved::Over => {
                        let over = self.tunnels.swap_remove(index);
                        self.closing.push(over.into_closing());
                    }
                    step => {
                        moved |= step == Moved::Bytes;
                        index += 1;
                    }
                }
            }
            let mut index = 0;
            while let Some(closing) = self.closing.get_mut(index) {
                if closing.advance(link)? {
                    self.closing.swap_remove(index);
                } else {
                    index += 1;
                }
            }
            moved |= self.open_next(link, now)?;
            if !moved {
                return Ok(());
            }
        }
    }

    fn has_more(&self) -> bool {
        self.tunnels.iter().any(Passage::has_more)
    }

    /// Waits until something can be done.
    fn wait(&self, longest: Duration) -> io::Result<()> {
        let Some(link) = &self.link else {
            return Ok(());
        };
        let time = if self.opening.is_some() || !self.closing.is_empty() {
            LOOK
        } else {
            longest
        };
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        let mut polled = vec![PollFd::new(&*link.socket, PollFlags::IN)];
        if self.asked {
            polled.push(PollFd::new(self.bell, PollFlags::IN));
        }
        for tunnel in &self.tunnels {
            let flags = match tunnel.wishes() {
                (true, true) => PollFlags::IN | PollFlags::OUT,
                (true, false) => PollFlags::IN,
                (false, true) => PollFlags::OUT,
                // The jump host has to make room first.
                (false, false) => continue,
            };
            polled.push(PollFd::new(tunnel.local(), flags));
        }
        match poll(&mut polled, Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The connection broke: all who go through it are told, before their tunnels end.
    fn lose(&mut self, trouble: &Trouble) {
        self.fate.lose();
        let name = self.jump.name();
        log::warn!(
            "jump host {name}: the connection was lost ({}), and with it {} tunnels",
            trouble.words(),
            self.tunnels.len()
        );
        let opening = self.opening.take().map(Opening::into_request);
        for request in opening.into_iter().chain(self.waiting.drain(..)) {
            request.answer(Answer::Failed(self.fate.failure()));
        }
        for tunnel in &self.tunnels {
            let _ = tunnel.local().shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Carrier<'_> {
    fn drop(&mut self) {
        self.load.slow.store(false, Ordering::SeqCst);
        // The link says goodbye and shuts the socket, so that freeing channels has nothing to wait for.
        drop(self.link.take());
        self.tunnels.clear();
        self.closing.clear();
    }
}
