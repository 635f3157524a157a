//! Requests of other wrmem commands: runs in the lane of those who wait, and reloads.

use super::Daemon;
use super::control::server::{Client, Sayings, Socket};
use super::control::wire::{self, Ask, RunAsk, Say};
use super::control::{self, comparable};
use super::reload::{Reading, Shrinking};
use super::reloading::{Answer, Reloading, Wish};
use super::telling::{Lines, tell_end};
use crate::actors::messages::{Finish, Lane, RunOver, Tell, Who};
use crate::app::{Orchestrator, RunRequest};
use crate::flow::Work;
use crate::flow::breaker::Asked;
use crate::model::device::{BrokenDevice, Device, SavePolicy};
use crate::model::history::Trigger;
use crate::model::report::Mode;
use crate::report::color::Color;
use crate::report::console::Console;
use crate::settings::{Selection, Source, credentials_changed};
use actix::Recipient;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// A run that was asked for and can be made.
pub(super) struct Handed {
    pub(super) orchestrator: Rc<Orchestrator>,
    pub(super) over: mpsc::UnboundedSender<RunOver>,
    pub(super) grace: Duration,
    pub(super) chosen: Chosen,
    pub(super) ask: RunAsk,
}

/// The devices of a run that was asked for.
pub(super) struct Chosen {
    devices: Vec<Arc<Device>>,
    broken: Vec<BrokenDevice>,
    asked: Asked,
}

/// The devices that are asked for.
///
/// # Errors
/// Why the run cannot be made by this process.
pub(super) fn choose(ask: &RunAsk, source: &Source, reading: &Reading) -> Result<Chosen, String> {
    same_settings(ask, source)?;
    let selection = Selection {
        names: ask.names.clone(),
        groups: ask.groups.clone(),
        only: ask.only.clone().map(|names| names.into_iter().collect()),
    };
    let choice = reading.inventory.choose(&selection);
    let choice = choice.map_err(|error| error.to_string())?;
    let known: HashMap<_, _> = reading
        .devices
        .iter()
        .map(|scheduled| (scheduled.who.name(), &scheduled.who))
        .collect();
    let (mut devices, mut broken) = (Vec::new(), Vec::new());
    for name in choice.names {
        match known.get(&name) {
            Some(Who::Sound(device)) => devices.push(match ask.save {
                wire::Save::AsSet => Arc::clone(device),
                wire::Save::Never => Arc::new(Device {
                    save: SavePolicy::Never,
                    ..(**device).clone()
                }),
            }),
            Some(Who::Broken(device)) => broken.push(device.clone()),
            None => {}
        }
    }
    Ok(Chosen {
        devices,
        broken,
        asked: Asked {
            trigger: Trigger::Command,
            named: choice.named,
            credentials_changed: credentials_changed(&source.dir),
        },
    })
}

/// Whoever asks must mean the settings that this process works with.
fn same_settings(ask: &RunAsk, source: &Source) -> Result<(), String> {
    let own = comparable(&source.dir);
    if ask.settings != own {
        return Err(format!(
            "the wrmem that is running has its settings in {}, not in {}; both use the same state \
             folder. Ask with --settings {}, or give these settings a state folder of their own \
             (state.dir)",
            own.display(),
            ask.settings.display(),
            own.display()
        ));
    }
    let env = control::settings_in(&source.env);
    let different: Vec<_> = env
        .keys()
        .chain(ask.env.keys().filter(|name| !env.contains_key(*name)))
        .filter(|name| env.get(*name) != ask.env.get(*name))
        .cloned()
        .collect();
    if different.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the wrmem that is running was not started with the same {} in its environment; ask without, \
         or restart it with it",
        different.join(", ")
    ))
}

