//! The blocking edge: everything that waits for a device.
//!
//! A [`Connector`] makes a connection (host key checked, logged in, shell open) and hands out a
//! [`Transport`], which only moves bytes; [`dialogue::Dialogue`] holds the conversation on it. Time
//! comes from a [`Clock`], so that quiet times and limits are tested without waiting.

pub mod cancel;
pub mod dialogue;
pub mod error;
pub mod gate;
pub mod known_hosts;
pub mod scripted;
pub mod ssh;
pub mod trace;

pub use cancel::CancelHandle;
pub use error::SessionError;

pub use crate::flow::admission::LoginOutcome;

use crate::model::credentials::Credentials;
use crate::model::device::{Device, DeviceName};
use crate::model::limit::LimitSet;
use crate::model::stage::Trail;
use std::sync::Arc;
use std::time::Instant;

/// A monotonic clock.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Instant;
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOutcome {
    /// This many bytes, at least one.
    Data(usize),
    /// The device ended the session; nothing more will come.
    Eof,
    /// The deadline passed and nothing came.
    TimedOut,
}

/// How a command ended, by the device's own word.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exit {
    /// Its exit status; 0 also where the device sends none, because libssh2 does not tell the two
    /// apart.
    pub code: i32,
    /// The signal that ended it, without `SIG`.
    pub signal: Option<String>,
    /// What it said on its error stream, at most a few kilobytes.
    pub aside: Vec<u8>,
}

/// Moves bytes to and from a vty, or, where the platform's channel is `exec`, runs commands each on
/// a channel of its own. Dropping it ends the session without waiting for the device.
pub trait Transport: Send {
    /// Waits until `deadline` for bytes and takes what is there, at most `buffer.len()`.
    ///
    /// # Errors
    /// When the connection breaks or the attempt is cancelled.
    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<ReadOutcome, SessionError>;

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// When the connection breaks, the attempt is cancelled, or the device takes nothing until `deadline`.
    fn write(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), SessionError>;

    /// Begins a command on a channel of its own; what it says is read until `Eof`. Only where the
    /// platform's channel is `exec`.
    ///
    /// # Errors
    /// When the connection breaks, the attempt is cancelled, or the device runs no commands.
    fn run(&mut self, command: &str, deadline: Instant) -> Result<(), SessionError>;

    /// How the command ended, once its output was read to `Eof`.
    ///
    /// # Errors
    /// When the device does not say until `deadline`: the command was cut off.
    fn ended(&mut self, deadline: Instant) -> Result<Exit, SessionError>;

    /// Ends the session: waits for nothing, cannot fail, and may be called again.
    fn close(&mut self);
}

/// Why a shell runs no commands of their own.
fn no_commands() -> SessionError {
    SessionError::new(
        crate::model::failure::FailureKind::Protocol,
        "a shell runs no commands on channels of their own",
    )
}

/// What a connection attempt works with.
pub struct ConnectContext<'a> {
    /// The device to reach.
    pub device: &'a Device,
    /// Cancels the attempt from another thread.
    pub cancel: &'a CancelHandle,
    /// Asked between key exchange and login.
    pub gate: &'a Arc<dyn LoginGate>,
    /// The moment by which all of connecting must be done; each step has its own limit too.
    pub deadline: Instant,
    /// Told once the device is being called: from then on it is waited for, not a CPU.
    pub called: &'a dyn Fn(),
}

/// Makes connections: name lookup, TCP, key exchange, host key, login, shell.
pub trait Connector: Send + Sync {
    /// Connects to a device, checks its host key before any secret is sent, logs in, and opens a
    /// shell. `trail` gets the step times, algorithms and notes, also when it fails.
    ///
    /// # Errors
    /// Says which step failed and what to do about it.
    fn connect(
        &self,
        context: &ConnectContext<'_>,
        trail: &mut Trail,
    ) -> Result<Box<dyn Transport>, SessionError>;

    /// The clock its transports keep.
    fn clock(&self) -> Arc<dyn Clock>;
}

/// Decides who may log in when: credentials not yet accepted in this run are tried on few devices
/// at once, refused ones rest, and login rates are kept.
pub trait LoginGate: Send + Sync {
    /// Waits for a turn to log in with `credentials` to a device that is in `limits`. Every turn is
    /// given back by [`Self::settle`].
    ///
    /// # Errors
    /// [`SessionError`] of kind `AuthRefused` when the credentials rest in this run, `Cancelled`
    /// when the attempt is cancelled, `Timeout` when no turn came until `deadline`.
    fn admit(
        &self,
        credentials: &Credentials,
        limits: &[Arc<LimitSet>],
        cancel: &CancelHandle,
        deadline: Instant,
    ) -> Result<(), SessionError>;

    /// Gives a turn back and tells how the login ended.
    fn settle(&self, credentials: &Credentials, outcome: LoginOutcome);

    /// Whether the credentials called `name` are to be tried on `device` in this run: they are not
    /// where it refused them before, or took others.
    fn is_open(&self, device: &DeviceName, name: &str) -> bool {
        let _ = (device, name);
        true
    }

    /// Takes note of what a device with several credentials said to those called `name`.
    fn note(&self, device: &DeviceName, name: &str, outcome: LoginOutcome) {
        let _ = (device, name, outcome);
    }

    /// Wakes all who wait, because an attempt was cancelled.
    fn wake(&self);
}
