//! The settings of what is remembered between runs, and of whom that makes wrmem leave alone.

use super::check::Reader;
use super::values::State;
use super::words::{PathWord, Span};
use crate::flow::breaker::BreakerPolicy;
use serde::Deserialize;

/// Section `state`.
pub(super) fn state(reader: &mut Reader<'_>) -> Option<State> {
    let dir = reader.get::<PathWord>("state.dir");
    let keep = reader.get::<Span>("state.keep");
    let outcomes = reader.get::<Rows>("state.keep_outcomes");
    let incidents = reader.get::<Rows>("state.keep_incidents");
    Some(State {
        dir: dir?.0,
        keep: keep?.0,
        keep_outcomes: outcomes?.0,
        keep_incidents: incidents?.0,
    })
}

/// Section `breaker`.
pub(super) fn breaker(reader: &mut Reader<'_>) -> Option<BreakerPolicy> {
    let unreachable_runs = reader.get::<Count>("breaker.unreachable_runs");
    let rest = reader.get::<Span>("breaker.rest");
    let rest_max = reader.get::<Span>("breaker.rest_max");
    let refused_rest = reader.get::<Span>("breaker.refused_rest");
    let crashes = reader.get::<Count>("breaker.crashes");
    let crash_window = reader.get::<Span>("breaker.crash_window");
    let quarantine = reader.get::<Span>("breaker.quarantine");
    Some(BreakerPolicy {
        unreachable_runs: unreachable_runs?.0,
        rest: rest?.0,
        rest_max: rest_max?.0,
        refused_rest: refused_rest?.0,
        crashes: crashes?.0,
        crash_window: crash_window?.0,
        quarantine: quarantine?.0,
    })
}

/// How often something may happen before it has consequences.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct Count(u32);

impl TryFrom<i64> for Count {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match u32::try_from(number) {
            Ok(count) if (1..=1000).contains(&count) => Ok(Self(count)),
            _ => Err("must be 1 to 1000"),
        }
    }
}

/// How many rows are kept at most.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct Rows(u64);

impl TryFrom<i64> for Rows {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match u64::try_from(number) {
            Ok(rows) if (1000..=1_000_000_000).contains(&rows) => Ok(Self(rows)),
            _ => Err("must be 1000 to 1000000000"),
        }
    }
}
