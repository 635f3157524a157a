//! The picture: names, axis and rows.

use super::escaped;
use super::row::{self, Shape};
use crate::model::report::{DeviceReport, Outcome, RunReport};
use crate::report::format::shortened;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

/// Names closer than this many pixels would overlap.
const NAME_HEIGHT: usize = 12;
/// At most this much of a name is shown beside its bar.
const NAME_WIDTH: usize = 28;
/// The axis has at most this many ticks.
const MOST_TICKS: u32 = 8;
/// Of the width this part is used; the rest is for the marks at the ends of bars.
const PLOT_PERCENT: f64 = 97.0;

/// From time to place. Places are in percent of the width, so that the picture fits any window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    span: f64,
}

impl Scale {
    fn of(report: &RunReport) -> Self {
        let ends = report.devices.iter().map(row::end);
        let span = ends.max().unwrap_or_default().max(report.wall);
        Self {
            span: span.as_secs_f64().max(0.001),
        }
    }

    /// The place of an offset from the start of the run, or the width of a duration.
    pub(super) fn percent(self, time: Duration) -> f64 {
        time.as_secs_f64() / self.span * PLOT_PERCENT
    }

    /// The seconds between two ticks: 1, 2 or 5 times a power of ten.
    fn tick(self) -> f64 {
        let rough = self.span / f64::from(MOST_TICKS);
        let power = 10_f64.powf(rough.log10().floor());
        let nice = [1.0, 2.0, 5.0].into_iter().find(|n| n * power >= rough);
        nice.unwrap_or(10.0) * power
    }

    /// Places and words of the ticks.
    fn ticks(self) -> Vec<(f64, String)> {
        let tick = self.tick();
        let decimals = if tick >= 1.0 {
            0
        } else if tick >= 0.1 {
            1
        } else {
            3
        };
        let seconds = (0..=MOST_TICKS).map(|n| f64::from(n) * tick);
        seconds
            .take_while(|second| *second <= self.span)
            .map(|second| {
                let place = second / self.span * PLOT_PERCENT;
                (place, format!("{second:.decimals$} s"))
            })
            .collect()
    }
}

/// Writes the picture.
pub(super) fn write(report: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    let mut devices: Vec<&DeviceReport> = report.devices.iter().collect();
    devices.sort_by_key(|device| (row::begin(device), device.finished));
    let scale = Scale::of(report);
    let shape = Shape::for_rows(devices.len());
    let height = devices.len() * shape.row;
    let ticks = scale.ticks();
    let dense = if shape.has_room() { "" } else { " dense" };
    writeln!(
        out,
        "<div class=\"chart\">\n<svg class=\"axis\" height=\"22\">"
    )?;
    for (place, words) in &ticks {
        writeln!(out, "<text x=\"{place:.2}%\" y=\"15\">{words}</text>")?;
    }
    writeln!(out, "</svg>")?;
    names(&devices, shape, out)?;
    writeln!(out, "<svg class=\"plot{dense}\" height=\"{height}\">")?;
    for (place, _) in &ticks {
        writeln!(
            out,
            "<line x1=\"{place:.2}%\" x2=\"{place:.2}%\" y2=\"{height}\"/>"
        )?;
    }
    for (index, device) in devices.iter().enumerate() {
        row::write(device, scale, shape.at(index), out)?;
    }
    writeln!(out, "<g class=\"marks\">")?;
    for (index, device) in devices.iter().enumerate() {
        row::mark(device, scale, shape.at(index), out)?;
    }
    writeln!(out, "</g>\n</svg>\n</div>")
}

fn names(devices: &[&DeviceReport], shape: Shape, out: &mut dyn Write) -> io::Result<()> {
    let shown = named_rows(devices, shape.row);
    let longest = shown.iter().filter_map(|index| devices.get(*index));
    let longest = longest.map(|device| device.name.as_str().chars().count());
    // A little more than the width of a character of the font.
    let width = longest.max().unwrap_or_default().min(NAME_WIDTH) * 7 + 10;
    let height = devices.len() * shape.row;
    writeln!(
        out,
        "<svg class=\"names\" width=\"{width}\" height=\"{height}\">"
    )?;
    for index in shown {
        let Some(device) = devices.get(index) else {
            continue;
        };
        let name = escaped(&shortened(device.name.as_str(), NAME_WIDTH));
        let class = device.outcome.name();
        let middle = index * shape.row + shape.row / 2 + 4;
        let right = width - 6;
        writeln!(
            out,
            "<text class=\"{class}\" x=\"{right}\" y=\"{middle}\">{name}</text>"
        )?;
    }
    writeln!(out, "</svg>")
}

/// The rows that have room for a name: first those of devices in trouble, then the others.
fn named_rows(devices: &[&DeviceReport], row: usize) -> BTreeSet<usize> {
    let apart = NAME_HEIGHT.div_ceil(row.max(1));
    let is_ok = |device: &DeviceReport| device.outcome == Outcome::Ok;
    let rows = devices.iter().enumerate();
    let troubled = rows.clone().filter(|(_, device)| !is_ok(device));
    let others = rows.filter(|(_, device)| is_ok(device));
    let mut named = BTreeSet::new();
    for (index, _) in troubled.chain(others) {
        let near = index.saturating_sub(apart - 1)..index + apart;
        if named.range(near).next().is_none() {
            named.insert(index);
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for (span, tick) in [
            (0.3, 0.05),
            (1.0, 0.2),
            (2.864, 0.5),
            (60.0, 10.0),
            (7_200.0, 1_000.0),
        ] {
            let scale = Scale { span };
            assert!(
                (scale.tick() - tick).abs() < 1e-9,
                "{span}: {}",
                scale.tick()
            );
            assert!(scale.ticks().len() <= 9, "{span}");
        }
        assert_eq!(
            Scale { span: 2.0 }.ticks().last().map(|t| t.1.clone()),
            Some("2.0 s".into())
        );
    }
}
