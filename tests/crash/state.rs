//! The state database, killed while it is opened and written.

use super::{At, Scenario, kill_after_each};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use wrmem::model::device::DeviceName;
use wrmem::model::durable::{Step, Unwatched, Watch};
use wrmem::model::failure::{Failure, FailureKind};
use wrmem::model::health::{Health, Period, Released};
use wrmem::model::history::{PastRun, RunEnd, Trigger};
use wrmem::model::report::{Counts, Mode, Outcome};
use wrmem::model::stage::Stage;
use wrmem::state::file_in;
use wrmem::state::journal::{
    DeviceEnded, Entry, Journal, More, RunBegan, RunEnded, RunKey, StateJournal, Weight,
};
use wrmem::state::keep::Keep;
use wrmem::state::queries::Reader;
use wrmem::state::release::release;

/// What there was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// A run, one that was broken off, and a release.
    Runs,
    /// The same, and then the disk wrote over it.
    Damage,
}

/// A run, as the state is told of it.
struct Remembers(Before);

/// The ways in which the state is killed.
pub(super) fn scenarios() -> Vec<Box<dyn Scenario>> {
    let all = [Before::Nothing, Before::Runs, Before::Damage];
    let boxed = |before| -> Box<dyn Scenario> { Box::new(Remembers(before)) };
    all.map(boxed).into()
}

const GARBAGE: &str = "what the disk wrote over it ";

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_428_000 + seconds)
}

fn device(name: &str) -> DeviceName {
    DeviceName::new(name).unwrap()
}

fn begin(dir: &Path, watch: Arc<dyn Watch>) -> StateJournal {
    let keep = Keep {
        age: Duration::from_secs(86_400),
        outcomes: 4,
        incidents: 100,
    };
    let (journal, remembered) = StateJournal::begin(dir, keep, at(5000), watch);
    remembered.unwrap();
    journal
}

fn unwatched(dir: &Path) -> StateJournal {
    begin(dir, Arc::new(Unwatched))
}

fn began(run: u64) -> Entry {
    Entry::RunBegan(RunBegan {
        run: RunKey(run),
        started: at(100 * run),
        mode: Mode::Concurrent,
        trigger: Trigger::Command,
        devices: 2,
    })
}

fn ended(run: u64, name: &str, outcome: Outcome) -> Entry {
    let crashed = matches!(outcome, Outcome::Failed(_)).then(|| Health {
        quarantine: Some(Period::new(at(0), Duration::from_secs(86_400))),
        ..Health::default()
    });
    Entry::DeviceEnded(Box::new(DeviceEnded {
        run: RunKey(run),
        device: device(name),
        ended: at(100 * run + 10),
        outcome,
        weight: Weight::Counts,
        stored: None,
        took: Duration::from_secs(1),
        attempts: 1,
        health: crashed,
    }))
}

fn over(run: u64, failed: usize) -> Entry {
    Entry::RunEnded(RunEnded {
        run: RunKey(run),
        ended: at(100 * run + 20),
        wall: Duration::from_secs(20),
        counts: Counts {
            total: 2,
            succeeded: 2 - failed,
            failed,
            ..Counts::default()
        },
    })
}

fn two_runs(dir: &Path) {
    let mut journal = unwatched(dir);
    let crash = Failure::new(Stage::Backup, FailureKind::Crashed, "it crashed");
    let csr2 = ended(1, "csr2", Outcome::Failed(crash));
    let first = [began(1), ended(1, "csr1", Outcome::Ok), csr2, over(1, 1)];
    journal.write(&first, at(120)).unwrap();
    let broken_off = [began(2), ended(2, "csr1", Outcome::Ok)];
    journal.write(&broken_off, at(210)).unwrap();
    drop(journal);
    let csr2 = Released {
        device: device("csr2"),
        credentials: None,
    };
    release(dir, &[csr2], at(300)).unwrap();
}

/// The files beside the database that were put aside.
fn damaged(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().contains(".damaged-"))
        .collect()
}

/// Whether a device's end in the run was durable when the process was killed. Each batch of entries
/// is a transaction: those left from before, the begin, the two devices, the end.
fn devices_recorded(at: At) -> bool {
    match at.step {
        Step::RowsWritten => at.count > 3,
        Step::RowsCommitted => at.count >= 3,
        step => step > Step::RowsCommitted,
    }
}

