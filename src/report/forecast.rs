//! What a run is expected to take, in one line.

use super::format::counted;
use crate::model::forecast::{Bound, Forecast};
use crate::model::limit::section;
use std::time::Duration;

/// The line that is told before a run begins.
pub(super) fn line(forecast: &Forecast) -> String {
    format!(
        "Expected to take about {}: {} ({})",
        about(forecast.expected),
        reason(&forecast.bound),
        basis(forecast)
    )
}

/// A rough duration: more digits would promise more than is known.
fn about(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let minutes = seconds.div_ceil(60);
    match seconds {
        0..100 => format!("{} s", seconds.max(1)),
        100..7200 => format!("{minutes} min"),
        7200.. => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

fn reason(bound: &Bound) -> String {
    match bound {
        Bound::Device => "the time of its slowest device".to_owned(),
        Bound::InFlight { set, most: 1 } if set.is_empty() => "one by one".to_owned(),
        Bound::InFlight { set, most } => {
            format!("at most {most} at once, {}.in_flight", section(set))
        }
        Bound::Logins { set, rate } => format!("{rate}, {}.logins_per_second", section(set)),
        Bound::Window => "spread by run.finish_within".to_owned(),
    }
}

fn basis(forecast: &Forecast) -> String {
    match (forecast.assumed, forecast.known) {
        (None, _) => "by the last times of all devices".to_owned(),
        (Some(assumed), 0) => format!(
            "assuming {} a device, as none was timed before",
            about(assumed)
        ),
        (Some(assumed), known) => format!(
            "by the last times of {}, assuming {} for the others",
            counted(known, "device"),
            about(assumed)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limit::LoginRate;

    #[test]
    fn the_line_says_how_long_why_and_on_what_ground() {
        let seconds = Duration::from_secs;
        let forecast = |expected, bound, known, assumed| Forecast {
            expected: seconds(expected),
            bound,
            known,
            assumed,
            window: None,
        };
        let rate = LoginRate::per_second(0.5).unwrap();
        let set = "aaa1".to_owned();
        let most = 100;
        for (forecast, told) in [
            (
                forecast(10, Bound::Device, 0, Some(seconds(10))),
                "Expected to take about 10 s: the time of its slowest device (assuming 10 s a \
                 device, as none was timed before)",
            ),
            (
                forecast(6480, Bound::Window, 300, None),
                "Expected to take about 108 min: spread by run.finish_within (by the last times \
                 of all devices)",
            ),
            (
                forecast(9999, Bound::Logins { set, rate }, 1, Some(seconds(4))),
                "Expected to take about 2 h 47 min: a login every 2 s, \
                 limits.aaa1.logins_per_second (by the last times of 1 device, assuming 4 s for \
                 the others)",
            ),
            (
                forecast(
                    50,
                    Bound::InFlight {
                        set: String::new(),
                        most,
                    },
                    9,
                    None,
                ),
                "Expected to take about 50 s: at most 100 at once, run.in_flight (by the last \
                 times of all devices)",
            ),
            (
                forecast(
                    50,
                    Bound::InFlight {
                        set: String::new(),
                        most: 1,
                    },
                    9,
                    None,
                ),
                "Expected to take about 50 s: one by one (by the last times of all devices)",
            ),
        ] {
            assert_eq!(line(&forecast), told);
        }
    }
}
