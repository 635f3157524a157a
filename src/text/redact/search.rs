//! Masking within one line.

use super::mask::{Mask, is_masked, masks_in};
use crate::model::secrets::{Scope, Secrets};
use std::borrow::Cow;
use std::ops::Range;

/// How often a pattern is looked for in one line; what follows is masked unseen, so that a line of
/// megabytes costs no more than any other text of its size.
const FINDS_MAX: usize = 64;

/// How often a line is looked at again after masking: what is masked may make another rule match.
/// After that all of it is masked.
const ROUNDS_MAX: usize = 4;

/// Which rules count on a line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reach<'a> {
    /// Those of these blocks, and those that count anywhere.
    Within(&'a [usize]),
    /// All, whatever block they belong to: the line is one of a text without structure.
    Text,
    /// All, and those for lines that are shown without those around them.
    Alone,
}

impl Reach<'_> {
    fn has(self, scope: Scope, secrets: &Secrets, plain: bool) -> bool {
        match (self, scope) {
            (_, Scope::Line) => true,
            (_, Scope::Common) => !plain,
            (Self::Within(blocks), Scope::Within(block)) => blocks.contains(&block),
            // The lines of a block with an end need no mark of their own: anything would match.
            (Self::Text | Self::Alone, Scope::Within(block)) => !secrets.has_end(block),
            (Self::Alone, Scope::Alone) => !plain,
            _ => false,
        }
    }
}

/// What was found out about a line.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The line with its secrets masked; `None` where it holds none.
    pub(super) masked: Option<Vec<u8>>,
    /// The blocks that it opens, masked or not.
    pub(super) begins: Vec<usize>,
    /// The blocks that it would end once it is masked.
    pub(super) ends: Vec<usize>,
}

/// Masks the secrets of `line`, which has no line end.
pub(super) fn look(line: &[u8], secrets: &Secrets, reach: Reach<'_>, mask: Mask<'_>) -> Seen {
    let mut seen = Seen::default();
    for round in 0..=ROUNDS_MAX {
        let now = seen.masked.as_deref().unwrap_or(line);
        let masks = masks_in(now);
        let matched = blotted(now, &masks);
        let mut matching = secrets.matching(&matched);
        if let Reach::Within(blocks) = reach {
            let ended = blocks.iter().filter(|block| secrets.has_end(**block));
            matching.extend(ended.flat_map(|block| secrets.of_block(*block)));
        }
        let search = Search::new(&matched, masks, &matching, secrets);
        let mut spans = search.spans(&matching, reach);
        if round == ROUNDS_MAX && !spans.is_empty() {
            // Whatever the rules make of masks, nothing else is left for them.
            spans = search.open_pieces(0..now.len());
        }
        let masked = (!spans.is_empty()).then(|| replace(now, &spans, secrets, mask));
        seen.note_blocks(&matching, secrets);
        match masked {
            Some(masked) => seen.masked = Some(masked),
            None => break,
        }
    }
    seen
}

/// The line with stars over its masks, whose words would mean something to the rules.
fn blotted<'a>(line: &'a [u8], masks: &[Range<usize>]) -> Cow<'a, [u8]> {
    if masks.is_empty() {
        return Cow::Borrowed(line);
    }
    let mut blotted = line.to_vec();
    for mask in masks {
        if let Some(place) = blotted.get_mut(mask.clone()) {
            place.fill(b'*');
        }
    }
    Cow::Owned(blotted)
}

impl Seen {
    fn note_blocks(&mut self, matching: &[usize], secrets: &Secrets) {
        self.ends.clear();
        for rule in matching.iter().filter_map(|at| secrets.rules().get(*at)) {
            match rule.scope {
                Scope::Begin(block) if !self.begins.contains(&block) => self.begins.push(block),
                Scope::End(block) => self.ends.push(block),
                _ => {}
            }
        }
    }
}

/// Looks for the secrets of a line whose masks are blotted out.
struct Search<'a> {
    line: &'a [u8],
    secrets: &'a Secrets,
    /// What stays: masks, and what ends a block, so that it still does. In order.
    kept: Vec<Range<usize>>,
}

