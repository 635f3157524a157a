//! The table at the end of a run, for a person at a terminal.

mod columns;

use super::color::Color;
use super::figures::{Spread, device_spread, stage_spread};
use super::format::{counted, listed, plain, seconds};
use super::reasons::{self, Reason, Wording};
use crate::model::config::Proof;
use crate::model::report::{DeviceReport, Mode, RunReport};
use crate::model::stage::Stage;
use crate::model::version::ObjectId;
use columns::Columns;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::cmp::Reverse;
use std::io::{self, Write};
use std::time::Duration;

/// Up to this many devices each one gets its row.
const MOST_ROWS: usize = 40;
/// Of more devices than that, this many of the slowest do.
const SLOWEST: usize = 10;
/// At most this many reasons or notes are told apart.
const MOST_REASONS: usize = 15;
/// At most this many names follow a reason.
const MOST_NAMES: usize = 5;
/// How the table is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The width of the terminal in columns.
    pub width: u16,
    /// Whether it is coloured.
    pub color: Color,
}

/// Writes the devices in order of completion (of many only the slowest), the stages, what was
/// noted, why devices failed, and the totals.
///
/// # Errors
/// When `out` fails.
pub fn write(report: &RunReport, out: &mut dyn Write, look: Look) -> io::Result<()> {
    writeln!(out)?;
    devices(report, out, look)?;
    stages(report, out)?;
    reason_list("Notes", &reasons::notes(report), out, look)?;
    reason_list("Not ok", &reasons::failures(report), out, look)?;
    totals(report, out)
}

/// Writes the very last line of a run, in the words of the exercise.
///
/// # Errors
/// When `out` fails.
pub fn execution_time(wall: Duration, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Execution time: {}", seconds(wall, 3))?;
    out.flush()
}

fn devices(report: &RunReport, out: &mut dyn Write, look: Look) -> io::Result<()> {
    if report.devices.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<&DeviceReport> = report.devices.iter().collect();
    if rows.len() > MOST_ROWS {
        rows.sort_by_key(|device| Reverse(device.busy()));
        rows.truncate(SLOWEST);
        let all = report.devices.len();
        writeln!(out, "The {SLOWEST} slowest of {all} devices, in seconds")?;
    } else {
        writeln!(out, "Devices in order of completion, in seconds")?;
    }
    let columns = Columns::fitting(&rows, look.width);
    let mut table = bare_table();
    table.set_header(columns.header());
    for device in &rows {
        table.add_row(columns.texts(device));
    }
    align_right(&mut table, 2);
    for (index, line) in lines(table).enumerate() {
        // The first line is the header; no cell is wrapped, so each device has one line.
        let device = index.checked_sub(1).and_then(|row| rows.get(row));
        match device.filter(|_| look.color == Color::On) {
            Some(device) => writeln!(out, "{}", columns::tinted(&line, device))?,
            None => writeln!(out, "{line}")?,
        }
    }
    Ok(())
}

fn stages(report: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    let Some(whole) = device_spread(report) else {
        return Ok(());
    };
    let mut table = bare_table();
    table.set_header(["Stage", "Median", "p95", "Max"]);
    for stage in Stage::ALL {
        if let Some(spread) = stage_spread(report, stage) {
            table.add_row(spread_row(stage.name(), spread));
        }
    }
    table.add_row(spread_row("whole device", whole));
    align_right(&mut table, 1);
    writeln!(out)?;
    print(table, out)
}

fn spread_row(name: &str, spread: Spread) -> [String; 4] {
    let Spread { median, p95, max } = spread;
    [
        name.to_owned(),
        seconds(median, 3),
        seconds(p95, 3),
        seconds(max, 3),
    ]
}

