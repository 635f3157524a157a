//! From layers to settings: every fault of every layer at once.

use super::decode::decode;
use super::fault::Fault;
use super::layers::Layer;
use super::nearest::did_you_mean;
use super::raw::{Located, Place, Raw, Table};
use super::values::{ArchiveSettings, Run, Settings, Ssh, State};
use super::words::{
    AlgorithmWord, Attempts, HostKeyWord, InFlightWord, KindWord, LayoutWord, Mode, PathWord,
    SaveWord, Span,
};
use crate::model::device::Deadlines;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Reads keys: from every layer to check them, from the merged settings to have them.
struct Reader<'a> {
    layers: &'a [Layer],
    merged: &'a config::Config,
    known: BTreeSet<String>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn get<T>(&mut self, key: &str) -> Option<T>
    where
        T: for<'de> Deserialize<'de>,
    {
        self.known.insert(key.to_owned());
        let before = self.faults.len();
        for layer in self.layers {
            if let Some(fault) =
                find(&layer.table, key).and_then(|located| decode::<T>(located, key).err())
            {
                self.faults.push(fault);
            }
        }
        if self.faults.len() > before {
            return None;
        }
        match self.merged.get::<T>(key) {
            Ok(value) => Some(value),
            Err(_) => {
                let place = Place::new("settings", None);
                let message = "is missing or hidden by a value where a section is expected";
                self.faults.push(Fault::error(&place, key, message));
                None
            }
        }
    }
}

/// The value of a dotted key.
fn find<'a>(table: &'a Table, key: &str) -> Option<&'a Located> {
    match key.split_once('.') {
        None => table.get(key),
        Some((section, rest)) => match &table.get(section)?.value {
            Raw::Table(inner) => find(inner, rest),
            _ => None,
        },
    }
}

/// Turns the layers into settings.
pub(crate) fn settings(
    layers: &[Layer],
    merged: &config::Config,
) -> Result<(Settings, BTreeSet<String>), Vec<Fault>> {
    let mut reader = Reader {
        layers,
        merged,
        known: BTreeSet::new(),
        faults: Vec::new(),
    };
    let run = run(&mut reader);
    let ssh = ssh(&mut reader);
    let archive = archive(&mut reader);
    let dir = reader.get::<PathWord>("state.dir");
    let deadlines = deadlines(&mut reader);
    let Reader { known, faults, .. } = reader;
    let mut unknown = Vec::new();
    for layer in layers {
        unknown_keys(&layer.table, "", &known, &mut unknown);
    }
    // A section that is no section explains the keys that are missing for that reason.
    let mut all = unknown;
    all.extend(faults);
    if let (Some(run), Some(ssh), Some(archive), Some(dir), Some(deadlines)) =
        (run, ssh, archive, dir, deadlines)
        && all.is_empty()
    {
        let state = State { dir: dir.0 };
        let settings = Settings {
            run,
            ssh,
            archive,
            state,
            deadlines,
        };
        return Ok((settings, known));
    }
    Err(all)
}

fn run(reader: &mut Reader<'_>) -> Option<Run> {
    let in_flight = reader.get::<InFlightWord>("run.in_flight");
    let save = reader.get::<SaveWord>("run.save");
    let every = reader.get::<Span>("run.every");
    let grace = reader.get::<Span>("run.grace");
    let attempts = reader.get::<Attempts>("run.attempts");
    let backoff_base = reader.get::<Span>("run.backoff_base");
    let backoff_cap = reader.get::<Span>("run.backoff_cap");
    Some(Run {
        in_flight: in_flight?.0,
        save: save?.into(),
        every: every?.0,
        grace: grace?.0,
        attempts: attempts?.0,
        backoff_base: backoff_base?.0,
        backoff_cap: backoff_cap?.0,
    })
}

fn ssh(reader: &mut Reader<'_>) -> Option<Ssh> {
    let algorithms = reader.get::<AlgorithmWord>("ssh.algorithms");
    let host_keys = reader.get::<HostKeyWord>("ssh.host_keys");
    let known_hosts = reader.get::<PathWord>("ssh.known_hosts");
    Some(Ssh {
        algorithms: algorithms?.into(),
        host_keys: host_keys?.into(),
        known_hosts: known_hosts?.0,
    })
}

fn archive(reader: &mut Reader<'_>) -> Option<ArchiveSettings> {
    let kinds = reader.get::<Vec<KindWord>>("archive.kinds");
    let dir = reader.get::<PathWord>("archive.dir");
    let layout = reader.get::<LayoutWord>("archive.layout");
    let mode = reader.get::<Mode>("archive.mode");
    if kinds.as_ref().is_some_and(Vec::is_empty) {
        let place = reader
            .layers
            .iter()
            .rev()
            .find_map(|layer| find(&layer.table, "archive.kinds"))
            .map_or_else(|| Place::new("settings", None), |list| list.place.clone());
        let message = "must name at least one kind, such as [\"files\"]";
        reader
            .faults
            .push(Fault::error(&place, "archive.kinds", message));
    }
    Some(ArchiveSettings {
        kinds: kinds?.into_iter().map(Into::into).collect(),
        dir: dir?.0,
        layout: layout?.into(),
        mode: mode?.0,
    })
}

fn deadlines(reader: &mut Reader<'_>) -> Option<Deadlines> {
    let mut get = |key: &str| reader.get::<Span>(key).map(|span| span.0);
    let tcp = get("deadlines.tcp");
    let kex = get("deadlines.kex");
    let login = get("deadlines.login");
    let prompt = get("deadlines.prompt");
    let save = get("deadlines.save");
    let backup = get("deadlines.backup");
    let silence = get("deadlines.silence");
    let write = get("deadlines.write");
    let attempt = get("deadlines.attempt");
    Some(Deadlines {
        tcp: tcp?,
        kex: kex?,
        login: login?,
        prompt: prompt?,
        save: save?,
        backup: backup?,
        silence: silence?,
        write: write?,
        attempt: attempt?,
    })
}

/// Keys that nothing reads.
fn unknown_keys(table: &Table, prefix: &str, known: &BTreeSet<String>, faults: &mut Vec<Fault>) {
    for (key, located) in &table.0 {
        let path = format!("{prefix}{}", key.name);
        if !key.name.contains('.') && known.contains(&path) {
            continue;
        }
        let section = format!("{path}.");
        let is_section = known.iter().any(|known| known.starts_with(&section));
        match (&located.value, is_section) {
            (Raw::Table(inner), true) => unknown_keys(inner, &section, known, faults),
            (_, true) => {
                let message = format!(
                    "expected a section [{path}], found {}",
                    located.value.kind()
                );
                faults.push(Fault::error(&key.place, &path, message));
            }
            (_, false) => {
                let message = unknown_message(&path, known);
                faults.push(Fault::error(&key.place, &path, message));
            }
        }
    }
}

fn unknown_message(path: &str, known: &BTreeSet<String>) -> String {
    match path.split('.').next() {
        Some("devices" | "groups" | "defaults") => {
            "is no overall setting; devices, groups and defaults belong into devices.toml"
                .to_owned()
        }
        Some("credentials") => {
            "is no overall setting; credentials belong into credentials.toml".to_owned()
        }
        _ => {
            let near = did_you_mean(path, known.iter().map(String::as_str));
            format!("unknown key{near}")
        }
    }
}
