//! `wrmem demo`: the exercise, on simulated CSRs: one by one, then all at once.

use super::backup;
use super::exit::{Exit, Stop};
use super::lab_args::DemoArgs;
use super::start::{self, Globals};
use crate::app::lock::StateLock;
use crate::app::{AppError, RunRequest};
use crate::flow::Work;
use crate::lab::{FolderOptions, Lab, LabSpec, Think, write_settings};
use crate::model::report::{Mode, RunReport};
use crate::report::{json, timeline};
use crate::settings::Selection;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// How long a simulated CSR takes to save and show its config, as one on a busy host does.
const DEVICE_TIME: Duration = Duration::from_millis(1500);

/// Marks a folder as made by the demonstration, so that it may be made afresh.
const MARK: &str = ".wrmem-demo";

/// Backs up csr1 to csr3 twice and shows both times.
pub(super) fn run(globals: &Globals, args: &DemoArgs) -> Result<Exit, Stop> {
    globals.log_plainly();
    fresh_folder(&args.dir)?;
    let spec = LabSpec {
        think: Think::device_time(DEVICE_TIME),
        ..LabSpec::default()
    };
    let lab = Lab::start(&spec).map_err(Stop::usage)?;
    write_settings(
        &args.dir,
        lab.devices(),
        &FolderOptions { login: spec.login },
    )
    .map_err(|error| in_folder(&args.dir, &error))?;
    let (one_by_one, first) = one_run(globals, &args.dir, Mode::Sequential)?;
    let (at_once, second) = one_run(globals, &args.dir, Mode::Concurrent)?;
    for device in lab.devices() {
        for mode in [Mode::Sequential, Mode::Concurrent] {
            let path = args
                .dir
                .join(folder(mode))
                .join(format!("{}.cfg", device.name()));
            let stored = fs::read(&path).map_err(|error| in_folder(&path, &error))?;
            if stored != device.expected() {
                return Err(Stop {
                    exit: Exit::Devices,
                    message: format!("{} is not what the device has; report this", path.display()),
                });
            }
        }
    }
    // A reader that went away has seen what it wanted.
    let _ = compare(&one_by_one, &at_once, &args.dir);
    Ok(if first == Exit::Ok { second } else { first })
}

const fn folder(mode: Mode) -> &'static str {
    match mode {
        Mode::Sequential => "one-by-one",
        Mode::Concurrent => "all-at-once",
    }
}

fn in_folder(path: &Path, error: &io::Error) -> Stop {
    Stop::usage(format!("{}: {error}", path.display()))
}

fn fresh_folder(dir: &Path) -> Result<(), Stop> {
    if dir.exists() {
        if !dir.join(MARK).exists() {
            return Err(Stop::usage(format!(
                "{} is there and was not made by `wrmem demo`; give another folder with --dir",
                dir.display()
            )));
        }
        fs::remove_dir_all(dir).map_err(|error| in_folder(dir, &error))?;
    }
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(dir.join(MARK), "made by wrmem demo\n"))
        .map_err(|error| in_folder(dir, &error))
}

fn one_run(globals: &Globals, dir: &Path, mode: Mode) -> Result<(RunReport, Exit), Stop> {
    let mut source = globals.source(Vec::new());
    source.dir = dir.join("settings");
    let loaded = start::load(&source)?;
    let selected = start::select(&loaded, &Selection::default(), &source)?;
    let mut settings = loaded.settings;
    settings.archive.dir = dir.join(folder(mode));
    let request = RunRequest {
        broken: selected.broken,
        mode,
        ..RunRequest::of(start::shared(selected.devices), Work::Backup)
    };
    let lock = StateLock::acquire(&settings.state.dir, "wrmem demo").map_err(AppError::from)?;
    let (report, exit) = start::one_run(&settings, lock, globals.log_and_sinks(), request)?;
    let name = folder(mode);
    json::to_file(&dir.join(format!("{name}.json")), &report).map_err(Stop::usage)?;
    timeline::to_file(&dir.join(format!("{name}.html")), &report).map_err(Stop::usage)?;
    let _ = backup::show(&report, globals);
    Ok((report, exit))
}

fn compare(one_by_one: &RunReport, at_once: &RunReport, dir: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let (slow, fast) = (one_by_one.wall.as_secs_f64(), at_once.wall.as_secs_f64());
    writeln!(out)?;
    writeln!(out, "One by one:  {slow:.3} s")?;
    writeln!(out, "All at once: {fast:.3} s")?;
    if fast > 0.0 {
        writeln!(
            out,
            "Speedup:     {:.2} with {} devices",
            slow / fast,
            at_once.devices.len()
        )?;
    }
    writeln!(
        out,
        "The configs are in {0}/one-by-one and {0}/all-at-once; the runs as pictures are {0}/*.html",
        dir.display()
    )?;
    out.flush()
}
