//! From layers to settings: every fault of every layer at once.

use super::decode::decode;
use super::entries::EVERY_OR_CRON;
use super::fault::Fault;
use super::layers::{Layer, Origin};
use super::limits::{self, Places, RateWord};
use super::nearest::did_you_mean;
use super::privacy::{self, RedactWord};
use super::raw::{Located, Place, Raw, Table};
use super::trouble;
use super::values::{ArchiveSettings, Run, Settings, Ssh};
use super::ways::{InterfaceWord, OrAny, SourceWord};
use super::words::{
    AlgorithmWord, Attempts, CronWord, Every, HostKeyWord, InFlightWord, KindWord, LayoutWord,
    Mode, OrOff, PathWord, SaveConfirmWord, SaveOrderWord, SaveWord, Span, WindowWord, Zone,
};
use crate::flow::schedule::{Cadence, Schedule};
use crate::model::device::{Deadlines, Egress};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Reads keys: from every layer to check them, from the merged settings to have them.
pub(super) struct Reader<'a> {
    layers: &'a [Layer],
    merged: &'a config::Config,
    known: BTreeSet<String>,
    faults: Vec<Fault>,
    /// Values that the merged settings lack; other faults explain them, if there are any.
    hidden: Vec<Fault>,
}

impl Reader<'_> {
    pub(super) fn get<T>(&mut self, key: &str) -> Option<T>
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
                self.hidden.push(Fault::error(&place, key, message));
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

/// Settings that are sound.
pub(crate) struct Checked {
    pub(crate) settings: Settings,
    /// Where each limit set stands.
    pub(crate) limit_places: Places,
}

/// Turns the layers into settings; every key with a fixed name comes along.
pub(crate) fn settings(
    layers: &[Layer],
    merged: &config::Config,
) -> Result<(Checked, BTreeSet<String>), Vec<Fault>> {
    let mut reader = Reader {
        layers,
        merged,
        known: BTreeSet::new(),
        faults: Vec::new(),
        hidden: Vec::new(),
    };
    let run = run(&mut reader);
    let ssh = ssh(&mut reader);
    let archive = archive(&mut reader);
    let state = trouble::state(&mut reader);
    let breaker = trouble::breaker(&mut reader);
    let deadlines = deadlines(&mut reader);
    let redact = privacy::redact(&mut reader);
    let record = privacy::record(&mut reader);
    let (sets, limit_places) = limits::read(layers, &mut reader.faults);
    let known = reader.known;
    let mut all = Vec::new();
    for layer in layers {
        unknown_keys(&layer.table, "", &known, &mut all);
    }
    all.extend(reader.faults);
    if all.is_empty() {
        all = reader.hidden;
    }
    if let (Some(run), Some(ssh), Some(archive), Some(state), Some(breaker), Some(deadlines)) =
        (run, ssh, archive, state, breaker, deadlines)
        && let (Some(redact), Some(record)) = (redact, record)
        && all.is_empty()
    {
        let settings = Settings {
            run,
            ssh,
            archive,
            state,
            breaker,
            deadlines,
            limits: sets,
            redact,
            record,
        };
        let checked = Checked {
            settings,
            limit_places,
        };
        return Ok((checked, known));
    }
    Err(all)
}

fn run(reader: &mut Reader<'_>) -> Option<Run> {
    let in_flight = reader.get::<InFlightWord>("run.in_flight");
    let logins = reader.get::<RateWord>("run.logins_per_second");
    let save = reader.get::<SaveWord>("run.save");
    let schedule = schedule(reader);
    let save_order = reader.get::<SaveOrderWord>("run.save_order");
    let save_confirm = reader.get::<SaveConfirmWord>("run.save_confirm");
    let grace = reader.get::<Span>("run.grace");
    let attempts = reader.get::<Attempts>("run.attempts");
    let backoff_base = reader.get::<Span>("run.backoff_base");
    let backoff_cap = reader.get::<Span>("run.backoff_cap");
    Some(Run {
        in_flight: in_flight?.0,
        logins: logins?.0,
        save: save?.into(),
        save_written: is_written(reader.layers, "run.save"),
        save_order: save_order?.into(),
        save_confirm: save_confirm?.into(),
        schedule: schedule?,
        grace: grace?.0,
        attempts: attempts?.0,
        backoff_base: backoff_base?.0,
        backoff_cap: backoff_cap?.0,
    })
}