fn assert_consistent(dir: &Path) {
    let reader = Reader::open(dir).unwrap();
    let queries = reader.queries();
    let runs: Vec<PastRun> = queries.runs(100).unwrap();
    for run in &runs {
        assert_ne!(run.end, RunEnd::UnderWay, "{run:?}");
        let outcomes = queries.outcomes(run.number).unwrap();
        let ok = outcomes.iter().filter(|one| one.outcome == Outcome::Ok);
        assert_eq!(run.counts.succeeded, ok.count(), "{run:?}");
    }
    for state in queries.devices().unwrap() {
        let Some(last) = &state.last else { continue };
        if let Some(run) = last.run.filter(|run| runs.iter().any(|r| r.number == *run)) {
            let outcomes = queries.outcomes(run).unwrap();
            let same = outcomes.iter().find(|one| one.device == state.name);
            assert_eq!(same.unwrap().ended, last.ended, "{}", state.name);
        }
    }
}

impl Scenario for Remembers {
    fn name(&self) -> String {
        format!("state, {:?}", self.0)
    }

    fn before(&self, dir: &Path) {
        if self.0 == Before::Nothing {
            return;
        }
        two_runs(dir);
        if self.0 == Before::Damage {
            let mut log = file_in(dir).into_os_string();
            fs::write(&log, GARBAGE.repeat(400)).unwrap();
            log.push("-wal");
            fs::write(log, GARBAGE).unwrap();
        }
    }

    fn work(&self, dir: &Path, watch: Arc<dyn Watch>) {
        let mut journal = begin(dir, watch);
        journal.write(&[began(30)], at(3000)).unwrap();
        let both = ["csr1", "csr2"].map(|name| ended(30, name, Outcome::Ok));
        journal.write(&both, at(3010)).unwrap();
        journal.write(&[over(30, 0)], at(3020)).unwrap();
        journal.released(at(3030)).unwrap();
        let long_after = at(400 * 86_400);
        while journal.prune(long_after).unwrap() == More::Yes {}
    }

    fn check(&self, dir: &Path, killed: At) {
        let mut journal = unwatched(dir);
        assert_consistent(dir);
        let reader = Reader::open(dir).unwrap();
        for name in ["csr1", "csr2"] {
            let state = reader.queries().device(name).unwrap();
            let good = state.as_ref().and_then(|state| state.good);
            let wanted = match (devices_recorded(killed), self.0, name) {
                (true, ..) => Some(at(3010)),
                (false, Before::Runs, "csr1") => Some(at(210)),
                (false, ..) => None,
            };
            assert_eq!(good, wanted, "{killed:?}: {name}, nothing lost or made up");
            let quarantined = state.is_some_and(|state| state.health.quarantine.is_some());
            assert!(!quarantined, "{killed:?}: {name} was released");
        }
        let released = !journal.released(at(4000)).unwrap().is_empty();
        let taken = killed.step >= Step::ReleasesTaken;
        assert_eq!(released, self.0 == Before::Runs && !taken, "{killed:?}");
        drop(journal);
        if self.0 == Before::Damage {
            let kept = damaged(dir);
            let old = kept.iter().map(|path| fs::read(path).unwrap());
            let old: Vec<u8> = old.max_by_key(Vec::len).unwrap();
            assert_eq!(old, GARBAGE.repeat(400).as_bytes(), "it can be looked at");
        }
        self.work(dir, Arc::new(Unwatched));
        assert_consistent(dir);
        let last = Reader::open(dir).unwrap().queries().runs(1).unwrap();
        assert_eq!(last[0].end, RunEnd::After(Duration::from_secs(20)));
    }
}

#[test]
fn a_fresh_state_survives_a_kill() {
    kill_after_each("state, Nothing", |_| true);
}

#[test]
fn the_state_survives_a_kill() {
    kill_after_each("state, Runs", |_| true);
}

#[test]
fn putting_a_damaged_state_aside_survives_a_kill() {
    kill_after_each("state, Damage", |_| true);
}
