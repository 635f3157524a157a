//! One device's row: waiting, attempts, stages, how it ended, and the figures shown on hover.

use super::chart::Scale;
use super::escaped;
use crate::model::report::{AttemptReport, DeviceReport, Outcome, StageTime};
use crate::model::stage::StepName;
use crate::report::format::{counted, plain, seconds};
use std::io::{self, Write};
use std::time::Duration;

/// A mark is at least this many pixels high, however many rows there are.
const LEAST_MARK: usize = 6;

/// The height of a row and of the bar within it, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) row: usize,
    pub(super) bar: usize,
}

/// Where one row stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    top: usize,
    shape: Shape,
}

impl Shape {
    /// So that a few rows are easy to read and a thousand still make one picture.
    pub(super) const fn for_rows(count: usize) -> Self {
        let (row, bar) = match count {
            0..=30 => (22, 14),
            31..=80 => (14, 10),
            81..=160 => (8, 6),
            161..=400 => (4, 3),
            401.. => (2, 2),
        };
        Self { row, bar }
    }

    /// Whether there is room for a sign; else a small block stands for it.
    pub(super) const fn has_room(self) -> bool {
        self.bar >= 10
    }

    /// The place of the row at `index`.
    pub(super) const fn at(self, index: usize) -> Place {
        let top = index * self.row;
        Place { top, shape: self }
    }
}

impl Place {
    const fn bar_top(self) -> usize {
        self.top + (self.shape.row - self.shape.bar) / 2
    }

    const fn has_room(self) -> bool {
        self.shape.has_room()
    }
}

/// When the device was first taken on; devices that never were come last.
pub(super) fn begin(device: &DeviceReport) -> Duration {
    device
        .attempts
        .first()
        .map_or(Duration::MAX, |first| first.began)
}

/// The last moment at which the device is in the picture.
pub(super) fn end(device: &DeviceReport) -> Duration {
    let ends = device.attempts.iter().map(|attempt| attempt.ended);
    ends.max().unwrap_or_default().max(device.finished)
}

/// Writes the row of `device`.
pub(super) fn write(
    device: &DeviceReport,
    scale: Scale,
    place: Place,
    out: &mut dyn Write,
) -> io::Result<()> {
    let figures: Vec<String> = figures(device).iter().map(|line| escaped(line)).collect();
    write!(
        out,
        "<g class=\"row\"><title>{}</title>",
        figures.join("\n")
    )?;
    let Place { top, shape } = place;
    write!(
        out,
        "<rect class=\"hit\" width=\"100%\" y=\"{top}\" height=\"{}\"/>",
        shape.row
    )?;
    let mut bars = Bars { scale, place, out };
    let mut idle_since = Duration::ZERO;
    for attempt in &device.attempts {
        bars.waiting(idle_since, attempt.began)?;
        bars.attempt(attempt)?;
        idle_since = attempt.ended;
    }
    if device.attempts.is_empty() {
        bars.waiting(Duration::ZERO, device.finished)?;
    }
    if let Some((_, earlier)) = device.attempts.split_last() {
        for attempt in earlier {
            bars.attempt_failed(attempt.ended)?;
        }
    }
    writeln!(out, "</g>")
}

/// Draws into one row.
struct Bars<'a> {
    scale: Scale,
    place: Place,
    out: &'a mut dyn Write,
}