/// The schedule of devices for which nothing else is said.
fn schedule(reader: &mut Reader<'_>) -> Option<Schedule> {
    let every = reader.get::<Every>("run.every");
    let cron = reader.get::<OrOff<CronWord>>("run.cron");
    let window = reader.get::<OrOff<WindowWord>>("run.between");
    let zone = reader.get::<Zone>("run.time_zone");
    let within = reader.get::<OrOff<Span>>("run.finish_within");
    let cadence = match (every?, cron?.0) {
        (_, Some(cron)) if cron_counts(reader)? => Cadence::Cron(cron.0),
        (every, _) => Cadence::Every(every.0),
    };
    let schedule = Schedule {
        cadence,
        window: window?.0.map(|word| word.0),
        finish_within: within?.0.map(|span| span.0),
        zone: zone?.0,
    };
    if schedule.is_never_due() {
        let place = place_of(reader.layers, "run.between");
        let fault = Fault::error(&place, "run.between", NEVER_DUE);
        reader.faults.push(fault);
        return None;
    }
    Some(schedule)
}

/// What is told where a cron line and a window do not go together.
pub(crate) const NEVER_DUE: &str = "no moment of `cron` falls into this window, so nothing would \
     ever be due; mind that both count in `time_zone`";

/// Whether `run.cron` counts rather than `run.every`: the one that a later layer says. `None` where
/// one layer says both.
fn cron_counts(reader: &mut Reader<'_>) -> Option<bool> {
    let every = written_last(reader.layers, "run.every")?.0;
    let (cron, value) = written_last(reader.layers, "run.cron")?;
    if every == cron {
        let fault = Fault::error(&value.place, "run.cron", EVERY_OR_CRON);
        reader.faults.push(fault);
        return None;
    }
    Some(cron > every)
}

/// What was written last for a key, and in which layer.
fn written_last<'a>(layers: &'a [Layer], key: &str) -> Option<(Origin, &'a Located)> {
    layers
        .iter()
        .rev()
        .find_map(|layer| find(&layer.table, key).map(|value| (layer.origin, value)))
}

/// Where a key was written last.
fn place_of(layers: &[Layer], key: &str) -> Place {
    written_last(layers, key).map_or_else(
        || Place::new("settings", None),
        |(_, value)| value.place.clone(),
    )
}

/// Whether the operator wrote a key, in whatever layer.
fn is_written(layers: &[Layer], key: &str) -> bool {
    written_last(layers, key).is_some_and(|(origin, _)| origin > Origin::CompiledIn)
}

fn ssh(reader: &mut Reader<'_>) -> Option<Ssh> {
    let algorithms = reader.get::<AlgorithmWord>("ssh.algorithms");
    let host_keys = reader.get::<HostKeyWord>("ssh.host_keys");
    let known_hosts = reader.get::<PathWord>("ssh.known_hosts");
    let extra = reader.get::<Vec<PathWord>>("ssh.known_hosts_extra");
    let source = reader.get::<OrAny<SourceWord>>("ssh.source");
    let interface = reader.get::<OrAny<InterfaceWord>>("ssh.interface");
    Some(Ssh {
        algorithms: algorithms?.into(),
        host_keys: host_keys?.into(),
        known_hosts: known_hosts?.0,
        known_hosts_extra: extra?.into_iter().map(|path| path.0).collect(),
        egress: Egress {
            source: source?.0.map(|word| word.0),
            interface: interface?.0.map(|word| word.0),
        },
    })
}

