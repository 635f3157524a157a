//! What becomes of the process when its supervisor dies or hangs: it ends, to be started again.
//!
//! The test starts itself again as the process that is to end, with devices that do the harm.
#![cfg(test)]

use actix::Recipient;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wrmem::actors::alive::Pace;
use wrmem::actors::archivist::CommitPace;
use wrmem::actors::device::{AttemptSpec, StartDevice};
use wrmem::actors::messages::RunStage;
use wrmem::app::lock::StateLock;
use wrmem::app::{Edge, Orchestrator};
use wrmem::daemon::{self, Setup, reload};
use wrmem::model::durable::Unwatched;
use wrmem::session::Clock;
use wrmem::session::known_hosts::KnownHosts;
use wrmem::settings::Source;

/// Tells the process that is to end apart from the test, and what harm is done in it.
const HARM: &str = "WRMEM_TEST_HARM";

/// Its folder.
const FOLDER: &str = "WRMEM_TEST_FOLDER";

/// How it says that its watchdog bit.
const BITTEN: i32 = 70;

struct Harmful {
    harm: String,
}

impl StartDevice for Harmful {
    fn start(&self, _: AttemptSpec) -> Result<Recipient<RunStage>, String> {
        match self.harm.as_str() {
            "dies" => panic!("kills the supervisor, as asked"),
            "hangs" => {
                let (_never, answer) = std::sync::mpsc::channel::<()>();
                let _ = answer.recv();
            }
            _ => {}
        }
        Err("no thread".to_owned())
    }
}

struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}

fn settings_folder(folder: &Path) {
    let settings = folder.join("settings");
    std::fs::create_dir(&settings).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let overall = format!(
        "run.save = \"never\"\nrun.every = \"1s\"\narchive.dir = {:?}\nstate.dir = {:?}\n\
         ssh.known_hosts = {:?}\n",
        path("configs"),
        path("state"),
        path("known_hosts"),
    );
    std::fs::write(settings.join("wrmem.toml"), overall).unwrap();
    let devices =
        "devices = [\"csr1\"]\n[defaults]\nplatform = \"cisco_ios\"\ncredentials = \"x\"\n";
    std::fs::write(settings.join("devices.toml"), devices).unwrap();
    let credentials = "[credentials.x]\nusername = \"ntc\"\npassword = \"ntc123\"\n";
    std::fs::write(settings.join("credentials.toml"), credentials).unwrap();
}

/// The process that is to end.
#[expect(
    clippy::disallowed_methods,
    reason = "what the binary does in this place"
)]
fn be_harmed(harm: &str) {
    let folder = std::env::var(FOLDER).unwrap();
    let source = Source {
        dir: Path::new(&folder).join("settings"),
        ..Source::default()
    };
    let reading = reload::read(&source).unwrap_or_else(|bad| panic!("{bad}"));
    let lock = StateLock::acquire(&reading.settings.state.dir, "test").unwrap();
    let known_hosts = KnownHosts::load(&reading.settings.ssh.known_hosts).unwrap();
    actix::System::new().block_on(async {
        let edge = Edge {
            devices: Box::new(Harmful {
                harm: harm.to_owned(),
            }),
            clock: Arc::new(RealClock),
            known_hosts: Arc::new(known_hosts),
            watch: Arc::new(Unwatched),
        };
        let orchestrator = Orchestrator::start_at(
            edge,
            &reading.settings,
            lock,
            Vec::new(),
            CommitPace::EachRun,
        )
        .unwrap();
        let (_requests, asked) = tokio::sync::mpsc::channel(1);
        let setup = Setup {
            source,
            reading,
            report: None,
            watchdog: Pace {
                every: Duration::from_millis(10),
                // One that died is missed at once, however slow the machine is.
                bound: match harm {
                    "hangs" => Duration::from_millis(500),
                    _ => Duration::from_secs(600),
                },
            },
            on_loss: Box::new(|loss| {
                println!("{loss}");
                std::process::exit(BITTEN);
            }),
        };
        let ended = daemon::run(orchestrator, setup, asked).await;
        println!("{}", ended.unwrap_err());
    });
}

#[test]
fn a_process_without_a_supervisor_ends() {
    if let Ok(harm) = std::env::var(HARM) {
        return be_harmed(&harm);
    }
    for (harm, says) in [
        // Whoever notices first: the scheduler, whose request is dropped, or the watchdog.
        ("dies", "wrmem's supervisor is gone"),
        // The others on its thread hang with it, and any of them may be asked first.
        ("hangs", "did not answer within 0.5 s"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        settings_folder(folder.path());
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--nocapture",
                "a_process_without_a_supervisor_ends",
            ])
            .env(HARM, harm)
            .env(FOLDER, folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(says), "{harm}\n{said}");
        if harm == "hangs" {
            assert_eq!(output.status.code(), Some(BITTEN), "{said}");
        }
    }
}
