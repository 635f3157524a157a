//! New settings for a process that goes on: what is read, what of it takes effect.
//!
//! Bad settings change nothing. A device whose own entry has become faulty, or whose credentials
//! cannot be had at the moment, goes on as it was. A list of devices that has shrunk a lot is
//! believed only when that is said to be meant.

use crate::actors::messages::{Scheduled, Who};
use crate::model::device::{BrokenDevice, DeviceName, Saving};
use crate::settings::{self, Changed, Counts, Fault, Inventory, Selection, Settings, Source};
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// A settings folder as it was read: good as a whole.
pub struct Reading {
    /// The overall settings.
    pub settings: Settings,
    /// All devices with their schedules, in the order of the inventory.
    pub devices: Vec<Scheduled>,
    /// What names and groups mean.
    pub inventory: Inventory,
    /// What should be mended.
    pub warnings: Vec<Fault>,
}

/// Why a settings folder is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// Faults, or nothing in it.
    #[error("{0}")]
    Faulty(String),
    /// Devices would be saved and nobody wrote so.
    #[error("{}", save_is_not_written(.0, .1))]
    SaveNotWritten(Vec<DeviceName>, String),
}

/// Reads the settings folder, the credentials of all devices included; may take as long as the
/// commands that give them.
///
/// # Errors
/// When it is faulty as a whole, or does not say whether devices are saved.
pub fn read(source: &Source) -> Result<Reading, BadSettings> {
    let faulty = |error: &dyn fmt::Display| BadSettings::Faulty(error.to_string());
    let loaded = settings::load(source).map_err(|faults| faulty(&faults))?;
    let unasked = loaded.inventory.saved_unasked();
    if !unasked.is_empty() {
        let names = unasked.into_iter().cloned().collect();
        let file = source.dir.join("wrmem.toml").display().to_string();
        return Err(BadSettings::SaveNotWritten(names, file));
    }
    let selected = loaded
        .inventory
        .select(&Selection::default(), &source.env)
        .map_err(|error| faulty(&error))?;
    let overall = Arc::new(loaded.settings.run.schedule.clone());
    let mut schedules = loaded.inventory.schedules();
    let sound = selected.devices.into_iter().map(Arc::new).map(Who::Sound);
    let broken = selected.broken.into_iter().map(Who::Broken);
    let devices = sound
        .chain(broken)
        .map(|who| Scheduled {
            // One whose settings are faulty is due like any other: it fails and is not forgotten.
            schedule: schedules
                .remove(who.name())
                .unwrap_or_else(|| Arc::clone(&overall)),
            who,
            last_tried: None,
        })
        .collect();
    let mut warnings = loaded.warnings;
    warnings.extend(selected.warnings);
    Ok(Reading {
        settings: loaded.settings,
        devices,
        inventory: loaded.inventory,
        warnings,
    })
}

/// How many devices are named in a message.
const NAMED: usize = 5;

/// Names, the first few of them.
pub(super) fn listed(names: &[DeviceName]) -> String {
    let mut shown: Vec<_> = names.iter().take(NAMED).map(ToString::to_string).collect();
    if names.len() > NAMED {
        shown.push(format!("{} more", names.len() - NAMED));
    }
    shown.join(", ")
}

fn save_is_not_written(names: &[DeviceName], file: &str) -> String {
    format!(
        "`wrmem run` would save (`wr mem`) whenever a device is due, and nothing that you wrote says \
         so for {}.\nSay what you want, in {file}:\n\n    [run]\n    save = \"always\"   # `wr mem`, \
         then the backup\n    save = \"never\"    # devices are only read\n\nor in devices.toml per \
         device, per group or in [defaults], or start it with --no-save.",
        listed(names)
    )
}

/// Whether a list of devices that has shrunk a lot is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shrinking {
    /// It is refused.
    Refused,
    /// It is meant (`--force`).
    Meant,
}

/// How much of the inventory may go at once, in percent.
const SHRINKS_BY: usize = 20;

