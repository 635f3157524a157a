//! Following the output of the config command line by line. Pure: it only looks.

use super::Echo;
use crate::model::failure::FailureKind;
use crate::model::platform::{ConfigDialogue, Platform, ProofRule};
use crate::text::braces::Braces;
use crate::text::opaque::Tracker;
use crate::text::prompt::Prompt;
use crate::text::{phrase, syslog};
use std::ops::Range;

/// By how many bytes a device's count may differ from ours. What IOS counts is not documented: with
/// or without the carriage returns, the header, the last line. The count only ever spares the quiet
/// time after `end` and the prompt, so it may be generous, but not so much that a cut just before
/// the end would pass.
const COUNT_TOLERANCE: u64 = 64;

/// The output of the config command, as far as it came.
pub(super) struct Capture<'a> {
    platform: &'a Platform,
    /// None where the output has a channel of its own: there is nothing else in it.
    prompt: Option<&'a Prompt>,
    command: &'a str,
    echo: Echo,
    scanned: usize,
    begin: Option<usize>,
    opaque: Tracker,
    /// Where the config ends, if the last line that counts was the end line; where there is no end
    /// line, after the last line that counts.
    end: Option<End>,
    braces: Braces,
    /// What the device said within the config that makes it no whole one.
    fault: Option<(FailureKind, Range<usize>)>,
    /// What follows on the line that names the device.
    named: Option<Range<usize>>,
    /// Which of the lines that a whole config has were seen.
    held: Vec<bool>,
    lifted: Vec<Lifted>,
    /// Where a blank line begins that ended last.
    blank: Option<usize>,
    /// Whether the config has blank lines that nothing but itself explains.
    has_blanks: bool,
    announced: Option<u64>,
    refusal: Option<(FailureKind, Range<usize>)>,
    last: Range<usize>,
}

/// A log message between the lines of the config.
struct Lifted {
    place: Range<usize>,
    /// Where the blank line before it begins: a device may move to a fresh line before it logs.
    blank: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    at: usize,
    inside: bool,
}

/// How the output ends, when the prompt stands after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With the end line, and the byte count agrees.
    Counted,
    /// With the end line, or with one inside a block, where only the byte count tells it from text.
    Marked,
    /// Without an end line, which the platform does not have, and with balanced braces.
    Balanced,
    /// Without an end line, which the platform does not have.
    Plain,
    /// Without it.
    Open,
}

impl<'a> Capture<'a> {
    /// The output of `command`, before its first byte.
    pub(super) fn new(
        platform: &'a Platform,
        prompt: &'a Prompt,
        command: &'a str,
        echo: Echo,
    ) -> Self {
        Self {
            prompt: Some(prompt),
            echo,
            ..Self::of_channel(platform, command)
        }
    }

    /// The output of `command` on a channel of its own, before its first byte.
    pub(super) fn of_channel(platform: &'a Platform, command: &'a str) -> Self {
        Self {
            platform,
            prompt: None,
            command,
            echo: Echo::Hidden,
            scanned: 0,
            begin: None,
            opaque: Tracker::default(),
            end: None,
            braces: Braces::default(),
            fault: None,
            named: None,
            held: vec![false; platform.config.holds.len()],
            lifted: Vec::new(),
            blank: None,
            has_blanks: false,
            announced: None,
            refusal: None,
            last: 0..0,
        }
    }

    /// Looks at the whole lines of `text` that it has not seen; they end at `until`.
    pub(super) fn scan(&mut self, text: &[u8], until: usize) {
        while self.scanned < until {
            let rest = text.get(self.scanned..until).unwrap_or_default();
            let Some(len) = rest.iter().position(|b| *b == b'\n') else {
                return;
            };
            let line = rest.get(..len).unwrap_or_default();
            let place = self.scanned..self.scanned + len + 1;
            self.scanned = place.end;
            if self.begin.is_some() {
                self.body_line(line, place);
            } else {
                self.head_line(line, place);
            }
        }
    }

