//! Listening at the transport's seam.

use super::{Event, Trace, subject};
use crate::model::credentials::Secret;
use crate::model::device::Device;
use crate::model::stage::Stage;
use crate::session::{Clock, Exit, ReadOutcome, SessionError, Transport};
use crate::text::redact;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long nothing came before it is worth a line, where something was typed next.
const QUIET_TOLD: Duration = Duration::from_millis(1);

/// How many events a tape takes, whatever their size.
const EVENTS_MAX: usize = 200_000;

/// Takes down one session. Its copies write on the same tape.
#[derive(Clone)]
pub struct Tape {
    reel: Arc<Mutex<Reel>>,
    clock: Arc<dyn Clock>,
}

/// What was taken down so far.
struct Reel {
    events: Vec<Event>,
    /// The bytes of all that was heard and said.
    bytes: usize,
    /// How many bytes it takes.
    limit: usize,
    /// How many bytes came when it was full.
    lost: u64,
    known: Vec<Secret>,
    last_good: Vec<u8>,
}

impl Tape {
    /// An empty tape that takes `limit` bytes, for a session with `device`.
    #[must_use]
    pub fn new(device: &Device, clock: Arc<dyn Clock>, limit: usize) -> Self {
        let reel = Reel {
            events: Vec::new(),
            bytes: 0,
            limit,
            lost: 0,
            known: device.credentials.secrets(),
            last_good: Vec::new(),
        };
        Self {
            reel: Arc::new(Mutex::new(reel)),
            clock,
        }
    }

    /// Listens to `transport`.
    #[must_use]
    pub fn on(&self, transport: Box<dyn Transport>) -> Box<dyn Transport> {
        Box::new(Recorded {
            inner: transport,
            tape: self.clone(),
        })
    }

    /// A stage begins.
    pub fn stage(&self, stage: Stage, deadline: Instant) {
        let within = deadline.saturating_duration_since(self.clock.now());
        self.lock().add(Event::Stage(stage, within));
    }

    /// A stage ended: `ok ...`, or the kind of a failure and its message.
    pub fn ended(&self, stage: Stage, told: impl Into<String>) {
        self.lock().add(Event::Ended(stage, told.into()));
    }

    /// Something that changes nothing.
    pub fn note(&self, note: impl Into<String>) {
        self.lock().add(Event::Noted(note.into()));
    }

    /// What the last good config shows of the device's parts.
    pub fn last_good(&self, device: &Device, config: &[u8]) {
        self.lock().last_good = subject::marks(device, config);
    }

    /// Whether a stage ended badly.
    #[must_use]
    pub fn has_failure(&self) -> bool {
        let reel = self.lock();
        let bad = |event: &Event| match event {
            Event::Ended(_, told) => told != "ok" && !told.starts_with("ok "),
            _ => false,
        };
        reel.events.iter().any(bad)
    }

    /// Takes what was taken down off the tape, without secrets.
    #[must_use]
    pub fn trace(&self, device: &Device) -> Trace {
        let mut reel = self.lock();
        let mut events = std::mem::take(&mut reel.events);
        reel.mask(&mut events, device);
        if reel.lost > 0 {
            events.push(Event::Cut(reel.lost));
        }
        Trace {
            comments: Vec::new(),
            settings: subject::settings(device, &reel.last_good),
            events,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Reel> {
        self.reel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reel {
    fn add(&mut self, event: Event) {
        let size = match &event {
            Event::Heard(bytes) | Event::Said(bytes) | Event::Exit(_, bytes) => bytes.len(),
            _ => 0,
        };
        // The end of a stage is told however full the tape is; its stages are few.
        let short = matches!(event, Event::Stage(..) | Event::Ended(..) | Event::Noted(_));
        let full = self.bytes + size > self.limit || self.events.len() >= EVENTS_MAX;
        if !short && (self.lost > 0 || full) {
            self.lost += size.max(1) as u64;
            return;
        }
        self.bytes += size;
        self.events.push(event);
    }

    /// Nothing came for as long as we waited.
    fn quiet(&mut self, waited: Duration) {
        self.add(Event::Quiet(waited));
    }

    fn heard(&mut self, bytes: &[u8], waited: Duration) {
        self.add(Event::Pause(waited));
        self.add(Event::Heard(bytes.to_vec()));
    }

    fn said(&mut self, bytes: &[u8]) {
        if let Some(Event::Quiet(waited)) = self.events.last()
            && *waited < QUIET_TOLD
        {
            self.events.pop();
        }
        let mut masked = bytes.to_vec();
        redact::stars_over(&mut masked, &self.known);
        self.add(Event::Said(masked));
    }

    /// Masks what was heard as one stream: a secret may be cut by the reads.
    fn mask(&self, events: &mut [Event], device: &Device) {
        let mut all = Vec::with_capacity(self.bytes);
        for event in &*events {
            if let Event::Heard(bytes) = event {
                all.extend_from_slice(bytes);
            }
        }
        let masked = redact::stream(&all, &device.platform, &self.known);
        let mut rest = masked.as_slice();
        for event in events {
            match event {
                Event::Heard(bytes) => {
                    let (own, others) = rest.split_at_checked(bytes.len()).unwrap_or((rest, b""));
                    bytes.clear();
                    bytes.extend_from_slice(own);
                    rest = others;
                }
                Event::Exit(_, aside) => {
                    *aside = redact::stream(aside, &device.platform, &self.known);
                }
                _ => {}
            }
        }
    }
}

/// A transport that a tape listens to.
struct Recorded {
    inner: Box<dyn Transport>,
    tape: Tape,
}

impl Recorded {
    fn broken(&self, error: SessionError) -> SessionError {
        self.tape.lock().add(Event::Broken(error.kind()));
        error
    }
}

impl Transport for Recorded {
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<ReadOutcome, SessionError> {
        let began = self.tape.clock.now();
        let outcome = self.inner.read(buffer, deadline);
        let budget = deadline.saturating_duration_since(began);
        // Time that our own work took between two reads is not the device's.
        let waited = self.tape.clock.now().saturating_duration_since(began);
        let mut reel = self.tape.lock();
        match outcome {
            Ok(ReadOutcome::Data(count)) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                reel.heard(bytes, waited.min(budget));
            }
            Ok(ReadOutcome::Eof) => reel.add(Event::Eof),
            Ok(ReadOutcome::TimedOut) => reel.quiet(budget),
            Err(_) => {}
        }
        drop(reel);
        outcome.map_err(|error| self.broken(error))
    }

    fn write(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), SessionError> {
        match self.inner.write(bytes, deadline) {
            Ok(()) => {
                self.tape.lock().said(bytes);
                Ok(())
            }
            Err(error) => Err(self.broken(error)),
        }
    }

    fn run(&mut self, command: &str, deadline: Instant) -> Result<(), SessionError> {
        match self.inner.run(command, deadline) {
            Ok(()) => {
                let typed = format!("exec {command}\r");
                self.tape.lock().said(typed.as_bytes());
                Ok(())
            }
            Err(error) => Err(self.broken(error)),
        }
    }

    fn ended(&mut self, deadline: Instant) -> Result<Exit, SessionError> {
        let ended = self.inner.ended(deadline);
        if let Ok(exit) = &ended {
            let mut reel = self.tape.lock();
            if reel.events.last() == Some(&Event::Eof) {
                reel.events.pop();
            }
            reel.add(Event::Exit(exit.code, exit.aside.clone()));
        }
        ended.map_err(|error| self.broken(error))
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
