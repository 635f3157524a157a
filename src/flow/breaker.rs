//! Whom to leave alone: devices that cannot be reached, that refuse their credentials, or that
//! crash wrmem's own code. What is known outlives the process, so the time is a wall clock's.
//!
//! A breaker is closed (the device is tried as often as its settings say), open (it rests), or half
//! open (its rest is over: it is tried once, and behind all others).

mod policy;
mod words;

pub use policy::BreakerPolicy;

use crate::model::device::DeviceName;
use crate::model::failure::{Failure, FailureKind};
use crate::model::health::{CredentialHealth, Health, Period, Released, Rest, RestCause};
use crate::model::history::Trigger;
use crate::model::report::Outcome;
use crate::model::stage::Stage;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

/// How many devices must refuse credentials that none accepts before these rest.
pub const REFUSALS_MAX: u32 = 3;

/// Who asked for a run, and for what by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What set the run off.
    pub trigger: Trigger,
    /// The devices that an operator asked for by their very names.
    pub named: HashSet<DeviceName>,
    /// When the credentials were last changed, where that is known: what was refused before does
    /// not count any more.
    pub credentials_changed: Option<SystemTime>,
}

impl Asked {
    /// A run that nobody asked for but the schedule or a command over the whole selection.
    #[must_use]
    pub fn by(trigger: Trigger) -> Self {
        Self {
            trigger,
            named: HashSet::new(),
            credentials_changed: None,
        }
    }
}

/// What is to be done with a device of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Try it, with all its attempts.
    Try,
    /// Try it once, behind all others.
    TryOnce,
    /// Leave it alone, for this reason.
    Leave(Failure),
}

/// A change worth telling and remembering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The device rests.
    Opened(Rest),
    /// It does not rest any more: it was reached, or let us in.
    Closed,
    /// The device is in quarantine after so many crashes.
    Quarantined(u32, Period),
    /// The credentials rest after so many devices refused them.
    CredentialsRest(u32, Period),
}

impl Change {
    /// Its word in the state.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "breaker_opened",
            Self::Closed => "breaker_closed",
            Self::Quarantined(..) => "quarantined",
            Self::CredentialsRest(..) => "credentials_rest",
        }
    }
}

/// How a device ended in a run, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// Which device.
    pub device: &'a DeviceName,
    /// The name of the credentials that let us in, or else of its first ones.
    pub credentials: &'a str,
    /// The names of those that it refused, where it has several.
    pub refused: &'a [String],
    /// How it ended.
    pub outcome: &'a Outcome,
    /// Whether a login was tried: it may have failed before, or been held back.
    pub login: Login,
}

/// Whether a login was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// A secret may have been sent.
    Tried,
    /// None was sent.
    Untried,
}

/// What is known of the trouble of all devices and credentials.
#[derive(Debug, Clone)]
pub struct Breakers {
    policy: BreakerPolicy,
    devices: HashMap<DeviceName, Health>,
    credentials: HashMap<String, CredentialHealth>,
}

impl Breakers {
    /// With what is remembered from before.
    #[must_use]
    pub fn new(
        policy: BreakerPolicy,
        devices: impl IntoIterator<Item = (DeviceName, Health)>,
        credentials: impl IntoIterator<Item = (String, CredentialHealth)>,
    ) -> Self {
        Self {
            policy,
            devices: devices.into_iter().collect(),
            credentials: credentials.into_iter().collect(),
        }
    }

    /// What is known of a device.
    #[must_use]
    pub fn health(&self, device: &DeviceName) -> Health {
        self.devices.get(device).copied().unwrap_or_default()
    }

    /// What is known of credentials.
    #[must_use]
    pub fn credential_health(&self, name: &str) -> CredentialHealth {
        self.credentials.get(name).copied().unwrap_or_default()
    }

    /// What is to be done with a device that is to be backed up now.
    #[must_use]
    pub fn verdict(
        &self,
        device: &DeviceName,
        credentials: &str,
        asked: &Asked,
        now: SystemTime,
    ) -> Verdict {
        let health = self.health(device);
        if let Some(quarantine) = health.quarantine {
            return match quarantine.ends(now) {
                Some(end) => {
                    Verdict::Leave(words::in_quarantine(device, health.crashes, wait(now, end)))
                }
                None => Verdict::TryOnce,
            };
        }
        if asked.named.contains(device) {
            return Verdict::Try;
        }
        let outdated = |since: SystemTime| asked.credentials_changed.is_some_and(|at| at > since);
        if let Some(end) = self.credentials_rest(credentials, asked, now) {
            return Verdict::Leave(words::credentials_rest(credentials, wait(now, end)));
        }
        match health.rest {
            None => Verdict::Try,
            Some(rest) if rest.cause == RestCause::Refused && outdated(rest.period.since) => {
                Verdict::Try
            }
            Some(rest) => match (rest.period.ends(now), rest.cause, asked.trigger) {
                // A person waits for it, and one attempt at a dead device costs little.
                (_, RestCause::Unreachable, Trigger::Command) | (None, ..) => Verdict::TryOnce,
                (Some(end), cause, _) => {
                    Verdict::Leave(words::resting(device, cause, wait(now, end)))
                }
            },
        }
    }

    /// Until when credentials rest, if they do.
    #[must_use]
    pub fn credentials_rest(
        &self,
        name: &str,
        asked: &Asked,
        now: SystemTime,
    ) -> Option<SystemTime> {
        let rest = self.credential_health(name).rest?;
        let outdated = asked.credentials_changed.is_some_and(|at| at > rest.since);
        rest.ends(now).filter(|_| !outdated)
    }

