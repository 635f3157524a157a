//! Where wrmem is run from: a settings folder for some routers, and what a run leaves.

use crate::network::Network;
use crate::router::Router;
use jiff::Timestamp;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

/// Settings, archive and state in a folder of their own.
pub(crate) struct Office<'n> {
    network: &'n Network,
    folder: tempfile::TempDir,
}

impl<'n> Office<'n> {
    /// Settings for `routers`, with the password of ntc, saving as the shipped settings do.
    pub(crate) fn new(network: &'n Network, routers: &[&Router]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let office = Self { network, folder };
        let mut devices =
            "[defaults]\nplatform = \"frr\"\ncredentials = \"lab\"\nsave = \"always\"\n".to_owned();
        for router in routers {
            let (name, host) = (router.name(), &router.address);
            let _ = write!(devices, "[devices.{name}]\nhost = \"{host}\"\n");
        }
        let overall = format!(
            "archive.dir = {:?}\nstate.dir = {:?}\nssh.known_hosts = {:?}\n\
             run.attempts = 2\nrun.backoff_base = \"10ms\"\nrun.backoff_cap = \"20ms\"\n",
            office.path("configs"),
            office.path("state"),
            office.path("state/known_hosts"),
        );
        fs::create_dir(office.path("settings")).unwrap();
        fs::write(office.path("settings/devices.toml"), devices).unwrap();
        fs::write(office.path("settings/wrmem.toml"), overall).unwrap();
        office.set_password("ntc123");
        office
    }

    pub(crate) fn set_password(&self, password: &str) {
        let path = self.path("settings/credentials.toml");
        let text = format!("[credentials.lab]\nusername = \"ntc\"\npassword = {password:?}\n");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Adds to the overall settings.
    pub(crate) fn set(&self, text: &str) {
        let path = self.path("settings/wrmem.toml");
        let before = fs::read_to_string(&path).unwrap();
        fs::write(&path, before + text).unwrap();
    }

    /// The real binary, within the network.
    fn wrmem(&self, args: &[&str]) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_wrmem"));
        let mut command = self.network.visitor(binary);
        command
            .current_dir(self.folder.path())
            .env_remove("RUST_LOG")
            .arg("--settings")
            .arg(self.path("settings"))
            .args(args);
        command
    }

    /// What a command says, whatever becomes of it.
    pub(crate) fn ask(&self, args: &[&str]) -> String {
        told(&self.wrmem(args).output().unwrap())
    }

    /// `wrmem run`, until it is dropped or stopped.
    pub(crate) fn serve(&self) -> Service {
        let mut command = self.wrmem(&["--log-format", "json", "run"]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Service { child, log }
    }

    /// One backup of all routers.
    pub(crate) fn backup(&self) -> Run {
        let report = self.path("report.json");
        let output = self
            .wrmem(&["-vv", "backup", "--report"])
            .arg(&report)
            .output()
            .unwrap();
        let told = told(&output);
        let text = fs::read_to_string(&report).unwrap_or_else(|_| panic!("no report\n{told}"));
        fs::remove_file(report).unwrap();
        Run {
            exit: output.status.code(),
            report: serde_json::from_str(&text).unwrap(),
            told,
        }
    }

    /// What the archive has for a router.
    pub(crate) fn stored(&self, router: &Router) -> Option<String> {
        fs::read_to_string(self.file(router)).ok()
    }

    /// Tells one written file from another, even of the same content.
    pub(crate) fn written(&self, router: &Router) -> (u64, i64, i64) {
        let file = fs::metadata(self.file(router)).unwrap();
        (file.ino(), file.mtime(), file.mtime_nsec())
    }

    fn file(&self, router: &Router) -> PathBuf {
        self.path("configs").join(format!("{}.cfg", router.name()))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// How a run ended.
pub(crate) struct Run {
    pub(crate) exit: Option<i32>,
    /// All that was said on stdout and in the log.
    pub(crate) told: String,
    report: serde_json::Value,
}

impl Run {
    /// Asserts a router's outcome and what became of its stored config (`new`, `changed`,
    /// `unchanged`, `-`).
    pub(crate) fn expect(&self, router: &Router, outcome: &str, stored: &str) {
        let device = self.device(router);
        let found = (
            device["outcome"].as_str().unwrap(),
            device["stored"].as_str().unwrap_or("-"),
        );
        assert_eq!(
            found,
            (outcome, stored),
            "{}\n{device:#}\n{}",
            router.name(),
            self.told
        );
    }

    /// Stage, kind and message of a router's failure.
    pub(crate) fn failure(&self, router: &Router) -> [String; 3] {
        let failure = &self.device(router)["failure"];
        ["stage", "kind", "message"].map(|key| failure[key].as_str().unwrap().to_owned())
    }

    /// How many attempts were made at a router.
    pub(crate) fn attempts(&self, router: &Router) -> u64 {
        self.device(router)["attempts"].as_u64().unwrap()
    }

    fn device(&self, router: &Router) -> &serde_json::Value {
        let devices = self.report["devices"].as_array().unwrap();
        let mut found = devices.iter().filter(|it| it["name"] == router.name());
        found.next().unwrap()
    }
}

/// `wrmem run` while it goes on.
pub(crate) struct Service {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Service {
    /// The next router that is done, when its run began, and what became of its stored config.
    pub(crate) fn next_done(&mut self) -> (String, Timestamp, String) {
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "it has ended");
            let record: serde_json::Value = serde_json::from_str(&line).unwrap();
            let word = |key: &str| record[key].as_str().map(str::to_owned);
            let (Some(device), Some(outcome)) = (word("device"), word("outcome")) else {
                continue;
            };
            assert_eq!(outcome, "ok", "{line}");
            let began = word("run").unwrap().parse().unwrap();
            return (device, began, word("stored").unwrap());
        }
    }

    /// Told to stop, it ends in order.
    pub(crate) fn stop(mut self) {
        // What was started is nsenter, which waits for wrmem in the namespaces.
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let pid = children.split_whitespace().next().unwrap().parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut rest = Vec::new();
        self.log.read_to_end(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{}", String::from_utf8_lossy(&rest));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn told(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes))
        .concat()
}
