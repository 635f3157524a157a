//! Finding a platform's phrases in what a device says.

/// Where `needle` begins in `text`. An empty needle is nowhere.
#[must_use]
pub fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    text.windows(needle.len()).position(|w| w == needle)
}

/// Whether `line` holds `phrase`, where a `*` within the phrase stands for any text.
#[must_use]
pub fn holds(line: &[u8], phrase: &[u8]) -> bool {
    let mut rest = line;
    let mut pieces = phrase.split(|b| *b == b'*').filter(|p| !p.is_empty());
    let mut any = false;
    let all = pieces.all(|piece| {
        any = true;
        match find(rest, piece) {
            Some(at) => {
                rest = rest.get(at + piece.len()..).unwrap_or_default();
                true
            }
            None => false,
        }
    });
    any && all
}

/// Whether `line` holds any of `phrases`.
#[must_use]
pub fn holds_any(line: &[u8], phrases: &[Vec<u8>]) -> bool {
    phrases.iter().any(|phrase| holds(line, phrase))
}

/// Whether `line` as a whole, outer blanks aside, is any of `phrases`, where a `*` within a phrase
/// stands for any text.
#[must_use]
pub fn is_any(line: &[u8], phrases: &[Vec<u8>]) -> bool {
    let line = line.trim_ascii();
    phrases.iter().any(|phrase| {
        let mut pieces = phrase.split(|b| *b == b'*');
        let first = pieces.next().unwrap_or_default();
        let last = pieces.next_back().unwrap_or(first);
        line.starts_with(first) && line.ends_with(last) && holds(line, phrase)
    })
}

/// Whether `line` begins with `phrase`, where a `*` within the phrase stands for any text.
#[must_use]
pub fn begins(line: &[u8], phrase: &[u8]) -> bool {
    let mut pieces = phrase.splitn(2, |b| *b == b'*');
    let first = pieces.next().unwrap_or_default();
    let Some(rest) = line.strip_prefix(first) else {
        return false;
    };
    match pieces.next() {
        None => !first.is_empty(),
        Some(more) => holds(rest, more),
    }
}

/// Whether `line` begins with any of `phrases`, after leading blanks.
#[must_use]
pub fn begins_any(line: &[u8], phrases: &[Vec<u8>]) -> bool {
    let line = line.trim_ascii_start();
    phrases.iter().any(|phrase| begins(line, phrase))
}

/// Whether `line` ends with `phrase`, trailing blanks on either side aside.
#[must_use]
pub fn ends(line: &[u8], phrase: &[u8]) -> bool {
    let phrase = phrase.trim_ascii_end();
    !phrase.is_empty() && line.trim_ascii_end().ends_with(phrase)
}

/// Whether `line` ends with any of `phrases`, trailing blanks on either side aside.
#[must_use]
pub fn ends_any(line: &[u8], phrases: &[Vec<u8>]) -> bool {
    phrases.iter().any(|phrase| ends(line, phrase))
}

/// The lines of `text`, without their line feeds.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let count = usize::from(!text.is_empty());
    text.split(|b| *b == b'\n')
        .take(if count == 0 { 0 } else { usize::MAX })
}

/// A value as it stands on a config line, without its semicolon and its quotes.
#[must_use]
pub fn unquoted(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    let value = value.strip_suffix(b";").unwrap_or(value);
    let within = |quote: &[u8]| value.strip_prefix(quote)?.strip_suffix(quote);
    within(b"\"").or_else(|| within(b"'")).unwrap_or(value)
}

/// Whether a line only points at a place in the command above it, as in front of a refusal: `^`.
#[must_use]
pub fn is_pointer(line: &[u8]) -> bool {
    line.contains(&b'^') && line.iter().all(|b| matches!(b, b'^' | b'-' | b'~' | b' '))
}

/// The number that stands behind `before`.
#[must_use]
pub fn number_after(line: &[u8], before: &[u8]) -> Option<u64> {
    let at = find(line, before)? + before.len();
    let rest = line.get(at..)?.trim_ascii_start();
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(holds(b"Warning: chown on x failed", b"Warning:*failed"));
        assert!(!holds(
            b"failed Warning: or write may fail.",
            b"Warning:*failed"
        ));
        assert!(holds(b"to 99 bytes[OK]", b"[OK]"));
        assert!(!holds(b"anything", b""));
        assert!(!holds(b"anything", b"*"));
    }

    #[test]
    fn a_whole_line_is_a_phrase() {
        let phrases = vec![b"{master:*}".to_vec(), b"[edit]".to_vec()];
        assert!(is_any(b"{master:0}", &phrases));
        assert!(is_any(b" [edit] ", &phrases));
        assert!(!is_any(b"{master:0} x", &phrases));
        assert!(!is_any(b"", &phrases));
    }

    #[test]
    fn beginnings_and_ends() {
        let phrases = vec![b"Password: ".to_vec(), Vec::new()];
        assert!(ends_any(b"\nPassword:", &phrases));
        assert!(!ends_any(b"Password: x", &phrases));
        assert!(begins_any(b"  Password: x", &phrases));
        let dated = [b"# * by RouterOS ".to_vec()];
        assert!(begins_any(b"# 2026-11-27 by RouterOS 7.16", &dated));
        assert!(!begins_any(b"# by RouterOS 7.16", &dated));
        assert!(!begins_any(b"add comment=\"# x by RouterOS y\"", &dated));
        assert!(!begins_any(b"anything", &[b"*".to_vec()]));
        assert_eq!(lines(b"a\n\nb\n").count(), 3);
        assert_eq!(lines(b"").count(), 0);
    }
}
