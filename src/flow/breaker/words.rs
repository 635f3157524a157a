//! What is said about devices that are left alone.

use super::{Change, REFUSALS_MAX};
use crate::model::device::DeviceName;
use crate::model::failure::{Failure, FailureKind};
use crate::model::health::RestCause;
use crate::model::stage::Stage;
use std::time::Duration;

impl Change {
    /// What happened, in words.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Opened(rest) => {
                let why = match rest.cause {
                    RestCause::Unreachable => "it cannot be reached",
                    RestCause::Refused => "it refused its credentials",
                };
                format!("{why}: it rests for {}", spoken(rest.period.length()))
            }
            Self::Closed => "it answers again".to_owned(),
            Self::Quarantined(crashes, period) => format!(
                "wrmem crashed {crashes} times while serving it: in quarantine for {}; report the \
                 crashes in the log as a bug",
                spoken(period.length())
            ),
            Self::CredentialsRest(refused, period) => format!(
                "refused by {refused} devices: these credentials are not used for {}, so that no \
                 account is locked; correct them in credentials.toml",
                spoken(period.length())
            ),
        }
    }
}

pub(super) fn in_quarantine(device: &DeviceName, crashes: u32, left: Duration) -> Failure {
    left_alone(
        FailureKind::Crashed,
        format!(
            "not tried: wrmem crashed {crashes} times while serving it; report the crashes in the \
             log as a bug; it is tried again after `wrmem release {device}`, else in {}",
            spoken(left)
        ),
    )
}

pub(super) fn credentials_rest(name: &str, left: Duration) -> Failure {
    left_alone(
        FailureKind::AuthRefused,
        format!(
            "not tried: credentials {name:?} were refused by {REFUSALS_MAX} devices and rest for \
             another {}, so that no account is locked; correct them in credentials.toml, or name \
             the device to try it all the same",
            spoken(left)
        ),
    )
}

pub(super) fn resting(device: &DeviceName, cause: RestCause, left: Duration) -> Failure {
    let left = spoken(left);
    match cause {
        RestCause::Unreachable => left_alone(
            FailureKind::Connect,
            format!(
                "not tried: it could not be reached in its last runs; tried again in {left}, or \
                 by `wrmem backup {device}`"
            ),
        ),
        RestCause::Refused => left_alone(
            FailureKind::AuthRefused,
            format!(
                "not tried: it refused its credentials, which are sent again in {left} at the \
                 earliest, so that no account is locked; correct them in credentials.toml, or try \
                 it by `wrmem backup {device}`"
            ),
        ),
    }
}

fn left_alone(kind: FailureKind, message: String) -> Failure {
    Failure::new(Stage::Connect, kind, message)
}

/// A time as a person says it, rounded up: `45 s`, `12 min`, `3 h`.
fn spoken(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds.div_ceil(60)),
        7200.. => format!("{} h", seconds.div_ceil(3600)),
    }
}
