//! From what was written to devices: every value resolved over group, defaults and overall
//! settings.

use super::check::NEVER_DUE;
use super::credentials::CredentialFile;
use super::devices::{DeviceFile, Group};
use super::entries::{Entry, Reference, ScheduleValues};
use super::fault::Fault;
use super::host;
use super::inventory::{Broken, Item, Platforms, Spec};
use super::jumps::JumpSpecs;
use super::limits::LimitSets;
use super::nearest::{did_you_mean, listed};
use super::raw::Place;
use super::values::Settings;
use crate::flow::schedule::Schedule;
use crate::model::device::{BrokenDevice, DeviceName, Identity, View};
use crate::model::limit::LimitSet;
use crate::model::platform::Platform;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What entries are resolved against.
pub(crate) struct Resolver<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) platforms: &'a Platforms,
    pub(crate) credentials: &'a CredentialFile,
    /// `None` where they are faulty and that is told already.
    pub(crate) limits: Option<&'a LimitSets>,
    pub(crate) file: &'a DeviceFile,
    /// Those that are sound.
    pub(crate) jumps: &'a JumpSpecs,
    /// The different schedules met so far.
    pub(crate) schedules: RefCell<Vec<Arc<Schedule>>>,
}

/// How many different schedules are looked through for one that is the same; further ones are held
/// by their devices alone.
const SCHEDULES_SHARED: usize = 64;

/// Resolves every entry of the file and `more` (those of `devices.csv`), in that order.
pub(crate) fn items(resolver: &Resolver<'_>, entries: Vec<Entry>) -> Result<Vec<Item>, Vec<Fault>> {
    let mut items = Vec::with_capacity(entries.len());
    let mut seen: HashMap<String, (usize, Place)> = HashMap::with_capacity(entries.len());
    let mut taken: HashSet<String> = HashSet::with_capacity(entries.len());
    for entry in entries {
        let folded = entry.name.to_lowercase();
        if let Some((index, first)) = seen.get(&folded) {
            if let Some(item) = items.get_mut(*index) {
                mark_duplicate(item, &entry, first);
            }
            continue;
        }
        seen.insert(folded, (items.len(), entry.place.clone()));
        let item = resolver.item(entry, &taken)?;
        taken.insert(item.name().as_str().to_lowercase());
        items.push(item);
    }
    Ok(items)
}

/// Which of two entries counts is unknown, so neither does.
fn mark_duplicate(item: &mut Item, again: &Entry, first: &Place) {
    let key = format!("devices.{}", again.name);
    let message = format!(
        "this name is already in {}; names are unique ignoring case",
        first.show()
    );
    let fault = Fault::error(&again.place, &key, message);
    match item {
        Item::Broken(broken) => {
            broken.faults.push(fault);
            broken.device.message = joined(&broken.faults);
        }
        Item::Sound(spec) => {
            let device = BrokenDevice {
                name: spec.name.clone(),
                host: spec.host.clone(),
                platform: spec.platform.name.clone(),
                message: fault.to_string(),
            };
            *item = Item::Broken(Box::new(Broken {
                group: spec.group.as_ref().map(ToString::to_string),
                device,
                faults: vec![fault],
            }));
        }
    }
}

/// Several faults as one message.
pub(crate) fn joined(faults: &[Fault]) -> String {
    let shown: Vec<_> = faults.iter().map(ToString::to_string).collect();
    shown.join("; ")
}

