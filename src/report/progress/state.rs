//! What the live display knows of the run, and its two lines.

use crate::model::device::DeviceName;
use crate::model::event::Event;
use crate::model::report::Outcome;
use crate::model::stage::Stage;
use crate::report::format::{shortened, spoken};
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// At most this much of a device's name is shown.
const NAME_WIDTH: usize = 30;

/// What the display knows of the run.
pub(super) struct State {
    began: Instant,
    devices: usize,
    pub(super) done: usize,
    failed: usize,
    not_saved: usize,
    in_flight: HashMap<DeviceName, InFlight>,
    to_retry: HashSet<DeviceName>,
}

struct InFlight {
    stage: Stage,
    attempt: u32,
    began: Instant,
    stage_began: Instant,
}

impl State {
    /// A run of so many `devices` that begins now.
    pub(super) fn new(devices: usize, now: Instant) -> Self {
        Self {
            began: now,
            devices,
            done: 0,
            failed: 0,
            not_saved: 0,
            in_flight: HashMap::new(),
            to_retry: HashSet::new(),
        }
    }

    pub(super) fn on(&mut self, event: &Event, now: Instant) {
        match event {
            Event::StageStarted {
                device,
                stage,
                attempt,
            } => {
                self.to_retry.remove(device);
                let began = self.in_flight.get(device).map_or(now, |known| known.began);
                let entry = InFlight {
                    stage: *stage,
                    attempt: *attempt,
                    began,
                    stage_began: now,
                };
                self.in_flight.insert(device.clone(), entry);
            }
            Event::RetryScheduled { device, .. } => {
                self.in_flight.remove(device);
                self.to_retry.insert(device.clone());
            }
            Event::DeviceFinished(device) => {
                self.in_flight.remove(&device.name);
                self.to_retry.remove(&device.name);
                self.done += 1;
                match device.outcome {
                    Outcome::Ok => {}
                    Outcome::NotSaved(_) => self.not_saved += 1,
                    Outcome::Failed(_) | Outcome::Cancelled(_) => self.failed += 1,
                }
            }
            Event::RunStarted { .. } | Event::StageFinished { .. } | Event::RunFinished(_) => {}
        }
    }

    pub(super) fn counts(&self) -> String {
        let mut text = format!("{}/{} done", self.done, self.devices);
        for (count, words) in [
            (self.failed, "failed"),
            (self.not_saved, "not saved"),
            (self.in_flight.len(), "in flight"),
            (self.to_retry.len(), "to retry"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {words}"));
            }
        }
        text
    }

    pub(super) fn slowest(&self, now: Instant) -> String {
        let elapsed = spoken(now.saturating_duration_since(self.began));
        let Some((name, device)) = self.in_flight.iter().min_by_key(|(_, one)| one.began) else {
            return elapsed;
        };
        let name = shortened(name.as_str(), NAME_WIDTH);
        let stage = device.stage;
        let time = spoken(now.saturating_duration_since(device.stage_began));
        let attempt = match device.attempt {
            0 | 1 => String::new(),
            more => format!(", try {more}"),
        };
        format!("{elapsed}; slowest {name}: {stage} for {time}{attempt}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::failure::{Failure, FailureKind};
    use crate::model::report::DeviceReport;
    use std::sync::Arc;
    use std::time::Duration;

    fn started(device: &str, stage: Stage, attempt: u32) -> Event {
        Event::StageStarted {
            device: DeviceName::new(device).expect("good"),
            stage,
            attempt,
        }
    }

    fn finished(device: &str, outcome: Outcome) -> Event {
        Event::DeviceFinished(Arc::new(DeviceReport {
            name: DeviceName::new(device).expect("good"),
            host: device.to_owned(),
            platform: "cisco_ios".to_owned(),
            outcome,
            stored: None,
            proof: None,
            save: None,
            unsaved: None,
            attempts: Vec::new(),
            waited: Duration::ZERO,
            finished: Duration::ZERO,
            algorithms: None,
            credentials: None,
            notes: Vec::new(),
        }))
    }

    fn failure() -> Failure {
        Failure::new(Stage::Connect, FailureKind::Reset, "broke")
    }

    #[test]
    fn the_lines_follow_the_run() {
        let zero = Instant::now();
        let at = |millis| zero + Duration::from_millis(millis);
        let mut state = State::new(4, zero);
        assert_eq!(state.counts(), "0/4 done");
        assert_eq!(state.slowest(at(100)), "0.10 s");
        state.on(&started("csr1", Stage::Connect, 1), at(100));
        state.on(&started("csr2", Stage::Connect, 1), at(200));
        state.on(&started("csr3", Stage::Connect, 1), at(200));
        state.on(&started("csr1", Stage::Backup, 1), at(900));
        assert_eq!(state.counts(), "0/4 done, 3 in flight");
        let line = "2.00 s; slowest csr1: backup for 1.10 s";
        assert_eq!(state.slowest(at(2_000)), line);
        let retry = Event::RetryScheduled {
            device: DeviceName::new("csr2").expect("good"),
            attempt: 1,
            failure: failure(),
            delay: Duration::from_secs(1),
        };
        state.on(&retry, at(2_000));
        state.on(&finished("csr1", Outcome::NotSaved(failure())), at(2_000));
        state.on(&finished("csr3", Outcome::Failed(failure())), at(2_000));
        let counts = "2/4 done, 1 failed, 1 not saved, 1 to retry";
        assert_eq!(state.counts(), counts);
        state.on(&started("csr2", Stage::Connect, 2), at(3_000));
        let line = "4.00 s; slowest csr2: connect for 1.00 s, try 2";
        assert_eq!(state.slowest(at(4_000)), line);
    }
}
