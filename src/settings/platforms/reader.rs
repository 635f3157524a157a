//! Walks a TOML table key by key and remembers every fault instead of stopping at the first.

mod regex;

pub(super) use regex::Patterns;

use super::PlatformFault;
use crate::model::pattern::PromptPattern;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

type Value<'a> = Spanned<DeValue<'a>>;

/// A platform file.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
    pub(super) patterns: Patterns,
}

struct Source<'a> {
    origin: Origin<'a>,
    faults: RefCell<&'a mut Vec<PlatformFault>>,
}

impl Source<'_> {
    fn fault(&self, at: Option<Range<usize>>, key: String, message: &str) {
        let Origin { file, text, .. } = self.origin;
        let line = at.map(|span| {
            let before = text.get(..span.start).unwrap_or(text);
            before.bytes().filter(|b| *b == b'\n').count() + 1
        });
        self.faults.borrow_mut().push(PlatformFault {
            file: file.to_owned(),
            line,
            key,
            message: message.to_owned(),
        });
    }
}

/// One table of a file, and which of its keys were asked for.
pub(super) struct Section<'a> {
    source: &'a Source<'a>,
    path: String,
    span: Option<Range<usize>>,
    table: &'a DeTable<'a>,
    asked: BTreeSet<String>,
}

/// Parses a file and hands its top table to `visit`; keys that `visit` did not ask for are faults.
pub(super) fn read(
    origin: Origin<'_>,
    faults: &mut Vec<PlatformFault>,
    visit: impl FnOnce(&mut Section<'_>),
) {
    let source = Source {
        origin,
        faults: RefCell::new(faults),
    };
    let (table, errors) = DeTable::parse_recoverable(origin.text);
    for error in &errors {
        source.fault(error.span(), String::new(), error.message());
    }
    if errors.is_empty() {
        let mut section = Section::new(&source, String::new(), None, table.get_ref());
        visit(&mut section);
        section.finish();
    }
}

impl<'a> Section<'a> {
    fn new(
        source: &'a Source<'a>,
        path: String,
        span: Option<Range<usize>>,
        table: &'a DeTable<'a>,
    ) -> Self {
        Self {
            source,
            path,
            span,
            table,
            asked: BTreeSet::new(),
        }
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Records a fault at `key`.
    pub(super) fn fault(&self, key: &str, message: &str) {
        let span = self.table.get(key).map(Spanned::span).or(self.span.clone());
        self.source.fault(span, self.key(key), message);
    }

    /// Records a fault at a key below this section, such as `save.failed[2]`.
    pub(super) fn fault_at(&self, path: &str, message: &str) {
        let mut span = self.span.clone();
        let mut table = Some(self.table);
        for part in path.split('.') {
            let (key, index) = match part.split_once('[') {
                Some((key, index)) => (key, index.trim_end_matches(']').parse::<usize>().ok()),
                None => (part, None),
            };
            let Some(mut value) = table.and_then(|table| table.get(key)) else {
                break;
            };
            let items = value.get_ref().as_array();
            if let Some(item) = index.and_then(|index| items?.get(index)) {
                value = item;
            }
            span = Some(value.span());
            table = value.get_ref().as_table();
        }
        self.source.fault(span, self.key(path), message);
    }

    fn find(&mut self, key: &str) -> Option<&'a Value<'a>> {
        self.asked.insert(key.to_owned());
        self.table.get(key)
    }

    fn need(&mut self, key: &str) -> Option<&'a Value<'a>> {
        let found = self.find(key);
        if found.is_none() {
            self.fault(key, "missing");
        }
        found
    }

    fn finish(self) {
        for (key, _) in self.table.iter() {
            if !self.asked.contains(key.get_ref().as_ref()) {
                let known: Vec<&str> = self.asked.iter().map(String::as_str).collect();
                let message = format!("unknown key; known are {}", known.join(", "));
                let name = self.key(key.get_ref());
                self.source.fault(Some(key.span()), name, &message);
            }
        }
    }

    /// A line that is typed: no control characters.
    pub(super) fn text(&mut self, key: &str) -> String {
        let Some(value) = self.need(key) else {
            return String::new();
        };
        match value.get_ref().as_str() {
            Some(text) if !text.is_empty() && !text.contains(char::is_control) => text.to_owned(),
            Some(_) => {
                self.fault(key, "must not be empty or hold control characters");
                String::new()
            }
            None => {
                self.fault(key, "must be a text in quotes");
                String::new()
            }
        }
    }

    /// Like [`Self::text`], but may be left out.
    pub(super) fn maybe_text(&mut self, key: &str) -> Option<String> {
        self.find(key)?;
        let text = self.text(key);
        (!text.is_empty()).then_some(text)
    }

    /// One line that is typed or a list of them; may be left out.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        if value.get_ref().as_array().is_none() {
            return self.maybe_text(key).into_iter().collect();
        }
        let phrases = self.phrases(key);
        let texts: Vec<String> = phrases
            .iter()
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect();
        if texts.iter().any(|text| text.contains(char::is_control)) {
            self.fault(key, "must not hold control characters");
        }
        texts
    }

    /// At least one line that is typed.
    pub(super) fn some_texts(&mut self, key: &str) -> Vec<String> {
        if self.need(key).is_none() {
            return Vec::new();
        }
        let texts = self.texts(key);
        if texts.is_empty() && self.table.get(key).is_some_and(|v| v.get_ref().is_array()) {
            self.fault(key, "needs at least one text");
        }
        texts
    }

    /// A list of prompt patterns; may be empty or left out.
    pub(super) fn patterns(&mut self, key: &str) -> Vec<PromptPattern> {
        let phrases = self.phrases(key);
        let mut patterns = Vec::new();
        for (index, text) in phrases.iter().enumerate() {
            match PromptPattern::parse(&String::from_utf8_lossy(text)) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => self.fault(key, &format!("pattern {}: {error}", index + 1)),
            }
        }
        patterns
    }

    /// A text that is looked for or typed as it stands.
    pub(super) fn phrase(&mut self, key: &str) -> Vec<u8> {
        if self.need(key).is_none() {
            return Vec::new();
        }
        self.maybe_phrase(key).unwrap_or_default()
    }

    /// Like [`Self::phrase`], but may be left out.
    pub(super) fn maybe_phrase(&mut self, key: &str) -> Option<Vec<u8>> {
        let value = self.find(key)?;
        match value.get_ref().as_str() {
            Some(text) if !text.is_empty() => Some(text.as_bytes().to_vec()),
            _ => {
                self.fault(key, "must be a text in quotes, not empty");
                None
            }
        }
    }

    /// A list of phrases; may be empty or left out.
    pub(super) fn phrases(&mut self, key: &str) -> Vec<Vec<u8>> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            self.fault(key, "must be a list of texts: [\"...\"]");
            return Vec::new();
        };
        let mut phrases = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item.get_ref().as_str() {
                Some(text) if !text.is_empty() => phrases.push(text.as_bytes().to_vec()),
                _ => {
                    let name = format!("{}[{index}]", self.key(key));
                    let message = "must be a text in quotes, not empty";
                    self.source.fault(Some(item.span()), name, message);
                }
            }
        }
        phrases
    }

    /// A list of at least one phrase.
    pub(super) fn some_phrases(&mut self, key: &str) -> Vec<Vec<u8>> {
        if self.need(key).is_none() {
            return Vec::new();
        }
        let phrases = self.phrases(key);
        if phrases.is_empty() {
            self.fault(key, "needs at least one text");
        }
        phrases
    }

    /// A whole number from 0.
    pub(super) fn number(&mut self, key: &str) -> u32 {
        let Some(value) = self.need(key) else {
            return 0;
        };
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok());
        if number.is_none() {
            self.fault(key, "must be a whole number from 0");
        }
        number.unwrap_or_default()
    }

    /// `true` or `false`; left out means `false`.
    pub(super) fn flag(&mut self, key: &str) -> bool {
        let Some(value) = self.find(key) else {
            return false;
        };
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.fault(key, "must be true or false");
        }
        flag.unwrap_or_default()
    }

    /// One of a closed list of words; may be left out.
    pub(super) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.find(key)?.get_ref().as_str();
        let found = words.iter().find(|(word, _)| Some(*word) == text);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.fault(key, &format!("must be one of {}", known.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// A section that must be there.
    pub(super) fn section<T>(
        &mut self,
        key: &str,
        visit: impl FnOnce(&mut Section<'_>) -> T,
    ) -> Option<T> {
        self.need(key)?;
        self.optional(key, visit)
    }

    /// A section that may be left out.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        visit: impl FnOnce(&mut Section<'_>) -> T,
    ) -> Option<T> {
        let value = self.find(key)?;
        self.enter(self.key(key), value, visit)
    }

    /// A list of sections; may be left out.
    pub(super) fn sections<T>(
        &mut self,
        key: &str,
        mut visit: impl FnMut(&mut Section<'_>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            self.fault(key, "must be a list of sections: [[...]]");
            return Vec::new();
        };
        let named = |index: usize| format!("{}[{index}]", self.key(key));
        items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| self.enter(named(index), item, &mut visit))
            .collect()
    }

    fn enter<T>(
        &self,
        path: String,
        value: &'a Value<'a>,
        visit: impl FnOnce(&mut Section<'_>) -> T,
    ) -> Option<T> {
        let Some(table) = value.get_ref().as_table() else {
            self.source
                .fault(Some(value.span()), path, "must be a section: [...]");
            return None;
        };
        let mut section = Section::new(self.source, path, Some(value.span()), table);
        let read = visit(&mut section);
        section.finish();
        Some(read)
    }
}