impl Bars<'_> {
    fn bar(&mut self, class: &str, from: Duration, took: Duration) -> io::Result<()> {
        write!(
            self.out,
            "<rect class=\"{class}\" x=\"{:.3}%\" width=\"{:.3}%\" y=\"{}\" height=\"{}\"/>",
            self.scale.percent(from),
            self.scale.percent(took),
            self.place.bar_top(),
            self.place.shape.bar
        )
    }

    /// A thin bar, so that waiting is told from work by its shape.
    fn waiting(&mut self, from: Duration, to: Duration) -> io::Result<()> {
        let took = to.saturating_sub(from);
        if took.is_zero() {
            return Ok(());
        }
        let height = (self.place.shape.bar / 4).max(1);
        let top = self.place.top + (self.place.shape.row - height) / 2;
        write!(
            self.out,
            "<rect class=\"wait\" x=\"{:.3}%\" width=\"{:.3}%\" y=\"{top}\" height=\"{height}\"/>",
            self.scale.percent(from),
            self.scale.percent(took),
        )
    }

    fn attempt(&mut self, attempt: &AttemptReport) -> io::Result<()> {
        let took = attempt.ended.saturating_sub(attempt.began);
        // Beneath the stages, for time that no stage accounts for.
        self.bar("other", attempt.began, took)?;
        for stage in &attempt.stages {
            self.bar(stage.stage.name(), stage.began, stage.took)?;
            self.gates(stage)?;
        }
        Ok(())
    }

    /// Steps come in the order in which they ended, so each begins where the one before it ended.
    fn gates(&mut self, stage: &StageTime) -> io::Result<()> {
        let mut from = stage.began;
        let end = stage.began + stage.took;
        for step in &stage.steps {
            let took = step.took.min(end.saturating_sub(from));
            if step.step == StepName::Gate && !took.is_zero() {
                self.bar("gate", from, took)?;
            }
            from += took;
        }
        Ok(())
    }

    fn attempt_failed(&mut self, at: Duration) -> io::Result<()> {
        write!(
            self.out,
            "<rect class=\"retry\" x=\"{:.3}%\" width=\"3\" y=\"{}\" height=\"{}\"/>",
            self.scale.percent(at),
            self.place.top,
            self.place.shape.row
        )
    }
}

/// Marks how `device` ended, where that is not simply ok. Marks are drawn over all rows, so that
/// they show in a crowd too.
pub(super) fn mark(
    device: &DeviceReport,
    scale: Scale,
    place: Place,
    out: &mut dyn Write,
) -> io::Result<()> {
    let sign = match device.outcome {
        Outcome::Ok => return Ok(()),
        Outcome::NotSaved(_) => '▲',
        Outcome::Failed(_) => '✕',
        Outcome::Cancelled(_) => '■',
    };
    let class = device.outcome.name();
    let at = scale.percent(end(device));
    let Place { top, shape } = place;
    if place.has_room() {
        let base = top + shape.row / 2 + 4;
        writeln!(
            out,
            "<text class=\"{class}\" x=\"{at:.3}%\" dx=\"4\" y=\"{base}\">{sign}</text>"
        )
    } else {
        let height = shape.row.max(LEAST_MARK);
        let top = (top + shape.row / 2).saturating_sub(height / 2);
        writeln!(
            out,
            "<rect class=\"{class}\" x=\"{at:.3}%\" width=\"9\" y=\"{top}\" height=\"{height}\"/>"
        )
    }
}

/// What is shown on hover, line by line.
fn figures(device: &DeviceReport) -> Vec<String> {
    let mut result = device.outcome.name().replace('_', " ");
    if let Some(stored) = &device.stored {
        let bytes = counted(usize::try_from(stored.bytes).unwrap_or(usize::MAX), "byte");
        result.push_str(&format!(", {}, {bytes}", stored.kind.name()));
    }
    let mut lines = vec![
        format!("{} ({}): {result}", device.name, device.host),
        format!(
            "waited {} s, worked {} s",
            seconds(device.waited, 3),
            seconds(device.busy(), 3)
        ),
    ];
    for (number, attempt) in (1..).zip(&device.attempts) {
        lines.push(attempt_figures(number, attempt));
    }
    if let Some(failure) = device.outcome.failure() {
        lines.push(plain(&failure.to_string()));
    }
    lines
}

fn attempt_figures(number: usize, attempt: &AttemptReport) -> String {
    let mut line = format!("try {number} at {} s:", seconds(attempt.began, 3));
    for stage in &attempt.stages {
        line.push_str(&format!(" {} {}", stage.stage, seconds(stage.took, 3)));
    }
    if let Some(failure) = &attempt.failure {
        line.push_str(&format!(" - {failure}"));
    }
    line
}
