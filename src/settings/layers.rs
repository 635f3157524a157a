//! The layers of the overall settings, later wins: `default.toml`, `wrmem.toml`, environment,
//! flags.
//!
//! Each layer keeps its located values for the check; the `config` crate lays them over each other.

use super::Source;
use super::fault::Fault;
use super::files::{self, Presence};
use super::raw::{self, Key, Located, Place, Raw, Table};
use config::{ConfigError, Map, Value, ValueKind};
use std::path::Path;

/// The settings that are compiled in.
pub(crate) const DEFAULT_TOML: &str = include_str!("../../settings/default.toml");

const ENV_PREFIX: &str = "WRMEM__";

/// Where a layer comes from; later ones win. The environment is one layer for each variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    CompiledIn,
    DefaultToml,
    WrmemToml,
    Environment,
    CommandLine,
}

/// One layer.
pub(crate) struct Layer {
    pub(crate) origin: Origin,
    pub(crate) table: Table,
}

/// Reads every layer, lowest first.
pub(crate) fn read(source: &Source) -> Result<Vec<Layer>, Vec<Fault>> {
    let mut layers = Vec::new();
    let mut faults = Vec::new();
    let mut take = |origin: Origin, parsed: Result<Table, Vec<Fault>>| match parsed {
        Ok(table) => layers.push(Layer { origin, table }),
        Err(more) => faults.extend(more),
    };
    take(
        Origin::CompiledIn,
        raw::parse("compiled-in default.toml", DEFAULT_TOML),
    );
    for (name, origin) in [
        ("default.toml", Origin::DefaultToml),
        ("wrmem.toml", Origin::WrmemToml),
    ] {
        if let Some(parsed) = file(&source.dir.join(name)) {
            take(origin, parsed);
        }
    }
    for (name, text) in sorted(&source.env) {
        if let Some(path) = name.strip_prefix(ENV_PREFIX) {
            let path = path.to_lowercase().replace("__", ".");
            let parsed = single(&format!("environment variable {name}"), &path, text);
            take(Origin::Environment, parsed);
        }
    }
    for (path, text) in &source.flags {
        take(Origin::CommandLine, single("command line", path, text));
    }
    if faults.is_empty() {
        Ok(layers)
    } else {
        Err(faults)
    }
}

fn sorted(env: &[(String, String)]) -> Vec<(&str, &str)> {
    let mut env: Vec<_> = env
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    env.sort_unstable();
    env
}

fn file(path: &Path) -> Option<Result<Table, Vec<Fault>>> {
    match files::read(path) {
        Ok(Presence::Missing) => None,
        Ok(Presence::There(text)) => Some(raw::parse(&path.display().to_string(), &text)),
        Err(fault) => Some(Err(vec![fault])),
    }
}

/// A layer of one value: TOML where the text is TOML, else text.
fn single(file: &str, path: &str, text: &str) -> Result<Table, Vec<Fault>> {
    let place = Place::new(file, None);
    if path.is_empty() || path.split('.').any(str::is_empty) {
        let message = "names no setting; write it like WRMEM__RUN__IN_FLIGHT";
        return Err(vec![Fault::error(&place, "", message)]);
    }
    let parsed = raw::parse(file, &format!("value = {text}"))
        .ok()
        .filter(|table| table.0.len() == 1 && !text.contains('\n'))
        .and_then(|table| table.0.into_iter().next())
        .map_or_else(|| Raw::text(text), |(_, located)| located.value);
    let mut value = unlined(parsed, &place);
    for name in path.rsplit('.') {
        let key = Key {
            name: name.to_owned(),
            place: place.clone(),
        };
        value = Located {
            place: place.clone(),
            value: Raw::Table(Table(vec![(key, value)])),
        };
    }
    match value.value {
        Raw::Table(table) => Ok(table),
        _ => Ok(Table::default()),
    }
}

/// Takes the line numbers away: a variable has none.
fn unlined(value: Raw, place: &Place) -> Located {
    let value = match value {
        Raw::List(list) => Raw::List(
            list.into_iter()
                .map(|item| unlined(item.value, place))
                .collect(),
        ),
        other => other,
    };
    Located {
        place: place.clone(),
        value,
    }
}

/// Lays the layers over each other.
pub(crate) fn merge(layers: &[Layer]) -> Result<config::Config, ConfigError> {
    let mut builder = config::Config::builder();
    for layer in layers {
        builder = builder.add_source(Merged(map(&layer.table)));
    }
    builder.build()
}

/// A layer as the `config` crate wants it, each value with its origin.
#[derive(Clone, Debug)]
struct Merged(Map<String, Value>);

impl config::Source for Merged {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

fn map(table: &Table) -> Map<String, Value> {
    table
        .0
        .iter()
        .map(|(key, located)| (key.name.clone(), value(located)))
        .collect()
}

fn value(located: &Located) -> Value {
    let kind = match &located.value {
        Raw::Text(text) => ValueKind::String(text.to_string()),
        Raw::Integer(number) => ValueKind::I64(*number),
        Raw::Float(number) => ValueKind::Float(*number),
        Raw::Boolean(value) => ValueKind::Boolean(*value),
        Raw::List(list) => ValueKind::Array(list.iter().map(value).collect()),
        Raw::Table(table) => ValueKind::Table(map(table)),
        Raw::Other(_) => ValueKind::Nil,
    };
    Value::new(Some(&located.place.show()), kind)
}
