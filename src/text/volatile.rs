//! Lines that may differ without being a change.

use super::phrase;

/// Whether `old` and `new` are the same config once volatile lines are left out. A line is volatile
/// when it begins, after leading blanks, with one of `prefixes`, where a `*` stands for any text.
#[must_use]
pub fn same(old: &[u8], new: &[u8], prefixes: &[Vec<u8>]) -> bool {
    old == new || steady_lines(old, prefixes).eq(steady_lines(new, prefixes))
}

fn steady_lines<'a>(text: &'a [u8], prefixes: &'a [Vec<u8>]) -> impl Iterator<Item = &'a [u8]> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| !is_volatile(line, prefixes))
}

/// Whether `line` is volatile.
#[must_use]
pub fn is_volatile(line: &[u8], prefixes: &[Vec<u8>]) -> bool {
    prefix_of(line, prefixes).is_some()
}

/// The prefix that makes `line` volatile.
pub(super) fn prefix_of<'a>(line: &[u8], prefixes: &'a [Vec<u8>]) -> Option<&'a [u8]> {
    let line = line.trim_ascii_start();
    // An empty prefix would make every line volatile, and then nothing would ever be stored again.
    let mut fitting = prefixes
        .iter()
        .filter(|prefix| phrase::begins(line, prefix));
    fitting.next().map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes() -> Vec<Vec<u8>> {
        vec![
            b"! Last configuration change".to_vec(),
            b"ntp clock-period".to_vec(),
        ]
    }

    #[test]
    fn volatile_lines_do_not_count() {
        let old = b"! Last configuration change at 10:00\nhostname csr1\nend\n";
        let new = b"hostname csr1\n  ntp clock-period 17\nend\n";
        assert!(same(old, new, &prefixes()));
        assert!(!same(old, new, &[]));
    }

    #[test]
    fn every_other_difference_counts() {
        let prefixes = prefixes();
        assert!(!same(
            b"hostname csr1\nend\n",
            b"hostname csr2\nend\n",
            &prefixes
        ));
        assert!(!same(b"a\nb\n", b"b\na\n", &prefixes));
        assert!(!same(b"a\nend\n", b"a\nend", &prefixes));
        assert!(!same(b"a\n\nend\n", b"a\nend\n", &prefixes));
        assert!(!same(b"", b"end\n", &prefixes));
    }

    #[test]
    fn an_empty_prefix_hides_nothing() {
        assert!(!same(b"a\n", b"b\n", &[Vec::new()]));
    }
}
