//! Masking what came over a vty as it came: with echoes, carriage returns, pagers and colours.

use super::mask::Mask;
use crate::model::credentials::Secret;
use crate::model::platform::Platform;

const BEL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;
const ESCAPE: u8 = 0x1b;

/// The bytes that a vty brought, with stars over every byte of a secret: of what `platform` calls
/// secret, and of the `known` ones wherever they stand. Nothing moves: a secret is found as a
/// terminal would show it, and masked where it came.
#[must_use]
pub fn stream(bytes: &[u8], platform: &Platform, known: &[Secret]) -> Vec<u8> {
    let mut masked = bytes.to_vec();
    let shown = Shown::of(bytes);
    let starred = super::config(&shown.text, platform, Mask::Stars);
    let differing = shown.text.iter().zip(&starred).zip(&shown.places);
    for ((_, _), place) in differing.filter(|((was, is), _)| was != is) {
        star(&mut masked, *place);
    }
    for secret in known.iter().map(|secret| secret.expose().as_bytes()) {
        for at in occurrences(&shown.text, secret) {
            let places = shown.places.get(at..at + secret.len());
            for place in places.unwrap_or_default() {
                star(&mut masked, *place);
            }
        }
    }
    stars_over(&mut masked, known);
    masked
}

/// Puts stars over the `known` secrets, wherever they stand.
pub fn stars_over(bytes: &mut [u8], known: &[Secret]) {
    for secret in known.iter().map(|secret| secret.expose().as_bytes()) {
        for at in occurrences(bytes, secret) {
            if let Some(place) = bytes.get_mut(at..at + secret.len()) {
                place.fill(b'*');
            }
        }
    }
}

fn star(bytes: &mut [u8], place: usize) {
    if let Some(byte) = bytes.get_mut(place) {
        *byte = b'*';
    }
}

/// Where `needle` stands in `text`, each occurrence after the one before.
fn occurrences(text: &[u8], needle: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = crate::text::phrase::find(text.get(from..).unwrap_or_default(), needle) {
        found.push(from + at);
        from += at + needle.len();
    }
    found
}

/// What a terminal would show, and where each byte of it came. Unlike the cleaner's it keeps what was
/// painted over, as a line of its own.
#[derive(Default)]
struct Shown {
    text: Vec<u8>,
    places: Vec<usize>,
}

impl Shown {
    fn of(bytes: &[u8]) -> Self {
        let mut shown = Self::default();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let rest = bytes.get(at..).unwrap_or_default();
            at += match *byte {
                ESCAPE => escape_len(rest),
                b'\r' => shown.carriage_return(rest, at),
                BACKSPACE => shown.backspace(),
                0 | BEL => 1,
                byte => shown.push(byte, at),
            };
        }
        shown
    }

    fn push(&mut self, byte: u8, place: usize) -> usize {
        self.text.push(byte);
        self.places.push(place);
        1
    }

    /// The end of a line, or the beginning of what is painted over it.
    fn carriage_return(&mut self, rest: &[u8], place: usize) -> usize {
        let len = rest.iter().take_while(|b| matches!(b, b'\r' | 0)).count();
        if rest.get(len) != Some(&b'\n') && !self.at_line_start() {
            self.push(b'\n', place);
        }
        len
    }

    fn at_line_start(&self) -> bool {
        self.text.last().is_none_or(|byte| *byte == b'\n')
    }

    fn backspace(&mut self) -> usize {
        if !self.at_line_start() {
            self.text.pop();
            self.places.pop();
        }
        1
    }
}

/// The length of the escape sequence that `text` begins with; all of a cut one.
fn escape_len(text: &[u8]) -> usize {
    let after = |start: usize, is_end: fn(u8) -> bool| {
        let rest = text.get(start..).unwrap_or_default();
        let len = rest.iter().position(|b| is_end(*b));
        // A line end in the midst shows that it was none.
        let line = rest.iter().position(|b| matches!(b, b'\r' | b'\n'));
        match (len, line) {
            (Some(len), Some(line)) if line < len => start + line,
            (Some(len), _) => start + len + 1,
            (None, line) => start + line.unwrap_or(rest.len()),
        }
    };
    match text.get(1) {
        Some(b'[') => after(2, |b| (0x40..=0x7e).contains(&b)),
        Some(b']') => after(2, |b| b == BEL || b == b'\\'),
        Some(0x20..=0x2f) => text.len().min(3),
        Some(b'\r' | b'\n') | None => 1,
        Some(_) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::platforms;
    use proptest::prelude::*;
    use std::sync::{Arc, LazyLock};

    static IOS: LazyLock<Arc<Platform>> =
        LazyLock::new(|| Arc::clone(&platforms::load(None).unwrap()["cisco_ios"]));

    fn starred(text: &str) -> String {
        let known = [Secret::new("ntc-enable".into())];
        String::from_utf8(stream(text.as_bytes(), &IOS, &known)).unwrap()
    }

    #[test]
    fn secrets_are_starred_where_they_came() {
        for (text, wanted) in [
            (
                "csr1#show run\r\nenable secret 9 hush\r\ncsr1#",
                "csr1#show run\r\nenable secret 9 ****\r\ncsr1#",
            ),
            (
                "\x1b[1menable\x1b[0m secret 9 hu\x1b[0msh\r\n",
                "\x1b[1menable\x1b[0m secret 9 **\x1b[0m**\r\n",
            ),
            (
                " --More-- \x08\x08\x08\x08\x08\x08\x08\x08\x08         \x08\x08\x08\x08\x08\x08\x08\x08\x08 password 7 00\r\n",
                " --More-- \x08\x08\x08\x08\x08\x08\x08\x08\x08         \x08\x08\x08\x08\x08\x08\x08\x08\x08 password 7 **\r\n",
            ),
            (
                " --More-- \r          \r password 7 00\r\n",
                " --More-- \r          \r password 7 **\r\n",
            ),
            (
                "radius server a\r\r\n key hush\r\r\n!\r\r\n key 1\r\r\n",
                "radius server a\r\r\n key ****\r\r\n!\r\r\n key 1\r\r\n",
            ),
            ("Password: ntc-enable\r\n", "Password: **********\r\n"),
            ("x ntc-\x1b[Kenable y", "x ****\x1b[K****** y"),
            (
                "banner motd ^Cenable secret 9 hush^C\r\n",
                "banner motd ^Cenable secret 9 ****^C\r\n",
            ),
            (
                "\x1b]0;title\x07enable password hush\0\x07\n",
                "\x1b]0;title\x07enable password ****\0\x07\n",
            ),
        ] {
            assert_eq!(starred(text), wanted, "{text:?}");
        }
    }

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                "enable secret 9 ",
                "hush",
                "\r\n",
                "\r",
                "\x1b[",
                "\x1b]",
                "\x1b",
                "\x08",
                "ntc-enable",
                " password 7 ",
                "banner motd ^C",
                "^C",
                "radius server a",
                " key ",
                "K",
                "m",
                "\x07",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn nothing_moves_and_only_stars_are_new(bytes in pieces()) {
            let known = [Secret::new("ntc-enable".into())];
            let masked = stream(&bytes, &IOS, &known);
            prop_assert_eq!(masked.len(), bytes.len());
            prop_assert!(masked.iter().zip(&bytes).all(|(is, was)| is == was || *is == b'*'));
            prop_assert!(!masked.windows(10).any(|window| window == b"ntc-enable"));
        }
    }
}
