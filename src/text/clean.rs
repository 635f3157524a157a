//! The stream normaliser: what a device sends becomes lines with LF ends, as a terminal would show
//! them.
//!
//! A carriage return moves to the start of the line and a line feed ends the line, so CRLF,
//! CR CR LF and LF CR are all one line end, and a bare CR repaints. Backspace moves left. Blanks
//! written over text are an erasure: when they reach the end of the line, it gets shorter. NUL and
//! BEL vanish, escape sequences are obeyed where they erase or move within the line and dropped
//! otherwise. All state survives between two reads, so a sequence may be cut anywhere.

use std::ops::Range;

/// The longest escape sequence that is waited for, in bytes; a longer one was none.
const ESCAPE_MAX: u16 = 256;

const BEL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
const ESCAPE: u8 = 0x1b;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte: one more byte ends it.
    Designate,
    /// Within `ESC [`, with the number so far.
    Csi { number: u16, len: u16 },
    /// Within an operating system command, which BEL or ESC \ ends.
    Osc { len: u16 },
}

/// Turns the bytes of a vty into lines. Linear in its input; nothing is scanned twice.
#[derive(Debug, Clone, Default)]
pub struct Cleaner {
    text: Vec<u8>,
    line_start: usize,
    cursor: usize,
    /// Blanks that were written over text of the current line.
    void: Range<usize>,
    /// A pager's question in the current line that was answered and not yet erased.
    cell: Option<Range<usize>>,
    state: State,
}

