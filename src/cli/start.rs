//! What commands have in common: settings, selection, the system, signals.

use super::args::Cli;
use super::exit::{Exit, Stop};
use super::logging::{self, Format, Verbosity};
use super::signals::{StopSignals, end_at_once};
use crate::actors::archivist::CommitPace;
use crate::app::lock::StateLock;
use crate::app::{AppError, Orchestrator, RunRequest};
use crate::limits;
use crate::model::device::Device;
use crate::model::event::EventSink;
use crate::model::report::RunReport;
use crate::report::color::{Color, ColorChoice};
use crate::report::console::{Console, Detail};
use crate::report::progress::Screen;
use crate::report::records::Records;
use crate::settings::{self, Fault, Loaded, Selected, Selection, Settings, Source};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The global options.
pub(super) struct Globals {
    /// The settings folder.
    pub(super) settings: PathBuf,
    color: ColorChoice,
    verbosity: Verbosity,
    log_format: Format,
}

impl Globals {
    pub(super) fn new(cli: &Cli) -> Self {
        Self {
            settings: cli.settings.clone(),
            color: cli.color.into(),
            verbosity: if cli.quiet {
                Verbosity::Quiet
            } else {
                Verbosity::Verbose(cli.verbose)
            },
            log_format: cli.log_format.into(),
        }
    }

    /// The layers below the flags, and the flags.
    pub(super) fn source(&self, flags: Vec<(String, String)>) -> Source {
        Source {
            dir: self.settings.clone(),
            env: environment(),
            flags,
        }
    }

    /// Whether stdout is coloured.
    pub(super) fn stdout_color(&self) -> Color {
        let no_color = std::env::var_os("NO_COLOR");
        self.color.resolve(&io::stdout(), no_color.as_deref())
    }

    /// Tells something that is no part of the output, unless only errors are wanted.
    pub(super) fn note(&self, text: &str) {
        if self.verbosity != Verbosity::Quiet {
            // With stderr closed nothing can be told.
            let _ = writeln!(io::stderr(), "wrmem: {text}");
        }
    }

    /// Starts the log where nothing else is drawn on the terminal.
    pub(super) fn log_plainly(&self) {
        logging::start(self.verbosity, self.log_format, Box::new(io::stderr()));
    }

    /// Starts the log and the sinks of a run: lines on stdout, live progress on stderr.
    pub(super) fn log_and_sinks(&self) -> Vec<Box<dyn EventSink>> {
        let screen = match self.verbosity {
            Verbosity::Quiet => Screen::off(),
            Verbosity::Verbose(_) => Screen::stderr(),
        };
        let log = Box::new(screen.writer(io::stderr()));
        logging::start(self.verbosity, self.log_format, log);
        let console = Console::new(screen.writer(io::stdout()), self.stdout_color());
        vec![Box::new(console), Box::new(screen.progress())]
    }

    /// Starts the log and the sinks of `wrmem run`: it logs what it does without being asked to, has
    /// no live progress, and on stdout a line for each device that is done; those are records of the
    /// log where programs read it.
    pub(super) fn log_and_sinks_of_a_service(&self) -> Vec<Box<dyn EventSink>> {
        let (verbosity, detail) = match self.verbosity {
            Verbosity::Quiet => (Verbosity::Quiet, Detail::Devices),
            Verbosity::Verbose(0) => (Verbosity::Verbose(1), Detail::Devices),
            Verbosity::Verbose(more) => (Verbosity::Verbose(more + 1), Detail::Stages),
        };
        logging::start(verbosity, self.log_format, Box::new(io::stderr()));
        if self.log_format == Format::Json {
            return vec![Box::new(Records)];
        }
        let console = Console::new(io::stdout(), self.stdout_color()).with_detail(detail);
        vec![Box::new(console)]
    }
}

/// All variables that are text; others cannot be settings.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reads the settings folder and tells its warnings.
pub(super) fn load(source: &Source) -> Result<Loaded, Stop> {
    let loaded = settings::load(source).map_err(Stop::usage)?;
    for warning in &loaded.warnings {
        warn(warning);
    }
    Ok(loaded)
}

/// The log says by itself that it is a warning.
pub(super) fn warn(fault: &Fault) {
    let text = fault.to_string();
    log::warn!("{}", text.strip_prefix("warning: ").unwrap_or(&text));
}

/// Chooses devices and resolves their credentials.
pub(super) fn select(
    loaded: &Loaded,
    selection: &Selection,
    source: &Source,
) -> Result<Selected, Stop> {
    let selected = loaded
        .inventory
        .select(selection, &source.env)
        .map_err(Stop::usage)?;
    for warning in &selected.warnings {
        warn(warning);
    }
    Ok(selected)
}

/// The devices as the actors share them.
pub(super) fn shared(devices: Vec<Device>) -> Vec<Arc<Device>> {
    devices.into_iter().map(Arc::new).collect()
}

/// Runs once within an actix system: locks the state, makes the run, minds the signals.
pub(super) fn one_run(
    settings: &Settings,
    lock: StateLock,
    sinks: Vec<Box<dyn EventSink>>,
    request: RunRequest,
) -> Result<(RunReport, Exit), Stop> {
    limits::raise_open_files();
    let grace = settings.run.grace;
    actix::System::new().block_on(async {
        let mut signals = StopSignals::listen().map_err(Stop::usage)?;
        let orchestrator = Orchestrator::start(settings, lock, sinks, CommitPace::EachRun)?;
        let mut stopped_by = None;
        let (report, result) = {
            let mut run = std::pin::pin!(orchestrator.run(request));
            loop {
                tokio::select! {
                    end = &mut run => break end,
                    exit = signals.next() => {
                        if stopped_by.replace(exit).is_some() {
                            end_at_once(exit);
                        }
                        tell_stopping(grace);
                        orchestrator.drain(grace);
                    }
                }
            }
        };
        orchestrator.close().await;
        let exit = stopped_by.or_else(|| report.as_ref().map(Exit::of));
        match (report, exit) {
            (Some(report), Some(exit)) => {
                if let Err(error) = result {
                    log::error!("{error}");
                }
                Ok((report, exit))
            }
            _ => Err(result
                .err()
                .unwrap_or(AppError::ActorLost("supervisor"))
                .into()),
        }
    })
}

pub(super) fn tell_stopping(grace: Duration) {
    log::warn!(
        "stopping: devices in flight may go on for {} s; once more ends at once",
        grace.as_secs()
    );
}
