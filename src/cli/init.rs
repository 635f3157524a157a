//! `wrmem init`.

use super::exit::{Exit, Stop};
use super::start::Globals;
use crate::settings;
use std::io::{self, Write};

/// Writes a commented settings folder.
pub(super) fn run(globals: &Globals) -> Result<Exit, Stop> {
    globals.log_plainly();
    let written = settings::init(&globals.settings).map_err(Stop::usage)?;
    let mut out = io::stdout().lock();
    // The files are there whether or not anybody reads their names.
    let _ = written
        .iter()
        .try_for_each(|path| writeln!(out, "wrote {}", path.display()));
    let _ = writeln!(
        out,
        "next: list your devices in devices.toml, put a login into credentials.toml, then run \
         `wrmem check`"
    );
    Ok(Exit::Ok)
}
