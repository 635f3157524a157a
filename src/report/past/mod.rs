//! What is remembered, shown: how devices stand, how they ended over time, which runs there were.
//!
//! Text is for people and for `grep`: one line per fact, columns as wide as they need to be, what is
//! long at the end of the line. JSON is for programs.

mod history;
mod runs;
mod status;
mod wire;

pub use history::{History, write_json as write_histories_json};
pub use runs::{RunDetails, Runs};
pub use status::{DeviceStatus, Status, released};

use super::format::{plain, shortened};
use crate::model::report::{Outcome, Stored};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

/// How text is laid out.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The width of the terminal in columns; `None` where nothing is cut.
    pub width: Option<u16>,
    /// The zone of the times that are shown.
    pub zone: TimeZone,
    /// The present moment.
    pub now: SystemTime,
}

impl Layout {
    /// `2026-11-27 21:33:10`.
    fn moment(&self, at: SystemTime) -> String {
        match Timestamp::try_from(at) {
            Ok(at) => {
                let there = at.to_zoned(self.zone.clone());
                there.strftime("%Y-%m-%d %H:%M:%S").to_string()
            }
            Err(_) => "?".to_owned(),
        }
    }

    /// How long ago something was; what is still to come was just now, by a clock that was set.
    fn age(&self, at: SystemTime) -> Duration {
        self.now.duration_since(at).unwrap_or_default()
    }
}

/// Which side of a column its texts stand at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// A column: what stands above it, and at which side.
type Column = (&'static str, Side);

/// Writes rows under a header. Columns in which nothing stands are left out; the last one is cut
/// where the line would be wider than the terminal.
fn write_columns(
    columns: &[Column],
    rows: &[Vec<String>],
    layout: &Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut widths = vec![0; columns.len()];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for (width, (head, _)) in widths.iter_mut().zip(columns) {
        if *width > 0 {
            *width = (*width).max(head.chars().count());
        }
    }
    let header: Vec<String> = columns.iter().map(|(head, _)| (*head).to_owned()).collect();
    for row in std::iter::once(&header).chain(rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(columns)
            .zip(&widths)
            .filter(|(_, width)| **width > 0)
            .map(|((cell, (_, side)), width)| match side {
                Side::Left => format!("{cell:<width$}"),
                Side::Right => format!("{cell:>width$}"),
            })
            .collect();
        let line = cells.join("  ");
        let line = line.trim_end();
        match layout.width {
            Some(width) => writeln!(out, "{}", cut(line, usize::from(width)))?,
            None => writeln!(out, "{line}")?,
        }
    }
    Ok(())
}

/// `line` without what goes beyond `width`.
fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let kept: String = line.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A long time as a person says it: `45 s`, `12 min`, `3 h 05 min`, `1 d`, `2 d 04 h`, `400 d`.
fn long(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..3600 => format!("{minutes} min"),
        3600..86_400 if minutes % 60 == 0 => format!("{hours} h"),
        3600..86_400 => format!("{hours} h {:02} min", minutes % 60),
        86_400..2_592_000 if hours % 24 != 0 => format!("{days} d {:02} h", hours % 24),
        86_400.. => format!("{days} d"),
    }
}

/// How a device ended, in few words: `ok, changed +3 -1`, `connect failed`.
fn result(outcome: &Outcome, stored: Option<&Stored>) -> String {
    let stored = stored.map_or_else(String::new, |stored| match stored.lines {
        Some(lines) => format!(", {} {lines}", stored.kind.name()),
        None => format!(", {}", stored.kind.name()),
    });
    match outcome {
        Outcome::Ok => format!("ok{stored}"),
        Outcome::NotSaved(_) => format!("not saved{stored}"),
        Outcome::Failed(failure) => format!("{} failed", failure.stage),
        Outcome::Cancelled(_) => "cancelled".to_owned(),
    }
}

/// Why it did not simply end ok, on one line.
fn reason(outcome: &Outcome) -> String {
    let failure = outcome.failure();
    failure.map_or_else(String::new, |failure| plain(&failure.message))
}

/// A name that leaves room for the rest.
fn name(name: &str) -> String {
    shortened(name, 40)
}

#[cfg(test)]
mod tests;
