//! The command line.

mod accept;
mod args;
mod backup;
mod check;
#[cfg(feature = "lab")]
mod demo;
mod diff;
mod doctor;
mod exit;
mod hand_over;
mod init;
#[cfg(feature = "lab")]
mod lab;
#[cfg(feature = "lab")]
mod lab_args;
mod log;
mod logging;
mod past;
mod redact;
mod reload;
mod replay;
mod revision;
mod run;
mod show;
mod signals;
mod start;
mod trust;
mod whose;

pub use exit::Exit;

use crate::actors::crash;
use args::{Cli, Command};
use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

/// Does what the command line says and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; a closed pipe is nobody's loss.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Ok.into()
            };
        }
    };
    crash::tell_places_only();
    run(cli).into()
}

fn run(cli: Cli) -> Exit {
    let globals = start::Globals::new(&cli);
    let result = match cli.command {
        Command::Backup(args) => backup::run(&globals, &args),
        Command::Run(args) => run::run(&globals, &args),
        Command::Status(args) => past::status(&globals, &args),
        Command::History(args) => past::history(&globals, &args),
        Command::Runs(args) => past::runs(&globals, &args),
        Command::Release(args) => past::release(&globals, &args),
        Command::Reload(args) => reload::run(&globals, &args),
        Command::Check(args) => check::check(&globals, &args),
        Command::Devices => check::devices(&globals),
        Command::Init => init::run(&globals),
        Command::Trust(args) => trust::run(&globals, &args),
        Command::Log(args) => log::run(&globals, &args),
        Command::Show(args) => show::run(&globals, &args),
        Command::Diff(args) => diff::run(&globals, &args),
        Command::Accept(args) => accept::run(&globals, &args),
        Command::Redact(args) => redact::run(&globals, &args),
        Command::Replay(args) => replay::run(&globals, &args),
        Command::Doctor => doctor::run(&globals),
        #[cfg(feature = "lab")]
        Command::Lab(args) => lab::run(&globals, &args),
        #[cfg(feature = "lab")]
        Command::Demo(args) => demo::run(&globals, &args),
    };
    match result {
        Ok(exit) => exit,
        Err(stop) => {
            // The message is all there is; with stderr closed nothing can be done.
            let _ = writeln!(std::io::stderr(), "wrmem: {}", stop.message);
            stop.exit
        }
    }
}
