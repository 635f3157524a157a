//! `kill -9` after each step by which something becomes durable: what the next start finds, and
//! what it makes of it.
//!
//! Each test runs this binary again as a child, which kills itself at the wanted step. That shows
//! what an ended process leaves behind; it does not show what a power cut does to a disk.

#![cfg(test)]

mod archive;
mod state;
mod whole;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wrmem::model::durable::{Step, Watch};

/// Tells the child where to work, at which step to die, and at what work.
const DIR: &str = "WRMEM_CRASH_DIR";
const STEP: &str = "WRMEM_CRASH_STEP";
const SCENARIO: &str = "WRMEM_CRASH_SCENARIO";

/// Work that is broken off by a kill, and what is to be true after it.
trait Scenario: Sync {
    fn name(&self) -> String;

    /// Makes what is there before the work begins.
    fn before(&self, dir: &Path);

    /// The work, in a process that may be killed at any step of it.
    fn work(&self, dir: &Path, watch: Arc<dyn Watch>);

    /// Looks at what is left, lets the next start mend it, looks again, and does the work once more.
    fn check(&self, dir: &Path, at: At);
}

/// When the process was killed.
#[derive(Debug, Clone, Copy)]
struct At {
    step: Step,
    /// How often it was done by then.
    count: usize,
}

fn scenarios() -> Vec<Box<dyn Scenario>> {
    let mut all: Vec<Box<dyn Scenario>> = Vec::new();
    all.extend(archive::scenarios());
    all.extend(state::scenarios());
    all.push(Box::new(whole::Run));
    all
}

/// Kills the process the wanted time that a step is done.
#[derive(Debug)]
struct Dies {
    at: Step,
    left: AtomicUsize,
}

impl Watch for Dies {
    fn passed(&self, step: Step) {
        if step == self.at && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
            // A signal to the own process is there before the call returns.
            panic!("not killed");
        }
    }
}

/// Writes down which steps are done.
#[derive(Debug, Default)]
struct Census(Mutex<Vec<Step>>);

impl Watch for Census {
    fn passed(&self, step: Step) {
        self.0.lock().unwrap().push(step);
    }
}

/// A folder in memory, where there is such a place: a process that is killed leaves the same there,
/// and nobody waits for a disk.
fn fresh_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// One test at a time, where they share a process: a child that is being started holds for a moment
/// whatever locks there are.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every step of the work, in its order.
fn census(scenario: &dyn Scenario) -> Vec<Step> {
    let dir = fresh_folder();
    scenario.before(dir.path());
    let census = Arc::new(Census::default());
    scenario.work(dir.path(), Arc::clone(&census) as Arc<dyn Watch>);
    let steps = census.0.lock().unwrap();
    steps.clone()
}

#[test]
#[ignore = "the child of the other tests"]
fn child() {
    let variables = [DIR, STEP, SCENARIO].map(std::env::var);
    let [Ok(dir), Ok(step), Ok(scenario)] = variables else {
        return;
    };
    let (at, count) = step.split_once(' ').unwrap();
    let at = Step::ALL.iter().find(|step| format!("{step:?}") == at);
    let dies = Dies {
        at: *at.unwrap(),
        left: AtomicUsize::new(count.parse().unwrap()),
    };
    let all = scenarios();
    let scenario = all.iter().find(|one| one.name() == scenario).unwrap();
    scenario.work(Path::new(&dir), Arc::new(dies));
    std::fs::write(Path::new(&dir).join("survived"), "").unwrap();
}

/// Has a child do the work until it is dead; whether it died at that step and not at its end.
fn kill_at(scenario: &dyn Scenario, dir: &Path, at: At) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .env(STEP, format!("{:?} {}", at.step, at.count))
        .env(SCENARIO, scenario.name())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let output = command.output().unwrap();
    let survived = std::fs::remove_file(dir.join("survived")).is_ok();
    let said = String::from_utf8_lossy(&output.stderr);
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(output.status.signal(), (!survived).then_some(9), "{said}");
    !survived
}

/// Kills the work after each of its steps, of those that are wanted, each time it does one.
fn kill_after_each(name: &str, wanted: impl Fn(Step) -> bool) {
    let _alone = alone();
    let all = scenarios();
    let scenario = all.iter().find(|one| one.name() == name).unwrap().as_ref();
    let steps: BTreeSet<Step> = census(scenario).into_iter().collect();
    let steps: Vec<_> = steps.into_iter().filter(|step| wanted(*step)).collect();
    assert!(!steps.is_empty(), "{name}: there is such a step");
    let mut kills = 0;
    for step in steps {
        for count in 1.. {
            let dir = fresh_folder();
            scenario.before(dir.path());
            let at = At { step, count };
            if !kill_at(scenario, dir.path(), at) {
                assert!(count > 1, "{name}: the work has the step {step:?}");
                break;
            }
            kills += 1;
            scenario.check(dir.path(), at);
            assert_no_leftovers(dir.path());
        }
    }
    println!("{name}: killed {kills} times");
}

/// No temporary file and no lock file of an unfinished change is there.
fn assert_no_leftovers(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let unfinished = name.starts_with(".tmp")
            || name.contains("wrmem-tmp")
            || name.starts_with("tmp_")
            || name.ends_with(".lock");
        assert!(!unfinished, "{} is left", path.display());
        if path.is_dir() {
            assert_no_leftovers(&path);
        }
    }
}

/// A new step needs no test of its own, but some work here has to come to it.
#[test]
fn the_work_comes_to_every_step() {
    let _alone = alone();
    let passed: BTreeSet<Step> = scenarios()
        .iter()
        .flat_map(|scenario| census(scenario.as_ref()))
        .collect();
    let missed: Vec<_> = Step::ALL
        .iter()
        .filter(|step| !passed.contains(step))
        .collect();
    assert!(missed.is_empty(), "no work is killed after {missed:?}");
}
