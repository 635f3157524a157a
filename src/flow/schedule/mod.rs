//! When a device is due. Pure: the time is an argument, and so is the time zone.
//!
//! A schedule is a cadence (`every`, or `cron`), perhaps a window (`between`), and perhaps a span
//! (`finish_within`) over which the devices of one moment are spread. Where in that span a device
//! has its turn follows from its name alone ([`Seat`]), so it keeps its turn over restarts, and a
//! fleet never starts at once.
//!
//! - `every`: time is cut into periods of that length, counted from 1970-01-01 00:00 UTC. A device
//!   is due once in each period, at its seat within the time that is open then; in a period in
//!   which the window never opens, it is not due.
//! - `cron`: a device is due at its seat within the span after each cron moment that falls into
//!   the window, and at the moment itself where there is no span.
//!
//! Nothing is due while the window is closed. The window is open while a clock on the wall shows a
//! time within it: an hour that comes twice is open twice, one that is left out is not open.

mod cron;
mod seat;
#[cfg(test)]
mod tests;
mod window;

pub use cron::{CronError, CronTimes};
pub use seat::Seat;
pub use window::{Window, WindowError};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::time::Duration;

/// How often devices are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cadence {
    /// Once in each period of this length.
    Every(Duration),
    /// At moments by the calendar.
    Cron(CronTimes),
}

/// When devices are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// How often.
    pub cadence: Cadence,
    /// When they may be begun at all.
    pub window: Option<Window>,
    /// In which time the devices of one period or moment are to be done.
    pub finish_within: Option<Duration>,
    /// What the times of `cron` and `between` mean.
    pub zone: TimeZone,
}

/// How many windows a search looks through: more than three years of nights.
const WINDOWS_MAX: usize = 1_200;

impl Schedule {
    /// Once in each period of this length, at any time of the day.
    #[must_use]
    pub const fn every(period: Duration) -> Self {
        Self {
            cadence: Cadence::Every(period),
            window: None,
            finish_within: None,
            zone: TimeZone::UTC,
        }
    }

    /// When the device of this seat is due next, later than `after`; `None` if never.
    #[must_use]
    pub fn next_after(&self, seat: Seat, after: Timestamp) -> Option<Timestamp> {
        match &self.cadence {
            Cadence::Every(period) => self.next_period(seat, *period, after),
            Cadence::Cron(times) => self.next_moment(seat, times, after),
        }
    }

    /// Whether no device is ever due by it: no moment of `cron` falls into the window.
    #[must_use]
    pub fn is_never_due(&self) -> bool {
        let some_day = Timestamp::constant(1_767_225_600, 0);
        self.next_after(Seat::new(0), some_day).is_none()
    }