impl Resolver<'_> {
    /// Resolves one entry; an error only where not even a name to report it by can be made.
    fn item(&self, mut entry: Entry, taken: &HashSet<String>) -> Result<Item, Vec<Fault>> {
        let mut faults = std::mem::take(&mut entry.faults);
        let name = DeviceName::new(&entry.name).map_err(|error| {
            let key = format!("devices.{}", entry.name.escape_debug());
            faults.push(Fault::error(&entry.place, &key, error.to_string()));
        });
        match name {
            Ok(name) => match self.spec(&entry, name.clone(), &mut faults) {
                Some(spec) if faults.is_empty() => Ok(Item::Sound(Box::new(spec))),
                _ => Ok(self.broken(name, &entry, faults)),
            },
            Err(()) => match substitute(&entry.name, taken) {
                Some(name) => Ok(self.broken(name, &entry, faults)),
                None => Err(faults),
            },
        }
    }

    fn spec(&self, entry: &Entry, name: DeviceName, faults: &mut Vec<Fault>) -> Option<Spec> {
        let key = format!("devices.{}", entry.name);
        let host = host::of(entry, &key).map_err(|fault| faults.push(fault));
        let group = self.group(entry, &key).map_err(|fault| faults.push(fault));
        let group = group.ok().flatten();
        let layers = [
            Some(&entry.values),
            group.map(|group| &group.values),
            Some(&self.file.defaults),
        ];
        let values = || layers.iter().flatten();
        let platform = self
            .platform(values().find_map(|value| value.platform.as_ref()), entry)
            .map_err(|fault| faults.push(fault));
        let credentials = self
            .credentials(values(), entry)
            .map_err(|fault| faults.push(fault));
        let said: Vec<_> = values().map(|value| &value.schedule).collect();
        let schedule = self
            .schedule(&said, entry)
            .map_err(|fault| faults.push(fault));
        let jump = self
            .jump(values(), &key)
            .map_err(|fault| faults.push(fault));
        let mut limits = self.limits(values().rev().flat_map(|value| &value.limits), &key, faults);
        self.add_jump_limits(&mut limits, jump.as_ref().ok().and_then(Option::as_ref));
        let run = &self.settings.run;
        Some(Spec {
            name,
            host: host.ok()?,
            port: values().find_map(|value| value.port).unwrap_or(22),
            group: group.map(|group| group.name.clone()),
            also: values().find_map(|value| value.also.clone()),
            platform: platform.ok()?,
            credentials: credentials.ok()?,
            save: values().find_map(|value| value.save).unwrap_or(run.save),
            save_written: run.save_written || values().any(|value| value.save.is_some()),
            schedule: schedule.ok()?,
            save_order: values()
                .find_map(|value| value.save_order)
                .unwrap_or(run.save_order),
            save_confirm: values()
                .find_map(|value| value.save_confirm)
                .unwrap_or(run.save_confirm),
            view: values()
                .find_map(|value| value.view)
                .unwrap_or(View::Privileged),
            identity: values()
                .find_map(|value| value.identity)
                .unwrap_or(Identity::Noted),
            algorithms: values()
                .find_map(|value| value.algorithms)
                .unwrap_or(self.settings.ssh.algorithms),
            egress: self.egress(values()),
            jump: jump.ok()?,
            attempts: values()
                .find_map(|value| value.attempts)
                .unwrap_or(run.attempts),
            deadlines: self.deadlines(values().rev()),
            limits,
        })
    }

    fn group(&self, entry: &Entry, key: &str) -> Result<Option<&Group>, Fault> {
        let Some(group) = &entry.group else {
            return Ok(None);
        };
        let names = || self.file.groups.keys().map(String::as_str);
        self.file.groups.get(&group.name).map(Some).ok_or_else(|| {
            Fault::error(
                &group.place,
                &format!("{key}.group"),
                no_such("group", &group.name, names),
            )
        })
    }

    fn platform(&self, named: Option<&Reference>, entry: &Entry) -> Result<Arc<Platform>, Fault> {
        let key = format!("devices.{}.platform", entry.name);
        let Some(named) = named else {
            return Err(missing(entry, &key, "platform"));
        };
        self.platforms.get(&named.name).cloned().ok_or_else(|| {
            Fault::error(&named.place, &key, no_platform(self.platforms, &named.name))
        })
    }

    /// The schedule out of what device, group and defaults say, in this order.
    fn schedule(&self, said: &[&ScheduleValues], entry: &Entry) -> Result<Arc<Schedule>, Fault> {
        let overall = &self.settings.run.schedule;
        let said = || said.iter();
        let schedule = Schedule {
            cadence: said()
                .find_map(|value| value.cadence.clone())
                .unwrap_or_else(|| overall.cadence.clone()),
            window: said()
                .find_map(|value| value.window)
                .unwrap_or(overall.window),
            finish_within: said()
                .find_map(|value| value.finish_within)
                .unwrap_or(overall.finish_within),
            zone: said()
                .find_map(|value| value.zone.clone())
                .unwrap_or_else(|| overall.zone.clone()),
        };
        let mut known = self.schedules.borrow_mut();
        if let Some(same) = known.iter().find(|known| ***known == schedule) {
            return Ok(Arc::clone(same));
        }
        if schedule.is_never_due() {
            let key = format!("devices.{}.between", entry.name);
            return Err(Fault::error(&entry.place, &key, NEVER_DUE));
        }
        let schedule = Arc::new(schedule);
        if known.len() < SCHEDULES_SHARED {
            known.push(Arc::clone(&schedule));
        }
        Ok(schedule)
    }

    fn broken(&self, name: DeviceName, entry: &Entry, faults: Vec<Fault>) -> Item {
        let host = entry
            .host
            .as_ref()
            .map_or_else(|| name.to_string(), |host| host.name.clone());
        let group = entry
            .group
            .as_ref()
            .and_then(|group| self.file.groups.get(&group.name));
        let platform = [
            Some(&entry.values),
            group.map(|group| &group.values),
            Some(&self.file.defaults),
        ]
        .into_iter()
        .flatten()
        .find_map(|values| values.platform.as_ref());
        let device = BrokenDevice {
            name,
            host,
            platform: platform.map_or_else(String::new, |platform| platform.name.clone()),
            message: joined(&faults),
        };
        Item::Broken(Box::new(Broken {
            device,
            group: entry.group.as_ref().map(|group| group.name.clone()),
            faults,
        }))
    }
}

