//! What differs between two configs, line by line, and in which section of the config it stands.

use super::opaque::Tracker;
use super::volatile;
use crate::model::platform::{Opaque, Platform};
use crate::model::report::Lines;
use similar::{Algorithm, ChangeTag, DiffOp, DiffTag, TextDiff};
use std::ops::Range;
use std::time::Duration;

/// After this long a diff becomes coarser instead of better: the configs have almost nothing in
/// common, or are huge.
const WITHIN: Duration = Duration::from_millis(500);

/// What a comparison must know of a platform.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules<'a> {
    /// Lines (by prefix) that may differ without being a change.
    pub volatile: &'a [Vec<u8>],
    /// Blocks whose lines mean nothing by themselves.
    pub opaque: &'a [Opaque],
}

impl<'a> From<&'a Platform> for Rules<'a> {
    fn from(platform: &'a Platform) -> Self {
        Self {
            volatile: &platform.volatile,
            opaque: &platform.config.opaque,
        }
    }
}

/// On which side a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// On both. Of a volatile line the new form is shown.
    Both,
    /// Only in the old config.
    Old,
    /// Only in the new config.
    New,
}

/// Lines that differ, with those around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// The first line of the old config, from 1; that before it where there are none.
    pub old_start: usize,
    /// How many lines of the old config there are.
    pub old_lines: usize,
    /// The first line of the new config, from 1; that before it where there are none.
    pub new_start: usize,
    /// How many lines of the new config there are.
    pub new_lines: usize,
    /// The lines that the first changed line stands in, outermost first: `router bgp 65000`, then
    /// ` address-family ipv4`, without the blanks around them.
    pub section: Vec<&'a [u8]>,
    /// The lines, each with its line end where it has one.
    pub lines: Vec<(Side, &'a [u8])>,
}

/// Two configs side by side. Volatile lines never differ.
pub struct Comparison<'a> {
    old: Vec<&'a [u8]>,
    new: Vec<&'a [u8]>,
    ops: Vec<DiffOp>,
    rules: Rules<'a>,
}

impl<'a> Comparison<'a> {
    /// Compares `old` with `new`.
    #[must_use]
    pub fn new(old: &'a [u8], new: &'a [u8], rules: Rules<'a>) -> Self {
        let old: Vec<&[u8]> = old.split_inclusive(|byte| *byte == b'\n').collect();
        let new: Vec<&[u8]> = new.split_inclusive(|byte| *byte == b'\n').collect();
        // Lines of which nothing else matters are all alike.
        let alike = |line: &&'a [u8]| volatile::prefix_of(line, rules.volatile).unwrap_or(line);
        let old_keys: Vec<&[u8]> = old.iter().map(alike).collect();
        let new_keys: Vec<&[u8]> = new.iter().map(alike).collect();
        let ops = TextDiff::configure()
            // Rare lines are matched first: `!` and `exit` hold no blocks together.
            .algorithm(Algorithm::Patience)
            .timeout(WITHIN)
            .diff_slices(&old_keys, &new_keys)
            .ops()
            .to_vec();
        Self {
            old,
            new,
            ops,
            rules,
        }
    }

    /// How many lines were added and removed.
    #[must_use]
    pub fn lines(&self) -> Lines {
        let mut lines = Lines::default();
        for op in self.ops.iter().filter(|op| op.tag() != DiffTag::Equal) {
            lines.added += self.steady(&self.new, op.new_range());
            lines.removed += self.steady(&self.old, op.old_range());
        }
        lines
    }

    /// How many of these lines are not volatile.
    fn steady(&self, lines: &[&[u8]], range: Range<usize>) -> u64 {
        let lines = lines.get(range).unwrap_or_default().iter();
        let volatile = |line: &&&[u8]| volatile::prefix_of(line, self.rules.volatile).is_some();
        lines.filter(|line| !volatile(line)).count() as u64
    }

    /// The changed lines with `context` lines around them; none where only volatile lines came or
    /// went.
    #[must_use]
    pub fn hunks(&self, context: usize) -> Vec<Hunk<'a>> {
        let changes = |op: &DiffOp| {
            op.tag() != DiffTag::Equal
                && self.steady(&self.new, op.new_range()) + self.steady(&self.old, op.old_range())
                    > 0
        };
        similar::group_diff_ops(self.ops.clone(), context)
            .iter()
            .filter(|ops| ops.iter().any(changes))
            .map(|ops| self.hunk(ops))
            .collect()
    }

    fn hunk(&self, ops: &[DiffOp]) -> Hunk<'a> {
        let (mut old_lines, mut new_lines) = (0, 0);
        let mut lines = Vec::new();
        let mut section = None;
        for op in ops {
            old_lines += op.old_range().len();
            new_lines += op.new_range().len();
            for change in op.iter_changes(&self.old, &self.new) {
                let (side, text, at) = match change.tag() {
                    ChangeTag::Equal => (Side::Both, &self.new, change.new_index()),
                    ChangeTag::Insert => (Side::New, &self.new, change.new_index()),
                    ChangeTag::Delete => (Side::Old, &self.old, change.old_index()),
                };
                if let Some((at, line)) = at.and_then(|at| Some((at, *text.get(at)?))) {
                    lines.push((side, line));
                    if side != Side::Both && section.is_none() {
                        section = Some(section_of(text, at, self.rules.opaque));
                    }
                }
            }
        }
        let start = |range: Option<Range<usize>>, count: usize| {
            range.map_or(0, |range| range.start) + usize::from(count > 0)
        };
        Hunk {
            old_start: start(ops.first().map(DiffOp::old_range), old_lines),
            old_lines,
            new_start: start(ops.first().map(DiffOp::new_range), new_lines),
            new_lines,
            section: section.unwrap_or_default(),
            lines,
        }
    }
}

