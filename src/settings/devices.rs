//! `devices.toml`: the devices, their groups and defaults.

use super::entries::{self, Entry, Values};
use super::fault::Fault;
use super::jumps::{self, JumpEntries};
use super::nearest::did_you_mean;
use super::raw::{Key, Located, Raw, Table};
use crate::model::device::GroupName;
use std::collections::BTreeMap;

/// What `devices.toml` says.
#[derive(Default)]
pub(crate) struct DeviceFile {
    pub(crate) defaults: Values,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) jumps: JumpEntries,
    pub(crate) entries: Vec<Entry>,
}

/// A group and what it sets.
pub(crate) struct Group {
    pub(crate) name: GroupName,
    pub(crate) values: Values,
}

/// Reads the parsed file. Faults of single devices stay in their entries.
pub(crate) fn read(table: &Table, faults: &mut Vec<Fault>) -> DeviceFile {
    const SECTIONS: [&str; 4] = ["defaults", "groups", "jumps", "devices"];
    let mut file = DeviceFile::default();
    for (key, value) in &table.0 {
        match (key.name.as_str(), &value.value) {
            ("defaults", Raw::Table(table)) => {
                file.defaults = entries::shared(table, "defaults", faults);
            }
            ("groups", Raw::Table(table)) => file.groups = groups(table, faults),
            ("jumps", Raw::Table(table)) => file.jumps = jumps::read(table, faults),
            ("devices", Raw::Table(table)) => file.entries = tables(table),
            ("devices", Raw::List(list)) => file.entries = names(list, faults),
            ("devices", _) => faults.push(Fault::error(
                &key.place,
                "devices",
                "expected a list of names or tables [devices.NAME]",
            )),
            ("defaults" | "groups" | "jumps", _) => {
                faults.push(Fault::error(&key.place, &key.name, "expected a table"));
            }
            (name, _) => {
                let near = did_you_mean(name, SECTIONS);
                let message = format!(
                    "unknown key{near}; there are defaults, groups, jumps and devices here"
                );
                faults.push(Fault::error(&key.place, name, message));
            }
        }
    }
    file
}

fn groups(table: &Table, faults: &mut Vec<Fault>) -> BTreeMap<String, Group> {
    let mut groups = BTreeMap::new();
    for (key, value) in &table.0 {
        let path = format!("groups.{}", key.name);
        let Raw::Table(inner) = &value.value else {
            faults.push(Fault::error(&key.place, &path, "expected a table"));
            continue;
        };
        let before = faults.len();
        let dotted = nested(key, inner, &entries::SHARED_KEYS);
        if let Some((name, _)) = dotted.first() {
            faults.push(Fault::error(&key.place, &path, quote("groups", name)));
            continue;
        }
        let values = entries::shared(inner, &path, faults);
        match GroupName::new(&key.name) {
            Ok(name) if faults.len() == before => {
                groups.insert(key.name.clone(), Group { name, values });
            }
            Ok(_) => {}
            Err(error) => faults.push(Fault::error(&key.place, &path, error.to_string())),
        }
    }
    groups
}

/// `devices = ["csr1", ...]`.
fn names(list: &[Located], faults: &mut Vec<Fault>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for item in list {
        match &item.value {
            Raw::Text(name) => entries.push(Entry::bare(name, item.place.clone())),
            _ => faults.push(Fault::error(
                &item.place,
                "devices",
                "expected a name in quotes; a device with values is a table [devices.NAME]",
            )),
        }
    }
    entries
}

/// `[devices.NAME]`.
fn tables(table: &Table) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (key, value) in &table.0 {
        let Raw::Table(inner) = &value.value else {
            let mut entry = Entry::bare(&key.name, key.place.clone());
            let path = format!("devices.{}", key.name);
            let message = "expected a table, such as [devices.NAME] or NAME = { host = \"...\" }";
            entry.faults.push(Fault::error(&key.place, &path, message));
            entries.push(entry);
            continue;
        };
        let known: Vec<_> = entries::DEVICE_KEYS
            .into_iter()
            .chain(entries::SHARED_KEYS)
            .collect();
        let dotted = nested(key, inner, &known);
        for (name, at) in &dotted {
            let mut entry = Entry::bare(name, at.place.clone());
            let path = format!("devices.{name}");
            let fault = Fault::error(&at.place, &path, quote("devices", name));
            entry.faults.push(fault);
            entries.push(entry);
        }
        let own = inner
            .0
            .iter()
            .any(|(key, _)| known.contains(&key.name.as_str()));
        if dotted.is_empty() || own {
            entries.push(Entry::read(&key.name, key.place.clone(), inner));
        }
    }
    entries
}

fn quote(section: &str, name: &str) -> String {
    format!("a dot in a name makes TOML nest tables: write [{section}.\"{name}\"]")
}

/// The names with dots that were meant where tables nest under a name, and where each stands.
fn nested<'a>(key: &'a Key, table: &'a Table, known: &[&str]) -> Vec<(String, &'a Key)> {
    let mut found = Vec::new();
    let mut open = vec![(key.name.clone(), table)];
    while let Some((prefix, table)) = open.pop() {
        for (key, value) in &table.0 {
            if known.contains(&key.name.as_str()) {
                continue;
            }
            let Raw::Table(inner) = &value.value else {
                continue;
            };
            let name = format!("{prefix}.{}", key.name);
            let deeper = inner.0.iter().any(|(key, value)| {
                matches!(value.value, Raw::Table(_)) && !known.contains(&key.name.as_str())
            });
            if deeper {
                open.push((name, inner));
            } else {
                found.push((name, key));
            }
        }
    }
    found
}
