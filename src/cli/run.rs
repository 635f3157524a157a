//! `wrmem run`.

use super::args::RunArgs;
use super::exit::{Exit, Stop};
use super::signals::{Asked, Signals, end_at_once, end_because};
use super::start::{Globals, warn};
use crate::actors::archivist::CommitPace;
use crate::app::lock::StateLock;
use crate::app::{AppError, Orchestrator};
use crate::daemon::{self, Request, Setup, WATCHDOG, reload};
use crate::limits;
use tokio::sync::mpsc;

/// Stays up: backs devices up on their schedules until it is asked to stop.
pub(super) fn run(globals: &Globals, args: &RunArgs) -> Result<Exit, Stop> {
    let sinks = globals.log_and_sinks_of_a_service();
    let mut flags = Vec::new();
    if args.no_save {
        flags.push(("run.save".to_owned(), "\"never\"".to_owned()));
    }
    let source = globals.source(flags);
    let reading = reload::read(&source).map_err(Stop::usage)?;
    for warning in &reading.warnings {
        warn(warning);
    }
    limits::raise_open_files();
    let pace = CommitPace::Every(reading.settings.archive.commit_every);
    let state = &reading.settings.state.dir;
    let lock = StateLock::acquire(state, "wrmem run").map_err(AppError::from)?;
    actix::System::new().block_on(async {
        let signals = Signals::listen().map_err(Stop::usage)?;
        let orchestrator = Orchestrator::start(&reading.settings, lock, sinks, pace)?;
        let (requests, asked) = mpsc::channel(1);
        actix_rt::spawn(hand_on(signals, requests));
        let setup = Setup {
            source,
            reading,
            report: args.report.clone(),
            watchdog: WATCHDOG,
            on_loss: Box::new(|loss| end_because(&loss)),
        };
        daemon::run(orchestrator, setup, asked).await?;
        Ok(Exit::Ok)
    })
}

/// Turns signals into requests; the second one that asks to stop ends the process at once.
async fn hand_on(mut signals: Signals, requests: mpsc::Sender<Request>) {
    let mut stopping = false;
    loop {
        match signals.next().await {
            Asked::Reload => {
                // One that waits already stands for this one too.
                let _ = requests.try_send(Request::Reload);
            }
            Asked::Stop(exit) if stopping => end_at_once(exit),
            Asked::Stop(_) => {
                stopping = true;
                // Nobody listens any more when it is stopping by itself.
                let _ = requests.send(Request::Stop).await;
            }
        }
    }
}