    /// Whether devices may be begun at this moment.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.window
            .is_none_or(|window| window.is_open(at, &self.zone))
    }

    /// When the window that is open at this moment closes; `None` where nothing ever closes.
    #[must_use]
    pub fn closes_after(&self, at: Timestamp) -> Option<Timestamp> {
        let window = self.window?;
        if !self.is_open(at) {
            return Some(at);
        }
        // A window is shorter than a day, and a day shorter than two.
        let end = at.checked_add(SignedDuration::from_hours(48)).ok()?;
        window.open_within(at, end, &self.zone).first()?.1.into()
    }

    /// The span over which devices are spread: what is asked for, less a tenth for the last one to
    /// get done.
    fn spread(&self) -> Option<SignedDuration> {
        let within = self.finish_within?;
        SignedDuration::try_from(within - within / 10).ok()
    }

    fn next_period(&self, seat: Seat, period: Duration, after: Timestamp) -> Option<Timestamp> {
        let length = i128::try_from(period.as_nanos()).ok()?;
        let mut at = after;
        for _ in 0..WINDOWS_MAX {
            let number = at.as_nanosecond().checked_div_euclid(length)?;
            let begin = Timestamp::from_nanosecond(number.checked_mul(length)?).ok()?;
            let end = Timestamp::from_nanosecond((number + 1).checked_mul(length)?).ok()?;
            let open = match self.window {
                Some(window) => window.open_within(begin, end, &self.zone),
                None => vec![(begin, end)],
            };
            if let Some(due) = self.at_seat(seat, &open).filter(|due| *due > after) {
                return Some(due);
            }
            at = if open.is_empty() {
                self.next_opening(end)?
            } else {
                end
            };
        }
        None
    }

    /// The moment at this seat within the open times, of which no more than the spread counts.
    fn at_seat(&self, seat: Seat, open: &[(Timestamp, Timestamp)]) -> Option<Timestamp> {
        let total: SignedDuration = open.iter().map(|(from, to)| to.duration_since(*from)).sum();
        let span = self.spread().map_or(total, |spread| spread.min(total));
        let mut left = seat.within(span);
        for (from, to) in open {
            let length = to.duration_since(*from);
            if left < length {
                return from.checked_add(left).ok();
            }
            left -= length;
        }
        None
    }

    fn next_moment(&self, seat: Seat, times: &CronTimes, after: Timestamp) -> Option<Timestamp> {
        let spread = self.spread().unwrap_or(SignedDuration::ZERO);
        let mut search = after.checked_sub(spread).unwrap_or(Timestamp::MIN);
        for _ in 0..WINDOWS_MAX {
            let moment = times.next_after(search, &self.zone)?;
            search = moment;
            if !self.is_open(moment) {
                // A moment at the very opening counts.
                let before = SignedDuration::from_nanos(1);
                search = self.next_opening(moment)?.checked_sub(before).ok()?;
                continue;
            }
            let mut span = spread;
            if !span.is_zero() {
                // Neither past the end of the window nor into the turn of the next moment.
                if let Some(next) = times.next_after(moment, &self.zone) {
                    span = span.min(next.duration_since(moment));
                }
                if let Some(closes) = self.closes_after(moment) {
                    span = span.min(closes.duration_since(moment));
                }
            }
            let due = moment.checked_add(seat.within(span)).ok()?;
            if due > after {
                return Some(due);
            }
        }
        None
    }

    /// The first moment from `from` on at which devices may be begun.
    fn next_opening(&self, from: Timestamp) -> Option<Timestamp> {
        let Some(window) = self.window else {
            return Some(from);
        };
        let mut from = from;
        for _ in 0..WINDOWS_MAX {
            let to = from.checked_add(SignedDuration::from_hours(24)).ok()?;
            if let Some((opens, _)) = window.open_within(from, to, &self.zone).first() {
                return Some(*opens);
            }
            from = to;
        }
        None
    }

    /// About how long it is from one turn of a device to the next; for pacing, not for promises.
    #[must_use]
    pub fn period(&self) -> Duration {
        match &self.cadence {
            Cadence::Every(period) => *period,
            Cadence::Cron(_) => CRON_PERIOD,
        }
    }
}

/// The finest cadence of a usual cron line.
const CRON_PERIOD: Duration = Duration::from_secs(60);

impl fmt::Display for Schedule {
    /// In the words of the settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cadence {
            Cadence::Every(period) => write!(f, "every {}", Span(*period))?,
            Cadence::Cron(times) => write!(f, "cron {times}")?,
        }
        if let Some(window) = self.window {
            write!(f, " between {window}")?;
        }
        if let Some(within) = self.finish_within {
            write!(f, " finish within {}", Span(within))?;
        }
        let by_the_clock = self.window.is_some() || matches!(self.cadence, Cadence::Cron(_));
        if by_the_clock && let Some(zone) = self.zone.iana_name() {
            write!(f, " ({zone})")?;
        }
        Ok(())
    }
}

/// A duration as the settings write it.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_millis();
        let mut nothing = true;
        for (unit, length) in [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
            ("ms", 1),
        ] {
            let count = left / length;
            left %= length;
            if count > 0 {
                write!(f, "{count}{unit}")?;
                nothing = false;
            }
        }
        if nothing {
            f.write_str("0s")?;
        }
        Ok(())
    }
}
