//! SIGINT and SIGTERM: the first asks for an orderly end, the second ends at once.

use super::exit::Exit;
use std::io;
use std::io::Write;
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

/// Ends the process at once, because it was asked to a second time.
#[expect(
    clippy::disallowed_methods,
    reason = "the operator asked twice; every file is whole at any moment"
)]
pub(super) fn end_at_once(exit: Exit) -> ! {
    let _ = writeln!(io::stderr(), "wrmem: interrupted again, ending at once");
    std::process::exit(i32::from(exit.code()))
}