/// How many lines were added and removed from `old` to `new`.
#[must_use]
pub fn changed_lines(old: &[u8], new: &[u8], rules: Rules<'_>) -> Lines {
    Comparison::new(old, new, rules).lines()
}

/// How many lines a config has.
#[must_use]
pub fn all_lines(config: &[u8]) -> Lines {
    Lines {
        added: config.split_inclusive(|byte| *byte == b'\n').count() as u64,
        removed: 0,
    }
}

/// The lines above line `at` that it stands in: each the nearest one that is indented less. The
/// lines of an opaque block stand in the line that opens it. RouterOS does not indent; there a line
/// beginning with `/` holds those after it.
fn section_of<'a>(lines: &[&'a [u8]], at: usize, opaque: &[Opaque]) -> Vec<&'a [u8]> {
    let mut section = Vec::new();
    let mut below = at;
    if let Some(opener) = opener_of(lines, at, opaque) {
        below = opener;
        section.extend(lines.get(opener).map(|line| line.trim_ascii()));
    }
    let mut depth = lines.get(below).map_or(0, |line| indent(line));
    let above = lines.iter().enumerate().take(below).rev();
    for (index, line) in above.filter(|(_, line)| !is_filler(line)) {
        if depth == 0 {
            break;
        }
        if indent(line) < depth {
            depth = indent(line);
            below = index;
            section.push(line.trim_ascii());
        }
    }
    if !lines.get(below).is_some_and(|line| line.starts_with(b"/")) {
        let mut paths = lines.iter().take(below).rev();
        let path = paths.find(|line| line.starts_with(b"/"));
        section.extend(path.map(|line| line.trim_ascii()));
    }
    section.reverse();
    section
}

/// The line that opens the opaque block in which line `at` is.
fn opener_of(lines: &[&[u8]], at: usize, opaque: &[Opaque]) -> Option<usize> {
    let mut tracker = Tracker::default();
    let mut opener = None;
    for (index, line) in lines.iter().enumerate().take(at + 1) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let inside = tracker.line(line, opaque);
        if index == at {
            return opener.filter(|_| inside);
        }
        if !inside {
            opener = tracker.inside().then_some(index);
        }
    }
    None
}

fn indent(line: &[u8]) -> usize {
    line.iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count()
}

