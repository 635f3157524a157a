//! Figures and foreign text, made fit to be shown.

use std::time::Duration;

/// Seconds with `decimals` places and no unit.
pub(super) fn seconds(time: Duration, decimals: usize) -> String {
    format!("{:.decimals$}", time.as_secs_f64())
}

/// A duration as a person says it: `0.41 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`.
pub(super) fn spoken(time: Duration) -> String {
    let whole = time.as_secs();
    match whole {
        0..10 => format!("{:.2} s", time.as_secs_f64()),
        10..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        3600.. => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// Makes text that came from elsewhere safe to show on one line: what could move a cursor, ring,
/// recolour or reorder the line becomes a space, and spaces are not repeated.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if is_active(c) { ' ' } else { c };
        if c != ' ' || !shown.ends_with(' ') {
            shown.push(c);
        }
    }
    shown.trim().to_owned()
}

/// Control characters, line and paragraph separators, and the marks that change the direction of
/// writing (Unicode 16, section 23.2).
pub(super) fn is_active(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` with its middle left out when it has more than `width` characters.
pub(super) fn shortened(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let head = kept.div_ceil(2);
    let front = text.chars().take(head);
    let back = text.chars().skip(length - (kept - head));
    front.chain(['…']).chain(back).collect()
}

/// The first `most` names, and how many more there are.
pub(super) fn listed(names: &[&str], most: usize) -> String {
    let shown = names.iter().take(most).copied().collect::<Vec<_>>();
    match names.len().saturating_sub(most) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `1 device`, `2 devices`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_act_on_a_terminal() {
        let shown = plain("a\x1b[2J\r\nb\u{9b}1A\u{7}c\u{202e}d\u{2028}e\t\t f ");
        assert_eq!(shown, "a [2J b 1A c d e f");
        assert_eq!(plain("Zürich 東京"), "Zürich 東京");
    }

    #[test]
    fn durations_read_well_at_any_size() {
        let millis = Duration::from_millis;
        assert_eq!(spoken(millis(412)), "0.41 s");
        assert_eq!(spoken(millis(12_340)), "12.3 s");
        assert_eq!(spoken(millis(125_900)), "2 min 05 s");
        assert_eq!(spoken(millis(3_720_000)), "1 h 02 min");
        assert_eq!(seconds(millis(1_234), 3), "1.234");
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(shortened("csr1", 4), "csr1");
        assert_eq!(shortened("abcdefghij", 5), "ab…ij");
        assert_eq!(shortened("züricherdorf", 6), "zür…rf");
    }

    #[test]
    fn lists_say_what_they_leave_out() {
        assert_eq!(listed(&["a", "b"], 2), "a, b");
        assert_eq!(listed(&["a", "b", "c", "d"], 2), "a, b and 2 more");
        assert_eq!(counted(1, "device"), "1 device");
        assert_eq!(counted(0, "device"), "0 devices");
    }
}
