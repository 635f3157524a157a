//! Which columns the table of devices has, and what stands in them.

use crate::model::report::{DeviceReport, Outcome};
use crate::model::stage::Stage;
use crate::report::color::Tint;
use crate::report::figures::stage_time;
use crate::report::format::{seconds, shortened};
use std::time::Duration;

/// What a name needs to be recognized.
const NAME_WIDTH: usize = 16;

/// The stages that have a column of their own; disconnect waits for nothing.
const COLUMNS: [Stage; 4] = [Stage::Connect, Stage::Save, Stage::Backup, Stage::Write];

/// Which columns there are, and how they are written.
pub(super) struct Columns {
    name_width: usize,
    decimals: usize,
    waited: Shown,
    tries: Shown,
}

/// Whether a column is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Yes,
    No,
}

impl Shown {
    fn when(condition: bool) -> Self {
        if condition { Self::Yes } else { Self::No }
    }
}

impl Columns {
    /// What fits into `width`; where it is narrow, the time waited is left out and names are
    /// shortened.
    pub(super) fn fitting(rows: &[&DeviceReport], width: u16) -> Self {
        let longest = rows
            .iter()
            .map(|device| device.busy().max(device.waited))
            .max();
        let hundreds = longest.unwrap_or_default() >= Duration::from_secs(100);
        let mut columns = Self {
            name_width: usize::MAX,
            decimals: if hundreds { 1 } else { 3 },
            waited: Shown::Yes,
            tries: Shown::when(rows.iter().any(|device| device.attempts.len() != 1)),
        };
        let names = rows
            .iter()
            .map(|device| device.name.as_str().chars().count());
        let wanted = names.max().unwrap_or_default().clamp(6, NAME_WIDTH);
        if columns.room_for_names(rows, width) < wanted {
            columns.waited = Shown::No;
        }
        columns.name_width = columns.room_for_names(rows, width).max(6);
        columns
    }

    /// What the other columns leave of `width`.
    fn room_for_names(&self, rows: &[&DeviceReport], width: u16) -> usize {
        let header = self.header();
        let mut widths: Vec<usize> = header.iter().map(|head| head.chars().count()).collect();
        for device in rows {
            for (width, text) in widths.iter_mut().zip(self.texts(device)) {
                *width = (*width).max(text.chars().count());
            }
        }
        let others: usize = widths.iter().skip(1).map(|width| width + 2).sum();
        usize::from(width).saturating_sub(others)
    }

    /// The words above the columns.
    pub(super) fn header(&self) -> Vec<&'static str> {
        let mut header = vec!["Device", "Result", "Connect", "Save", "Backup", "Write"];
        if self.waited == Shown::Yes {
            header.push("Waited");
        }
        header.push("Total");
        if self.tries == Shown::Yes {
            header.push("Tries");
        }
        header
    }

    /// What stands in the columns for one device.
    pub(super) fn texts(&self, device: &DeviceReport) -> Vec<String> {
        let mut texts = vec![
            shortened(device.name.as_str(), self.name_width),
            result_words(device),
        ];
        for stage in COLUMNS {
            let time = stage_time(device, stage);
            texts.push(time.map_or_else(|| "-".to_owned(), |time| seconds(time, self.decimals)));
        }
        if self.waited == Shown::Yes {
            texts.push(seconds(device.waited, self.decimals));
        }
        texts.push(seconds(device.busy(), self.decimals));
        if self.tries == Shown::Yes {
            texts.push(device.attempts.len().to_string());
        }
        texts
    }
}

/// `line` with the result of `device` coloured. Done here and not by the table, which would heed
/// `NO_COLOR` even against `--color always`.
pub(super) fn tinted(line: &str, device: &DeviceReport) -> String {
    let tint = match device.outcome {
        Outcome::Ok => Tint::Good,
        Outcome::NotSaved(_) | Outcome::Cancelled(_) => Tint::Warning,
        Outcome::Failed(_) => Tint::Bad,
    };
    let result = result_words(device);
    // From the right, since a device may be named like a result.
    match line.rsplit_once(&result) {
        Some((before, after)) => {
            format!("{before}{}{result}{}{after}", tint.begin(), Tint::END)
        }
        None => line.to_owned(),
    }
}

fn result_words(device: &DeviceReport) -> String {
    let stored = device.stored.as_ref().map(|stored| match stored.lines {
        Some(lines) => format!("{} {lines}", stored.kind.name()),
        None => stored.kind.name().to_owned(),
    });
    match (&device.outcome, stored) {
        (Outcome::Ok, Some(stored)) => format!("ok, {stored}"),
        (Outcome::Ok, None) => "ok".to_owned(),
        (Outcome::NotSaved(_), Some(stored)) => format!("not saved, {stored}"),
        (Outcome::NotSaved(_), None) => "not saved".to_owned(),
        (Outcome::Failed(failure), _) => format!("{} failed", failure.stage),
        (Outcome::Cancelled(_), _) => "cancelled".to_owned(),
    }
}
