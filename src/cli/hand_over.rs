//! A run that this process cannot make itself, because another wrmem is running with the same state
//! folder: it is handed over to that one, and shown as if this one had made it.

use super::backup::width;
use super::exit::{Exit, Stop};
use super::signals::{StopSignals, end_at_once};
use super::start::{Globals, tell_stopping};
use crate::app::AppError;
use crate::app::lock::{LockError, StateLock};
use crate::daemon::control::client::{self, Conversation};
use crate::daemon::control::wire::{Ask, Document, Look, RunAsk, Say, Verdict};
use crate::report::color::Color;
use crate::report::file;
use crate::settings::Settings;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who works with a state folder.
pub(super) enum Whose {
    /// This process.
    Ours(StateLock),
    /// Another one; the error names it.
    Theirs(LockError),
}

/// Takes the state folder, if nobody else has it.
pub(super) fn take_state(settings: &Settings, command: &str) -> Result<Whose, Stop> {
    match StateLock::acquire(&settings.state.dir, command) {
        Ok(lock) => Ok(Whose::Ours(lock)),
        Err(held @ LockError::Held { .. }) => Ok(Whose::Theirs(held)),
        Err(error) => Err(AppError::from(error).into()),
    }
}

/// A run to hand over, and the files that come of it.
pub(super) struct Handing<'a> {
    pub(super) globals: &'a Globals,
    /// The state folder.
    pub(super) dir: &'a Path,
    /// Who has it.
    pub(super) held: LockError,
    pub(super) report: Option<&'a PathBuf>,
    pub(super) timeline: Option<&'a PathBuf>,
}

/// How this process shows a run.
pub(super) fn look(globals: &Globals) -> Look {
    Look {
        width: width(),
        color: globals.stdout_color() == Color::On,
    }
}

/// Asks the other process, if it is one that can be asked.
pub(super) async fn ask(dir: &Path, held: LockError, ask: Ask) -> Result<Conversation, Stop> {
    let unusable = |error: io::Error| Stop::usage(format!("{held}; asking it failed: {error}"));
    match client::connect(dir).await {
        Ok(Some(mut conversation)) => {
            conversation.ask(ask).await.map_err(unusable)?;
            Ok(conversation)
        }
        Ok(None) => Err(AppError::Lock(held).into()),
        Err(error) => Err(unusable(error)),
    }
}

/// What has been heard of a run so far.
#[derive(Default)]
struct Heard {
    table: String,
    json: String,
    timeline: String,
    grace: Duration,
    process: Option<u32>,
    stopped_by: Option<Exit>,
}

impl Handing<'_> {
    /// Hands the run over and shows it to its end.
    pub(super) fn run(self, run: RunAsk) -> Result<Exit, Stop> {
        actix::System::new().block_on(async {
            let mut signals = StopSignals::listen().map_err(Stop::usage)?;
            let mut conversation = ask(self.dir, self.held, Ask::Run(run)).await?;
            let mut heard = Heard::default();
            let verdict = loop {
                tokio::select! {
                    said = conversation.hear() => {
                        let said = said.map_err(|error| heard.lost(&error.to_string()))?;
                        if let Some(verdict) = heard.take(said, self.globals)? {
                            break verdict;
                        }
                    }
                    exit = signals.next() => {
                        if heard.stopped_by.replace(exit).is_some() {
                            end_at_once(exit);
                        }
                        tell_stopping(heard.grace);
                        // One that does not listen any more has ended or will be heard to be lost.
                        let _ = conversation.ask(Ask::Cancel).await;
                    }
                }
            };
            let written = heard.write_files(self.report, self.timeline);
            let mut out = io::stdout().lock();
            // A reader that went away has seen what it wanted; the exit code still counts.
            let _ = out
                .write_all(heard.table.as_bytes())
                .and_then(|()| out.flush());
            let exit = heard.stopped_by.unwrap_or(match verdict {
                Verdict::Good => Exit::Ok,
                Verdict::Devices => Exit::Devices,
                Verdict::Archive => Exit::Archive,
            });
            match written {
                Err(stop) if exit == Exit::Ok => Err(stop),
                Err(stop) => {
                    log::error!("{}", stop.message);
                    Ok(exit)
                }
                Ok(()) => Ok(exit),
            }
        })
    }
}

impl Heard {
    /// Takes one line in; the verdict if it was the last one.
    fn take(&mut self, said: Option<Say>, globals: &Globals) -> Result<Option<Verdict>, Stop> {
        match said {
            Some(Say::Accepted {
                process,
                grace_seconds,
            }) => {
                self.process = Some(process);
                self.grace = Duration::from_secs(grace_seconds);
                globals.note(&format!(
                    "handed over to the wrmem that is running (process {process})"
                ));
            }
            Some(Say::Line { text }) => {
                // Whoever does not read has lost nothing that the files do not tell.
                let _ = writeln!(io::stdout(), "{text}");
            }
            Some(Say::Part { of, text }) => match of {
                Document::Table => self.table.push_str(&text),
                Document::Json => self.json.push_str(&text),
                Document::Timeline => self.timeline.push_str(&text),
            },
            Some(Say::RunOver { verdict }) => return Ok(Some(verdict)),
            Some(Say::Refused { message }) => return Err(Stop::usage(message)),
            Some(Say::Reloaded { .. } | Say::Forgotten { .. }) => {}
            None => return Err(self.lost("it went away")),
        }
        Ok(None)
    }

    fn lost(&self, why: &str) -> Stop {
        let process = self
            .process
            .map_or_else(String::new, |process| format!(" (process {process})"));
        Stop {
            exit: Exit::Broken,
            message: format!(
                "the wrmem that is running{process} did not tell how the run ended: {why}; look into \
                 its log"
            ),
        }
    }

    fn write_files(
        &self,
        report: Option<&PathBuf>,
        timeline: Option<&PathBuf>,
    ) -> Result<(), Stop> {
        for (path, text) in [(report, &self.json), (timeline, &self.timeline)] {
            if let Some(path) = path {
                file::write_text(path, text).map_err(Stop::usage)?;
            }
        }
        Ok(())
    }
}
