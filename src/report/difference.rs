//! What changed between two versions, as a unified diff whose hunks name the section they stand in.

use super::color::{Color, Tint};
use super::format::plain;
use super::outlet::Outlet;
use super::versions::date;
use crate::model::version::Version;
use crate::text::diff::{Comparison, Hunk, Side};
use jiff::tz::TimeZone;
use std::io::{self, Write};

/// Two versions and their contents, as they are to be shown.
pub struct Compared<'a> {
    /// The version on the left.
    pub old: &'a Version,
    /// The version on the right.
    pub new: &'a Version,
    /// Their contents.
    pub comparison: &'a Comparison<'a>,
    /// How many lines are shown around those that changed.
    pub context: usize,
}

/// How it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Whether lines are coloured.
    pub color: Color,
    /// Where they go.
    pub outlet: Outlet,
}

/// Writes what changed, with times in `zone`.
///
/// # Errors
/// When `out` fails.
pub fn write(
    compared: &Compared<'_>,
    zone: &TimeZone,
    look: Look,
    out: &mut dyn Write,
) -> io::Result<()> {
    let hunks = compared.comparison.hunks(compared.context);
    if hunks.is_empty() {
        writeln!(
            out,
            "{}: no difference between {} and {}",
            compared.new.device,
            compared.old.commit.short(),
            compared.new.commit.short()
        )?;
        return out.flush();
    }
    let mut writer = Writer { out, look };
    writer.line(&heading("---", compared.old, zone), Some(Tint::Bad))?;
    writer.line(&heading("+++", compared.new, zone), Some(Tint::Good))?;
    for hunk in &hunks {
        writer.hunk(hunk)?;
    }
    out.flush()
}

fn heading(sign: &str, version: &Version, zone: &TimeZone) -> Vec<u8> {
    format!(
        "{sign} {} {} {} by {}",
        version.path,
        version.commit.short(),
        date(version.at, zone),
        plain(&version.author)
    )
    .into_bytes()
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    look: Look,
}

impl Writer<'_> {
    fn hunk(&mut self, hunk: &Hunk<'_>) -> io::Result<()> {
        let mut head = format!(
            "@@ -{} +{} @@",
            span(hunk.old_start, hunk.old_lines),
            span(hunk.new_start, hunk.new_lines)
        )
        .into_bytes();
        for (depth, line) in hunk.section.iter().enumerate() {
            head.extend_from_slice(if depth == 0 { b" " } else { b" > " });
            head.extend_from_slice(line);
        }
        self.line(&head, Some(Tint::Warning))?;
        for (side, line) in &hunk.lines {
            let (sign, tint) = match side {
                Side::Both => (b' ', None),
                Side::Old => (b'-', Some(Tint::Bad)),
                Side::New => (b'+', Some(Tint::Good)),
            };
            let (text, whole) = match line.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (*line, false),
            };
            let mut shown = vec![sign];
            shown.extend_from_slice(text);
            self.line(&shown, tint)?;
            if !whole {
                self.line(b"\\ No newline at end of file", None)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], tint: Option<Tint>) -> io::Result<()> {
        let line = self.look.outlet.fit(line);
        match tint.filter(|_| self.look.color == Color::On) {
            Some(tint) => {
                self.out.write_all(tint.begin().as_bytes())?;
                self.out.write_all(&line)?;
                self.out.write_all(Tint::END.as_bytes())?;
            }
            None => self.out.write_all(&line)?,
        }
        self.out.write_all(b"\n")
    }
}

/// As in a unified diff: one line needs no count.
fn span(start: usize, lines: usize) -> String {
    match lines {
        1 => start.to_string(),
        _ => format!("{start},{lines}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::DeviceName;
    use crate::model::report::Lines;
    use crate::model::version::ObjectId;
    use crate::text::diff::Rules;
    use std::time::{Duration, SystemTime};

    fn version(number: u8) -> Version {
        Version {
            device: DeviceName::new("csr1").unwrap(),
            path: "core/csr1.cfg".to_owned(),
            commit: ObjectId::from_bytes([number; 20]),
            blob: ObjectId::from_bytes([number; 20]),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_428_000 + u64::from(number)),
            author: "admin".to_owned(),
            lines: Lines::default(),
            run: None,
        }
    }

    fn shown(old: &str, new: &str, look: Look) -> String {
        let comparison = Comparison::new(old.as_bytes(), new.as_bytes(), Rules::default());
        let (old, new) = (version(1), version(2));
        let compared = Compared {
            old: &old,
            new: &new,
            comparison: &comparison,
            context: 1,
        };
        let mut out = Vec::new();
        write(&compared, &TimeZone::UTC, look, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const PLAIN: Look = Look {
        color: Color::Off,
        outlet: Outlet::Bytes,
    };

    #[test]
    fn hunks_name_the_section_they_stand_in() {
        let old = "router bgp 1\n address-family ipv4\n  network a\n  network b\n exit\nend";
        let new = "router bgp 1\n address-family ipv4\n  network a\n  network \x1bc\n exit\nend\n";
        assert_eq!(
            shown(old, new, PLAIN),
            "--- core/csr1.cfg 0101010101 2026-11-23 10:00:01 by admin\n\
             +++ core/csr1.cfg 0202020202 2026-11-23 10:00:02 by admin\n\
             @@ -3,4 +3,4 @@ router bgp 1 > address-family ipv4\n   network a\n-  network b\n\
             +  network \u{1b}c\n  exit\n-end\n\\ No newline at end of file\n+end\n"
        );
        let look = Look {
            color: Color::On,
            outlet: Outlet::Terminal,
        };
        let coloured = shown(old, new, look);
        assert!(
            coloured.contains("\x1b[32m+  network \u{fffd}c\x1b[0m\n"),
            "{coloured:?}"
        );
        assert!(
            coloured.contains("\x1b[31m-  network b\x1b[0m\n"),
            "{coloured:?}"
        );
    }

    #[test]
    fn no_difference_is_told() {
        assert_eq!(
            shown("end\n", "end\n", PLAIN),
            "csr1: no difference between 0101010101 and 0202020202\n"
        );
    }
}