    /// A stage crashed while serving a device.
    pub fn crashed(&mut self, device: &DeviceName, now: SystemTime) -> Option<Change> {
        let policy = self.policy;
        let health = self.devices.entry(device.clone()).or_default();
        let gap = health
            .crashed
            .map_or(Duration::ZERO, |last| apart(last, now));
        health.crashes = if gap > policy.crash_window {
            1
        } else {
            health.crashes.saturating_add(1)
        };
        health.crashed = Some(now);
        if health.crashes < policy.crashes {
            return None;
        }
        let period = Period::new(now, policy.quarantine);
        health.quarantine = Some(period);
        Some(Change::Quarantined(health.crashes, period))
    }

    /// A device is done in a run. Says what changed that is worth telling.
    pub fn ended(&mut self, ending: &Ending<'_>, now: SystemTime) -> Vec<Change> {
        let mut changes = Vec::new();
        let failure = match ending.outcome {
            Outcome::Cancelled(_) => return changes,
            Outcome::Ok | Outcome::NotSaved(_) => {
                self.credentials.remove(ending.credentials);
                let before = self.devices.remove(ending.device).unwrap_or_default();
                changes.extend(before.rest.map(|_| Change::Closed));
                return changes;
            }
            Outcome::Failed(failure) => failure,
        };
        let policy = self.policy;
        let health = self.devices.entry(ending.device.clone()).or_default();
        if is_unreachable(failure) {
            health.unreachable = health.unreachable.saturating_add(1);
            let before = health
                .rest
                .filter(|rest| rest.cause == RestCause::Unreachable);
            let due = match before {
                // Tried by hand before its time: that makes it neither longer nor shorter.
                Some(rest) => rest.period.ends(now).is_none(),
                None => health.unreachable >= policy.unreachable_runs,
            };
            if due {
                let rest = policy.next_rest(before, now);
                health.rest = Some(rest);
                changes.push(Change::Opened(rest));
            }
            return changes;
        }
        if says_nothing(failure) {
            return changes;
        }
        health.unreachable = 0;
        let was_refused = failure.kind == FailureKind::AuthRefused;
        match ending.login {
            Login::Tried if was_refused => {
                let rest = policy.refused(health.rest, now);
                health.rest = Some(rest);
                changes.push(Change::Opened(rest));
                changes.extend(self.all_refused(ending, now));
            }
            _ if failure.stage > Stage::Connect => {
                // It let us in, whatever came then.
                changes.extend(health.rest.take().map(|_| Change::Closed));
                self.credentials.remove(ending.credentials);
            }
            Login::Tried | Login::Untried => {
                if health
                    .rest
                    .is_some_and(|rest| rest.cause == RestCause::Unreachable)
                {
                    health.rest = None;
                    changes.push(Change::Closed);
                }
            }
        }
        if self.health(ending.device) == Health::default() {
            self.devices.remove(ending.device);
        }
        changes
    }

    /// None of a device's credentials was taken. Those that it refused before it took others say
    /// nothing: each device has its own.
    fn all_refused(&mut self, ending: &Ending<'_>, now: SystemTime) -> Vec<Change> {
        let only = [ending.credentials.to_owned()];
        let refused = if ending.refused.is_empty() {
            &only
        } else {
            ending.refused
        };
        refused
            .iter()
            .filter_map(|name| self.credentials_refused(name, now))
            .collect()
    }

    fn credentials_refused(&mut self, name: &str, now: SystemTime) -> Option<Change> {
        let health = self.credentials.entry(name.to_owned()).or_default();
        health.refused = health.refused.saturating_add(1);
        if health.refused < REFUSALS_MAX {
            return None;
        }
        let period = Period::new(now, self.policy.refused_rest);
        health.rest = Some(period);
        Some(Change::CredentialsRest(health.refused, period))
    }

    /// An operator wants a device tried again. Says whether there was anything to forget.
    pub fn release(&mut self, released: &Released) -> bool {
        let credentials = released.credentials.as_deref();
        let rested = credentials.is_some_and(|name| self.credentials.remove(name).is_some());
        self.devices.remove(&released.device).is_some() || rested
    }
}

/// Whether a failure means that nobody answered, so that the device is dead or the way to it.
const fn is_unreachable(failure: &Failure) -> bool {
    matches!(failure.stage, Stage::Connect)
        && matches!(
            failure.kind,
            FailureKind::Dns
                | FailureKind::Connect
                | FailureKind::Timeout
                | FailureKind::Reset
                | FailureKind::JumpLost
        )
}

/// Whether a failure was ours, before the device could show whether it answers.
const fn says_nothing(failure: &Failure) -> bool {
    matches!(failure.stage, Stage::Connect)
        && matches!(failure.kind, FailureKind::Crashed | FailureKind::Settings)
}

/// Whether so many of the devices of a run crashed wrmem's own code that it must end: a fifth of
/// them, and more than a few of one odd kind.
#[must_use]
pub const fn must_end(crashed: usize, devices: usize) -> bool {
    const FEW: usize = 5;
    crashed >= FEW && crashed.saturating_mul(5) > devices
}

fn apart(a: SystemTime, b: SystemTime) -> Duration {
    b.duration_since(a)
        .unwrap_or_else(|negative| negative.duration())
}

fn wait(now: SystemTime, end: SystemTime) -> Duration {
    end.duration_since(now).unwrap_or_default()
}

#[cfg(test)]
mod tests;