fn reason_list(
    title: &str,
    reasons: &[Reason<'_>],
    out: &mut dyn Write,
    look: Look,
) -> io::Result<()> {
    if reasons.is_empty() {
        return Ok(());
    }
    let mut table = bare_table();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(look.width);
    for reason in reasons.iter().take(MOST_REASONS) {
        let count = format!("{} x", reason.devices.len());
        let example = match reason.wording {
            Wording::Shared => "",
            Wording::Example => "for example ",
        };
        let names = listed(&reason.names(), MOST_NAMES);
        table.add_row([count, format!("{example}{}\n{names}", reason.text)]);
    }
    align_column(&mut table, 0);
    writeln!(out, "\n{title}")?;
    print(table, out)?;
    let rest = reasons.iter().skip(MOST_REASONS);
    match rest.clone().count() {
        0 => Ok(()),
        more => {
            let devices: usize = rest.map(|reason| reason.devices.len()).sum();
            let devices = counted(devices, "device");
            writeln!(
                out,
                "and {more} more for {devices}; --report FILE.json has all"
            )
        }
    }
}

fn totals(report: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    let counts = report.counts();
    let outcomes = worded(&[
        (counts.succeeded, "ok"),
        (counts.not_saved, "not saved"),
        (counts.failed, "failed"),
        (counts.cancelled, "cancelled"),
    ]);
    let configs = worded(&[
        (counts.new, "new"),
        (counts.changed, "changed"),
        (counts.unchanged, "unchanged"),
    ]);
    let total = counted(counts.total, "device");
    writeln!(out, "\n{total}: {outcomes}.\nConfigs: {configs}.")?;
    proofs(report, out)?;
    writeln!(
        out,
        "Wall time {} s, device time {} s, overlap {:.2}.",
        seconds(report.wall, 3),
        seconds(report.device_time(), 3),
        report.overlap()
    )?;
    match report.mode {
        Mode::Sequential => writeln!(out, "One by one.")?,
        Mode::Concurrent => writeln!(
            out,
            "At most {} in flight at once, limit {}.",
            report.in_flight_max, report.in_flight_limit
        )?,
    }
    versions(report, out)?;
    leftovers(report, out)
}

/// What proved the configs whole, where any was read.
fn proofs(report: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    let found: Vec<Proof> = report.devices.iter().filter_map(|d| d.proof).collect();
    let counted = Proof::ALL.map(|proof| {
        let count = found.iter().filter(|other| **other == proof).count();
        (count, proof.name())
    });
    if found.is_empty() {
        return Ok(());
    }
    let words = worded(&counted).replace('_', " ");
    writeln!(out, "Proven whole by: {words}.")
}

fn versions(report: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    if !report.commits.is_empty() {
        let ids: Vec<String> = report.commits.iter().map(ObjectId::short).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        writeln!(out, "Committed: {}.", listed(&ids, MOST_NAMES))?;
    }
    if let Some(trouble) = &report.archive_trouble {
        writeln!(out, "Not all versions are committed: {}", plain(trouble))?;
    }
    Ok(())
}

fn leftovers(report: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    if !report.busy.is_empty() {
        let names: Vec<&str> = report.busy.iter().map(|name| name.as_str()).collect();
        let names = listed(&names, MOST_NAMES);
        writeln!(out, "Left out, still busy with an earlier run: {names}.")?;
    }
    if report.abandoned_threads > 0 {
        let threads = counted(report.abandoned_threads, "device thread");
        writeln!(out, "{threads} did not come back in time, left behind.")?;
    }
    Ok(())
}

/// The counts that are not zero, in words.
fn worded(counts: &[(usize, &str)]) -> String {
    let parts = counts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if parts.is_empty() {
        "none".to_owned()
    } else {
        parts.join(", ")
    }
}

fn bare_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.force_no_tty();
    table
}

fn align_right(table: &mut Table, from: usize) {
    for column in from..table.column_count() {
        align_column(table, column);
    }
}

fn align_column(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn print(table: Table, out: &mut dyn Write) -> io::Result<()> {
    for line in lines(table) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The lines without blanks at their ends.
fn lines(mut table: Table) -> impl Iterator<Item = String> {
    let last = table.column_count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index < last { 2 } else { 0 }));
    }
    let lines: Vec<String> = table.lines().collect();
    lines.into_iter().map(|line| line.trim_end().to_owned())
}
