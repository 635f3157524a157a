//! The runs, newest first, and one of them with its devices.

use super::{Column, Layout, Side, name, reason, result, wire, write_columns};
use crate::model::history::{PastOutcome, PastRun, RunEnd};
use crate::model::report::Outcome;
use crate::report::format::spoken;
use std::io::{self, Write};

/// Runs, newest first.
#[derive(Debug, Clone)]
pub struct Runs(pub Vec<PastRun>);

const RUNS: [Column; 10] = [
    ("Run", Side::Right),
    ("Started", Side::Left),
    ("By", Side::Left),
    ("Devices", Side::Right),
    ("Ok", Side::Right),
    ("Not saved", Side::Right),
    ("Failed", Side::Right),
    ("Cancelled", Side::Right),
    ("Changed", Side::Right),
    ("Took", Side::Right),
];

const DEVICES: [Column; 6] = [
    ("Device", Side::Left),
    ("Result", Side::Left),
    ("Bytes", Side::Right),
    ("Took", Side::Right),
    ("Tries", Side::Right),
    ("Why", Side::Left),
];

impl Runs {
    /// Writes a line for each run.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write(&self, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
        let rows: Vec<_> = self.0.iter().map(|run| of_run(run, layout)).collect();
        write_columns(&RUNS, &rows, layout, out)?;
        out.flush()
    }

    /// Writes them as JSON, version 1.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        wire::runs(&self.0, out)
    }
}

fn of_run(run: &PastRun, layout: &Layout) -> Vec<String> {
    let counts = &run.counts;
    // What did not happen leaves no trace, so that the rest is seen.
    let some = |count: usize| match count {
        0 => String::new(),
        count => count.to_string(),
    };
    vec![
        run.number.to_string(),
        layout.moment(run.started),
        run.trigger.name().to_owned(),
        counts.total.to_string(),
        counts.succeeded.to_string(),
        some(counts.not_saved),
        some(counts.failed),
        some(counts.cancelled),
        some(counts.new + counts.changed),
        end(run.end),
    ]
}

fn end(end: RunEnd) -> String {
    match end {
        RunEnd::UnderWay => "under way".to_owned(),
        RunEnd::After(wall) => spoken(wall),
        RunEnd::BrokenOff => "broken off".to_owned(),
    }
}

/// One run with its devices.
#[derive(Debug, Clone)]
pub struct RunDetails {
    /// The run.
    pub run: PastRun,
    /// Its devices in the order in which they ended.
    pub outcomes: Vec<PastOutcome>,
}

impl RunDetails {
    /// Writes the run and a line for each of its devices, those that are not ok first.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write(&self, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
        write_columns(&RUNS, &[of_run(&self.run, layout)], layout, out)?;
        writeln!(out)?;
        let ok = |past: &&PastOutcome| past.outcome == Outcome::Ok;
        let (good, bad): (Vec<_>, Vec<_>) = self.outcomes.iter().partition(ok);
        let rows: Vec<_> = bad.into_iter().chain(good).map(of_device).collect();
        write_columns(&DEVICES, &rows, layout, out)?;
        out.flush()
    }

    /// Writes it as JSON, version 1.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        wire::run(self, out)
    }
}

fn of_device(past: &PastOutcome) -> Vec<String> {
    let bytes = past.stored.as_ref().map(|stored| stored.bytes.to_string());
    vec![
        name(past.device.as_str()),
        match past.attempts {
            0 => "not tried".to_owned(),
            _ => result(&past.outcome, past.stored.as_ref()),
        },
        bytes.unwrap_or_default(),
        spoken(past.took),
        past.attempts.to_string(),
        reason(&past.outcome),
    ]
}
