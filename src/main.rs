//! The wrmem binary: does what the command line says and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    wrmem::cli::main()
}
