//! Who may log in: credentials prove themselves on few devices before many use them.

use crate::model::device::DeviceName;
use std::collections::HashMap;

/// How many devices may try credentials at once that no device of the run has accepted yet.
pub const UNPROVEN_LOGINS_MAX: usize = 3;

/// After how many refusals credentials that no device has accepted rest for the run.
pub const REFUSALS_MAX: usize = 3;

/// The answer to who wants to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Go ahead. The turn must be given back.
    Go,
    /// Ask again once a login was settled.
    Wait,
    /// The credentials were refused this often and are not tried again in this run.
    Rest(usize),
}

/// How a login ended, as far as the credentials are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginOutcome {
    /// The device accepted the credentials.
    Accepted,
    /// The device refused the credentials.
    Refused,
    /// The connection failed before the device said either.
    Unknown,
}

#[derive(Debug, Default)]
struct Entry {
    accepted: bool,
    outstanding: usize,
    refused: usize,
}

/// What is known in a run about each credentials' name. A wrong password must not lock an account
/// on every device of a fleet: it is sent at most [`REFUSALS_MAX`] times.
#[derive(Debug, Default)]
pub struct LoginTable(HashMap<String, Entry>);

impl LoginTable {
    /// Asks for a turn to log in with the credentials called `name`.
    pub fn ask(&mut self, name: &str) -> Turn {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), Entry::default());
        }
        let Some(entry) = self.0.get_mut(name) else {
            return Turn::Wait;
        };
        if !entry.accepted {
            if entry.refused >= REFUSALS_MAX {
                return Turn::Rest(entry.refused);
            }
            // A login under way may be refused too, so it counts against the refusals left.
            let most = UNPROVEN_LOGINS_MAX.min(REFUSALS_MAX - entry.refused);
            if entry.outstanding >= most {
                return Turn::Wait;
            }
        }
        entry.outstanding += 1;
        Turn::Go
    }

    /// Gives a turn back. Says whether others who wait should ask again.
    pub fn settle(&mut self, name: &str, outcome: LoginOutcome) -> bool {
        let Some(entry) = self.0.get_mut(name) else {
            return false;
        };
        let was_accepted = entry.accepted;
        entry.outstanding = entry.outstanding.saturating_sub(1);
        match outcome {
            LoginOutcome::Accepted => entry.accepted = true,
            LoginOutcome::Refused => entry.refused += 1,
            LoginOutcome::Unknown => {}
        }
        !was_accepted
    }
}

/// What is known in a run about which credentials a device takes, where it has several: refused ones
/// are not sent to it again, and the ones that it took are sent first.
#[derive(Debug, Default)]
pub struct AnswerTable(HashMap<DeviceName, Answers>);

#[derive(Debug, Default)]
struct Answers {
    accepted: Option<String>,
    refused: Vec<String>,
}

impl AnswerTable {
    /// Takes note of a device's answer to the credentials called `name`.
    pub fn note(&mut self, device: &DeviceName, name: &str, outcome: LoginOutcome) {
        let answers = self.0.entry(device.clone()).or_default();
        match outcome {
            LoginOutcome::Accepted => answers.accepted = Some(name.to_owned()),
            LoginOutcome::Refused => answers.refused.push(name.to_owned()),
            LoginOutcome::Unknown => {}
        }
    }

    /// Whether the credentials called `name` are to be tried on a device.
    #[must_use]
    pub fn is_open(&self, device: &DeviceName, name: &str) -> bool {
        self.0
            .get(device)
            .is_none_or(|answers| match &answers.accepted {
                Some(accepted) => accepted == name,
                None => answers.refused.iter().all(|refused| refused != name),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_asked_again_only_with_what_it_took_or_has_not_refused() {
        let mut table = AnswerTable::default();
        let (one, other) = (
            DeviceName::new("csr1").unwrap(),
            DeviceName::new("csr2").unwrap(),
        );
        let open = |table: &AnswerTable, device| {
            ["ntc", "old", "older"].map(|name| table.is_open(device, name))
        };
        assert_eq!(open(&table, &one), [true; 3]);
        table.note(&one, "ntc", LoginOutcome::Refused);
        table.note(&one, "old", LoginOutcome::Unknown);
        assert_eq!(open(&table, &one), [false, true, true]);
        table.note(&one, "old", LoginOutcome::Accepted);
        assert_eq!(open(&table, &one), [false, true, false]);
        assert_eq!(open(&table, &other), [true; 3]);
    }

    #[test]
    fn unproven_credentials_have_three_logins_outstanding_at_most() {
        let mut table = LoginTable::default();
        for _ in 0..UNPROVEN_LOGINS_MAX {
            assert_eq!(table.ask("lab"), Turn::Go);
        }
        assert_eq!(table.ask("lab"), Turn::Wait);
        assert_eq!(table.ask("other"), Turn::Go, "others are not held back");
        assert!(table.settle("lab", LoginOutcome::Unknown));
        assert_eq!(table.ask("lab"), Turn::Go);
        assert!(table.settle("lab", LoginOutcome::Accepted));
        for _ in 0..100 {
            assert_eq!(table.ask("lab"), Turn::Go);
        }
    }

    #[test]
    fn a36_a_wrong_password_is_sent_three_times_at_most_in_any_order() {
        // Every order of asking and settling of ten devices, driven by a seed.
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut table = LoginTable::default();
            let (mut sent, mut under_way) = (0, 0);
            for _ in 0..200 {
                if under_way > 0 && rng.bool() {
                    table.settle("lab", LoginOutcome::Refused);
                    under_way -= 1;
                } else if table.ask("lab") == Turn::Go {
                    sent += 1;
                    under_way += 1;
                }
            }
            assert!(sent <= REFUSALS_MAX, "seed {seed}: sent {sent} times");
            assert_eq!(table.ask("lab"), Turn::Rest(REFUSALS_MAX));
        }
    }

    #[test]
    fn one_device_that_refuses_does_not_stop_accepted_credentials() {
        let mut table = LoginTable::default();
        table.ask("lab");
        table.settle("lab", LoginOutcome::Accepted);
        for _ in 0..10 {
            assert_eq!(table.ask("lab"), Turn::Go);
            table.settle("lab", LoginOutcome::Refused);
        }
        assert_eq!(table.ask("lab"), Turn::Go);
    }
}
