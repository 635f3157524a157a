//! Which devices are meant by names, patterns and groups.

use super::inventory::{Inventory, Item};
use super::nearest::did_you_mean;
use super::select::{SelectError, Selection};
use crate::model::device::{DeviceName, GroupName};
use glob::{MatchOptions, Pattern};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The items that are meant.
pub(super) struct Wanted<'a> {
    /// In the order of the inventory.
    pub(super) items: Vec<&'a Item>,
    /// Those meant by their very names.
    pub(super) named: HashSet<DeviceName>,
}

/// Whether `name` is a pattern: no device's name can have these signs.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// Signs as in a shell, and no sign is special for paths.
const AS_NAMES: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: false,
    require_literal_leading_dot: false,
};

/// The items that `selection` means.
pub(super) fn wanted<'a>(
    inventory: &'a Inventory,
    selection: &Selection,
) -> Result<Wanted<'a>, SelectError> {
    let everything = selection.names.is_empty() && selection.groups.is_empty();
    let names = Names::of(inventory.items.iter().map(|item| item.name().as_str()));
    let mut unknown = Vec::new();
    let mut chosen = HashSet::new();
    let mut named = HashSet::new();
    for name in &selection.names {
        match names.find(name) {
            Ok(found) => {
                if !is_pattern(name) {
                    let items = found.iter().filter_map(|at| inventory.items.get(*at));
                    named.extend(items.map(|item| item.name().clone()));
                }
                chosen.extend(found);
            }
            Err(told) => unknown.push(told),
        }
    }
    let groups = || inventory.groups.iter().map(GroupName::as_str);
    for name in &selection.groups {
        if !groups().any(|group| group == name) {
            let near = did_you_mean(name, groups());
            unknown.push(format!("there is no group {name:?}{near}"));
        }
    }
    if !unknown.is_empty() {
        return Err(SelectError::Unknown(unknown));
    }
    let in_group = |item: &Item| {
        let own = item.group();
        own.is_some_and(|own| selection.groups.iter().any(|group| group == own))
    };
    let within = |item: &Item| {
        let only = selection.only.as_ref();
        only.is_none_or(|only| only.contains(&folded(item.name().as_str())))
    };
    let items: Vec<_> = inventory
        .items
        .iter()
        .enumerate()
        .filter(|(at, item)| everything || chosen.contains(at) || in_group(item))
        .map(|(_, item)| item)
        .filter(|item| within(item))
        .collect();
    if items.is_empty() {
        return Err(SelectError::Nothing);
    }
    Ok(Wanted { items, named })
}

/// Upper and lower case make no difference.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// Names that can be meant.
struct Names<'a> {
    names: Vec<&'a str>,
    places: BTreeMap<String, usize>,
}

impl<'a> Names<'a> {
    fn of(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<_> = names.collect();
        let places = names.iter().enumerate();
        Self {
            places: places.map(|(at, name)| (folded(name), at)).collect(),
            names,
        }
    }

    /// The places of the names that `name` means, at least one.
    fn find(&self, name: &str) -> Result<Vec<usize>, String> {
        if is_pattern(name) {
            return self.matching(name);
        }
        match self.places.get(&folded(name)) {
            Some(at) => Ok(vec![*at]),
            None => {
                let near = did_you_mean(name, self.names.iter().copied());
                Err(format!("there is no device {name:?}{near}"))
            }
        }
    }

    fn matching(&self, name: &str) -> Result<Vec<usize>, String> {
        let pattern = Pattern::new(&folded(name))
            .map_err(|error| format!("{name:?} is no pattern: {}", error.msg))?;
        let found: Vec<_> = self
            .places
            .iter()
            .filter(|(name, _)| pattern.matches_with(name, AS_NAMES))
            .map(|(_, at)| *at)
            .collect();
        if found.is_empty() {
            return Err(format!(
                "no device matches {name:?} (`*` any text, `?` one sign, `[a-c]` one of these; put \
                 a pattern in quotes, so that the shell leaves it alone)"
            ));
        }
        Ok(found)
    }
}

/// Those of the `known` names that are meant by names and patterns, each once, in the order of `known`.
///
/// # Errors
/// When a name is unknown or a pattern matches nothing.
pub fn known_names(wanted: &[String], known: &[String]) -> Result<Vec<String>, SelectError> {
    let names = Names::of(known.iter().map(String::as_str));
    let mut chosen = BTreeSet::new();
    let mut unknown = Vec::new();
    for name in wanted {
        match names.find(name) {
            Ok(found) => chosen.extend(found),
            Err(told) => unknown.push(told),
        }
    }
    if !unknown.is_empty() {
        return Err(SelectError::Unknown(unknown));
    }
    let chosen = chosen.into_iter().filter_map(|at| known.get(at).cloned());
    Ok(chosen.collect())
}
