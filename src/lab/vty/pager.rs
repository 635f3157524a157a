//! The pager of a vty.

use super::{State, Vty};

/// What the pager writes, and how it wipes it.
const MORE: &[u8] = b" --More-- ";
pub(super) const MORE_WIPE: &[u8] =
    b"\x08\x08\x08\x08\x08\x08\x08\x08\x08        \x08\x08\x08\x08\x08\x08\x08\x08\x08";
/// IOS's own screen length, whatever rows the pty has.
pub(super) const SCREEN: usize = 24;

impl Vty {
    /// Shows `rest` from byte `from` on; the screen holds `used` lines already. Without a pager
    /// all of it goes out.
    pub(super) fn page(&mut self, rest: Vec<u8>, used: usize) {
        self.show_lines(rest, 0, self.length.saturating_sub(1 + used));
    }

    fn show_lines(&mut self, rest: Vec<u8>, from: usize, lines: usize) {
        let tail = rest.get(from..).unwrap_or_default();
        let cut = if self.length == 0 {
            tail.len()
        } else {
            end_of_line(tail, lines.max(1))
        };
        self.out.extend_from_slice(tail.get(..cut).unwrap_or(tail));
        if cut >= tail.len() {
            return self.prompt();
        }
        self.say(MORE);
        self.state = State::More {
            rest,
            from: from + cut,
        };
    }

    pub(super) fn more_key(&mut self, byte: u8, rest: Vec<u8>, from: usize) {
        self.say(MORE_WIPE);
        match byte {
            b' ' => self.show_lines(rest, from, self.length.saturating_sub(1)),
            b'\r' => self.show_lines(rest, from, 1),
            _ => {
                self.showing = false;
                self.prompt();
            }
        }
    }
}

/// The length of the first `lines` lines, or of all there is.
fn end_of_line(text: &[u8], lines: usize) -> usize {
    text.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .nth(lines.saturating_sub(1))
        .map_or(text.len(), |(at, _)| at + 1)
}
