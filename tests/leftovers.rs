//! After a run with devices that hang, refuse and break off, nothing is left of it: no thread, no
//! descriptor, no session. One test, in a process of its own, because it counts the process's own.
#![cfg(test)]
#![cfg(feature = "lab")]

use std::fs;
use std::sync::Arc;
use std::time::Duration;
use wrmem::actors::archivist::CommitPace::EachRun;
use wrmem::app::lock::StateLock;
use wrmem::app::{Orchestrator, RunRequest};
use wrmem::flow::Work;
use wrmem::lab::{Fault, FaultRule, FolderOptions, Lab, LabSpec, Select, write_settings};
use wrmem::settings::{self, Selection, Source};

fn count(what: &str) -> usize {
    fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}

/// Threads end by themselves after their last address is gone: this waits for that fact.
fn settle(what: &str, most: usize) -> usize {
    for _ in 0..10_000 {
        if count(what) <= most {
            break;
        }
        std::thread::yield_now();
    }
    count(what)
}

#[test]
fn no_thread_and_no_descriptor_is_left_over() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::start(&LabSpec {
        devices: Fault::ALL.len() * 2,
        faults: vec![FaultRule {
            select: Select::Every(2),
            faults: Fault::ALL.to_vec(),
        }],
        ..LabSpec::default()
    })
    .unwrap();
    write_settings(dir.path(), lab.devices(), &FolderOptions::default()).unwrap();
    let source = Source {
        dir: dir.path().join("settings"),
        flags: [
            ("run.attempts", "1"),
            ("deadlines.kex", "3s"),
            ("deadlines.silence", "3s"),
            ("deadlines.save", "5s"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec(),
        env: Vec::new(),
    };
    let loaded = settings::load(&source).unwrap();
    let selected = loaded.inventory.select(&Selection::default(), &[]).unwrap();
    let devices: Vec<_> = selected.devices.into_iter().map(Arc::new).collect();
    let (threads, descriptors) = (count("task"), count("fd"));
    for _ in 0..2 {
        let request = RunRequest::of(devices.clone(), Work::Backup);
        let lock = StateLock::acquire(&loaded.settings.state.dir, "test").unwrap();
        let report = actix::System::new().block_on(async {
            let orchestrator =
                Orchestrator::start(&loaded.settings, lock, Vec::new(), EachRun).unwrap();
            let (report, result) = orchestrator.run(request).await;
            result.unwrap();
            orchestrator.close().await;
            report.unwrap()
        });
        let counts = report.counts();
        assert_eq!(counts.total, Fault::ALL.len() * 2);
        assert!(counts.failed > 0 && counts.not_saved > 0, "{counts:?}");
        assert_eq!(report.abandoned_threads, 0);
        assert!(report.wall > Duration::ZERO);
    }
    assert!(
        settle("task", threads) <= threads,
        "{} threads left",
        count("task") - threads
    );
    assert!(
        settle("fd", descriptors) <= descriptors,
        "{} descriptors left",
        count("fd") - descriptors
    );
    assert_eq!(lab.counts().open, 0);
}