    fn dialogue(&self) -> &'a ConfigDialogue {
        &self.platform.config
    }

    fn head_line(&mut self, line: &[u8], place: Range<usize>) {
        let trimmed = line.trim_ascii();
        let pointer = phrase::is_pointer(trimmed) && self.echo == Echo::Hidden;
        let nothing = trimmed.is_empty() || pointer;
        if nothing || self.is_bare_prompt(line) || self.is_foreign(line) {
            return;
        }
        if self.echo == Echo::Shown {
            self.echo = Echo::Hidden;
            return;
        }
        if let Some(kind) = self.refusal_of(line) {
            self.refusal.get_or_insert((kind, place.clone()));
        }
        self.last = place.clone();
        let dialogue = self.dialogue();
        if phrase::begins_any(line, &dialogue.header) {
            return;
        }
        match &dialogue.begin {
            Some(begin) if trimmed.starts_with(begin) => {
                self.begin = Some(place.end);
                self.announced = dialogue
                    .count
                    .as_ref()
                    .and_then(|c| phrase::number_after(trimmed, c));
                self.refusal = None;
            }
            Some(_) => {}
            None if self.refusal.is_none() => {
                self.begin = Some(place.start);
                self.body_line(line, place);
            }
            None => {}
        }
    }

    fn body_line(&mut self, line: &[u8], place: Range<usize>) {
        let inside = self.opaque.line(line, &self.dialogue().opaque);
        let blank = self.blank.take();
        if line.trim_ascii().is_empty() {
            self.blank = (!inside).then_some(place.start);
            return;
        }
        if !inside && self.is_foreign(line) {
            self.lifted.push(Lifted { place, blank });
            return;
        }
        self.has_blanks |= blank.is_some() && self.end.is_none_or(|end| Some(end.at) != blank);
        self.look_for_end(line, &place, inside);
        if !inside {
            self.look_for_meaning(line, &place);
        }
        self.last = place;
    }

    fn look_for_end(&mut self, line: &[u8], place: &Range<usize>, inside: bool) {
        let end = End {
            at: place.end,
            inside,
        };
        match &self.dialogue().proof {
            ProofRule::Marker(marker) => {
                if line.trim_ascii_end() == marker.as_slice() {
                    self.end = Some(end);
                } else if self.end.is_some() && !self.is_after_end(line) {
                    self.end = None;
                }
            }
            rule @ (ProofRule::Braces(_) | ProofRule::Weak(_) | ProofRule::Exit) => {
                if self.is_after_end(line) || phrase::is_any(line, &self.platform.prompt.above) {
                    return;
                }
                self.end = Some(end);
                if matches!(rule, ProofRule::Braces(_)) {
                    self.braces.line(line);
                }
            }
        }
    }

    fn look_for_meaning(&mut self, line: &[u8], place: &Range<usize>) {
        let dialogue = self.dialogue();
        let names = |name: &&Vec<u8>| self.named.is_none() && line.starts_with(name);
        if let Some(name) = dialogue.hostname.as_ref().filter(names) {
            self.named = Some(place.start + name.len()..place.end);
        }
        for (wanted, held) in dialogue.holds.iter().zip(&mut self.held) {
            *held = *held || line.starts_with(wanted);
        }
        let fault = dialogue
            .faults
            .iter()
            .find(|f| phrase::holds(line, &f.text))
            .filter(|_| !phrase::begins_any(line, &dialogue.harmless));
        if let Some(fault) = fault {
            self.fault.get_or_insert((fault.kind, place.clone()));
        }
    }

    /// What the device said within the config that makes it no whole one, and where.
    pub(super) fn fault(&self) -> Option<(FailureKind, Range<usize>)> {
        self.fault.clone()
    }

    /// How the config names the device.
    pub(super) fn hostname(&self, text: &[u8]) -> Option<String> {
        let name = phrase::unquoted(text.get(self.named.clone()?)?);
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// The beginning of a line that a whole config has and this one has not.
    pub(super) fn lacks(&self) -> Option<&'a [u8]> {
        let wanted = self.dialogue().holds.iter().zip(&self.held);
        let mut missing = wanted.filter(|(_, held)| !**held);
        missing.next().map(|(wanted, _)| wanted.as_slice())
    }

    /// Whether a line may stand after the end: a prompt that was not the last one.
    fn is_after_end(&self, line: &[u8]) -> bool {
        let rest = self.prompt.and_then(|prompt| prompt.after(line));
        rest.is_some_and(|rest| {
            rest.trim_ascii().is_empty() || self.is_foreign(rest.trim_ascii_start())
        })
    }

    fn is_bare_prompt(&self, line: &[u8]) -> bool {
        self.prompt.is_some_and(|prompt| prompt.is(line))
    }

    /// Whether a line is a log message that came between the lines of the output.
    fn is_foreign(&self, line: &[u8]) -> bool {
        self.prompt.is_some() && syslog::is_message_of(line, &self.platform.log)
    }

    fn refusal_of(&self, line: &[u8]) -> Option<FailureKind> {
        let line = line.trim_ascii_start();
        let refusals = &self.platform.refusals;
        refusals
            .iter()
            .find(|refusal| line.starts_with(&refusal.text))
            .map(|refusal| refusal.kind)
    }

    /// Whether the unfinished line begins with a refusal: the device may be stuck in it.
    pub(super) fn is_refusing(&self, tail: &[u8]) -> bool {
        self.begin.is_none() && self.echo == Echo::Hidden && self.refusal_of(tail).is_some()
    }

    /// What the device refused with instead of a config, and where it said so: before the config,
    /// on the unfinished line, or as the last line.
    pub(super) fn refusal(&self, text: &[u8], tail: usize) -> Option<(FailureKind, Range<usize>)> {
        if self.begin.is_none() {
            let unfinished = text.get(tail..).unwrap_or_default();
            let hidden = self.echo == Echo::Hidden;
            let now = self.refusal_of(unfinished).filter(|_| hidden);
            let now = now.map(|kind| (kind, tail..text.len()));
            return self.refusal.clone().or(now);
        }
        let last = text.get(self.last.clone()).unwrap_or_default();
        self.refusal_of(last).map(|kind| (kind, self.last.clone()))
    }

    /// What was typed to get it.
    pub(super) fn command(&self) -> &'a str {
        self.command
    }

    /// Whether the config has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.begin.is_some()
    }

    /// Whether an unfinished line is one of those before the config, or may become one.
    pub(super) fn is_heading(&self, tail: &[u8]) -> bool {
        let tail = tail.trim_ascii();
        let dialogue = self.dialogue();
        let mut known = dialogue.header.iter().chain(&dialogue.begin);
        known.any(|known| tail.starts_with(known) || known.starts_with(tail))
    }

    /// How many log messages were lifted out.
    pub(super) fn lifted(&self) -> usize {
        self.lifted.len()
    }

    /// The byte count that the device announced.
    pub(super) fn announced(&self) -> Option<u64> {
        self.announced
    }

    /// How the output ends, seen from a prompt after it.
    pub(super) fn ending(&self, text: &[u8]) -> Ending {
        let Some(end) = self.end else {
            return Ending::Open;
        };
        match self.dialogue().proof {
            ProofRule::Weak(_) | ProofRule::Exit => Ending::Plain,
            ProofRule::Braces(_) if self.braces.balanced() => Ending::Balanced,
            ProofRule::Braces(_) => Ending::Open,
            ProofRule::Marker(_) => match (end.inside, self.count_agrees(text)) {
                (false, true) => Ending::Counted,
                (false, false) | (true, true) => Ending::Marked,
                (true, false) => Ending::Open,
            },
        }
    }

    /// Whether its end line was seen and nothing after it.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.ending(&[]), Ending::Counted | Ending::Marked)
    }

    fn count_agrees(&self, text: &[u8]) -> bool {
        let (Some(announced), Some(begin), Some(end)) = (self.announced, self.begin, self.end)
        else {
            return false;
        };
        let body = text.get(begin..end.at).unwrap_or_default();
        let lifted = self.gaps().filter(|gap| gap.start < end.at);
        let lifted: usize = lifted.map(|gap| gap.len()).sum();
        let bytes = (body.len() - lifted.min(body.len())) as u64;
        if bytes.abs_diff(announced) <= COUNT_TOLERANCE {
            return true;
        }
        let lines = body.iter().filter(|b| **b == b'\n').count() as u64;
        (bytes + lines).abs_diff(announced) <= COUNT_TOLERANCE
    }

    /// What is left out. In a config without blank lines of its own the one before a message is the
    /// message's.
    fn gaps(&self) -> impl Iterator<Item = Range<usize>> {
        self.lifted.iter().map(|Lifted { place, blank }| {
            let blank = blank.filter(|_| !self.has_blanks);
            blank.unwrap_or(place.start)..place.end
        })
    }

    /// The config: from the line after the header through the end line, log messages lifted out.
    pub(super) fn config(&self, mut text: Vec<u8>) -> Vec<u8> {
        let (Some(begin), Some(end)) = (self.begin, self.end) else {
            return Vec::new();
        };
        if self.lifted.is_empty() {
            text.truncate(end.at);
            text.drain(..begin.min(end.at));
            return text;
        }
        let mut config = Vec::with_capacity(end.at - begin);
        let mut from = begin;
        for gap in self.gaps().filter(|gap| gap.start < end.at) {
            config.extend_from_slice(text.get(from..gap.start).unwrap_or_default());
            from = gap.end;
        }
        config.extend_from_slice(text.get(from..end.at).unwrap_or_default());
        config
    }
}
