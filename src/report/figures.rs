//! Median, p95 and maximum of what a run took.

use crate::model::report::{DeviceReport, RunReport};
use crate::model::stage::Stage;
use std::time::Duration;

/// How long something took over many devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) median: Duration,
    pub(super) p95: Duration,
    pub(super) max: Duration,
}

impl Spread {
    /// The spread of `times`, each figure being one of them (nearest rank). None when there is
    /// nothing to measure.
    pub(super) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        Some(Self {
            median: at_percent(&times, 50)?,
            p95: at_percent(&times, 95)?,
            max: times.last().copied()?,
        })
    }
}

/// The smallest of the sorted `times` that `percent` of all do not exceed.
fn at_percent(times: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (times.len() * percent).div_ceil(100);
    times.get(rank.saturating_sub(1)).copied()
}

/// How long `stage` took in the last attempt of `device`.
pub(super) fn stage_time(device: &DeviceReport, stage: Stage) -> Option<Duration> {
    let mut times = device
        .last_stages()
        .iter()
        .filter(|time| time.stage == stage);
    let first = times.next()?.took;
    Some(times.fold(first, |sum, time| sum + time.took))
}

/// The spread of one stage over the last attempts of all devices that came to it.
pub(super) fn stage_spread(report: &RunReport, stage: Stage) -> Option<Spread> {
    let times = report.devices.iter();
    Spread::of(
        times
            .filter_map(|device| stage_time(device, stage))
            .collect(),
    )
}

/// The spread of the time spent on each device that was tried.
pub(super) fn device_spread(report: &RunReport) -> Option<Spread> {
    let tried = report
        .devices
        .iter()
        .filter(|device| !device.attempts.is_empty());
    Spread::of(tried.map(DeviceReport::busy).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_by_nearest_rank() {
        let spread = |count: u64| Spread::of((1..=count).rev().map(Duration::from_secs).collect());
        let seconds = |median, p95, max| {
            Some(Spread {
                median: Duration::from_secs(median),
                p95: Duration::from_secs(p95),
                max: Duration::from_secs(max),
            })
        };
        assert_eq!(spread(0), None);
        assert_eq!(spread(1), seconds(1, 1, 1));
        assert_eq!(spread(3), seconds(2, 3, 3));
        assert_eq!(spread(100), seconds(50, 95, 100));
    }
}
