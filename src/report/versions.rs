//! The versions of a device as a table.

use super::format::plain;
use crate::model::version::Version;
use jiff::tz::TimeZone;
use std::io::{self, Write};
use std::time::SystemTime;

const HEADER: [&str; 6] = ["Back", "Version", "Date", "Author", "Lines", "Run"];

/// Writes `versions`, newest first, with their times in `zone`: how many back each is, its commit,
/// its date, who changed it, the lines that came and went, and when the run began that brought it.
///
/// # Errors
/// When `out` fails.
pub fn write(versions: &[Version], zone: &TimeZone, out: &mut dyn Write) -> io::Result<()> {
    if versions.is_empty() {
        return Ok(());
    }
    let rows: Vec<[String; 6]> = versions
        .iter()
        .enumerate()
        .map(|(back, version)| row(back, version, zone))
        .collect();
    let mut widths = HEADER.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let header = HEADER.map(str::to_owned);
    for row in std::iter::once(&header).chain(&rows) {
        let cells = row.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    out.flush()
}

fn row(back: usize, version: &Version, zone: &TimeZone) -> [String; 6] {
    [
        format!("@{back}"),
        version.commit.short(),
        date(version.at, zone),
        plain(&version.author),
        version.lines.to_string(),
        version
            .run
            .map_or_else(|| "-".to_owned(), |run| date(run, zone)),
    ]
}

/// A moment by the clock on the wall.
pub(super) fn date(at: SystemTime, zone: &TimeZone) -> String {
    jiff::Timestamp::try_from(at).map_or_else(
        |_| "?".to_owned(),
        |at| {
            at.to_zoned(zone.clone())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::DeviceName;
    use crate::model::report::Lines;
    use crate::model::version::ObjectId;
    use std::time::Duration;

    #[test]
    fn versions_are_a_table() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_428_000 + seconds);
        let version = |number: u8, author: &str, run| Version {
            device: DeviceName::new("csr1").unwrap(),
            path: "csr1.cfg".to_owned(),
            commit: ObjectId::from_bytes([number; 20]),
            blob: ObjectId::from_bytes([number; 20]),
            at: at(u64::from(number)),
            author: author.to_owned(),
            lines: Lines {
                added: u64::from(number),
                removed: 120,
            },
            run,
        };
        let versions = [
            version(0x3f, "an\x1b[31madmin", Some(at(0))),
            version(1, "wrmem", None),
        ];
        let mut out = Vec::new();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        write(&versions, &zone, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Back  Version     Date                 Author        Lines     Run\n\
             @0    3f3f3f3f3f  2026-11-23 11:01:03  an [31madmin  +63 -120  2026-11-23 11:00:00\n\
             @1    0101010101  2026-11-23 11:00:01  wrmem         +1 -120   -\n"
        );
    }
}
