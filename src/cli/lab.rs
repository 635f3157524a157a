//! `wrmem lab`: serves simulated CSRs until stopped.

use super::exit::{Exit, Stop};
use super::lab_args::LabArgs;
use super::signals::StopSignals;
use super::start::Globals;
use crate::lab::{FolderOptions, Lab, LabDevice, write_settings};
use std::io::{self, Write};

/// Serves until SIGINT or SIGTERM.
pub(super) fn run(globals: &Globals, args: LabArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let spec = args.spec();
    let lab = Lab::start(&spec).map_err(Stop::usage)?;
    if let Some(dir) = &args.write_settings {
        let options = FolderOptions { login: spec.login };
        write_settings(dir, lab.devices(), &options)
            .map_err(|error| Stop::usage(format!("{}: {error}", dir.display())))?;
    }
    // Whoever started the lab may not care to read the list.
    let _ = list(lab.devices(), &args);
    actix::System::new().block_on(async {
        let mut signals = StopSignals::listen().map_err(Stop::usage)?;
        signals.next().await;
        Ok::<_, Stop>(())
    })?;
    lab.stop();
    Ok(Exit::Ok)
}

fn list(devices: &[LabDevice], args: &LabArgs) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for device in devices {
        write!(out, "{} {}", device.name(), device.addr())?;
        if let Some(fault) = device.fault() {
            write!(out, " {fault}")?;
        }
        writeln!(out)?;
    }
    if let Some(dir) = &args.write_settings {
        writeln!(
            out,
            "in another terminal: wrmem backup --settings {}",
            dir.join("settings").display()
        )?;
    }
    writeln!(out, "{} devices are up; stop with Ctrl-C", devices.len())?;
    out.flush()
}
