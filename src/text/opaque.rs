//! Blocks of a config whose lines mean nothing by themselves: banners, certificates.

use crate::model::platform::{Opaque, OpaqueEnd};

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

impl Tracker {
    /// Takes in the next line. Says whether the line lies inside a block; the line that opens one
    /// lies outside, the line that ends it inside.
    pub fn line(&mut self, line: &[u8], blocks: &[Opaque]) -> bool {
        let Some(until) = &self.until else {
            self.until = blocks.iter().find_map(|block| opens(line, block));
            return false;
        };
        let ends = match until {
            Until::Holds(delimiter) => super::phrase::find(line, delimiter).is_some(),
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
}

fn opens(line: &[u8], block: &Opaque) -> Option<Until> {
    let rest = line.strip_prefix(block.begin.as_slice())?;
    match &block.end {
        OpaqueEnd::Line(last) => Some(Until::Is(last.clone())),
        OpaqueEnd::Delimiter => {
            let at = rest.iter().position(|b| *b == b' ')?;
            let rest = rest.get(at..)?.trim_ascii_start();
            // IOS shows a control character as a caret and a letter.
            let len = if rest.starts_with(b"^") { 2 } else { 1 };
            let (delimiter, text) = rest.split_at_checked(len)?;
            let one_line = super::phrase::find(text, delimiter).is_some();
            (!one_line).then(|| Until::Holds(delimiter.to_vec()))
        }
    }
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
}
