//! Regular expressions in a platform file.

use super::{Section, Value};
use crate::model::secrets::{Scope, check_pattern};

/// Whether the regular expressions of a file are tried out. That takes several times as long as all
/// the rest of reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Patterns {
    /// Each is compiled; what is wrong is a fault.
    Checked,
    /// They are compiled in, and a test has checked them.
    Known,
}

impl<'a> Section<'a> {
    /// A regular expression over one line.
    pub(in super::super) fn regex(&mut self, key: &str, scope: Scope) -> String {
        if self.need(key).is_none() {
            return String::new();
        }
        self.maybe_regex(key, scope).unwrap_or_default()
    }

    /// Like [`Self::regex`], but may be left out.
    pub(in super::super) fn maybe_regex(&mut self, key: &str, scope: Scope) -> Option<String> {
        let value = self.find(key)?;
        let pattern = self.checked_regex(value, &self.key(key), scope);
        pattern.map(str::to_owned)
    }

    /// A list of regular expressions over one line; may be empty or left out.
    pub(in super::super) fn regexes(&mut self, key: &str, scope: Scope) -> Vec<String> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            self.fault(key, "must be a list of regular expressions: ['...']");
            return Vec::new();
        };
        let named = |index: usize| format!("{}[{index}]", self.key(key));
        let checked = items.iter().enumerate();
        checked
            .filter_map(|(index, item)| self.checked_regex(item, &named(index), scope))
            .map(str::to_owned)
            .collect()
    }

    fn checked_regex(&self, value: &'a Value<'a>, key: &str, scope: Scope) -> Option<&'a str> {
        let pattern = value.get_ref().as_str();
        let fault = match pattern {
            None => Some("must be a regular expression in quotes: '...'".to_owned()),
            Some(_) if self.source.origin.patterns == Patterns::Known => None,
            Some(pattern) => check_pattern(scope, pattern).err(),
        };
        let Some(fault) = fault else { return pattern };
        self.source
            .fault(Some(value.span()), key.to_owned(), &fault);
        None
    }
}
