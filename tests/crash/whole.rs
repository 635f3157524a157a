//! Whole runs, killed: the archive and the state, each on its own thread, with stub devices.

use super::archive::Kept;
use super::{At, Scenario, kill_after_each, kill_at};
use actix::{Actor, Context, Handler, Recipient};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wrmem::actors::archivist::CommitPace;
use wrmem::actors::device::{AttemptSpec, StartDevice};
use wrmem::actors::messages::{Product, RunStage, Served, StageDone};
use wrmem::app::lock::StateLock;
use wrmem::app::{Edge, Orchestrator, RunRequest};
use wrmem::flow::Work;
use wrmem::model::config::{Config, Layout, Proof};
use wrmem::model::durable::{Step, Watch};
use wrmem::model::history::RunEnd;
use wrmem::model::save::SaveNeed;
use wrmem::model::stage::{Stage, StepName, Trail};
use wrmem::session::Clock;
use wrmem::session::known_hosts::KnownHosts;
use wrmem::settings::{self, Selection, Source};
use wrmem::state::queries::Reader;

/// One run of three devices.
pub(super) struct Run;

const FLEET: [&str; 3] = ["csr1", "csr2", "csr3"];

fn config(name: &str, edition: usize) -> Vec<u8> {
    format!("hostname {name}\nsnmp-server location {edition}\nend\n").into_bytes()
}

struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

struct StubDevices {
    edition: usize,
}

impl StartDevice for StubDevices {
    fn start(&self, spec: AttemptSpec) -> Result<Recipient<RunStage>, String> {
        let config = config(spec.device.name.as_str(), self.edition);
        Ok(Stub { config }.start().recipient())
    }
}

struct Stub {
    config: Vec<u8>,
}

impl Actor for Stub {
    type Context = Context<Self>;
}

impl Handler<RunStage> for Stub {
    type Result = Served;

    fn handle(&mut self, request: RunStage, _: &mut Self::Context) -> Self::Result {
        let mut trail = Trail::default();
        if request.stage == Stage::Connect {
            trail.step(StepName::Auth, Duration::ZERO);
        }
        let product = match request.stage {
            Stage::Backup => Product::Config {
                config: Config::proven(self.config.clone(), Proof::Marker),
                info: None,
                need: SaveNeed::Unneeded,
            },
            _ => Product::Nothing,
        };
        Ok(Box::new(StageDone {
            began: Instant::now(),
            took: Duration::ZERO,
            trail,
            product,
        }))
    }
}

fn settings_folder(folder: &Path) {
    let settings = folder.join("settings");
    std::fs::create_dir(&settings).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let overall = format!(
        "run.save = \"never\"\narchive.kinds = [\"files\", \"git\"]\narchive.dir = {:?}\n\
         archive.git_dir = {:?}\nstate.dir = {:?}\nssh.known_hosts = {:?}\n",
        path("configs"),
        path("configs.git"),
        path("state"),
        path("known_hosts"),
    );
    std::fs::write(settings.join("wrmem.toml"), overall).unwrap();
    let devices =
        format!("devices = {FLEET:?}\n[defaults]\nplatform = \"cisco_ios\"\ncredentials = \"x\"\n");
    std::fs::write(settings.join("devices.toml"), devices).unwrap();
    let credentials = "[credentials.x]\nusername = \"ntc\"\npassword = \"ntc123\"\n";
    std::fs::write(settings.join("credentials.toml"), credentials).unwrap();
}

/// One run, from taking the lock to closing the state.
fn run(folder: &Path, edition: usize, watch: Arc<dyn Watch>) {
    let source = Source {
        dir: folder.join("settings"),
        ..Source::default()
    };
    let loaded = settings::load(&source).unwrap();
    let selected = loaded.inventory.select(&Selection::default(), &[]).unwrap();
    let devices: Vec<_> = selected.devices.into_iter().map(Arc::new).collect();
    let lock = StateLock::acquire(&loaded.settings.state.dir, "test").unwrap();
    let known_hosts = KnownHosts::load(&loaded.settings.ssh.known_hosts).unwrap();
    let report = actix::System::new().block_on(async {
        let edge = Edge {
            devices: Box::new(StubDevices { edition }),
            clock: Arc::new(RealClock),
            known_hosts: Arc::new(known_hosts),
            watch,
        };
        let pace = CommitPace::EachRun;
        let orchestrator =
            Orchestrator::start_at(edge, &loaded.settings, lock, Vec::new(), pace).unwrap();
        let (report, result) = orchestrator
            .run(RunRequest::of(devices, Work::Backup))
            .await;
        result.unwrap();
        orchestrator.close().await;
        report.unwrap()
    });
    assert_eq!(report.counts().succeeded, FLEET.len());
}

/// The work in a process of its own, which nobody kills: locks go with their process.
fn work_undisturbed(folder: &Path) {
    let never = At {
        step: Step::Settled,
        count: usize::MAX,
    };
    assert!(!kill_at(&Run, folder, never));
}

fn file(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join("configs").join(format!("{name}.cfg"))).unwrap()
}

fn kept(folder: &Path) -> Kept {
    Kept {
        dir: folder.to_owned(),
        layout: Layout::Flat,
    }
}

impl Scenario for Run {
    fn name(&self) -> String {
        "a whole run".to_owned()
    }

    fn before(&self, dir: &Path) {
        settings_folder(dir);
        work_undisturbed(dir);
    }

    fn work(&self, dir: &Path, watch: Arc<dyn Watch>) {
        let edition = if dir.join("configs").exists() { 2 } else { 1 };
        run(dir, edition, watch);
    }

    fn check(&self, dir: &Path, at: At) {
        let state = dir.join("state");
        for name in FLEET {
            let held = file(dir, name);
            assert!([config(name, 1), config(name, 2)].contains(&held), "{at:?}");
            let reader = Reader::open(&state).unwrap();
            let outcomes = reader.queries().history(name, 100).unwrap();
            if outcomes.len() > 1 {
                let told = "what the state calls good is in the archive";
                assert_eq!(held, config(name, 2), "{at:?}: {name}: {told}");
            }
        }
        work_undisturbed(dir);
        kept(dir).assert_sound();
        let reader = Reader::open(&state).unwrap();
        let queries = reader.queries();
        for name in FLEET {
            assert_eq!(file(dir, name), config(name, 2));
            let versions = [config(name, 2), config(name, 1)];
            assert_eq!(kept(dir).contents(name), versions, "{at:?}: {name}");
            let last = queries.device(name).unwrap().unwrap().last.unwrap();
            assert_eq!(last.run, Some(queries.runs(1).unwrap()[0].number));
        }
        let runs = queries.runs(100).unwrap();
        assert!((2..=3).contains(&runs.len()), "{at:?}: {runs:?}");
        assert!(matches!(runs[0].end, RunEnd::After(_)), "{at:?}");
        assert!(runs.iter().all(|run| run.end != RunEnd::UnderWay), "{at:?}");
    }
}

#[test]
fn a_whole_run_survives_a_kill_while_configs_are_stored() {
    kill_after_each("a whole run", |step| step < Step::CommitsWritten);
}

#[test]
fn a_whole_run_survives_a_kill_while_it_is_committed_and_remembered() {
    kill_after_each("a whole run", |step| step >= Step::CommitsWritten);
}
