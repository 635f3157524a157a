//! Limit sets: devices that share a bound, because something behind them does.

use std::fmt;
use std::time::Duration;

/// How often logins may follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginRate(Duration);

impl LoginRate {
    /// The highest rate that means anything, in logins per second.
    pub const MOST: f64 = 10_000.0;
    /// The lowest rate, in logins per second: about one an hour.
    pub const LEAST: f64 = 0.000_2;

    /// So many logins per second; `None` where that is no number from [`Self::LEAST`] to
    /// [`Self::MOST`].
    #[must_use]
    pub fn per_second(rate: f64) -> Option<Self> {
        (Self::LEAST..=Self::MOST)
            .contains(&rate)
            .then(|| Self(Duration::from_secs_f64(1.0 / rate)))
    }

    /// The least time from one login to the next.
    #[must_use]
    pub const fn interval(self) -> Duration {
        self.0
    }
}

impl fmt::Display for LoginRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interval = self.0.as_secs_f64();
        if interval <= 1.0 {
            let rate = (100.0 / interval).round() / 100.0;
            let noun = if rate > 1.0 { "logins" } else { "login" };
            write!(f, "{rate} {noun} a second")
        } else {
            write!(f, "a login every {} s", (10.0 * interval).round() / 10.0)
        }
    }
}

/// A named set of devices that share a bound (`limits.<name>`): those behind one AAA server, of
/// one site. A device may be in several; each of them must have room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSet {
    /// Its name in the settings; empty for the set of all devices.
    pub name: String,
    /// How many of its devices may be in flight at once.
    pub in_flight: Option<usize>,
    /// How often its devices may be logged in to.
    pub logins: Option<LoginRate>,
}

impl LimitSet {
    /// The set of all devices, bound by `run.in_flight` and `run.logins_per_second`.
    #[must_use]
    pub const fn of_all(in_flight: Option<usize>, logins: Option<LoginRate>) -> Self {
        Self {
            name: String::new(),
            in_flight,
            logins,
        }
    }

    /// Where its bounds stand in the settings.
    #[must_use]
    pub fn section(&self) -> String {
        section(&self.name)
    }
}

/// Where the bounds of the set called `name` stand in the settings.
#[must_use]
pub fn section(name: &str) -> String {
    if name.is_empty() {
        "run".to_owned()
    } else {
        format!("limits.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_as_a_person_says_them() {
        for (rate, told) in [
            (50.0, "50 logins a second"),
            (2.5, "2.5 logins a second"),
            (1.0, "1 login a second"),
            (0.5, "a login every 2 s"),
            (0.1, "a login every 10 s"),
        ] {
            assert_eq!(LoginRate::per_second(rate).unwrap().to_string(), told);
        }
        assert_eq!(
            LoginRate::per_second(4.0).unwrap().interval(),
            Duration::from_millis(250)
        );
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 20_000.0, 0.000_1] {
            assert!(LoginRate::per_second(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_set_knows_where_it_stands() {
        assert_eq!(LimitSet::of_all(None, None).section(), "run");
        assert_eq!(section("aaa1"), "limits.aaa1");
    }
}
