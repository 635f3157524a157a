//! What becomes of settings that were read anew.

use super::reload::{BadSettings, Changes, Reading, Shrinking, merge};
use super::reloading::Wish;
use super::{Daemon, service};
use crate::actors::messages::{Scheduled, SetInventory};
use crate::actors::scheduler::follow;
use crate::app::{AppError, Orchestrator};
use crate::settings::{Counts, credentials_changed};
use jiff::Timestamp;
use std::collections::HashMap;

impl Daemon {
    /// Hands the present inventory to the scheduler.
    pub(super) async fn schedule(&self) -> Result<(), AppError> {
        let devices = with_last_tries(&self.reading.devices, &self.orchestrator);
        let count = devices.len();
        let set = SetInventory {
            in_flight: self.orchestrator.in_flight_for(count),
            logins: self.reading.settings.run.logins,
            devices,
            credentials_changed: credentials_changed(&self.source.dir),
        };
        let missed = self.scheduler.send(set).await;
        let missed = missed.map_err(|_| AppError::ActorLost("scheduler"))?;
        if missed.devices == 0 {
            log::info!("{count} devices on schedule");
        } else {
            log::info!(
                "{count} devices on schedule; {} missed their turn or were never tried: {}",
                missed.devices,
                follow(missed.within)
            );
        }
        Ok(())
    }

    /// Takes new settings in, if they are good. Nothing in them ends the process.
    pub(super) async fn reloaded(
        &mut self,
        wish: Wish,
        read: Result<Reading, BadSettings>,
    ) -> Result<(), AppError> {
        let taken = match read {
            Err(bad) => Err(bad.to_string()),
            Ok(reading) => self.take_in(reading, wish.shrinking),
        };
        match &taken {
            Err(why) => {
                log::error!("the settings stay as they were: {why}");
                self.standing.settings_are_bad(why);
            }
            Ok(changes) if changes.is_empty() => {
                log::info!("settings read: {changes}");
                self.standing.settings_are_good();
            }
            Ok(changes) => {
                let level = match changes.kept.is_empty() {
                    true => log::Level::Info,
                    false => log::Level::Error,
                };
                log::log!(
                    level,
                    "settings read: {}",
                    changes.to_string().replace('\n', "; ")
                );
                self.standing.settings_are_good();
                self.schedule().await?;
            }
        }
        wish.answer(&taken);
        service::ready();
        self.tell_standing().await
    }

    fn take_in(&mut self, reading: Reading, shrinking: Shrinking) -> Result<Changes, String> {
        let Reading {
            settings,
            devices,
            inventory,
            warnings,
        } = reading;
        let (devices, mut changes) =
            merge(&self.reading.devices, devices, shrinking).map_err(|error| error.to_string())?;
        for warning in &warnings {
            log::warn!("{warning}");
        }
        changes.settings = self.reading.settings.changes_to(&settings);
        self.orchestrator.set_pace(&settings);
        let waiting = self.began_with.changes_to(&settings);
        self.standing.wait_for_restart(
            waiting
                .into_iter()
                .filter(|changed| changed.counts == Counts::AfterRestart)
                .map(|changed| changed.key)
                .collect(),
        );
        self.standing
            .keep_only(devices.iter().map(|scheduled| scheduled.who.name()));
        let outdated = changes.removed.iter().chain(&changes.changed).cloned();
        self.orchestrator.withdraw(outdated.collect());
        self.reading = Reading {
            settings,
            devices,
            inventory,
            warnings,
        };
        Ok(changes)
    }
}

/// The devices, with what was known when the process began of when they were last tried.
fn with_last_tries(devices: &[Scheduled], orchestrator: &Orchestrator) -> Vec<Scheduled> {
    let tried: HashMap<_, _> = orchestrator
        .remembered()
        .tried
        .iter()
        .filter_map(|(name, at)| Some((name, Timestamp::try_from(*at).ok()?)))
        .collect();
    let mut devices = devices.to_vec();
    for device in &mut devices {
        device.last_tried = tried.get(device.who.name()).copied();
    }
    devices
}
