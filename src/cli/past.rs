//! `wrmem status`, `wrmem history`, `wrmem runs`, `wrmem release`: what is remembered. They need no
//! lock and work beside a `wrmem run`.

use super::args::{HistoryArgs, ReleaseArgs, RunsArgs, StatusArgs};
use super::exit::{Exit, Stop};
use super::start::{self, Globals};
use crate::app::lock::StateLock;
use crate::app::memory;
use crate::model::device::DeviceName;
use crate::model::health::Released;
use crate::model::history::{DeviceState, PastRun, RunEnd, RunNumber};
use crate::report::past::{self, DeviceStatus, History, Layout, RunDetails, Runs, Status};
use crate::settings::{self, DeviceRow, Loaded, Selection};
use crate::state::StateError;
use crate::state::queries::Reader;
use crate::state::release;
use jiff::tz::TimeZone;
use std::collections::{HashMap, HashSet};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::SystemTime;

/// Tells how devices stand.
pub(super) fn status(globals: &Globals, args: &StatusArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let loaded = start::load(&globals.source(Vec::new()))?;
    let selection = Selection {
        names: args.names.clone(),
        groups: args.groups.clone(),
        ..Selection::default()
    };
    let rows = loaded.inventory.chosen(&selection).map_err(Stop::usage)?;
    let now = SystemTime::now();
    let devices = standing(&loaded, rows)?;
    let status = Status::of(devices, args.older_than, now);
    let mut out = io::stdout().lock();
    // A reader that went away has seen what it wanted; the exit code still counts.
    let _ = if args.json {
        status.write_json(&mut out)
    } else {
        status.write(&layout(now), &mut out)
    };
    Ok(if args.older_than.is_some() && !status.is_empty() {
        Exit::Devices
    } else {
        Exit::Ok
    })
}

/// These devices with what is remembered of them, which may be nothing.
fn standing(loaded: &Loaded, rows: Vec<DeviceRow>) -> Result<Vec<DeviceStatus>, Stop> {
    let states = match memory::read(&loaded.settings.state.dir) {
        Ok(reader) => reader.queries().devices().map_err(unreadable)?,
        Err(StateError::Missing { .. }) => Vec::new(),
        Err(error) => return Err(unreadable(error)),
    };
    let mut states: HashMap<String, DeviceState> = states
        .into_iter()
        .map(|state| (state.name.as_str().to_lowercase(), state))
        .collect();
    let known = rows.into_iter().filter_map(|row| {
        let state = states.remove(&row.name.to_lowercase());
        // Names of an inventory are sound.
        let state = state.or_else(|| DeviceName::new(&row.name).ok().map(DeviceState::unknown));
        state.map(|state| DeviceStatus {
            state,
            group: row.group,
        })
    });
    Ok(known.collect())
}

/// Tells how devices ended over time.
pub(super) fn history(globals: &Globals, args: &HistoryArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let loaded = start::load(&globals.source(Vec::new()))?;
    let reader = memory::read(&loaded.settings.state.dir);
    if matches!(reader, Err(StateError::Missing { .. })) {
        // A wrong name is told first.
        settings::known_names(&args.names, &in_inventory(&loaded)).map_err(Stop::usage)?;
    }
    let reader = reader.map_err(unreadable)?;
    let histories = names(&loaded, &reader, &args.names)?
        .iter()
        .map(|name| of_device(&reader, name, args.most))
        .collect::<Result<Vec<_>, StateError>>()
        .map_err(unreadable)?;
    let now = SystemTime::now();
    let mut out = io::stdout().lock();
    let layout = layout(now);
    // A reader that went away has seen what it wanted.
    let _ = if args.json {
        past::write_histories_json(&histories, now, &mut out)
    } else {
        let mut each = histories.iter().enumerate();
        each.try_for_each(|(at, history)| {
            if at > 0 {
                writeln!(out)?;
            }
            history.write(&layout, &mut out)
        })
    };
    Ok(Exit::Ok)
}

/// The devices meant, out of those of the inventory and those that are only remembered.
fn names(loaded: &Loaded, reader: &Reader, wanted: &[String]) -> Result<Vec<String>, Stop> {
    let mut known = in_inventory(loaded);
    let remembered = reader.queries().names().map_err(unreadable)?;
    let inventory: HashSet<_> = known.iter().map(|name| name.to_lowercase()).collect();
    let others = remembered.into_iter().map(|name| name.to_string());
    known.extend(others.filter(|name| !inventory.contains(&name.to_lowercase())));
    settings::known_names(wanted, &known).map_err(Stop::usage)
}

