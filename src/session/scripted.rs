//! A transport that replays a script on a clock of its own, for tests.
//!
//! Time stands still until somebody waits: a read past the script's bytes moves the clock to the
//! read's deadline. So quiet times and silence limits are tested without waiting.

use super::{Clock, Exit, ReadOutcome, SessionError, Transport};
use crate::model::failure::FailureKind;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One thing that the scripted device does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It sends these bytes.
    Send(Vec<u8>),
    /// It is silent for this long.
    Pause(Duration),
    /// It is silent for about this long, or for as long as the reader cares to wait, if that is
    /// about the same.
    Quiet(Duration),
    /// It goes on only when these bytes were typed after those that it waited for before.
    Expect(Vec<u8>),
    /// The command that was run ends with this exit status, having said this on its error stream.
    Exit(i32, Vec<u8>),
    /// It ends the session.
    Eof,
    /// The connection breaks.
    Reset,
    /// The connection fails in another way.
    Fail(FailureKind),
}

/// By how much a reader's patience may differ from a silence and be about the same.
const ABOUT: Duration = Duration::from_millis(50);

/// How the device's bytes are cut into reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// As much as there is.
    Whole,
    /// At most this many bytes, at least 1.
    AtMost(usize),
    /// At these places, counted from the first byte that the device sends; ascending.
    CutAt(Vec<u64>),
}

/// A clock that moves when somebody waits for it.
#[derive(Debug)]
pub struct VirtualClock {
    start: Instant,
    passed: Mutex<Duration>,
}

impl VirtualClock {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            passed: Mutex::new(Duration::ZERO),
        }
    }

    /// How much time has passed on it.
    #[must_use]
    pub fn passed(&self) -> Duration {
        *lock(&self.passed)
    }

    fn move_to(&self, moment: Instant) {
        let mut passed = lock(&self.passed);
        *passed = (*passed).max(moment.saturating_duration_since(self.start));
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        self.start + self.passed()
    }
}

/// What was typed so far; lives on after the transport.
#[derive(Debug, Clone, Default)]
pub struct Typed(Arc<Mutex<Vec<u8>>>);

impl Typed {
    /// All bytes that were typed.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        lock(&self.0).clone()
    }
}

/// Reacts to what was typed with more steps.
pub type Peer = Box<dyn FnMut(&[u8]) -> Vec<Step> + Send>;

/// A transport that replays a script.
pub struct Scripted {
    steps: VecDeque<Step>,
    peer: Option<Peer>,
    reads: Reads,
    clock: Arc<VirtualClock>,
    typed: Typed,
    expected: usize,
    delivered: u64,
    /// How much of the step in front was delivered.
    partly: usize,
    closed: bool,
}

impl Scripted {
    /// A device that does `steps` in order and is then silent.
    #[must_use]
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            peer: None,
            reads: Reads::Whole,
            clock: Arc::new(VirtualClock::new()),
            typed: Typed::default(),
            expected: 0,
            delivered: 0,
            partly: 0,
            closed: false,
        }
    }

    /// A device that begins with `steps` and asks `peer` what to do whenever something is typed.
    #[must_use]
    pub fn with_peer(steps: impl IntoIterator<Item = Step>, peer: Peer) -> Self {
        let mut scripted = Self::new(steps);
        scripted.peer = Some(peer);
        scripted
    }

    /// Cuts what the device sends into reads.
    #[must_use]
    pub fn reads(mut self, reads: Reads) -> Self {
        self.reads = reads;
        self
    }

    /// The clock that this transport moves.
    #[must_use]
    pub fn clock(&self) -> Arc<VirtualClock> {
        Arc::clone(&self.clock)
    }

    /// What is typed to the device.
    #[must_use]
    pub fn typed(&self) -> Typed {
        self.typed.clone()
    }

    fn room(&self, wanted: usize) -> usize {
        match &self.reads {
            Reads::Whole => wanted,
            Reads::AtMost(most) => wanted.min(*most).max(1),
            Reads::CutAt(places) => {
                let next = places.iter().find(|place| **place > self.delivered);
                let left = next.map_or(u64::MAX, |place| place - self.delivered);
                wanted.min(usize::try_from(left).unwrap_or(usize::MAX))
            }
        }
    }

    fn is_typed(&mut self, text: &[u8]) -> bool {
        let typed = self.typed.bytes();
        let new = typed.get(self.expected..).unwrap_or_default();
        let found = new.windows(text.len().max(1)).position(|w| w == text);
        match found {
            Some(at) => {
                self.expected += at + text.len();
                true
            }
            None => false,
        }
    }

    fn send(&mut self, bytes: Vec<u8>, buffer: &mut [u8]) -> ReadOutcome {
        let rest = bytes.get(self.partly..).unwrap_or_default();
        let count = self.room(rest.len().min(buffer.len()));
        if let (Some(place), Some(now)) = (buffer.get_mut(..count), rest.get(..count)) {
            place.copy_from_slice(now);
        }
        self.delivered += count as u64;
        self.partly += count;
        if self.partly < bytes.len() {
            self.steps.push_front(Step::Send(bytes));
        } else {
            self.partly = 0;
        }
        ReadOutcome::Data(count)
    }
}

