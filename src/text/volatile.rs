//! Which differences between two configs count.

use super::phrase;

/// Whether two configs are the same but for volatile lines: lines that, after leading blanks,
/// begin with one of `volatile`.
#[must_use]
pub fn same(old: &[u8], new: &[u8], volatile: &[Vec<u8>]) -> bool {
    if old == new {
        return true;
    }
    let lasting = |line: &&[u8]| !phrase::begins_any(line, volatile);
    let old = phrase::lines(old).filter(lasting);
    let new = phrase::lines(new).filter(lasting);
    old.eq(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a15_a16_only_volatile_lines_may_differ() {
        let volatile = vec![
            b"! Last configuration change at".to_vec(),
            b"ntp clock-period".to_vec(),
        ];
        let old = b"!\n! Last configuration change at 1\nhostname a\nend\n";
        let newer = b"!\n! Last configuration change at 2\nhostname a\nntp clock-period 3\nend\n";
        let changed = b"!\n! Last configuration change at 1\nhostname b\nend\n";
        assert!(same(old, newer, &volatile));
        assert!(!same(old, newer, &[]));
        assert!(!same(old, changed, &volatile));
        assert!(
            !same(old, b"!\nhostname a\n", &volatile),
            "a missing line counts"
        );
        assert!(same(b"", b"", &volatile));
        assert!(!same(b"", b"hostname a\n", &volatile));
    }
}