impl Handed {
    /// Makes the run, tells its client how it goes, and its end to both.
    pub(super) async fn serve(self, say: Sayings, mut more: mpsc::Receiver<Ask>) {
        say.surely(Say::Accepted {
            process: std::process::id(),
            grace_seconds: self.grace.as_secs(),
        })
        .await;
        log::info!(
            "a run of {} devices was handed over by another wrmem",
            self.chosen.devices.len() + self.chosen.broken.len()
        );
        let color = if self.ask.look.color {
            Color::On
        } else {
            Color::Off
        };
        let console = Console::new(Lines::to(say.clone()), color);
        let listener = self.orchestrator.listener(vec![Box::new(console)]);
        let (break_off, broken_off) = oneshot::channel();
        let told = listener.clone().recipient();
        let request = request(self.chosen, &self.ask, (told, broken_off));
        let mut break_off = Some(break_off);
        let (report, result) = {
            let mut run = std::pin::pin!(self.orchestrator.run(request));
            loop {
                tokio::select! {
                    end = &mut run => break end,
                    // One that has gone leaves the run to its end.
                    Some(Ask::Cancel) = more.recv() => {
                        if let Some(break_off) = break_off.take() {
                            // The run may have ended meanwhile.
                            let _ = break_off.send(self.grace);
                        }
                    }
                }
            }
        };
        // One that is gone has nothing left to let out.
        let _ = listener.send(Finish).await;
        if let Err(error) = result {
            log::error!("{error}");
            if report.is_none() {
                let message = error.to_string();
                return say.surely(Say::Refused { message }).await;
            }
        }
        if let Some(report) = report {
            tell_end(&report, &self.ask, &say).await;
            // Nobody listens any more when the process is ending.
            let _ = self.over.send(RunOver::Report(Box::new(report)));
        }
    }
}

/// The run that is asked for, with whoever is told of it and may break it off.
fn request(
    chosen: Chosen,
    ask: &RunAsk,
    (told, break_off): (Recipient<Tell>, oneshot::Receiver<Duration>),
) -> RunRequest {
    RunRequest {
        broken: chosen.broken,
        mode: match ask.way {
            wire::Way::Sequential => Mode::Sequential,
            wire::Way::Concurrent | wire::Way::InFlight(_) => Mode::Concurrent,
        },
        finish_within: ask.finish_within_ms.map(Duration::from_millis),
        asked: chosen.asked,
        lane: Lane::Asked {
            at_most: match ask.way {
                wire::Way::InFlight(most) => Some(most.max(1)),
                wire::Way::Concurrent | wire::Way::Sequential => None,
            },
            told: Some(told),
            break_off: Some(break_off),
        },
        ..RunRequest::of(
            chosen.devices,
            match ask.work {
                wire::Work::Backup => Work::Backup,
                wire::Work::Login => Work::Login,
            },
        )
    }
}

impl Daemon {
    /// Listens for clients. Without a socket everything else goes on.
    pub(super) fn listen(&self) -> mpsc::Receiver<Client> {
        let (sender, clients) = mpsc::channel(8);
        let dir = &self.began_with.state.dir;
        match Socket::listen(dir) {
            Ok(socket) => {
                actix_rt::spawn(socket.serve(sender));
            }
            Err(error) => log::error!(
                "no other wrmem command can ask this one for anything: {}: {error}",
                dir.display()
            ),
        }
        clients
    }

    /// Begins to do what a client asks for.
    pub(super) async fn serve(&mut self, client: Client, reloading: &mut Reloading) {
        let Client { ask, more, say } = client;
        match ask {
            Ask::Run(ask) => match choose(&ask, &self.source, &self.reading) {
                Ok(chosen) => {
                    let handed = Handed {
                        orchestrator: Rc::clone(&self.orchestrator),
                        over: self.tell_over.clone(),
                        grace: self.reading.settings.run.grace,
                        chosen,
                        ask,
                    };
                    self.serving.spawn_local(handed.serve(say, more));
                }
                Err(message) => say.surely(Say::Refused { message }).await,
            },
            Ask::Reload(ask) => {
                let (answer, answered) = oneshot::channel();
                let shrinking = if ask.force {
                    Shrinking::Meant
                } else {
                    Shrinking::Refused
                };
                reloading.wish(Wish::answered(shrinking, answer));
                self.serving.spawn_local(tell_reloaded(answered, say));
            }
            Ask::Forget(ask) => {
                let told = match self.orchestrator.forget_host_keys(&ask.host, ask.port) {
                    Ok(keys) => Say::Forgotten {
                        keys: keys
                            .iter()
                            .map(|key| format!("{} {}", key.kind(), key.fingerprint()))
                            .collect(),
                    },
                    Err(error) => Say::Refused {
                        message: error.to_string(),
                    },
                };
                say.surely(told).await;
            }
            Ask::Cancel => {
                let message = "there is no run to break off on this connection".to_owned();
                say.surely(Say::Refused { message }).await;
            }
        }
    }
}

/// Tells a client what became of its wish for the settings to be read anew.
async fn tell_reloaded(answered: oneshot::Receiver<Answer>, say: Sayings) {
    let told = match answered.await {
        Ok(Ok(changes)) => Say::Reloaded {
            changes: changes.to_string(),
        },
        Ok(Err(message)) => Say::Refused { message },
        Err(_) => Say::Refused {
            message: "the wrmem that is running is being stopped".to_owned(),
        },
    };
    say.surely(told).await;
}