impl Transport for Scripted {
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<ReadOutcome, SessionError> {
        while !self.closed {
            match self.steps.pop_front() {
                None => break,
                Some(Step::Send(bytes)) if bytes.is_empty() => {}
                Some(Step::Send(bytes)) => return Ok(self.send(bytes, buffer)),
                Some(Step::Pause(pause)) => {
                    let left = deadline.saturating_duration_since(self.clock.now());
                    if pause > left {
                        self.steps.push_front(Step::Pause(pause - left));
                        break;
                    }
                    self.clock.move_to(self.clock.now() + pause);
                }
                Some(Step::Quiet(quiet)) => {
                    let left = deadline.saturating_duration_since(self.clock.now());
                    let about = ABOUT.max(quiet / 10);
                    if left + about < quiet {
                        self.steps.push_front(Step::Quiet(quiet - left));
                        break;
                    }
                    if left <= quiet + about {
                        break;
                    }
                    self.clock.move_to(self.clock.now() + quiet);
                }
                Some(Step::Expect(text)) => {
                    if !self.is_typed(&text) {
                        self.steps.push_front(Step::Expect(text));
                        break;
                    }
                }
                Some(end @ (Step::Eof | Step::Exit(..))) => {
                    self.steps.push_front(end);
                    return Ok(ReadOutcome::Eof);
                }
                Some(end @ (Step::Reset | Step::Fail(_))) => {
                    let error = broken_by(&end);
                    self.steps.push_front(end);
                    return Err(error);
                }
            }
        }
        if self.closed {
            return Ok(ReadOutcome::Eof);
        }
        self.clock.move_to(deadline);
        Ok(ReadOutcome::TimedOut)
    }

    fn write(&mut self, bytes: &[u8], _deadline: Instant) -> Result<(), SessionError> {
        match self.steps.front() {
            _ if self.closed => return Err(broken()),
            Some(end @ (Step::Eof | Step::Reset | Step::Fail(_))) => return Err(broken_by(end)),
            _ => {}
        }
        lock(&self.typed.0).extend_from_slice(bytes);
        if let Some(peer) = &mut self.peer {
            self.steps.extend(peer(bytes));
        }
        Ok(())
    }

    /// What is run stands among what is typed as `exec COMMAND` and a return.
    fn run(&mut self, command: &str, deadline: Instant) -> Result<(), SessionError> {
        if matches!(self.steps.front(), Some(Step::Exit(..))) {
            self.steps.pop_front();
        }
        self.write(format!("exec {command}\r").as_bytes(), deadline)
    }

    fn ended(&mut self, _deadline: Instant) -> Result<Exit, SessionError> {
        match self.steps.front() {
            Some(Step::Exit(code, aside)) => Ok(Exit {
                code: *code,
                signal: None,
                aside: aside.clone(),
            }),
            _ => Err(broken()),
        }
    }

