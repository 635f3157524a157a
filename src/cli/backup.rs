//! `wrmem backup`.

use super::args::{BackupArgs, OneOffArgs};
use super::exit::{Exit, Stop};
use super::hand_over::{self, Handing, Whose, take_state};
use super::past::unreadable;
use super::start::{self, Globals};
use crate::app::lock::{LockError, StateLock};
use crate::app::{RunRequest, memory};
use crate::daemon::control;
use crate::daemon::control::wire::{self, Document, RunAsk, Save, Way};
use crate::flow::Work;
use crate::flow::breaker::Asked;
use crate::model::credentials::Secret;
use crate::model::device::Device;
use crate::model::history::Trigger;
use crate::model::report::{Mode, RunReport};
use crate::report::table::{self, Look};
use crate::report::{json, timeline};
use crate::settings::{self, InFlight, OneOff, SelectError, Selected, Selection, Settings, Source};
use std::collections::HashSet;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

/// Backs up once and reports.
pub(super) fn run(globals: &Globals, args: &BackupArgs) -> Result<Exit, Stop> {
    let sinks = globals.log_and_sinks();
    let source = globals.source(flags(args));
    for path in [&args.report, &args.timeline].into_iter().flatten() {
        has_folder(path)?;
    }
    let Picked {
        settings,
        selected,
        lock,
    } = match pick(globals, args, &source)? {
        Whom::Here(picked) => *picked,
        Whom::Handed(exit) => return Ok(exit),
        Whom::Nobody => {
            // A reader that went away has seen what it wanted.
            let _ = writeln!(io::stdout(), "{}", nobody_failed(args));
            return Ok(Exit::Ok);
        }
    };
    let request = RunRequest {
        broken: selected.broken,
        mode: mode(args),
        finish_within: window(args, &settings),
        asked: Asked {
            trigger: Trigger::Command,
            named: selected.named,
            credentials_changed: settings::credentials_changed(&globals.settings),
        },
        ..RunRequest::of(start::shared(selected.devices), Work::Backup)
    };
    let (report, exit) = start::one_run(&settings, lock, sinks, request)?;
    let written = write_files(args, &report);
    // A reader that went away has seen what it wanted; the exit code still counts.
    let _ = show(&report, globals);
    match written {
        Err(stop) if exit == Exit::Ok => Err(stop),
        Err(stop) => {
            log::error!("{}", stop.message);
            Ok(exit)
        }
        Ok(()) => Ok(exit),
    }
}

const fn nobody_failed(args: &BackupArgs) -> &'static str {
    if args.names.is_empty() && args.groups.is_empty() {
        "no device failed in its last run"
    } else {
        "none of these devices failed in its last run"
    }
}

/// Over how long the run is spread. Whoever names devices waits for them.
fn window(args: &BackupArgs, settings: &Settings) -> Option<Duration> {
    let named = !args.names.is_empty() || args.one_off.host.is_some();
    settings
        .run
        .schedule
        .finish_within
        .filter(|_| !named || args.finish_within.is_some())
}

/// A report that cannot be written is better known before the run than after it.
fn has_folder(path: &Path) -> Result<(), Stop> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => Err(Stop::usage(format!(
            "{}: there is no folder {}; make it first",
            path.display(),
            folder.display()
        ))),
        _ => Ok(()),
    }
}

