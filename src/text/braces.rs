//! Whether the braces of a config are balanced.

/// Counts braces line by line; those in quotes and comments mean nothing. A quoted text and a
/// `/* comment */` may go over several lines, a `# comment` ends with its line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Braces {
    depth: usize,
    closed: bool,
    broken: bool,
    within: Within,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Within {
    #[default]
    Text,
    Quote,
    /// After a backslash in a quote.
    Escape,
    Comment,
}

impl Braces {
    /// Takes in the next line, without its line feed.
    pub fn line(&mut self, line: &[u8]) {
        let mut last = b' ';
        for byte in line {
            let byte = *byte;
            self.within = match (self.within, byte) {
                (Within::Text, b'"') => Within::Quote,
                (Within::Text, b'#') => break,
                (Within::Text, b'*') if last == b'/' => Within::Comment,
                (Within::Quote, b'\\') => Within::Escape,
                (Within::Escape, _) => Within::Quote,
                (Within::Quote, b'"') => Within::Text,
                (Within::Comment, b'/') if last == b'*' => Within::Text,
                (within, _) => within,
            };
            if self.within == Within::Text {
                self.brace(byte);
            }
            // The star that opens a comment does not close it: `/*/`.
            let opens = self.within == Within::Comment && last == b'/';
            last = if opens { b' ' } else { byte };
        }
        if self.within == Within::Escape {
            self.within = Within::Quote;
        }
    }

    fn brace(&mut self, byte: u8) {
        match byte {
            b'{' => self.depth += 1,
            b'}' => match self.depth.checked_sub(1) {
                Some(depth) => {
                    self.depth = depth;
                    self.closed = true;
                }
                None => self.broken = true,
            },
            _ => {}
        }
    }

    /// Whether at least one block was opened, and all that were are closed.
    #[must_use]
    pub fn balanced(&self) -> bool {
        self.closed && self.depth == 0 && !self.broken && self.within == Within::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balanced(text: &str) -> bool {
        let mut braces = Braces::default();
        for line in text.lines() {
            braces.line(line.as_bytes());
        }
        braces.balanced()
    }

    #[test]
    fn blocks_must_be_closed() {
        assert!(balanced("system {\n    host-name r1;\n}\n"));
        assert!(balanced("a {\n b {\n }\n}\nc {\n}"));
        assert!(balanced("a { b { c; } }"));
        assert!(!balanced("system {\n    host-name r1;\n"));
        assert!(!balanced("version 22.1;\n"), "no block at all");
        assert!(!balanced("a {\n}\n}\nb {\n"), "closed before it was opened");
        assert!(!balanced(""));
    }

    #[test]
    fn quotes_and_comments_mean_nothing() {
        assert!(balanced("a {\n  description \"to { there\";\n}"));
        assert!(balanced("a {\n  message \"line 1 {\nline 2\\\" {\";\n}"));
        assert!(balanced("a {\n  /* not { this\n nor { that */\n}"));
        assert!(balanced("## Last commit: { by me\na {\n} ## SECRET-DATA {"));
        assert!(balanced("/*/ still { a comment */ a {\n}"));
        assert!(!balanced("a {\n  description \"}"));
    }
}