/// More of the inventory would go than is believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} of {before} devices are not in the inventory any more ({}); nothing was changed. If that is \
     meant: wrmem reload --force",
    .removed.len(),
    listed(.removed)
)]
pub struct Shrunk {
    /// How many devices there were.
    pub before: usize,
    /// Those that would go.
    pub removed: Vec<DeviceName>,
}

/// What a reload changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Devices that are new.
    pub added: Vec<DeviceName>,
    /// Devices of which something is different.
    pub changed: Vec<DeviceName>,
    /// Devices that are not there any more.
    pub removed: Vec<DeviceName>,
    /// Devices that go on as they were, and the fault that keeps their new entry from counting.
    pub kept: Vec<BrokenDevice>,
    /// Overall settings that are different.
    pub settings: Vec<Changed>,
    /// How many devices there are now.
    pub devices: usize,
    /// On how many of them is saved.
    pub saves: usize,
}

impl Changes {
    /// Whether nothing at all is different.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.changed.is_empty()
            && self.removed.is_empty()
            && self.kept.is_empty()
            && self.settings.is_empty()
    }
}

impl fmt::Display for Changes {
    /// One line for each kind of change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return write!(f, "nothing has changed: {} devices", self.devices);
        }
        let mut lines = String::new();
        for (what, names) in [
            ("added", &self.added),
            ("changed", &self.changed),
            ("removed", &self.removed),
        ] {
            if !names.is_empty() {
                let _ = writeln!(lines, "{what} {}: {}", names.len(), listed(names));
            }
        }
        for (counts, what) in [
            (Counts::Now, "settings that count from now on"),
            (
                Counts::AfterRestart,
                "settings that count only after a restart",
            ),
        ] {
            let keys: Vec<_> = self
                .settings
                .iter()
                .filter(|changed| changed.counts == counts)
                .map(|changed| changed.key)
                .collect();
            if !keys.is_empty() {
                let _ = writeln!(lines, "{what}: {}", keys.join(", "));
            }
        }
        for kept in &self.kept {
            let _ = writeln!(lines, "{} goes on as it was: {}", kept.name, kept.message);
        }
        write!(
            f,
            "{lines}now {} devices, saving on {}",
            self.devices, self.saves
        )
    }
}

/// What `new` changes in devices that were `before`, and the devices that follow from both.
///
/// # Errors
/// When too many would go.
pub fn merge(
    before: &[Scheduled],
    new: Vec<Scheduled>,
    shrinking: Shrinking,
) -> Result<(Vec<Scheduled>, Changes), Shrunk> {
    let mut left: HashMap<&DeviceName, &Scheduled> = before
        .iter()
        .map(|scheduled| (scheduled.who.name(), scheduled))
        .collect();
    let mut changes = Changes::default();
    let mut merged = Vec::with_capacity(new.len());
    for scheduled in new {
        let name = scheduled.who.name().clone();
        let old = left.remove(&name);
        match (old, &scheduled.who) {
            (None, _) => changes.added.push(name),
            (Some(old), Who::Broken(broken)) if matches!(old.who, Who::Sound(_)) => {
                changes.kept.push(broken.clone());
                merged.push(old.clone());
                continue;
            }
            (Some(old), _) if !is_same(old, &scheduled) => changes.changed.push(name),
            (Some(_), _) => {}
        }
        merged.push(scheduled);
    }
    changes.removed = left.into_keys().cloned().collect();
    changes.removed.sort_unstable();
    if shrinking == Shrinking::Refused && changes.removed.len() * 100 > before.len() * SHRINKS_BY {
        return Err(Shrunk {
            before: before.len(),
            removed: changes.removed,
        });
    }
    changes.devices = merged.len();
    changes.saves = saves(&merged);
    Ok((merged, changes))
}

/// On how many devices is saved.
pub(super) fn saves(devices: &[Scheduled]) -> usize {
    devices
        .iter()
        .filter(|scheduled| match &scheduled.who {
            Who::Sound(device) => device.saving() != Saving::Never,
            Who::Broken(_) => false,
        })
        .count()
}