impl<'a> Search<'a> {
    fn new(
        line: &'a [u8],
        masks: Vec<Range<usize>>,
        matching: &[usize],
        secrets: &'a Secrets,
    ) -> Self {
        let mut kept = masks;
        for at in matching {
            let scope = secrets.rules().get(*at).map(|rule| rule.scope);
            let pattern = secrets.pattern(*at);
            if let (Some(Scope::End(_)), Some(pattern)) = (scope, pattern) {
                let ends = pattern.find_iter(line).take(FINDS_MAX);
                kept.extend(ends.map(|found| found.range()));
            }
        }
        Self {
            line,
            secrets,
            kept: merged(kept),
        }
    }

    /// Where the secrets are, in order and apart.
    fn spans(&self, matching: &[usize], reach: Reach<'_>) -> Vec<Range<usize>> {
        let scope = |at: &usize| self.secrets.rules().get(*at).map(|rule| rule.scope);
        let plain = matching.iter().any(|at| scope(at) == Some(Scope::Plain));
        let mut found = Vec::new();
        for at in matching {
            if scope(at).is_some_and(|scope| reach.has(scope, self.secrets, plain)) {
                self.find(*at, &mut found);
            }
        }
        let pieces = found.into_iter().flat_map(|span| self.open_pieces(span));
        merged(pieces.collect())
    }

    /// What the groups of one rule hold.
    fn find(&self, rule: usize, found: &mut Vec<Range<usize>>) {
        let Some(pattern) = self.secrets.pattern(rule) else {
            found.push(0..self.line.len());
            return;
        };
        for (count, captures) in pattern.captures_iter(self.line).enumerate() {
            if count == FINDS_MAX {
                let from = captures.get(0).map_or(0, |whole| whole.start());
                found.push(from..self.line.len());
                return;
            }
            let groups = captures.iter().skip(1).flatten();
            found.extend(groups.map(|group| group.range()));
        }
    }

    /// The parts of `span` that are not masked yet, outer blanks aside.
    fn open_pieces(&self, span: Range<usize>) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let mut from = span.start;
        for mask in &self.kept {
            if mask.end <= from {
                continue;
            }
            if mask.start >= span.end {
                break;
            }
            pieces.push(from..mask.start.max(from));
            from = mask.end;
        }
        pieces.push(from..span.end.max(from));
        let trimmed = pieces.into_iter().map(|piece| self.trimmed(piece));
        trimmed.flatten().collect()
    }

    fn trimmed(&self, piece: Range<usize>) -> Option<Range<usize>> {
        let text = self.line.get(piece.clone())?;
        // What says that a line goes on is no part of a secret.
        if is_masked(text) || self.secrets.continued() == Some(text) {
            return None;
        }
        let start = piece.start + (text.len() - text.trim_ascii_start().len());
        let end = piece.end - (text.len() - text.trim_ascii_end().len());
        Some(start..end)
    }
}

fn merged(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_by_key(|span| span.start);
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans {
        match apart.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => apart.push(span),
        }
    }
    apart
}

/// A mask takes the place of each span. Line ends within one stay, so that lines can be counted.
fn replace(line: &[u8], spans: &[Range<usize>], secrets: &Secrets, mask: Mask<'_>) -> Vec<u8> {
    let mut masked = Vec::with_capacity(line.len());
    let mut from = 0;
    for span in spans {
        masked.extend_from_slice(line.get(from..span.start).unwrap_or_default());
        let secret = line.get(span.clone()).unwrap_or_default();
        masked.append(&mut mask_lines(secret, secrets, mask));
        from = span.end;
    }
    masked.extend_from_slice(line.get(from..).unwrap_or_default());
    masked
}

/// A secret over several lines has a mask on each of them; what says that a line goes on stays.
fn mask_lines(secret: &[u8], secrets: &Secrets, mask: Mask<'_>) -> Vec<u8> {
    let mut masked = Vec::new();
    for line in secret.split_inclusive(|b| *b == b'\n') {
        let mut text = line.trim_ascii();
        if let Some(mark) = secrets.continued().filter(|_| line.ends_with(b"\n")) {
            text = text.strip_suffix(mark).unwrap_or(text).trim_ascii_end();
        }
        let start = line.len() - line.trim_ascii_start().len();
        masked.extend_from_slice(line.get(..start).unwrap_or_default());
        if !is_masked(text) {
            masked.append(&mut mask.of(text));
        } else {
            masked.extend_from_slice(text);
        }
        masked.extend_from_slice(line.get(start + text.len()..).unwrap_or_default());
    }
    masked
}
