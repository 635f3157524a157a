//! SIGINT and SIGTERM: the first asks for an orderly end, the second ends at once.

use super::exit::Exit;
use crate::actors::alive::Loss;
use std::io;
use std::io::Write;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask wrmem to stop.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Listens from now on; must be called within the actix system.
    ///
    /// # Errors
    /// When the system refuses to register the signals.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal and says how the process is to end because of it.
    pub(super) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To stop, and how the process is to end because of it.
    Stop(Exit),
    /// To read the settings anew.
    Reload,
}

/// The signals that a service gets.
pub(super) struct Signals {
    stop: StopSignals,
    hangup: Signal,
}

impl Signals {
    /// Listens from now on; must be called within the actix system.
    ///
    /// # Errors
    /// When the system refuses to register the signals.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            stop: StopSignals::listen()?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            exit = self.stop.next() => Asked::Stop(exit),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

/// How long the reason may take to get into the log: what hangs may be the log itself.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Ends the process at once because an actor is lost, so that it is started again.
#[expect(
    clippy::disallowed_methods,
    reason = "the thread that could end it in order is the one that hangs"
)]
pub(super) fn end_because(loss: &Loss) -> ! {
    let message = format!("{loss}: ending at once, to be started again");
    let (said, done) = std::sync::mpsc::channel();
    let speaker = std::thread::Builder::new().spawn(move || {
        log::error!("{message}");
        // Nobody waits any longer than the last words may take.
        let _ = said.send(());
    });
    if speaker.is_ok() {
        let _ = done.recv_timeout(LAST_WORDS);
    }
    std::process::exit(i32::from(Exit::Broken.code()))
}

/// Ends the process at once, because it was asked to a second time.
#[expect(
    clippy::disallowed_methods,
    reason = "the operator asked twice; every file is whole at any moment"
)]
pub(super) fn end_at_once(exit: Exit) -> ! {
    let _ = writeln!(io::stderr(), "wrmem: interrupted again, ending at once");
    std::process::exit(i32::from(exit.code()))
}