impl Cleaner {
    /// An empty screen.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next bytes from the device.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(&first) = bytes.first() {
            if self.state == State::Text {
                let plain = bytes.iter().position(|b| is_special(*b));
                let (run, rest) = bytes.split_at(plain.unwrap_or(bytes.len()));
                if !run.is_empty() {
                    self.write(run);
                    bytes = rest;
                    continue;
                }
            }
            self.step(first);
            bytes = bytes.get(1..).unwrap_or_default();
        }
    }

    /// All lines so far, the unfinished one last.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The unfinished last line: where a prompt or a question stands.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        self.text.get(self.line_start..).unwrap_or_default()
    }

    /// Where the unfinished last line begins in [`Self::text`]; all before it stays as it is.
    #[must_use]
    pub fn tail_start(&self) -> usize {
        self.line_start
    }

    /// Marks the unfinished line as a pager's question that was answered: whether the device erases
    /// it or writes on, it is not part of the text.
    pub fn answer_pager(&mut self) {
        self.cell = Some(self.line_start..self.text.len());
    }

    /// Whether the unfinished line is still a pager's question that was answered.
    #[must_use]
    pub fn pager_answered(&self) -> bool {
        self.cell.is_some()
    }

    /// Forgets all text, also the unfinished line. A sequence that was cut goes on.
    pub fn clear(&mut self) {
        self.take();
    }

    /// Hands out all text and forgets it.
    pub fn take(&mut self) -> Vec<u8> {
        self.line_start = 0;
        self.cursor = 0;
        self.void = 0..0;
        self.cell = None;
        std::mem::take(&mut self.text)
    }

    fn step(&mut self, byte: u8) {
        match self.state {
            State::Text => self.control(byte),
            State::Escape => self.escape(byte),
            State::Designate => self.state = State::Text,
            State::Csi { number, len } => self.csi(byte, number, len),
            State::Osc { len } => {
                self.state = match byte {
                    BEL => State::Text,
                    ESCAPE => State::Escape,
                    _ if len >= ESCAPE_MAX => State::Text,
                    _ => State::Osc { len: len + 1 },
                }
            }
        }
    }

    fn control(&mut self, byte: u8) {
        match byte {
            b'\n' => self.end_line(),
            b'\r' => self.move_to(self.line_start),
            BACKSPACE => self.move_to(self.cursor.saturating_sub(1)),
            ESCAPE => self.state = State::Escape,
            _ => {}
        }
    }

    fn escape(&mut self, byte: u8) {
        self.state = match byte {
            b'[' => State::Csi { number: 0, len: 0 },
            b']' => State::Osc { len: 0 },
            0x20..=0x2f => State::Designate,
            ESCAPE => State::Escape,
            _ => State::Text,
        };
    }

    fn csi(&mut self, byte: u8, number: u16, len: u16) {
        self.state = State::Text;
        let steps = usize::from(number.max(1));
        match byte {
            b'0'..=b'9' => {
                let number = number
                    .saturating_mul(10)
                    .saturating_add((byte - b'0').into());
                self.more_csi(number, len);
            }
            0x20..=0x3f => self.more_csi(0, len),
            b'K' if number == 2 => self.truncate(self.line_start),
            b'K' if number == 0 => self.truncate(self.cursor),
            b'J' if number == 0 => self.truncate(self.cursor),
            b'D' => self.move_to(self.cursor.saturating_sub(steps)),
            b'C' => self.move_to((self.cursor + steps).min(self.text.len())),
            b'G' => self.move_to((self.line_start + steps - 1).min(self.text.len())),
            ESCAPE => self.state = State::Escape,
            _ => {}
        }
    }

    fn more_csi(&mut self, number: u16, len: u16) {
        if len < ESCAPE_MAX {
            let len = len + 1;
            self.state = State::Csi { number, len };
        }
    }

    fn write(&mut self, run: &[u8]) {
        if self.cell.is_some() {
            for byte in run {
                self.write_byte(*byte);
            }
            return;
        }
        let over = run.len().min(self.text.len() - self.cursor);
        let (over, rest) = run.split_at(over);
        for byte in over {
            self.write_byte(*byte);
        }
        self.text.extend_from_slice(rest);
        self.cursor += rest.len();
    }

    fn write_byte(&mut self, byte: u8) {
        self.leave_cell(byte);
        let Some(place) = self.text.get_mut(self.cursor) else {
            if self.is_erasing(byte) {
                self.void.end += 1;
            }
            self.text.push(byte);
            self.cursor += 1;
            return;
        };
        *place = byte;
        if byte != b' ' {
            self.void = 0..0;
        } else if self.void.end == self.cursor && !self.void.is_empty() {
            self.void.end += 1;
        } else {
            self.void = self.cursor..self.cursor + 1;
        }
        self.cursor += 1;
    }

    /// Drops what is left of an answered pager question once something else is written.
    fn leave_cell(&mut self, byte: u8) {
        let Some(cell) = &self.cell else { return };
        if self.is_erasing(byte) {
            return;
        }
        if self.cursor >= cell.end {
            // A blank may still be the end of the question; anything else is text after it.
            if byte != b' ' {
                self.cursor -= cell.len();
                self.text.drain(cell.clone());
                self.cell = None;
            }
        } else if byte != b' ' {
            self.truncate(self.cursor);
            self.cell = None;
        }
    }

    /// Whether `byte` is one more blank of an erasure, which may reach past an answered question.
    fn is_erasing(&self, byte: u8) -> bool {
        let goes_on = !self.void.is_empty() && self.void.end == self.cursor;
        self.cell.is_some() && byte == b' ' && goes_on
    }

    fn end_line(&mut self) {
        self.trim_void(self.line_start);
        if let Some(cell) = self.cell.take() {
            let start = cell.start.min(self.text.len());
            self.truncate(start);
            return;
        }
        self.text.push(b'\n');
        self.line_start = self.text.len();
        self.cursor = self.line_start;
        self.void = 0..0;
    }

    fn move_to(&mut self, place: usize) {
        let place = place.max(self.line_start);
        if let Some(cell) = &mut self.cell {
            cell.end = cell.end.max(self.text.len());
        }
        self.trim_void(place);
        self.cursor = place;
    }

    fn trim_void(&mut self, keep: usize) {
        if !self.void.is_empty() && self.void.end == self.text.len() {
            self.truncate(self.void.start.max(keep));
        }
    }

    fn truncate(&mut self, len: usize) {
        self.text.truncate(len.max(self.line_start));
        let end = self.text.len();
        self.cursor = self.cursor.min(end);
        self.void = self.void.start.min(end)..self.void.end.min(end);
    }
}

