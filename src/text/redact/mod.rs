//! Masking secrets: in whole configs, in diffs, in single lines, in what is quoted.
//!
//! What is secret is said by the platform ([`Platform::secrets`]) and by rules that count for every
//! platform; what stands in its place is a [`Mask`]. Everything that is shown to people goes
//! through here:
//!
//! - [`config()`] for a whole config. It follows blocks, so it is the one that masks best and least.
//!   To show what changed between two configs, redact both whole with the same key and compare the
//!   results: a changed secret has another mask, an unchanged one the same.
//! - [`diff`] for a unified diff that somebody else made; [`line()`] for a line that stands alone.
//!   Both know no context, so they mask whatever any block would.
//! - [`stream()`] for what came over a vty, byte for byte;
//! - [`quote`] for a line of a device within a message of ours.
//!
//! All of them work on bytes, take time linear in their input, leave lines and their ends where
//! they are, and change nothing in what they have redacted before.

mod blocks;
mod mask;
mod message;
mod search;
mod stream;

pub use mask::{Key, Mask};
pub use message::{hide_known, quote};
pub use stream::{stars_over, stream};

use crate::model::platform::Platform;
use crate::model::secrets::Secrets;
use crate::text::opaque::{Inner, Tracker};
use crate::text::phrase;
use blocks::Blocks;
use search::Reach;

/// A config of `platform` with its secrets masked. Banners and certificates keep the lines and the
/// delimiters that frame them.
#[must_use]
pub fn config(text: &[u8], platform: &Platform, mask: Mask<'_>) -> Vec<u8> {
    let mut walk = Walk {
        platform,
        mask,
        blocks: Blocks::default(),
        opaque: Tracker::default(),
        out: Vec::with_capacity(text.len() + text.len() / 16),
    };
    for unit in Units::new(text, platform.secrets.continued()) {
        let (line, end) = without_end(unit);
        walk.line(line);
        walk.out.extend_from_slice(end);
    }
    walk.out
}

/// A line that stands alone, with its secrets masked.
#[must_use]
pub fn line(line: &[u8], secrets: &Secrets, mask: Mask<'_>) -> Vec<u8> {
    let (text, end) = without_end(line);
    let seen = search::look(text, secrets, Reach::Alone, mask);
    let mut masked = seen.masked.unwrap_or_else(|| text.to_vec());
    masked.extend_from_slice(end);
    masked
}

/// A unified diff of configs with its secrets masked, the line of the config that stands behind
/// `@@` too.
#[must_use]
pub fn diff(text: &[u8], secrets: &Secrets, mask: Mask<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for whole in text.split_inclusive(|b| *b == b'\n') {
        let sign = match whole.first() {
            Some(b'+' | b'-' | b' ') => 1,
            Some(b'@') => heading(whole),
            _ => 0,
        };
        let (sign, rest) = whole.split_at_checked(sign).unwrap_or((whole, b""));
        out.extend_from_slice(sign);
        out.append(&mut self::line(rest, secrets, mask));
    }
    out
}

/// The length of `@@ -1,2 +3,4 @@ `.
fn heading(line: &[u8]) -> usize {
    let rest = line.strip_prefix(b"@@ ").unwrap_or_default();
    phrase::find(rest, b"@@ ").map_or(0, |at| at + 6)
}

/// A config on its way.
struct Walk<'a> {
    platform: &'a Platform,
    mask: Mask<'a>,
    blocks: Blocks,
    opaque: Tracker,
    out: Vec<u8>,
}

impl Walk<'_> {
    fn line(&mut self, line: &[u8]) {
        let opaque = &self.platform.config.opaque;
        let inner = self.opaque.inner(line, opaque);
        let inside = self.opaque.line(line, opaque);
        if inside || inner.range.len() < line.len() {
            return self.framed(line, &inner);
        }
        let secrets = &self.platform.secrets;
        let around = Reach::Within(self.blocks.around(line));
        let seen = search::look(line, secrets, around, self.mask);
        self.blocks.pass(line, &seen, secrets);
        let masked = seen.masked.as_deref().unwrap_or(line);
        self.out.extend_from_slice(masked);
    }

    /// A line of an opaque block: what frames the block stays as it is.
    fn framed(&mut self, line: &[u8], inner: &Inner) {
        let secrets = &self.platform.secrets;
        let text = line.get(inner.range.clone()).unwrap_or_default();
        let masked = |mask| {
            let seen = search::look(text, secrets, Reach::Text, mask);
            seen.masked.unwrap_or_else(|| text.to_vec())
        };
        let mut shown = masked(self.mask);
        let sign = inner.delimiter.as_deref().unwrap_or_default();
        if phrase::find(&shown, sign).is_some() {
            // That mask would end the block.
            shown = masked(Mask::Stars);
        }
        let before = line.get(..inner.range.start).unwrap_or_default();
        let after = line.get(inner.range.end..).unwrap_or_default();
        self.out.extend_from_slice(before);
        self.out.extend_from_slice(&shown);
        self.out.extend_from_slice(after);
    }
}

/// A line without what ends it, and that.
fn without_end(line: &[u8]) -> (&[u8], &[u8]) {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    line.split_at_checked(text.len()).unwrap_or((line, b""))
}

/// Lines with their ends; one that goes on with the next one is one with it.
struct Units<'a> {
    rest: &'a [u8],
    continued: Option<&'a [u8]>,
}

impl<'a> Units<'a> {
    fn new(rest: &'a [u8], continued: Option<&'a [u8]>) -> Self {
        Self { rest, continued }
    }
}

impl<'a> Iterator for Units<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let mut len = 0;
        loop {
            let rest = self.rest.get(len..).unwrap_or_default();
            let line = rest.iter().position(|b| *b == b'\n');
            let line = line.map_or(rest, |at| rest.get(..=at).unwrap_or(rest));
            len += line.len();
            let goes_on = self.continued.is_some_and(|mark| {
                let (text, end) = without_end(line);
                text.ends_with(mark) && !end.is_empty()
            });
            if !goes_on || line.len() == rest.len() {
                break;
            }
        }
        let (unit, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(unit)
    }
}

#[cfg(test)]
mod tests;