/// The message of a name that refers to nothing.
pub(crate) fn no_such<'a, I>(what: &str, name: &str, known: impl Fn() -> I) -> String
where
    I: IntoIterator<Item = &'a str>,
{
    let near = did_you_mean(name, known());
    format!(
        "unknown {what} `{}`, there are: {}{near}",
        name.escape_debug(),
        listed(known())
    )
}

/// The limit set that `key` refers to; nothing where the sets are not known.
pub(crate) fn find_limit(
    limits: Option<&LimitSets>,
    named: &Reference,
    key: &str,
) -> Result<Option<Arc<LimitSet>>, Fault> {
    let Some(limits) = limits else {
        return Ok(None);
    };
    limits.get(&named.name).cloned().map(Some).ok_or_else(|| {
        let message = no_such("limit", &named.name, || limits.keys().map(String::as_str));
        Fault::error(&named.place, &format!("{key}.limits"), message)
    })
}

/// The message of a platform that is not there.
pub(crate) fn no_platform(platforms: &Platforms, name: &str) -> String {
    no_such("platform", name, || platforms.keys().map(String::as_str))
}

pub(super) fn missing(entry: &Entry, key: &str, what: &str) -> Fault {
    let message = format!("is missing: set `{what}` here, in its group or in [defaults]");
    Fault::error(&entry.place, key, message)
}

/// A safe name to report a device by whose own name is not safe.
fn substitute(name: &str, taken: &HashSet<String>) -> Option<DeviceName> {
    let safe: String = name
        .chars()
        .take(40)
        .map(|c| {
            if c.is_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let safe = format!("unnamed_{safe}");
    (1..=taken.len() + 1)
        .map(|number| {
            if number == 1 {
                safe.clone()
            } else {
                format!("{safe}_{number}")
            }
        })
        .find(|candidate| !taken.contains(&candidate.to_lowercase()))
        .and_then(|candidate| DeviceName::new(&candidate).ok())
}
