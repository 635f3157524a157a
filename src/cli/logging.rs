//! The log: env_logger on stderr.

use env_logger::{Builder, Env, Target};
use log::LevelFilter;
use std::io::Write;

/// How much is logged when RUST_LOG says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verbosity {
    /// Errors only.
    Quiet,
    /// This many `-v`.
    Verbose(u8),
}

/// Starts the log, which is written to `out`.
pub(super) fn start(verbosity: Verbosity, out: Box<dyn Write + Send>) {
    let level = match verbosity {
        Verbosity::Quiet => LevelFilter::Error,
        Verbosity::Verbose(0) => LevelFilter::Warn,
        Verbosity::Verbose(1) => LevelFilter::Info,
        Verbosity::Verbose(2) => LevelFilter::Debug,
        Verbosity::Verbose(_) => LevelFilter::Trace,
    };
    let mut builder = Builder::new();
    builder
        .filter_module("wrmem", level)
        .filter_level(level.min(LevelFilter::Warn))
        .parse_env(Env::default())
        // The simulated devices' SSH server would log what clients type, passwords included.
        .filter_module("russh", LevelFilter::Off)
        .target(Target::Pipe(out));
    // A second start in one process keeps the first log.
    let _ = builder.try_init();
}
