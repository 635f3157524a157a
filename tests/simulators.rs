//! wrmem against simulators that nobody here wrote: fakenos and scrapli-replay from PyPI. They bring
//! the SSH server, the echo and the prompts. `tests/simulators/*.json` says for each device what it
//! is, what the simulator does not know by itself, and how a run must end: its config whole, or,
//! where the simulator is no such device (`why`), a failure that tells it.
//!
//! Needs both in `target/simulators`: `make simulators` puts them there, and so does `.ci/run`.
//! Without them the tests say in one line that they were skipped, unless `WRMEM_SIMULATORS` is
//! `required`.

#![cfg(test)]

use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The Python that has the simulators.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/simulators/bin/python");
    if python.exists() {
        return Some(python);
    }
    assert!(
        std::env::var_os("WRMEM_SIMULATORS").is_none_or(|word| word != "required"),
        "{} is not there",
        python.display()
    );
    eprintln!("SKIPPED: fakenos and scrapli-replay are not there; `make simulators` gets them");
    None
}

/// A simulator that serves until this is dropped, and a folder to back its devices up into.
struct World {
    folder: tempfile::TempDir,
    simulator: Child,
    devices: Map<String, Value>,
}

impl World {
    /// Starts `tests/simulators/serve_NAME.py` with the devices of `NAME.json`.
    fn start(python: &Path, name: &str) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulators");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("devices.json");
        fs::copy(here.join(format!("{name}.json")), &file).unwrap();
        let devices: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let simulator = Command::new(python)
            .arg(here.join(format!("serve_{name}.py")))
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join("simulator.log")).unwrap())
            .spawn()
            .unwrap();
        let mut world = Self {
            folder,
            simulator,
            devices: devices.as_object().unwrap().clone(),
        };
        world.write_settings();
        world
    }

    /// Waits until the simulator has told the port of each device.
    fn write_settings(&mut self) {
        let mut text = String::from(
            "[defaults]\ncredentials = \"lab\"\nattempts = 1\n\
             deadlines = { prompt = \"6s\", silence = \"20s\" }\n",
        );
        let said = BufReader::new(self.simulator.stdout.take().unwrap());
        let lines = said.lines().map_while(Result::ok);
        let mut ready = false;
        for line in lines {
            let Some((device, port)) = line.split_once(' ') else {
                ready = line == "ready";
                break;
            };
            write!(
                text,
                "[devices.{device}]\nhost = \"127.0.0.1\"\nport = {port}\nplatform = {}\n",
                self.devices[device]["platform"]
            )
            .unwrap();
        }
        let log = self.folder.path().join("simulator.log");
        assert!(ready, "{}", fs::read_to_string(log).unwrap());
        let settings = self.folder.path().join("settings");
        fs::create_dir(&settings).unwrap();
        fs::write(settings.join("devices.toml"), text).unwrap();
        let secrets = settings.join("credentials.toml");
        let login = "username = \"scrapli\"\npassword = \"scrapli\"\nenable = \"planted-enable\"\n";
        fs::write(&secrets, format!("[credentials.lab]\n{login}")).unwrap();
        fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Backs all devices up; what became of each stands in the report.
    fn backup(&self) -> Vec<Value> {
        let output = Command::new(env!("CARGO_BIN_EXE_wrmem"))
            .env_clear()
            .current_dir(self.folder.path())
            .args(["backup", "--report", "report.json"])
            .output()
            .unwrap();
        let report = fs::read_to_string(self.folder.path().join("report.json"));
        let report = report.unwrap_or_else(|_| panic!("{output:?}"));
        let report: Value = serde_json::from_str(&report).unwrap();
        report["devices"].as_array().unwrap().clone()
    }

    /// Whether a device became what its description says.
    fn check(&self, outcome: &Value) {
        let name = outcome["name"].as_str().unwrap();
        let device = &self.devices[name];
        let expect = &device["expect"];
        assert_eq!(outcome["outcome"], expect["outcome"], "{outcome}");
        let path = self.folder.path().join(format!("configs/{name}.cfg"));
        let config = fs::read_to_string(path).ok();
        if expect["outcome"] == "failed" {
            let failure = &outcome["failure"];
            assert_eq!(failure["kind"], expect["kind"], "{outcome}");
            let message = failure["message"].as_str().unwrap();
            let tells = expect["tells"].as_str().unwrap();
            assert!(message.contains(tells), "{outcome}");
            assert_eq!(config, None, "{name}");
            return;
        }
        assert_eq!(outcome["proof"], expect["proof"], "{outcome}");
        let config = config.unwrap();
        if let Some(command) = expect["keeps"].as_str() {
            let from = expect["from"].as_str().unwrap();
            assert_eq!(config, kept(&device["commands"][command], from), "{name}");
        }
        for line in expect["holds"].as_array().into_iter().flatten() {
            let line = line.as_str().unwrap();
            assert!(
                config.lines().any(|l| l.starts_with(line)),
                "{line} in {config}"
            );
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.simulator.stdin.take());
        let _ = self.simulator.kill();
        let _ = self.simulator.wait();
    }
}

/// The lines that the simulator was given, as they are to be kept: from the one that begins with
/// `begin` on.
fn kept(given: &Value, begin: &str) -> String {
    let lines = given.as_array().unwrap().iter();
    lines
        .map(|line| line.as_str().unwrap())
        .skip_while(|line| !line.starts_with(begin))
        .fold(String::new(), |text, line| text + line + "\n")
}

fn each_device_ends_as_it_should(simulator: &str) {
    let Some(python) = python() else { return };
    let world = World::start(&python, simulator);
    let outcomes = world.backup();
    assert_eq!(outcomes.len(), world.devices.len());
    for outcome in &outcomes {
        world.check(outcome);
    }
}

#[test]
fn fakenos_is_backed_up_whole_or_fails_clearly() {
    each_device_ends_as_it_should("fakenos");
}

#[test]
fn scrapli_replay_is_backed_up_whole_or_fails_clearly() {
    each_device_ends_as_it_should("scrapli_replay");
}
