//! When one device's trouble is no longer its own. Pure: the time is an argument.
//!
//! A crash of wrmem's own code ends one attempt at one device. Where a good part of the fleet
//! crashes, something that all share is broken, and only a new process helps.

use crate::model::device::DeviceName;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a crash counts.
const COUNTS_FOR: Duration = Duration::from_secs(3600);

/// How much of the fleet is too much, in percent.
const PERCENT: usize = 20;

/// Fewer devices than this are no fleet.
const DEVICES_MIN: usize = 5;

/// Counts the devices that crashed wrmem lately.
#[derive(Debug, Default)]
pub struct Escalation {
    crashed: HashMap<DeviceName, Instant>,
}

impl Escalation {
    /// A device crashed wrmem.
    pub fn crashed(&mut self, device: &DeviceName, now: Instant) {
        self.crashed.insert(device.clone(), now);
    }

    /// A device went well after all.
    pub fn recovered(&mut self, device: &DeviceName) {
        self.crashed.remove(device);
    }

    /// How many devices crashed, if that is too much of a fleet of so many.
    pub fn verdict(&mut self, devices: usize, now: Instant) -> Option<usize> {
        self.crashed
            .retain(|_, at| now.saturating_duration_since(*at) < COUNTS_FOR);
        let crashed = self.crashed.len();
        let too_many = crashed >= DEVICES_MIN && crashed * 100 > devices * PERCENT;
        too_many.then_some(crashed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> DeviceName {
        DeviceName::new(&format!("csr{number}")).unwrap()
    }

    #[test]
    fn more_than_a_fifth_of_a_fleet_within_an_hour_is_too_much() {
        let start = Instant::now();
        let mut escalation = Escalation::default();
        for number in 0..20 {
            escalation.crashed(&name(number), start);
            escalation.crashed(&name(number), start);
        }
        assert_eq!(escalation.verdict(100, start), None, "a fifth is borne");
        escalation.crashed(&name(20), start);
        assert_eq!(escalation.verdict(100, start), Some(21));
        escalation.recovered(&name(3));
        assert_eq!(escalation.verdict(100, start), None);
        escalation.crashed(&name(3), start + COUNTS_FOR);
        assert_eq!(escalation.verdict(3, start + COUNTS_FOR), None, "long ago");
    }

    #[test]
    fn a_few_devices_are_no_fleet() {
        let now = Instant::now();
        let mut escalation = Escalation::default();
        for number in 0..4 {
            escalation.crashed(&name(number), now);
        }
        assert_eq!(escalation.verdict(4, now), None);
    }
}
