//! `wrmem lab`: serves simulated CSRs until stopped, from one process or several.

use super::exit::{Exit, Stop};
use super::lab_args::{AlgorithmSet, LabArgs};
use super::signals::StopSignals;
use super::start::Globals;
use crate::lab::{FolderOptions, Lab, LabDevice, plan, write_settings};
use crate::limits;
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Serves until SIGINT or SIGTERM.
pub(super) fn run(globals: &Globals, args: &LabArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    if args.part {
        // A part of a fleet does not outlive the whole; where this is refused, SIGTERM ends it.
        let _ = set_parent_process_death_signal(Some(Signal::TERM));
    }
    let processes = args
        .processes
        .unwrap_or_else(|| processes_for(args.devices));
    if processes > 1 {
        let fleet = Fleet::start(args, processes)?;
        announce(&fleet.devices, args)?;
        until_stopped()?;
        drop(fleet);
    } else {
        let lab = Lab::start(&args.spec()).map_err(Stop::usage)?;
        announce(lab.devices(), args)?;
        until_stopped()?;
        lab.stop();
    }
    Ok(Exit::Ok)
}

/// How many processes so many devices need: each holds a listener and a session.
fn processes_for(devices: usize) -> usize {
    let files = usize::try_from(limits::raise_open_files()).unwrap_or(usize::MAX);
    let each = (files.saturating_sub(FILES_OF_A_PROCESS) / 2).max(1);
    devices.div_ceil(each).max(1)
}

fn until_stopped() -> Result<(), Stop> {
    actix::System::new().block_on(async {
        StopSignals::listen().map_err(Stop::usage)?.next().await;
        Ok(())
    })
}

fn announce(devices: &[LabDevice], args: &LabArgs) -> Result<(), Stop> {
    if let Some(dir) = &args.write_settings {
        let options = FolderOptions {
            login: args.spec().login,
        };
        write_settings(dir, devices, &options)
            .map_err(|error| Stop::usage(format!("{}: {error}", dir.display())))?;
    }
    // Whoever started the lab may not care to read the list.
    let _ = list(devices, args);
    Ok(())
}

fn list(devices: &[LabDevice], args: &LabArgs) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for device in devices {
        write!(out, "{} {}", device.name(), device.addr())?;
        if let Some(fault) = device.fault() {
            write!(out, " {fault}")?;
        }
        writeln!(out)?;
    }
    if let Some(dir) = &args.write_settings {
        let settings = dir.join("settings");
        writeln!(
            out,
            "in another terminal: wrmem backup --settings {}",
            settings.display()
        )?;
    }
    writeln!(out, "{} {UP}; stop with Ctrl-C", devices.len())?;
    out.flush()
}

/// What a process opens besides its devices, generously.
const FILES_OF_A_PROCESS: usize = 256;

/// What the last line says once every device listens.
const UP: &str = "devices are up";

/// A lab spread over several processes.
struct Fleet {
    parts: Vec<Child>,
    devices: Vec<LabDevice>,
}

impl Fleet {
    fn start(args: &LabArgs, processes: usize) -> Result<Self, Stop> {
        let spec = args.spec();
        let mut fleet = Self {
            parts: Vec::new(),
            devices: Vec::new(),
        };
        let mut planned = plan(&spec).map_err(Stop::usage)?.into_iter();
        let share = args.devices.div_ceil(processes).max(1);
        for first in (0..args.devices).step_by(share) {
            let count = share.min(args.devices - first);
            let mut part = command(args, args.first + first, count)
                .and_then(|mut command| command.spawn())
                .map_err(|error| Stop::usage(format!("starting a part of the lab: {error}")))?;
            let said = part.stdout.take();
            fleet.parts.push(part);
            let addresses = addresses(said).map_err(Stop::usage)?;
            if addresses.len() != count {
                return Err(Stop::usage(
                    "a part of the lab did not start; see its message",
                ));
            }
            let served = planned.by_ref().zip(addresses).take(count);
            fleet
                .devices
                .extend(served.map(|(device, addr)| device.at(addr)));
        }
        Ok(fleet)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for part in &mut self.parts {
            if let Some(pid) = i32::try_from(part.id()).ok().and_then(Pid::from_raw) {
                // It may have ended by itself.
                let _ = kill_process(pid, Signal::TERM);
            }
            let _ = part.wait();
        }
    }
}

/// This program again, serving `count` devices from number `first` on.
fn command(args: &LabArgs, first: usize, count: usize) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["lab", "--part", "--processes", "1"]);
    let mut option = |name: &str, value: String| {
        command.arg(name).arg(value);
    };
    option("--devices", count.to_string());
    option("--first", first.to_string());
    option("--rtt-ms", args.rtt_ms.to_string());
    option("--device-ms", args.device_ms.to_string());
    option("--jitter", args.jitter.to_string());
    option("--config-bytes", args.config_bytes.to_string());
    option("--seed", args.seed.to_string());
    option("--level", args.level.to_string());
    option("--port", args.port.to_string());
    option("--threads", args.threads.to_string());
    let algorithms = match args.algorithms {
        AlgorithmSet::Modern => "modern",
        AlgorithmSet::IosXe16 => "ios-xe16",
    };
    option("--algorithms", algorithms.to_owned());
    if let Some(journal) = &args.journal {
        option("--journal", journal.display().to_string());
    }
    for fault in &args.fault_rules {
        option("--fault", fault.clone());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}

/// Reads the list that a part prints, through its last line.
fn addresses(said: Option<ChildStdout>) -> io::Result<Vec<std::net::SocketAddr>> {
    let mut addresses = Vec::new();
    for line in said
        .into_iter()
        .flat_map(|said| BufReader::new(said).lines())
    {
        let line = line?;
        if line.contains(UP) {
            break;
        }
        let address = line
            .split_whitespace()
            .nth(1)
            .and_then(|word| word.parse::<std::net::SocketAddr>().ok());
        addresses.extend(address);
    }
    Ok(addresses)
}