fn archive(reader: &mut Reader<'_>) -> Option<ArchiveSettings> {
    let kinds = reader.get::<Vec<KindWord>>("archive.kinds");
    let dir = reader.get::<PathWord>("archive.dir");
    let layout = reader.get::<LayoutWord>("archive.layout");
    let mode = reader.get::<Mode>("archive.mode");
    let git_dir = reader.get::<PathWord>("archive.git_dir");
    let commit_every = reader.get::<Span>("archive.commit_every");
    let secrets = reader.get::<RedactWord>("archive.redact");
    if kinds.as_ref().is_some_and(Vec::is_empty) {
        let place = place_of(reader.layers, "archive.kinds");
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
        git_dir: git_dir?.0,
        commit_every: commit_every?.0,
        secrets: secrets?.0,
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
        if path == limits::SECTION {
            continue;
        }
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
            let names = known.iter().map(String::as_str).chain([limits::SECTION]);
            let near = did_you_mean(path, names);
            format!("unknown key{near}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::layers::{self, DEFAULT_TOML};
    use crate::settings::raw;
    use crate::settings::{InFlight, Source};
    use std::path::PathBuf;

    fn source(env: &[(&str, &str)], flags: &[(&str, &str)]) -> Source {
        let owned = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect()
        };
        Source {
            dir: PathBuf::from("no-such-folder"),
            env: owned(env),
            flags: owned(flags),
        }
    }

    fn read(source: &Source) -> Result<(Settings, BTreeSet<String>), Vec<Fault>> {
        let layers = layers::read(source)?;
        let (checked, known) = settings(&layers, &layers::merge(&layers).unwrap())?;
        Ok((checked.settings, known))
    }

    fn leaves(table: &Table, prefix: &str, found: &mut BTreeSet<String>) {
        for (key, value) in &table.0 {
            let path = format!("{prefix}{}", key.name);
            match &value.value {
                Raw::Table(inner) => leaves(inner, &format!("{path}."), found),
                _ => {
                    found.insert(path);
                }
            }
        }
    }

    #[test]
    fn default_toml_documents_every_key_and_no_other() {
        let (settings, known) = read(&source(&[], &[])).unwrap();
        let mut written = BTreeSet::new();
        let table = raw::parse("default.toml", DEFAULT_TOML).ok().unwrap();
        leaves(&table, "", &mut written);
        assert_eq!(written, known);
        assert_eq!(settings.deadlines, Deadlines::default());
        // Each key has a comment above it, alone or with its neighbours.
        let mut explained = false;
        for line in DEFAULT_TOML.lines() {
            match line.chars().next() {
                Some('#') => explained = true,
                None => explained = false,
                Some('[') => {}
                Some(_) => assert!(explained, "{line}"),
            }
        }
    }

    #[test]
    fn later_layers_win() {
        let env = [
            ("WRMEM__RUN__IN_FLIGHT", "7"),
            ("WRMEM__RUN__EVERY", "5m"),
            ("WRMEM__ARCHIVE__KINDS", "[\"files\"]"),
            ("WRMEM__ARCHIVE__MODE", "0640"),
            ("WRMEM_OTHER", "x"),
            ("HOME", "/"),
        ];
        let flags = [("run.every", "\"9m\""), ("run.save", "never")];
        let (settings, _) = read(&source(&env, &flags)).unwrap();
        assert_eq!(
            settings.run.in_flight,
            InFlight::Limit(7.try_into().unwrap())
        );
        assert_eq!(settings.run.schedule.to_string(), "every 9m");
        assert!(settings.run.save_written);
        assert_eq!(settings.run.save, crate::model::device::SavePolicy::Never);
        assert_eq!(settings.archive.mode, 0o640);
    }

    #[test]
    fn faults_of_the_environment_name_the_variable_and_no_value() {
        let env = [
            ("WRMEM__CREDENTIALS__LAB__PASSWORD", "planted"),
            ("WRMEM__DEVICES__CSR1__HOST", "planted"),
            ("WRMEM__RUN__EVERY", "planted"),
            ("WRMEM__RUN__EVRY", "planted"),
            ("WRMEM__RUN", "planted"),
            ("WRMEM__ARCHIVE__KINDS", "[]"),
        ];
        let flags = [("ssh.host_keys", "planted")];
        let faults = read(&source(&env, &flags)).err().unwrap();
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        let told = told.join("\n");
        for expected in [
            "environment variable WRMEM__CREDENTIALS__LAB__PASSWORD: credentials: is no overall",
            "environment variable WRMEM__DEVICES__CSR1__HOST: devices: is no overall setting",
            "environment variable WRMEM__RUN__EVERY: run.every: expected a duration",
            "WRMEM__RUN__EVRY: run.evry: unknown key; did you mean `run.every`?",
            "environment variable WRMEM__RUN: run: expected a section [run], found text",
            "command line: ssh.host_keys: must be \"strict\", \"accept-new\" or \"off\"",
            "WRMEM__ARCHIVE__KINDS: archive.kinds: must name at least one kind",
        ] {
            assert!(told.contains(expected), "{expected}\n--\n{told}");
        }
        assert_eq!(faults.len(), 7, "{told}");
        assert!(!told.contains("planted"), "{told}");
    }

    #[test]
    fn a_quoted_dotted_key_is_no_path() {
        let layers = vec![Layer {
            origin: Origin::WrmemToml,
            table: raw::parse("wrmem.toml", "\"run.every\" = \"1h\"")
                .ok()
                .unwrap(),
        }];
        let merged = layers::merge(&layers).unwrap();
        let faults = settings(&layers, &merged).err().unwrap();
        assert_eq!(faults[0].key, "run.every");
        assert!(
            faults[0].message.starts_with("unknown key"),
            "{}",
            faults[0]
        );
    }
}
