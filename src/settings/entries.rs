//! What the operator wrote about one device, a group or the defaults: the values of one table.

use super::also::Also;
use super::decode::decode;
use super::fault::Fault;
use super::nearest::did_you_mean;
use super::raw::{Key, Located, Place, Raw, Table};
use super::ways::{InterfaceWord, OrAny, SourceWord};
use super::words::{
    AlgorithmWord, Attempts, CronWord, Every, IdentityWord, Line, OrOff, Port, SaveConfirmWord,
    SaveOrderWord, SaveWord, Span, ViewWord, WindowWord, Zone,
};
use crate::flow::schedule::{Cadence, Window};
use crate::model::device::{
    AlgorithmPolicy, Deadlines, Identity, SaveConfirm, SaveOrder, SavePolicy, View,
};
use jiff::tz::TimeZone;
use std::net::IpAddr;
use std::time::Duration;

/// The keys that devices, groups and defaults share.
pub(crate) const SHARED_KEYS: [&str; 21] = [
    "port",
    "platform",
    "credentials",
    "save",
    "every",
    "cron",
    "between",
    "time_zone",
    "finish_within",
    "save_order",
    "save_confirm",
    "algorithms",
    "source",
    "interface",
    "jump",
    "attempts",
    "view_full",
    "strict_identity",
    "limits",
    "also",
    "deadlines",
];

/// The keys of a device alone.
pub(crate) const DEVICE_KEYS: [&str; 2] = ["host", "group"];

/// The keys within `deadlines`.
pub(crate) const DEADLINE_KEYS: [&str; 9] = [
    "tcp", "kex", "login", "prompt", "save", "backup", "silence", "write", "attempt",
];

/// The word for no jump host, where a group or the defaults name one.
const NO_JUMP: &str = "off";

/// A name that refers to something, and where it stands.
#[derive(Clone)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) place: Place,
}

/// The values of one table; `None` where it says nothing.
#[derive(Clone, Default)]
pub(crate) struct Values {
    pub(crate) port: Option<u16>,
    pub(crate) platform: Option<Reference>,
    /// In the order in which they are tried; empty where nothing is said.
    pub(crate) credentials: Vec<Reference>,
    pub(crate) save: Option<SavePolicy>,
    pub(crate) save_order: Option<SaveOrder>,
    pub(crate) save_confirm: Option<SaveConfirm>,
    pub(crate) algorithms: Option<AlgorithmPolicy>,
    pub(crate) source: Option<Option<IpAddr>>,
    pub(crate) interface: Option<Option<String>>,
    pub(crate) jump: Option<Option<Reference>>,
    pub(crate) attempts: Option<u32>,
    pub(crate) view: Option<View>,
    pub(crate) identity: Option<Identity>,
    pub(crate) limits: Vec<Reference>,
    pub(crate) also: Option<Vec<String>>,
    pub(crate) deadlines: DeadlineValues,
    pub(crate) schedule: ScheduleValues,
}

/// When a table says its devices are due; an inner `None` undoes what is said further out.
#[derive(Clone, Default)]
pub(crate) struct ScheduleValues {
    pub(crate) cadence: Option<Cadence>,
    pub(crate) window: Option<Option<Window>>,
    pub(crate) finish_within: Option<Option<Duration>>,
    pub(crate) zone: Option<TimeZone>,
}

/// The deadlines that a table sets, in the order of [`DEADLINE_KEYS`].
#[derive(Clone, Copy, Default)]
pub(crate) struct DeadlineValues([Option<Duration>; 9]);

impl DeadlineValues {
    /// Lays these over `base`.
    pub(crate) fn over(&self, base: Deadlines) -> Deadlines {
        let [
            tcp,
            kex,
            login,
            prompt,
            save,
            backup,
            silence,
            write,
            attempt,
        ] = self.0;
        Deadlines {
            tcp: tcp.unwrap_or(base.tcp),
            kex: kex.unwrap_or(base.kex),
            login: login.unwrap_or(base.login),
            prompt: prompt.unwrap_or(base.prompt),
            save: save.unwrap_or(base.save),
            backup: backup.unwrap_or(base.backup),
            silence: silence.unwrap_or(base.silence),
            write: write.unwrap_or(base.write),
            attempt: attempt.unwrap_or(base.attempt),
        }
    }
}

