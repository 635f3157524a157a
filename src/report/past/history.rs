//! How one device ended over time, and what else happened to it.

use super::status::{due_in, held};
use super::{Column, Layout, Side, long, reason, result, wire, write_columns};
use crate::model::history::{DeviceState, GoodAge, Incident, PastOutcome};
use crate::report::format::{plain, spoken};
use std::cmp::Reverse;
use std::io::{self, Write};
use std::time::SystemTime;

/// What is remembered of one device.
#[derive(Debug, Clone)]
pub struct History {
    /// The device.
    pub name: String,
    /// How it stands, where anything is known of it.
    pub state: Option<DeviceState>,
    /// Its outcomes, newest first.
    pub outcomes: Vec<PastOutcome>,
    /// What else happened to it, newest first.
    pub incidents: Vec<Incident>,
}

const COLUMNS: [Column; 7] = [
    ("When", Side::Left),
    ("Run", Side::Right),
    ("Result", Side::Left),
    ("Bytes", Side::Right),
    ("Took", Side::Right),
    ("Tries", Side::Right),
    ("Why", Side::Left),
];

impl History {
    /// Writes a line about the device, then one for each outcome and incident, newest first.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write(&self, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.standing(layout))?;
        let mut rows: Vec<(SystemTime, Vec<String>)> = Vec::new();
        rows.extend(
            self.outcomes
                .iter()
                .map(|past| (past.ended, of_outcome(past, layout))),
        );
        rows.extend(
            self.incidents
                .iter()
                .map(|past| (past.at, of_incident(past, layout))),
        );
        // Stable: what led to an incident stays above it.
        rows.sort_by_key(|(at, _)| Reverse(*at));
        let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
        if !rows.is_empty() {
            write_columns(&COLUMNS, &rows, layout, out)?;
        }
        out.flush()
    }

    fn standing(&self, layout: &Layout) -> String {
        let Some(state) = &self.state else {
            return format!("{}: nothing is recorded yet", self.name);
        };
        let good = match state.good_age(layout.now) {
            GoodAge::Never => "never backed up".to_owned(),
            GoodAge::Known(age) => format!("last good backup {} ago", long(age)),
            GoodAge::Ahead(ahead) => format!(
                "last good backup {} ahead of this machine's clock",
                long(ahead)
            ),
        };
        let failures = match state.failures {
            0 => String::new(),
            1 => ", failed since".to_owned(),
            many => format!(", failed {many} times since"),
        };
        let due = state.due.map_or_else(String::new, |due| {
            format!("; due {}", due_in(due.seen_from(layout.now), layout))
        });
        let held = match held(&state.health, layout) {
            held if held.is_empty() => held,
            held => format!("; left alone: {held}"),
        };
        format!("{}: {good}{failures}{due}{held}", state.name)
    }
}

fn of_outcome(past: &PastOutcome, layout: &Layout) -> Vec<String> {
    let tried = past.attempts > 0;
    vec![
        layout.moment(past.ended),
        past.run.to_string(),
        if tried {
            result(&past.outcome, past.stored.as_ref())
        } else {
            "not tried".to_owned()
        },
        past.stored
            .as_ref()
            .map_or_else(String::new, |stored| stored.bytes.to_string()),
        if tried {
            spoken(past.took)
        } else {
            String::new()
        },
        if tried {
            past.attempts.to_string()
        } else {
            String::new()
        },
        reason(&past.outcome),
    ]
}

fn of_incident(incident: &Incident, layout: &Layout) -> Vec<String> {
    let empty = String::new;
    vec![
        layout.moment(incident.at),
        empty(),
        incident.kind.replace('_', " "),
        empty(),
        empty(),
        empty(),
        plain(&incident.message),
    ]
}

/// Writes histories, as of `now`, as JSON, version 1.
///
/// # Errors
/// When `out` fails.
pub fn write_json(histories: &[History], now: SystemTime, out: &mut dyn Write) -> io::Result<()> {
    wire::histories(histories, now, out)
}