fn is_special(byte: u8) -> bool {
    matches!(byte, 0 | BEL | BACKSPACE | b'\n' | b'\r' | ESCAPE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cleaned(input: &[u8]) -> Vec<u8> {
        let mut cleaner = Cleaner::new();
        cleaner.feed(input);
        cleaner.take()
    }

    #[test]
    fn a39_every_line_end_is_one_line_feed() {
        for input in [
            &b"a\r\nb\r\n"[..],
            b"a\r\r\nb\r\r\n",
            b"a\n\rb\n\r",
            b"a\nb\n",
        ] {
            assert_eq!(cleaned(input), b"a\nb\n", "{input:?}");
        }
        assert_eq!(cleaned(b"a\r\n\r\nb"), b"a\n\nb", "a blank line stays");
    }

    #[test]
    fn a39_repaints_padding_bells_and_colours() {
        for (input, wanted) in [
            (&b"long text\rshort\n"[..], &b"shorttext\n"[..]),
            (b"a\0\0b\x07c\n", b"abc\n"),
            (b"abx\x08c\n", b"abc\n"),
            (b"\x1b[1;32mgreen\x1b[0m\x1b[?2004h\n", b"green\n"),
            (b"old text\r\x1b[Knew\n", b"new\n"),
            (b"half gone\x1b[5D\x1b[K\n", b"half\n"),
            (b"x\x1b[2Ky\n", b"y\n"),
            (b"\x1b]0;title\x07text\x1b(B\x1b=\n", b"text\n"),
            (b"\x1b]0;title\x1b\\text\n", b"text\n"),
            (b"tab\tand \xe9 stay \n", b"tab\tand \xe9 stay \n"),
        ] {
            assert_eq!(cleaned(input), wanted, "{input:?}");
        }
    }

    #[test]
    fn a07_an_answered_pager_leaves_no_trace() {
        let erasures: [&[u8]; 7] = [
            b"\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08          \
              \x08\x08\x08\x08\x08\x08\x08\x08\x08\x08",
            b"\x08\x08\x08\x08\x08\x08\x08\x08\x08        \x08\x08\x08\x08\x08\x08\x08\x08\x08",
            b"\r          \r",
            b"\r                    \r",
            b"\r\x1b[K",
            b"\r",
            b"",
        ];
        for erasure in erasures {
            for (line, late) in [
                (&b"!"[..], false),
                (b" ip address 192.0.2.1 255.255.255.0 ", false),
                (b"end", false),
                (b"!", true),
            ] {
                if late && erasure.is_empty() {
                    continue;
                }
                let mut cleaner = Cleaner::new();
                cleaner.feed(b"interface Gi1\r\n --More--");
                if late {
                    cleaner.answer_pager();
                    cleaner.feed(b" ");
                } else {
                    cleaner.feed(b" ");
                    cleaner.answer_pager();
                }
                cleaner.feed(erasure);
                cleaner.feed(line);
                cleaner.feed(b"\r\n");
                let wanted = [b"interface Gi1\n", line, b"\n"].concat();
                let got = cleaner.take();
                assert_eq!(
                    String::from_utf8_lossy(&got),
                    String::from_utf8_lossy(&wanted),
                    "{erasure:?}"
                );
            }
        }
    }

    #[test]
    fn a_flood_without_line_ends_or_within_an_escape_is_linear() {
        let mut cleaner = Cleaner::new();
        cleaner.feed(&vec![b'x'; 1 << 20]);
        cleaner.feed(b"\n\x1b]");
        cleaner.feed(&vec![b'y'; 1000]);
        assert!(
            cleaner.tail().len() > 700,
            "an endless escape is text again"
        );
    }

    proptest! {
        #[test]
        fn a41_cutting_the_stream_changes_nothing(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just(&b"\r\n"[..]), Just(&b"\r"[..]), Just(&b"\x08"[..]), Just(&b"  "[..]),
                    Just(&b"\x1b[K"[..]), Just(&b"\x1b[3D"[..]), Just(&b"\x1b[1;3"[..]),
                    Just(&b"text"[..]), Just(&b"\x1b"[..]), Just(&b"\0"[..]), Just(&b"\n"[..]),
                    Just(&b" --More-- "[..]),
                ],
                0..40,
            ),
        ) {
            let whole: Vec<u8> = parts.concat();
            let mut by_byte = Cleaner::new();
            for byte in &whole {
                by_byte.feed(std::slice::from_ref(byte));
            }
            prop_assert_eq!(by_byte.take(), cleaned(&whole));
        }
    }
}