/// Lines that only part others.
fn is_filler(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.is_empty() || line.starts_with(b"!") || line.starts_with(b"#")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::platform::OpaqueEnd;

    const CONFIG: &str = "\
! Last configuration change at 10:00:00 UTC Fri Nov 27 2026 by admin
hostname csr1
!
interface GigabitEthernet1
 description uplink
 ip address 192.0.2.1 255.255.255.0
 no shutdown
!
interface GigabitEthernet2
 description spare
 shutdown
!
router bgp 65000
 neighbor 192.0.2.2 remote-as 65001
 !
 address-family ipv4
  network 198.51.100.0
  neighbor 192.0.2.2 activate
 exit-address-family
!
banner motd ^C
 keep out
of here
^C
end
";

    fn opaque() -> Vec<Opaque> {
        vec![Opaque {
            begin: b"banner ".to_vec(),
            end: OpaqueEnd::Delimiter,
        }]
    }

    fn shown(old: &str, new: &str) -> String {
        let volatile = [b"! Last configuration change".to_vec()];
        let opaque = opaque();
        let rules = Rules {
            volatile: &volatile,
            opaque: &opaque,
        };
        let comparison = Comparison::new(old.as_bytes(), new.as_bytes(), rules);
        let mut text = String::new();
        for hunk in comparison.hunks(1) {
            let section: Vec<_> = hunk
                .section
                .iter()
                .map(|line| String::from_utf8_lossy(line))
                .collect();
            text += &format!(
                "@@ -{},{} +{},{} @@ {}\n",
                hunk.old_start,
                hunk.old_lines,
                hunk.new_start,
                hunk.new_lines,
                section.join(" > ")
            );
            for (side, line) in hunk.lines {
                text.push(match side {
                    Side::Both => ' ',
                    Side::Old => '-',
                    Side::New => '+',
                });
                text += &String::from_utf8_lossy(line);
            }
        }
        text
    }

    #[test]
    fn a_changed_line_is_shown_with_the_block_it_stands_in() {
        let new = CONFIG.replace(" no shutdown\n", " shutdown\n");
        assert_eq!(
            shown(CONFIG, &new),
            "@@ -6,3 +6,3 @@ interface GigabitEthernet1\n  ip address 192.0.2.1 255.255.255.0\n\
             - no shutdown\n+ shutdown\n !\n"
        );
        let new = CONFIG.replace("  network 198.51.100.0\n", "");
        assert_eq!(
            shown(CONFIG, &new),
            "@@ -16,3 +16,2 @@ router bgp 65000 > address-family ipv4\n  address-family ipv4\n\
             -  network 198.51.100.0\n   neighbor 192.0.2.2 activate\n"
        );
    }

    #[test]
    fn a_line_at_the_margin_stands_in_nothing() {
        let new = CONFIG.replace(
            "router bgp",
            "interface Loopback7\n ip address 203.0.113.7 255.255.255.255\n!\nrouter bgp",
        );
        assert_eq!(
            shown(CONFIG, &new),
            "@@ -12,2 +12,5 @@ \n !\n+interface Loopback7\n\
             + ip address 203.0.113.7 255.255.255.255\n+!\n router bgp 65000\n"
        );
    }

    #[test]
    fn lines_of_a_banner_stand_in_the_banner() {
        let new = CONFIG.replace("of here", "of there");
        assert_eq!(
            shown(CONFIG, &new),
            "@@ -22,3 +22,3 @@ banner motd ^C\n  keep out\n-of here\n+of there\n ^C\n"
        );
    }

    #[test]
    fn a_routeros_path_holds_the_lines_after_it() {
        let old = "# by RouterOS\n/interface bridge\nadd name=a\n/ip address\nadd address=1\nadd address=2\n";
        let new = old.replace("address=2", "address=3");
        assert_eq!(
            shown(old, &new),
            "@@ -5,2 +5,2 @@ /ip address\n add address=1\n-add address=2\n+add address=3\n"
        );
    }

    #[test]
    fn volatile_lines_never_differ() {
        let new = CONFIG.replace("10:00:00", "11:00:00");
        assert_eq!(shown(CONFIG, &new), "");
        let gone = new.lines().skip(1).collect::<Vec<_>>().join("\n") + "\n";
        let volatile = [b"! Last configuration change".to_vec()];
        let rules = Rules {
            volatile: &volatile,
            opaque: &[],
        };
        let lines = changed_lines(CONFIG.as_bytes(), gone.as_bytes(), rules);
        assert_eq!((lines.added, lines.removed), (0, 0));
        assert_eq!(shown(CONFIG, &gone), "");
    }

    #[test]
    fn lines_are_counted() {
        let count = |old: &str, new: &str| {
            let lines = changed_lines(old.as_bytes(), new.as_bytes(), Rules::default());
            (lines.added, lines.removed)
        };
        assert_eq!(count("a\nb\nend\n", "a\nc\nd\nend\n"), (2, 1));
        assert_eq!(count("", "a\nend\n"), (2, 0));
        assert_eq!(count("a\nend\n", ""), (0, 2));
        assert_eq!(count("a\nend", "a\nend\n"), (1, 1));
        assert_eq!(all_lines(b"a\nend\n").added, 2);
    }

    #[test]
    fn configs_with_nothing_in_common_are_compared_in_bounded_time() {
        let text = |salt: u64| {
            let mut rng = fastrand::Rng::with_seed(salt);
            let lines: Vec<String> = (0..30_000)
                .map(|_| format!(" line {}\n", rng.u16(0..500)))
                .collect();
            lines.concat()
        };
        let (old, new) = (text(1), text(2));
        let comparison = Comparison::new(old.as_bytes(), new.as_bytes(), Rules::default());
        let lines = comparison.lines();
        assert_eq!(30_000 - lines.removed + lines.added, 30_000);
        let rebuilt: Vec<u8> = comparison
            .hunks(100_000)
            .iter()
            .flat_map(|hunk| hunk.lines.iter())
            .filter(|(side, _)| *side != Side::Old)
            .flat_map(|(_, line)| line.iter().copied())
            .collect();
        assert_eq!(rebuilt, new.as_bytes(), "nothing is lost");
    }

    proptest::proptest! {
        #[test]
        fn both_sides_can_be_rebuilt_from_the_hunks(
            old in "([ab! ]{0,3}\n){0,12}", new in "([ab! ]{0,3}\n){0,12}"
        ) {
            let comparison = Comparison::new(old.as_bytes(), new.as_bytes(), Rules::default());
            let hunks = comparison.hunks(1000);
            for (side, text) in [(Side::Old, &old), (Side::New, &new)] {
                let lines = hunks.iter().flat_map(|hunk| hunk.lines.iter());
                let rebuilt: Vec<u8> = lines
                    .filter(|(of, _)| *of == Side::Both || *of == side)
                    .flat_map(|(_, line)| line.iter().copied())
                    .collect();
                if hunks.is_empty() {
                    proptest::prop_assert_eq!(&old, &new);
                } else {
                    proptest::prop_assert_eq!(rebuilt.as_slice(), text.as_bytes());
                }
            }
        }
    }
}