    fn close(&mut self) {
        self.closed = true;
    }
}

fn broken() -> SessionError {
    SessionError::new(FailureKind::Reset, "the connection broke")
}

fn broken_by(end: &Step) -> SessionError {
    match end {
        Step::Fail(FailureKind::Cancelled) => SessionError::Cancelled,
        Step::Fail(kind) => SessionError::new(*kind, format!("the connection failed: {kind}")),
        _ => broken(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_only_when_somebody_waits() {
        let mut device = Scripted::new([
            Step::Send(b"abc".to_vec()),
            Step::Pause(Duration::from_secs(40)),
            Step::Expect(b"go\r".to_vec()),
            Step::Send(b"d".to_vec()),
            Step::Eof,
        ])
        .reads(Reads::AtMost(2));
        let clock = device.clock();
        let mut buffer = [0; 8];
        let mut read = |device: &mut Scripted, secs| {
            let deadline = clock.now() + Duration::from_secs(secs);
            device.read(&mut buffer, deadline).unwrap()
        };
        assert_eq!(read(&mut device, 9), ReadOutcome::Data(2));
        assert_eq!(read(&mut device, 9), ReadOutcome::Data(1));
        assert_eq!(clock.passed(), Duration::ZERO);
        assert_eq!(read(&mut device, 30), ReadOutcome::TimedOut);
        assert_eq!(
            read(&mut device, 30),
            ReadOutcome::TimedOut,
            "waits for the word"
        );
        assert_eq!(clock.passed(), Duration::from_secs(60));
        device.write(b"go\r", clock.now()).unwrap();
        assert_eq!(read(&mut device, 1), ReadOutcome::Data(1));
        assert_eq!(read(&mut device, 1), ReadOutcome::Eof);
        assert_eq!(clock.passed(), Duration::from_secs(60));
        assert!(device.write(b"x", clock.now()).is_err());
        assert_eq!(device.typed().bytes(), b"go\r");
    }

    #[test]
    fn commands_are_run_one_after_the_other_and_tell_how_they_ended() {
        let mut device = Scripted::new([
            Step::Expect(b"exec a\r".to_vec()),
            Step::Send(b"one".to_vec()),
            Step::Exit(3, b"oops".to_vec()),
            Step::Expect(b"exec b\r".to_vec()),
            Step::Eof,
        ]);
        let now = device.clock().now();
        let mut buffer = [0; 8];
        device.run("a", now).unwrap();
        assert_eq!(device.read(&mut buffer, now).unwrap(), ReadOutcome::Data(3));
        assert_eq!(device.read(&mut buffer, now).unwrap(), ReadOutcome::Eof);
        assert_eq!(device.read(&mut buffer, now).unwrap(), ReadOutcome::Eof);
        let exit = device.ended(now).unwrap();
        assert_eq!((exit.code, exit.aside.as_slice()), (3, &b"oops"[..]));
        device.run("b", now).unwrap();
        assert_eq!(device.read(&mut buffer, now).unwrap(), ReadOutcome::Eof);
        assert!(device.ended(now).is_err(), "the session ended instead");
    }

    #[test]
    fn a_peer_answers_what_is_typed_and_reads_are_cut() {
        let peer: Peer = Box::new(|typed| vec![Step::Send(typed.to_vec())]);
        let mut device = Scripted::with_peer([], peer).reads(Reads::CutAt(vec![1, 3]));
        let now = device.clock().now();
        device.write(b"hello", now).unwrap();
        let mut buffer = [0; 8];
        let sizes: Vec<ReadOutcome> = (0..4)
            .map(|_| device.read(&mut buffer, now).unwrap())
            .collect();
        let data = |n| ReadOutcome::Data(n);
        assert_eq!(sizes, [data(1), data(2), data(2), ReadOutcome::TimedOut]);
    }
}