impl Values {
    /// Takes the value of a shared key; `false` if the key is not a shared one.
    pub(crate) fn take(
        &mut self,
        key: &str,
        value: &Located,
        path: &str,
    ) -> Result<bool, Vec<Fault>> {
        match key {
            "port" => self.port = Some(decode::<Port>(value, path)?.0),
            "platform" => self.platform = Some(reference(value, path)?),
            "credentials" => self.credentials = one_or_more(value, path)?,
            "save" => self.save = Some(decode::<SaveWord>(value, path)?.into()),
            "save_order" => self.save_order = Some(decode::<SaveOrderWord>(value, path)?.into()),
            "save_confirm" => {
                self.save_confirm = Some(decode::<SaveConfirmWord>(value, path)?.into());
            }
            "every" => {
                let every = decode::<Every>(value, path)?.0;
                self.schedule
                    .take_cadence(Cadence::Every(every), value, path)?;
            }
            "cron" => {
                let times = decode::<CronWord>(value, path)?.0;
                self.schedule
                    .take_cadence(Cadence::Cron(times), value, path)?;
            }
            "between" => {
                let window = decode::<OrOff<WindowWord>>(value, path)?.0;
                self.schedule.window = Some(window.map(|word| word.0));
            }
            "time_zone" => self.schedule.zone = Some(decode::<Zone>(value, path)?.0),
            "finish_within" => {
                let within = decode::<OrOff<Span>>(value, path)?.0;
                self.schedule.finish_within = Some(within.map(|span| span.0));
            }
            "algorithms" => self.algorithms = Some(decode::<AlgorithmWord>(value, path)?.into()),
            "source" => {
                let source = decode::<OrAny<SourceWord>>(value, path)?.0;
                self.source = Some(source.map(|word| word.0));
            }
            "interface" => {
                let interface = decode::<OrAny<InterfaceWord>>(value, path)?.0;
                self.interface = Some(interface.map(|word| word.0));
            }
            "jump" => {
                let named = reference(value, path)?;
                self.jump = Some((named.name != NO_JUMP).then_some(named));
            }
            "attempts" => self.attempts = Some(decode::<Attempts>(value, path)?.0),
            "view_full" => self.view = Some(decode::<ViewWord>(value, path)?.0),
            "strict_identity" => self.identity = Some(decode::<IdentityWord>(value, path)?.0),
            "limits" => self.limits = references(value, path)?,
            "also" => self.also = Some(decode::<Also>(value, path)?.0),
            "deadlines" => self.deadlines = deadlines(value, path, self.deadlines)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl ScheduleValues {
    fn take_cadence(&mut self, cadence: Cadence, value: &Located, path: &str) -> Result<(), Fault> {
        if self.cadence.is_some() {
            return Err(Fault::error(&value.place, path, EVERY_OR_CRON));
        }
        self.cadence = Some(cadence);
        Ok(())
    }
}

/// What is told where both are written in one place.
pub(crate) const EVERY_OR_CRON: &str =
    "`every` and `cron` exclude each other: take one of them out";

impl From<Fault> for Vec<Fault> {
    fn from(fault: Fault) -> Self {
        vec![fault]
    }
}

pub(crate) fn reference(value: &Located, path: &str) -> Result<Reference, Fault> {
    Ok(Reference {
        name: decode::<Line>(value, path)?.0,
        place: value.place.clone(),
    })
}

/// One name, or a list of different ones.
fn one_or_more(value: &Located, path: &str) -> Result<Vec<Reference>, Fault> {
    let Raw::List(list) = &value.value else {
        return Ok(vec![reference(value, path)?]);
    };
    let mut references: Vec<Reference> = Vec::with_capacity(list.len());
    for item in list {
        let named = reference(item, path)?;
        if references.iter().any(|known| known.name == named.name) {
            let message = "names the same twice; each is tried once";
            return Err(Fault::error(&item.place, path, message));
        }
        references.push(named);
    }
    if references.is_empty() {
        let message = "expected a name, or a list of names in the order in which they are tried";
        return Err(Fault::error(&value.place, path, message));
    }
    Ok(references)
}

fn references(value: &Located, path: &str) -> Result<Vec<Reference>, Fault> {
    match &value.value {
        Raw::List(list) => list.iter().map(|item| reference(item, path)).collect(),
        _ => Err(Fault::error(
            &value.place,
            path,
            "expected a list of names, such as [\"aaa1\"]",
        )),
    }
}

/// Adds what the table says to the deadlines that are known (CSV has a column for each).
fn deadlines(
    value: &Located,
    path: &str,
    known: DeadlineValues,
) -> Result<DeadlineValues, Vec<Fault>> {
    let Raw::Table(table) = &value.value else {
        let message = "expected a table, such as { backup = \"20m\" }";
        return Err(Fault::error(&value.place, path, message).into());
    };
    let mut values = known;
    let mut faults = Vec::new();
    for (key, located) in &table.0 {
        let path = format!("{path}.{}", key.name);
        let mut slots = DEADLINE_KEYS.iter().zip(values.0.iter_mut());
        match slots.find(|(name, _)| **name == key.name) {
            Some((_, slot)) => match decode::<Span>(located, &path) {
                Ok(span) => *slot = Some(span.0),
                Err(fault) => faults.push(fault),
            },
            None => faults.push(unknown(key, &path, &DEADLINE_KEYS)),
        }
    }
    if faults.is_empty() {
        Ok(values)
    } else {
        Err(faults)
    }
}

/// The fault of a key that nothing reads.
pub(crate) fn unknown(key: &Key, path: &str, known: &[&str]) -> Fault {
    let near = did_you_mean(&key.name, known.iter().copied());
    Fault::error(&key.place, path, format!("unknown key{near}"))
}

/// Reads the table of a group or of the defaults.
pub(crate) fn shared(table: &Table, prefix: &str, faults: &mut Vec<Fault>) -> Values {
    let mut values = Values::default();
    for (key, value) in &table.0 {
        let path = format!("{prefix}.{}", key.name);
        match values.take(&key.name, value, &path) {
            Ok(true) => {}
            Ok(false) => faults.push(unknown(key, &path, &SHARED_KEYS)),
            Err(more) => faults.extend(more),
        }
    }
    values
}

/// What the operator wrote about one device.
pub(crate) struct Entry {
    /// The name as written; not checked yet.
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) host: Option<Reference>,
    pub(crate) group: Option<Reference>,
    pub(crate) values: Values,
    pub(crate) faults: Vec<Fault>,
}

impl Entry {
    /// A device of which only the name is written.
    pub(crate) fn bare(name: &str, place: Place) -> Self {
        Self {
            name: name.to_owned(),
            place,
            host: None,
            group: None,
            values: Values::default(),
            faults: Vec::new(),
        }
    }

    /// Reads a device's table.
    pub(crate) fn read(name: &str, place: Place, table: &Table) -> Self {
        let mut entry = Self::bare(name, place);
        for (key, value) in &table.0 {
            entry.take(key, value);
        }
        entry
    }

    /// Takes the value of one key.
    fn take(&mut self, key: &Key, value: &Located) {
        let path = format!("devices.{}.{}", self.name, key.name);
        let taken = match key.name.as_str() {
            "host" => reference(value, &path)
                .map(|host| self.host = Some(host))
                .map_err(Vec::from),
            "group" => reference(value, &path)
                .map(|group| self.group = Some(group))
                .map_err(Vec::from),
            name => match self.values.take(name, value, &path) {
                Ok(true) => Ok(()),
                Ok(false) => {
                    let known: Vec<_> = DEVICE_KEYS.into_iter().chain(SHARED_KEYS).collect();
                    Err(unknown(key, &path, &known).into())
                }
                Err(more) => Err(more),
            },
        };
        if let Err(more) = taken {
            self.faults.extend(more);
        }
    }
}
