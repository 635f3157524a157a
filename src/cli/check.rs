//! `wrmem check` and `wrmem devices`.

use super::args::CheckArgs;
use super::backup;
use super::exit::{Exit, Stop};
use super::hand_over::{self, Handing, Whose, take_state};
use super::start::{self, Globals};
use crate::app::RunRequest;
use crate::daemon::control;
use crate::daemon::control::wire::{self, Document, RunAsk, Save, Way};
use crate::flow::Work;
use crate::settings::{self, Commands, Fault, Loaded, Selection, Severity, Source};
use std::io::{self, Write};

/// Reads all settings and prints every problem.
pub(super) fn check(globals: &Globals, args: &CheckArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let source = globals.source(Vec::new());
    let loaded = settings::load(&source).map_err(Stop::usage)?;
    let mut faults = loaded.warnings.clone();
    faults.extend(loaded.inventory.faults());
    faults.extend(
        loaded
            .inventory
            .credential_faults(Commands::Skip, &source.env),
    );
    let errors = faults
        .iter()
        .filter(|fault| fault.severity == Severity::Error)
        .count();
    // What nobody reads changes nothing about the exit code.
    let _ = print_faults(&faults, errors, loaded.inventory.len());
    if errors > 0 {
        return Ok(Exit::Usage);
    }
    if !args.connect {
        return Ok(Exit::Ok);
    }
    connect(globals, &loaded, &source)
}

/// Logs in to each device; nothing is saved or stored.
fn connect(globals: &Globals, loaded: &Loaded, source: &Source) -> Result<Exit, Stop> {
    let settings = &loaded.settings;
    let lock = match take_state(settings, "wrmem check")? {
        Whose::Ours(lock) => lock,
        Whose::Theirs(held) => {
            let handing = Handing {
                globals,
                dir: &settings.state.dir,
                held,
                report: None,
                timeline: None,
            };
            return handing.run(login_ask(globals, source));
        }
    };
    let selected = start::select(loaded, &Selection::default(), source)?;
    let request = RunRequest {
        broken: selected.broken,
        ..RunRequest::of(start::shared(selected.devices), Work::Login)
    };
    let (report, exit) = start::one_run(settings, lock, globals.log_and_sinks(), request)?;
    // A reader that went away has seen what it wanted; the exit code still counts.
    let _ = backup::show(&report, globals);
    Ok(exit)
}

/// The logins as another process is asked for them.
fn login_ask(globals: &Globals, source: &Source) -> RunAsk {
    RunAsk {
        settings: control::comparable(&source.dir),
        env: control::settings_in(&source.env),
        names: Vec::new(),
        groups: Vec::new(),
        only: None,
        work: wire::Work::Login,
        way: Way::Concurrent,
        finish_within_ms: None,
        save: Save::Never,
        look: hand_over::look(globals),
        documents: vec![Document::Table],
    }
}

fn print_faults(faults: &[Fault], errors: usize, devices: usize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for fault in faults {
        writeln!(out, "{fault}")?;
    }
    match errors {
        0 => writeln!(out, "settings are good: {devices} devices"),
        1 => writeln!(out, "1 fault in the settings of {devices} devices"),
        many => writeln!(out, "{many} faults in the settings of {devices} devices"),
    }
}

/// Lists the devices with every value resolved; runs no credential command.
pub(super) fn devices(globals: &Globals) -> Result<Exit, Stop> {
    globals.log_plainly();
    let loaded = start::load(&globals.source(Vec::new()))?;
    let mut rows = vec![HEADER.map(str::to_owned)];
    let mut exit = Exit::Ok;
    for row in loaded.inventory.rows() {
        let group = row.group.unwrap_or_default();
        let (port, credentials, jump, save, algorithms, schedule, limits) = match row.details {
            Ok(details) => (
                details.port.to_string(),
                details.credentials,
                details.jump.unwrap_or_else(|| "-".to_owned()),
                details.save.name().to_owned(),
                details.algorithms.name().to_owned(),
                details.schedule.to_string(),
                details.limits.join(" "),
            ),
            Err(fault) => {
                log::error!("{fault}");
                exit = Exit::Usage;
                let faulty = || "?".to_owned();
                (
                    faulty(),
                    faulty(),
                    faulty(),
                    faulty(),
                    faulty(),
                    faulty(),
                    faulty(),
                )
            }
        };
        rows.push([
            row.name,
            row.host,
            port,
            group,
            row.platform,
            credentials,
            jump,
            save,
            algorithms,
            schedule,
            limits,
        ]);
    }
    // A reader that went away has seen what it wanted.
    let _ = print_columns(&rows);
    Ok(exit)
}

const HEADER: [&str; 11] = [
    "name",
    "host",
    "port",
    "group",
    "platform",
    "credentials",
    "jump",
    "save",
    "algorithms",
    "schedule",
    "limits",
];

/// Columns as wide as they need to be, so that `awk` and people can read them.
fn print_columns(rows: &[[String; 11]]) -> io::Result<()> {
    let mut widths = [0; 11];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = io::stdout().lock();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    out.flush()
}