fn in_inventory(loaded: &Loaded) -> Vec<String> {
    let rows = loaded.inventory.rows().into_iter();
    rows.map(|row| row.name).collect()
}

fn of_device(reader: &Reader, name: &str, most: usize) -> Result<History, StateError> {
    let queries = reader.queries();
    Ok(History {
        name: name.to_owned(),
        state: queries.device(name)?,
        outcomes: queries.history(name, most)?,
        incidents: queries.incidents_of(name, most)?,
    })
}

/// Lists runs, or shows one.
pub(super) fn runs(globals: &Globals, args: &RunsArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let loaded = start::load(&globals.source(Vec::new()))?;
    let dir = &loaded.settings.state.dir;
    let reader = memory::read(dir).map_err(unreadable)?;
    let queries = reader.queries();
    let layout = layout(SystemTime::now());
    let mut out = io::stdout().lock();
    // A reader that went away has seen what it wanted.
    let _ = match args.run {
        None => {
            let runs = queries.runs(args.most).map_err(unreadable)?;
            let runs = Runs(runs.into_iter().map(|run| seen(run, dir)).collect());
            if args.json {
                runs.write_json(&mut out)
            } else {
                runs.write(&layout, &mut out)
            }
        }
        Some(number) => {
            let number = RunNumber(number);
            let run = queries.run(number).map_err(unreadable)?;
            let run = run.ok_or_else(|| {
                Stop::usage(format!(
                    "there is no run {number}; `wrmem runs` lists them, the oldest are removed \
                     (state.keep)"
                ))
            })?;
            let details = RunDetails {
                run: seen(run, dir),
                outcomes: queries.outcomes(number).map_err(unreadable)?,
            };
            if args.json {
                details.write_json(&mut out)
            } else {
                details.write(&layout, &mut out)
            }
        }
    };
    Ok(Exit::Ok)
}

/// A run that nobody is at work with any more was broken off, though nobody could say so yet.
fn seen(mut run: PastRun, dir: &Path) -> PastRun {
    if run.end == RunEnd::UnderWay && !StateLock::is_held(dir) {
        run.end = RunEnd::BrokenOff;
    }
    run
}

/// Lets devices be tried again at once.
pub(super) fn release(globals: &Globals, args: &ReleaseArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    let loaded = start::load(&globals.source(Vec::new()))?;
    let selection = Selection {
        names: args.names.clone(),
        ..Selection::default()
    };
    let rows = loaded.inventory.chosen(&selection).map_err(Stop::usage)?;
    let released: Vec<_> = rows.iter().filter_map(to_release).collect();
    let dir = &loaded.settings.state.dir;
    // What an older wrmem wrote is brought up to date first.
    drop(memory::read(dir).map_err(unreadable)?);
    let now = SystemTime::now();
    let held = release::release(dir, &released, now).map_err(unreadable)?;
    let layout = layout(now);
    let mut out = io::stdout().lock();
    for (one, held) in released.iter().zip(&held) {
        let told = past::released(&one.device, &held.health, &held.credentials, &layout);
        // What nobody reads has been done all the same.
        let _ = writeln!(out, "{told}");
    }
    Ok(Exit::Ok)
}

fn to_release(row: &DeviceRow) -> Option<Released> {
    let details = row.details.as_ref().ok();
    Some(Released {
        device: DeviceName::new(&row.name).ok()?,
        credentials: details.map(|details| details.credentials.clone()),
    })
}

/// The state cannot be read; what becomes of a damaged one.
pub(super) fn unreadable(error: StateError) -> Stop {
    if error.is_damage() {
        return Stop::usage(format!(
            "{error}; the next `wrmem backup`, or a restart of `wrmem run`, moves it aside and begins a \
             fresh one once it comes upon the damage (or move it away yourself while wrmem is stopped); \
             configs are not in it, so none is lost"
        ));
    }
    Stop::usage(error)
}

fn layout(now: SystemTime) -> Layout {
    let stdout = io::stdout();
    let width = stdout
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&stdout).map_or(80, |size| size.ws_col.max(40)));
    Layout {
        width,
        zone: TimeZone::system(),
        now,
    }
}
