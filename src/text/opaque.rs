//! Blocks of a config whose lines mean nothing by themselves: banners, certificates.

use super::phrase;
use crate::model::platform::{Opaque, OpaqueEnd};
use std::ops::Range;

/// Follows a config line by line and knows whether it is inside an opaque block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tracker {
    until: Option<Until>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Until {
    Holds(Vec<u8>),
    Is(Vec<u8>),
}

/// What of a line may change without breaking the frame of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inner {
    /// The part of the line that may change.
    pub range: Range<usize>,
    /// What must not come into it: it would end the block.
    pub delimiter: Option<Vec<u8>>,
}

impl Tracker {
    /// Takes in the next line. Says whether the line lies inside a block; the line that opens one
    /// lies outside, the line that ends it inside.
    pub fn line(&mut self, line: &[u8], blocks: &[Opaque]) -> bool {
        let Some(until) = &self.until else {
            self.until = blocks.iter().find_map(|block| opens(line, block));
            return false;
        };
        let ends = match until {
            Until::Holds(delimiter) => phrase::find(line, delimiter).is_some(),
            Until::Is(last) => line.trim_ascii() == last.as_slice(),
        };
        if ends {
            self.until = None;
        }
        true
    }

    /// Whether the next line lies inside a block.
    #[must_use]
    pub fn inside(&self) -> bool {
        self.until.is_some()
    }

    /// What of `line`, the next one, may change: not the line that ends a block, nor a delimiter,
    /// nor what stands in front of the text of the line that opens one.
    #[must_use]
    pub fn inner(&self, line: &[u8], blocks: &[Opaque]) -> Inner {
        let (start, delimiter) = match &self.until {
            Some(Until::Is(last)) if line.trim_ascii() == last.as_slice() => {
                return Inner {
                    range: 0..0,
                    delimiter: None,
                };
            }
            Some(Until::Is(_)) => (0, None),
            Some(Until::Holds(delimiter)) => (0, Some(delimiter.as_slice())),
            None => blocks
                .iter()
                .find_map(|block| head(line, block))
                .unwrap_or((0, None)),
        };
        let text = line.get(start..).unwrap_or_default();
        let len = delimiter.and_then(|sign| phrase::find(text, sign));
        Inner {
            range: start..start + len.unwrap_or(text.len()),
            delimiter: delimiter.map(<[u8]>::to_vec),
        }
    }
}

fn opens(line: &[u8], block: &Opaque) -> Option<Until> {
    if let OpaqueEnd::Line(last) = &block.end {
        let begins = line.starts_with(&block.begin);
        return begins.then(|| Until::Is(last.clone()));
    }
    let at = delimited(line, block)?;
    let delimiter = line.get(at.clone())?;
    let one_line = phrase::find(line.get(at.end..)?, delimiter).is_some();
    (!one_line).then(|| Until::Holds(delimiter.to_vec()))
}

/// Where the text begins in a line that opens a block, and the block's delimiter.
fn head<'a>(line: &'a [u8], block: &Opaque) -> Option<(usize, Option<&'a [u8]>)> {
    match block.end {
        OpaqueEnd::Delimiter => {
            let at = delimited(line, block)?;
            Some((at.end, line.get(at)))
        }
        OpaqueEnd::Line(_) => line
            .starts_with(&block.begin)
            .then_some((block.begin.len(), None)),
    }
}

/// Where the delimiter stands in a line that opens a block which ends with one.
fn delimited(line: &[u8], block: &Opaque) -> Option<Range<usize>> {
    if block.end != OpaqueEnd::Delimiter {
        return None;
    }
    let rest = line.strip_prefix(block.begin.as_slice())?;
    let rest = rest.get(rest.iter().position(|b| *b == b' ')?..)?;
    let rest = rest.trim_ascii_start();
    // IOS shows a control character as a caret and a letter.
    let len = if rest.starts_with(b"^") { 2 } else { 1 };
    let start = line.len() - rest.len();
    (rest.len() >= len).then(|| start..start + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a48_banners_and_certificates_are_opaque() {
        let blocks = [
            Opaque {
                begin: b"banner ".to_vec(),
                end: OpaqueEnd::Delimiter,
            },
            Opaque {
                begin: b" certificate ".to_vec(),
                end: OpaqueEnd::Line(b"quit".to_vec()),
            },
        ];
        let mut tracker = Tracker::default();
        let config = [
            ("hostname a", false),
            ("banner motd ^C", false),
            ("end", true),
            ("bye ^C", true),
            ("interface a", false),
            ("banner login #one line#", false),
            ("end", false),
            (" certificate self-signed 01", false),
            ("  30820330 30820218", true),
            ("  \tquit", true),
            ("!", false),
        ];
        for (line, inside) in config {
            assert_eq!(tracker.line(line.as_bytes(), &blocks), inside, "{line}");
        }
        assert!(!tracker.inside());
    }

    #[test]
    fn a48_what_frames_a_block_is_told_from_its_text() {
        let blocks = [
            Opaque {
                begin: b"banner ".to_vec(),
                end: OpaqueEnd::Delimiter,
            },
            Opaque {
                begin: b" certificate ".to_vec(),
                end: OpaqueEnd::Line(b"quit".to_vec()),
            },
        ];
        let mut tracker = Tracker::default();
        for (line, text) in [
            ("hostname a", "hostname a"),
            ("banner login #one line#", "one line"),
            ("banner motd ^Chello", "hello"),
            ("all of it", "all of it"),
            ("the last^C", "the last"),
            ("banner exec", "banner exec"),
            (" certificate 01", "01"),
            ("  3082", "  3082"),
            ("  quit", ""),
        ] {
            let inner = tracker.inner(line.as_bytes(), &blocks);
            assert_eq!(&line[inner.range], text, "{line}");
            tracker.line(line.as_bytes(), &blocks);
        }
    }
}
