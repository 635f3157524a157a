//! Bytes of devices, fit for where they go.

use super::format::is_active;
use std::borrow::Cow;
use std::io::IsTerminal;

/// Where bytes of devices go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlet {
    /// A terminal, which they must not move.
    Terminal,
    /// A file or another program, which gets them as they are.
    Bytes,
}

impl Outlet {
    /// What `stream` is.
    #[must_use]
    pub fn of(stream: &impl IsTerminal) -> Self {
        if stream.is_terminal() {
            Self::Terminal
        } else {
            Self::Bytes
        }
    }

    /// `text` as it may go there: for a terminal everything is replaced that could move a cursor,
    /// ring, recolour or reorder; lines and tabs stay.
    #[must_use]
    pub fn fit(self, text: &[u8]) -> Cow<'_, [u8]> {
        if self == Self::Bytes {
            return Cow::Borrowed(text);
        }
        let text = String::from_utf8_lossy(text);
        let shown = text.chars().map(|c| match c {
            '\n' | '\t' | ' ' => c,
            c if is_active(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        });
        Cow::Owned(shown.collect::<String>().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor_of_a_terminal_and_files_get_every_byte() {
        let text = b" a\tb\n\x1b[2Jc\rd\x07caf\xe9\n";
        let shown = String::from_utf8(Outlet::Terminal.fit(text).into_owned()).unwrap();
        assert_eq!(shown, " a\tb\n\u{fffd}[2Jc\u{fffd}d\u{fffd}caf\u{fffd}\n");
        assert_eq!(Outlet::Bytes.fit(text), &text[..]);
    }
}