/// The flags that are settings.
fn flags(args: &BackupArgs) -> Vec<(String, String)> {
    let mut flags = Vec::new();
    if let Some(in_flight) = &args.in_flight {
        let value = if in_flight.parse::<u64>().is_ok() {
            in_flight.clone()
        } else {
            quoted(in_flight)
        };
        flags.push(("run.in_flight".to_owned(), value));
    }
    if let Some(window) = &args.finish_within {
        flags.push(("run.finish_within".to_owned(), quoted(window)));
    }
    if args.no_save {
        flags.push(("run.save".to_owned(), quoted("never")));
    }
    if let Some(dir) = &args.archive {
        flags.push(("archive.dir".to_owned(), quoted(&dir.to_string_lossy())));
    }
    if let Some(dir) = &args.record {
        flags.push(("record.sessions".to_owned(), quoted("all")));
        flags.push(("record.dir".to_owned(), quoted(&dir.to_string_lossy())));
        flags.push(("record.newest".to_owned(), "0".to_owned()));
    }
    flags
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// What this process works on.
struct Picked {
    settings: Settings,
    selected: Selected,
    lock: StateLock,
}

/// Who makes the run.
enum Whom {
    /// This process.
    Here(Box<Picked>),
    /// Another one did, and it ended so.
    Handed(Exit),
    /// What failed was asked for, and nothing did.
    Nobody,
}

const fn mode(args: &BackupArgs) -> Mode {
    if args.sequential {
        Mode::Sequential
    } else {
        Mode::Concurrent
    }
}

/// Chooses the devices, unless another process has to make the run.
fn pick(globals: &Globals, args: &BackupArgs, source: &Source) -> Result<Whom, Stop> {
    if let Some(host) = &args.one_off.host {
        let (settings, device) = one_off(host, &args.one_off, source)?;
        let lock = match take_state(&settings, "wrmem backup")? {
            Whose::Ours(lock) => lock,
            Whose::Theirs(held) => return Err(not_handed_over(&held, "--host", ONE_OFF)),
        };
        let name = device.name.clone();
        let selected = Selected {
            devices: vec![device],
            broken: Vec::new(),
            named: HashSet::from([name]),
            warnings: Vec::new(),
        };
        return Ok(Whom::Here(Box::new(Picked {
            settings,
            selected,
            lock,
        })));
    }
    let loaded = start::load(source)?;
    let selection = Selection {
        names: args.names.clone(),
        groups: args.groups.clone(),
        only: only_failed(args, &loaded.settings)?,
    };
    if args.failed && loaded.inventory.chosen(&selection) == Err(SelectError::Nothing) {
        return Ok(Whom::Nobody);
    }
    let lock = match take_state(&loaded.settings, "wrmem backup")? {
        Whose::Ours(lock) => lock,
        Whose::Theirs(held) if args.archive.is_some() => {
            return Err(not_handed_over(&held, "--archive", ARCHIVE));
        }
        Whose::Theirs(held) if args.record.is_some() => {
            return Err(not_handed_over(&held, "--record", RECORD));
        }
        Whose::Theirs(held) => {
            let ask = run_ask(globals, args, source, (&loaded.settings, selection));
            let handing = Handing {
                globals,
                dir: &loaded.settings.state.dir,
                held,
                report: args.report.as_ref(),
                timeline: args.timeline.as_ref(),
            };
            return handing.run(ask).map(Whom::Handed);
        }
    };
    let selected = start::select(&loaded, &selection, source)?;
    Ok(Whom::Here(Box::new(Picked {
        settings: loaded.settings,
        selected,
        lock,
    })))
}

/// With `--failed`: the devices whose last run did not end ok.
fn only_failed(args: &BackupArgs, settings: &Settings) -> Result<Option<HashSet<String>>, Stop> {
    if !args.failed {
        return Ok(None);
    }
    let reader = memory::read(&settings.state.dir).map_err(unreadable)?;
    let failed = reader.queries().not_ok().map_err(unreadable)?;
    let names = failed.iter().map(|name| name.as_str().to_lowercase());
    Ok(Some(names.collect()))
}

/// Why a device without settings is nothing for another process.
const ONE_OFF: &str = "it knows the devices of its own settings. Start this from another folder, or set \
     another state folder (WRMEM__STATE__DIR)";

/// Why a recording is nothing for another process.
const RECORD: &str = "it records what its own settings say (record.sessions). Leave the flag out, or \
     set another state folder (WRMEM__STATE__DIR) for this run";

/// Why another archive is nothing for another process.
const ARCHIVE: &str = "it stores where its own settings say. Leave the flag out, or set another state \
     folder (WRMEM__STATE__DIR) for this run";

fn not_handed_over(held: &LockError, flag: &str, why: &str) -> Stop {
    Stop::usage(format!(
        "{held}\n{flag} cannot be handed over to that one: {why}"
    ))
}

/// The run as another process is asked for it.
fn run_ask(
    globals: &Globals,
    args: &BackupArgs,
    source: &Source,
    (settings, selection): (&Settings, Selection),
) -> RunAsk {
    let mut documents = vec![Document::Table];
    documents.extend(args.report.as_ref().map(|_| Document::Json));
    documents.extend(args.timeline.as_ref().map(|_| Document::Timeline));
    RunAsk {
        settings: control::comparable(&source.dir),
        env: control::settings_in(&source.env),
        names: selection.names,
        groups: selection.groups,
        only: selection.only.map(|names| names.into_iter().collect()),
        work: wire::Work::Backup,
        way: match (args.sequential, &args.in_flight, settings.run.in_flight) {
            (true, ..) => Way::Sequential,
            (false, Some(_), InFlight::Limit(limit)) => Way::InFlight(limit.get()),
            (false, Some(_), InFlight::Auto) | (false, None, _) => Way::Concurrent,
        },
        finish_within_ms: window(args, settings)
            .and_then(|window| u64::try_from(window.as_millis()).ok()),
        save: if args.no_save {
            Save::Never
        } else {
            Save::AsSet
        },
        look: hand_over::look(globals),
        documents,
    }
}

fn one_off(host: &str, args: &OneOffArgs, source: &Source) -> Result<(Settings, Device), Stop> {
    let Some(user) = args.user.clone() else {
        return Err(Stop::usage(
            "--host needs --user U, and --ask-pass for its password",
        ));
    };
    if !args.ask_pass {
        return Err(Stop::usage(
            "--host needs --ask-pass; for other ways to log in write a settings folder with \
             `wrmem init`",
        ));
    }
    let one_off = OneOff {
        host: host.to_owned(),
        port: args.port,
        platform: args.platform.clone(),
        user,
        password: ask_password(host)?,
    };
    settings::one_off(one_off, source).map_err(Stop::usage)
}

fn ask_password(host: &str) -> Result<Secret, Stop> {
    let unreadable = |error: io::Error| Stop::usage(format!("no password could be read: {error}"));
    if io::stdin().is_terminal() {
        return rpassword::prompt_password(format!("Password for {host}: "))
            .map(Secret::new)
            .map_err(unreadable);
    }
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(unreadable)?;
    if line.ends_with('\n') {
        line.pop();
    }
    if line.is_empty() {
        return Err(Stop::usage("no password on standard input"));
    }
    Ok(Secret::new(line))
}

fn write_files(args: &BackupArgs, report: &RunReport) -> Result<(), Stop> {
    if let Some(path) = &args.report {
        json::to_file(path, report).map_err(Stop::usage)?;
    }
    if let Some(path) = &args.timeline {
        timeline::to_file(path, report).map_err(Stop::usage)?;
    }
    Ok(())
}

/// Prints the table and, as the very last line, the execution time.
pub(super) fn show(report: &RunReport, globals: &Globals) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let look = Look {
        width: width(),
        color: globals.stdout_color(),
    };
    table::write(report, &mut out, look)?;
    table::execution_time(report.wall, &mut out)?;
    out.flush()
}

/// The width of the terminal; a pipe gets lines as wide as they need to be.
pub(super) fn width() -> u16 {
    if !io::stdout().is_terminal() {
        return 160;
    }
    rustix::termios::tcgetwinsize(io::stdout()).map_or(80, |size| size.ws_col.max(40))
}
