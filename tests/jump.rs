//! A whole run behind two jump hosts, one of which dies in the midst of it: every device is backed up all
//! the same, and nothing is left of it afterwards: no thread, no descriptor, no session. One test, in a
//! process of its own, because it counts the process's own.
#![cfg(test)]
#![cfg(feature = "lab")]

#[allow(dead_code, reason = "shared with other tests")]
mod sshd;

use sshd::Server;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wrmem::actors::archivist::CommitPace::EachRun;
use wrmem::app::lock::StateLock;
use wrmem::app::{Orchestrator, RunRequest};
use wrmem::flow::Work;
use wrmem::lab::{FolderOptions, Lab, LabSpec, Think, write_settings};
use wrmem::model::device::Device;
use wrmem::model::event::{Event, EventSink};
use wrmem::model::report::RunReport;
use wrmem::model::stage::Stage;
use wrmem::settings::{self, Loaded, Selection, Source};

fn count(what: &str) -> usize {
    fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}

/// Threads end by themselves after their last address is gone: this waits for that fact.
fn settle(what: &str, most: usize) -> usize {
    for _ in 0..100_000 {
        if count(what) <= most {
            break;
        }
        std::thread::yield_now();
    }
    count(what)
}

/// Kills the jump host's processes when the first device is being read.
struct Killer {
    jump: Arc<Server>,
    done: Arc<AtomicBool>,
}

impl EventSink for Killer {
    fn on(&mut self, event: &Event) {
        let reading = matches!(
            event,
            Event::StageStarted {
                stage: Stage::Backup,
                ..
            }
        );
        if reading && !self.done.swap(true, Ordering::SeqCst) {
            self.jump.kill();
        }
    }
}

/// The lab's settings folder, with its devices behind two jump hosts.
fn settings_behind(dir: &Path, lab: &Lab, (outer, inner): (&Server, &Server)) -> Source {
    write_settings(dir, lab.devices(), &FolderOptions::default()).unwrap();
    let user = outer
        .device(outer.key(&["ed25519"], ""))
        .credentials
        .username
        .clone();
    let inner_key = inner.key(&["ed25519"], "");
    let folder = dir.join("settings");
    let add = |file: &str, text: &str| {
        let path = folder.join(file);
        let before = fs::read_to_string(&path).unwrap();
        fs::write(path, before + text).unwrap();
    };
    add(
        "credentials.toml",
        &format!(
            "[credentials.outer]\nusername = \"{user}\"\nkey = \"{}\"\n\
             [credentials.inner]\nusername = \"{user}\"\nkey = \"{}\"\n",
            outer.path("client_ed25519_0").display(),
            inner_key.origin,
        ),
    );
    let devices = fs::read_to_string(folder.join("devices.toml")).unwrap();
    let devices = devices.replacen("[defaults]\n", "[defaults]\njump = \"inner\"\n", 1);
    fs::write(folder.join("devices.toml"), devices).unwrap();
    add(
        "devices.toml",
        &format!(
            "[jumps.outer]\nhost = \"127.0.0.1\"\nport = {}\ncredentials = \"outer\"\n\
             [jumps.inner]\nhost = \"127.0.0.1\"\nport = {}\ncredentials = \"inner\"\njump = \"outer\"\n\
             limits = [\"site-7\"]\nchannels = 3\nsessions = 2\n",
            outer.address.port(),
            inner.address.port(),
        ),
    );
    add(
        "wrmem.toml",
        "\n[run]\nbackoff_base = \"10ms\"\n[limits.site-7]\nin_flight = 8\n",
    );
    Source {
        dir: folder,
        ..Source::default()
    }
}

/// One run, with everything started for it and closed after it.
fn run(loaded: &Loaded, devices: &[Arc<Device>], killer: Killer) -> RunReport {
    let request = RunRequest::of(devices.to_vec(), Work::Backup);
    let lock = StateLock::acquire(&loaded.settings.state.dir, "test").unwrap();
    actix::System::new().block_on(async {
        let sinks: Vec<Box<dyn EventSink>> = vec![Box::new(killer)];
        let orchestrator = Orchestrator::start(&loaded.settings, lock, sinks, EachRun).unwrap();
        let (report, result) = orchestrator.run(request).await;
        result.unwrap();
        orchestrator.close().await;
        report.unwrap()
    })
}

#[test]
fn a_run_survives_the_death_of_a_jump_host_and_leaves_nothing_behind() {
    need_sshd!();
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::start(&LabSpec {
        devices: 12,
        think: Think::device_time(Duration::from_millis(600)),
        ..LabSpec::default()
    })
    .unwrap();
    let (outer, inner) = (Arc::new(Server::start(&[])), Arc::new(Server::start(&[])));
    let source = settings_behind(dir.path(), &lab, (&outer, &inner));
    let loaded = settings::load(&source).unwrap();
    let selected = loaded.inventory.select(&Selection::default(), &[]).unwrap();
    assert_eq!(selected.broken, []);
    let devices: Vec<_> = selected.devices.into_iter().map(Arc::new).collect();
    assert!(
        devices.iter().all(|device| device.limits.len() == 1),
        "the jump host's"
    );
    let (threads, descriptors) = (count("task"), count("fd"));
    for turn in 0..2 {
        let killer = Killer {
            jump: Arc::clone(if turn == 0 { &inner } else { &outer }),
            done: Arc::new(AtomicBool::new(false)),
        };
        let killed = Arc::clone(&killer.done);
        let report = run(&loaded, &devices, killer);
        assert!(killed.load(Ordering::SeqCst));
        let told = format!("{:#?}", report.devices);
        assert_eq!(report.counts().succeeded, 12, "{told}");
        assert!(report.in_flight_max <= 8, "site-7");
        let failures = report.devices.iter().flat_map(|device| &device.attempts);
        let kinds: Vec<_> = failures
            .filter_map(|attempt| attempt.failure.as_ref())
            .map(|failure| failure.kind.name())
            .collect();
        assert!(kinds.contains(&"jump_lost"), "{kinds:?}");
        assert!(kinds.iter().all(|kind| *kind == "jump_lost"), "{told}");
    }
    for (what, before) in [("task", threads), ("fd", descriptors)] {
        let after = settle(what, before);
        assert!(after <= before, "{} of {what} left", after - before);
    }
    assert_eq!(lab.counts().open, 0);
}