fn is_same(old: &Scheduled, new: &Scheduled) -> bool {
    let device = match (&old.who, &new.who) {
        (Who::Sound(old), Who::Sound(new)) => old == new,
        (Who::Broken(old), Who::Broken(new)) => old == new,
        (Who::Sound(_), Who::Broken(_)) | (Who::Broken(_), Who::Sound(_)) => false,
    };
    device && old.schedule == new.schedule
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::schedule::Schedule;
    use crate::model::credentials::Credentials;
    use crate::model::device::Device;
    use crate::model::platform::{Platform, SaveDialogue};
    use std::time::Duration;

    fn name(text: &str) -> DeviceName {
        DeviceName::new(text).unwrap()
    }

    fn scheduled(who: Who) -> Scheduled {
        Scheduled {
            who,
            schedule: Arc::new(Schedule::every(Duration::from_secs(3600))),
            last_tried: None,
        }
    }

    fn device(text: &str, host: &str) -> Scheduled {
        scheduled(Who::Sound(Arc::new(Device::new(
            name(text),
            host,
            Arc::new(Platform {
                save: Some(SaveDialogue::default()),
                ..Platform::default()
            }),
            Arc::new(Credentials::new("lab", "ntc")),
        ))))
    }

    fn broken(text: &str) -> Scheduled {
        scheduled(Who::Broken(BrokenDevice {
            name: name(text),
            host: text.to_owned(),
            platform: String::new(),
            message: "devices.toml:3: port: must be 1 to 65535".to_owned(),
        }))
    }

    fn fleet(count: usize) -> Vec<Scheduled> {
        (0..count)
            .map(|number| device(&format!("sw{number}"), "192.0.2.1"))
            .collect()
    }

    #[test]
    fn what_is_added_changed_and_removed_is_told() {
        let before = fleet(10);
        let mut new = fleet(9);
        new[3] = device("sw3", "192.0.2.99");
        new[4].schedule = Arc::new(Schedule::every(Duration::from_secs(60)));
        new.push(device("new", "192.0.2.2"));
        let (merged, changes) = merge(&before, new, Shrinking::Refused).unwrap();
        assert_eq!(merged.len(), 10);
        assert_eq!(
            changes.to_string(),
            "added 1: new\nchanged 2: sw3, sw4\nremoved 1: sw9\nnow 10 devices, saving on 10"
        );
        let (_, changes) = merge(&before, fleet(10), Shrinking::Refused).unwrap();
        assert!(changes.is_empty());
        assert_eq!(changes.to_string(), "nothing has changed: 10 devices");
    }

    #[test]
    fn a_fifth_may_go_and_more_only_when_it_is_meant() {
        let before = fleet(10);
        assert!(merge(&before, fleet(8), Shrinking::Refused).is_ok());
        let refused = merge(&before, fleet(7), Shrinking::Refused).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "3 of 10 devices are not in the inventory any more (sw7, sw8, sw9); nothing was changed. \
             If that is meant: wrmem reload --force"
        );
        let (merged, changes) = merge(&before, fleet(7), Shrinking::Meant).unwrap();
        assert_eq!((merged.len(), changes.removed.len()), (7, 3));
    }

    #[test]
    fn a_device_whose_entry_became_faulty_goes_on_as_it_was() {
        let before = fleet(3);
        let mut new = fleet(3);
        new[1] = broken("sw1");
        let (merged, changes) = merge(&before, new, Shrinking::Refused).unwrap();
        assert!(is_same(&merged[1], &before[1]));
        assert!(!changes.is_empty());
        assert!(
            changes
                .to_string()
                .starts_with("sw1 goes on as it was: devices.toml:3: port"),
            "{changes}"
        );
        // One that was never sound cannot go on, and mending it is a change.
        let mut new = fleet(3);
        new.push(broken("sw3"));
        let (merged, changes) = merge(&before, new, Shrinking::Refused).unwrap();
        assert_eq!(changes.added, [name("sw3")]);
        let (_, changes) = merge(&merged, fleet(4), Shrinking::Refused).unwrap();
        assert_eq!(changes.changed, [name("sw3")]);
    }
}
