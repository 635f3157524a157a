//! Moments by the calendar. The only place that knows croner.

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt;
use std::str::FromStr;

/// A cron line of five fields, or six with seconds first. A moment that the clock on the wall leaves
/// out comes right after the gap; one that comes twice counts once, unless its hour is `*` or a
/// step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronTimes {
    cron: Box<Cron>,
    text: String,
}

/// Why a text is no cron line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not of the form of one.
    #[error("expected a cron line, such as \"0 2 * * *\" (minute, hour, day, month, weekday): {0}")]
    Form(String),
    /// No moment ever fits it.
    #[error("is never due: no date fits it")]
    Never,
}

/// Some moment from which a search for the first fitting date may begin; every line that is ever
/// due is due within eight years of any.
const SOME_DAY: Timestamp = Timestamp::constant(1_767_225_600, 0);

impl FromStr for CronTimes {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let cron = CronParser::builder()
            .seconds(Seconds::Optional)
            .build()
            .parse(text)
            .map_err(|error| CronError::Form(told(&error)))?;
        let times = Self {
            cron: Box::new(cron),
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        match times.next_after(SOME_DAY, &TimeZone::UTC) {
            Some(_) => Ok(times),
            None => Err(CronError::Never),
        }
    }
}

/// What croner says, as the end of a sentence of ours.
fn told(error: &croner::errors::CronError) -> String {
    let text = error.to_string();
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

impl CronTimes {
    /// The first moment later than `after`; `None` if there is none.
    #[must_use]
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let from = after.to_zoned(zone.clone());
        let mut found = self.cron.find_next_occurrence(&from, false).ok()?;
        // Past a gap the search may come upon the moment that it began at.
        if found.timestamp() <= after {
            let later = after.checked_add(jiff::SignedDuration::from_secs(1)).ok()?;
            found = self
                .cron
                .find_next_occurrence(&later.to_zoned(zone.clone()), false)
                .ok()?;
        }
        Some(found.timestamp()).filter(|moment| *moment > after)
    }
}

impl fmt::Display for CronTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
